"""A shot's measured noise as tensors: what stages look sigma and spectrum up in.

Sigma is in full-scale units of the working representation (luma [0, 1], chroma [-0.5, 0.5]). The
spectrum is the mean square of the noise's orthonormal type-II DCT coefficients on 16x16 blocks,
normalised to mean 1: white noise is all ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise import compiled
from vdenoise.picture.luma_chroma import Picture

LEVELS = 17  # luma levels 0, 1/16 .. 1 at which sigma is tabulated
# Grain that covers more pixels than this needs 16x16 blocks to be told from the picture.
COARSE_GRAIN = 1.5
_FINE = 64  # look-up steps between two levels: finer than 10-bit codes, and fast
SPECTRUM = 16  # size of the DCT blocks the spectrum is given on


@dataclass(frozen=True, eq=False)
class NoiseTable:
    """A shot's noise as tensors, for the stages. What it is asked for is found once: a number that
    is read from a card waits for all that the card still has to do."""

    sigma: Tensor  # (P, 17): P = 1 (Y) or 3 (Y, Cb, Cr), full-scale units
    spectrum: Tensor  # (P, 16, 16), mean 1
    temporal_correlation: float = 0.0
    impulse_rate: float = 0.0

    @cached_property
    def grain_area(self) -> float:
        """Pixels over which luma noise is alike: 1 for white noise, more for coarse grain.

        The sum of the squared autocorrelation, by Parseval the mean square of the spectrum.
        """
        return float(self.spectrum[0].square().mean())

    @cached_property
    def luma(self) -> NoiseTable:
        """The noise of luma alone."""
        return self._of(slice(0, 1))

    @cached_property
    def chroma(self) -> NoiseTable:
        """The noise of Cb and Cr alone."""
        return self._of(slice(1, 3))

    @property
    def picture(self) -> Picture[NoiseTable]:
        """The noise of luma, and of chroma where it was measured."""
        return Picture(self.luma, self.chroma if len(self.sigma) > 1 else None)

    def _of(self, planes: slice) -> NoiseTable:
        return replace(self, sigma=self.sigma[planes], spectrum=self.spectrum[planes])

    def sigma_at(self, luma: Tensor) -> Tensor:
        """Look sigma up at luma levels, linear between table entries (to a 1024th of the range).

        Args:
            luma: (T, 1, H, W), any range; values outside [0, 1] take the nearest entry.

        Returns:
            (T, P, H, W) in full-scale units.
        """
        steps = (LEVELS - 1) * _FINE
        fine = functional.interpolate(
            self.sigma[:, None].to(luma), steps + 1, mode="linear", align_corners=True
        )[:, 0]
        if compiled.serves(luma):
            sigma = torch.empty(len(luma), len(fine), *luma.shape[2:])
            for plane, to in zip(luma.contiguous(), sigma, strict=True):
                compiled.call("looked_up", plane, plane.numel(), fine, len(fine), steps, to)
            return sigma
        place = (luma[:, 0].clamp(0, 1) * steps + 0.5).to(torch.int32)
        found = [row.index_select(0, place.flatten()).view(place.shape) for row in fine]
        return torch.stack(found, dim=1)
