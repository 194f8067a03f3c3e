"""Blocks of a plane: cut out, shifted by parts of a pixel, freed of impulses, transformed."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.picture.block_passes import dct_matrix
from vdenoise.picture.noise_table import SPECTRUM as SIZE

MOST_BLOCKS = 800  # per plane and pair of frames
REACH = 2  # pixels around a block that interpolation and gradients reach, each
STEPS = 16  # motion is rounded to 1 / STEPS pixel
_IMPULSE_SIGMAS = 7.0  # a difference beyond this many robust sigmas is an impulse ...
_IMPULSE_LEAST = 20 / 255  # ... and at least this strong


def gradients(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of (n, 20, 20) along x and y, by five points: (n, 16, 16) each."""
    inner = slice(REACH, -REACH)

    def along(v: Tensor) -> Tensor:
        return 8 * (v[..., 3:-1] - v[..., 1:-3]) - (v[..., 4:] - v[..., :-4])

    turned = along(blocks[..., inner].transpose(1, 2)).transpose(1, 2)
    return along(blocks[:, inner]), turned


def positions(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Top left corners (y, x) of at most MOST_BLOCKS blocks, evenly spread."""
    if min(height, width) < SIZE:
        return torch.zeros(0).long(), torch.zeros(0).long()
    step = SIZE // 2 if min(height, width) > 4 * SIZE else SIZE // 4
    while ((height - SIZE) // step + 1) * ((width - SIZE) // step + 1) > MOST_BLOCKS:
        step += 2
    rows, columns = (torch.arange(0, size - SIZE + 1, step) for size in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return y.flatten(), x.flatten()


def middles(y: Tensor, x: Tensor, ratio: tuple[int, int]) -> Tensor:
    """(n, 2) luma row and column of the middle of blocks at (y, x) of a plane."""
    return torch.stack([(y + SIZE // 2) * ratio[0], (x + SIZE // 2) * ratio[1]], 1)


def gather(plane: Tensor, y: Tensor, x: Tensor, margin: int) -> Tensor:
    """(n, 16 + 2 margin, 16 + 2 margin) blocks at (y, x), the border repeated outside."""
    i = torch.arange(-margin, SIZE + margin)
    rows = (y[:, None] + i).clamp(0, plane.shape[0] - 1)
    columns = (x[:, None] + i).clamp(0, plane.shape[1] - 1)
    return plane[rows[:, :, None], columns[:, None, :]]


def transform(blocks: Tensor) -> Tensor:
    """Orthonormal type-II DCT of (n, 16, 16) blocks."""
    basis = dct_matrix(SIZE)
    return basis @ blocks @ basis.T


@cache
def _shifters() -> tuple[Tensor, Tensor]:
    """Cubic interpolation by -1/4 .. 1/4 pixel, and the share of noise it lets through.

    Returns (17, 20, 24) matrices from 24 samples (margin 2) to 20, and (17, 16): the variance of
    each DCT coefficient of the middle 16, for shifted white noise (Keys 1981, a = -0.5).
    """
    size = SIZE + 2 * REACH
    matrices = torch.zeros(STEPS + 1, size, size + 2 * REACH)
    for i in range(STEPS + 1):
        offset = (i - STEPS // 2) / (2 * STEPS)
        for tap in range(-2, 3):
            d = abs(tap - offset)
            if d < 1:
                value = 1.5 * d**3 - 2.5 * d**2 + 1
            elif d < 2:
                value = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
            else:
                continue
            matrices[i, range(size), range(2 + tap, 2 + tap + size)] = value
    return matrices, (dct_matrix(SIZE) @ matrices[:, REACH:-REACH]).square().sum(-1)


def shift_blocks(blocks: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 24, 24) moved by half of ``part``: (n, 20, 20), and each coefficient's noise gain."""
    matrices, gains = _shifters()
    px, py = part[:, 0], part[:, 1]
    shifted = matrices[py] @ blocks @ matrices[px].transpose(1, 2)
    return shifted, gains[py][:, :, None] * gains[px][:, None, :]


def without_impulses(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Replace pixels that stick out of their own frame and differ from the other by far too much.

    Returns:
        Both stacks of blocks, impulses replaced by the median around them, and the share of
        impulses in each block.
    """
    size = (a - b).abs()
    limit = (size.flatten(1).median(1).values * 1.4826 * _IMPULSE_SIGMAS).clamp(min=_IMPULSE_LEAST)
    beyond = size > limit[:, None, None]
    impulses = torch.zeros(len(a))
    found = beyond.flatten(1).any(1).nonzero()[:, 0]
    if len(found) == 0:
        return a, b, impulses
    a, b = a.clone(), b.clone()
    for blocks in (a, b):
        part = blocks[found]
        around = torch.from_numpy(_median(part.numpy()))
        alone = beyond[found] & ((part - around).abs() > limit[found, None, None])
        blocks[found] = torch.where(alone, around, part)
        impulses[found] += alone.float().mean((1, 2)) / 2
    return a, b, impulses


def _median(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    """3x3 median of each block of (n, h, w)."""
    return np.stack([cv2.medianBlur(block, 3) for block in blocks])
