"""What of a picture can tell how noisy it is, and what cannot: bars, clipped and repeated samples.

Noise that is not seen in a constant, at the end of the range or in what is the frame before once
more is no sign of a clean picture, and must not be counted as one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# Shares of a block's samples from which it is left out
CLIPPED = 0.05  # at an end of the range: more takes noise away
REPEATED = 0.9  # those of the frame before: noise leaves fewer the same
EVEN = 0.25  # of exactly the level of all around them: drawn, or graded to nothing

_MENTIONED = 0.02  # share of the picture that is worth a word
_HALF_CODE = 0.6 / 255  # and a little: samples that differ by less are one code of 8 bits
_BEYOND = 0.05  # samples beyond an end, to one at it, from which it is no end
_SAME = 1e-6  # difference of samples that are the same
_AROUND = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class LeftOut:
    """How many blocks were looked at, and how many of them could not tell of noise, and why."""

    drawn: Tensor  # (k, 2) row and column of the middle of those that are even, in luma pixels
    bars: float = 1.0  # share of the frame that they take
    looked_at: int = 0  # blocks of the rest
    clipped: int = 0
    even: int = 0
    repeated: int = 0


@dataclass(frozen=True, eq=False)
class Evidence:
    """What of a shot could tell of noise, and what the rest was, the largest part first."""

    share: float
    left_out: tuple[str, ...]


def evidence(counts: Sequence[LeftOut]) -> Evidence:
    """Put the samples of a shot together."""
    inside = [1 - c.bars for c in counts]
    whole = sum(c.looked_at for c in counts)
    lost = {
        "clipped levels": sum(c.clipped for c in counts),
        "drawn or even areas": sum(c.even for c in counts),
        "areas that stand still to the bit": sum(c.repeated for c in counts),
    }
    picture = sum(inside) / max(len(inside), 1)
    shares = {word: picture * n / max(whole, 1) for word, n in lost.items()}
    share = picture - sum(shares.values()) if whole else 0.0
    shares["bars"] = 1 - picture
    words = sorted(shares, key=lambda word: -shares[word])
    return Evidence(share, tuple(word for word in words if shares[word] > _MENTIONED))


@dataclass(frozen=True, eq=False)
class Marks:
    """Samples of a plane that cannot tell of noise: (H, W), shares where chroma covers several."""

    clipped: Tensor  # at an end of the range, in this frame or the one before
    repeated: Tensor  # the same as in the frame before
    even: Tensor  # exactly as bright as all eight around, in this frame or the one before

    def reduced(self, ratio: tuple[int, int]) -> Marks:
        """Reduce to the density of a plane with ``ratio`` luma pixels (down, across) to each of
        its."""
        if ratio == (1, 1):
            return self

        def mean(x: Tensor) -> Tensor:
            return functional.avg_pool2d(x[None, None], ratio, ceil_mode=True)[0, 0]

        return Marks(mean(self.clipped), mean(self.repeated), mean(self.even))


def marks(luma: Tensor, before: Tensor | None) -> Marks:
    """What cannot tell in a frame (H, W), compared with the one before, or alone."""
    clipped, even = at_ends(luma), _even(luma)
    if before is None:
        return Marks(clipped.float(), torch.zeros_like(luma), even.float())
    repeated = (luma - before).abs() <= _SAME
    clipped, even = clipped | at_ends(before), even | _even(before)
    return Marks(clipped.float(), repeated.float(), even.float())


def _even(luma: Tensor) -> Tensor:
    """(H, W) bool: samples of the same level as their eight neighbors."""
    plane = luma.numpy()
    least, most = (
        change(plane, _AROUND, borderType=cv2.BORDER_REPLICATE)
        for change in (cv2.erode, cv2.dilate)
    )
    return torch.from_numpy(cv2.subtract(most, least, dst=most) <= _SAME)


def at_ends(luma: Tensor) -> Tensor:
    """(H, W) bool: samples at the lowest or highest level there is.

    Black and white of the range are such levels unless a good share of samples lies beyond them.
    """
    plane = luma.numpy()
    low, high = (float(level) for level in luma.aminmax())

    def count(least: float, most: float) -> int:
        return cv2.countNonZero(cv2.inRange(plane, least, most))

    for end, beyond in ((0.0, (-math.inf, -_HALF_CODE)), (1.0, (1 + _HALF_CODE, math.inf))):
        there = count(end - _HALF_CODE, end + _HALF_CODE)
        if there and count(*beyond) <= _BEYOND * there:
            low, high = (end, high) if end == 0 else (low, end)
    inside = cv2.inRange(plane, low + _HALF_CODE, high - _HALF_CODE)
    return torch.from_numpy(inside == 0)
