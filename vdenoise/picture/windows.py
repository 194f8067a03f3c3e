"""Local statistics for the spatial filters: mirrored borders, moments, and noise through a filter.

Everything is a sum of shifted views in a fixed order and of single operations (no fused
``addcmul`` or ``lerp``, no library convolution): a pixel then gets the same bits whatever the
size of the tile it is computed in, which is what makes tiling exact on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from vdenoise.picture.noise_table import SPECTRUM

TINY = 1e-20  # keeps a quotient of two zeros defined; far below any variance of a picture


def mirror(x: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Pad (..., H, W) by reflection without repeating the border, by any amount.

    ``c b | a b c | b a``, going to and fro where the picture is smaller than the padding.
    """
    x = _mirror_dim(x, -1, left, right)
    return _mirror_dim(x, -2, top, bottom)


def _mirror_dim(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    if before == after == 0:
        return x
    size = x.shape[dim]
    period = max(2 * (size - 1), 1)
    i = torch.arange(-before, size + after, device=x.device).remainder(period)
    return x.index_select(dim, torch.minimum(i, period - i) if size > 1 else torch.zeros_like(i))


def pad(x: Tensor, radius: int) -> Tensor:
    """Mirror ``radius`` pixels on all four sides."""
    return mirror(x, radius, radius, radius, radius)


def shift(padded: Tensor, dy: int, dx: int, radius: int) -> Tensor:
    """View of the padded picture, moved so that pixel (y, x) shows (y + dy, x + dx)."""
    height, width = padded.shape[-2] - 2 * radius, padded.shape[-1] - 2 * radius
    return padded.narrow(-2, radius + dy, height).narrow(-1, radius + dx, width)


def taps_sum(padded: Tensor, taps: Sequence[float], dim: int, step: int = 1) -> Tensor:
    """Correlate with ``taps`` along ``dim``; the result is shorter by the taps' extent."""
    size = padded.shape[dim] - step * (len(taps) - 1)
    total = padded.narrow(dim, 0, size) * taps[0]
    for i, tap in enumerate(taps[1:], 1):
        total += padded.narrow(dim, i * step, size) * tap
    return total


def smooth(x: Tensor, taps: Sequence[float]) -> Tensor:
    """Separable filter with odd, centered ``taps`` and mirrored borders."""
    return taps_sum(taps_sum(pad(x, len(taps) // 2), taps, -1), taps, -2)


def box(radius: int) -> tuple[float, ...]:
    """Taps of a mean over ``2 radius + 1`` pixels."""
    size = 2 * radius + 1
    return (1 / size,) * size


def moments(x: Tensor, taps: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Weighted local mean and variance (..., H, W), mirrored borders.

    Differences are taken before squares, one direction after the other (law of total variance):
    the variance of a small noise on a high level keeps all its digits and is never negative.
    """
    mean, inner = _moments_dim(pad(x, len(taps) // 2), taps, -1)
    mean, between = _moments_dim(mean, taps, -2)
    return mean, taps_sum(inner, taps, -2) + between


def _moments_dim(padded: Tensor, taps: Sequence[float], dim: int) -> tuple[Tensor, Tensor]:
    size = padded.shape[dim] - (len(taps) - 1)
    center = padded.narrow(dim, len(taps) // 2, size)
    first = torch.zeros_like(center)
    second = torch.zeros_like(center)
    for i, tap in enumerate(taps):
        difference = padded.narrow(dim, i, size) - center
        weighted = difference * tap
        first += weighted
        second += weighted * difference
    return center + first, (second - first * first).clamp(min=0)


def scatter(taps: Sequence[float], grain_area: float) -> float:
    """Relative standard deviation of the local variance of noise, in a separable window.

    ``sqrt(2 / n)`` for the n independent samples that the window amounts to, which are fewer the
    coarser the grain.
    """
    samples = 1 / sum(tap * tap for tap in taps) ** 2 / max(grain_area, 1)
    return math.sqrt(2 / samples)


def wiener_gain(energy: Tensor, noise: Tensor, margin: float) -> Tensor:
    """Share of the local energy that is signal: (T, 1, H, W) in [0, 1].

    All planes share one gain, for an edge in one of them is an edge. 1 where there is no noise.

    Args:
        energy: (T, C, H, W) measured in a window.
        noise: (T, C, H, W) what the noise alone would show there on average.
        margin: how far the energy of a window full of noise scatters above its mean.
    """
    excess = noise.sum(1, keepdim=True) * margin
    return (1 - excess / energy.sum(1, keepdim=True).clamp(min=TINY)).clamp(min=0)


@cache
def lag_table() -> Tensor:
    """(16 coefficients, 16 lags): mean product at each lag of an orthonormal DCT-II basis row."""
    n = torch.arange(SPECTRUM, dtype=torch.float64)
    basis = torch.cos(torch.pi / SPECTRUM * n[:, None] * (n + 0.5)) * (2 / SPECTRUM) ** 0.5
    basis[0] /= 2**0.5
    lags = [
        (basis[:, : SPECTRUM - lag] * basis[:, lag:]).sum(1) / (SPECTRUM - lag)
        for lag in range(SPECTRUM)
    ]
    return torch.stack(lags, dim=1)


def power(taps: Sequence[float], other: Sequence[float] | None = None) -> Tensor:
    """(16,): how a filter weighs each DCT coefficient's noise; sums to ``sum(taps^2)``.

    With ``other``, the common power of two filters with the same center. Lags of 16 pixels and
    more count as uncorrelated.
    """
    a = torch.tensor(taps, dtype=torch.float64)
    b = a if other is None else torch.tensor(other, dtype=torch.float64)
    assert len(a) % 2 == len(b) % 2, "filters have the same center"
    size = max(len(a), len(b))
    a, b = (torch.nn.functional.pad(t, ((size - len(t)) // 2,) * 2) for t in (a, b))
    table = lag_table()
    total = table[:, 0] * (a @ b)
    for lag in range(1, min(size, SPECTRUM)):
        total = total + table[:, lag] * (a[lag:] @ b[:-lag] + a[:-lag] @ b[lag:])
    return total


def noise_share(spectrum: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Variance of filtered noise over variance of the noise, for each plane.

    Args:
        spectrum: (P, 16, 16) of the noise, mean 1.
        rows: ``power`` of the vertical taps.
        columns: ``power`` of the horizontal taps.

    Returns:
        (P, 1, 1), to broadcast over (T, P, H, W); ``sum(taps^2)`` squared for white noise.
    """
    share = torch.einsum("i,pij,j->p", rows, spectrum.double().cpu(), columns)
    return share.clamp(min=0).to(spectrum)[:, None, None]


def variance_left(white: Tensor, spectrum: Tensor, radius: int = 1) -> Tensor:
    """Variance an averaging filter leaves of this noise, from what it leaves of white noise.

    Correlated noise averages worse by the factor it does under a box mean, less and less so as
    the filter leaves more; a filter that leaves all of white noise leaves all of any.

    Args:
        white: (T, 1, H, W) share of the variance left of white noise, in [0, 1].
        spectrum: (P, 16, 16) of the noise, mean 1.
    """
    mean = power(box(radius))
    factor = (noise_share(spectrum, mean, mean).mean() * (2 * radius + 1) ** 2).clamp(min=1)
    white = white.clamp(max=1)
    return white * factor / (1 + white * (factor - 1))
