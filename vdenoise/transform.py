"""Denoising in the domain of the overlapped block DCT.

Sliding-window DCT shrinkage (Yaroslavsky et al., "DCT based denoising", 2001) in two passes, as
BM3D does it (Dabov et al., "Image denoising by sparse 3-D transform-domain collaborative
filtering", 2007): hard thresholding gives a pilot, the pilot gives empirical Wiener gains.

Blocks are averaged over a *rank-1 lattice* of block offsets instead of a square grid: with 8
offsets that all differ in row and column the result is better than with the 16 of a 2-pixel
grid, at half the work (benchmarks/results/wiener.json).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

# Coefficients below THRESHOLD sigma are noise in the first pass. The textbook's 2.7 is best for
# the first pass alone; as a pilot for the second, keeping a little more is better.
THRESHOLD = 2.4

_TINY = 1e-12
_ROW = 16  # samples transformed by one product along a row: two blocks of 8, or one of 16

# (coefficients, noise variance of each, mean of that over the block, pilot coefficients) ->
# (shrunk coefficients, weight of the block, share of the noise variance left)
Shrink = Callable[[Tensor, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor, Tensor]]


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
    assert count in (block // 2, block, 2 * block), "a half, a whole or two lattices"
    if count == block // 2:
        return tuple((2 * i, (3 * 2 * i + i % 2) % block) for i in range(count))
    first = tuple((i, 3 * i % block) for i in range(block))
    if count == block:
        return first
    return first + tuple((i, (3 * i + block // 2) % block) for i in range(block))


def spectrum_for(spectrum: Tensor, block: int) -> Tensor:
    """Noise variance of each coefficient of smaller blocks, from a 16x16 spectrum.

    A coefficient of an 8x8 block sees a band twice as wide, centred on every second one of 16.

    Args:
        spectrum: (C, 16, 16) mean-square DCT coefficients, mean 1.
        block: 8 or 16.

    Returns:
        (C, block²), mean 1.
    """
    size = spectrum.shape[-1]
    if block != size:
        step = size // block
        band = torch.zeros(block, size, dtype=spectrum.dtype, device=spectrum.device)
        for u in range(block):
            for offset, share in ((-1, 0.25), (0, 0.5), (1, 0.25)):
                band[u, min(abs(step * u + offset), size - 1)] += share
        spectrum = band @ spectrum @ band.T
    flat = spectrum.reshape(spectrum.shape[0], block * block)
    return flat / flat.mean(dim=-1, keepdim=True)


def dct_denoise(
    pixels: Tensor,
    variance: Tensor,
    spectrum: Tensor,
    *,
    block: int = 8,
    offsets: tuple[int, int] = (4, 8),
    threshold: float = THRESHOLD,
) -> tuple[Tensor, Tensor]:
    """Remove noise of known variance and spectrum.

    Output pixels depend on input pixels up to ``2 (block - 1)`` away (``block - 1`` if the second
    pass is off), on a block grid that starts at pixel (0, 0).

    Args:
        pixels: (C, H, W).
        variance: (C, H, W), variance of the noise at each pixel.
        spectrum: (C, block²) from `spectrum_for`.
        block: size of the DCT blocks, 8 or 16.
        offsets: block positions averaged in the first and second pass; 0 leaves the second out.
        threshold: of the first pass, in sigma.

    Returns:
        The denoised pixels (C, H, W) and the share of the noise *variance* left, (C, H, W).
    """
    height, width = pixels.shape[-2:]
    # One block more on each side, so that every offset covers every pixel.
    bottom, right = block + -height % block, block + -width % block
    mode = "reflect" if min(height, width) > max(bottom, right) else "replicate"
    pad = (block, right, block, bottom)
    padded = functional.pad(pixels[None], pad, mode=mode)[0]
    padded_variance = functional.pad(variance[None], pad, mode=mode)[0]

    def hard(
        c: Tensor, noise: Tensor, level: Tensor, _: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        keep = (c * c > noise * (threshold * threshold)).to(c.dtype)
        keep[:, :, 0, :, 0] = 1
        kept = keep.sum((2, 4), keepdim=True)
        return c.mul_(keep), 1 / (kept * level + _TINY), kept / block**2

    def wiener(
        c: Tensor, noise: Tensor, level: Tensor, pilot: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        assert pilot is not None
        power = pilot.square_()
        gain = power.div_(power + noise + _TINY)
        gain[:, :, 0, :, 0] = 1
        left = (gain * gain).mul_(noise).sum((2, 4), keepdim=True)
        return c.mul_(gain), 1 / (left + _TINY), (left + _TINY) / (level * block**2 + _TINY)

    work = (padded, padded_variance, spectrum, block)
    first, second = offsets
    result, left = _pass(*work, first, hard, None, want_left=not second)
    if second:
        result, left = _pass(*work, second, wiener, result)
    inside = (slice(None), slice(block, block + height), slice(block, block + width))
    return result[inside], left[inside]


def _pass(
    pixels: Tensor,
    variance: Tensor,
    spectrum: Tensor,
    block: int,
    count: int,
    shrink: Shrink,
    pilot: Tensor | None,
    *,
    want_left: bool = True,
) -> tuple[Tensor, Tensor]:
    """One pass over all offsets: transform, shrink, transform back, weighted average.

    ``want_left`` False saves the map of what is left, which then is all zeros.
    """
    total = torch.zeros_like(pixels)
    left = torch.zeros_like(pixels)
    weights = torch.zeros_like(pixels)
    shape = spectrum.reshape(-1, 1, block, 1, block)
    for y, x in lattice(block, count):
        rows = (pixels.shape[-2] - y) // block * block
        columns = (pixels.shape[-1] - x) // block * block
        window = (slice(None), slice(y, y + rows), slice(x, x + columns))
        coefficients = _forward(pixels[window], block)
        level = functional.avg_pool2d(variance[window][None], block)[0][:, :, None, :, None]
        guess = None if pilot is None else _forward(pilot[window], block)
        coefficients, weight, share = shrink(coefficients, level * shape, level, guess)
        total[window] += _inverse(coefficients.mul_(weight), block)
        weights[window] += _spread(weight, block)
        if want_left:
            left[window] += _spread(weight * share, block)
    weights.clamp_(min=_TINY)
    return total.div_(weights), left.div_(weights)


def _forward(x: Tensor, block: int) -> Tensor:
    """DCT of all blocks: (C, H, W) -> (C, H/b, b, W/b, b)."""
    c, h, w = x.shape
    basis, row = _bases(block, x.device, x.dtype)
    halfway = torch.matmul(basis, x.reshape(c, h // block, block, w))
    return (halfway.reshape(-1, _ROW) @ row.T).view(c, h // block, block, w // block, block)


def _inverse(coefficients: Tensor, block: int) -> Tensor:
    """Back again: (C, H/b, b, W/b, b) -> (C, H, W)."""
    c, rows, _, columns, _ = coefficients.shape
    basis, row = _bases(block, coefficients.device, coefficients.dtype)
    halfway = (coefficients.reshape(-1, _ROW) @ row).view(c, rows, block, columns * block)
    return torch.matmul(basis.T, halfway).view(c, rows * block, columns * block)


def _spread(value: Tensor, block: int) -> Tensor:
    """One value for each block, (C, H/b, 1, W/b, 1) -> (C, H, W)."""
    c, rows, _, columns, _ = value.shape
    full = value.expand(c, rows, block, columns, block)
    return full.reshape(c, rows * block, columns * block)
