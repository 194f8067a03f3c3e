"""The temporal mean: gains what theory allows, never ghosts, and knows what it left."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.motion.test_motion import shifted_pair, texture
from vdenoise.motion.flow import SharedMotion
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.noise import NoiseProfile
from vdenoise.stages.temporal.mean import TemporalMean, tolerance

SIGMA = 0.05


def block_of(clean: Tensor, sigma: float = SIGMA, core: slice | None = None) -> Block:
    """Noisy frames (T, 1, H, W) as a gray block with fine motion."""
    torch.manual_seed(7)
    noisy = clean + sigma * torch.randn_like(clean)
    table = NoiseProfile.white(sigma).shots[0].table()
    motion = SharedMotion("better").block(0, noisy, table)
    whole = slice(0, clean.shape[0])
    luma = Signal(noisy, torch.ones_like(noisy))
    return Block(0, core or whole, luma, None, table, motion)


def still(count: int) -> Tensor:
    return torch.from_numpy(texture(96, 128))[None, None].repeat(count, 1, 1, 1)


@pytest.mark.parametrize("radius", [1, 2, 4])
def test_a_still_picture_gains_what_averaging_can_give(radius: int) -> None:
    clean = still(2 * radius + 1)
    block = block_of(clean, core=slice(radius, radius + 1))
    out = TemporalMean(radius=radius).apply(block).luma
    remaining = (out.pixels - clean[:1]).std() / SIGMA
    ideal = (2 * radius + 1) ** -0.5
    assert remaining < 1.25 * ideal
    assert out.residual.mean() == pytest.approx(remaining.item(), rel=0.25)


def test_a_moving_picture_gains_nearly_as_much() -> None:
    clean = torch.stack([shifted_pair(2.3 * i, -1.2 * i)[1] for i in range(-2, 3)])
    out = TemporalMean(radius=2).apply(block_of(clean, core=slice(2, 3))).luma
    error = (out.pixels - clean[2:3])[..., 16:-16, 16:-16].std()
    assert error < 0.65 * SIGMA


def test_first_and_last_frames_are_as_good_as_the_middle() -> None:
    clean = still(9)
    out = TemporalMean(radius=2).apply(block_of(clean)).luma.pixels
    errors = (out - clean).flatten(1).std(1)
    assert errors.max() < 1.1 * errors.min()


def test_something_that_appears_for_one_frame_leaves_no_ghost_and_is_not_erased() -> None:
    clean = still(5)
    clean[2, :, 30:60, 40:80] = 1.0
    block = block_of(clean, sigma=0.03)
    out = TemporalMean(radius=2).apply(block).luma.pixels
    ghost = (out[[1, 3]] - clean[[1, 3]])[..., 32:58, 42:78].mean().abs()
    kept = (out[2] - clean[2])[..., 32:58, 42:78].mean().abs()
    assert ghost < 0.01
    assert kept < 0.01


def test_where_nothing_matches_the_map_says_that_all_noise_is_left() -> None:
    clean = torch.rand(5, 1, 96, 128, generator=torch.Generator().manual_seed(0))
    out = TemporalMean(radius=2).apply(block_of(clean, 0.01, slice(2, 3))).luma
    assert out.residual.mean() > 0.97


def test_a_higher_motion_threshold_averages_more() -> None:
    clean = torch.stack([shifted_pair(4.0 * i * i, 0)[1] for i in range(-1, 2)])
    block = block_of(clean, core=slice(1, 2))
    residual = [
        TemporalMean(radius=1, motion_threshold=m).apply(block).luma.residual.mean()
        for m in (0.0, 50.0, 100.0)
    ]
    assert residual[0] > residual[1] > residual[2]


def test_a_neighbor_of_white_noise_may_differ_less_than_one_of_coarse_grain() -> None:
    areas = (1.0, 1.1, 1.2, 1.3, 1.4, 3.0)
    found = [tolerance(50, area) for area in areas]
    assert found[0] == found[1] == 0.7 and found[-2:] == [1.0, 1.0]
    assert found == sorted(found) and max(np.diff(found)) < 0.2  # no jump between clips
    # The dial means the same everywhere: 25 more is twice as much.
    assert [tolerance(75, area) / tolerance(50, area) for area in areas] == [2.0] * len(areas)


def test_noise_that_repeats_in_time_is_known_to_stay() -> None:
    clean = still(5)
    block = block_of(clean, core=slice(2, 3))
    frozen = replace(block, noise=replace(block.noise, temporal_correlation=0.6))
    stage = TemporalMean(radius=2)
    assert stage.apply(frozen).luma.residual.mean() > 1.5 * stage.apply(block).luma.residual.mean()


def test_the_cores_of_a_block_do_not_depend_on_how_the_clip_is_cut_into_blocks() -> None:
    clean = torch.stack([shifted_pair(1.5 * i, 0.5 * i)[1] for i in range(8)])
    whole = block_of(clean)
    stage = TemporalMean(radius=2)
    together = stage.apply(whole).luma
    for t in range(8):
        low, high = (max(0, t - 4), min(8, t + 5))
        noisy = whole.luma.pixels[low:high]
        motion = SharedMotion("better").block(low, noisy, whole.noise)
        alone = Block(
            low,
            slice(t - low, t - low + 1),
            whole.luma[low:high],
            None,
            whole.noise,
            motion,
            shot=(0, 7),
        )
        result = stage.apply(alone).luma
        assert torch.equal(result.pixels[0], together.pixels[t])
        assert torch.equal(result.residual[0], together.residual[t])


@pytest.mark.parametrize("radius", [1, 3])
def test_light_that_changes_does_not_lag_at_the_ends_of_a_shot(radius: int) -> None:
    clean = still(7) * 0.6
    rise = 2 / 255 * torch.arange(7)[:, None, None, None]
    clean[..., :, 64:] += rise  # as a shadow that passes: a part of the picture
    out = TemporalMean(radius=radius).apply(block_of(clean)).luma.pixels
    errors = ((out - clean)[..., 76:].flatten(1).mean(1) * 255).abs()
    assert errors.max() < 0.8, errors
    elsewhere = (out - clean)[..., :52]
    assert elsewhere[-1].std() < 1.15 * elsewhere[3].std()
    assert (elsewhere[-1].mean() * 255).abs() < 0.5
