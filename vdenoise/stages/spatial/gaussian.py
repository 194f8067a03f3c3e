"""Gaussian blur where a neighborhood shows nothing but noise."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from vdenoise.picture.block import Signal
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.stages.base import Footprint, SpatialStage, param
from vdenoise.stages.spatial.mean import pull_to_mean


class Gaussian(SpatialStage):
    """Gaussian mean, held back where the local variance is more than the noise explains."""

    method: ClassVar[str] = "gaussian"

    size: float = param(1.4, "Standard deviation of the blur.", low=0.3, high=4.0, unit="px")

    @property
    def footprint(self) -> Footprint:
        """Where the bell is cut off: two and a half standard deviations."""
        return Footprint(halo=math.ceil(2.5 * self.size))

    @property
    def taps(self) -> tuple[float, ...]:
        """Samples of the bell, sum 1."""
        bell = [
            math.exp(-0.5 * (x / self.size) ** 2)
            for x in range(-self.footprint.halo, self.footprint.halo + 1)
        ]
        return tuple(b / sum(bell) for b in bell)

    def filter(self, signal: Signal, noise: NoiseTable, luma: Tensor) -> Signal:
        """Pull pixels towards the blurred picture."""
        return pull_to_mean(signal, self.sigma(signal, noise, luma), noise, self.taps)
