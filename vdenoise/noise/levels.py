"""Noise variance as a function of luma level and frequency band, from the energies of many blocks.

A difference holds the noise and, where blocks were not aligned well or something moved, leftovers
of the picture: never less than the noise. What alignment leaves is a share of the texture, and the
texture is known from the sum: in each band a line through blocks of more and less texture says how
large that share is, and it is taken off. What is left of heavily textured blocks is not used at
all. Things that moved on their own are no such share: they lie in the upper tail, so the noise is
read from the *lower tail* of the differences, corrected for what a tail of pure noise would read.
How wide the noise's own distribution is (wide for compressed clips, whose noise comes and goes) is
taken from the tail too.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import torch
from torch import Tensor

from vdenoise.noise.bands import band_sizes
from vdenoise.picture.noise_table import LEVELS

_FLATTER = 0.5  # single frames: share of each level's blocks, the flattest, that is used
_LOW, _HIGH = 0.1, 0.4  # quantiles of the clean blocks that describe their distribution
_CLEAN = 0.6  # first guess of the share of blocks whose difference is all noise
_ENOUGH = 0.9  # share from which the mean itself can be trusted ...
_OUTLIER = 2.5  # ... of what lies less than this many spreads above the middle
_WIDEST = 0.7  # of the noise's log-normal spread
_FEWEST = 12  # blocks of a level that are worth a quantile
_GROUPS = 10  # of blocks, from flat to textured, that the line of the leak goes through
_LIKE_NOISE = 1.5  # a sum with less than this many times the noise's energy holds no texture
_STEEPEST = 0.3  # most of a texture's energy that alignment leaves in the difference
_LEAST = 0.45  # of the flattest blocks' energy is noise: compressed noise may only look textured
_LEAK = 0.5  # of the noise's energy: blocks with more of the picture in the difference are left out
_FLATTEST = 0.05  # ... but this share of the blocks is always used
_SHARED = 0.25  # of the usual energy in the finest band: blocks with less have no noise
_QUANTILE = 0.3  # of the differences at one level and band, by which levels are compared
_SURE = 0.1  # error of such a reading (log variance) however many the blocks
_BEND = 0.2  # usual change of the curve's slope from one level to the next (log variance) ...
_SLOPE = 0.3  # ... and how much less a slope itself counts: it bridges levels nobody has seen
_ABOVE = 0.15  # weight of readings above the curve: there may be nothing but picture at a level
_ROUNDS = 8
_REFITS = 3  # of curve and leak, each of which needs the other
_NOTHING = (0.15 / 255) ** 2  # variance below which there is no noise to tell from the picture
_TINY = 1e-14


def variance_by_level(
    level: Tensor, even: Tensor, odd: Tensor, *, single: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Noise variance v(level) * s(band), v over the table's levels, s of mean 1 over all bands.

    Args:
        level: (n,) of the blocks, nominally [0, 1].
        even: (n, BANDS) energy of the sums: how much texture there is.
        odd: (n, BANDS) energy of the differences.
        single: there are only single frames, and ``odd`` is ``even``.

    Returns:
        (17,) v up to a factor; (BANDS,) the variance of each band where v is 1; (n, BANDS) bool:
        what was used.
    """
    even, odd = even.double(), odd.double()
    hats = hat_weights(level).double()
    flatter = _flatter(level, even) if single else None
    # All differences make the first guess: taken for even, noise of log curves looks like texture
    curve = _curve(level, odd, torch.ones_like(odd, dtype=torch.bool))
    for rounds_left in reversed(range(_REFITS + 1)):
        here = (hats @ curve)[:, None]
        if flatter is None:
            # What the curve calls nothing is nothing here too, or it would be the flattest of all
            leak, used = _texture(even.clamp(min=_NOTHING) / here, odd.clamp(min=_NOTHING) / here)
            noise = odd / here / (1 + leak)
        else:
            noise, used = odd / here, flatter
        if rounds_left:
            curve = _curve(level, noise * here, used)
    found = [tail_mean(noise[used[:, b], b]) for b in range(odd.shape[1])]
    return curve.float(), torch.tensor(found), used


def _texture(even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor]:
    """(n, BANDS) texture in the differences as a share of the noise; and which are to be used.

    Where motion was not found at all, fine bands hold texture as well, though their own line is too
    noisy to show how much: a block is used in all bands or in none, if noise is in what remains.
    """
    leak = torch.empty_like(odd)
    for band, size in enumerate(band_sizes().tolist()):
        floor, slope = _leak(even[:, band], odd[:, band], size)
        leak[:, band] = slope / floor * (even[:, band] - _LIKE_NOISE * floor).clamp(min=0)
    most = leak.max(1).values
    fewest = fewest_of(len(odd))
    used = (most <= max(_LEAK, most.kthvalue(fewest).values.item()))[:, None].expand_as(odd)
    if not hold_noise(odd[used[:, 0], -1:], odd[:, -1:]):
        # What is left is a drawn part without noise: each band for itself, then
        used = leak <= leak.kthvalue(fewest, dim=0).values.clamp(min=_LEAK)
    return leak, used


def fewest_of(count: int) -> int:
    """How many of so many blocks, the flattest, are looked at whatever else speaks against them."""
    return min(count, max(4 * _FEWEST, int(_FLATTEST * count)))


def hold_noise(some: Tensor, everywhere: Tensor) -> bool:
    """Whether some blocks tell of the others' noise; the flattest may be a drawn part without any.

    Args:
        some, everywhere: (n, k) energies of differences in the bands to be compared, of which one
            is enough. Texture shows least in the finest.
    """
    return bool((some.median(0).values >= _SHARED * everywhere.median(0).values).any())


def _leak(even: Tensor, odd: Tensor, size: float) -> tuple[float, float]:
    """One band's noise and the share of texture in the difference: odd = noise + share * texture.

    A line through the medians of groups from flat to textured, by least squares of relative errors.
    Sums up to `_LIKE_NOISE` times the noise count as flat: where noise is uneven, sum and
    difference grow together, and that must not be taken for texture.

    Args:
        even, odd: (n,) energies of the band.
        size: number of its coefficients.
    """
    groups = even.argsort().chunk(_GROUPS)
    median_of_mean = (1 - 2 / (9 * size)) ** 3  # chi-squared, by Wilson and Hilferty
    y = torch.stack([odd[g].median() for g in groups]) / median_of_mean
    energy = torch.stack([even[g].mean() for g in groups])
    count = torch.tensor([len(g) for g in groups], dtype=torch.float64)
    flattest = max(y[0].item(), _NOTHING)
    noise, slope = flattest, 0.0
    for _ in range(_ROUNDS):
        x = (energy - _LIKE_NOISE * noise).clamp(min=0)
        weight = count / (noise + slope * x).square()
        w, wx, wy = weight.sum(), (weight * x).sum(), (weight * y).sum()
        wxx = (weight * x * x).sum() + 1e-3 * w * noise**2  # no texture at all: no slope either
        slope = ((w * (weight * x * y).sum() - wx * wy) / (w * wxx - wx * wx)).item()
        slope = min(max(slope, 0.0), _STEEPEST)
        noise = min(max(((wy - slope * wx) / w).item(), _LEAST * flattest, _NOTHING), flattest)
    return noise, slope


def _flatter(level: Tensor, even: Tensor) -> Tensor:
    """(n, BANDS) mask: for each band the blocks with less energy than others of like level."""
    order = level.argsort()
    mask = torch.zeros_like(even, dtype=torch.bool)
    for group in order.chunk(max(1, len(order) // 40)):
        mask[group] = even[group] <= even[group].quantile(_FLATTER, dim=0)
    return mask


def _curve(level: Tensor, noise: Tensor, used: Tensor) -> Tensor:
    """(17,) the noise's variance over levels up to a factor, from (n, BANDS) energies."""
    nearest = (level.clamp(0, 1) * (LEVELS - 1)).round().long()
    reading = torch.zeros(LEVELS, noise.shape[1], dtype=torch.float64)
    weight = torch.zeros_like(reading)
    fewest = max(1, min(_FEWEST, len(level) // 8))
    for i in range(LEVELS):
        at_level = nearest == i
        for band, size in enumerate(band_sizes().tolist()):
            here = noise[at_level & used[:, band], band]
            if len(here) >= fewest:
                reading[i, band] = here.quantile(_QUANTILE).clamp(min=_NOTHING).log()
                # A block's band has size / 2 degrees of freedom, and blocks overlap by half.
                weight[i, band] = 1 / (_SURE**2 + 8 / (len(here) * size))
    return levels_and_bands(reading, weight, _ABOVE)


def levels_and_bands(reading: Tensor, weight: Tensor, above: float) -> Tensor:
    """The curve (17,), smooth over levels, in exp(reading) = curve * bands.

    Args:
        reading: (17, BANDS) log variance.
        weight: (17, BANDS) 1 / variance of its error; 0 where there is none.
        above: weight of readings above the fit: picture makes them too high, nothing too low.
    """
    bands = (reading * weight).sum(0) / weight.sum(0).clamp(min=_TINY)
    curve = torch.zeros(LEVELS, dtype=torch.float64)
    stiff = smoothness() + 1e-6 * torch.eye(LEVELS)  # no readings: no slope
    for _ in range(_ROUNDS):
        off = reading - curve[:, None] - bands
        trusted = weight * torch.where(off > 0.02, above, 1.0)
        bands = ((reading - curve[:, None]) * trusted).sum(0) / trusted.sum(0).clamp(min=_TINY)
        right = ((reading - bands) * trusted).sum(1)
        curve = torch.linalg.solve(torch.diag(trusted.sum(1)) + stiff, right)
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


def smoothness() -> Tensor:
    """(17, 17) penalty on steps and bends of a curve of log variances over levels."""
    step = torch.diff(torch.eye(LEVELS).double(), dim=0)
    bend = torch.diff(step, dim=0)
    return (_SLOPE * step.T @ step + bend.T @ bend) / _BEND**2
