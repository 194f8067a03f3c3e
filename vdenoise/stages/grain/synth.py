"""Grain of a chosen amount and size."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from vdenoise.stages.base import param
from vdenoise.stages.finishing import Part
from vdenoise.stages.grain.field import Color, DrawnGrain, bell


class SyntheticGrain(DrawnGrain):
    """Adds film-like grain: strongest in the mid-tones, a third of it at black and white."""

    method: ClassVar[str] = "synth"

    amount: float = param(
        3.0, "Sigma of the grain at mid-gray; 0 is off.", low=0, high=40, unit="8-bit codes"
    )
    size: float = param(
        0.8, "How coarse: standard deviation of a grain, 0 is white noise.",
        low=0, high=3, unit="px",
    )  # fmt: skip
    chroma: float = param(
        0.3, "Share of the amount that Cb and Cr get, each its own grain.", low=0, high=1
    )

    @property
    def idle(self) -> bool:
        """Whether it is off, or there is no amount."""
        return self.amount == 0 or super().idle

    def color(self, plane: int) -> Color:
        """A bell; chroma's is of the same size in its own, coarser pixels."""
        return bell(self.size)

    def wanted(self, part: Part) -> Tensor:
        """A parabola over the levels."""
        level = part.luma.clamp(0, 1)
        share = 1.0 if part.planes[0] == 0 else self.chroma
        curve = (1 / 3 + 2 / 3 * 4 * level * (1 - level)) * (self.amount / 255 * share)
        return curve.expand_as(part.signal.pixels)
