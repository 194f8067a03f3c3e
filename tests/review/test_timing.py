"""Results whose pictures come at another time."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vdenoise.review.timing import TimeShift

SIZE, FRAMES = 96, 16


def picture(n: int) -> Tensor:
    """A soft wave that moves by a pixel a frame."""
    x = torch.arange(SIZE) - float(n)
    return (0.5 + 0.25 * torch.sin(2 * math.pi * x / 32)).expand(1, SIZE, SIZE)


def looked(sigma: float, late: int, frames: int = FRAMES) -> TimeShift:
    """A noisy source, and its clean picture so many frames late."""
    found, generator = TimeShift(), torch.Generator().manual_seed(7)
    for n in range(frames):
        noise = sigma * torch.randn(1, SIZE, SIZE, generator=generator)
        found.push(n, picture(n) + noise, picture(n - late))
    return found


@pytest.mark.parametrize("late", [-4, -1, 1, 2, 4])
def test_each_frame_of_a_result_at_another_time_is_told(late: int) -> None:
    found = looked(0.02, late)
    side = "before" if late > 0 else "behind"
    frames = "1 frame" if abs(late) == 1 else f"{abs(late)} frames"
    said = list(found.wrong.values())  # at an end the nearest one there is
    assert said.count(f"it shows the picture of {frames} {side} it") == FRAMES - abs(late)
    assert all(side in why for why in said)


def test_strong_noise_leaves_the_clip_as_a_whole_to_tell() -> None:
    found = looked(0.25, 1)
    assert len(found.wrong) < FRAMES / 2
    assert found.of_clip() == "it shows the picture of 1 frame before it"


@pytest.mark.parametrize("sigma", [0.02, 0.25, 0.6])
def test_what_is_in_time_is_let_alone(sigma: float) -> None:
    found = looked(sigma, 0)
    assert found.wrong == {} and found.of_clip() is None


def test_a_picture_that_stands_still_has_no_time() -> None:
    found, generator = TimeShift(), torch.Generator().manual_seed(7)
    for n in range(FRAMES):
        noise = (0.3 if n == 8 else 0.01) * torch.randn(1, SIZE, SIZE, generator=generator)
        found.push(n, picture(0) + noise, picture(0))
    assert found.wrong == {} and found.of_clip() is None


@pytest.mark.parametrize("group", [4, 7, 12])
def test_a_group_of_frames_that_comes_again_is_told(group: int) -> None:
    """Its pictures are the same ones, so that nothing moves between them in the result."""
    found, generator = TimeShift(), torch.Generator().manual_seed(7)
    for n in range(FRAMES):
        noise = 0.02 * torch.randn(1, SIZE, SIZE, generator=generator)
        found.push(n, picture(n) + noise, picture(n % group))
    assert {n for n in range(group, FRAMES) if n % 32 != n % group} <= set(found.wrong)
    assert not set(found.wrong) & set(range(group))
