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
from collections.abc import Callable, Iterator
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

# Coefficients below THRESHOLD sigma are noise in the first pass. The textbook's 2.7 is best for
# the first pass alone; as a pilot for the second, keeping a little more is better.
THRESHOLD = 2.4

_TINY = 1e-12
_ROW = 16  # samples transformed by one product along a row: two blocks of 8, or one of 16

_STRIP = 1 << 17  # pixels worked on at once: a handful of float32 copies fit a core's cache

# Shrinks coefficients (C, H/b, b, W) in place. Also given: the noise variance of each block
# (C, H/b, W/b), that of its coefficients relative to it (C, 1, b, W), the pilot's coefficients.
# Returns the weight of each block and the share of its noise variance that is left.
Shrink = Callable[[Tensor, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]


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
    padded, padded_variance, inside = _framed(pixels, variance, block)

    def hard(c: Tensor, level: Tensor, shape: Tensor, _: Tensor | None) -> tuple[Tensor, Tensor]:
        keep = (c * c).gt_(_wide(level, block) * (shape * threshold**2))
        keep[:, :, 0, ::block] = 1
        kept = _block_sums(keep, block)
        c.mul_(keep)
        return 1 / (kept * level + _TINY), kept / block**2

    def wiener(
        c: Tensor, level: Tensor, shape: Tensor, pilot: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        assert pilot is not None
        power = pilot.square_()
        gain = power.div_((_wide(level, block) * shape).add_(power).add_(_TINY))
        gain[:, :, 0, ::block] = 1
        c.mul_(gain)
        residual = _block_sums(gain.square_().mul_(shape), block) * level
        return 1 / (residual + _TINY), (residual + _TINY) / (level * block**2 + _TINY)

    work = (padded, padded_variance, spectrum, block)
    first, second = offsets
    result, residual = _pass(*work, first, hard, None, want_residual=not second)
    if second:
        result, residual = _pass(*work, second, wiener, result)
    return result[inside], residual[inside]


def dct_outliers(
    pixels: Tensor,
    variance: Tensor,
    spectrum: Tensor,
    *,
    block: int,
    offsets: tuple[int, int],
    threshold: float,
) -> Tensor:
    """What in a signal that should be noise cannot be noise: `dct_denoise` the other way round.

    Coefficients beyond the threshold are a pilot for Wiener gains, means of blocks like any other;
    all block positions count alike, so that one that finds nothing says so.

    Args:
        pixels: (C, H, W) of zero mean.
        variance: (C, H, W) that noise has in it.
        spectrum: (C, block²) from `spectrum_for`.
        block: size of the DCT blocks, 8 or 16.
        offsets: block positions averaged in the first and second pass.
        threshold: in sigma.

    Returns:
        (C, H, W), near 0 where all is noise.
    """
    padded, padded_variance, inside = _framed(pixels, variance, block)

    def hard(c: Tensor, level: Tensor, shape: Tensor, _: Tensor | None) -> tuple[Tensor, Tensor]:
        c.mul_((c * c).gt_((_wide(level, block) + _TINY) * (shape * threshold**2)))
        return torch.ones_like(level), level

    def wiener(
        c: Tensor, level: Tensor, shape: Tensor, pilot: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        assert pilot is not None
        power = pilot.square_()
        c.mul_(power.div_((_wide(level, block) * shape).add_(power).add_(_TINY)))
        return torch.ones_like(level), level

    work = (padded, padded_variance, spectrum, block)
    first, second = offsets
    pilot, _ = _pass(*work, first, hard, None, want_residual=False)
    found, _ = _pass(*work, second, wiener, pilot, want_residual=False)
    return found[inside]


def _framed(
    pixels: Tensor, variance: Tensor, block: int
) -> tuple[Tensor, Tensor, tuple[slice, slice, slice]]:
    """Both (C, H, W) with one block more on each side, so that every offset covers every pixel,
    and where the picture is in them."""
    height, width = pixels.shape[-2:]
    bottom, right = block + -height % block, block + -width % block
    mode = "reflect" if min(height, width) > max(bottom, right) else "replicate"
    wider, of_variance = (
        functional.pad(x[None], (block, right, block, bottom), mode=mode)[0]
        for x in (pixels, variance)
    )
    return (
        wider,
        of_variance,
        (slice(None), slice(block, block + height), slice(block, block + width)),
    )


def _pass(
    pixels: Tensor,
    variance: Tensor,
    spectrum: Tensor,
    block: int,
    count: int,
    shrink: Shrink,
    pilot: Tensor | None,
    *,
    want_residual: bool = True,
) -> tuple[Tensor, Tensor]:
    """One pass over all offsets: transform, shrink, transform back, weighted average.

    ``want_residual`` False saves the map of what is left, which then is all zeros.
    """
    total, residual, weights = (torch.zeros_like(pixels) for _ in range(3))
    shape = spectrum.reshape(-1, 1, block, block).repeat(1, 1, 1, pixels.shape[-1] // block)
    for y, x in lattice(block, count):
        columns = (pixels.shape[-1] - x) // block * block
        for top, bottom in _strips(y, pixels, block):
            window = (slice(None), slice(top, bottom), slice(x, x + columns))
            level = _block_sums(_rows(variance[window], block), block) / block**2
            coefficients = _forward(pixels[window], block)
            guess = None if pilot is None else _forward(pilot[window], block)
            weight, share = shrink(coefficients, level, shape[..., :columns], guess)
            wide = _wide(weight, block)
            # Not addcmul_: it rounds once or twice, depending on where in a row a pixel lies.
            _rows(total[window], block).add_(_inverse(coefficients, block).mul_(wide))
            _rows(weights[window], block).add_(wide)
            if want_residual:
                _rows(residual[window], block).add_(_wide(weight * share, block))
    weights.clamp_(min=_TINY)
    return total.div_(weights), residual.div_(weights)


def _strips(first: int, pixels: Tensor, block: int) -> Iterator[tuple[int, int]]:
    """Rows of pixels, whole blocks at a time: what a processor's cache holds, or all at once."""
    planes, height, width = pixels.shape
    last = first + (height - first) // block * block
    step = last - first
    if pixels.device.type == "cpu":
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
    """Back again: (C, H/b, b, W) -> (C, H/b, b, W)."""
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
