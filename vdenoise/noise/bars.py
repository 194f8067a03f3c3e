"""Bars and borders: lines at a frame's sides that hold no picture. They are not measured, and stay.

They may be black, gray or tinted, with a soft edge or one that rings: a line is part of a bar where
it is of the bar's level all along.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Lines = NDArray[np.float32]

PURE = 0.5 / 255  # mean deviation of a bar's line from the bar's level
BENT_PURE = PURE / 10  # behind a curve: with highlights above it, noise is less than half a code
_RINGING = 3.0 / 255  # the same, where the picture's edge rings into the bar ...
_RINGS = 8  # ... over at most so many lines: the blocks of codecs
_THINNEST = 2  # lines that make a bar
_SMALLEST = 32  # pixels of picture between bars: less is a dark frame
_CHUNK = 16  # lines looked at together


class Bars(NamedTuple):
    """Lines at each side of a frame that hold no picture."""

    top: int
    bottom: int
    left: int
    right: int


NO_BARS = Bars(0, 0, 0, 0)


def bars_of(luma: Tensor, pure: float = PURE) -> Bars | None:
    """Bars of one frame (H, W) whose lines deviate by less than ``pure`` from their level; None
    where it is of one level as a whole, or nearly."""
    plane: Lines = luma.numpy()
    height, width = plane.shape
    least_height, least_width = (min(_SMALLEST, size // 2) for size in plane.shape)
    top, bottom = _depth(plane, pure), _depth(plane[::-1], pure)
    if top + bottom > height - least_height:
        return None
    left, right = _depth(plane.T, pure), _depth(plane.T[::-1], pure)
    if left + right > width - least_width:
        return None
    return Bars(*(n if n >= _THINNEST else 0 for n in (top, bottom, left, right)))


def _depth(lines: Lines, least: float) -> int:
    """How many of (n, m) lines, from the first one on, hold one and the same level.

    A codec's ringing belongs to the bar where the picture's edge follows close behind it.
    """
    level = float(np.median(lines[0]))

    def off(first: int, count: int) -> Lines:
        return np.asarray(np.abs(lines[first : first + count] - level).mean(1), np.float32)

    pure = 0
    while pure < len(lines):
        here = off(pure, _CHUNK) < least
        pure += int(here.argmin()) if not here.all() else len(here)
        if not here.all():
            break
    if pure < _THINNEST or pure == len(lines):
        return pure
    clear = off(pure, _RINGS + 1) >= _RINGING
    return pure + (int(clear.argmax()) if clear.any() else 0)


def without_bars(correction: Tensor, luma: Tensor, bars: Bars, pure: float = PURE) -> Tensor:
    """A correction that leaves the bars of a frame alone.

    Args:
        correction: (C, h, w) of luma or chroma; it is changed in place.
        luma: (1, 1, H, W) of the frame.
        bars: of its shot. Lines that are none in this very frame are no bars: a profile may have
            been measured elsewhere.
        pure: as for `bars_of`.
    """
    if bars == NO_BARS:
        return correction
    here = bars_of(luma[0, 0].cpu(), pure)
    if here is not None:
        bars = Bars(*map(min, here, bars))
    height, width = correction.shape[-2:]
    down, across = -(-luma.shape[-2] // height), -(-luma.shape[-1] // width)
    correction[:, : bars.top // down] = 0
    correction[:, height - bars.bottom // down :] = 0
    correction[..., : bars.left // across] = 0
    correction[..., width - bars.right // across :] = 0
    return correction


def common_bars(found: Iterable[Bars | None]) -> Bars:
    """What is bar in all frames of a shot that show something."""
    seen = [bars for bars in found if bars is not None]
    if not seen:
        return NO_BARS
    return Bars(*(min(side) for side in zip(*seen, strict=True)))
