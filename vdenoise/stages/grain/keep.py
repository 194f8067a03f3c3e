"""The true grain, given back in part."""

from __future__ import annotations

from typing import ClassVar

import torch

from vdenoise.picture.block import Signal
from vdenoise.stages.base import Footprint, Need, Role, param
from vdenoise.stages.finishing import Finisher, Part


class KeptGrain(Finisher):
    """Gives back a share of what was removed: the source's own grain, not an imitation.

    Other than a lower ``--luma``, it comes after sharpening, which so never sees the grain.
    """

    slot: ClassVar[str] = "grain"
    method: ClassVar[str] = "keep"
    role: ClassVar[Role] = "grain"

    strength: float = param(
        0.4, "Share of the true grain given back: 0 is off, 1 is the source.", low=0, high=1
    )

    @property
    def needs(self) -> frozenset[Need]:
        """The grain is their difference."""
        return frozenset({"original", "clean"})

    @property
    def footprint(self) -> Footprint:
        """Two pictures and their difference."""
        return Footprint(scratch=4)

    def finish(self, part: Part) -> Signal:
        """What the stages since did, on top of clean picture and grain."""
        # lerp is exact at both ends, so that all of the grain gives the source to the bit
        grainy = torch.lerp(part.clean, part.original, self.strength)
        before = part.signal.residual
        residual = torch.lerp(before, torch.ones_like(before), self.strength)
        return Signal(grainy + (part.signal.pixels - part.clean), residual)
