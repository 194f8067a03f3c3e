"""Grain that is left to whoever plays the clip."""

from __future__ import annotations

from typing import ClassVar

from vdenoise.stages.base import Role, param
from vdenoise.stages.finishing import Finisher


class DecoderGrain(Finisher):
    """Leaves the picture clean and has AV1 decoders draw grain like the grain removed.

    Its strength by level and its color go into the frame headers of the AV1 output, shot by shot;
    players draw it anew, and the encoder spends no bits on it. For AV1 outputs only.
    """

    slot: ClassVar[str] = "grain"
    method: ClassVar[str] = "av1"
    role: ClassVar[Role] = "grain"
    changes: ClassVar[tuple[str, ...]] = ()

    strength: float = param(
        1.0, "Share of the removed grain's sigma that is drawn: 0 is off, 1 is all.", low=0, high=1
    )
