"""Flow: accurate on known motion with noise, honest about occlusion, independent of who asks."""

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vdenoise.degrade import synth
from vdenoise.motion.flow import (
    Once,
    SharedMotion,
    agreement,
    estimate,
    guide_noise,
    make_guide,
    working_scale,
)
from vdenoise.motion.search import search
from vdenoise.motion.warp import box_mean, warp
from vdenoise.picture.block import Accuracy
from vdenoise.picture.noise import NoiseProfile
from vdenoise.training.material.degrade import true_noise
from vdenoise.training.material.sources import split_rgb


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Structure at several scales, in [0, 1]."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    for cell in (4, 12, 36):
        coarse = rng.random((height // cell + 2, width // cell + 2)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / 3
    return total.clip(0, 1)


def shifted_pair(dx: float, dy: float, sigma: float = 0.0) -> tuple[Tensor, Tensor]:
    """Two 96x128 views; what is at p in the first is at p + (dx, dy) in the second."""
    big = texture(160, 192)
    moves = [np.float32([[1, 0, -32], [0, 1, -32]]), np.float32([[1, 0, dx - 32], [0, 1, dy - 32]])]
    views = [cv2.warpAffine(big, m, (128, 96), flags=cv2.INTER_CUBIC) for m in moves]
    rng = np.random.default_rng(1)
    noisy = [v + rng.normal(0, sigma, v.shape).astype(np.float32) for v in views]
    return torch.from_numpy(noisy[0])[None], torch.from_numpy(noisy[1])[None]


MOTIONS = [(0.0, 0.0), (3.0, -2.0), (0.5, 0.25), (-7.3, 4.6)]


@pytest.mark.parametrize(("dx", "dy"), MOTIONS)
@pytest.mark.parametrize("sigma", [0.0, 0.06])
@pytest.mark.parametrize("method", ["dis-fast", "dis-better", "search"])
def test_known_shifts_are_found(dx: float, dy: float, sigma: float, method: str) -> None:
    a, b = shifted_pair(dx, dy, sigma)
    accuracy = "fast" if method == "dis-fast" else "better"
    table = NoiseProfile.white(sigma).shots[0].table()
    a, b = make_guide(a, table, accuracy), make_guide(b, table, accuracy)
    flow = search(a, b) if method == "search" else estimate(a, b, 1, accuracy)
    inner = flow[:, 16:-16, 16:-16]
    error = (inner - torch.tensor([dx, dy])[:, None, None]).square().sum(0).sqrt()
    assert error.median() < (0.3 if sigma else 0.15)


def test_guides_say_what_noise_is_left_in_them() -> None:
    """Coarse grain passes a blur, and not the denoised guides: mismatches count there sooner."""
    flat = torch.full((3, 3, 96, 128), 0.5)
    white, coarse = (
        synth.gaussian(flat, 0.06, seed=1),
        synth.film_grain(flat, 0.06, size=1.0, color=0.0, seed=1),
    )
    said, residual = {}, {}
    for name, noisy in (("white", white), ("coarse", coarse)):
        (luma, chroma), clean = split_rgb(noisy, False), split_rgb(flat, False)
        table = true_noise(luma, chroma, *clean)
        power = (luma[0] - 0.5).square().mean()
        choices: tuple[Accuracy, ...] = ("fast", "better", "best")
        for accuracy in choices:
            said[name, accuracy] = guide_noise(table, accuracy)
            guide = make_guide(luma[0], table, accuracy)
            residual[name, accuracy] = float((guide - 0.5).square().mean() / power)
    for accuracy in choices:
        assert residual["white", accuracy] < 1.1 * said["white", accuracy]
    for accuracy in choices[1:]:
        assert residual["coarse", accuracy] < 0.25 * residual["coarse", "fast"]
        assert said["coarse", accuracy] < 0.25 * said["coarse", "fast"]


def test_the_flow_is_in_full_size_pixels_at_any_working_scale() -> None:
    a, b = shifted_pair(6, -4)
    flow = estimate(a, b, 2, "better")
    assert flow.shape == (2, 48, 64)
    middle = flow[:, 10:-10, 10:-10].flatten(1).median(1).values
    torch.testing.assert_close(middle, torch.tensor([6.0, -4.0]), atol=0.3, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (12, 40), (12, 320), (320, 12), (33, 17)])
@pytest.mark.parametrize("method", ["fast", "better", "best", "search"])
def test_the_smallest_pictures_have_a_flow(
    size: tuple[int, int], method: Accuracy | Literal["search"]
) -> None:
    picture = torch.from_numpy(texture(*size))[None]
    same = (picture, picture)
    flow = search(*same) if method == "search" else estimate(*same, 1, method)
    assert flow.shape == (2, *size) and float(flow.abs().max()) < 0.1


def test_warping_by_the_true_flow_brings_the_picture_back() -> None:
    a, b = shifted_pair(2.5, -1.5)
    flow = torch.tensor([2.5, -1.5])[:, None, None].expand(2, 96, 128).contiguous()
    back = warp(b, flow)
    assert (back - a)[:, 8:-8, 8:-8].abs().max() < 0.02


def test_warping_chroma_scales_the_motion() -> None:
    plane = torch.arange(32.0).expand(16, 32)[None].contiguous()
    flow = torch.tensor([4.0, 0.0])[:, None, None].expand(2, 32, 64).contiguous()
    moved = warp(plane, flow, (0.5, 0.5))
    torch.testing.assert_close(moved[0, :, 4:24], plane[0, :, 4:24] + 2, atol=1e-3, rtol=0)


def test_both_warps_agree() -> None:
    """OpenCV rounds positions to 1/32 px; that is all the difference there may be."""
    from torch.nn import functional

    picture, _ = shifted_pair(0, 0)
    flow = 3 * torch.randn(2, 96, 128, generator=torch.Generator().manual_seed(0))
    ys, xs = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    grid = torch.stack([(xs + flow[0]) * 2 / 127 - 1, (ys + flow[1]) * 2 / 95 - 1], -1)[None]
    reference = functional.grid_sample(
        picture[None], grid, mode="bicubic", padding_mode="border", align_corners=True
    )[0]
    difference = (warp(picture, flow) - reference).abs()
    assert difference.max() < 0.03
    assert difference.mean() < 2e-3


def test_agreement_falls_where_the_way_back_does_not_lead_back() -> None:
    forward = torch.zeros(2, 20, 20)
    forward[0] = 4
    backward = -forward.clone()
    backward[0, :, 12:] = 10
    trust = agreement(forward, backward, 1)
    assert trust[:, :7].min() > 0.99
    assert trust[:, 9:].max() < 0.1


def test_a_pair_gives_the_same_flow_whichever_block_asks() -> None:
    frames = torch.stack([shifted_pair(i, 0, 0.02)[1] for i in range(4)])
    table = NoiseProfile.white(0.02).shots[0].table()
    whole = SharedMotion("better").block(10, frames, table)
    part = SharedMotion("better").block(11, frames[1:], table)
    assert torch.equal(whole.flow(1, 3), part.flow(0, 2))
    assert torch.equal(whole.guide(2), part.guide(1))
    assert torch.equal(whole.trust(3, 2), part.trust(2, 1))


def test_a_pilot_takes_the_place_of_the_guide() -> None:
    frames = torch.stack([shifted_pair(i, 0, 0.02)[1] for i in range(2)])
    table = NoiseProfile.white(0.02).shots[0].table()
    own = SharedMotion("fast").block(0, frames, table)
    piloted = SharedMotion("fast").block(0, frames, table, pilot=lambda k: frames[k] * 0.5)
    assert piloted.guide(1).equal(frames[1] * 0.5)
    assert piloted.guide_noise < own.guide_noise


def test_flows_do_not_depend_on_the_number_of_threads() -> None:
    a, b = shifted_pair(3, 1, 0.03)
    one = estimate(a, b, 1, "better")
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        shared = SharedMotion("better")
        motion = shared.block(0, torch.stack([a, b]), NoiseProfile.white(1e-6).shots[0].table())
        motion.flow(0, 1)
        again = estimate(a, b, 1, "better")
    finally:
        cv2.setNumThreads(before)
    assert torch.equal(one, again)


def test_a_small_picture_before_changes_nothing() -> None:
    """OpenCV's estimator keeps the fewer scales of a small picture for all that follow."""
    a, b = (torch.from_numpy(texture(200, 260, seed))[None] for seed in (0, 1))
    alone = estimate(a, b, 1, "fast")
    small = a[:, :32, :32].contiguous()

    def after_a_small_one() -> Tensor:
        estimate(small, small.flip(-1), 1, "fast")
        return estimate(a, b, 1, "fast")

    with ThreadPoolExecutor(1) as fresh:  # estimators are kept for each thread
        assert fresh.submit(after_a_small_one).result().equal(alone)


def test_old_frames_are_forgotten() -> None:
    shared = SharedMotion("fast", keep=3)
    table = NoiseProfile.white(0.01).shots[0].table()
    for start in range(20):
        block = shared.block(start, torch.rand(2, 1, 32, 32), table)
        block.trust(0, 1)
    assert len(shared.guides) <= 5
    assert len(shared.flows) <= 10


def test_big_frames_are_matched_at_reduced_size() -> None:
    assert working_scale(360, 640, "better") == 1
    assert working_scale(1080, 1920, "better") == 2
    assert working_scale(2160, 3840, "better") == 4
    assert working_scale(1080, 1920, "fast") == 4


def test_box_mean_is_the_mean_of_the_window() -> None:
    x = torch.rand(9, 11)
    assert box_mean(x, (3, 5))[4, 5] == pytest.approx(x[3:6, 3:8].mean().item(), abs=1e-6)
    torch.testing.assert_close(box_mean(torch.full((5, 5), 0.25), (5, 5)), torch.full((5, 5), 0.25))


def test_a_value_is_computed_once_and_a_failure_is_not_kept() -> None:
    known: Once[str, int] = Once()

    def fails() -> int:
        raise MemoryError

    with pytest.raises(MemoryError):
        known.get("a", fails)
    assert known.get("a", lambda: 1) == 1
    assert known.get("a", fails) == 1
    known.forget(lambda key: key == "a")
    assert len(known) == 0


def test_best_follows_things_that_are_too_small_for_better() -> None:
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.random((200, 240)).astype(np.float32), (0, 0), 1.2)
    texture = (texture - texture.mean()) / texture.std() * 0.15 + 0.5
    moved, mask = texture.copy(), np.zeros((200, 240), bool)
    for y in range(20, 180, 48):
        for x in range(20, 210, 48):
            moved[y : y + 14, x + 3 : x + 17] = texture[y : y + 14, x : x + 14]
            mask[y : y + 14, x : x + 14] = True

    def error(accuracy: Accuracy) -> float:
        a, b = (torch.from_numpy(p)[None] for p in (texture, moved))
        flow = estimate(a, b, 1, accuracy).numpy()
        return float(np.hypot(flow[0][mask] - 3, flow[1][mask]).mean())

    assert error("best") < 0.8 * error("better")
