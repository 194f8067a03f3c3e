"""Unsharp masking that sees where noise is left and does not overshoot."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from vdenoise.picture.block import Signal
from vdenoise.picture.windows import box, pad, shift, smooth, wiener_gain
from vdenoise.stages.base import Footprint, Role, param
from vdenoise.stages.finishing import Finisher, Part


class Unsharp(Finisher):
    """Adds what a blur takes away, coarser detail than CAS reaches.

    Luma only. Overshoots stop at ``halo_limit`` beyond what is there already; the amount falls to
    nothing where the detail is not more than the noise that is left.
    """

    slot: ClassVar[str] = "sharpen"
    method: ClassVar[str] = "unsharp"
    role: ClassVar[Role] = "sharpener"
    changes: ClassVar[tuple[str, ...]] = ("luma",)

    size: float = param(
        1.2, "Standard deviation of the blur: how coarse the detail is.", low=0.3, high=4, unit="px"
    )
    halo_limit: float = param(
        6.0, "How far a pixel may go beyond its neighbors.", low=0, high=64, unit="8-bit codes"
    )
    noise_margin: float = param(
        2.0, "How many times the noise that is left detail must be; 0 sharpens noise too.",
        low=0, high=8,
    )  # fmt: skip

    @property
    def footprint(self) -> Footprint:
        """Where the bell is cut off, and the window in which detail is weighed against noise."""
        return Footprint(halo=self._radius + 2, scratch=10)

    @property
    def _radius(self) -> int:
        return math.ceil(2.5 * self.size)

    @property
    def taps(self) -> tuple[float, ...]:
        """Samples of the bell, sum 1."""
        bell = [
            math.exp(-0.5 * (x / self.size) ** 2) for x in range(-self._radius, self._radius + 1)
        ]
        return tuple(b / sum(bell) for b in bell)

    def finish(self, part: Part) -> Signal:
        """Add detail, within the neighbors' range and a little."""
        pixels, taps = part.signal.pixels, self.taps
        detail = pixels - smooth(pixels, taps)
        # Variance of white noise in the detail
        center, total = taps[len(taps) // 2] ** 2, sum(t * t for t in taps) ** 2
        heard = part.residual_sigma.square() * (1 - 2 * center + total)
        window = box(2)
        gain = wiener_gain(
            smooth(detail.square(), window), smooth(heard, window), self.noise_margin
        )
        framed = pad(pixels, 1)
        around = torch.stack([shift(framed, dy, dx, 1) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
        slack = self.halo_limit / 255
        wanted = pixels + detail * gain * (0.6 * self.strength)
        bounded = torch.minimum(
            torch.maximum(wanted, around.amin(0) - slack), around.amax(0) + slack
        )
        return Signal(bounded, part.signal.residual.clone())
