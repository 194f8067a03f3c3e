"""Radial bands of frequency, over the coefficients of a 16 x 16 block DCT."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from vdenoise.picture.noise_table import SPECTRUM as SIZE

BANDS = 6  # radial frequency bands, from coarse to fine; the mean (DC) is in none
_EDGES = (0.5, 2.5, 4.5, 7.5, 10.5, 14.5, 99.0)  # of the bands: radius in DCT coefficients


@cache
def bands() -> Tensor:
    """(256, BANDS): 1 where a coefficient is in a band."""
    k = torch.arange(SIZE).double()
    radius = (k[:, None].square() + k.square()).sqrt().flatten()
    return torch.stack([(radius > a) & (radius <= b) for a, b in pairwise(_EDGES)], 1).float()


def band_sizes() -> Tensor:
    """(BANDS,) number of coefficients in each band."""
    return bands().sum(0)


def band_members() -> list[Tensor]:
    """Make for each band a (16, 16) mask of its coefficients."""
    return [m.view(SIZE, SIZE) > 0 for m in bands().T]


def by_band(squares: Tensor) -> Tensor:
    """Mean of (..., 16, 16) over each band: (..., BANDS)."""
    return squares.flatten(-2) @ (bands() / band_sizes())
