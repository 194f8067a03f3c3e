"""Every option of the chain, one by one: off is off to the bit, more is more, and a wrong value is
refused with the same sentence wherever it was said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from samples import damage
from tests.engine.test_run import planes, planned
from tests.helpers.pictures import SIGMA, banded, block, blocky, noisy, scene
from vdenoise import cli
from vdenoise.chain.option_values import parse_grain, parse_masks
from vdenoise.chain.presets import load
from vdenoise.chain.resolve import Layer, resolve
from vdenoise.cli.chain import CHAIN_OPTIONS
from vdenoise.cli.options import variable
from vdenoise.engine.denoise import denoise
from vdenoise.engine.streams import Shots
from vdenoise.errors import UsageError
from vdenoise.masks.parse import make_mask
from vdenoise.masks.spec import KEYS as MASK_DIALS
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.picture.block import Block
from vdenoise.picture.noise import NoiseProfile

FRAMES, HEIGHT, WIDTH = 5, 64, 96
Planes = list[Tensor]  # Y, Cb and Cr of all frames, (T, H, W) and (T, h, w), in 8-bit codes
GRAIN = {"--grain": "grain"}
OPTIONS = {**CHAIN_OPTIONS, **GRAIN}


@dataclass(frozen=True)
class Footage:
    """A clip on disk, its samples, and those of the same without its flaw."""

    path: Path
    source: Planes
    clean: Planes
    profile: NoiseProfile


Measure = Callable[[Planes, Footage], float]


@dataclass(frozen=True)
class Option:
    """What an option promises."""

    off: str  # the value that switches it off
    same: Mapping[str, str] | None = None  # what then gives the same, to the bit
    kept: tuple[int, ...] = ()  # planes that then are the source's, to the bit
    steps: tuple[str, ...] = ()  # from least to most
    more: Measure = lambda *_: 0.0  # what there is more of at each step
    footage: str = "noisy"
    speed: str = "fast"
    beside: Mapping[str, str] = field(default_factory=dict)


def rms(planes: Planes) -> float:
    return float(torch.cat([plane.flatten() for plane in planes]).square().mean().sqrt())


def moved(*numbers: int) -> Measure:
    """How far samples of these planes are from the source's."""
    return lambda now, f: rms([now[n] - f.source[n] for n in numbers])


def moved_where(chosen: Callable[[Tensor], Tensor]) -> Measure:
    return lambda now, f: rms([(now[0] - f.source[0])[chosen(f.clean[0])]])


def unmoved(now: Planes, f: Footage) -> float:
    return -moved(0, 1, 2)(now, f)


def nearer(now: Planes, f: Footage) -> float:
    """To the truth."""
    return -rms([a - b for a, b in zip(now, f.clean, strict=True)])


def furthest(now: Planes, f: Footage) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(now, f.source, strict=True))


def fine(now: Planes, f: Footage) -> float:
    """The finest detail or grain of luma."""
    return rms([now[0].diff(n=2, dim=-1)])


def even(now: Planes, f: Footage) -> float:
    """How small the steps on the codec's grid are, against those beside it."""
    steps = now[0].diff(dim=-1).abs()
    on, beside = steps[..., 7::8].mean(), steps[..., 3::8].mean()
    return float(beside - on)


def sloped(now: Planes, f: Footage) -> float:
    """How near to the slope, dither averaged out over rows and frames."""
    return -rms([now[0].mean((0, 1)) - f.clean[0].mean((0, 1))])


def level_rows(now: Planes, f: Footage) -> float:
    """How near to the truth rows lie as wholes, however bright frames are."""
    off = (now[0] - f.clean[0]).mean(-1)
    return -rms([off - off.mean(-1, keepdim=True)])


def steady(now: Planes, f: Footage) -> float:
    """How alike frames are in brightness."""
    return -float(now[0].mean((-1, -2)).std())


NONE = {"temporal.method": "none", "spatial.method": "none", "net.method": "none"}
AVERAGED = {"spatial.method": "none", "net.method": "none"}
BLURRED = {**NONE, "spatial.method": "gaussian", "spatial.strength": "2"}
EFFECTS: dict[str, Option] = {
    "--luma": Option("0", kept=(0,), steps=("0", "30", "70", "100"), more=moved(0)),
    "--chroma": Option("0", kept=(1, 2), steps=("0", "30", "70", "100"), more=moved(1, 2)),
    "--blend": Option("0", same={}, steps=("0", "50", "100"), more=unmoved),
    "--limit": Option("0", same={}, steps=("1", "4", "9", "0"), more=furthest),
    "--bands": Option(
        "0,0,0,0",
        kept=(0, 1, 2),
        steps=("0,0,0,0", "100,0,0,0", "100,100,0,0", "100,100,100,0", "100,100,100,100"),
        more=moved(0),
    ),
    "--shadows": Option(
        "0", steps=("0", "50", "100"), more=moved_where(lambda luma: luma < 0.3 * 219 + 16)
    ),
    "--highlights": Option(
        "0", steps=("0", "50", "100"), more=moved_where(lambda luma: luma > 0.75 * 219 + 16)
    ),
    "--guards": Option("none", same={}),
    "--mask-fit": Option("exact", same={}),
    "--sigma-scale": Option("0", kept=(0, 1, 2), steps=("0", "0.5", "1", "2"), more=moved(0)),
    "--temporal": Option("none", same={"temporal.radius": "0"}),
    "--temporal-radius": Option(
        "0", same={"temporal.method": "none"}, steps=("0", "1", "2"), more=nearer
    ),
    "--motion-threshold": Option(
        "50", same={}, steps=("0", "50", "100"), more=nearer, beside=AVERAGED
    ),
    "--spatial": Option("none", same={"spatial.strength": "0"}),
    "--model": Option("none", same={"net.weight": "0"}, speed="base"),
    "--model-weight": Option(
        "0",
        same={"net.method": "none"},
        steps=("0", "0.3", "1"),
        more=nearer,
        speed="base",
        beside={"temporal.radius": "1", "spatial.method": "none"},
    ),
    "--dust": Option("0", same={}, steps=("0", "1"), more=nearer, footage="damaged", beside=NONE),
    "--scratches": Option(
        "0", same={}, steps=("0", "1"), more=nearer, footage="damaged", beside=NONE
    ),
    "--hot-pixels": Option(
        "0",
        same={"hot.method": "none"},
        steps=("0", "1"),
        more=nearer,
        footage="damaged",
        beside={**NONE, "hot.still": "true"},
    ),
    "--lines": Option(
        "0", same={}, steps=("0", "0.5", "1"), more=level_rows, footage="damaged", beside=NONE
    ),
    "--stabilise": Option(
        "0", same={}, steps=("0", "0.5", "1"), more=nearer, footage="woven", beside=NONE
    ),
    "--deflicker": Option(
        "0", same={}, steps=("0", "0.5", "1"), more=steady, footage="damaged", beside=NONE
    ),
    "--deblock": Option(
        "0", same={}, steps=("0", "0.5", "1"), more=even, footage="blocky", beside=NONE
    ),
    "--detail": Option("0", same={}, steps=("0", "0.5", "1", "2"), more=nearer, beside=BLURRED),
    "--deband": Option(
        "0", same={}, steps=("0", "0.5", "1"), more=sloped, footage="banded", beside=NONE
    ),
    "--sharpen": Option("0", same={}, steps=("0", "0.5", "1", "2"), more=fine),
    "--grain": Option("keep:0", same={}, steps=("keep:0", "keep:40", "keep:100"), more=unmoved),
}


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Footage]:
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("footage")
    luma, chroma = scene(FRAMES, HEIGHT, WIDTH)
    luma = 0.05 + 0.9 * (luma - luma.min()) / (luma.max() - luma.min())  # shadows to highlights
    slope = (luma[..., :1, :1] + torch.linspace(0, 2.4 / 255, WIDTH)).expand_as(luma)
    return {
        "noisy": _written(folder, "noisy", noisy(luma, chroma, "noise"), luma, SIGMA),
        "blocky": _written(folder, "blocky", blocky(luma, chroma), luma, 0.3 / 255),
        "damaged": _written(folder, "damaged", _damaged(luma, chroma), luma, 0.5 / 255),
        "woven": _written(folder, "woven", _woven(luma, chroma), luma, 0.3 / 255),
        "banded": _written(folder, "banded", banded(luma, chroma), slope, 0.3 / 255),
    }


def _woven(luma: Tensor, chroma: Tensor) -> Block:
    """A still scene that jumps in the gate: a pixel up, a pixel down."""
    shifts = (1 if n % 2 else -1 for n in range(len(luma)))
    moved = torch.stack([frame.roll(shift, -2) for frame, shift in zip(luma, shifts, strict=True)])
    return block(moved, chroma)


def _damaged(luma: Tensor, chroma: Tensor) -> Block:
    """A still scene with dust, scratches, hot pixels, rows that are off and light that flickers."""
    frames = luma[:, 0, :, :, None].expand(-1, -1, -1, 3).numpy().astype(np.float32)
    frames = damage.dust(frames, 1, specks=4, hairs=0, sizes=(3, 6))[0]
    frames = damage.scratches(frames, 2, lines=1)[0]
    frames = damage.hot_pixels(frames, 3, count=6)[0]
    frames = damage.flicker(damage.line_noise(frames, 4, rows=2), 6, strength=0.03)[0]
    return block(torch.from_numpy(frames[..., 0])[:, None], chroma, sigma=0.5 / 255)


def _written(folder: Path, name: str, made: Block, clean: Tensor, sigma: float) -> Footage:
    """A block as a lossless 8-bit 4:2:0 clip."""
    assert made.chroma is not None
    _, truth = scene(FRAMES, HEIGHT, WIDTH)
    assert truth is not None
    path = folder / f"{name}.mkv"
    codes = _codes(made.luma.pixels, made.chroma.pixels)
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for n in range(FRAMES):
            stacked = [plane[n].round().clamp(0, 255).byte().numpy() for plane in codes]
            whole = np.concatenate([plane.reshape(-1, WIDTH) for plane in stacked])
            frame = av.VideoFrame.from_ndarray(whole, format="yuv420p")
            frame.pts = n
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    read = [torch.stack(p).float() for p in zip(*planes(path), strict=True)]
    profile = NoiseProfile.white(sigma, 0.7 * sigma, 0.7 * sigma)
    return Footage(path, read, _codes(clean, truth), profile)


def _codes(luma: Tensor, chroma: Tensor) -> Planes:
    """Of limited range."""
    return [16 + 219 * luma[:, 0], 128 + 224 * chroma[:, 0], 128 + 224 * chroma[:, 1]]


def result(footage: Footage, values: Mapping[str, str], speed: str) -> Planes:
    what = resolve(load("auto"), [Layer("test", {"temporal.radius": "2", **values})], speed=speed)
    made = planned(footage.path, footage.path.with_name("out.mkv"), what)
    with Reader(probe(footage.path)) as reader:
        done = denoise(iter(reader), made, footage.profile, Shots(FRAMES))
        return [torch.stack(p).float() for p in zip(*(p for _, p in done), strict=True)]


def values_of(option: str, typed: str) -> dict[str, str]:
    return parse_grain(typed) if option in GRAIN else {OPTIONS[option]: typed}


def test_every_option_is_in_these_tables() -> None:
    assert set(EFFECTS) == set(WRONG) == set(OPTIONS)


@pytest.mark.parametrize("option", EFFECTS)
def test_off_is_off_and_more_is_more(option: str, footage: dict[str, Footage]) -> None:
    told = EFFECTS[option]
    clip = footage[told.footage]

    def done(typed: Mapping[str, str]) -> Planes:
        return result(clip, {**told.beside, **typed}, told.speed)

    off = done(values_of(option, told.off))
    if told.same is not None:
        wanted = done(told.same)
        assert all(torch.equal(a, b) for a, b in zip(off, wanted, strict=True))
    for n in range(3):
        assert torch.equal(off[n], clip.source[n]) or n not in told.kept
    amounts = [told.more(done(values_of(option, step)), clip) for step in told.steps]
    assert all(b > a + 0.003 * abs(a) for a, b in pairwise(amounts)), amounts


@pytest.mark.parametrize("option", ["--luma", "--chroma", "--shadows", "--highlights"])
def test_options_leave_alone_what_is_not_theirs(option: str, footage: dict[str, Footage]) -> None:
    clip = footage["noisy"]
    plain, off = result(clip, {}, "fast"), result(clip, values_of(option, "0"), "fast")
    theirs = {"--luma": (0,), "--chroma": (1, 2)}.get(option, ())
    if theirs:
        for n in range(3):
            assert torch.equal(off[n], plain[n]) == (n not in theirs)
        return
    dark, bright = clip.clean[0] < 0.1 * 219 + 16, clip.clean[0] > 0.9 * 219 + 16
    mine, others = (dark, bright) if option == "--shadows" else (bright, dark)
    assert bool(mine.any()) and bool(others.any())
    assert torch.equal(off[0][others], plain[0][others])
    was, now = (moved_where(lambda _: mine)(planes, clip) for planes in (plain, off))
    assert now < 0.1 * was  # at edges the cleaned picture is not quite as dark or bright


def test_synthetic_grain_of_zero_is_none(footage: dict[str, Footage]) -> None:
    clip = footage["noisy"]
    plain = result(clip, {}, "fast")
    for typed in ("synth:0", "none", "0"):
        off = result(clip, parse_grain(typed), "fast")
        assert all(torch.equal(a, b) for a, b in zip(off, plain, strict=True))
    grains = [fine(result(clip, parse_grain(f"synth:{n}"), "fast"), clip) for n in (0, 8, 14, 24)]
    assert all(b > 1.02 * a for a, b in pairwise(grains)), grains


# A wrong value of every option, and what is said of it.
SHARE, STRENGTH = "a number from 0 to 100", "a number from 0 to 2"
WRONG: dict[str, tuple[str, str]] = {
    "--luma": ("130", f"output.luma = 130: want {SHARE}."),
    "--chroma": ("-1", f"output.chroma = -1: want {SHARE}."),
    "--blend": ("100.5", f"output.blend = 100.5: want {SHARE}."),
    "--limit": ("256", "output.limit = 256: want a number from 0 to 255."),
    "--bands": ("1,2,3", "output.bands = 1,2,3: want 4 numbers from 0 to 100."),
    "--shadows": ("dark", f"output.shadows = dark: want {SHARE}."),
    "--highlights": ("nan", f"output.highlights = nan: want {SHARE}."),
    "--guards": (
        "colour",
        "output.guards = colour: want none, or some of color, structure, ghost.",
    ),
    "--mask-fit": ("crop", "output.mask_fit = crop: want one of exact, scale."),
    "--sigma-scale": ("5", "noise.sigma_scale = 5: want a number from 0 to 4."),
    "--temporal": ("maen", "temporal.method = maen: there is no such method. Did you mean mean?"),
    "--temporal-radius": ("9", "temporal.radius = 9: want a whole number from 0 to 8."),
    "--motion-threshold": ("101", f"temporal.motion_threshold = 101: want {SHARE}."),
    "--spatial": ("nml", "spatial.method = nml: there is no such method. Did you mean nlm?"),
    "--model": ("XXL", "There is no model 'XXL'."),
    "--model-weight": ("2", "net.weight = 2: want a number from 0 to 1."),
    "--dust": ("3", f"dust.strength = 3: want {STRENGTH}."),
    "--scratches": ("3", f"scratches.strength = 3: want {STRENGTH}."),
    "--hot-pixels": ("3", f"hot.strength = 3: want {STRENGTH}."),
    "--lines": ("3", f"lines.strength = 3: want {STRENGTH}."),
    "--stabilise": ("3", f"weave.strength = 3: want {STRENGTH}."),
    "--deflicker": ("-1", f"flicker.strength = -1: want {STRENGTH}."),
    "--deblock": ("3", f"deblock.strength = 3: want {STRENGTH}."),
    "--detail": ("-0.1", f"detail.strength = -0.1: want {STRENGTH}."),
    "--deband": ("much", f"deband.strength = much: want {STRENGTH}."),
    "--sharpen": ("2.1", f"sharpen.strength = 2.1: want {STRENGTH}."),
    "--grain": ("synth:41", "grain.amount = 41: want a number from 0 to 40."),
}


def refused(make_it: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as caught:
        make_it()
    assert caught.value.hint
    return caught.value.what


def in_toml(value: str) -> str:
    try:
        return str(float(value)) and value
    except ValueError:
        return repr(value)


def resolved(preset: str, *layers: Layer) -> list[int]:
    """A chain, and how far its stages look: models are looked up for that."""
    return [stage.reach for stage in resolve(load(preset), layers).stages]


@pytest.mark.parametrize("option", WRONG)
def test_a_wrong_value_gives_one_sentence_from_everywhere(
    option: str,
    footage: dict[str, Footage],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed, sentence = WRONG[option]
    values = values_of(option, typed)
    assert refused(lambda: resolved("auto", Layer("python", values))) == sentence
    slot = next(iter(values)).partition(".")[0]
    lines = [f"{name.partition('.')[2]} = {in_toml(value)}" for name, value in values.items()]
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(['schema = 1\nabout = "x."', f"[{slot}]", *lines]))
    assert refused(lambda: resolved(str(path))) == sentence
    run = ["run", str(footage["noisy"].path), "-o", str(tmp_path / "out.mkv"), "--sigma", "9"]
    sets = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    for words in ([option, typed], ["-p", str(path)], sets):
        assert cli.status([*run, *words]) == 2
        assert sentence in capsys.readouterr().err
    monkeypatch.setenv(variable(option), typed)
    assert cli.status(run) == 2
    assert sentence in capsys.readouterr().err


WRONG_IN_MASKS = {
    "luma": ("130", SHARE),
    "chroma": ("-1", SHARE),
    "regrow": ("101", SHARE),
    "detail": ("101", SHARE),
    "deband": ("no", SHARE),
    "sharpen": ("101", SHARE),
    "grain": ("-5", SHARE),
    "mode": ("keep", "one of apply, protect, set"),
    "invert": ("maybe", "one of no, yes"),
    "feather": ("501", "a number from 0 to 500"),
    "opacity": ("101", SHARE),
    "soft": ("-2", SHARE),
    "stabilize": ("5", "a number from 0 to 4"),
    "combine": ("min", "one of max, multiply, subtract"),
}


def test_every_key_of_a_mask_is_in_this_table() -> None:
    assert set(WRONG_IN_MASKS) == set(MASK_DIALS)


@pytest.mark.parametrize("key", WRONG_IN_MASKS)
def test_a_wrong_value_in_a_mask_gives_one_sentence_from_everywhere(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed, rule = WRONG_IN_MASKS[key]
    sentence = f"mask.sky.{key} = {typed}: want {rule}."
    text = f"sky=luma:70-100,{key}={typed}"
    path = tmp_path / "mine.toml"
    path.write_text(
        'schema = 1\nabout = "x."\n[[mask]]\nname = "sky"\nsource = "luma:70-100"\n'
        f"{key} = {in_toml(typed)}\n"
    )
    assert refused(lambda: make_mask("sky", {"source": "luma:70-100", key: typed})) == sentence
    assert refused(lambda: resolve(load(str(path)))) == sentence
    layer = Layer("command line", parse_masks([text]))
    assert refused(lambda: resolve(load("auto"), [layer])) == sentence
    for words in (["--mask", text], ["-p", str(path)]):
        assert cli.status(["run", "no.mkv", "-o", "no2.mkv", *words]) == 2
        assert sentence in capsys.readouterr().err
