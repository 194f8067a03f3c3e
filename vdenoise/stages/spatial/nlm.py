"""Non-local means (Buades, Coll, Morel, IPOL 2011): average of pixels with like surroundings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from vdenoise.picture.block import Signal
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.windows import TINY, box, pad, taps_sum, variance_left
from vdenoise.stages.base import Footprint, SpatialStage, param

# Share of the weights' derivative that counts for noise of a full sigma, which flattens them;
# fitted to the spread of results over noise drawn ten times on textured pictures.
FOLLOW = 0.55


class NonLocalMeans(SpatialStage):
    """Average of pixels whose patches differ by no more than the noise explains.

    Patch differences are measured in units of the noise at the levels of both pixels, so the
    filter needs no ``h`` tuned to the clip. Planes share weights. All shifts by one offset are
    compared at once and box-filtered, and each comparison serves both of its pixels.
    """

    method: ClassVar[str] = "nlm"
    speeds: ClassVar[dict[str, dict[str, Any]]] = {
        "veryfast": {"search": 2},
        "fast": {"search": 3},
        "slow": {"search": 7},
        "veryslow": {"search": 10},
    }

    search: int = param(5, "Half size of the square searched.", low=1, high=15, unit="px")
    patch: int = param(1, "Half size of the compared patches.", low=0, high=4, unit="px")
    width: float = param(
        0.9, "Decay of the weights, in sigmas of the noise: more is smoother.", low=0.1, high=3.0
    )

    @property
    def footprint(self) -> Footprint:
        """A patch at the rim of the search square."""
        return Footprint(halo=self.search + self.patch, scratch=12)

    def filter(self, signal: Signal, noise: NoiseTable, luma: Tensor) -> Signal:
        """Weighted sum over the search square, as a correction."""
        pixels, halo = signal.pixels, self.footprint.halo
        x = pad(pixels, halo)
        variance = pad(self.sigma(signal, noise, luma).square(), halo)
        # the coarser the grain, the fewer samples a patch has and the more its distance scatters
        decay = 2 / self.width**2 / max(noise.grain_area, 1) ** 0.5
        total = torch.ones_like(signal.residual)  # a pixel counts for itself with the full weight
        square = torch.zeros_like(signal.residual)
        follow = torch.zeros_like(signal.residual)
        moved = torch.zeros_like(pixels)
        for dy, dx in self._offsets():
            weights = self._weights(x, variance, decay, dy, dx)
            for sign, (weight, slope) in zip((1, -1), weights, strict=True):
                other = self._view(x, sign * dy, sign * dx, pixels.shape)
                total += weight
                square += weight * weight
                moved += (other - pixels) * weight
                follow += slope
        # derivative of the result by its own pixel: weights also follow the center's error
        compared = (2 * self.patch + 1) ** 2 * pixels.shape[1]
        steepness = FOLLOW * 2 * decay / compared
        own = (1 + follow * steepness) / total
        residual = variance_left(own.square() + square / (total * total), noise.spectrum, 3).sqrt()
        return Signal(pixels + moved / total, signal.residual * residual)

    def _offsets(self) -> Iterator[tuple[int, int]]:
        """Half of the search square: the other half is the same pairs seen from the far end."""
        for dy in range(self.search + 1):
            for dx in range(-self.search if dy else 1, self.search + 1):
                yield dy, dx

    def _view(self, x: Tensor, dy: int, dx: int, shape: torch.Size) -> Tensor:
        """The padded picture moved by an offset, core size."""
        halo = self.footprint.halo
        return x.narrow(-2, halo + dy, shape[-2]).narrow(-1, halo + dx, shape[-1])

    def _weights(
        self, x: Tensor, variance: Tensor, decay: float, dy: int, dx: int
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Weigh the pixels at +(dy, dx) and at -(dy, dx): weight and its slope, (T, 1, H, W)."""
        halo, patch = self.footprint.halo, self.patch
        height, width = x.shape[-2] - 2 * halo, x.shape[-1] - 2 * halo
        # compare where either end of the pair is a core pixel, and a patch's rim around it
        top, left = halo - dy - patch, halo - max(dx, 0) - patch
        rows, columns = height + dy + 2 * patch, width + abs(dx) + 2 * patch

        def at(field: Tensor, y: int, x0: int) -> Tensor:
            return field.narrow(-2, y, rows).narrow(-1, x0, columns)

        difference = at(x, top + dy, left + dx) - at(x, top, left)
        explained = at(variance, top + dy, left + dx) + at(variance, top, left)
        ratio = (difference * difference / explained.clamp(min=TINY)).mean(1, keepdim=True)
        taps = box(patch)
        distance = taps_sum(taps_sum(ratio, taps, -1), taps, -2)  # 1 on average for noise alone
        weight = ((distance - 1).clamp(min=0) * -decay).exp()
        inside = ratio.narrow(-2, patch, height + dy).narrow(-1, patch, width + abs(dx))
        slope = torch.where(distance > 1, weight * inside, 0)

        def core(y: int, x0: int) -> tuple[Tensor, Tensor]:
            part = (f.narrow(-2, y, height).narrow(-1, x0, width) for f in (weight, slope))
            return next(part), next(part)

        return core(dy, max(dx, 0)), core(0, max(-dx, 0))
