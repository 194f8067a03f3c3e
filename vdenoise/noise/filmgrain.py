"""Film grain for AV1, fitted to what a run removed: for the frame headers, or as a table.

The table is the text that aomenc (``--film-grain-table``) and SvtAv1EncApp (``--fgs-table``) read.

The fit follows libaom's noise model: in the flattest blocks, least squares for the filter, the
mean square by level for the scaling. It is made from the source and the finished clip, so it holds
just what the clip lacks against its source.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.atomic import write_text
from vdenoise.codes import apply_correction, to_yuv
from vdenoise.color import lift
from vdenoise.draws import normal
from vdenoise.errors import OutputError
from vdenoise.frame import ClipInfo, PixelFormat, SourceFrame
from vdenoise.grainparams import LAG, NO_GRAIN, GrainParams, grain_seed

TICKS = 10_000_000  # of the table's times, in a second
FOREVER = 2**63 - 1
WHITE = 32.0  # standard deviation of the decoder's 8-bit noise before the filter

# Positions before a pixel in scan order, in the order of the table's coefficients
NEIGHBORS = tuple((y, x) for y in range(-LAG, 1) for x in range(-LAG, LAG + 1) if (y, x) < (0, 0))

_SPREAD = 3.5  # sigmas of the drawn grain that must fit
_EVERY = 3  # frames
_BLOCK = 32
_FLATTEST = 0.4  # share of the blocks that are fitted
_BINS = 14  # levels at which the strength is fitted: as many as the table has points for luma
_CHROMA_POINTS = 10
_LEAST_BLOCKS = 3  # in a level before it counts
_GAIN_SIZE = 192  # of the field on which a filter's gain is measured


@dataclass
class GrainFit:
    """Sums over the frames of one shot."""

    products: list[Tensor] = field(default_factory=list)  # normal equations of Y, Cb, Cr
    energy: list[Tensor] = field(default_factory=list)  # (bins,) sum of squares of Y, Cb, Cr
    count: list[Tensor] = field(default_factory=list)  # (bins,) pixels
    blocks: list[Tensor] = field(default_factory=list)  # (bins,) blocks

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
            for sums in (self.energy, self.count, self.blocks):
                sums.extend(torch.zeros(_BINS, dtype=torch.float64) for _ in planes)
        for n, plane in enumerate(planes):
            level = _resized(clean[0].double(), plane)
            under = None if n == 0 else _resized(luma[0], plane)
            for block, bin_ in _flat_blocks(plane, level, under):
                self.products[n] += block.T @ block
                self.energy[n][bin_] += block[:, 0].square().sum()
                self.count[n][bin_] += len(block)
                self.blocks[n][bin_] += 1

    def params(self) -> GrainParams | None:
        """The entry that fits best; None where nothing was removed."""
        if not self.products or sum(float(energy.sum()) for energy in self.energy) <= 0:
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
            [(x, s / gain * 2**halvings) for x, s in _curve(energy, count, blocks)]
            for gain, energy, count, blocks in zip(
                gains, self.energy, self.count, self.blocks, strict=True
            )
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


def _flat_blocks(plane: Tensor, level: Tensor, luma: Tensor | None) -> list[tuple[Tensor, int]]:
    """(pixels, 1 + neighbors) of each of the flattest blocks, and its level's bin."""
    height, width = plane.shape
    rows, columns = (height - 2 * LAG) // _BLOCK, (width - 2 * LAG) // _BLOCK
    if min(rows, columns) < 1:
        return []
    soft = functional.avg_pool2d(level[None, None], 3, 1, 1)[0, 0]
    slope = functional.pad(soft.diff(dim=0).square()[:, :-1] + soft.diff(dim=1).square()[:-1],
                           (0, 1, 0, 1))  # fmt: skip
    inside = (slice(LAG, LAG + rows * _BLOCK), slice(LAG, LAG + columns * _BLOCK))
    rough = functional.avg_pool2d(slope[inside][None, None], _BLOCK).flatten()
    mean = functional.avg_pool2d(level[inside][None, None], _BLOCK).flatten()
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
        level_bin = min(int(mean[at].item() / 256 * _BINS), _BINS - 1)
        found.append((torch.stack(parts).flatten(1).T, max(level_bin, 0)))
    return found


def _filter(products: Tensor) -> Tensor:
    """Least squares for the filter's coefficients, kept from ringing forever."""
    own, right = products[1:, 1:], products[1:, 0]
    ridge = 1e-3 * own.diagonal().mean().clamp(min=1e-9)
    taps = torch.linalg.solve(own + ridge * torch.eye(len(own), dtype=own.dtype), right)
    return taps if float(products[0, 0]) > 0 else torch.zeros_like(taps)


def _curve(energy: Tensor, count: Tensor, blocks: Tensor) -> list[tuple[int, float]]:
    """(8-bit level, sigma in codes) where blocks enough were seen; the ends are held."""
    seen = [n for n in range(_BINS) if blocks[n] >= min(_LEAST_BLOCKS, float(blocks.max()))]
    step = 256 / _BINS
    points = [
        (round((n + 0.5) * step), math.sqrt(float(energy[n] / count[n]))) for n in seen if count[n]
    ]
    if len(points) > _CHROMA_POINTS:  # chroma's limit; and so many are enough for luma
        points = [points[round(i * (len(points) - 1) / 9)] for i in range(_CHROMA_POINTS)]
    return points


def _resized(x: Tensor, like: Tensor) -> Tensor:
    """Averaged down to the size of a chroma plane."""
    if x.shape == like.shape:
        return x
    height, width = like.shape
    return functional.adaptive_avg_pool2d(x[None, None], (height, width))[0, 0]


class GrainTable:
    """Fits the grain of every shot while a clip is written; once it is, says what to draw."""

    def __init__(
        self,
        info: ClipInfo,
        out: PixelFormat,
        written: PixelFormat | None = None,
        *,
        seed: int = 0,
        share: float = 1.0,
    ) -> None:
        """For a clip like ``info`` whose result is in ``out``.

        Args:
            info: the source.
            out: layout of the result.
            written: as which it is coded, where RGB becomes YUV on the way.
            seed: of the run.
            share: of the grain's sigma that a decoder is to draw; tables hold all of it.
        """
        self._info, self._out, self._written = info, out, written or out
        self._seed, self._share = seed, share
        self._fits: dict[tuple[int, int], GrainFit] = {}
        self._starts: dict[tuple[int, int], Fraction] = {}
        self._zero: Fraction | None = None

    def push(self, source: SourceFrame, planes: Sequence[Tensor], shot: tuple[int, int]) -> None:
        """Add a frame and what became of it; one frame in `_EVERY` of a shot is looked at."""
        time = source.pts * source.time_base
        self._zero = time if self._zero is None else self._zero
        if shot not in self._fits:
            self._fits[shot], self._starts[shot] = GrainFit(), time - self._zero
        elif (source.index - shot[0]) % _EVERY:
            return
        before, after, full_range = self._as_coded(source.planes, planes)
        luma_codes, zero = (255.0, 0.0) if full_range else (219.0, 16.0)
        chroma_codes = 255.0 if full_range else 224.0
        removed = [(before[0] - after[0]) * luma_codes]
        if before[1] is not None and after[1] is not None:
            chroma = torch.stack([_resized(c, before[1][0]) for c in after[1]])
            removed.append((before[1] - chroma) * chroma_codes)
        self._fits[shot].push(removed, after[0] * luma_codes + zero)

    def _as_coded(
        self, source: Sequence[Tensor], planes: Sequence[Tensor]
    ) -> tuple[tuple[Tensor, Tensor | None], tuple[Tensor, Tensor | None], bool]:
        """Source and result in working units of what is coded, and whether that is full range."""
        fmt, out, full_range = self._info.format, self._out, self._info.full_range
        if self._written.family != out.family:
            source = apply_correction(source, None, None, fmt, full_range, out=out)
            source, planes = (to_yuv(each, out, self._written) for each in (source, planes))
            fmt = out = self._written
            full_range = False
        return lift(source, fmt, full_range), lift(planes, out, full_range), full_range

    @cached_property
    def _params(self) -> list[tuple[int, GrainParams | None]]:
        """First frame and grain of each shot, once all frames were seen."""
        return [(shot[0], fit.params()) for shot, fit in self._fits.items()]

    def bits(self, number: int, inter: bool) -> str:
        """``film_grain_params()`` of a frame, as zeros and ones, once all frames were seen.

        Args:
            number: absolute number of the frame.
            inter: whether it is coded as an inter frame.
        """
        at = bisect_right(self._params, number, key=lambda entry: entry[0])
        params = self._params[at - 1][1]
        if params is None:
            return NO_GRAIN
        return params.times(self._share).bits(grain_seed(number, self._seed), inter=inter)

    def save(self, path: Path) -> None:
        """Write the table; a shot from which nothing was removed has no entry.

        Raises:
            OutputError: it cannot be written.
        """
        starts = [round(self._starts[shot] * TICKS) for shot in self._fits]
        entries = [
            (start, end, params)
            for start, end, (_, params) in zip(
                starts, [*starts[1:], FOREVER], self._params, strict=True
            )
            if params is not None
        ]
        save_table(entries, path, seed=self._seed)


def save_table(
    entries: Sequence[tuple[int, int, GrainParams]], path: Path, *, seed: int = 0
) -> None:
    """Write a table.

    Args:
        entries: first time, time after the last, and what to draw, in order; times in `TICKS`.
        path: where to.
        seed: of the run; each entry draws its own grain.

    Raises:
        OutputError: it cannot be written.
    """
    text = ["filmgrn1\n"]
    for number, (start, end, params) in enumerate(entries):
        text.append(params.text(start, end, (7391 + 173 * number + 31 * seed) % 65536))
    try:
        write_text(path, "".join(text))
    except OSError as error:
        raise OutputError(
            f"The grain table {path} cannot be written: {error.strerror}.",
            "Name a place that can be written to.",
            number=12,
        ) from error
