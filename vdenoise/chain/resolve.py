"""The chain of denoisers, completely resolved, from layers of values.

Later layers win: stage default < preset < ``--speed`` < ``VDENOISE_*`` < command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vdenoise.chain.parameters import build, in_slot
from vdenoise.chain.presets import Preset
from vdenoise.errors import UsageError, did_you_mean
from vdenoise.masks.parse import check_order, make_mask
from vdenoise.masks.spec import DRAWN, FINISHED, MaskSpec
from vdenoise.settings.groups import MASK, SETTINGS, NoiseSettings, OutputSettings
from vdenoise.stages import OFF, ONLY_ASKED, SLOTS, every_stage, methods, stage_class
from vdenoise.stages.plugins import plug_ins

if TYPE_CHECKING:
    from vdenoise.stages.base import Stage


@dataclass(frozen=True)
class Layer:
    """Values from one place, such as the environment, and what to call that place."""

    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Chain:
    """What to do, completely resolved: nothing here is a default any more."""

    preset: str
    speed: str
    stages: tuple[Stage, ...]
    origin: Mapping[str, str] = field(default_factory=dict)  # where a value came from, if said
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    masks: tuple[MaskSpec, ...] = ()

    @property
    def text(self) -> str:
        """The stages in order, for people: ``temporal.mean > spatial.wiener``."""
        return " > ".join(stage.name for stage in self.stages) or "nothing"

    @property
    def files(self) -> dict[str, tuple[Path, ...]]:
        """What is read beside the clip: files by what they are to people."""
        masks = {f"the mask {m.name}": (Path(m.path),) for m in self.masks if m.path}
        stages = {
            f"a file of {stage.slot}": tuple(file.path for file in stage.files)
            for stage in self.stages
            if stage.files
        }
        return masks | stages

    def settings(self) -> dict[str, Any]:
        """Every value that is set for the chain as a whole, by its full name."""
        return self.output.values() | self.noise.values()

    def parameters(self) -> dict[str, Any]:
        """Every value by its name, as for ``--set``."""
        values: dict[str, Any] = {
            name: list(value) if isinstance(value, tuple) else value  # as JSON has it
            for name, value in self.settings().items()
        }
        values |= {f"{MASK}.{mask.name}": mask.values() for mask in self.masks}
        for stage in self.stages:
            values[f"{stage.slot}.method"] = stage.method
            values |= {f"{stage.slot}.{k}": v for k, v in stage.model_dump(mode="json").items()}
        return values


def resolve(preset: Preset, layers: Sequence[Layer] = (), *, speed: str | None = None) -> Chain:
    """Put a preset and what was asked for on top of it together.

    A layer that names another method for a slot than the preset's starts from that method's own
    defaults: the preset's values of that slot were meant for the other one.

    Args:
        preset: the lowest layer above the stages' defaults.
        layers: later ones win.
        speed: cost word where one was typed; it wins over what the preset says on cost.

    Raises:
        UsageError: a name does not exist or a value is not accepted.
    """
    ranked = (Layer(f"preset {preset.name}", preset.values), *layers)
    for layer in ranked:
        _check_names(layer)
    origin: dict[str, str] = {}
    said = {name: value for layer in ranked for name, value in layer.values.items()}
    last = {name: layer.origin for layer in ranked for name in layer.values}
    origin |= {name: last[name] for name in SETTINGS if name in last}
    masks = _masks(ranked, origin)
    masked = {word for mask in masks for word in DRAWN if mask.strengths.get(word)}
    stages = [
        stage
        for slot in SLOTS
        if (stage := _stage(slot, preset, layers, speed, origin, slot in masked)) is not None
    ]
    inventing = [stage for stage in stages if stage.slot in ONLY_ASKED]
    if preset.evidence and inventing:
        raise UsageError(
            f"The preset {preset.name} is for evidence, and {inventing[0].slot} invents detail.",
            f"Leave --{inventing[0].slot} away, or use another preset: vdenoise presets.",
            number=195,
        )
    return Chain(
        preset=preset.name,
        speed=speed or preset.speed,
        stages=tuple(stages),
        origin=origin,
        noise=NoiseSettings.of(said),
        output=OutputSettings.of(said),
        masks=masks,
    )


def idle(chain: Chain, asked: Mapping[str, Any]) -> tuple[str, ...]:
    """What was asked for and can do nothing in this chain, a sentence each: a parameter of a slot
    that is off, the ghost guard without a temporal stage, a mask's share of sharpening where
    nothing is sharpened. Not errors: a preset or another option may have switched it off.

    Args:
        chain: as resolved.
        asked: values by full name, of what was typed.
    """
    on = {stage.slot for stage in chain.stages}
    found = []
    for name, value in asked.items():
        slot, _, key = name.partition(".")
        if slot in SLOTS and slot not in on and key != "method" and not _switches_off(value):
            found.append(f"{name} = {value} does nothing: {slot} is off")
        if slot == MASK:
            shares = [word for word in FINISHED if word in value and word not in on]
            found += [f"{name}: {word}= does nothing, {word} is off" for word in shares]
    if "output.guards" in asked and "ghost" in chain.output.guards and "temporal" not in on:
        found.append("the ghost guard does nothing: temporal is off")
    return tuple(found)


def _switches_off(value: Any) -> bool:
    try:
        return float(value) == 0
    except (TypeError, ValueError):
        return str(value) == OFF


def _masks(layers: Sequence[Layer], origin: dict[str, str]) -> tuple[MaskSpec, ...]:
    """Every mask that was named, in the order of first mention; the last to speak says all of it,
    and the source ``none`` takes it away."""
    asked: dict[str, Mapping[str, Any]] = {}
    for layer in layers:
        for key, values in layer.values.items():
            slot, _, name = key.partition(".")
            if slot == MASK:
                if values.get("source") == OFF and name not in asked:
                    raise UsageError(
                        f"There is no mask {name} to take away.{did_you_mean(name, asked)}",
                        f"Masks so far: {', '.join(asked) or 'none'}.",
                        number=69,
                    )
                asked[name] = values
                origin[key] = layer.origin
    found = tuple(
        make_mask(name, values) for name, values in asked.items() if values.get("source") != OFF
    )
    check_order(found)
    return found


def _stage(
    slot: str,
    preset: Preset,
    layers: Sequence[Layer],
    speed: str | None,
    origin: dict[str, str],
    masked: bool,
) -> Stage | None:
    """The stage of one slot, or None where it is off; ``masked`` is that a mask gives it a strength
    inside, with or without one outside."""
    key = f"{slot}.method"
    own = preset.values.get(key, methods(slot)[0] if in_slot(preset.values, slot) else OFF)
    asked = [layer.values[key] for layer in layers if key in layer.values]
    method = str(asked[-1] if asked else own)
    wanted = masked or any(in_slot(layer.values, slot) for layer in layers)
    if not asked and own == OFF and wanted:
        method = methods(slot)[0]  # a parameter of a slot that was off switches it on
    if method == OFF:
        return None
    if method not in methods(slot) and f"{slot}.{method}" not in plug_ins():
        known = [name.partition(".")[2] for name in every_stage() if name.startswith(f"{slot}.")]
        raise UsageError(
            f"{slot}.method = {method}: there is no such method.{did_you_mean(method, known)}",
            f"Methods are {', '.join((*known, OFF))}.",
            number=15,
        )
    cls = stage_class(f"{slot}.{method}")
    mine = () if method != own else (Layer(f"preset {preset.name}", preset.values),)
    typed = () if speed is None else (_speed_layer(cls, speed, wanted),)
    values: dict[str, Any] = {}
    for layer in (_speed_layer(cls, preset.speed, wanted), *mine, *typed, *layers):
        for name, value in in_slot(layer.values, slot).items():
            if name == "method":
                continue
            if name not in cls.model_fields:
                raise UsageError(
                    f"{slot}.{name}: {slot}.{method} has no such parameter."
                    f"{did_you_mean(name, cls.model_fields)}",
                    f"See what it has with: vdenoise stages {slot}.{method}",
                    number=16,
                )
            values[name] = value
            origin[f"{slot}.{name}"] = layer.origin
    if str(values.get("radius")) == "0" and slot == "temporal":  # 0 is off, whatever the method
        return None
    if slot == "net" and values.get("model") == OFF:
        return None
    if masked:
        return build(cls, {"strength": 0.0} | values)
    stage = build(cls, values)
    silent = slot in ONLY_ASKED and "strength" not in values
    return None if silent or stage.idle else stage


def _speed_layer(cls: type[Stage], speed: str, wanted: bool) -> Layer:
    """Cost parameters; what was ``wanted`` by a parameter of its own no speed switches off."""
    values = {
        f"{cls.slot}.{name}": value
        for name, value in cls.speeds.get(speed, {}).items()
        if not (wanted and value == OFF)
    }
    return Layer(f"speed {speed}", values)


def _check_names(layer: Layer) -> None:
    for name in layer.values:
        slot = name.partition(".")[0]
        if slot not in (*SLOTS, MASK) and name not in SETTINGS:
            known = (*SETTINGS, *(f"{slot}.method" for slot in SLOTS))
            raise UsageError(
                f"{name} ({layer.origin}): there is no such parameter.{did_you_mean(name, known)}",
                "List stages and parameters with: vdenoise stages",
                number=16,
            )
