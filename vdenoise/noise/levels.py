"""Noise variance as a function of luma level, from the energies of many blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from vdenoise.noise.profile import LEVELS

_FLAT_SHARE = 0.35  # of the blocks of a level, the flattest: these are always used
_TEXTURE_LIMIT = 6.0  # others up to this many times the noise's variance
_SMOOTH = 2.0  # how many blocks the wish for a smooth curve counts as
_ROUNDS = 8
_TINY = 1e-12


def variance_by_level(level: Tensor, even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor]:
    """Fit odd = v(level) + slope * (even - v(level)), robustly, and give v.

    A textured block's difference holds the picture's misalignment, which grows with the texture:
    the line is followed back to no texture at all, where sum and difference have equal energy.

    Args:
        level: (n,) of the blocks, nominally [0, 1].
        even: (n,) energy of the sums.
        odd: (n,) energy of the differences.

    Returns:
        (17,) variance at the table's levels, and (17,) the number of blocks behind each.
    """
    hats = _hats(level)
    use = _flat(level, even)
    scale = odd[use].median().clamp(min=_TINY)
    use |= even < _TEXTURE_LIMIT * scale
    hats, even, odd = hats[use].double(), even[use].double(), odd[use].double()
    scale = scale.double()
    predicted = scale.expand(len(odd)).clone()
    keep = torch.ones_like(odd)
    slope = True
    variance = scale.expand(LEVELS).clone()
    for _ in range(_ROUNDS):
        design = torch.cat([hats, even[:, None]], 1) if slope else hats
        weight = keep / predicted.square()
        normal = design.T @ (design * weight[:, None])
        normal[:LEVELS, :LEVELS] += _smoothness(variance)
        right = design.T @ (odd * weight)
        found = torch.linalg.solve(normal + _TINY * torch.eye(len(normal)).double(), right)
        b = found[LEVELS].item() if slope else 0.0
        if not 0 <= b < 0.8:
            slope = False
            continue
        variance = (found[:LEVELS] / (1 - b)).clamp(min=scale * 1e-3)
        predicted = (design @ found).clamp(min=scale * 1e-3)
        ratio = odd / predicted
        middle = ratio.median()
        spread = 1.4826 * (ratio - middle).abs().median()
        keep = (ratio < middle + 5 * spread.clamp(min=0.05)).double()
    return variance.float(), (hats * keep[:, None]).sum(0).float()


def floor(level: Tensor, even: Tensor, odd: Tensor, variance: Tensor) -> tuple[float, float]:
    """How the sum compares with the difference in the flattest fifth of the blocks.

    Returns:
        Energy of the sum over that of the difference: 1 for noise that is new in each frame,
        below 1 where motion was not followed, above 1 for noise that stands still *or* texture
        everywhere; and the share of the blocks that are about as flat as these.
    """
    ratio = even / look_up(variance, level).clamp(min=_TINY)
    limit = ratio.quantile(0.2)
    flat = ratio <= limit
    least = even[flat].mean() / odd[flat].mean().clamp(min=_TINY)
    alike = (ratio < 1.3 * ratio[flat].mean()).float().mean()
    return least.item(), alike.item()


def flat_variance(even: Tensor, freedom: float) -> float:
    """Variance of the flattest blocks of single frames, corrected for their being the flattest.

    Args:
        even: (n,) energies.
        freedom: how many independent coefficients a block of this noise has.
    """
    share = 0.1
    z = -1.2816  # normal quantile of the share; Wilson and Hilferty, 1931
    factor = (1 - 2 / (9 * freedom) + z * (2 / (9 * freedom)) ** 0.5) ** 3
    return float(even.quantile(share).item() / factor)


def look_up(table: Tensor, level: Tensor) -> Tensor:
    """Linear interpolation of a (17,) table."""
    return _hats(level) @ table


def _hats(level: Tensor) -> Tensor:
    """(n, 17) linear interpolation weights of the table's entries."""
    x = level.clamp(0, 1)[:, None] * (LEVELS - 1)
    return (1 - (x - torch.arange(LEVELS)).abs()).clamp(min=0)


def _flat(level: Tensor, even: Tensor) -> Tensor:
    """Mask of the flattest blocks of each level."""
    mask = torch.zeros_like(level, dtype=torch.bool)
    nearest = (level.clamp(0, 1) * (LEVELS - 1)).round()
    for value in range(LEVELS):
        here = nearest == value
        if here.any():
            mask |= here & (even <= even[here].quantile(_FLAT_SHARE))
    return mask


def _smoothness(variance: Tensor) -> Tensor:
    """Penalty on relative steps and bends of the curve: it bridges levels nobody has seen."""
    step = torch.diff(torch.eye(LEVELS).double(), dim=0)
    bend = torch.diff(step, dim=0)
    inverse = 1 / variance.clamp(min=_TINY)
    step, bend = step * inverse[1:, None], bend * inverse[1:-1, None]
    return 0.2 * step.T @ step + _SMOOTH * bend.T @ bend
