"""What is invented must leave noise behind: source less result is held to what was measured.

In every block and band of frequencies the energy of that residual must be the noise's, within what
chance allows. Where the invented detail would leave more (it is no detail of this picture) or less
(it is the noise itself), only as much of it is taken as leaves what is possible.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.nets.base import BAND_EDGES
from vdenoise.picture.block_passes import dct_matrix
from vdenoise.picture.noise_table import SPECTRUM

_STEP = SPECTRUM // 2
_CHANCE = 3.0  # deviations of a block's energy that are still taken for chance
_TINY = 1e-12


def consistent(invented: Tensor, removed: Tensor, sigma: Tensor, spectrum: Tensor) -> Tensor:
    """Keep as much of the invented detail as leaves a residual that can be noise.

    Args:
        invented: (H, W), what is to be added.
        removed: (H, W), source less the picture it is added to.
        sigma: (H, W) of the noise that was there.
        spectrum: (16, 16) of that noise, mean 1.

    Returns:
        (H, W).
    """
    height, width = invented.shape
    detail, rest = _spectra(invented), _spectra(removed)
    level = _blocks(sigma.square()).mean(1, keepdim=True)  # (L, 1)
    window = _window(invented.device).flatten()
    expected = spectrum.flatten().to(invented) * window.square().mean()
    kept = torch.zeros_like(detail)
    for low, high in pairwise(BAND_EDGES):
        band = _band(low, high).to(invented.device)
        own, other = detail[:, band], rest[:, band]
        energy, common = own.square().sum(1), (own * other).sum(1)
        now = other.square().sum(1)
        usual = level[:, 0] * expected[band].sum()
        # A half sine's noise bandwidth is 1.23 of a rectangle's: so many fewer are independent
        slack = _CHANCE * (2 * 1.23**2 / len(band)) ** 0.5
        most = torch.maximum(now, usual * (1 + slack))
        least = torch.minimum(now, usual * max(1 - slack, 0.0))
        share = _share(energy, common, now, most, least)
        kept[:, band] = own * share[:, None]
    return _joined(kept, (height, width))


def _share(a: Tensor, b: Tensor, now: Tensor, most: Tensor, least: Tensor) -> Tensor:
    """The largest c in [0, 1] up to which now - 2 b c + a c^2 stays between least and most."""
    safe = a.clamp(min=_TINY)
    above = (b + (b.square() + safe * (most - now)).clamp(min=0).sqrt()) / safe
    inside = b.square() - safe * (now - least)
    below = (b - inside.clamp(min=0).sqrt()) / safe
    reached = (b > 0) & (inside > 0)
    top = torch.where(reached, torch.minimum(above, below), above)
    return top.clamp(0, 1)


@cache
def _band(low: float, high: float) -> Tensor:
    """Coefficients of a block whose radial frequency lies in a band, in cycles a pixel."""
    place = torch.arange(SPECTRUM) / (2 * SPECTRUM)
    radius = torch.hypot(place[:, None], place).flatten()
    return ((radius >= low) & (radius < high)).nonzero()[:, 0]


def _window(device: torch.device) -> Tensor:
    """(16, 16): its squares at half a block's distance add up to 1."""
    place = torch.arange(SPECTRUM, device=device) + 0.5
    half = torch.sin(torch.pi * place / SPECTRUM)
    return half[:, None] * half


def _transform(device: torch.device) -> Tensor:
    basis = dct_matrix(SPECTRUM).to(device)
    return torch.kron(basis, basis)


def _blocks(plane: Tensor) -> Tensor:
    """(L, 256): every block, at half a block's distance; the edge is repeated."""
    height, width = plane.shape
    around = (_STEP, _STEP + -width % _STEP, _STEP, _STEP + -height % _STEP)
    framed = functional.pad(plane[None, None], around, mode="replicate")
    return functional.unfold(framed, SPECTRUM, stride=_STEP)[0].T


def _spectra(plane: Tensor) -> Tensor:
    """(L, 256) DCT coefficients of windowed blocks."""
    return (_blocks(plane) * _window(plane.device).flatten()) @ _transform(plane.device).T


def _joined(spectra: Tensor, size: tuple[int, int]) -> Tensor:
    """The plane of windowed blocks with these spectra."""
    height, width = size
    blocks = (spectra @ _transform(spectra.device)) * _window(spectra.device).flatten()
    whole = (height + 2 * _STEP + -height % _STEP, width + 2 * _STEP + -width % _STEP)
    plane = functional.fold(blocks.T[None], whole, SPECTRUM, stride=_STEP)[0, 0]
    return plane[_STEP : _STEP + height, _STEP : _STEP + width]
