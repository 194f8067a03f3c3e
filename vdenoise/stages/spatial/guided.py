"""Self-guided filter: local linear models, averaged (He, Sun, Tang, IEEE PAMI 2013)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from vdenoise.picture.block import Signal
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.windows import box, moments, noise_share, power, scatter, smooth, wiener_gain
from vdenoise.stages.base import Footprint, SpatialStage, param


class GuidedFilter(SpatialStage):
    """Guided filter whose regularization is the measured noise variance: sharp at edges.

    In each window the picture is ``a x + b``. Where He et al. ask the user for ``epsilon``, the
    gain here is the share of the window's variance that the noise does not explain.
    """

    method: ClassVar[str] = "guided"

    radius: int = param(2, "Half size of the windows.", low=1, high=8, unit="px")

    @property
    def footprint(self) -> Footprint:
        """Windows that contain the pixel reach twice their half size."""
        return Footprint(halo=2 * self.radius)

    def filter(self, signal: Signal, noise: NoiseTable, luma: Tensor) -> Signal:
        """Fit a line in every window, then average the lines that cover each pixel."""
        pixels = signal.pixels
        sigma = self.sigma(signal, noise, luma)
        taps = box(self.radius)
        twice = tuple(
            (len(taps) - abs(i)) / len(taps) ** 2 for i in range(1 - len(taps), len(taps))
        )
        mean, variance = moments(pixels, taps)
        window = noise_share(noise.spectrum, power(taps), power(taps))
        expected = sigma * sigma * (1 - window).clamp(min=0)
        gain = wiener_gain(variance, expected, 1 + scatter(taps, noise.grain_area))
        give = smooth(1 - gain, taps)
        # x + mean of (1 - a)(m - x): mean of the models at this pixel, as a correction
        result = pixels + (smooth((1 - gain) * mean, taps) - give * pixels)
        of_mean = noise_share(noise.spectrum, power(twice), power(twice)).mean()
        common = power((1.0,), twice)
        cross = noise_share(noise.spectrum, common, common).mean()
        keep = 1 - give
        residual = keep * keep + give * give * of_mean + 2 * keep * give * cross
        return Signal(result, signal.residual * residual.clamp(0, 1).sqrt())
