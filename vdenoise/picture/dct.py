"""Denoising in the domain of the overlapped block DCT.

Sliding-window DCT shrinkage (Yaroslavsky et al., "DCT based denoising", 2001) in two passes, as
BM3D does it (Dabov et al., "Image denoising by sparse 3-D transform-domain collaborative
filtering", 2007): hard thresholding gives a pilot, the pilot gives empirical Wiener gains.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.picture.block_passes import one_pass

# Coefficients below THRESHOLD sigma are noise in the first pass. The textbook's 2.7 is best for
# the first pass alone; as a pilot for the second, keeping a little more is better.
THRESHOLD = 2.4


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

    work = (padded, padded_variance, spectrum, block)
    first, second = offsets
    result, residual = one_pass(*work, first, "hard", threshold, want_residual=not second)
    if second:
        result, residual = one_pass(*work, second, "gains", pilot=result)
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

    work = (padded, padded_variance, spectrum, block)
    first, second = offsets
    pilot, _ = one_pass(*work, first, "outliers", threshold, want_residual=False)
    found, _ = one_pass(*work, second, "outlier gains", pilot=pilot, want_residual=False)
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
