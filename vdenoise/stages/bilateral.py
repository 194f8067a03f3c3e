"""Bilateral filter: average of near pixels of like value (Tomasi, Manduchi, ICCV 1998)."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from vdenoise.frame import Signal
from vdenoise.noise.profile import NoiseTable
from vdenoise.stages.base import SpatialStage, param
from vdenoise.stages.local import noise_share, pad, power, shifted


class Bilateral(SpatialStage):
    """Average of near pixels, weighted by how likely the noise explains their difference.

    The width of the range kernel is a multiple of the measured sigma at the pixel's level (two
    to three is best for PSNR: Zhang, Gunturk, IEEE TIP 2008). Both chroma planes share weights.
    """

    method: ClassVar[str] = "bilateral"

    size: float = param(
        1.5, "Standard deviation of the spatial kernel.", low=0.5, high=5.0, unit="px"
    )
    width: float = param(
        2.2, "Width of the range kernel, in sigmas of the noise.", low=1.0, high=5.0
    )
    speeds: ClassVar = {"veryfast": {"size": 1.0}, "fast": {"size": 1.4}}

    @property
    def halo(self) -> int:
        """Two standard deviations."""
        return math.ceil(2 * self.size)

    def filter(self, signal: Signal, noise: NoiseTable, luma: Tensor) -> Signal:
        """Weighted sum over the window, as a correction."""
        pixels, radius = signal.pixels, self.halo
        sigma = self.sigma(signal, noise, luma)
        # differences beyond this many sigma have half a range kernel's weight or less
        scale = -0.5 / (sigma * self.width).square().clamp(min=1e-20)
        padded = pad(pixels, radius)
        planes = pixels.shape[1]
        total = torch.ones_like(signal.left)
        square = torch.ones_like(signal.left)
        moved = torch.zeros_like(pixels)
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                if dy == dx == 0:
                    continue
                difference = shifted(padded, dy, dx, radius) - pixels
                near = math.exp(-0.5 * (dy * dy + dx * dx) / self.size**2)
                exponent = (difference * difference * scale).sum(1, keepdim=True) / planes
                weight = exponent.exp() * near
                total += weight
                square += weight * weight
                moved += difference * weight
        left = self._left(square / (total * total), noise)
        return Signal(pixels + moved / total, signal.left * left)

    def _left(self, squares: Tensor, noise: NoiseTable) -> Tensor:
        """Share of sigma left by weights with this sum of squares.

        Spatially correlated noise averages less well than the squares say, by the same factor as
        under the spatial kernel alone. And because the weights favour pixels that err the same
        way as the centre, a share ``1 / (1 + width^2)`` of the centre's own error stays.
        """
        bell = [math.exp(-0.5 * (x / self.size) ** 2) for x in range(-self.halo, self.halo + 1)]
        taps = [b / sum(bell) for b in bell]
        white = sum(t * t for t in taps) ** 2
        coloring = (noise_share(noise.spectrum, power(taps), power(taps)).mean() / white).clamp(1)
        bias = 1 / (1 + self.width**2)
        return ((squares * coloring).clamp(max=1) * (1 - bias**2) + bias**2).sqrt()
