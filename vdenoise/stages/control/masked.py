"""A stage's own strength inside masks: what it is at each pixel, before the stage runs."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import SkipValidation, model_serializer

from vdenoise.masks.coverage import layers, strengths
from vdenoise.masks.spec import MaskSpec
from vdenoise.picture.block import Accuracy, Block
from vdenoise.picture.findings import StageFindings
from vdenoise.stages.base import Footprint, Need, Stage


class MaskedStrength(Stage):
    """Draws the masks for the stage behind it, which runs at the largest strength that any place
    asks for; the map says what share of that each pixel is to have."""

    slot: ClassVar[str] = "masks"
    method: ClassVar[str] = "strength"

    behind: str  # slot of the stage that this is for, and name of the map
    usual: float = 0.0  # strength outside all masks, as a share of the most
    most: float = 1.0  # strength that the stage itself is given
    masks: tuple[SkipValidation[MaskSpec], ...] = ()
    motion_est: Accuracy = "fast"

    @model_serializer
    def _as_asked(self) -> dict[str, Any]:
        masks = {mask.name: mask.values() for mask in self.masks}
        own = {"behind": self.behind, "usual": self.usual, "most": self.most, "masks": masks}
        return {"strength": self.strength, **own, "motion_est": self.motion_est}

    @property
    def reach(self) -> int:
        """Frames over which the masks are steadied."""
        return max((mask.stabilize for mask in self.masks), default=0)

    @property
    def footprint(self) -> Footprint:
        """Whole frames: masks are drawn on all of the picture."""
        return Footprint(whole=True, scratch=4)

    @property
    def needs(self) -> frozenset[Need]:
        """Masks of files, and motion where a mask is steadied."""
        return frozenset({"mattes", "motion"} if self.reach > 0 else {"mattes"})

    @property
    def motion_accuracy(self) -> Accuracy:
        """Accuracy of the temporal stage, whose motion is there already."""
        return self.motion_est

    def denoise(self, block: Block) -> Block:
        """Change nothing, and say how much of the next stage's work each pixel is to have."""
        core = block.core_picture
        usual = {self.behind: 100 * self.usual * self.most}
        amounts, _ = strengths(layers(self.masks, block), usual, core.luma.pixels)
        share = (amounts[self.behind] / self.most).clamp(0, 1)
        return block.with_picture(core).with_findings(StageFindings(shares={self.behind: share}))
