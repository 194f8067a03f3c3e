"""One pass over all blocks of a picture: transform, shrink, transform back, average.

`vdenoise.picture.dct` says what for. On a processor it is ``compiled/dct.c``; what is here in torch
says the same, for cards and where there is no compiled library. A test holds them together.

Blocks are averaged over a *rank-1 lattice* of block offsets instead of a square grid: with 8
offsets that all differ in row and column the result is better than with the 16 of a 2-pixel
grid, at half the work (benchmarks/results/wiener.json).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from vdenoise import compiled

_TINY = 1e-12
_ROW = 16  # samples transformed by one product along a row: two blocks of 8, or one of 16

_STRIP = 1 << 17  # pixels worked on at once: a handful of float32 copies fit a core's cache

# ``hard`` thresholds, ``gains`` are Wiener's from a pilot; both keep every block's mean and weigh
# blocks by what noise is left in them. ``outliers`` and ``outlier gains`` take the mean for a
# coefficient like any other, and all blocks count alike.
Kind = Literal["hard", "gains", "outliers", "outlier gains"]
_KINDS: tuple[Kind, ...] = ("hard", "gains", "outliers", "outlier gains")  # as in dct.c

# Shrinks coefficients (C, H/b, b, W) in place. Also given: the noise variance of each block
# (C, H/b, W/b), that of its coefficients relative to it (C, 1, b, W), the pilot's coefficients,
# and the threshold. Returns the weight of each block and the share of its noise variance left.
Shrink = Callable[[Tensor, Tensor, Tensor, Tensor | None, float], tuple[Tensor, Tensor]]


@cache
def dct_matrix(size: int) -> Tensor:
    """Orthonormal type-II DCT, (size, size): rows are basis functions."""
    k = torch.arange(size, dtype=torch.float64)[:, None]
    i = torch.arange(size, dtype=torch.float64)[None]
    basis = torch.cos(math.pi * (2 * i + 1) * k / (2 * size)) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis.float()


@cache
def _bases(block: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The DCT along columns, (b, b), and along rows, as one 16x16 matrix of whole blocks."""
    basis = dct_matrix(block)
    rows = torch.kron(torch.eye(_ROW // block), basis)
    return basis.to(device, dtype), rows.to(device, dtype)


@cache
def lattice(block: int, count: int) -> tuple[tuple[int, int], ...]:
    """``count`` block offsets (y, x) that spread evenly and differ in row and column.

    Up to ``block`` offsets form a rank-1 lattice; twice as many, two shifted ones.
    """
    assert count == 2 * block or block % count == 0, "a part, a whole or two lattices"
    step = max(block // count, 1)
    first = tuple((y, (3 * y + i % step) % block) for i, y in enumerate(range(0, block, step)))
    if count <= block:
        return first
    return first + tuple((y, (x + block // 2) % block) for y, x in first)


def one_pass(
    pixels: Tensor,
    variance: Tensor,
    spectrum: Tensor,
    block: int,
    count: int,
    kind: Kind,
    threshold: float = 0.0,
    *,
    pilot: Tensor | None = None,
    want_residual: bool = True,
) -> tuple[Tensor, Tensor]:
    """Transform, shrink, transform back and average, at so many positions of the grid of blocks.

    Args:
        pixels: (C, H, W), both sides multiples of ``block``.
        variance: (C, H, W) of the noise.
        spectrum: (C, block²) from `vdenoise.picture.dct.spectrum_for`.
        block: 8 or 16.
        count: positions, see `lattice`.
        kind: how coefficients are shrunk.
        threshold: in sigma, for the two kinds that have one.
        pilot: (C, H, W), for the two others.
        want_residual: False saves the map of what is left, which then is all zeros.

    Returns:
        The result, and the share of the noise variance that is left in it, both (C, H, W).
    """
    if compiled.serves(pixels, variance, spectrum, pilot):
        work = (pixels, variance, spectrum, block, count, kind, threshold, pilot)
        return _compiled(*work, want_residual)
    shrink = _SHRINKS[kind]
    total, residual, weights = (torch.zeros_like(pixels) for _ in range(3))
    shape = spectrum.reshape(-1, 1, block, block).repeat(1, 1, 1, pixels.shape[-1] // block)
    for y, x in lattice(block, count):
        columns = (pixels.shape[-1] - x) // block * block
        for top, bottom in _strips(y, pixels, block):
            window = (slice(None), slice(top, bottom), slice(x, x + columns))
            level = _block_sums(_rows(variance[window], block), block) / block**2
            coefficients = _forward(pixels[window], block)
            guess = None if pilot is None else _forward(pilot[window], block)
            weight, share = shrink(coefficients, level, shape[..., :columns], guess, threshold)
            wide = _wide(weight, block)
            # Not addcmul_: it rounds once or twice, depending on where in a row a pixel lies.
            _rows(total[window], block).add_(_inverse(coefficients, block).mul_(wide))
            _rows(weights[window], block).add_(wide)
            if want_residual:
                _rows(residual[window], block).add_(_wide(weight * share, block))
    weights.clamp_(min=_TINY)
    return total.div_(weights), residual.div_(weights)


def _compiled(
    pixels: Tensor,
    variance: Tensor,
    spectrum: Tensor,
    block: int,
    count: int,
    kind: Kind,
    threshold: float,
    pilot: Tensor | None,
    want_residual: bool,
) -> tuple[Tensor, Tensor]:
    """`one_pass` in C, plane by plane."""
    planes, height, width = pixels.shape
    pixels, variance = pixels.contiguous(), variance.contiguous()
    total, weights = torch.zeros_like(pixels), torch.zeros_like(pixels)
    residual = total.new_zeros(total.shape if want_residual else ()).expand_as(total)
    offsets = torch.tensor(lattice(block, count), dtype=torch.int64)
    # Its blocks lie with columns and rows exchanged, in halves of 8 numbers.
    shape = spectrum.reshape(planes, block // 8, 8, block).transpose(2, 3).contiguous()
    for n in range(planes):
        compiled.call(
            "dct_pass",
            pixels[n],
            variance[n],
            None if pilot is None else pilot[n],
            shape[n],
            height,
            width,
            block,
            offsets,
            count,
            _KINDS.index(kind),
            threshold,
            total[n],
            residual[n] if want_residual else None,
            weights[n],
        )
    return total, residual


def _hard(
    c: Tensor, level: Tensor, shape: Tensor, _: Tensor | None, threshold: float
) -> tuple[Tensor, Tensor]:
    block = c.shape[2]
    keep = (c * c).gt_(_wide(level, block) * (shape * threshold**2))
    keep[:, :, 0, ::block] = 1
    kept = _block_sums(keep, block)
    c.mul_(keep)
    return 1 / (kept * level + _TINY), kept / block**2


def _gains(
    c: Tensor, level: Tensor, shape: Tensor, pilot: Tensor | None, _: float
) -> tuple[Tensor, Tensor]:
    assert pilot is not None
    block = c.shape[2]
    power = pilot.square_()
    gain = power.div_((_wide(level, block) * shape).add_(power).add_(_TINY))
    gain[:, :, 0, ::block] = 1
    c.mul_(gain)
    residual = _block_sums(gain.square_().mul_(shape), block) * level
    return 1 / (residual + _TINY), (residual + _TINY) / (level * block**2 + _TINY)


def _outliers(
    c: Tensor, level: Tensor, shape: Tensor, _: Tensor | None, threshold: float
) -> tuple[Tensor, Tensor]:
    c.mul_((c * c).gt_((_wide(level, c.shape[2]) + _TINY) * (shape * threshold**2)))
    return torch.ones_like(level), level


def _outlier_gains(
    c: Tensor, level: Tensor, shape: Tensor, pilot: Tensor | None, _: float
) -> tuple[Tensor, Tensor]:
    assert pilot is not None
    power = pilot.square_()
    c.mul_(power.div_((_wide(level, c.shape[2]) * shape).add_(power).add_(_TINY)))
    return torch.ones_like(level), level


_SHRINKS: dict[Kind, Shrink] = {
    "hard": _hard,
    "gains": _gains,
    "outliers": _outliers,
    "outlier gains": _outlier_gains,
}


def _strips(first: int, pixels: Tensor, block: int) -> Iterator[tuple[int, int]]:
    """Rows of pixels, whole blocks at a time: what a processor's cache holds, or all at once."""
    planes, height, width = pixels.shape
    last = first + (height - first) // block * block
    step = last - first
    if compiled.on_processor(pixels):
        step = max(_STRIP // (planes * width * block), 1) * block
    for top in range(first, last, step):
        yield top, min(top + step, last)


def _rows(x: Tensor, block: int) -> Tensor:
    """A view of rows of blocks: (C, H, W) -> (C, H/b, b, W)."""
    planes, height, width = x.shape
    return x.view(planes, height // block, block, width)


def _forward(x: Tensor, block: int) -> Tensor:
    """DCT of all blocks, each in its place: (C, H, W) -> (C, H/b, b, W)."""
    basis, row = _bases(block, x.device, x.dtype)
    halfway = torch.matmul(basis, _rows(x, block))
    return (halfway.view(-1, _ROW) @ row.T).view_as(halfway)


def _inverse(coefficients: Tensor, block: int) -> Tensor:
    """Transform back: (C, H/b, b, W) -> (C, H/b, b, W)."""
    basis, row = _bases(block, coefficients.device, coefficients.dtype)
    return torch.matmul(basis.T, (coefficients.view(-1, _ROW) @ row).view_as(coefficients))


def _block_sums(x: Tensor, block: int) -> Tensor:
    """Sum over each block: (C, H/b, b, W) -> (C, H/b, W/b)."""
    # torch.sum over rows takes them in another order at the end of a row: halves do not.
    while x.shape[2] > 1:
        x = x[:, :, : x.shape[2] // 2] + x[:, :, x.shape[2] // 2 :]
    planes, rows, _, width = x.shape
    return x.view(planes, rows, width // block, block).sum(-1)


def _wide(value: Tensor, block: int) -> Tensor:
    """One value for each block as a row of pixels: (C, H/b, W/b) -> (C, H/b, 1, W)."""
    return value[..., None].expand(*value.shape, block).flatten(-2)[:, :, None]
