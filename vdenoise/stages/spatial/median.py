"""Repair impulses (dead and hot pixels, salt and pepper, drop-outs of single pixels)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from vdenoise.picture.block import Signal
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.windows import pad, shift
from vdenoise.stages.base import Footprint, Precision, SpatialStage, param

# The eight neighbors, and the 19 exchanges that sort eight values (Knuth, TAOCP 3, 5.3.4): many
# times faster over whole pictures than sorting each pixel's own.
RING = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
EXCHANGES = (
    *((0, 2), (1, 3), (4, 6), (5, 7), (0, 4), (1, 5), (2, 6), (3, 7), (0, 1), (2, 3)),
    *((4, 5), (6, 7), (2, 4), (3, 5), (1, 4), (3, 6), (1, 2), (3, 4), (5, 6)),
)


class Median(SpatialStage):
    """Median of the sound neighbors, only for pixels that stand out from almost all of them.

    A pixel is judged by its rank-ordered absolute differences (ROAD; Garnett et al., IEEE TIP
    2005): an impulse differs from all of its eight neighbors, a pixel on an edge or a thin line
    does not differ from those along it.
    """

    method: ClassVar[str] = "median"
    speeds: ClassVar[dict[str, dict[str, Any]]] = {"veryfast": {"passes": 1}}

    radius: int = param(2, "Half size of the window the median is taken of.", low=1, high=4)
    threshold: float = param(
        4.0, "How far a pixel must stand out, in sigmas of the noise.", low=2.0, high=20.0
    )
    floor: float = param(
        0.03, "Least contrast of an impulse, full scale 1, however low the noise.", low=0, high=1
    )
    similar: int = param(
        2, "Neighbors that a sound pixel resembles: 2 keeps thin lines.", low=1, high=4
    )
    passes: int = param(
        2, "Rounds of search and repair; more find impulses that touch each other.", low=1, high=4
    )

    @property
    def precision(self) -> Precision:
        """Medians do not round."""
        return "float16"

    @property
    def footprint(self) -> Footprint:
        """The window of each round, and one pixel more to judge the pixels in it."""
        return Footprint(halo=self.passes * (self.radius + 1), scratch=16)

    def filter(self, signal: Signal, noise: NoiseTable, luma: Tensor) -> Signal:
        """Replace the outliers of each plane."""
        bar = (noise.sigma_at(luma) * signal.residual * self.threshold).clamp(min=self.floor)
        for _ in range(self.passes):
            signal = self._repair(signal, self._outliers(signal.pixels, bar))
        return signal

    def _outliers(self, pixels: Tensor, bar: Tensor) -> Tensor:
        """Bool (T, C, H, W): differs from all but a few neighbors by more than ``bar``.

        In texture the neighbors differ among themselves too: as much more is asked for.
        """
        padded = pad(pixels, 1)
        ring = _sorted([shift(padded, *s, 1) - pixels for s in RING])
        limit = (bar + (ring[5] - ring[2])) / self.strength
        nearest = _sorted([difference.abs() for difference in ring])[: self.similar]
        return torch.stack(nearest).mean(0) > limit

    def _repair(self, signal: Signal, outlier: Tensor) -> Signal:
        """Median over the window's pixels that are no outliers themselves; none: keep."""
        pixels = signal.pixels
        sound = pad(pixels.masked_fill(outlier, torch.nan), self.radius)
        t, c, y, x = outlier.nonzero(as_tuple=True)
        reach = range(2 * self.radius + 1)
        window = torch.stack([sound[t, c, y + dy, x + dx] for dy in reach for dx in reach])
        count = window.isfinite().sum(0)
        result = pixels.clone()
        found = window.nanmedian(0).values if t.numel() else pixels.new_empty(0)
        result[t, c, y, x] = torch.where(count > 0, found, pixels[t, c, y, x])
        # a median of n pixels keeps sqrt(pi / 2n) of their sigma
        share = (torch.pi / 2 / count.clamp(min=1)).sqrt().clamp(max=1).to(pixels.dtype)
        residual = torch.ones_like(pixels)
        residual[t, c, y, x] = share
        return Signal(result, signal.residual * residual.mean(1, keepdim=True))


def _sorted(values: list[Tensor]) -> list[Tensor]:
    """Eight tensors, pixel by pixel in rising order."""
    values = list(values)
    for low, high in EXCHANGES:
        a, b = values[low], values[high]
        values[low], values[high] = torch.minimum(a, b), torch.maximum(a, b)
    return values
