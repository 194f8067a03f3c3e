"""A chain as a plan file holds it: asked for, or resolved to the last parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import field_validator

from vdenoise.chain.parameters import build
from vdenoise.chain.presets import Preset
from vdenoise.chain.request import ChainRequest
from vdenoise.chain.resolve import Chain, Layer
from vdenoise.errors import ConflictError
from vdenoise.farm.inputs import InputRecord, Where, anywhere, moved, record_files
from vdenoise.farm.record import Record
from vdenoise.masks.parse import make_mask, point_file
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
                    values=point_file(mask.values(), name),
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
        masks = tuple(make_mask(mask.name, point_file(mask.values, where)) for mask in self.masks)
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
