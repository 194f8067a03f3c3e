"""Debanding: the steps of too few bits become slopes again."""

from __future__ import annotations

from typing import Any, ClassVar

from torch.nn import functional

from vdenoise.picture.block import Signal
from vdenoise.picture.windows import box, pad, smooth
from vdenoise.stages.base import Footprint, Need, Role, param
from vdenoise.stages.finishing import Finisher, Part


class SmoothBands(Finisher):
    """Smooths where nothing changes by more than a few codes over a wide neighborhood.

    Such places are skies and walls; a step in them is a band, for the picture's own detail spans
    more. What comes out lies between the codes, so the writer dithers.
    """

    slot: ClassVar[str] = "deband"
    method: ClassVar[str] = "smooth"
    role: ClassVar[Role] = "repair"

    speeds: ClassVar[dict[str, dict[str, Any]]] = {
        "veryfast": {"radius": 4},
        "fast": {"radius": 6},
        "slow": {"radius": 10},
        "veryslow": {"radius": 12},
    }

    radius: int = param(
        8, "Half the width of the neighborhood; bands up to it go.", low=2, high=16, unit="px"
    )
    range: float = param(
        3.0,
        "Neighborhoods that span up to this are smoothed, twice as much are not.",
        low=0.5,
        high=12,
        unit="8-bit codes",
    )

    @property
    def needs(self) -> frozenset[Need]:
        """What comes out lies between the codes."""
        return frozenset({"dither"})

    @property
    def footprint(self) -> Footprint:
        """A mean of means, and the span over the same pixels."""
        return Footprint(halo=2 * self.radius, scratch=10)

    def finish(self, part: Part) -> Signal:
        """Towards the smooth picture, as far as the span allows."""
        pixels = part.signal.pixels
        window = box(self.radius)
        even = smooth(smooth(pixels, window), window)
        size = 2 * self.footprint.halo + 1
        near = pad(pixels, self.footprint.halo)
        high = functional.max_pool2d(functional.max_pool2d(near, (1, size), 1), (size, 1), 1)
        low = -functional.max_pool2d(functional.max_pool2d(-near, (1, size), 1), (size, 1), 1)
        reach = self.range / 255 * max(self.strength, 1.0)
        flat = (2 - (high - low) / reach).clamp(0, 1) * min(self.strength, 1.0)
        return Signal(pixels + flat * (even - pixels), part.signal.residual.clone())
