"""Finishing on its own and in a run: each option moves pixels in its documented direction."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.engine.test_run import NOISE, Quiet, chain, denoised, planes, planned, same
from tests.helpers.av1grain import field_of
from tests.helpers.clips import Clip, write
from tests.helpers.pictures import banded, finished, psnr, scene
from vdenoise import cli
from vdenoise.chain.option_values import parse_grain
from vdenoise.chain.presets import load
from vdenoise.chain.resolve import Layer, resolve
from vdenoise.degrade import synth
from vdenoise.engine import run
from vdenoise.engine.streams import Shots
from vdenoise.errors import UsageError
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.block_passes import dct_matrix
from vdenoise.picture.noise import NoiseProfile
from vdenoise.picture.noise_table import LEVELS
from vdenoise.picture.random_at import normal
from vdenoise.stages import FINISHING, SLOTS, stage_class
from vdenoise.stages.grain.field import _rows, correlation, filter_for, filtered, residual_of

SCENE = Path(__file__).parents[2] / "samples" / "scene_clean.mp4"
COARSE = tuple(
    tuple(
        256 * (0.8**u * 0.85**v) / ((1 - 0.8**16) / 0.2 * (1 - 0.85**16) / 0.15) for v in range(16)
    )
    for u in range(16)
)


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """Coarse grain, strongest in the mid-tones; chroma has a third of it."""
    white = NoiseProfile.white(0.02, 0.007, 0.007)
    curve = [0.008 + 0.05 * x / 16 * (1 - x / 16) for x in range(LEVELS)]

    def colored(plane: object, share: float) -> object:
        sigma = tuple(share * s for s in curve)
        return plane.model_copy(update={"sigma": sigma, "spectrum": COARSE})  # type: ignore[attr-defined]

    shot = white.shots[0]
    shot = shot.model_copy(
        update={"y": colored(shot.y, 1), "cb": colored(shot.cb, 0.3), "cr": colored(shot.cr, 0.3)}
    )
    path = tmp_path / "grain.json"
    NoiseProfile(shots=(shot,)).save(path)
    return path


def flat(level: float, size: int = 320) -> Block:
    luma = torch.full((1, 1, size, size), level)
    chroma = torch.zeros(1, 2, size // 2, size // 2)
    return finished(luma, chroma, residual=0.0)


def lag(field: Tensor, down: int, across: int) -> float:
    field = field - field.mean()
    height, width = field.shape[-2:]
    a, b = field[..., : height - down, : width - across], field[..., down:, across:]
    return ((a * b).mean() / field.square().mean()).item()


@pytest.mark.parametrize("level", [0.1, 0.5, 0.8])
def test_matched_grain_has_the_targets_strength_and_correlation(
    profile: Path, level: float
) -> None:
    stage = stage_class("grain.match").model_validate({"file": str(profile)})
    source = flat(level)
    result = stage.apply(source)
    target = NoiseProfile.load(profile).shots[0]
    wanted = target.table().sigma_at(torch.full((1, 1, 1, 1), level))[0, :, 0, 0]
    added = result.luma.pixels - source.luma.pixels
    assert added.std() == pytest.approx(wanted[0].item(), rel=0.1)
    lags = correlation(torch.tensor(target.y.spectrum))
    for down, across in ((0, 1), (1, 0), (1, 1)):
        assert lag(added, down, across) == pytest.approx(lags[down, across].item(), rel=0.1)
    assert result.chroma is not None and source.chroma is not None
    chroma = result.chroma.pixels - source.chroma.pixels
    assert chroma[:, 0].std() == pytest.approx(wanted[1].item(), rel=0.1)
    assert abs(torch.corrcoef(chroma[0].flatten(1))[0, 1]) < 0.05  # planes are independent


@pytest.mark.parametrize("size", [0.0, 0.7, 1.5])
def test_synthetic_grain_has_the_amount_and_size_asked_for(size: float) -> None:
    stage = stage_class("grain.synth").model_validate({"amount": 5.0, "size": size})
    added = stage.apply(flat(0.5)).luma.pixels - 0.5
    assert added.std() == pytest.approx(5 / 255, rel=0.1)
    x = torch.arange(-8, 9)
    bell = torch.exp(-0.5 * (x / size) ** 2) if size else (x == 0).float()
    wanted = (bell[1:] @ bell[:-1] / bell.square().sum()).item()
    for down, across in ((0, 1), (1, 0)):
        assert lag(added, down, across) == pytest.approx(wanted, rel=0.1, abs=0.02)
    dark = stage.apply(flat(0.0)).luma.pixels
    assert dark.std() == pytest.approx(5 / 255 / 3, rel=0.1)


def test_grain_fills_up_what_noise_is_left(profile: Path) -> None:
    """Noise already there counts: the sum has the strength wanted."""
    stage = stage_class("grain.synth").model_validate({"amount": 20.0, "size": 0})
    luma = torch.full((1, 1, 200, 200), 0.5)
    source = finished(luma, None, residual=1.0)
    assert stage.apply(source).luma.pixels.std() == pytest.approx(20 / 255, rel=0.1)
    weaker = stage_class("grain.synth").model_validate({"amount": 6.0, "size": 0})
    assert weaker.apply(source).luma.pixels.equal(source.luma.pixels)


def test_correlation_is_that_of_the_noise_whose_spectrum_it_is() -> None:
    """Noise of 0.8 pixels through blocks of DCT coefficients and back."""
    noise = field_of(0.8, 640, 640, 5)
    blocks = noise.unfold(0, 16, 16).unfold(1, 16, 16)
    spectrum = (dct_matrix(16) @ blocks @ dct_matrix(16).T).square().mean((0, 1))
    found = correlation(spectrum)
    for down, across in ((0, 1), (1, 0), (1, 1), (0, 2)):
        assert found[down, across] == pytest.approx(lag(noise, down, across), abs=0.015)


@pytest.mark.parametrize("size", [0.5, 0.6])
def test_grain_has_the_color_that_left_noise_lacks(size: float) -> None:
    """What a denoiser leaves is coarse; with it the grain has the size wanted, where grain alone of
    that size would be too coarse together with it."""
    source = flat(0.5)
    spectrum, sigma = source.noise.spectrum[0], source.noise.sigma[0, 8]
    white = normal(range(336), range(336), 77)
    coarse = filtered(white, filter_for(residual_of(_rows(spectrum), 8.5)))
    amount = 12 / 255
    share = 0.5 * amount / float(sigma)  # a quarter of the variance
    luma = Signal(
        source.luma.pixels + coarse * (0.5 * amount), torch.full_like(source.luma.residual, share)
    )
    stage = stage_class("grain.synth").model_validate({"amount": 12.0, "size": size})
    made = stage.apply(replace(source, luma=luma)).luma.pixels
    assert made.std() == pytest.approx(amount, rel=0.03)
    x = torch.arange(-8, 9)
    bell = torch.exp(-0.5 * (x / size) ** 2)
    wanted = (bell[1:] @ bell[:-1] / bell.square().sum()).item()
    for down, across in ((0, 1), (1, 0)):
        assert lag(made, down, across) == pytest.approx(wanted, rel=0.06)


@pytest.mark.parametrize(("speed", "exact", "alike"), [("base", 0.07, 0.17), ("fast", 0.1, 0.32)])
def test_what_the_chain_leaves_is_no_extra_grain(
    speed: str, exact: float, alike: float, tmp_path: Path
) -> None:
    """Matched grain behind the network and behind the spatial filter, on a picture: with what noise
    is left it has the strength wanted, over two noises and two grains, whose difference knows
    nothing of the picture."""
    target = tmp_path / "target.json"
    NoiseProfile.white(5 / 255, 2 / 255, 2 / 255).save(target)
    with av.open(str(SCENE)) as source:
        shown = [f.to_ndarray(format="rgb24") for f in islice(source.decode(video=0), 7)]
    clean = torch.from_numpy(np.stack(shown)[:, 100:228, 200:360]).permute(0, 3, 1, 2) / 255
    made = []
    for seed in range(2):
        clip, out = tmp_path / f"in{seed}.mkv", tmp_path / f"out{seed}.mkv"
        _store(synth.film_grain(clean, 10 / 255, size=0.8, seed=seed), clip)
        words = ["run", clip, "-o", out, "--cuts", "off", "--seed", seed, "--speed", speed]
        words += ["--grain", f"match:{target}", "--progress", "none"]
        assert cli.status([str(word) for word in words]) == 0
        made.append(planes(out)[1:-1])
    for n, wanted in enumerate((5 / 255 * 219, 2 / 255 * 224, 2 / 255 * 224)):
        first, second = (torch.stack([frame[n] for frame in clip]).float() for clip in made)
        found = ((first - second).square().mean() / 2).sqrt()
        assert found == pytest.approx(wanted, rel=exact)
        # White grain is asked for; what is left is coarse: with white grain on top it would be more
        assert max(lag(first - second, 0, 1), lag(first - second, 1, 0)) < alike


def _store(frames: Tensor, path: Path) -> None:
    """(T, 3, H, W) R'G'B' as 8-bit 4:4:4."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=25, options={"level": "3"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[-2:], "yuv444p"
        for frame in (frames.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1):
            rgb = av.VideoFrame.from_ndarray(frame.contiguous().numpy(), format="rgb24")
            output.mux(stream.encode(rgb.reformat(format="yuv444p")))
        output.mux(stream.encode(None))


def test_grain_differs_by_seed_frame_and_plane() -> None:
    fields = [
        normal(range(40), range(40), *w) for w in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    ]
    for n, a in enumerate(fields):
        for b in fields[:n]:
            assert abs(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]) < 0.1
    whole = normal(range(-3, 40), range(-5, 40), 7)
    assert whole[3:, 5:].equal(normal(range(40), range(40), 7))


def clip_with(tmp_path: Path, **values: object) -> list[tuple[Tensor, ...]]:
    source = tmp_path / "in.mkv"
    if not source.exists():
        write(Clip("in.mkv", codec="ffv1", frames=6), tmp_path)
    target = tmp_path / "out.mkv"
    made = planned(source, target, chain(**values))
    run.run(made, NOISE, (), Quiet(), overwrite=True)
    return planes(target)


@pytest.mark.parametrize("format", ["yuv420p", "yuv422p10le", "gbrp10le", "gray"])
def test_all_of_the_true_grain_is_the_source_to_the_bit(format: str, tmp_path: Path) -> None:
    source = write(Clip("in.mkv", codec="ffv1", format=format, frames=3), tmp_path)
    made = planned(source, tmp_path / "out.mkv", chain(grain__method="keep", grain__strength=1))
    run.run(made, NOISE, (), Quiet())
    for a, b in zip(planes(source), planes(tmp_path / "out.mkv"), strict=True):
        assert same(a, b)


def test_kept_grain_lies_between_clean_and_source(tmp_path: Path) -> None:
    clean = clip_with(tmp_path)
    source = planes(tmp_path / "in.mkv")
    half = clip_with(tmp_path, grain__method="keep", grain__strength=0.5)
    for a, b, c in zip(clean, half, source, strict=True):
        middle = (a[0].float() + c[0].float()) / 2
        assert (b[0].float() - middle).abs().max() <= 1


def test_each_finisher_changes_a_run_and_zero_is_off(tmp_path: Path) -> None:
    plain = clip_with(tmp_path)
    for slot in ("deblock", "detail", "sharpen", "grain"):
        method = {"grain__method": "synth"} if slot == "grain" else {}
        changed = clip_with(tmp_path, **method, **{f"{slot}__strength": 1})
        assert not all(same(a, b) for a, b in zip(plain, changed, strict=True)), slot
        off = clip_with(tmp_path, **method, **{f"{slot}__strength": 0})
        assert all(same(a, b) for a, b in zip(plain, off, strict=True)), slot


def test_finishing_is_not_scaled_by_the_dials_of_removal(tmp_path: Path) -> None:
    """--luma 0 removes nothing; grain asked for comes in full all the same."""
    clip_with(tmp_path)
    source = planes(tmp_path / "in.mkv")
    grain = {"grain__method": "synth", "grain__amount": 30, "grain__chroma": 0}
    found = {
        luma: clip_with(tmp_path, output__luma=luma, output__chroma=0, **grain) for luma in (0, 100)
    }
    added = torch.stack(
        [a[0].float() - b[0].float() for a, b in zip(found[0], source, strict=True)]
    )
    assert added[..., 2:, 2:].std() > 5
    assert not same(found[0][0], found[100][0])
    assert torch.equal(found[0][0][1], source[0][1])


def test_finished_frames_do_not_depend_on_where_a_clip_is_cut(tmp_path: Path) -> None:
    source = write(Clip("in.mkv", codec="ffv1", frames=8), tmp_path)
    what = chain(
        grain__method="synth", deband__strength=1, sharpen__strength=1, deblock__strength=1,
        detail__strength=1,
    )  # fmt: skip
    shots = Shots(8, ())
    whole = denoised(planned(source, tmp_path / "out.mkv", what), shots)
    for first, last in ((0, 2), (3, 3), (4, 7)):
        part = denoised(planned(source, tmp_path / "o.mkv", what, frames=(first, last)), shots)
        assert all(same(part[t], whole[t]) for t in range(first, last + 1))


def test_the_seed_decides_the_grain(tmp_path: Path) -> None:
    source = write(Clip("in.mkv", codec="ffv1", frames=3), tmp_path)
    found = []
    for seed in (0, 0, 1):
        what = chain(grain__method="synth", grain__amount=15)
        made = planned(source, tmp_path / "out.mkv", what, seed=seed)
        found.append(denoised(made, Shots(3, ())))
    assert same(found[0][1], found[1][1]) and not same(found[0][1], found[2][1])


def test_debanding_dithers_and_off_switches_that_off(tmp_path: Path) -> None:
    source = write(Clip("in.mkv", codec="ffv1", frames=2), tmp_path)
    what = chain(deband__strength=1)
    auto = planned(source, tmp_path / "o.mkv", what)
    assert auto.dithered and auto.bit_path.endswith("dithered")
    assert not planned(source, tmp_path / "o.mkv", what, dither="off").dithered
    assert not planned(source, tmp_path / "o.mkv", chain()).dithered
    assert planned(source, tmp_path / "o.mkv", chain(), dither="on").dithered
    twelve = write(Clip("deep.mkv", codec="ffv1", format="yuv420p12le", frames=2), tmp_path)
    assert not planned(twelve, tmp_path / "o.mkv", what).dithered


def test_dither_leaves_untouched_planes_to_the_bit(tmp_path: Path) -> None:
    source = write(Clip("in.mkv", codec="ffv1", frames=2), tmp_path)
    made = planned(source, tmp_path / "o.mkv", chain(output__luma=0), dither="on")
    result = denoised(made, Shots(2, ()))
    for t, frame in enumerate(planes(source)):
        assert torch.equal(result[t][0], frame[0]) and not torch.equal(result[t][1], frame[1])


def test_bands_become_a_slope_of_more_than_a_few_values() -> None:
    source = banded(*scene(1, 64, 160))
    result = stage_class("deband.smooth")().apply(source)
    assert len(result.luma.pixels.unique()) > 10 * len(source.luma.pixels.unique())


def test_detail_brings_back_what_a_blur_took() -> None:
    luma, _ = scene(1, 96, 128)
    source = finished(luma, None, residual=0.0)
    result = stage_class("detail.contra")().apply(source)
    assert psnr(result.luma.pixels, luma) > psnr(source.luma.pixels, luma) + 0.3


@pytest.mark.parametrize("name", ["sharpen.cas", "sharpen.unsharp"])
def test_sharpening_falls_where_noise_is_left(name: str) -> None:
    luma, _ = scene(1, 96, 128)
    clean = finished(luma, None, residual=0.0)
    noisy = replace(clean, luma=Signal(clean.luma.pixels, torch.ones_like(luma)))
    stage = stage_class(name)()
    change = [(stage.apply(b).luma.pixels - b.luma.pixels).abs().mean() for b in (clean, noisy)]
    assert change[1] < 0.5 * change[0]


def test_unsharp_stops_at_its_halo_limit() -> None:
    luma = torch.zeros(1, 1, 32, 32)
    luma[..., 16:] = 0.5
    for limit in (0.0, 6.0):
        stage = stage_class("sharpen.unsharp").model_validate({"halo_limit": limit, "strength": 2})
        pixels = stage.apply(finished(luma, None, residual=0.0)).luma.pixels
        soft = finished(luma, None, residual=0.0).luma.pixels
        local = functional.max_pool2d(soft, 3, 1, 1)
        assert (pixels - local).max() <= limit / 255 + 1e-6


@pytest.mark.parametrize("first", FINISHING)
def test_finishing_before_denoising_is_refused_with_the_reason(first: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'schema = 1\nabout = "x."\n[{first}]\n[spatial]\n')
    with pytest.raises(UsageError, match=f"{first} before denoising would make noise look like"):
        load(str(path))
    assert cli.status(["run", "no.mkv", "-o", "no2.mkv", "-p", str(path)]) == 2


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("keep:40", {"grain.method": "keep", "grain.strength": "0.4"}),
        ("keep:0", {"grain.method": "keep", "grain.strength": "0.0"}),
        ("match:a:b.json", {"grain.method": "match", "grain.file": "a:b.json"}),
        ("synth:3", {"grain.method": "synth", "grain.amount": "3"}),
        ("synth:3,1.5", {"grain.method": "synth", "grain.amount": "3", "grain.size": "1.5"}),
        ("av1", {"grain.method": "av1"}),
        ("av1:60", {"grain.method": "av1", "grain.strength": "0.6"}),
        ("none", {"grain.method": "none"}),
        ("0", {"grain.method": "none"}),
    ],
)
def test_words_of_grain(text: str, values: dict[str, str]) -> None:
    assert parse_grain(text) == values


@pytest.mark.parametrize("text", ["", "keep", "keep:", "keep:101", "keep:x", "more:3", "match:"])
def test_other_words_of_grain_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--grain"):
        parse_grain(text)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"sharpen.strength": "3"}, "sharpen.strength = 3: want a number from 0 to 2."),
        ({"grain.method": "synth", "grain.amount": "99"},
         "grain.amount = 99: want a number from 0 to 40."),
        ({"deblock.grid": "5"}, "deblock.grid = 5: want one of 8, 4."),
    ],
)  # fmt: skip
def test_ranges_are_checked_with_the_same_sentence_from_everywhere(
    values: dict[str, str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(load("auto"), [Layer("python", values)])
    assert caught.value.what == sentence
    slot = next(iter(values)).partition(".")[0]
    keys = [
        f"{k.partition('.')[2]} = {v if v[0].isdigit() else repr(v)}" for k, v in values.items()
    ]
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(['schema = 1\nabout = "x."', f"[{slot}]", *keys]))
    with pytest.raises(UsageError) as caught:
        resolve(load(str(path)))
    assert caught.value.what == sentence
    typed = [word for k, v in values.items() for word in ("--set", f"{k}={v}")]
    assert cli.status(["run", "no.mkv", "-o", "no2.mkv", *typed]) == 2
    assert sentence in capsys.readouterr().err


def test_grain_of_another_clip_from_the_command_line(tmp_path: Path) -> None:
    clip = write(Clip("in.mkv", codec="ffv1", frames=6), tmp_path)
    other = write(Clip("other.mkv", codec="ffv1", frames=6, size=(96, 80)), tmp_path)
    fast = ("--speed", "veryfast", "--temporal-radius", "1", "--spatial", "gaussian")
    out = tmp_path / "out.mkv"
    words = ["run", clip, "-o", out, *fast, "--grain", f"match:{other}"]
    assert cli.status([str(word) for word in words]) == 0
    kept = NoiseProfile.load(tmp_path / "out.mkv.grain.json")
    assert kept.shots[0].y.codes > 5
    plain = tmp_path / "plain.mkv"
    assert cli.status([str(w) for w in ["run", clip, "-o", plain, *fast]]) == 0
    grainy, clean = (torch.stack([p[0] for p in planes(f)]).float() for f in (out, plain))
    assert (grainy - clean)[..., 2:, 2:].std() > 2
    new = tmp_path / "new.mkv"
    missing = ["run", clip, "-o", new, "--grain", f"match:{tmp_path / 'no.json'}"]
    assert cli.status([str(word) for word in missing]) == 2


def test_the_order_of_slots() -> None:
    assert SLOTS == (
        "hot", "lines", "weave", "flicker", "scratches", "dust",
        "deblock", "temporal", "spatial", "net", "levels", "regrow",
        "detail", "deband", "sharpen", "grain",
    )  # fmt: skip
