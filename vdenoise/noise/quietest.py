"""Noise of a shot whose motion was mostly lost: from the few blocks whose motion was found.

Differences hold texture nearly everywhere, so neither their means nor their lower tails are the
noise. But what is lost differs from place to place, and noise is in all of them: of many hundred
blocks the quietest hundredth holds hardly anything else. How much less than its mean noise alone
reads there is known from the number of coefficients. Where noise comes and goes by itself, as an
encoder's does, this reads too little; so it is for shots that no other reading fits.
"""

from __future__ import annotations

from statistics import NormalDist

import torch
from torch import Tensor

from vdenoise.noise.bands import band_sizes
from vdenoise.noise.levels import hat_weights, levels_and_bands
from vdenoise.picture.noise_table import LEVELS

_QUIETEST = 0.01  # quantile of the energies of a level ...
_COUNT = 1  # ... but not less than of so many blocks
_FEWEST = 40  # blocks of a level that tell
_SURE = 0.1  # error of a reading (log variance) however many the blocks
_ABOVE = 0.05  # weight of readings above the curve: at a level all may be lost
_NOTHING = (0.15 / 255) ** 2
_TAKEN = 2  # coefficients of each band that went with drift


def variance_of_quietest(level: Tensor, odd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Noise variance v(level) * s(band) of the blocks that hold least.

    Args:
        level: (n,) of the blocks, nominally [0, 1].
        odd: (n, BANDS) energy of the differences.

    Returns:
        As `vdenoise.noise.levels.variance_by_level`. A level with fewer than 40 blocks goes with
        its neighbors; where all have fewer, all are one.
    """
    odd = odd.double()
    nearest = (level.clamp(0, 1) * (LEVELS - 1)).round().long()
    coefficients = band_sizes().double() - _TAKEN
    reading = torch.zeros(LEVELS, odd.shape[1], dtype=torch.float64)
    weight = torch.zeros_like(reading)
    for i in range(LEVELS):
        here = odd[nearest == i]
        if len(here) >= _FEWEST:
            reading[i] = _quietest(here, coefficients).clamp(min=_NOTHING).log()
            count = max(_QUIETEST * len(here), _COUNT)
            weight[i] = 1 / (_SURE**2 + 8 / (count * coefficients))
    if not weight.any():
        weight[0] = 1.0
    curve = levels_and_bands(reading, weight, _ABOVE)
    relative = odd / (hat_weights(level).double() @ curve)[:, None]
    bands = _quietest(relative, coefficients)
    return curve.float(), bands.float(), torch.ones_like(odd, dtype=torch.bool)


def _quietest(energy: Tensor, coefficients: Tensor) -> Tensor:
    """(BANDS,) mean energy of noise that has this quantile of (n, BANDS), by Wilson and Hilferty.

    Args:
        energy: means of so many squares as ``coefficients`` (BANDS,) says.
    """
    quantile = min(max(_QUIETEST, _COUNT / len(energy)), 0.5)
    spread = 2 / (9 * coefficients)
    share = (1 - spread + NormalDist().inv_cdf(quantile) * spread.sqrt()) ** 3
    return energy.quantile(quantile, 0) / share
