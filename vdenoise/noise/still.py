"""Areas that stand still and hold no noise: graphics, logos, desktops, borders, black skies.

A cell of 4x4 pixels is still where no pair of frames differs in it by more than a trace of the
noise that is elsewhere at its level. That is no proof yet: an encoder that skips blocks holds their
noise still as well, and a picture that is held holds its own. So an area of such cells is believed
only where a good part of it is smooth, as what is drawn is and what is noisy is not, or most of it
far rougher than the noise; and pairs of frames that show the same picture do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vdenoise.noise.bars import Bars
from vdenoise.noise.levels import look_up
from vdenoise.picture.areas import CELL

_FEWEST = 3  # pairs of frames
_STILL = 0.02  # energy of a difference that is none, as a share of the noise's
_SMOOTH = 0.05  # variance inside a cell that is none, as a share of the noise's
_ROUGH = 3.0  # and one that the noise has no part in
_DRAWN, _TEXTURED = 0.3, 0.5  # share of smooth cells, or of these and rough ones, that is believed
_SMALLEST = 24  # cells of an area
_WEAK = (1.5 / 255) ** 2  # noise that is not worth it


@dataclass(frozen=True, eq=False)
class CellChange:
    """How cells of 4x4 pixels of one frame's luma differ from the frame before: (rows, columns)."""

    energy: Tensor  # mean squared difference
    level: Tensor
    variance: Tensor  # inside the cell


def change(luma: Tensor, before: Tensor) -> CellChange:
    """Compare two frames, (H, W) each."""

    def mean(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x[None, None], CELL, ceil_mode=True, count_include_pad=False)[
            0, 0
        ]

    level = mean(luma)
    return CellChange(mean((luma - before).square()), level, mean(luma.square()) - level.square())


@dataclass(frozen=True, eq=False)
class Still:
    """What stands still in a shot, by cells: (rows, columns) bool each."""

    areas: NDArray[np.bool_]  # that hold no noise
    restless: NDArray[np.bool_]  # cells that every pair of frames differs in, by noise or motion


def still_areas(pairs: Sequence[CellChange], variance: Tensor, bars: Bars) -> Still | None:
    """Find them; None where too few frames were compared.

    Args:
        pairs: of frames that are not the same picture once more.
        variance: (LEVELS,) of the noise by level, where it is strongest.
        bars: of the shot, which are left alone for being bars.
    """
    if len(pairs) < _FEWEST:
        return None
    still = torch.ones_like(pairs[0].energy, dtype=torch.bool)
    smooth, rough, restless = still.clone(), still.clone(), still.clone()
    for pair in pairs:
        noise = look_up(variance, pair.level.flatten()).view_as(pair.level)
        same = pair.energy < 2 * _STILL * noise
        still &= same & (noise > _WEAK)
        restless &= ~same
        smooth &= pair.variance < _SMOOTH * noise
        rough &= pair.variance > _ROUGH * noise
    rows, columns = still.shape
    still[: bars.top // CELL] = still[rows - bars.bottom // CELL :] = False
    still[:, : bars.left // CELL] = still[:, columns - bars.right // CELL :] = False
    cells = still.numpy().astype(np.uint8)
    mask = cv2.morphologyEx(cells, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, area, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    found = np.zeros(mask.shape, np.bool_)
    for number in range(1, count):
        here = area == number
        if stats[number, cv2.CC_STAT_AREA] < _SMALLEST:
            continue
        even, uneven = smooth.numpy()[here].mean(), rough.numpy()[here].mean()
        if even >= _DRAWN or even + uneven >= _TEXTURED:
            found |= here
    return Still(found, restless.numpy())
