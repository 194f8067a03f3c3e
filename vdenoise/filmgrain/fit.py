"""Film grain for AV1, fitted to what a run removed.

The fit follows libaom's noise model: in the flattest blocks, least squares for the filter, the
mean square by level for the scaling. For the latter blocks are small, and the flattest of each
level: what is bright or dark is often small, and its grain the weakest. It is made from the source
and the finished clip, so it holds just what the clip lacks against its source.

What a decoder makes of the numbers is not tried out but known: a filter's gain follows from its
frequency response.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.filmgrain.params import LAG, GrainParams

WHITE = 32.0  # standard deviation of the decoder's 8-bit noise before the filter

# Positions before a pixel in scan order, in the order of the table's coefficients
NEIGHBORS = tuple((y, x) for y in range(-LAG, 1) for x in range(-LAG, LAG + 1) if (y, x) < (0, 0))

_SPREAD = 3.5  # sigmas of the drawn grain that must fit
_BLOCK, _SMALL = 32, 8  # pixels: for the filter, and (of luma) for the strength at a level
_FLATTEST = 0.4  # share of the blocks that are fitted: of all, and of each level's small ones
_BINS = 64  # levels at which the strength is measured ...
_POINTS = (14, 10, 10)  # ... and most points of the curve through them: what AV1 has room for
_LEAST_BLOCKS = 3  # small ones in a level before it counts
_PLENTY = 300  # small blocks: more do not make a level more certain
_UNSURE = 0.2  # relative error of the sigma that one small block shows
_BEND = 0.1  # usual bend of the curve at a point, as a share of its height
_FINE = 128  # frequencies on each axis of chroma at which a filter's response is looked at


@dataclass
class GrainFit:
    """Sums over the frames of one shot."""

    products: list[Tensor] = field(default_factory=list)  # normal equations of Y, Cb, Cr
    pixels: list[int] = field(default_factory=list)  # that they are sums over
    ratio: tuple[int, int] = (2, 2)  # rows and columns of luma to one of chroma
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
            self.pixels = [0] * len(planes)
            self.strengths = [torch.zeros(3, _BINS, dtype=torch.float64) for _ in planes]
            height, width = planes[-1].shape
            self.ratio = -(-luma.shape[-2] // height), -(-luma.shape[-1] // width)
        for n, plane in enumerate(planes):
            level = resized(clean[0].double(), plane)
            under = None if n == 0 else resized(luma[0], plane)
            for block in _flat_blocks(plane, level, under):
                self.products[n] += block.T @ block
                self.pixels[n] += len(block)
            if min(plane.shape) > 2 * _SMALL:
                size = _SMALL // (1 if n == 0 else max(self.ratio))
                self.strengths[n] += _energy_by_level(plane, level, size)

    def params(self) -> GrainParams | None:
        """The entry that fits best; None where nothing was removed."""
        if not self.products or sum(float(s[0].sum()) for s in self.strengths) <= 0:
            return None
        exact = [_filter(products) for products in self.products]
        # Fitted to grain of luma and chroma as strong as they are; drawn from white noise that is
        # equally strong in both, and made as strong as they are after that
        whites = [_white(*each) for each in zip(self.products, exact, self.pixels, strict=True)]
        for taps, white in zip(exact[1:], whites[1:], strict=True):
            taps[-1] = (taps[-1] * (whites[0] / max(white, 1e-6))).clamp(-1, 1)
        largest = max(float(taps.abs().max()) for taps in exact)
        shift = min(max(7 - math.ceil(math.log2(max(largest, 1e-6) * 128 / 127)), 6), 9)
        filters = [
            tuple(max(-128, min(127, round(float(t) * 2**shift))) for t in taps) for taps in exact
        ]
        gains = filter_gains(filters, shift, self.ratio)
        largest = max(gains) * WHITE * _SPREAD / 127
        halvings = min(max(math.ceil(math.log2(largest)), 0), 3)
        curves = [
            [(x, s / gain * 2**halvings) for x, s in _curve(strengths, most)]
            for gain, strengths, most in zip(gains, self.strengths, _POINTS, strict=False)
        ]
        highest = max((y for curve in curves for _, y in curve), default=0.0)
        bits = min(max(math.floor(math.log2(max(highest, 1e-6)) + 1), 2), 5)
        factor = 2 ** (8 - bits)  # scaling times the decoder's white noise, in 1/2^scaling_shift
        points = [tuple((x, min(255, round(y * factor))) for x, y in curve) for curve in curves]
        points += [()] * (3 - len(points))
        filters += [(0,) * (len(NEIGHBORS) + 1)] * (3 - len(filters))
        return GrainParams(tuple(points), tuple(filters), shift, 13 - bits, halvings)


def filter_gains(
    filters: Sequence[Sequence[int]], shift: int, ratio: tuple[int, int] = (2, 2)
) -> list[float]:
    """Sigma of what a decoder draws of each plane, in units of its white noise, before scaling.

    Args:
        filters: 24 coefficients of Y; 25 of Cb and Cr, the last on luma.
        shift: of the coefficients.
        ratio: rows and columns of luma that are averaged to one of chroma.
    """
    down, across = ratio
    luma = _response(filters[0], shift, (down * _FINE, across * _FINE))
    # A mean over blocks, and of it a pixel a block: what is finer than these folds back
    averaged = luma * _box_response(down)[:, None] * _box_response(across)
    averaged = averaged.view(down, _FINE, across, _FINE).mean((0, 2))
    found = [luma.mean()]
    for taps in filters[1:]:
        heard = averaged * (taps[-1] / 2**shift) ** 2
        found.append((_response(taps, shift, (_FINE, _FINE)) * (1 + heard)).mean())
    return [math.sqrt(float(power)) for power in found]


def _response(taps: Sequence[int], shift: int, size: tuple[int, int]) -> Tensor:
    """Power at each frequency of white noise of variance 1 through a filter: each pixel plus its
    weighted neighbors before it."""
    kernel = torch.zeros(size, dtype=torch.float64)
    kernel[0, 0] = 1
    for (y, x), tap in zip(NEIGHBORS, taps, strict=False):
        kernel[-y, -x] = -tap / 2**shift
    power: Tensor = 1 / torch.fft.fft2(kernel).abs().square()
    return power


def _box_response(size: int) -> Tensor:
    """(size * _FINE,) power of a mean over so many pixels."""
    kernel = torch.zeros(size * _FINE, dtype=torch.float64)
    kernel[:size] = 1 / size
    power: Tensor = torch.fft.fft(kernel).abs().square()
    return power


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


def _energy_by_level(plane: Tensor, level: Tensor, small: int) -> Tensor:
    """(3, bins): the mean squares of small blocks added up, their levels, and how many there were;
    the flattest of each bin."""
    side = min(_BLOCK, *plane.shape) // 2 * 2 - 1
    around = functional.avg_pool2d(plane[None, None], side, 1, side // 2, count_include_pad=False)
    parts = (plane - around[0, 0]).square(), _steepness(level), level
    power, rough, mean = (functional.avg_pool2d(p[None, None], small).flatten() for p in parts)
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


def _white(products: Tensor, taps: Tensor, pixels: int) -> float:
    """Sigma of what the filter does not explain: of the white noise that it colors."""
    inner = torch.cat([torch.ones(1, dtype=taps.dtype), -taps])
    return math.sqrt(max(float(inner @ products @ inner), 0) / max(pixels, 1))


def _curve(strengths: Tensor, most: int) -> list[tuple[int, float]]:
    """(8-bit level, sigma in codes), at most so many: straight lines from point to point, as a
    decoder draws them, that come nearest to the sigma of all levels of which blocks enough were
    seen. Beyond the first and the last point it is theirs."""
    energy, levels, blocks = strengths
    seen = blocks >= min(_LEAST_BLOCKS, max(float(blocks.max()), 1))
    level = (levels[seen] / blocks[seen]).clamp(0, 255)
    sigma = (energy[seen] / blocks[seen]).sqrt()
    if not len(level):
        return []
    first, last = round(float(level[0])), round(float(level[-1]))
    count = min(most, len(level), last - first + 1)
    points = torch.linspace(first, last, count).round().double()
    if count == 1:
        return [(first, float(sigma.mean()))]
    above = torch.searchsorted(points, level.contiguous()).clamp(1, count - 1)
    share = ((level - points[above - 1]) / (points[above] - points[above - 1])).clamp(0, 1)
    lines = torch.zeros(len(level), count, dtype=torch.float64)
    rows = torch.arange(len(level))
    lines[rows, above - 1], lines[rows, above] = 1 - share, share
    # Relative errors count; a level where nothing was removed is as good as any
    scale = sigma.clamp(min=0.1 * float(sigma.max()) + 1e-6)
    weight = blocks[seen].clamp(max=_PLENTY).sqrt() / (_UNSURE * scale)
    usual = float(sigma.mean()) + 1e-6
    bends = torch.eye(count, dtype=torch.float64).diff(dim=0).diff(dim=0) / (_BEND * usual)
    left = torch.cat([lines * weight[:, None], bends])
    right = torch.cat([sigma * weight, torch.zeros(len(bends), dtype=torch.float64)])
    found = torch.linalg.lstsq(left, right[:, None]).solution[:, 0].clamp(min=0)
    return [(int(x), y) for x, y in zip(points.tolist(), found.tolist(), strict=True)]


def resized(x: Tensor, like: Tensor) -> Tensor:
    """Averaged down to the size of a chroma plane."""
    if x.shape == like.shape:
        return x
    height, width = like.shape
    return functional.adaptive_avg_pool2d(x[None, None], (height, width))[0, 0]
