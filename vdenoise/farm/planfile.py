"""The plan file: everything that decides a result, frozen before the first frame.

A task of a farm reads it and nothing else that could change a pixel: no preset file, no variable,
no configuration of its host. What is known only after measuring is an `AnalysisRecord`: part of the
plan, or a second file, ``analysis.json`` in the work folder, made by the first step of a farm job.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import field_validator, model_validator

from vdenoise import __version__
from vdenoise.errors import ConflictError
from vdenoise.farm.chain_record import ChainRecord, Request
from vdenoise.farm.inputs import InputRecord
from vdenoise.farm.record import Record, digest, read_record
from vdenoise.farm.source import SourceRecord
from vdenoise.media.movie.encoder import IMAGES, EncodeSettings
from vdenoise.media.movie.own_settings import check_settings
from vdenoise.picture.noise import NoiseProfile
from vdenoise.settings.choices import Dither, Interlaced, ViewKind


class AnalysisRecord(Record):
    """What the pass over the whole clip found, and what follows from it."""

    kind: Literal["vdenoise-analysis"] = "vdenoise-analysis"
    schema_version: Literal[1] = 1
    request_id: str  # `PlanFile.request_id`: of the plan it was made for
    profile: NoiseProfile
    cuts: tuple[int, ...]
    chain: ChainRecord
    notes: tuple[str, ...]


PartName = Literal["clean", "noise"] | ViewKind
Join = Literal["files", "copy", "encode"]


class OutputPart(Record):
    """One of the clips that are delivered: the clean one, or what is to be seen beside it."""

    name: PartName
    output: str
    encode: EncodeSettings  # of the finished clip
    segment_encode: EncodeSettings
    # Segments write the finished images, or hold the clip's own packets, or its samples.
    join: Join

    @model_validator(mode="after")
    def _is_ours(self) -> Self:
        for settings in (self.encode, self.segment_encode):
            check_settings(settings)
            if (settings.container == IMAGES) != (self.join == "files"):
                raise ValueError(f"{settings.container} is not joined by {self.join}")
        return self

    @property
    def holds_frames(self) -> bool:
        """Whether segments give the very frames again that were computed."""
        exact = self.encode.lossless and self.encode.written == self.encode.pixel_format
        return exact or self.join == "encode"


class PlanFile(Record):
    """``plan.json``."""

    kind: Literal["vdenoise-plan"] = "vdenoise-plan"
    schema_version: Literal[4] = 4
    plan_id: str = ""  # SHA-256 of everything else
    vdenoise: str = __version__
    source: SourceRecord
    parts: tuple[OutputPart, ...]  # the clean clip first
    grain_table: str | None = None  # where that of the clean clip goes
    frames: tuple[int, int]  # to write, both inclusive
    chosen: tuple[int, ...] | None  # the frames to write, if not all of these (images only)
    segments: tuple[tuple[int, int], ...]
    interlaced: Interlaced
    seed: int
    dither: Dither
    request: Request
    inputs: tuple[InputRecord, ...] = ()  # what the request reads beside the clip
    given_profile: NoiseProfile | None = None  # --profile or --sigma
    given_cuts: tuple[int, ...] | None = None  # --cuts
    memory_mib: int  # estimate of a task's peak, on a CPU
    warnings: tuple[str, ...] = ()
    analysis: AnalysisRecord | None = None

    @field_validator("parts")
    @classmethod
    def _clean_comes_first(cls, parts: tuple[OutputPart, ...]) -> tuple[OutputPart, ...]:
        names = [part.name for part in parts]
        if names[:1] != ["clean"] or len(set(names)) < len(names):
            raise ValueError("the clean clip comes first, and each other one once")
        return parts

    @model_validator(mode="after")
    def _segments_follow_each_other(self) -> Self:
        after = self.frames[0]
        for first, last in self.segments:
            if not 0 <= after <= first <= last <= self.frames[1]:
                raise ValueError("segments: in order within the plan's frames, none over another")
            after = last + 1
            if self.chosen is not None and not any(first <= n <= last for n in self.chosen):
                raise ValueError(f"segments: the one of {first}-{last} writes no frame")
        if not self.segments:
            raise ValueError("segments: there is none")
        return self

    @property
    def clean(self) -> OutputPart:
        """The clean clip."""
        return self.parts[0]

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All that is written for people: files, and patterns of images."""
        table = () if self.grain_table is None else (self.grain_table,)
        return tuple(Path(name) for name in (*(part.output for part in self.parts), *table))

    def wanted(self, segment: int) -> tuple[int, ...]:
        """The frames that a segment writes."""
        first, last = self.segments[segment]
        if self.chosen is None:
            return tuple(range(first, last + 1))
        return tuple(n for n in self.chosen if first <= n <= last)

    @property
    def request_id(self) -> str:
        """SHA-256 of all but the analysis: it says which plan an analysis belongs to."""
        return digest(self.model_dump(mode="json", exclude={"plan_id", "analysis"}))

    def sealed(self) -> Self:
        """The same with its ``plan_id``."""
        return self.model_copy(update={"plan_id": self._digest()})

    def _digest(self) -> str:
        return digest(self.model_dump(mode="json", exclude={"plan_id"}))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a plan.

        Raises:
            UsageError: it is missing or no plan.
            ConflictError: it was changed after it was made.
        """
        found = read_record(cls, path, "plan", "Make one with: vdenoise plan CLIP -o plan.json")
        if found.plan_id != found._digest():
            raise ConflictError(
                f"The plan {path} was changed after it was made.",
                "Make it again with: vdenoise plan (segments of the old one do not fit it).",
                number=2,
            )
        return found
