"""Contrast adaptive sharpening that sees where noise is left."""

from __future__ import annotations

from typing import ClassVar

import torch

from vdenoise.picture.block import Signal
from vdenoise.picture.windows import box, pad, shift, smooth, wiener_gain
from vdenoise.stages.base import Footprint, Role, param
from vdenoise.stages.finishing import Finisher, Part

_LOBE = 12  # of a place with all room: AMD's range is 8 to 5, which draws dark outlines


class ContrastAdaptive(Finisher):
    """Sharpens soft places more than sharp ones, and noise not at all (AMD FidelityFX CAS).

    Luma only. The amount falls with the contrast already there, and to nothing where the detail
    is not more than the noise that is left.
    """

    slot: ClassVar[str] = "sharpen"
    method: ClassVar[str] = "cas"
    role: ClassVar[Role] = "sharpener"
    changes: ClassVar[tuple[str, ...]] = ("luma",)

    noise_margin: float = param(
        2.0, "How many times the noise that is left detail must be; 0 sharpens noise too.",
        low=0, high=8,
    )  # fmt: skip

    @property
    def footprint(self) -> Footprint:
        """The 3x3 filter, and the window in which detail is weighed against noise."""
        return Footprint(halo=3, scratch=10)

    def finish(self, part: Part) -> Signal:
        """A negative lobe on the four neighbors, as strong as the place allows."""
        pixels = part.signal.pixels
        framed = pad(pixels, 1)
        up, down, left, right = (
            shift(framed, dy, dx, 1) for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))
        )
        high = torch.maximum(torch.maximum(up, down), torch.maximum(left, right))
        low = torch.minimum(torch.minimum(up, down), torch.minimum(left, right))
        high, low = torch.maximum(high, pixels), torch.minimum(low, pixels)
        room = torch.minimum(low, 1 - high).clamp(min=0) / high.clamp(min=1e-4)
        lobe = -room.clamp(max=1).sqrt() * (self.strength / _LOBE)
        change = (up + down + left + right - 4 * pixels) * (lobe / (1 + 4 * lobe))
        # White noise of variance 1 shows 20 through the same filter
        heard = part.residual_sigma.square() * (20 * (lobe / (1 + 4 * lobe)).square())
        window = box(2)
        gain = wiener_gain(
            smooth(change.square(), window), smooth(heard, window), self.noise_margin
        )
        return Signal(pixels + change * gain, part.signal.residual.clone())
