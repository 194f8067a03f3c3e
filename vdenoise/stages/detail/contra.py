"""Contra-sharpening: gives back what of the removed signal follows the clean picture's detail."""

from __future__ import annotations

from typing import ClassVar

import torch

from vdenoise.picture.block import Signal
from vdenoise.picture.windows import TINY, box, pad, shift, smooth
from vdenoise.stages.base import Footprint, Need, Role, param
from vdenoise.stages.finishing import Finisher, Part

_FINE = (0.25, 0.5, 0.25)  # what is finer than this is the detail looked for


class ContraSharpening(Finisher):
    """Gives back the part of the removed signal that is structure, not noise.

    The clean picture's own detail (the picture less its blur) is fitted to the removed signal in
    every neighborhood. Noise has nothing in common with that detail, what a denoiser took of it
    has: so much of it comes back, if the fit is more than chance, and at no pixel more than was
    removed around it. After Didée's contra-sharpening, with the fit in place of a fixed amount.
    """

    slot: ClassVar[str] = "detail"
    method: ClassVar[str] = "contra"
    role: ClassVar[Role] = "sharpener"

    radius: int = param(
        3, "Half size of the neighborhood in which the fit is made.", low=1, high=8, unit="px"
    )
    doubt: float = param(
        2.0, "How many times chance a fit must be; more gives back less.", low=0, high=6
    )

    @property
    def needs(self) -> frozenset[Need]:
        """What was removed is their difference."""
        return frozenset({"original", "clean"})

    @property
    def footprint(self) -> Footprint:
        """The fit's window, and a pixel for the detail."""
        return Footprint(halo=self.radius + 1, scratch=10)

    def finish(self, part: Part) -> Signal:
        """Add the detail, each plane's own."""
        pixels = part.signal.pixels
        removed = part.original - part.clean
        detail = part.clean - smooth(part.clean, _FINE)
        window = box(self.radius)
        samples = len(window) ** 2
        common = smooth(detail * removed, window)
        energy = smooth(detail.square(), window)
        # Chance: noise of this sigma against detail of this energy, in a window of grains
        grains = max(samples / max(part.noise.grain_area, 1.0), 1.0)
        chance = energy * part.sigma.square() * (self.doubt**2 / grains)
        share = (common / energy.clamp(min=TINY)).clamp(0, 2)
        sure = (1 - chance / common.square().clamp(min=TINY)).clamp(min=0)
        wanted = detail * (share * sure * self.strength)
        framed = pad(removed, 1)
        around = [shift(framed, dy, dx, 1) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        most = torch.stack(around).amax(0).clamp(min=0)
        least = torch.stack(around).amin(0).clamp(max=0)
        return Signal(
            pixels + torch.maximum(torch.minimum(wanted, most), least), part.signal.residual.clone()
        )
