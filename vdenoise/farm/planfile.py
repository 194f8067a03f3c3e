"""The plan file: everything that decides a result, frozen before the first frame.

A task of a farm reads it and nothing else that could change a pixel: no preset file, no variable,
no configuration of its host. What is known only after measuring is an `Analysis`: part of the plan,
or a second file, ``analysis.json`` in the work folder, made by the first step of a farm job.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from vdenoise import __version__
from vdenoise.atomic import write_text
from vdenoise.errors import ConflictError, OutputError, UsageError, fault_of
from vdenoise.masks.spec import make as make_mask
from vdenoise.media.encoder import EncodeSettings
from vdenoise.media.index import FrameIndex
from vdenoise.noise.profile import NoiseProfile
from vdenoise.plan import Dither, Interlaced
from vdenoise.preset import DIAL_FIELDS, DIALS, Chain, Layer, Preset, build, resolve
from vdenoise.recipe import mask_fingerprint
from vdenoise.stages import stage_class

Runs = tuple[tuple[int, int], ...]  # (value, how often in a row)


class Record(BaseModel):
    """Anything written to a JSON file and read again unchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Saved = TypeVar("Saved", bound=Record)


class IndexRecord(Record):
    """A `FrameIndex`: short where frames come at a constant rate, exact where they do not."""

    first_pts: int
    pts_steps: Runs
    durations: Runs
    key_steps: Runs  # from one keyframe to the next, the first from frame 0
    time_base: str
    rate: str
    variable_rate: bool
    counted: bool
    truncated: str

    @classmethod
    def of(cls, index: FrameIndex) -> Self:
        """Record an index."""
        return cls(
            first_pts=index.pts[0],
            pts_steps=_runs([b - a for a, b in pairwise(index.pts)]),
            durations=_runs(index.durations),
            key_steps=_runs([b - a for a, b in pairwise((0, *index.keys))]),
            time_base=str(index.time_base),
            rate=str(index.rate),
            variable_rate=index.variable_rate,
            counted=index.counted,
            truncated=index.truncated,
        )

    def index(self) -> FrameIndex:
        """The index again."""
        return FrameIndex(
            pts=_sums(self.first_pts, _values(self.pts_steps)),
            durations=_values(self.durations),
            keys=_sums(0, _values(self.key_steps))[1:],
            time_base=Fraction(self.time_base),
            rate=Fraction(self.rate),
            variable_rate=self.variable_rate,
            counted=self.counted,
            truncated=self.truncated,
        )


def _runs(values: Sequence[int]) -> Runs:
    found: list[list[int]] = []
    for value in values:
        if found and found[-1][0] == value:
            found[-1][1] += 1
        else:
            found.append([value, 1])
    return tuple((value, times) for value, times in found)


def _values(runs: Runs) -> tuple[int, ...]:
    return tuple(value for value, times in runs for _ in range(times))


def _sums(start: int, steps: Sequence[int]) -> tuple[int, ...]:
    sums = [start]
    for step in steps:
        sums.append(sums[-1] + step)
    return tuple(sums)


class SourceRecord(Record):
    """Which file, and how to see that it is still the same."""

    path: str
    bytes: int
    sha256_ends: str


class StageRecord(Record):
    """A stage with every parameter, and what it computes with beside them (a model's hash)."""

    stage: str
    parameters: dict[str, Any]
    fingerprint: str | None = None


class MaskRecord(Record):
    """A mask as asked for, and how to see that its file is still the same."""

    name: str
    values: dict[str, Any]
    fingerprint: str | None = None


class ChainRecord(Record):
    """A `Chain`."""

    preset: str
    speed: str
    dials: dict[str, Any]
    masks: tuple[MaskRecord, ...]
    stages: tuple[StageRecord, ...]
    origin: dict[str, str]

    @classmethod
    def of(cls, chain: Chain) -> Self:
        """Record a chain."""
        return cls(
            preset=chain.preset,
            speed=chain.speed,
            dials={name: getattr(chain, field) for name, field in DIAL_FIELDS.items()},
            masks=tuple(
                MaskRecord(name=mask.name, values=mask.values(), fingerprint=mask_fingerprint(mask))
                for mask in chain.masks
            ),
            stages=tuple(
                StageRecord(
                    stage=stage.name,
                    parameters=stage.model_dump(mode="json"),
                    fingerprint=stage.fingerprint,
                )
                for stage in chain.stages
            ),
            origin=dict(chain.origin),
        )

    def chain(self) -> Chain:
        """The chain again.

        Raises:
            ConflictError: a stage here computes with something else (another model file), or a
                mask's file is another.
        """
        masks = tuple(make_mask(mask.name, mask.values) for mask in self.masks)
        for recorded, mask in zip(self.masks, masks, strict=True):
            if recorded.fingerprint != mask_fingerprint(mask):
                raise ConflictError(
                    f"The file of the mask {mask.name}, {mask.path}, is not the one in the plan.",
                    "Put it back, or make the plan again with: vdenoise plan.",
                    number=10,
                )
        stages = tuple(build(stage_class(s.stage), s.parameters) for s in self.stages)
        for record, stage in zip(self.stages, stages, strict=True):
            if record.fingerprint != stage.fingerprint:
                raise ConflictError(
                    f"{record.stage} has the fingerprint {stage.fingerprint} here and "
                    f"{record.fingerprint} in the plan.",
                    "Install on this machine what the plan was made with.",
                    number=6,
                )
        return Chain(
            preset=self.preset,
            speed=self.speed,
            stages=stages,
            origin=self.origin,
            masks=masks,
            **{
                DIAL_FIELDS[name]: DIALS[name].check(name, value)
                for name, value in self.dials.items()
            },
        )


class Request(Record):
    """What was asked for, kept until the measurement has its say (`vdenoise.preset.resolve`)."""

    preset: str
    preset_values: dict[str, Any]
    preset_speed: str
    layers: tuple[tuple[str, dict[str, Any]], ...]  # (origin, values)
    speed: str | None

    @classmethod
    def of(cls, preset: Preset, layers: Sequence[Layer], speed: str | None) -> Self:
        """Record a request."""
        return cls(
            preset=preset.name,
            preset_values=dict(preset.values),
            preset_speed=preset.speed,
            layers=tuple((layer.origin, dict(layer.values)) for layer in layers),
            speed=speed,
        )

    def chain(self, measured: Mapping[str, str] | None = None) -> Chain:
        """The chain, with what ``auto`` does differently for the noise that was measured.

        Raises:
            UsageError: a name or value is not accepted.
        """
        preset = Preset(self.preset, "", self.preset_values, self.preset_speed)
        layers = [Layer(origin, values) for origin, values in self.layers]
        first = [Layer("measurement", measured)] if measured else []
        return resolve(preset, [*first, *layers], speed=self.speed)


class Analysis(Record):
    """What the pass over the whole clip found, and what follows from it."""

    kind: Literal["vdenoise-analysis"] = "vdenoise-analysis"
    schema_version: Literal[1] = 1
    request_id: str  # `PlanFile.request_id`: of the plan it was made for
    profile: NoiseProfile
    cuts: tuple[int, ...]
    chain: ChainRecord
    notes: tuple[str, ...]


class PlanFile(Record):
    """``plan.json``."""

    kind: Literal["vdenoise-plan"] = "vdenoise-plan"
    schema_version: Literal[1] = 1
    plan_id: str = ""  # SHA-256 of everything else
    vdenoise: str = __version__
    source: SourceRecord
    output: str  # the finished clip
    frames: tuple[int, int]  # to write, both inclusive
    segments: tuple[tuple[int, int], ...]
    join: Literal["copy", "encode"]  # segments hold the output's own packets, or its samples
    encode: EncodeSettings  # of the finished clip
    segment_encode: EncodeSettings
    interlaced: Interlaced
    seed: int
    dither: Dither
    request: Request
    given_profile: NoiseProfile | None = None  # --profile or --sigma
    given_cuts: tuple[int, ...] | None = None  # --cuts
    memory_mib: int  # estimate of a task's peak, on a CPU
    warnings: tuple[str, ...] = ()
    index: IndexRecord
    analysis: Analysis | None = None

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


def digest(value: Any) -> str:
    """SHA-256 of a value as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _readable(value: Any) -> str:
    """JSON with lists of numbers on one line: people read plans."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    return re.sub(r"\[[-+.\de,\s]*\]", lambda found: " ".join(found[0].split()), text)


def read_record(cls: type[Saved], path: Path, what: str, hint: str) -> Saved:
    """Read a JSON file.

    Raises:
        UsageError: it is missing, or not of this kind and schema.
    """
    try:
        return cls.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(
            f"Cannot read the {what} {path}: {error.strerror}.", hint, number=93
        ) from error
    except ValueError as error:
        raise UsageError(f"{path} is no {what}: {fault_of(error)}.", hint, number=94) from error


def write_record(record: Record, path: Path) -> None:
    """Write a JSON file: complete under its name, or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        write_text(path, _readable(record.model_dump(mode="json")) + "\n")
    except OSError as error:
        raise OutputError(
            f"Cannot write {path}: {error.strerror}.", "Check the folder and the disk.", number=11
        ) from error
