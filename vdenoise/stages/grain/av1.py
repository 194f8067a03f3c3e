"""Grain that is left to whoever plays the clip."""

from __future__ import annotations

from typing import ClassVar

from vdenoise.picture.block import Block
from vdenoise.stages.base import Role, Stage, param


class DecoderGrain(Stage):
    """Leaves the picture clean and has AV1 decoders draw grain like the grain removed.

    Its strength by level and its color go into the frame headers of the AV1 output, shot by shot;
    players draw it anew, and the encoder spends no bits on it. For AV1 outputs only.
    """

    slot: ClassVar[str] = "grain"
    method: ClassVar[str] = "av1"
    role: ClassVar[Role] = "grain"
    changes: ClassVar[tuple[str, ...]] = ()
    exempt: ClassVar[dict[str, str]] = {
        "stronger is grainier": "the decoder draws the grain: no pixel changes here",
    }

    strength: float = param(
        1.0, "Share of the removed grain's sigma that is drawn: 0 is off, 1 is all.", low=0, high=1
    )

    def denoise(self, block: Block) -> Block:
        """The picture as it is."""
        return block.with_picture(block.core_picture)
