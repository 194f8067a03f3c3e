"""What a pixel of a sensor is off by, and the picture at its place, from the pixels beside it."""

from __future__ import annotations

import torch
from torch import Tensor

from vdenoise.picture.windows import pad, shift

_WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))  # there and back: a pixel lies between two of each
_APART = 2  # px: a demosaiced pixel has made a cross of itself
_FLAT = 1.0 / 255  # of two opposite neighbors that differ by much less none is the better guess


def pairs(pixels: Tensor, apart: int) -> list[tuple[Tensor, Tensor]]:
    """The pixels on both sides of each, so far apart, in four ways."""
    padded = pad(pixels, apart)
    return [
        (
            shift(padded, apart * dy, apart * dx, apart),
            shift(padded, -apart * dy, -apart * dx, apart),
        )
        for dy, dx in _WAYS
    ]


def contrast(pixels: Tensor) -> Tensor:
    """Measure by how much pixels lie above (or, negative, below) the mean of opposite neighbors in
    every way that a line may go: a line or an edge has none."""
    beyond = [pixels - (a + b) / 2 for a, b in pairs(pixels, _APART)]
    low = torch.stack(beyond).amin(0)
    high = torch.stack(beyond).amax(0)
    return low.clamp(min=0) + high.clamp(max=0)


def guess(pixels: Tensor) -> Tensor:
    """Pixels from those around them, along edges: of opposite ones most counts what is alike."""
    total, weights = torch.zeros_like(pixels), torch.zeros_like(pixels)
    for a, b in pairs(pixels, 1):
        weight = 1 / ((a - b).square() + _FLAT**2)
        total += weight * (a + b) / 2
        weights += weight
    return total / weights


def off(around: Tensor, where: Tensor) -> Tensor:
    """(T, N) what pixels differ by from a guess, in each of (T, C, H, W), where (C, H, W) says."""
    return torch.stack([(n - guess(n))[where] for n in around])


def mended(around: Tensor, own: Tensor, share: Tensor) -> Tensor:
    """A frame without what its pixels are off by in all frames around. What that leaves lies
    within what is beside it, so that a pixel that is clipped, or shines more in the light, is
    no hole."""
    where = (share > 0).expand_as(own)
    if not where.any():
        return own.clone()
    usual = off(around, where[0]).median(0).values
    beside = torch.stack([x[where] for pair in pairs(own, 1) for x in pair])
    found = (own[where] - usual).clamp(beside.amin(0), beside.amax(0))
    fixed = own.clone()
    fixed[where] = torch.lerp(own[where], found, share[where])
    return fixed


def stands_alone(pixels: Tensor, times: float) -> Tensor:
    """Where a pixel exceeds the eight around it by more than so many times what these span."""
    beside = torch.stack([x for pair in pairs(pixels, 1) for x in pair])
    high, low = beside.amax(0), beside.amin(0)
    return torch.maximum(pixels - high, low - pixels) > times * (high - low)
