"""Bilateral filter: average of near pixels of like value (Tomasi, Manduchi, ICCV 1998)."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from vdenoise.picture.block import Signal
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.windows import TINY, pad, shift, variance_left
from vdenoise.stages.base import Footprint, SpatialStage, param


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
    speeds: ClassVar[dict[str, dict[str, Any]]] = {"veryfast": {"size": 1.0}, "fast": {"size": 1.4}}

    @property
    def footprint(self) -> Footprint:
        """Two standard deviations."""
        return Footprint(halo=math.ceil(2 * self.size), scratch=12)

    def filter(self, signal: Signal, noise: NoiseTable, luma: Tensor) -> Signal:
        """Weighted sum over the window, as a correction."""
        pixels, radius = signal.pixels, self.footprint.halo
        planes = pixels.shape[1]
        sigma = self.sigma(signal, noise, luma)
        scale = 1 / ((sigma * self.width).square() * planes).clamp(min=TINY)
        padded = pad(pixels, radius)
        total = torch.ones_like(signal.residual)
        moved = torch.zeros_like(pixels)
        second = torch.zeros_like(signal.residual)
        others = torch.zeros_like(signal.residual)
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                if dy == dx == 0:
                    continue
                difference = shift(padded, dy, dx, radius) - pixels
                near = math.exp(-0.5 * (dy * dy + dx * dx) / self.size**2)
                distance = (difference * difference * scale).sum(1, keepdim=True)
                weight = (distance * -0.5).exp() * near
                total += weight
                moved += difference * weight
                second += distance * weight
                others += (weight - distance * weight / planes).square()
        moved /= total
        first = (moved * moved * scale).sum(1, keepdim=True)
        # derivative of the result by its own pixel: weights also follow the center's error
        own = (1 + second / planes) / total - first / planes
        residual = variance_left(own.square() + others / (total * total), noise.spectrum).sqrt()
        return Signal(pixels + moved, signal.residual * residual)
