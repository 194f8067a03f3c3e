"""Local mean where a neighborhood shows nothing but noise (Lee, IEEE PAMI 1980)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from vdenoise.picture.block import Signal
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.windows import box, moments, noise_share, power, scatter, wiener_gain
from vdenoise.stages.base import Footprint, SpatialStage, param


class Mean(SpatialStage):
    """Box mean, held back where the local variance is more than the noise explains."""

    method: ClassVar[str] = "mean"

    radius: int = param(2, "Half size of the averaged square.", low=1, high=8, unit="px")

    @property
    def footprint(self) -> Footprint:
        """The window's half size."""
        return Footprint(halo=self.radius)

    def filter(self, signal: Signal, noise: NoiseTable, luma: Tensor) -> Signal:
        """Pull pixels towards the local mean."""
        return pull_to_mean(signal, self.sigma(signal, noise, luma), noise, box(self.radius))


def pull_to_mean(signal: Signal, sigma: Tensor, noise: NoiseTable, taps: Sequence[float]) -> Signal:
    """Wiener gain between pixel and weighted local mean (Lee's local-statistics filter).

    The variance that the noise alone would show inside the window is ``sigma^2`` less what the
    mean keeps of it, which for spatially correlated noise is a good part.

    Args:
        signal: (T, C, H, W) pixels and what noise is left in them.
        sigma: (T, C, H, W) noise to remove, in full-scale units.
        noise: the measured noise of these planes.
        taps: separable window, odd, sum 1.
    """
    pixels = signal.pixels
    mean, variance = moments(pixels, taps)
    of_mean = power(taps)
    common = power((1.0,), taps)
    share = noise_share(noise.spectrum, of_mean, of_mean)
    cross = noise_share(noise.spectrum, common, common)
    expected = sigma * sigma * (1 - share).clamp(min=0)
    keep = wiener_gain(variance, expected, 1 + scatter(taps, noise.grain_area))
    give = 1 - keep
    residual = keep * keep + give * give * share.mean() + 2 * keep * give * cross.mean()
    return Signal(pixels + give * (mean - pixels), signal.residual * residual.clamp(0, 1).sqrt())
