"""The plan file: everything that decides a result, frozen before the first frame.

A task of a farm reads it and nothing else that could change a pixel: no preset file, no variable,
no configuration of its host. What is known only after measuring is an `AnalysisRecord`: part of the
plan, or a second file, ``analysis.json`` in the work folder, made by the first step of a farm job.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from vdenoise import __version__
from vdenoise.chain.parameters import build
from vdenoise.chain.presets import Preset
from vdenoise.chain.request import ChainRequest
from vdenoise.chain.resolve import Chain, Layer
from vdenoise.engine.plan import Dither, Interlaced, ViewKind
from vdenoise.errors import ConflictError
from vdenoise.farm.encoding import check_settings
from vdenoise.farm.inputs import InputRecord, Where, anywhere, moved, record_files
from vdenoise.farm.record import Record, digest, read_record
from vdenoise.farm.source import SourceRecord
from vdenoise.masks.spec import make as make_mask
from vdenoise.masks.spec import pointed
from vdenoise.media.movie.encoder import IMAGES, EncodeSettings
from vdenoise.picture.noise import NoiseProfile
from vdenoise.settings.groups import SETTINGS, NoiseSettings, OutputSettings
from vdenoise.stages import stage_class
from vdenoise.stages.plugins import fingerprint
from vdenoise.workflows.recipe import mask_fingerprint


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

    @field_validator("dials")
    @classmethod
    def _settings_are_all(cls, dials: dict[str, Any]) -> dict[str, Any]:
        strange = sorted(dials.keys() ^ SETTINGS.keys())
        if strange:
            raise ValueError(
                f"{strange[0]} is {'no setting' if strange[0] in dials else 'missing'}"
            )
        return dials

    @classmethod
    def of(cls, chain: Chain, name: Where = str) -> Self:
        """Record a chain, whose files are called in the plan as ``name`` says."""
        return cls(
            preset=chain.preset,
            speed=chain.speed,
            dials=chain.settings(),
            masks=tuple(
                MaskRecord(
                    name=mask.name,
                    values=pointed(mask.values(), name),
                    fingerprint=mask_fingerprint(mask),
                )
                for mask in chain.masks
            ),
            stages=tuple(
                StageRecord(
                    stage=stage.name,
                    parameters=_of_stage(stage.name, stage.model_dump(mode="json"), name),
                    fingerprint=fingerprint(stage),
                )
                for stage in chain.stages
            ),
            origin=dict(chain.origin),
        )

    def chain(self, where: Where = str) -> Chain:
        """The chain again, with its files where ``where`` says they are.

        Raises:
            ConflictError: a stage here computes with something else (another model file), or a
                mask's file is another.
        """
        masks = tuple(make_mask(mask.name, pointed(mask.values, where)) for mask in self.masks)
        for recorded, mask in zip(self.masks, masks, strict=True):
            if recorded.fingerprint != mask_fingerprint(mask):
                raise ConflictError(
                    f"The file of the mask {mask.name}, {mask.path}, is not the one in the plan.",
                    "Put it back, or make the plan again with: vdenoise plan.",
                    number=10,
                )
        stages = tuple(
            build(stage_class(s.stage), _of_stage(s.stage, s.parameters, where))
            for s in self.stages
        )
        for record, stage in zip(self.stages, stages, strict=True):
            if record.fingerprint != fingerprint(stage):
                raise ConflictError(
                    f"{record.stage} has the fingerprint {fingerprint(stage)} here and "
                    f"{record.fingerprint} in the plan.",
                    "Install on this machine what the plan was made with.",
                    number=6,
                )
        return Chain(
            preset=self.preset,
            speed=self.speed,
            stages=stages,
            origin=self.origin,
            noise=NoiseSettings.of(self.dials),
            output=OutputSettings.of(self.dials),
            masks=masks,
        )


def _of_stage(stage: str, parameters: Mapping[str, Any], where: Where) -> dict[str, Any]:
    """Parameters of a stage, with the files among them called as ``where`` says."""
    slot = stage.partition(".")[0]
    full = moved({f"{slot}.{key}": value for key, value in parameters.items()}, where)
    return {key.partition(".")[2]: value for key, value in full.items()}


class Request(Record):
    """What was asked for, kept until the measurement has its say (`chain.resolve`)."""

    preset: str
    preset_values: dict[str, Any]
    preset_speed: str
    layers: tuple[tuple[str, dict[str, Any]], ...]  # (origin, values)
    speed: str | None

    @classmethod
    def of(cls, asked: ChainRequest) -> Self:
        """Record a request."""
        preset = asked.preset
        return cls(
            preset=preset.name,
            preset_values=anywhere(preset.values),
            preset_speed=preset.speed,
            layers=tuple((layer.origin, anywhere(layer.values)) for layer in asked.layers),
            speed=asked.speed,
        )

    def inputs(self) -> tuple[InputRecord, ...]:
        """The files it names, as they are now."""
        named = (self.preset_values, *(values for _, values in self.layers))
        return tuple({one.path: one for values in named for one in record_files(values)}.values())

    def asked(self, where: Where = str) -> ChainRequest:
        """The request again, with its files where ``where`` says they are."""
        values = moved(self.preset_values, where)
        preset = Preset(self.preset, "", values, self.preset_speed)
        layers = tuple(Layer(origin, moved(values, where)) for origin, values in self.layers)
        return ChainRequest(preset, layers, self.speed)


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
