"""Blacks and whites under clipped noise, with the truth known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers.pictures import SUBSAMPLING, shrink
from vdenoise.chain.presets import load, names
from vdenoise.chain.resolve import Chain, Layer, resolve
from vdenoise.evaluation.measure import run_chain
from vdenoise.evaluation.protocol import Given, Noise, given
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.color import from_rgb, to_rgb
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise import NoiseProfile
from vdenoise.picture.quality import psnr
from vdenoise.settings.choices import EvaluationForm
from vdenoise.settings.groups import OutputSettings
from vdenoise.stages.control.strength import Settle
from vdenoise.stages.levels.unclip import Unclip, _channel_noise, _excess, _kept, _widening

CODE = 1 / 255
FRAMES, HEIGHT, WIDTH = 24, 96, 192
SAMPLE = Path(__file__).parents[2] / "samples" / "scene_clean.mp4"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(5)


def ramp(height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """(1, 3, H, W) from black to white, in the lower half with a color."""
    gray = torch.linspace(-0.15, 1.15, width).clamp(0, 1).expand(height, width)
    rgb = torch.stack([gray, gray, gray])
    rgb[0, height // 2 :] = 1 - gray[height // 2 :]
    rgb[1, height // 2 :] = 0.4
    return rgb[None]


def averaged(clean: Tensor, noisy: Tensor, layout: str = "444") -> Block:
    """What averaging ``noisy`` (T, 3, H, W) over time makes of one frame, and that frame."""
    ratio = SUBSAMPLING[layout]
    assert ratio is not None

    def split(rgb: Tensor) -> Picture[Tensor]:
        planes = from_rgb(rgb)
        return Picture(planes[:, :1], shrink(planes[:, 1:], ratio))

    source, now = split(noisy[:1]), split(noisy.mean(0, keepdim=True))
    rest = split(noisy - clean)
    table = NoiseProfile.white(*(float(p.std()) for p in (rest[0], rest[1], rest[1]))).at(0).table()
    residual = [torch.full_like(p[:, :1], 1 / math.sqrt(len(noisy))) for p in now]
    return Block(
        first=0,
        core=slice(0, 1),
        luma=Signal(now[0], residual[0]),
        chroma=Signal(now[1], residual[1]),
        noise=table,
        kept_original=source,
    )


def rgb_of(block: Block) -> Tensor:
    assert block.chroma is not None
    chroma = block.chroma.pixels
    fy, fx = (a // b for a, b in zip(block.luma.pixels.shape[-2:], chroma.shape[-2:], strict=True))
    chroma = chroma.repeat_interleave(fy, -2).repeat_interleave(fx, -1)
    return to_rgb(torch.cat([block.luma.pixels, chroma], 1))


def bias(rgb: Tensor, clean: Tensor, level: float) -> float:
    """Mean error where a channel of the clean picture is at ``level``, codes."""
    return float((rgb - clean)[(clean - level).abs() < 1e-3].mean()) / CODE


NOISES = {
    "white": lambda x: torch.full_like(x, 40 * CODE),
    "camera": lambda x: (0.02 * x + 0.015).sqrt(),  # Foi's Poissonian-Gaussian noise
    "grain": lambda x: 40 * CODE * (0.3 + 2.8 * x * (1 - x)),
}


def clipped(clean: Tensor, kind: str, *, frames: int = FRAMES) -> Tensor:
    shape = (frames, *clean.shape[1:])
    return (clean + NOISES[kind](clean) * torch.randn(shape)).clamp(0, 1)


@pytest.mark.parametrize("layout", ["444", "422", "420"])
@pytest.mark.parametrize("kind", NOISES)
def test_blacks_and_whites_go_back(kind: str, layout: str) -> None:
    clean = ramp()
    source = averaged(clean, clipped(clean, kind), layout)
    before, after = rgb_of(source), rgb_of(Unclip().apply(source))
    for level in (0.0, 1.0):
        was, now = bias(before, clean, level), bias(after, clean, level)
        assert abs(was) > 3 and abs(now) < abs(was) / 3, f"at {level}: {was:.1f} -> {now:.1f}"
    assert psnr(clean, after) > psnr(clean, before) + 0.2
    for part in (slice(0, HEIGHT // 2 - 8), slice(HEIGHT // 2 + 8, HEIGHT)):  # gray, and colored
        for level in torch.arange(0.02, 1, 0.06).tolist():
            where = (clean[:, ::2, part] - level).abs() < 0.01
            error = (after - clean)[:, ::2, part][where].mean() / CODE
            assert error.abs() < 5, f"at {level:.2f} {part}: {error:.1f}"
    middle = (clean - 0.5).abs().amax(1, keepdim=True) < 0.05
    assert float(((after - before) * middle).abs().max()) < 0.1 * CODE


@pytest.mark.parametrize("layout", ["444", "420"])
def test_noise_that_is_not_clipped_is_left_alone(layout: str) -> None:
    clean = ramp()
    noisy = clean + 40 * CODE * torch.randn(FRAMES, *clean.shape[1:])
    source = averaged(clean, noisy, layout)
    assert float((rgb_of(Unclip().apply(source)) - rgb_of(source)).abs().max()) < 0.1 * CODE


def test_each_end_answers_for_itself() -> None:
    """Head room above white, none below black: blacks go back, whites stay."""
    clean = ramp()
    noisy = (clean + 40 * CODE * torch.randn(FRAMES, *clean.shape[1:])).clamp(min=0)
    source = averaged(clean, noisy)
    before, after = rgb_of(source), rgb_of(Unclip().apply(source))
    assert abs(bias(after, clean, 0.0)) < bias(before, clean, 0.0) / 3
    assert bias(after, clean, 1.0) == pytest.approx(bias(before, clean, 1.0), abs=0.1)


def test_a_picture_without_noise_stays() -> None:
    clean = (ramp() / CODE).round() * CODE
    source = averaged(clean, clean + 0.3 * CODE * torch.randn(clean.shape))
    change = rgb_of(Unclip().apply(source)) - rgb_of(source)
    assert float(change.abs().max()) < 0.25 * CODE


def test_strength_is_a_share() -> None:
    source = averaged(ramp(), clipped(ramp(), "white"))
    half, full = (rgb_of(Unclip(strength=s).apply(source)) - rgb_of(source) for s in (0.5, 1.0))
    assert torch.allclose(half, full / 2, atol=1e-6) and full.abs().max() > 5 * CODE


def test_what_is_left_is_stretched_with_the_levels() -> None:
    """Between black and gray more than before; in the middle as it was; never more than 1."""
    source = averaged(ramp(), clipped(ramp(), "white"))
    now = Unclip().apply(source).luma.residual / source.luma.residual
    gray = ramp()[:, :1, : HEIGHT // 2 - 24]
    now = now[..., : HEIGHT // 2 - 24, :]
    dark = (gray > 0.03) & (gray < 0.1)
    assert 1.2 < float(now[dark].mean()) < 2.1
    assert torch.allclose(now[(gray - 0.5).abs() < 0.05], torch.ones(()), atol=1e-3)
    assert float(now[gray == 0].mean()) < 1.2


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0, 2.0])
def test_the_tables_are_those_of_a_clipped_gaussian(level: float) -> None:
    samples = (level + torch.randn(400_000, dtype=torch.float64)).clamp(min=0)
    mean, deviation = samples.mean(), samples.std()
    excess, _ = _excess(mean[None])
    assert float(mean - excess) == pytest.approx(level, abs=0.02)
    assert float(_widening((mean / deviation)[None]) * deviation) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("own", [1.0, 0.4, 0.0], ids=lambda share: f"own {share}")
@pytest.mark.parametrize("layout", ["444", "420"])
def test_noise_of_the_channels_from_that_of_luma_and_chroma(own: float, layout: str) -> None:
    """White noise, common to the channels or their own, is known to a tenth."""
    shape = (1, 3, 256, 256)
    noise = math.sqrt(own) * torch.randn(shape) + math.sqrt(1 - own) * torch.randn(1, 1, 256, 256)
    ratio = SUBSAMPLING[layout]
    assert ratio is not None
    planes = from_rgb(0.02 * noise)
    chroma = shrink(planes[:, 1:], ratio)
    sigma = [float(p.std()) for p in (planes[:, 0], chroma[:, 0], chroma[:, 1])]
    table = NoiseProfile.white(*sigma).at(0).table()
    found = _channel_noise(table, _kept(table.spectrum[0], ratio))
    assert float(found[8]) == pytest.approx(0.02, rel=0.1)


def chain(method: str, proposed: Mapping[str, str]) -> Chain:
    layers = [Layer("measurement", proposed), Layer("test", {"levels.method": method})]
    return resolve(load("auto"), layers, speed="base")


@cache
def through(form: EvaluationForm, method: str) -> tuple[Given, Tensor]:
    """A ramp with white noise through the default chain."""
    made = given(ramp(64, 256).expand(4, -1, -1, -1), Noise("gaussian", 50), 1, form)
    return made, run_chain(made, partial(chain, method), None, "cpu").rgb


@pytest.mark.parametrize("form", ["8bit", "420"])
def test_behind_the_default_chain(form: EvaluationForm) -> None:
    (made, plain), (_, done) = through(form, "none"), through(form, "unclip")
    truth = ramp(64, 256).expand_as(done)
    for level in (0.0, 1.0):
        assert abs(bias(done, truth, level)) < abs(bias(plain, truth, level)) / 3
    assert psnr(made.reference, done) > psnr(made.reference, plain) + 2


def test_floats_behind_the_default_chain() -> None:
    """They hold noise beyond both ends: to a tenth of a code as without the stage."""
    (_, plain), (_, done) = through("float", "none"), through("float", "unclip")
    assert float((done - plain).abs().max()) < 0.1 * CODE


def test_the_sample_scene_gains() -> None:
    """A dark corner of it, under strong noise."""
    capture = cv2.VideoCapture(str(SAMPLE))
    frames = [capture.read()[1][..., ::-1] for _ in range(4)]
    clean = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 255
    clean = clean[..., 120:248, 200:392].contiguous()
    made = given(clean, Noise("gaussian", 50), 1, "8bit")
    plain, done = (
        run_chain(made, partial(chain, method), None, "cpu").rgb for method in ("none", "unclip")
    )
    assert psnr(clean, done) > psnr(clean, plain) + 0.05


def test_the_color_guard_wins() -> None:
    """It holds that levels stay where the source has them."""
    source = averaged(ramp(), clipped(ramp(), "white"))
    done = Unclip().apply(source)
    guarded = rgb_of(Settle(output=OutputSettings(guards=("color",))).apply(done))
    black = ramp() == 0
    moved = float((rgb_of(done) - rgb_of(source))[black].mean()) / CODE
    kept = float((guarded - rgb_of(source))[black].mean()) / CODE
    assert moved < -10 and abs(kept) < abs(moved) / 2


def test_off_in_every_preset() -> None:
    for name in names():
        chosen = resolve(load(name))
        assert all(stage.slot != "levels" for stage in chosen.stages)
        on = resolve(load(name), [Layer("test", {"levels.strength": "1"})])
        assert any(stage.name == "levels.unclip" for stage in on.stages)
