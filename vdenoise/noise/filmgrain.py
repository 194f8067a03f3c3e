"""Film grain for AV1, fitted to what a run removed.

The fit follows libaom's noise model: in the flattest blocks, least squares for the filter, the
mean square by level for the scaling. For the latter blocks are small, and the flattest of each
level: what is bright or dark is often small, and its grain the weakest. It is made from the source
and the finished clip, so it holds just what the clip lacks against its source.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.draws import normal
from vdenoise.grainparams import LAG, GrainParams

WHITE = 32.0  # standard deviation of the decoder's 8-bit noise before the filter

# Positions before a pixel in scan order, in the order of the table's coefficients
NEIGHBORS = tuple((y, x) for y in range(-LAG, 1) for x in range(-LAG, LAG + 1) if (y, x) < (0, 0))

_SPREAD = 3.5  # sigmas of the drawn grain that must fit
_BLOCK, _SMALL = 32, 8  # pixels: for the filter, and for the strength at a level
_FLATTEST = 0.4  # share of the blocks that are fitted: of all, and of each level's small ones
_BINS = 14  # levels at which the strength is fitted: as many as the table has points for luma
_CHROMA_POINTS = 10
_LEAST_BLOCKS = 12  # small ones in a level before it counts
_GAIN_SIZE = 192  # of the field on which a filter's gain is measured


@dataclass
class GrainFit:
    """Sums over the frames of one shot."""

    products: list[Tensor] = field(default_factory=list)  # normal equations of Y, Cb, Cr
    # Of Y, Cb, Cr: by level the sums of small blocks' mean squares, of their levels, of blocks
    strengths: list[Tensor] = field(default_factory=list)  # (3, bins)

    def push(self, removed: Sequence[Tensor], clean: Tensor) -> None:
        """Add a frame.

        Args:
            removed: source less result, luma (1, H, W) and, if there is any, chroma (2, h, w), in
                8-bit codes.
            clean: luma of the result (1, H, W), in 8-bit codes.
        """
        luma = removed[0].double()
        planes = [luma[0]]
        if len(removed) > 1:
            planes += list(removed[1].double())
        if not self.products:
            size = len(NEIGHBORS) + 1
            sizes = [size] + [size + 1] * (len(planes) - 1)
            self.products = [torch.zeros(n, n, dtype=torch.float64) for n in sizes]
            self.strengths = [torch.zeros(3, _BINS, dtype=torch.float64) for _ in planes]
        for n, plane in enumerate(planes):
            level = resized(clean[0].double(), plane)
            under = None if n == 0 else resized(luma[0], plane)
            for block in _flat_blocks(plane, level, under):
                self.products[n] += block.T @ block
            if min(plane.shape) > 2 * _SMALL:
                self.strengths[n] += _energy_by_level(plane, level)

    def params(self) -> GrainParams | None:
        """The entry that fits best; None where nothing was removed."""
        if not self.products or sum(float(s[0].sum()) for s in self.strengths) <= 0:
            return None
        exact = [_filter(products) for products in self.products]
        largest = max(float(taps.abs().max()) for taps in exact)
        shift = min(max(7 - math.ceil(math.log2(max(largest, 1e-6) * 128 / 127)), 6), 9)
        filters = [
            tuple(max(-128, min(127, round(float(t) * 2**shift))) for t in taps) for taps in exact
        ]
        fields = drawn(filters, shift)
        gains = [float(grain.std()) for grain in fields]
        most = max(gains) * WHITE * _SPREAD / 127
        halvings = min(max(math.ceil(math.log2(most)), 0), 3)
        curves = [
            [(x, s / gain * 2**halvings) for x, s in _curve(*strengths)]
            for gain, strengths in zip(gains, self.strengths, strict=True)
        ]
        highest = max((y for curve in curves for _, y in curve), default=0.0)
        bits = min(max(math.floor(math.log2(max(highest, 1e-6)) + 1), 2), 5)
        factor = 2 ** (8 - bits)  # scaling times the decoder's white noise, in 1/2^scaling_shift
        points = [
            tuple(
                (x, min(255, round(y * factor))) for x, y in curve[: (_BINS, _CHROMA_POINTS)[n > 0]]
            )
            for n, curve in enumerate(curves)
        ]
        points += [()] * (3 - len(points))
        filters += [(0,) * (len(NEIGHBORS) + 1)] * (3 - len(filters))
        return GrainParams(tuple(points), tuple(filters), shift, 13 - bits, halvings)


def drawn(filters: Sequence[Sequence[int]], shift: int, size: int = _GAIN_SIZE) -> list[Tensor]:
    """Fields (size, size) that a decoder would draw, in units of its white noise; chroma's luma
    coefficient takes luma at chroma's own size."""
    luma: Tensor | None = None
    found = []
    for n, taps in enumerate(filters):
        white = normal(range(size + 2 * LAG), range(size + 2 * LAG), 0, 0, n).double()
        weights = torch.tensor(taps[: len(NEIGHBORS)], dtype=torch.float64) / 2**shift
        if n and luma is not None:
            white[LAG:-LAG, LAG:-LAG] += luma * (taps[-1] / 2**shift)
        plane = _recursive(white, weights)[LAG:-LAG, LAG:-LAG]
        luma = plane if n == 0 else luma
        found.append(plane)
    return found


def _recursive(white: Tensor, weights: Tensor) -> Tensor:
    """The autoregressive filter: each pixel plus its weighted neighbors before it."""
    values = white.numpy().copy()
    taps = [(y, x, w) for (y, x), w in zip(NEIGHBORS, weights.tolist(), strict=True)]
    above = [(y, x, w) for y, x, w in taps if y < 0]
    before = [(x, w) for y, x, w in taps if y == 0]
    height, width = values.shape
    for row in range(LAG, height):
        line = values[row]
        for y, x, w in above:
            line[LAG : width - LAG] += w * values[row + y, LAG + x : width - LAG + x]
        for column in range(LAG, width - LAG):
            line[column] += sum(w * line[column + x] for x, w in before)
    return torch.from_numpy(values)


def _flat_blocks(plane: Tensor, level: Tensor, luma: Tensor | None) -> list[Tensor]:
    """(pixels, 1 + neighbors) of each of the flattest blocks."""
    height, width = plane.shape
    rows, columns = (height - 2 * LAG) // _BLOCK, (width - 2 * LAG) // _BLOCK
    if min(rows, columns) < 1:
        return []
    inside = (slice(LAG, LAG + rows * _BLOCK), slice(LAG, LAG + columns * _BLOCK))
    rough = functional.avg_pool2d(_steepness(level)[inside][None, None], _BLOCK).flatten()
    chosen = rough.argsort()[: max(1, round(_FLATTEST * len(rough)))]
    found = []
    for at in chosen.tolist():
        top, left = LAG + at // columns * _BLOCK, LAG + at % columns * _BLOCK
        size = (slice(top, top + _BLOCK), slice(left, left + _BLOCK))
        center = plane[size].mean()
        parts = [plane[size] - center]
        for y, x in NEIGHBORS:
            moved = plane[top + y : top + y + _BLOCK, left + x : left + x + _BLOCK]
            parts.append(moved - center)
        if luma is not None:
            parts.append(luma[size] - luma[size].mean())
        found.append(torch.stack(parts).flatten(1).T)
    return found


def _energy_by_level(plane: Tensor, level: Tensor) -> Tensor:
    """(3, bins): the mean squares of small blocks added up, their levels, and how many there were;
    the flattest of each bin."""
    side = min(_BLOCK, *plane.shape) // 2 * 2 - 1
    around = functional.avg_pool2d(plane[None, None], side, 1, side // 2, count_include_pad=False)
    parts = (plane - around[0, 0]).square(), _steepness(level), level
    power, rough, mean = (functional.avg_pool2d(p[None, None], _SMALL).flatten() for p in parts)
    bins = (mean / 256 * _BINS).long().clamp(0, _BINS - 1)
    sums = torch.zeros(3, _BINS, dtype=torch.float64)
    for n in set(bins.tolist()):
        here = (bins == n).nonzero()[:, 0]
        flat = here[rough[here].argsort()[: math.ceil(_FLATTEST * len(here))]]
        sums[:, n] = torch.stack([power[flat].sum(), mean[flat].sum(), torch.tensor(len(flat))])
    return sums


def _steepness(level: Tensor) -> Tensor:
    """The square of the slope at every pixel."""
    soft = functional.avg_pool2d(level[None, None], 3, 1, 1)[0, 0]
    slope = soft.diff(dim=0).square()[:, :-1] + soft.diff(dim=1).square()[:-1]
    return functional.pad(slope, (0, 1, 0, 1))


def _filter(products: Tensor) -> Tensor:
    """Least squares for the filter's coefficients, kept from ringing forever."""
    own, right = products[1:, 1:], products[1:, 0]
    ridge = 1e-3 * own.diagonal().mean().clamp(min=1e-9)
    taps = torch.linalg.solve(own + ridge * torch.eye(len(own), dtype=own.dtype), right)
    return taps if float(products[0, 0]) > 0 else torch.zeros_like(taps)


def _curve(energy: Tensor, levels: Tensor, blocks: Tensor) -> list[tuple[int, float]]:
    """(8-bit level, sigma in codes) where blocks enough were seen; the ends are held."""
    seen = (blocks >= min(_LEAST_BLOCKS, max(float(blocks.max()), 1))).nonzero()[:, 0].tolist()
    found = {
        min(max(round(float(levels[n] / blocks[n])), 0), 255): float(energy[n] / blocks[n])
        for n in seen
    }
    points = [(level, math.sqrt(power)) for level, power in sorted(found.items())]
    if len(points) > _CHROMA_POINTS:  # chroma's limit; and so many are enough for luma
        points = [points[round(i * (len(points) - 1) / 9)] for i in range(_CHROMA_POINTS)]
    return points


def resized(x: Tensor, like: Tensor) -> Tensor:
    """Averaged down to the size of a chroma plane."""
    if x.shape == like.shape:
        return x
    height, width = like.shape
    return functional.adaptive_avg_pool2d(x[None, None], (height, width))[0, 0]
