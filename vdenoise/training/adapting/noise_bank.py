"""A clip's own noise, drawn anew: pieces of what was removed where the picture is flat."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.errors import UsageError
from vdenoise.picture.noise_table import NoiseTable

SIDE = 32  # luma pixels of a piece; pieces overlap by half
_SHARE = 0.15  # of all places: the flattest
_FEWEST = 16
_DARK, _BRIGHT = 0.03, 0.97  # beyond these a file clips the noise
_LEAST_SIGMA = 0.25 / 255

Planes = tuple[Tensor, Tensor]  # luma (T, 1, H, W) and chroma (T, 2, h, w)


@dataclass(frozen=True, eq=False)
class NoiseBank:
    """Pieces of noise over space and time, in units of the measured sigma.

    A piece keeps how the noise is correlated from frame to frame, from pixel to pixel and between
    planes.
    """

    luma: Tensor  # (N, T, 1, SIDE, SIDE)
    chroma: Tensor  # (N, T, 2, s, s')

    def noise(self, clean: Planes, table: NoiseTable, rng: np.random.Generator) -> Planes:
        """Noise for other frames: pieces drawn at random, of the strength their levels have.

        Args:
            clean: T frames, as many as the pieces have; sides are multiples of SIDE / 2.
            table: measured noise.
            rng: which pieces.
        """
        luma, chroma = clean
        across, down = (side // (SIDE // 2) + 1 for side in (luma.shape[-1], luma.shape[-2]))
        chosen = torch.from_numpy(rng.integers(len(self.luma), size=down * across))
        sigma = table.sigma_at(luma)
        at_chroma = functional.interpolate(sigma[:, 1:], chroma.shape[-2:], mode="area")
        return (
            _quilted(self.luma[chosen], down, across) * sigma[:, :1],
            _quilted(self.chroma[chosen], down, across) * at_chroma,
        )


def collect(clips: Iterable[tuple[Planes, Planes, NoiseTable]]) -> NoiseBank:
    """Cut pieces out of what was removed from some frames.

    Args:
        clips: (noisy, clean, measured noise) of T frames each.

    Raises:
        UsageError: no place is flat enough.
    """
    luma, chroma, structure = [], [], []
    for noisy, clean, table in clips:
        sigma = table.sigma_at(clean[0]).clamp(min=_LEAST_SIGMA)
        at_chroma = functional.interpolate(sigma[:, 1:], clean[1].shape[-2:], mode="area")
        luma.append(_pieces((noisy[0] - clean[0]) / sigma[:, :1], clean[0]))
        chroma.append(_pieces((noisy[1] - clean[1]) / at_chroma, clean[0]))
        structure.append(_structure(clean[0]))
    order = torch.cat(structure).argsort()
    flat = order[: max(_FEWEST, int(_SHARE * len(order)))]
    flat = flat[torch.cat(structure)[flat].isfinite()]
    if len(flat) < _FEWEST:
        raise UsageError(
            "There is no place in this clip that shows little but noise.",
            "Use the network as it is.",
            number=81,
        )
    return NoiseBank(_unit(torch.cat(luma)[flat]), _unit(torch.cat(chroma)[flat]))


def _pieces(noise: Tensor, luma: Tensor) -> Tensor:
    """(T, C, h, w) as (N, T, C, s, s') pieces, at the same places whatever the plane's size."""
    down, across = (a // b for a, b in zip(luma.shape[-2:], noise.shape[-2:], strict=True))
    high, wide = SIDE // down, SIDE // across
    found = noise.unfold(2, high, high // 2).unfold(3, wide, wide // 2)
    return found.permute(2, 3, 0, 1, 4, 5).flatten(0, 1)


def _structure(luma: Tensor) -> Tensor:
    """(N,): how much picture there is at each place; infinite where the noise is clipped."""
    smooth = functional.avg_pool2d(luma, 5, stride=1, padding=2, count_include_pad=False)
    x = functional.pad(smooth.diff(dim=-1), (0, 1))
    y = functional.pad(smooth.diff(dim=-2), (0, 0, 0, 1))
    energy = _pieces(x.square() + y.square(), luma).mean((2, 3, 4)).amax(1)
    levels = _pieces(smooth, luma)
    clipped = (levels.amin((1, 2, 3, 4)) < _DARK) | (levels.amax((1, 2, 3, 4)) > _BRIGHT)
    return energy.masked_fill(clipped, math.inf)


def _unit(pieces: Tensor) -> Tensor:
    """Scaled so that each plane has the sigma that was measured: a little noise always stays."""
    return pieces / pieces.square().mean((0, 1, 3, 4), keepdim=True).sqrt().clamp(min=1e-6)


def _quilted(pieces: Tensor, down: int, across: int) -> Tensor:
    """(down * across, T, C, s, s') laid over each other by half, keeping the variance.

    The squares of overlapping sine windows sum up to 1.
    """
    count, frames, planes, high, wide = pieces.shape
    windows = [torch.sin(math.pi * (torch.arange(n) + 0.5) / n) for n in (high, wide)]
    patches = pieces * (windows[0][:, None] * windows[1])
    size = ((down + 1) * (high // 2), (across + 1) * (wide // 2))
    columns = patches.permute(1, 2, 3, 4, 0).reshape(frames, planes * high * wide, count)
    whole = functional.fold(columns, size, (high, wide), stride=(high // 2, wide // 2))
    return whole[..., high // 2 : -(high // 2), wide // 2 : -(wide // 2)]
