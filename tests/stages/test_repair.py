"""What repairs damage: it goes, wherever it is, and what only looks like it stays."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from samples import damage, lively
from tests.helpers.pictures import StillMotion, in_blocks
from vdenoise.cli.chain import CHAIN_OPTIONS
from vdenoise.cli.switches import SWITCHES, with_strengths
from vdenoise.motion.exposure import on_the_line, steady_curve
from vdenoise.motion.flow import SharedMotion
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.stages import REPAIRING
from vdenoise.stages.base import Stage
from vdenoise.stages.dust.spots import DustSpots
from vdenoise.stages.flicker.levels import Deflicker
from vdenoise.stages.hot.fixed import HotPixels
from vdenoise.stages.lines.offsets import LineOffsets
from vdenoise.stages.lines.rows import rolling
from vdenoise.stages.scratches.vertical import VerticalScratches

Frames = NDArray[np.float32]
HEIGHT, WIDTH = 120, 160


def panned(frames: int, pixels: float = 2.0) -> Frames:
    """(T, H, W, 3): blobs of many sizes, over which a camera goes sideways."""
    rng = np.random.default_rng(11)
    wide = WIDTH + int(frames * pixels) + 8
    picture = np.full((HEIGHT, wide), 0.45, np.float32)
    ys, xs = np.mgrid[0:HEIGHT, 0:wide].astype(np.float32)
    for _ in range(150):
        y, x, r = rng.uniform(0, HEIGHT), rng.uniform(0, wide), rng.uniform(3, 22)
        inside = np.clip(r + 0.5 - np.hypot(ys - y, xs - x), 0, 1)
        picture += inside * (rng.uniform(0.2, 0.75) - picture)
    starts = [round(t * pixels) for t in range(frames)]
    luma = np.stack([picture[:, s : s + WIDTH] for s in starts])
    return np.repeat(luma[..., None], 3, axis=-1).astype(np.float32)


def block_of(frames: Frames, sigma: float = 2.0) -> Block:
    """Luma of gray frames with white noise (codes), and chroma that has none."""
    rng = np.random.default_rng(5)
    noise = rng.normal(0, sigma / 255, frames.shape[:3]).astype(np.float32)
    luma = torch.from_numpy(frames.mean(-1) + noise)[:, None]
    chroma = torch.zeros(len(luma), 2, HEIGHT // 2, WIDTH // 2)
    noisy = NoiseTable(torch.full((3, 17), max(sigma, 0.5) / 255), torch.ones(3, 8, 8), 0.0)
    return Block(
        first=0,
        core=slice(0, len(luma)),
        luma=Signal(luma, torch.ones_like(luma)),
        chroma=Signal(chroma, torch.ones_like(chroma[:, :1])),
        noise=noisy,
        motion=SharedMotion("fast", keep=99).block(0, list(luma), noisy),
    )


def rms(error: Tensor, where: NDArray[np.bool_] | None = None) -> float:
    """Root mean square, 8-bit codes; of (T, 1, H, W), or only where (T, H, W) says."""
    found = error[:, 0]
    if where is not None:
        found = found[torch.from_numpy(where)]
    return 255 * float(found.square().mean().sqrt())


def result(stage: Stage, frames: Frames, sigma: float = 2.0) -> Tensor:
    return stage.apply(block_of(frames, sigma)).luma.pixels


@pytest.mark.parametrize(
    ("sigma", "specks", "crowd"), [(0.0, 8, 8), (4.0, 8, 8), (10.0, 4, 8), (10.0, 8, 40)]
)
def test_dust_goes(sigma: float, specks: int, crowd: int) -> None:
    """Film as dirty as the last, 900 specks in an HD frame, may need to be told from rain."""
    clean = panned(6)
    dirty, where = damage.dust(clean, 3, specks=specks)
    truth = block_of(clean, sigma).luma.pixels
    before = block_of(dirty, sigma).luma.pixels - truth
    after = result(DustSpots(crowd=crowd), dirty, sigma) - truth
    strong = where & (before[:, 0].abs() > max(0.15, 6 * sigma / 255)).numpy()
    assert rms(after, strong) < 0.3 * rms(before, strong)


def test_a_picture_without_dust_stays() -> None:
    clean = panned(6)
    truth = block_of(clean).luma.pixels
    assert (result(DustSpots(), clean) != truth).float().mean() < 0.001


def test_a_ball_that_flies_is_no_dust() -> None:
    """It is at no place twice, as dust is, but it moves on."""
    frames = panned(6)
    for t in range(len(frames)):
        y, x = 40 + 2 * t, 10 + 17 * t
        frames[t, y : y + 5, x : x + 5] = 0.97
    truth = block_of(frames).luma.pixels
    changed = (result(DustSpots(), frames) - truth).abs() > 0.05
    assert not changed[1:-1].any()


def test_a_thing_of_a_color_that_comes_at_the_end_is_no_dust() -> None:
    frames = panned(5)
    frames[4, 60:68, 80:88] = 0.8
    source = block_of(frames)
    assert source.chroma is not None
    colored = source.chroma.pixels.clone()
    colored[4, 0, 30:34, 40:44] = -0.25
    yellow = replace(source, chroma=replace(source.chroma, pixels=colored))
    spot = slice(62, 66), slice(82, 86)
    kept = DustSpots().apply(yellow).luma.pixels[4, 0][spot]
    assert kept.equal(source.luma.pixels[4, 0][spot])
    assert DustSpots().apply(source).luma.pixels[4, 0][spot].max() < 0.78  # gray: dirt


def test_rain_is_no_dust() -> None:
    rng = np.random.default_rng(2)
    frames = panned(4)
    for t in range(len(frames)):
        for _ in range(140):
            y, x = int(rng.integers(HEIGHT - 12)), int(rng.integers(WIDTH))
            frames[t, y : y + 9, x] = np.minimum(frames[t, y : y + 9, x] + 0.3, 1)
    truth = block_of(frames).luma.pixels
    changed = (result(DustSpots(), frames) - truth).abs() > 0.05
    assert changed.float().mean() < 0.01


@pytest.mark.parametrize("what", lively.LIVELY)
def test_what_is_alive_is_no_dust(what: str) -> None:
    """Rain, glitter, a ball, and eyes and lamps that blink."""
    frames, where = lively.LIVELY[what](panned(6), 3)
    truth = block_of(frames).luma.pixels
    changed = ((result(DustSpots(), frames) - truth).abs() > 0.03)[:, 0].numpy()
    assert (changed & where).sum() <= 0.03 * where.sum()
    assert (changed & ~where).mean() < 0.001


def test_a_lamp_that_stays_on_the_screen_while_the_picture_moves_is_no_dust() -> None:
    """It is lit in two frames only, as on a car that the camera follows: motion does not lead
    from one to the other."""
    frames = panned(6, pixels=8.0)
    frames[2:4, 60:64, 80:84] = 0.97
    truth = block_of(frames).luma.pixels
    changed = (result(DustSpots(), frames) - truth).abs() > 0.05
    assert not changed[2:4, 0, 60:64, 80:84].any()


def test_dust_is_shown() -> None:
    dirty, where = damage.dust(panned(4), 3, specks=8)
    cover = DustSpots().apply(block_of(dirty)).findings.dust
    assert cover is not None
    assert cover.shape == (4, 1, HEIGHT, WIDTH) and cover.min() >= 0 and cover.max() <= 1
    assert (cover[:, 0] > 0.5).numpy()[where].mean() > 0.5


def test_hot_pixels_go_where_the_picture_moves() -> None:
    clean = panned(10)
    bad, where = damage.hot_pixels(clean, 4, count=25)
    truth = block_of(clean).luma.pixels
    there = np.broadcast_to(where, (10, *where.shape))
    before = block_of(bad).luma.pixels - truth
    strong = there & (before[:, 0].abs() > 0.06).numpy()
    assert rms(result(HotPixels(), bad) - truth, strong) < 0.3 * rms(before, strong)
    assert rms(result(HotPixels(), clean) - truth) < 0.3


def test_a_line_that_moves_along_itself_is_no_hot_pixel() -> None:
    """Mortar between bricks: in every frame it is at the same rows, though the picture moves."""
    clean = panned(10)
    clean[:, 30::12] += 0.2
    truth = block_of(clean).luma.pixels
    assert ((result(HotPixels(), clean) - truth).abs() > 0.02).float().mean() < 2e-4


def test_hot_pixels_on_texture_keep_what_is_beside_them() -> None:
    """What a pixel is off by is taken out: it is known from all frames, and no guess of one."""
    clean = panned(10)
    bad = clean.copy()
    bad[:, 20:100:20, 20:140:20] += 0.2
    truth = block_of(clean).luma.pixels
    left = (result(HotPixels(), bad) - truth)[:, 0, 20:100:20, 20:140:20]
    assert float(left.square().mean().sqrt()) < 0.2 * 0.2


def test_color_tells_of_a_hot_pixel_that_fine_detail_hides() -> None:
    """It lies within what moves past it in many a frame, but its color stays at its place."""
    clean = panned(10)
    fine = np.random.default_rng(2).normal(0, 0.1, (HEIGHT, WIDTH + 2 * len(clean)))
    clean += np.stack([fine[:, 2 * t :][:, :WIDTH] for t in range(len(clean))])[..., None]
    bad = clean.copy()
    bad[:, 20:100:20, 20:140:20] += 0.15
    colored = block_of(bad)
    chroma = colored.picture.planes[1].pixels.clone()
    chroma[:, 0, 10:50:10, 10:70:10] += 0.1
    colored = replace(colored, chroma=Signal(chroma, torch.ones_like(chroma[:, :1])))
    truth = block_of(clean).luma.pixels
    gray, told = (
        (HotPixels().apply(block).luma.pixels - truth)[:, 0, 20:100:20, 20:140:20].mean(0) > 0.12
        for block in (block_of(bad), colored)
    )
    assert told.sum() < gray.sum() / 2
    kept = HotPixels().apply(replace(colored, luma=block_of(clean).luma)).luma.pixels - truth
    assert (kept.abs() > 0.03).float().mean() < 1e-3, "color alone says nothing of brightness"


def test_a_star_in_a_still_picture_is_left_unless_asked() -> None:
    still = np.repeat(panned(1), 9, axis=0)
    still[:, 60, 80] = 1.0
    truth = block_of(still).luma.pixels
    assert result(HotPixels(), still)[:, 0, 60, 80].equal(truth[:, 0, 60, 80])
    assert result(HotPixels(still=True), still)[4, 0, 60, 80] < 0.9


@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_line_noise_falls(axis: str) -> None:
    clean = panned(11, 1.0)
    turned = clean.swapaxes(1, 2) if axis == "columns" else clean
    bad = damage.line_noise(turned, 6, rows=4.0)
    bad = bad.swapaxes(1, 2) if axis == "columns" else bad
    truth = block_of(clean).luma.pixels
    before = block_of(bad).luma.pixels - truth
    after = result(LineOffsets.model_validate({"axis": axis}), bad) - truth
    assert rms(after) < 0.25 * rms(before)
    idle = result(LineOffsets.model_validate({"axis": axis}), clean) - truth
    assert rms(idle) < 0.2 and float(idle.abs().max()) * 255 < 1


def test_a_bar_of_hum_falls() -> None:
    clean = panned(11, 1.0)
    bad = damage.line_noise(clean, 6, rows=0.0, hum=4.0)
    truth = block_of(clean).luma.pixels
    before = block_of(bad).luma.pixels - truth
    assert rms(result(LineOffsets(), bad) - truth) < 0.2 * rms(before)


def test_a_frame_that_says_little_does_not_bend_the_wave_of_the_others() -> None:
    rows, times = torch.arange(64.0), (-3, -2, -1, 1, 2, 3)
    bar = [2 * torch.sin(rows / 10 + 1.1 * t) / 255 for t in (0, *times)]
    steps = torch.stack([bar[0] - other for other in bar[1:]])
    steps[0] += torch.sin(rows / 5) * 4 / 255  # a frame whose motion is wrong
    says = torch.ones(6, 64)
    says[0] = 1e-3
    hum, share = rolling(steps, says, times)
    assert share == 1.0
    off = hum.own - bar[0]
    assert float((off - off.mean()).abs().max()) * 255 < 0.2


def test_flicker_goes_and_nothing_drifts() -> None:
    clean = panned(40, 1.0)
    bad, _ = damage.flicker(clean, 8, strength=0.05)
    steady = result(Deflicker(), bad).mean((1, 2, 3)).numpy()
    given = block_of(bad).luma.pixels.mean((1, 2, 3)).numpy()
    pulses = np.abs(np.diff(steady)).mean() / np.abs(np.diff(given)).mean()
    assert pulses < 0.15
    assert abs(steady.mean() - given.mean()) * 255 < 0.15


def test_levels_are_followed_through_light_that_changes() -> None:
    """Steps added up at one level leave out that bright frames step farther: a quarter percent."""
    gains = np.random.default_rng(3).normal(1, 0.05, 41)
    levels = np.linspace(0, 1, 9)
    steps = [2 * levels * (b - a) / (a + b) for a, b in pairwise(gains)]
    around, here = range(41), 20
    found = levels + steady_curve(steps, around, here)
    heights = levels * (gains / gains[here] - 1)[:, None]
    assert found == pytest.approx(levels + on_the_line(heights, around, here), abs=1e-9)
    assert found[-1] * gains[here] == pytest.approx(gains.mean(), rel=0.02)


def test_fine_bright_things_stay_as_bright_where_light_is_steady() -> None:
    """A frame that is moved is softer: what is bright in thin lines looks darker in it."""
    clean = panned(12, 1.3)
    clean[:, 5::10] = np.maximum(clean[:, 5::10], 0.9)
    change = (result(Deflicker(), clean) - block_of(clean).luma.pixels).abs() * 255
    assert float((change > 1).float().mean()) < 1e-3


def test_a_fade_and_steady_light_stay() -> None:
    clean = panned(20, 1.0)
    truth = block_of(clean).luma.pixels
    assert rms(result(Deflicker(), clean) - truth) < 0.5
    fading = clean * np.linspace(1.0, 0.5, 20, dtype=np.float32)[:, None, None, None]
    truth = block_of(fading).luma.pixels
    assert rms(result(Deflicker(), fading) - truth) < 1.5


def test_scratches_go() -> None:
    clean = panned(6)
    bad, where = damage.scratches(clean, 5, lines=2)
    truth = block_of(clean).luma.pixels
    before = block_of(bad).luma.pixels - truth
    after = result(VerticalScratches(), bad) - truth
    assert rms(after, where) < 0.3 * rms(before, where)
    assert rms(result(VerticalScratches(), clean) - truth) < 0.2


def test_a_thin_post_that_goes_slowly_with_the_picture_is_no_scratch() -> None:
    """At a quarter of a pixel a frame: the frames around show it at nearly the same place."""
    clean = panned(9, 0.25)
    for t, frame in enumerate(clean):
        frame[:, 80 - round(t * 0.25) : 82 - round(t * 0.25)] = 0.95
    truth = block_of(clean).luma.pixels
    assert torch.equal(result(VerticalScratches(), clean), truth)


@pytest.mark.parametrize("stage", [DustSpots(), Deflicker(radius=2), VerticalScratches()])
def test_cut_into_blocks_it_is_the_same(stage: Stage) -> None:
    frames, _ = damage.dust(panned(7), 3, specks=8)
    frames, _ = damage.scratches(frames, 5, lines=1)
    source = block_of(damage.flicker(frames, 1)[0])
    source = replace(source, motion=StillMotion(source.luma.pixels))
    whole = stage.apply(source)
    for part, inside in in_blocks(stage, source, 2):
        assert part.luma.pixels.equal(whole.luma.pixels[inside])


def test_switches_are_the_strengths_of_what_repairs() -> None:
    assert {target.partition(".")[0] for target in SWITCHES.values()} == set(REPAIRING)
    assert SWITCHES.items() <= CHAIN_OPTIONS.items()
    typed = ["run", "--dust", "in.mov", "--lines", "0.5", "--deflicker", "--", "--dust"]
    spelled = ["run", "--dust", "1", "in.mov", "--lines", "0.5", "--deflicker", "1", "--", "--dust"]
    assert with_strengths(typed) == spelled
    assert all(a < b for a, b in pairwise(sorted(SWITCHES)))
