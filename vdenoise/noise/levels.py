"""Noise variance as a function of luma level and frequency band, from the energies of many blocks.

A difference holds the noise and, where blocks were not aligned well or something moved, leftovers
of the picture: never less than the noise. So the noise is read from the *lower tail* of the
differences, corrected for what a tail of pure noise would read. How wide the noise's own
distribution is (wide for compressed clips, whose noise comes and goes) is taken from the tail too.
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import torch
from torch import Tensor

from vdenoise.noise.profile import LEVELS

_FLATTER = 0.5  # share of each level's blocks, those with the least energy in the sum, that is used
_LOW, _HIGH = 0.1, 0.4  # quantiles of the clean blocks that describe their distribution
_CLEAN = 0.6  # first guess of the share of blocks whose difference is all noise
_ENOUGH = 0.9  # share from which the mean itself can be trusted ...
_OUTLIER = 2.5  # ... of what lies less than this many spreads above the middle
_WIDEST = 0.7  # of the noise's log-normal spread
_FEWEST = 12  # blocks of a level that are worth a quantile
_SMOOTH = 0.5  # wish for a smooth curve: as much weight as this share of all blocks at one level
_ABOVE = 0.15  # weight of readings above the curve: there may be nothing but picture at a level
_GROUPS = (0.0, 0.25, 0.6)  # shares of the blocks, flattest first, whose texture is compared
_TEXTURED = 1.3  # sum / difference from which even the flattest blocks are textured
_LEAST = 0.45  # most that is taken off for texture: compressed noise may only look textured
_QUANTILE = 0.2  # of the differences at one level and band, by which levels are compared
_ROUNDS = 8
_TINY = 1e-14


def variance_by_level(level: Tensor, even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Noise variance v(level) * s(band), v over the table's levels, s of mean 1 over all bands.

    Args:
        level: (n,) of the blocks, nominally [0, 1].
        even: (n, BANDS) energy of the sums; only decides which blocks are used.
        odd: (n, BANDS) energy of the differences.

    Returns:
        (17,) v up to a factor; (BANDS,) the variance of each band where v is 1; (n, BANDS) bool:
        what was used.
    """
    used = _flatter(level, even)
    nearest = (level.clamp(0, 1) * (LEVELS - 1)).round().long()
    reading = torch.zeros(LEVELS, odd.shape[1], dtype=torch.float64)
    weight = torch.zeros_like(reading)
    for i in range(LEVELS):
        for band in range(odd.shape[1]):
            here = odd[(nearest == i) & used[:, band], band]
            if len(here) >= max(1, min(_FEWEST, len(level) // 8)):
                reading[i, band] = here.double().quantile(_QUANTILE).clamp(min=_TINY).log()
                weight[i, band] = len(here)
    curve = _factorize(reading, weight)
    here = (hat_weights(level).double() @ curve)[:, None]
    even, odd = even.double() / here, odd.double() / here
    found = [_without_texture(even[:, b], odd[:, b], used[:, b]) for b in range(odd.shape[1])]
    return curve.float(), torch.tensor(found), used


def _without_texture(even: Tensor, odd: Tensor, used: Tensor) -> float:
    """One band's noise, (n,) energies: where odd falls to as even falls to the same value.

    Even the flattest blocks of a textured clip hold texture, and some of it stays in their
    difference: the line through flat and less flat blocks is followed to where there is none.
    """
    plain = tail_mean(odd[used])
    order = even.argsort()
    groups = [order[int(a * len(order)) : int(b * len(order))] for a, b in pairwise(_GROUPS)]
    if min(len(g) for g in groups) < _FEWEST:
        return plain
    (odd_1, even_1), (odd_2, even_2) = (
        (tail_mean(odd[g]), even[g].median().item()) for g in groups
    )
    if even_1 < _TEXTURED * odd_1 or even_2 <= even_1:
        return plain
    slope = min(max((odd_2 - odd_1) / (even_2 - even_1), 0.0), 0.5)
    return min(plain, max((odd_1 - slope * even_1) / (1 - slope), _LEAST * plain))


def _flatter(level: Tensor, even: Tensor) -> Tensor:
    """(n, BANDS) mask: for each band the blocks with less energy than others of like level."""
    order = level.argsort()
    mask = torch.zeros_like(even, dtype=torch.bool)
    for group in order.chunk(max(1, len(order) // 40)):
        mask[group] = even[group] <= even[group].quantile(_FLATTER, dim=0)
    return mask


def _factorize(reading: Tensor, weight: Tensor) -> Tensor:
    """The curve (17,), smooth over levels, in exp(reading) = curve * bands.

    Readings above the fit count less: too high is what picture does, too low nothing does.
    """
    total = weight.sum(0, keepdim=True)
    bands = (reading * weight).sum(0) / total.squeeze(0).clamp(min=_TINY)
    curve = torch.zeros(LEVELS, dtype=torch.float64)
    stiff = _SMOOTH * total.mean() * _smoothness()
    for _ in range(_ROUNDS):
        off = reading - curve[:, None] - bands
        trusted = weight * torch.where(off > 0.02, _ABOVE, 1.0)
        bands = ((reading - curve[:, None]) * trusted).sum(0) / trusted.sum(0).clamp(min=_TINY)
        right = ((reading - bands) * trusted).mean(1)
        curve = torch.linalg.solve(torch.diag(trusted.mean(1)) + stiff, right)
    return curve.exp()


def tail_mean(energy: Tensor) -> float:
    """Mean of the noise's part of some energies; picture may have been added to the upper part.

    The noise's energies are taken as log-normal; how many are clean is found from how many lie
    where those should, and the quantiles of the clean ones give the middle and the spread.
    """
    if len(energy) == 0:
        return 0.0
    log = energy.double().clamp(min=_TINY).log()
    normal = NormalDist()
    low_z, high_z = normal.inv_cdf(_LOW), normal.inv_cdf(_HIGH)
    clean = _CLEAN
    for _ in range(_ROUNDS):
        low, high = (log.quantile(q * clean).item() for q in (_LOW, _HIGH))
        spread = min((high - low) / (high_z - low_z), _WIDEST)
        middle = high - high_z * spread
        below = (log < middle + spread).double().mean().item()
        clean = min(1.0, max(0.2, below / normal.cdf(1)))
    if clean >= _ENOUGH:
        return log[log <= middle + _OUTLIER * spread].exp().mean().item()
    return math.exp(middle + spread**2 / 2)


def look_up(table: Tensor, level: Tensor) -> Tensor:
    """Linear interpolation of a (17,) table."""
    return hat_weights(level) @ table


def hat_weights(level: Tensor) -> Tensor:
    """(n, 17) linear interpolation weights of the table's entries."""
    x = level.clamp(0, 1)[:, None] * (LEVELS - 1)
    return (1 - (x - torch.arange(LEVELS)).abs()).clamp(min=0)


def _smoothness() -> Tensor:
    """Penalty on steps and bends of the curve: it bridges levels nobody has seen."""
    step = torch.diff(torch.eye(LEVELS).double(), dim=0)
    bend = torch.diff(step, dim=0)
    return 0.02 * step.T @ step + bend.T @ bend
