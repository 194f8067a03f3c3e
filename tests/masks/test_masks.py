from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.engine.test_run import NOISE, Quiet, chain, denoised, planes, planned, same
from tests.helpers.clips import Clip, write
from tests.helpers.pictures import block
from vdenoise import cli
from vdenoise.chain.option_values import parse_masks
from vdenoise.chain.presets import load
from vdenoise.chain.resolve import Layer, resolve
from vdenoise.engine import plan, run
from vdenoise.engine.streams import Shots
from vdenoise.errors import ConflictError, UsageError
from vdenoise.farm.chain_record import ChainRecord
from vdenoise.masks.coverage import layers, strengths
from vdenoise.masks.parse import make_mask, parse_mask
from vdenoise.masks.ranges import drawn
from vdenoise.masks.shapes import shape
from vdenoise.masks.spec import MaskSpec
from vdenoise.media.probe import probe
from vdenoise.media.side_outputs import view_settings
from vdenoise.motion.flow import SharedMotion
from vdenoise.motion.warp import warp


def mask(text: str) -> MaskSpec:
    return make_mask(*parse_mask(text))


def cover(text: str, height: int = 40, width: int = 60) -> Tensor:
    """(H, W) of a mask on a gray picture."""
    return layers([mask(text)], block(torch.full((1, 1, height, width), 0.5), None))[0].cover[0]


def test_masks_are_taken_apart() -> None:
    found = mask("sky=luma:70-100,luma=30,feather=8")
    assert (found.kind, found.numbers, found.mode) == ("luma", (70, 100), "set")
    assert (found.strengths, found.feather, found.stabilize) == ({"luma": 30}, 8, 2)
    found = mask("logo=rect:10,5%,20,8,mode=protect,invert=yes,opacity=50")
    assert found.numbers == (10, 5, 20, 8) and found.percent == (False, True, False, False)
    assert (found.mode, found.invert, found.opacity) == ("protect", True, 50)
    assert mask("m=file:a=b, c.png,mode=protect").path == "a=b, c.png"
    assert mask("m=polygon:0,0,9,0,9,9,0,9").kind == "polygon"
    assert mask("m=auto:skin").mode == "apply" and mask("m=alpha").external


def test_a_mask_is_made_again_from_what_is_kept_of_it() -> None:
    for text in (
        "a=hue:330-30,soft=4,chroma=0",
        "b=rect:1,2,3,4,invert=yes",
        "c=alpha,combine=max",
    ):
        found = mask(text)
        assert make_mask(found.name, found.values()) == found
        assert make_mask(*parse_mask(f"{found.name}={found.text}")) == found


@pytest.mark.parametrize(
    ("text", "number", "words"),
    [
        ("sky", 60, "NAME=SOURCE"),
        ("=luma:1-2", 60, "NAME=SOURCE"),
        ("s k y=luma:1-2", 60, "NAME=SOURCE"),
        ("sky=", 60, "NAME=SOURCE"),
        ("sky=lumma:1-2", 60, "no source"),
        ("sky=luma:70", 60, "no source"),
        ("sky=luma:70-20", 60, "from high to low"),
        ("sky=luma:70-120", 17, "from 0 to 100"),
        ("sky=rect:1,2,3", 60, "no source"),
        ("sky=polygon:1,2,3,4,5", 60, "no source"),
        ("sky=rect:1,2,3,1.2.3", 60, "no source"),
        ("sky=auto:sky", 60, "no source"),
        ("sky=alpha,luma=30,more", 60, "key=value"),
        ("sky=alpha,lumma=30", 66, "no such key"),
        ("sky=alpha,luma=130", 17, "mask.sky.luma = 130: want a number from 0 to 100."),
        ("sky=alpha,luma=", 17, "want a number"),
        ("sky=alpha,feather=-1", 17, "want a number from 0 to 500."),
        ("sky=alpha,mode=maybe", 17, "want one of apply, protect, set."),
        ("sky=alpha,mode=protect,luma=3", 62, "protects"),
        ("sky=alpha,mode=set", 62, "sets nothing"),
        ("sky=alpha,combine=max,luma=3", 62, "combined"),
    ],
)
def test_what_is_no_mask_is_said_so(text: str, number: int, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(load("auto"), [Layer("command line", parse_masks([text]))])
    assert caught.value.number == number and words in caught.value.what and caught.value.hint


def test_the_sentence_is_the_same_from_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = tmp_path / "p.toml"
    head = 'schema = 1\nabout = "x."\n[[mask]]\nname = "sky"\nsource = "luma:70-100"\n'
    preset.write_text(head + "luma = 130\n")
    said = set()
    for make_it in (
        lambda: resolve(load(str(preset))),
        lambda: make_mask("sky", {"source": "luma:70-100", "luma": 130}),
        lambda: resolve(load("auto"), [Layer("x", parse_masks(["sky=luma:70-100,luma=130"]))]),
    ):
        with pytest.raises(UsageError) as caught:
            make_it()
        said.add(caught.value.what)
    assert len(said) == 1
    command = ["run", "a.mkv", "-o", "b.mkv", "--mask", "sky=luma:70-100,luma=130"]
    assert cli.status(command) == 2
    assert said.pop() in capsys.readouterr().err


def test_presets_hold_masks_and_the_command_line_wins(tmp_path: Path) -> None:
    preset = tmp_path / "p.toml"
    preset.write_text(
        'schema = 1\nabout = "x."\n[spatial]\nmethod = "wiener"\n'
        '[[mask]]\nname = "sky"\nsource = "luma:70-100"\nluma = 30\n'
        '[[mask]]\nname = "logo"\nsource = "rect:0,0,9,9"\nmode = "protect"\ninvert = true\n'
    )
    sky, logo = resolve(load(str(preset))).masks
    assert (sky.name, sky.strengths, logo.mode, logo.invert) == (
        "sky",
        {"luma": 30},
        "protect",
        True,
    )
    typed = Layer("command line", parse_masks(["logo=none", "new=alpha", "sky=luma:80-100,luma=5"]))
    made = resolve(load(str(preset)), [typed])
    assert [(m.name, m.strengths) for m in made.masks] == [("sky", {"luma": 5}), ("new", {})]
    assert made.origin["mask.sky"] == "command line"
    assert made.parameters()["mask.sky"]["luma"] == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mask = 3\n", "[[mask]]"),
        ('[[mask]]\nsource = "alpha"\n', "no name"),
        ('[[mask]]\nname = "a"\nsource = "alpha"\n' * 2, "two masks"),
        ('[[mask]]\nname = "a"\n', "no source"),
    ],
)
def test_malformed_tables_are_refused(text: str, words: str, tmp_path: Path) -> None:
    preset = tmp_path / "p.toml"
    preset.write_text(f'schema = 1\nabout = "x."\n{text}')
    with pytest.raises(UsageError) as caught:
        resolve(load(str(preset)))
    assert words in caught.value.what


def test_shapes_cover_what_they_say() -> None:
    rect = shape(mask("m=rect:10.5,5,20,10"), 40, 60)
    assert float(rect.sum()) == 200 and float(rect[7, 10]) == 0.5 and float(rect[7, 11]) == 1
    assert torch.equal(
        shape(mask("m=rect:25%,50%,50%,50%"), 40, 60)[20:, 15:45], torch.ones(20, 30)
    )
    ellipse = shape(mask("m=ellipse:30,20,15,10"), 40, 60)
    assert float(ellipse.sum()) == pytest.approx(math.pi * 150, rel=0.01)
    assert float(ellipse[20, 30]) == 1 and float(ellipse[1, 1]) == 0
    triangle = shape(mask("m=polygon:0,0,40,0,0,40"), 40, 60)
    assert float(triangle.sum()) == pytest.approx(800, rel=0.02)
    assert float(shape(mask("m=rect:-50,-50,500,500"), 40, 60).min()) == 1


def test_feather_falls_off_and_no_farther_than_said() -> None:
    soft = cover("m=rect:20,0,20,40,feather=6")
    row = soft[20]
    assert torch.equal(soft[:, 27:33], torch.ones(40, 6)) and bool((soft[:, :13] == 0).all())
    assert bool((row[13:28].diff() >= 0).all()) and 0.3 < float(row[20]) < 0.7


def test_invert_opacity_and_combine() -> None:
    hard = cover("m=rect:20,10,20,20")
    assert torch.equal(cover("m=rect:20,10,20,20,invert=yes"), 1 - hard)
    assert torch.equal(cover("m=rect:20,10,20,20,opacity=50"), hard * 0.5)
    other = cover("m=rect:30,10,20,20")
    gray = block(torch.full((1, 1, 40, 60), 0.5), None)
    for how, wanted in (
        ("max", torch.maximum(hard, other)),
        ("multiply", hard * other),
        ("subtract", hard * (1 - other)),
    ):
        pair = [mask("a=rect:20,10,20,20,luma=7"), mask(f"b=rect:30,10,20,20,combine={how}")]
        (layer,) = layers(pair, gray)
        assert torch.equal(layer.cover[0], wanted) and layer.spec.strengths == {"luma": 7}
    with pytest.raises(UsageError, match="no mask before"):
        resolve(load("auto"), [Layer("x", parse_masks(["b=alpha,combine=max"]))])


def both(texts: list[str], luma: float = 100, chroma: float = 100) -> tuple[Tensor, Tensor]:
    gray = block(torch.full((1, 1, 40, 60), 0.5), None)
    found = layers([mask(text) for text in texts], gray)
    amounts, _ = strengths(found, {"luma": luma, "chroma": chroma}, gray.luma.pixels)
    return amounts["luma"][0, 0], amounts["chroma"][0, 0]


def test_modes_apply_protect_and_set() -> None:
    inside = (slice(10, 30), slice(20, 40))
    for text, within, without in (
        ("m=rect:20,10,20,20", (80, 60), (0, 0)),
        ("m=rect:20,10,20,20,mode=protect", (0, 0), (80, 60)),
        ("m=rect:20,10,20,20,luma=30", (30, 60), (80, 60)),
        ("m=rect:20,10,20,20,chroma=0", (80, 0), (80, 60)),
        ("m=rect:20,10,20,20,mode=apply,luma=30", (30, 60), (0, 0)),
        ("m=rect:20,10,20,20,opacity=50", (40, 30), (0, 0)),
        ("m=rect:20,10,20,20,mode=protect,opacity=25", (60, 45), (80, 60)),
    ):
        for plane, now, outside in zip(both([text], 80, 60), within, without, strict=True):
            assert torch.allclose(plane[inside], torch.tensor(now / 100)), text
            assert float(plane[0, 0]) == pytest.approx(outside / 100), text


def test_masks_that_apply_leave_their_overlap() -> None:
    amount, _ = both(["a=rect:0,0,30,40", "b=rect:20,0,40,40"])
    assert torch.equal(amount[0], (torch.arange(60) // 10 == 2).float())


def test_ranges_of_luma_saturation_and_hue() -> None:
    ramp = torch.linspace(0, 1, 101)[None, None].repeat(1, 4, 1)
    none = torch.zeros(4, 101)
    found = drawn(mask("m=luma:40-60,soft=10"), ramp, None, none)[0]
    for level, wanted in ((29, 0), (35, 0.5), (40, 1), (60, 1), (65, 0.5), (71, 0)):
        assert float(found[level]) == pytest.approx(wanted, abs=0.01)
    assert bool((drawn(mask("m=luma:90-100"), ramp * 1.2, None, none)[0, 90:] == 1).all())
    # BT.709 Cb and Cr of pure colors
    colors = {0: (-0.1146, 0.5), 120: (-0.3854, -0.4542), 240: (0.5, -0.0458)}
    gray = torch.full((1, 8, 8), 0.5)
    for angle, (cb, cr) in colors.items():
        chroma = torch.tensor([cb, cr])[:, None, None].expand(2, 4, 4)
        for center in (0, 120, 240):
            text = f"m=hue:{(center - 20) % 360}-{center + 20},soft=5"
            made = drawn(mask(text), gray, chroma, torch.zeros(8, 8))
            assert made.shape == (8, 8) and float(made.mean()) == (1.0 if angle == center else 0.0)
        assert float(drawn(mask("m=saturation:50-100"), gray, chroma, torch.zeros(8, 8)).min()) == 1
    neutral = torch.zeros(2, 4, 4)
    for text in ("m=hue:0-360", "m=saturation:20-100", "m=auto:skin"):
        assert float(drawn(mask(text), gray, neutral, torch.zeros(8, 8)).max()) == 0
        assert float(drawn(mask(text), gray, None, torch.zeros(8, 8)).max()) == 0


def test_automatic_masks_find_what_they_are_named_for() -> None:
    luma = torch.full((1, 48, 96), 0.6)
    luma[:, :, :32] = 0.05
    luma[:, :, 64:] += (
        0.15 * torch.sin(torch.arange(32) * 1.3) * torch.sin(torch.arange(48)[:, None] * 1.1)
    )
    none = torch.full((48, 96), 0.002)

    def of(word: str) -> Tensor:
        return drawn(mask(f"m=auto:{word}"), luma, None, none)

    shadows, edges, flat = of("shadows"), of("edges"), of("flat")
    assert float(shadows[:, :28].min()) == 1 and float(shadows[:, 36:].max()) == 0
    assert float(edges[:, 32].min()) > 0.9 and float(edges[:, 40:56].max()) < 0.01
    assert float(flat[:, 43:54].min()) > 0.99 and float(flat[:, 72:90].mean()) < 0.1
    face = torch.tensor([-0.1, 0.1])[:, None, None].expand(2, 24, 48)
    skin = mask("m=auto:skin")
    assert float(drawn(skin, torch.full((1, 48, 96), 0.6), face, none).min()) == 1
    assert float(drawn(skin, torch.full((1, 48, 96), 0.6), -face, none).max()) == 0
    shirt = torch.tensor([-0.01, 0.02])[:, None, None].expand(2, 24, 48)  # white in warm light
    for share, most in ((1, 0.4), (0.75, 0.2), (0.5, 0)):
        found = drawn(skin, torch.full((1, 48, 96), 0.8), share * shirt, none)
        assert float(found.max()) <= most


def moving(frames: int = 7, sigma: float = 0.03) -> tuple[Tensor, Tensor]:
    """A texture moving 2 px a frame, with noise; and the clean one. (T, 1, 64, 96)."""
    rng = torch.Generator().manual_seed(3)
    wide = torch.rand(1, 1, 20, 40, generator=rng)
    wide = torch.nn.functional.interpolate(wide, (64, 128), mode="bicubic").clamp(0, 1)
    clean = torch.cat([wide[..., 2 * t : 2 * t + 96] for t in range(frames)])
    return clean + sigma * torch.randn(clean.shape, generator=rng), clean


def test_a_steadied_mask_flickers_less_and_less_than_the_picture() -> None:
    noisy, _ = moving()
    still = block(noisy, None, sigma=0.03)
    motion = SharedMotion("better").block(0, noisy, still.noise)
    source = replace(still, motion=motion)

    def flicker(frames: Tensor) -> float:
        """Mean change along the known motion, away from the borders."""
        steps = [
            (warp(b[None], torch.tensor([-2.0, 0.0])[:, None, None].expand(2, 64, 96))[0] - a)
            for a, b in pairwise(frames)
        ]
        return float(torch.stack(steps)[:, 8:-8, 8:-8].abs().mean())

    raw, steady = (
        layers([mask(f"m=luma:50-100,soft=10,stabilize={n}")], source)[0].cover for n in (0, 2)
    )
    assert float(raw.std()) > 0.2  # it does vary from place to place
    assert flicker(steady) < 0.6 * flicker(raw)
    assert flicker(steady) < flicker(noisy[:, 0] * 10)  # a range 10 % wide: ten times the slope
    assert abs(float(steady.mean()) - float(raw.mean())) < 0.02


@pytest.mark.parametrize(
    ("source", "contrast"),
    [
        *(("luma:50-100,soft=10", 0.6), ("auto:shadows", 0.6), ("auto:edges", 0.6)),
        *(("auto:flat", 0.2), ("hue:90-270", 0.6), ("saturation:15-100", 0.6), ("auto:skin", 1.2)),
    ],
)
def test_a_moving_mask_flickers_no_more_than_the_picture(source: str, contrast: float) -> None:
    """Where a mask goes over from all to nothing, the frames it makes change along the motion as
    little as with a mask that stands still on what moves, and so, nearly, does the mask: half of
    what it does where it is not steadied, or less than 3 8-bit codes."""
    noisy, clean = moving(frames=9)
    noisy = contrast * clean + 0.6 * (noisy - clean)
    clean = contrast * clean
    cleaned = clean + 0.3 * (noisy - clean)
    colors = torch.cat([cleaned - contrast / 2, contrast / 2 - cleaned.flip(-2)], 1) / 2
    seen = block(cleaned, colors, sigma=0.6 * 0.03)
    seen = replace(seen, luma=replace(seen.luma, residual=torch.full_like(cleaned, 0.3)))
    motion = SharedMotion("better").block(0, noisy, seen.noise)
    cover, raw = (
        layers([mask(f"m={source},stabilize={n}")], replace(seen, motion=motion))[0].cover
        for n in (2, 0)
    )
    correction = cleaned[:, 0] - noisy[:, 0]

    def standing(frames: Tensor) -> Tensor:
        """Every frame where the middle one is: (T, H, W)."""
        moves = [torch.tensor([-2.0 * (t - 4), 0.0])[:, None, None] for t in range(9)]
        pairs = zip(frames, moves, strict=True)
        return torch.stack([warp(f[None], by.expand(2, 64, 96))[0] for f, by in pairs])

    still = standing(cover).mean(0)
    zone = (still > 0.15) & (still < 0.85)
    zone[:, :20], zone[:, -20:] = False, False  # warped in from outside
    assert int(zone.sum()) > 100

    def change(frames: Tensor) -> float:
        return float(frames.diff(dim=0)[:, zone].square().mean().sqrt())

    def flicker(amount: Tensor) -> float:
        return change(standing(noisy[:, 0] - clean[:, 0]) + amount * standing(correction))

    assert change(standing(cover)) < max(0.5 * change(standing(raw)), 3 / 255)
    assert flicker(standing(cover)) < 1.005 * flicker(still)
    assert flicker(1 - standing(cover)) < 1.005 * flicker(1 - still)
    assert flicker(still) < 0.95 * flicker(torch.zeros_like(still))


def filed(path: Path, frames: list[np.ndarray[Any, Any]], format: str = "gray") -> Path:
    """A lossless clip of gray pictures."""
    height, width = frames[0].shape
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("png" if path.suffix == ".png" else "ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, format
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray")
            frame.pts = number
            frame.color_range = 2
            output.mux(stream.encode(frame.reformat(format=format)))
        output.mux(stream.encode(None))
    return path


def disc(number: int, value: int = 255) -> np.ndarray[Any, Any]:
    y, x = np.mgrid[0:48, 0:64]
    return np.where((x - 20 - 2 * number) ** 2 + (y - 24) ** 2 < 120, value, 0).astype(np.uint8)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(Clip("in.mkv", codec="ffv1", frames=6), tmp_path)


def masked(source: Path, texts: list[str], **values: Any) -> dict[int, tuple[Tensor, ...]]:
    """Every frame, denoised behind masks."""
    said = {f"mask.{k}": v for k, v in (parse_mask(text) for text in texts)}
    what = chain(**{**values, **said})
    return denoised(planned(source, source.with_name("out.mkv"), what), Shots(6))


def test_protected_pixels_come_back_to_the_bit_and_the_others_as_without(
    source: Path, tmp_path: Path
) -> None:
    path = filed(tmp_path / "disc.mkv", [disc(n) for n in range(6)])
    before, free = planes(source), masked(source, [])
    found = masked(source, [f"m=file:{path},mode=protect"])
    for n in range(6):
        inside = torch.from_numpy(disc(n)) > 0
        coarse = inside.view(24, 2, 32, 2).float().mean((1, 3))
        for plane, (now, old, other) in enumerate(zip(found[n], before[n], free[n], strict=True)):
            kept = inside if plane == 0 else coarse == 1
            outside = ~inside if plane == 0 else coarse == 0
            assert torch.equal(now[kept], old[kept]) and not torch.equal(other[kept], old[kept])
            assert torch.equal(now[outside], other[outside])


def with_network(source: Path, texts: list[str], **values: Any) -> dict[int, tuple[Tensor, ...]]:
    """Every frame through the default chain, network and all, behind masks."""
    said = {key.replace("__", "."): value for key, value in values.items()}
    what = resolve(load("auto"), [Layer("test", {**said, **parse_masks(texts)})])
    assert what.text.startswith("temporal.mean > spatial.wiener > net.cnn")
    return denoised(planned(source, source.with_name("out.mkv"), what), Shots(4))


@pytest.mark.parametrize("finished", [False, True], ids=["", "finished"])
@pytest.mark.parametrize("format", ["yuv420p", "yuv420p10le", "yuv422p10le", "gbrp10le", "gray"])
def test_no_network_reaches_into_what_is_protected(
    format: str, finished: bool, tmp_path: Path
) -> None:
    """To the bit, in every layout, whatever runs behind the network and with dither."""
    source = write(Clip("in.mkv", codec="ffv1", format=format, frames=4), tmp_path)
    more = {"deband__strength": 1, "sharpen__strength": 1, "grain__method": "synth"}
    more = more if finished else {}
    found = with_network(source, ["logo=rect:16,8,32,32,mode=protect"], **more)
    free = with_network(source, [], **more)
    for n, before in enumerate(planes(source)):
        for now, old, other in zip(found[n], before, free[n], strict=True):
            down, across = 48 // old.shape[0], 64 // old.shape[1]
            inside = np.s_[8 // down : 40 // down, 16 // across : 48 // across]
            assert torch.equal(now[inside], old[inside])
            assert not torch.equal(other[inside], old[inside])
            assert not torch.equal(now[: 8 // down], old[: 8 // down])
            if not finished:  # what finishes looks at the picture beside it
                assert torch.equal(now[: 8 // down], other[: 8 // down])


@pytest.mark.parametrize("format", ["yuv420p", "yuv422p10le"])
def test_half_a_mask_is_half_the_strength_with_the_network_too(format: str, tmp_path: Path) -> None:
    source = write(Clip("in.mkv", codec="ffv1", format=format, frames=4), tmp_path)
    found = with_network(source, ["m=rect:0,0,100%,100%,opacity=50"])
    inside = with_network(source, ["m=rect:16,8,32,32,luma=50,chroma=50"])
    half = with_network(source, [], output__luma=50, output__chroma=50)
    full = with_network(source, [])
    for n, before in enumerate(planes(source)):
        assert same(found[n], half[n])
        assert torch.equal(inside[n][0][8:40, 16:48], half[n][0][8:40, 16:48])
        assert torch.equal(inside[n][0][:8], full[n][0][:8])
        middle = (before[0].float() + full[n][0].float()) / 2
        assert float((half[n][0].float() - middle).abs().max()) <= 1  # rounded once


@pytest.mark.parametrize("slot", ["detail", "grain"])
def test_a_mask_has_its_own_share_of_each_finisher(slot: str, source: Path) -> None:
    works: dict[str, Any] = {"detail__strength": 2}
    if slot == "grain":
        works = {"grain__method": "synth", "grain__amount": 30}
    plain, free = masked(source, []), masked(source, [], **works)
    found = masked(source, [f"m=rect:16,8,32,32,{slot}=0"], **works)
    half = masked(source, [f"m=rect:16,8,32,32,{slot}=50"], **works)
    inside = np.s_[8:40, 16:48]
    for n in range(len(plain)):
        assert torch.equal(free[n][0][:8], found[n][0][:8])
        was, none, all_of_it = (x[n][0][inside].float() for x in (plain, found, free))
        assert torch.equal(none, was) and not torch.equal(all_of_it, was)
        middle = (was + all_of_it) / 2
        assert float((half[n][0][inside].float() - middle).abs().max()) <= 1  # rounded once


def test_a_mask_has_its_own_share_of_debanding(tmp_path: Path) -> None:
    steps = np.broadcast_to(100 + np.arange(64) // 16, (48, 64)).astype(np.uint8)
    source = filed(tmp_path / "bands.mkv", [steps] * 6)

    def slope(share: int) -> Tensor:
        """How far debanding moves each column, dither averaged out."""
        works = {"deband__strength": 1, "output__luma": 0, "output__chroma": 0}
        found = masked(source, [f"m=rect:0,0,64,48,deband={share}"], **works)
        moved = [found[n][0].float() - plane.float() for n, (plane,) in enumerate(planes(source))]
        return torch.stack(moved).mean((0, 1))

    none, half, whole = slope(0), slope(50), slope(100)
    assert float(none.abs().max()) == 0 and float(whole.abs().max()) > 0.3
    assert float((half - whole / 2).abs().max()) < 0.15


def test_finishing_stays_out_of_protected_pixels_too(source: Path) -> None:
    finished = {"sharpen__strength": 1, "grain__method": "synth"}
    text = "m=rect:16,8,32,32,mode=protect"
    found, free = masked(source, [text], **finished), masked(source, [], **finished)
    plain = masked(source, [text])
    for n, before in enumerate(planes(source)):
        for plane, part in ((0, np.s_[8:40, 16:48]), (1, np.s_[4:20, 8:24])):
            assert torch.equal(found[n][plane][part], before[plane][part])
            assert not torch.equal(free[n][plane][part], before[plane][part])
        assert not torch.equal(found[n][0][:8], plain[n][0][:8])  # it works elsewhere


def test_a_mask_has_its_own_share_of_sharpening(source: Path) -> None:
    sharp = {"sharpen__strength": 1, "sharpen__noise_margin": 0}
    plain, free = masked(source, []), masked(source, [], **sharp)
    found = masked(source, ["m=rect:16,8,32,32,sharpen=0"], **sharp)
    half = masked(source, ["m=rect:16,8,32,32,sharpen=50"], **sharp)
    inside = np.s_[8:40, 16:48]
    for n in range(len(plain)):
        assert torch.equal(found[n][0][inside], plain[n][0][inside])
        assert not torch.equal(free[n][0][inside], plain[n][0][inside])
        assert torch.equal(found[n][0][:8], free[n][0][:8])
        middle = (plain[n][0].float() + free[n][0].float())[inside] / 2
        assert float((half[n][0][inside] - middle).abs().max()) <= 1  # rounded once


def test_masks_hold_for_finishing_where_nothing_is_removed(source: Path) -> None:
    off = {"output__luma": 0, "output__chroma": 0, "sharpen__strength": 1}
    found = masked(source, ["m=rect:16,8,32,32,mode=protect"], **off)
    for n, before in enumerate(planes(source)):
        assert torch.equal(found[n][0][8:40, 16:48], before[0][8:40, 16:48])
        assert not torch.equal(found[n][0], before[0])


def test_a_mask_of_half_strength_is_the_strength_of_half(source: Path, tmp_path: Path) -> None:
    whole = filed(tmp_path / "fifth.mkv", [np.full((48, 64), 51, np.uint8)])  # a still of 20 %
    for text, percent in (("m=rect:0,0,100%,100%,opacity=50", 50), (f"m=file:{whole}", 20)):
        found = masked(source, [text])
        wanted = masked(source, [], output__luma=percent, output__chroma=percent)
        assert all(same(found[n], wanted[n]) for n in range(6))
    inside = masked(source, ["m=rect:16,8,32,32,luma=50,chroma=50"])
    half = masked(source, [], output__luma=50, output__chroma=50)
    full = masked(source, [])
    for n in range(6):
        assert torch.equal(inside[n][0][8:40, 16:48], half[n][0][8:40, 16:48])
        assert torch.equal(inside[n][1][4:20, 8:24], half[n][1][4:20, 8:24])
        assert torch.equal(inside[n][0][:8], full[n][0][:8])


def test_masks_do_not_depend_on_blocks_or_on_where_a_run_begins(
    source: Path, tmp_path: Path
) -> None:
    path = filed(tmp_path / "disc.mkv", [disc(n) for n in range(6)])
    texts = ["a=luma:40-100,luma=20", f"b=file:{path},mode=protect", "c=auto:edges,chroma=50"]
    said = {f"mask.{k}": v for k, v in (parse_mask(text) for text in texts)}
    made = planned(
        source, tmp_path / "out.mkv", chain(output__guards="color,structure,ghost", **said)
    )
    shots = Shots(6, (4,))
    whole = denoised(made, shots)
    for length, first, last in ((1, 0, 5), (2, 1, 4), (3, 3, 3), (8, 5, 5)):
        steps = tuple(replace(step, block=length) for step in made.steps)
        part = denoised(replace(made, steps=steps, first=first, last=last), shots)
        assert list(part) == list(range(first, last + 1))
        assert all(same(part[n], whole[n]) for n in part)


def test_a_mask_that_does_not_fit_is_said_so_with_both_sizes(source: Path, tmp_path: Path) -> None:
    small = filed(tmp_path / "small.mkv", [np.full((24, 32), 255, np.uint8)])
    short = filed(tmp_path / "short.mkv", [disc(n) for n in range(4)])
    for path, number, words in (
        (small, 63, "32x24 and the clip is 64x48"),
        (short, 64, "4 frames and the clip has 6"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            masked(source, [f"m=file:{path}"])
        assert caught.value.number == number and "--mask-fit scale" in caught.value.hint
    scaled = masked(source, [f"m=file:{small}"], output__mask_fit="scale")
    assert all(same(scaled[n], masked(source, [])[n]) for n in range(6))
    held = masked(source, [f"m=file:{short},mode=protect"], output__mask_fit="scale")
    inside = torch.from_numpy(disc(3)) > 0
    assert torch.equal(held[5][0][inside], planes(source)[5][0][inside])


def test_an_image_sequence_is_read_in_step(source: Path, tmp_path: Path) -> None:
    for n in range(6):
        filed(tmp_path / f"disc.{n + 1001}.png", [disc(n)])
    movie = filed(tmp_path / "disc.mkv", [disc(n) for n in range(6)])
    found = masked(source, [f"m=file:{tmp_path}/disc.####.png,mode=protect"])
    wanted = masked(source, [f"m=file:{movie},mode=protect"])
    assert all(same(found[n], wanted[n]) for n in range(6))


def test_paths_are_seen_from_the_preset_or_from_where_one_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "show").mkdir()
    preset = tmp_path / "show" / "p.toml"
    preset.write_text('schema = 1\nabout = "x."\n[[mask]]\nname = "a"\nsource = "file:m.png"\n')
    monkeypatch.chdir(tmp_path)
    assert resolve(load(str(preset))).masks[0].path == str(tmp_path / "show" / "m.png")
    typed = resolve(load("auto"), [Layer("command line", parse_masks(["a=file:m.png"]))])
    assert typed.masks[0].path == str(tmp_path / "m.png")


def test_a_plan_file_holds_masks_and_sees_that_their_files_are_the_same(tmp_path: Path) -> None:
    path = filed(tmp_path / "disc.mkv", [disc(n) for n in range(3)])
    texts = [f"m=file:{path},mode=protect", "s=auto:skin,luma=30"]
    made = resolve(load("auto"), [Layer("x", {**parse_masks(texts), "output.bands": "9,8,7,6"})])
    record = ChainRecord.model_validate_json(ChainRecord.of(made).model_dump_json())
    assert record.chain().parameters() == made.parameters()
    filed(path, [disc(n) for n in range(1, 4)])
    with pytest.raises(ConflictError, match="mask m"):
        record.chain()


def test_the_clips_own_alpha_is_a_mask(tmp_path: Path) -> None:
    source = write(Clip("in.mkv", codec="ffv1", format="yuva420p", frames=6), tmp_path)
    found, before, free = (
        masked(source, ["m=alpha,mode=protect"]),
        planes(source),
        masked(source, []),
    )
    for n in range(6):
        alpha = before[n][3]
        assert torch.equal(found[n][3], alpha)
        opaque, clear = alpha == 255, alpha == 0
        assert bool(opaque.any()) and bool(clear.any())
        assert torch.equal(found[n][0][opaque], before[n][0][opaque])
        assert torch.equal(found[n][0][clear], free[n][0][clear])


def test_alpha_of_a_clip_without_one_is_an_error(source: Path) -> None:
    with pytest.raises(UsageError, match="has none") as caught:
        masked(source, ["m=alpha"])
    assert caught.value.number == 65


@pytest.mark.parametrize("tags", [(1, 1, 1, 1), (2, 2, 2, 0), (1, 1, 1, 2)])
def test_the_masks_and_mattes_are_written_and_a_mask_file_does_the_same_again(
    tags: tuple[int, int, int, int], tmp_path: Path
) -> None:
    """From a clip of limited range, of one that is not tagged, and of full range."""
    source = write(Clip("in.mkv", codec="ffv1", frames=6, tags=tags), tmp_path)
    views = []
    for kind, name in (("mask", "mask.mkv"), ("confidence", "matte.mkv")):
        path = tmp_path / name
        views.append(plan.View(kind, path, view_settings(probe(source), path)))
    said: Mapping[str, Any] = {"mask.m": parse_mask("m=rect:20,10,20,20,feather=5")[1]}
    made = planned(source, tmp_path / "out.mkv", chain(**said), views=tuple(views))
    assert run.run(made, NOISE, (), Quiet()).frames == 6
    shown, matte = probe(tmp_path / "mask.mkv"), probe(tmp_path / "matte.mkv")
    assert (shown.frames, shown.format.name, shown.width) == (6, "gray16le", 64)
    wanted = cover("m=rect:20,10,20,20,feather=5", 48, 64)
    for (codes,) in planes(tmp_path / "mask.mkv"):
        assert torch.equal(codes.float(), (wanted * 65535).round())
    (confident,) = planes(tmp_path / "matte.mkv")[3]
    outside = wanted == 0
    assert matte.frames == 6 and int(confident.int()[outside].max()) == 0
    assert float(confident.float()[15:25, 25:35].mean()) > 30000  # most noise is gone there
    again = masked(source, [f"m=file:{tmp_path / 'mask.mkv'}"])
    for n, now in enumerate(planes(tmp_path / "out.mkv")):
        assert (
            max(int((a.int() - b.int()).abs().max()) for a, b in zip(now, again[n], strict=True))
            <= 1
        )


def test_views_of_nothing_are_refused(source: Path, tmp_path: Path) -> None:
    for kind in ("mask", "color", "structure", "ghost"):
        view = plan.View(kind, tmp_path / "v.mkv", view_settings(probe(source), tmp_path / "v.mkv"))
        with pytest.raises(UsageError, match="nothing to show") as caught:
            planned(source, tmp_path / "out.mkv", chain(), views=(view,))
        assert caught.value.number == 67
