"""The spectrum of a plane's noise, from bands and from the quietest blocks' coefficients."""

from __future__ import annotations

import torch
from torch import Tensor

from vdenoise.noise.bands import BANDS, band_members
from vdenoise.picture.noise import PlaneNoise
from vdenoise.picture.noise_table import SPECTRUM

_STEEPEST = 1.3  # growth of a single frame's noise from one band to the next coarser
_QUIET = 2.0  # times the noise's energy: below it a block's band tells the noise's spectrum
_FEW = 100  # blocks: with fewer a band has no shape of its own
_TINY = 1e-14


def plausible(bands: Tensor) -> Tensor:
    """Bands of a single frame without what can only be texture: noise hardly grows so fast."""
    bands = bands.clone()
    for band in reversed(range(BANDS - 1)):
        bands[band] = torch.minimum(bands[band], _STEEPEST * bands[band + 1])
    return bands


def spectrum_of(squares: Tensor, odd: Tensor, bands: Tensor) -> Tensor:
    """(16, 16) of mean about that of ``bands``: their energies, and inside each its own shape.

    Args:
        squares: (m, 16, 16) squared coefficients relative to the level's variance.
        odd: (m, BANDS) energies of the same blocks, relative as well.
        bands: (BANDS,) the noise's.
    """
    spectrum = torch.zeros(SPECTRUM, SPECTRUM)
    for band, members in zip(range(BANDS), band_members(), strict=True):
        quiet = odd[:, band] < _QUIET * bands[band]
        shape = squares[quiet][:, members].mean(0) if quiet.sum() >= _FEW else torch.ones(1)
        spectrum[members] = bands[band] * shape / shape.mean().clamp(min=_TINY)
    # DC holds flicker as well: noise has about as much of it as of the next coefficients.
    spectrum[0, 0] = (spectrum[0, 1] + spectrum[1, 0]) / 2
    return spectrum


def as_rows(spectrum: Tensor) -> tuple[tuple[float, ...], ...]:
    """Mean 1; white where there is no noise at all."""
    mean = spectrum.mean()
    if mean <= _TINY:
        return PlaneNoise.white(0.0).spectrum
    return tuple(tuple(row) for row in (spectrum / mean).tolist())
