"""Grain like that of another clip."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Self

import torch
from pydantic import model_validator
from torch import Tensor

from vdenoise.picture.noise import NoiseProfile, ShotNoise
from vdenoise.stages.base import StageFile, param
from vdenoise.stages.finishing import Part
from vdenoise.stages.grain.field import Color, DrawnGrain, color_of


class MatchedGrain(DrawnGrain):
    """Adds grain with another clip's strength at every level and its color, from its noise profile.

    The first shot of the profile counts; a profile of luma alone gives grain in luma alone.
    """

    method: ClassVar[str] = "match"

    file: str = param(
        "", "Noise profile of the clip to match; on the command line also the clip itself."
    )

    @model_validator(mode="after")
    def _file_is_a_profile(self) -> Self:
        """Read it now: a missing file is said before the start, not in the middle."""
        if self.file:
            _target(self.file)
        return self

    @property
    def idle(self) -> bool:
        """Whether it is off, or has no profile to match."""
        return not self.file or super().idle

    @property
    def files(self) -> tuple[StageFile, ...]:
        """The profile."""
        return (_ProfileFile(Path(self.file)),) if self.file else ()

    def color(self, plane: int) -> Color:
        """Take the spectrum as measured; where there is one of luma alone, that."""
        planes = _target(self.file).planes
        return color_of(planes[min(plane, len(planes) - 1)].spectrum)

    def wanted(self, part: Part) -> Tensor:
        """Look up what was measured at each level."""
        table = _target(self.file).table(part.luma.device)
        if len(table.sigma) <= part.planes[0]:
            return torch.zeros_like(part.signal.pixels)
        return (table.chroma if part.planes[0] else table.luma).sigma_at(part.luma)


@dataclass(frozen=True)
class _ProfileFile:
    """A profile that counts by what is used of it: its first shot."""

    path: Path

    @property
    def sha256(self) -> str:
        return sha256(_target(str(self.path)).model_dump_json().encode()).hexdigest()


def _target(file: str) -> ShotNoise:
    path = Path(file)
    return _read(path, path.stat().st_mtime_ns if path.exists() else 0)


@cache
def _read(path: Path, _changed: int) -> ShotNoise:
    return NoiseProfile.load(path).shots[0]
