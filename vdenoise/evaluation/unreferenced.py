"""Measures of a picture that need no other one: banding, and how sharp it is at given edges."""

from __future__ import annotations

from functools import reduce

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

STEPS = (0.8, 4.5)  # 8-bit codes: a step between two plateaus that is seen as a band's edge
PLATEAU = 3  # pixels on each side of a step that are even
_EVEN = 0.26  # 8-bit codes: most that neighbors on a plateau differ by
_LINE, _OF_LINE = 9, 6.5  # pixels of a line that an edge is part of, and how many have to be there
_SLOPE_WINDOW = 33  # pixels: over this a slope is slight and still a slope
_SLIGHT = 9.0  # codes over the window: steeper is an edge, and nobody sees bands there
_STEEPEST = 0.02  # share of the pixels that are edges to measure sharpness at
_TINY = 1e-6


def band_edges(luma: Tensor, least: float = STEPS[0]) -> Tensor:
    """Where slopes go in steps: (H, W) bool, true at the two pixels of each step.

    A step of about a code between two plateaus, in a neighborhood that hardly changes otherwise.
    Noise and dither break plateaus, so that a slope that holds them has no steps.

    Args:
        luma: (H, W), nominally in [0, 1].
        least: 8-bit codes of a step that counts.
    """
    codes = luma * 255
    found = torch.zeros_like(codes, dtype=torch.bool)
    slight = _range_within(codes, _SLOPE_WINDOW) <= _SLIGHT
    for dim in (-1, -2):
        if codes.shape[dim] < 2 * PLATEAU + 2:
            continue
        step = codes.diff(dim=dim).abs()
        length = step.shape[dim] - 2 * PLATEAU
        near = (step.narrow(dim, k, length) for k in range(2 * PLATEAU + 1) if k != PLATEAU)
        around = reduce(torch.maximum, near)
        middle = step.narrow(dim, PLATEAU, length)
        edge = (middle >= least) & (middle <= STEPS[1]) & (around <= _EVEN)
        edge &= _goes_on(edge, dim)
        for side in (0, 1):
            found.narrow(dim, PLATEAU + side, length).logical_or_(edge)
    return found & slight


def _goes_on(edge: Tensor, dim: int) -> Tensor:
    """Where an edge is part of a line across ``dim``: bands have long ones, dither has not."""
    wide, long = ((3, 1), (1, _LINE)) if dim == -1 else ((1, 3), (_LINE, 1))  # width and height
    thick = cv2.dilate(edge.byte().numpy(), np.ones(wide[::-1], np.uint8))
    of_line = cv2.boxFilter(thick, -1, long, normalize=False, borderType=cv2.BORDER_CONSTANT)
    return torch.from_numpy(np.asarray(of_line > _OF_LINE))


def banding(luma: Tensor) -> float:
    """Share of the pixels, in per mille, that lie at the edge of a band."""
    return 1000 * float(band_edges(luma).float().mean())


def _range_within(x: Tensor, window: int) -> Tensor:
    """Largest minus smallest value in a window around each pixel.

    OpenCV's time does not grow with the window's area, torch's does: thirtyfold for 33 pixels.
    """
    window_ = cv2.getStructuringElement(cv2.MORPH_RECT, (window, window))
    span = cv2.morphologyEx(x.contiguous().numpy(), cv2.MORPH_GRADIENT, window_)
    return torch.from_numpy(np.asarray(span, np.float32))


class Edges:
    """The steepest edges of a guide, to measure other pictures of the same frame at.

    Slopes are taken along the guide's own direction and with their sign: noise, which has none,
    averages out, and what is left says how steep edges are.

    Args:
        guide: (H, W) luma with little noise: a reference, or the mean of what is compared.
    """

    def __init__(self, guide: Tensor) -> None:
        down, across = _gradient(_smoothed(guide))
        steep = (down.square() + across.square()).sqrt()
        flat = steep.flatten()
        least = flat.kthvalue(max(1, round((1 - _STEEPEST) * flat.numel()))).values
        self._where = steep > torch.clamp(least, min=_TINY)
        norm = steep[self._where].clamp(min=_TINY)
        self._down, self._across = down[self._where] / norm, across[self._where] / norm

    def sharpness(self, luma: Tensor) -> float:
        """Mean slope at the edges, in 8-bit codes a pixel; 0 where there are none."""
        if not bool(self._where.any()):
            return 0.0
        down, across = _gradient(luma)
        along = down[self._where] * self._down + across[self._where] * self._across
        return 255 * float(along.mean())


def _gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    padded = functional.pad(x[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    return down, (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2


def _smoothed(x: Tensor) -> Tensor:
    padded = functional.pad(x[None, None], (1, 1, 1, 1), mode="replicate")
    return functional.avg_pool2d(padded, 3, 1)[0, 0]
