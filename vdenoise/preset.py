"""Presets and the chain of denoisers they describe.

A preset is a TOML file: ``schema``, ``about``, optionally ``speed``, and one table each for
``[output]``, ``[noise]`` and every slot of the chain in the order in which slots run. What is
accepted in a slot's table is declared once, on the stage's model.

Later layers win: stage default < preset < ``--speed`` < ``VDENOISE_*`` < command line.
"""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vdenoise import library
from vdenoise.dials import Dial
from vdenoise.errors import UsageError
from vdenoise.masks.spec import REMOVED, MaskSpec, anchored, check_order, is_mask_name
from vdenoise.masks.spec import make as make_mask
from vdenoise.masks.spec import parse as parse_mask
from vdenoise.stages import FINISHING, SLOTS, methods, stage_class

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from vdenoise.stages.base import Stage

SCHEMA = 1
SPEEDS = ("veryfast", "fast", "base", "slow", "veryslow")
FACTORS = {"light": 0.6, "strong": 1.3}  # modifiers of any preset, on the shares removed
STRONG_SCALE = 1.15  # on the measured noise: where all of it goes already, more is taken for noise
_LAST = frozenset(FINISHING)
OFF = "none"  # the method that switches a slot off


DIALS: Mapping[str, Dial] = {
    "output.luma": Dial(100.0, 100.0, "Percent of the luma noise found that is removed; 0 is off."),
    "output.chroma": Dial(
        100.0, 100.0, "Percent of the chroma noise found that is removed; 0 is off."
    ),
    "output.blend": Dial(
        0.0, 100.0, "Percent of the source's noise that is given back evenly; 0 is off."
    ),
    "output.limit": Dial(
        0.0, 255.0, "No sample moves by more than this many 8-bit codes; 0 is off."
    ),
    "output.bands": Dial(
        (100.0,) * 4,
        100.0,
        "Percent removed of coarse blotches, large, small and the finest grain, in this order.",
        count=4,
    ),
    "output.shadows": Dial(100.0, 100.0, "Percent of the strength that works in dark parts."),
    "output.highlights": Dial(100.0, 100.0, "Percent of the strength that works in bright parts."),
    "output.guards": Dial(
        (),
        0.0,
        "What watches the removed signal: for a shift of levels, for picture in it, for ghosts.",
        words=("color", "structure", "ghost"),
        several=True,
    ),
    "output.mask_fit": Dial(
        "exact",
        0.0,
        "scale takes a mask of another size or length: resized, its last frame held.",
        words=("exact", "scale"),
    ),
    "noise.sigma_scale": Dial(1.0, 4.0, "Factor on the measured noise: above 1 is taken as more."),
}
DIAL_FIELDS = {name: name.partition(".")[2] for name in DIALS}  # of `Chain`
MASK = "mask"  # values named mask.NAME hold what was asked of a mask


@dataclass(frozen=True)
class Preset:
    """A preset file as read: names and ranges are checked when the chain is resolved."""

    name: str
    about: str
    values: Mapping[str, Any]  # "slot.parameter" -> value
    speed: str = "base"
    why: str = ""  # the reasons for its values
    gauges: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # values by film gauge


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
    luma: float  # percent of the noise found to remove
    chroma: float
    sigma_scale: float
    stages: tuple[Stage, ...]
    origin: Mapping[str, str] = field(default_factory=dict)  # where a value came from, if said
    blend: float = 0.0
    limit: float = 0.0  # 8-bit codes, 0 is none
    bands: tuple[float, float, float, float] = (100.0,) * 4  # low to high
    shadows: float = 100.0
    highlights: float = 100.0
    guards: tuple[str, ...] = ()
    mask_fit: str = "exact"
    masks: tuple[MaskSpec, ...] = ()

    @property
    def text(self) -> str:
        """For people: ``temporal.mean > spatial.wiener``."""
        return " > ".join(stage.name for stage in self.stages) or "nothing"

    def parameters(self) -> dict[str, Any]:
        """Every value by its name, as for ``--set``."""
        found = {name: getattr(self, field) for name, field in DIAL_FIELDS.items()}
        values: dict[str, Any] = {
            name: list(value) if isinstance(value, tuple) else value  # as JSON has it
            for name, value in found.items()
        }
        values |= {f"{MASK}.{mask.name}": mask.values() for mask in self.masks}
        for stage in self.stages:
            values[f"{stage.slot}.method"] = stage.method
            values |= {f"{stage.slot}.{k}": v for k, v in stage.model_dump(mode="json").items()}
        return values


def names() -> tuple[str, ...]:
    """Names of all presets: those that come with vdenoise, ``auto`` first, then one's own."""
    return (*library.shipped(), *library.own())


def load(name: str) -> Preset:
    """Read a preset by name, or by the path of a ``.toml`` file.

    Modifiers follow a plus: ``high-iso+light``, ``film-scan+8mm+strong``.

    Raises:
        UsageError: there is none, or it is malformed.
    """
    return _load(name, ())


def _load(name: str, children: tuple[str, ...]) -> Preset:
    base, *modifiers = [name] if name.endswith(".toml") else name.split("+")
    preset = _read(base, children)
    for modifier in sorted(modifiers, key=lambda word: word in FACTORS):  # the gauge comes first
        preset = modified(preset, modifier)
    return preset


def _read(name: str, children: tuple[str, ...]) -> Preset:
    path = Path(name) if name.endswith(".toml") else library.path_of(name)
    if path is None:
        raise UsageError(
            f"There is no preset {name!r}.{did_you_mean(name, names())}",
            f"Presets are {', '.join(names())}, or the path of a .toml file.",
            number=10,
        )
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"Cannot read the preset {path}: {error.strerror}.",
            "List presets with: vdenoise presets",
            number=11,
        ) from error
    except ValueError as error:  # TOML and UTF-8 errors
        raise _malformed(path, f"it is not TOML: {error}") from error
    parent = data.pop("inherit", None)
    if parent is None:
        return _parsed(path, data)
    if not isinstance(parent, str) or parent.partition("+")[0] in (name, *children):
        raise _malformed(path, f"it cannot inherit from {parent!r}")
    base = _load(parent, (name, *children))
    preset = _parsed(path, {"speed": base.speed, **data})
    return replace(preset, values=_over(base.values, preset.values), gauges=base.gauges)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Values over others; a slot's values are not for another method of it."""
    changed = {
        key.partition(".")[0] for key in above if key.endswith(".method") and key in below
        and above[key] != below[key]
    }  # fmt: skip
    kept = {key: value for key, value in below.items() if key.partition(".")[0] not in changed}
    return {**kept, **above}


def modified(preset: Preset, modifier: str) -> Preset:
    """A preset done lighter or stronger, or for one gauge of film.

    ``light`` removes 0.6 of what the preset does, also inside its masks. ``strong`` removes 1.3 of
    it, but never more than all, and takes the noise for 1.15 of what was measured.

    Raises:
        UsageError: the preset has no such modifier.
    """
    values = dict(preset.values)
    if modifier in FACTORS:
        for dial in ("output.luma", "output.chroma"):
            percent = DIALS[dial].check(dial, values.get(dial, DIALS[dial].default))
            values[dial] = _times(percent, FACTORS[modifier])
        for name in (name for name in values if name.startswith(f"{MASK}.")):
            values[name] = {
                key: _times(float(value), FACTORS[modifier]) if key in REMOVED else value
                for key, value in values[name].items()
            }
        if modifier == "strong":
            dial = "noise.sigma_scale"
            scale = DIALS[dial].check(dial, values.get(dial, DIALS[dial].default))
            values[dial] = round(scale * STRONG_SCALE, 3)
    elif modifier in preset.gauges:
        values = _over(values, preset.gauges[modifier])
    else:
        known = (*FACTORS, *preset.gauges)
        raise UsageError(
            f"The preset {preset.name} cannot be made {modifier!r}.{did_you_mean(modifier, known)}",
            f"It can be made {', '.join(known)}.",
            number=18,
        )
    return replace(preset, name=f"{preset.name}+{modifier}", values=values)


def _times(percent: float, factor: float) -> float:
    return min(100.0, round(percent * factor, 1))


def _malformed(path: Path, why: str) -> UsageError:
    return UsageError(
        f"The preset {path.name} cannot be used: {why}.",
        "See one that can with: vdenoise presets auto",
        number=12,
    )


def _parsed(path: Path, data: dict[str, Any]) -> Preset:
    data = dict(data)
    schema = data.pop("schema", None)
    if schema != SCHEMA:
        raise _malformed(path, f"schema = {schema!r}, this version reads schema = {SCHEMA}")
    about, speed = data.pop("about", None), data.pop("speed", "base")
    if not isinstance(about, str) or not about:
        raise _malformed(path, 'it does not say what it is for (about = "...")')
    why, gauges = data.pop("why", ""), data.pop("gauge", {})
    if not isinstance(why, str) or not isinstance(gauges, dict):
        raise _malformed(path, "why is a text, and gauge a table of tables")
    if speed not in SPEEDS:
        raise _malformed(path, f"speed = {speed!r}, want one of {', '.join(SPEEDS)}")
    return Preset(
        name=path.stem,
        about=about,
        values=_values(path, data),
        speed=speed,
        why=why,
        gauges={gauge: _values(path, tables) for gauge, tables in gauges.items()},
    )


def _values(path: Path, data: Any) -> dict[str, Any]:
    """Tables of a preset as values by full name."""
    data = dict(data)
    masks = _mask_tables(path, data.pop(MASK, []))
    tables = ("output", "noise", *SLOTS)
    if not isinstance(data, dict):
        raise _malformed(path, "a gauge must hold tables, [gauge.8mm.output]")
    for key, table in data.items():
        if key not in tables:
            raise _malformed(
                path, f"it has an unknown key {key!r}.{did_you_mean(key, (*tables, MASK))}"
            )
        if not isinstance(table, dict):
            raise _malformed(path, f"{key} must be a table, [{key}]")
    order = [key for key in data if key in SLOTS]
    if order != [slot for slot in SLOTS if slot in order]:
        raise _malformed(
            path,
            f"it asks for the order {' > '.join(order)}; the order is fixed, "
            f"{' > '.join(SLOTS)}, because {_why_not(order)}",
        )
    values = {f"{slot}.{k}": value for slot, table in data.items() for k, value in table.items()}
    return {**values, **masks}


def as_toml(about: str, inherit: str, speed: str | None, values: Mapping[str, Any]) -> str:
    """The text of a preset that changes ``values`` of another; they have been checked."""
    lines = [f"schema = {SCHEMA}", f"about = {_toml(about)}", f"inherit = {_toml(inherit)}"]
    if speed is not None:
        lines.append(f"speed = {_toml(speed)}")
    for table in ("output", "noise", *SLOTS):
        if mine := _in_slot(values, table):
            lines += ["", f"[{table}]", *(f"{key} = {_toml(v)}" for key, v in mine.items())]
    for name, asked in _in_slot(values, MASK).items():
        keys = {"name": name, **asked}
        lines += ["", f"[[{MASK}]]", *(f"{key} = {_toml(v)}" for key, v in keys.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A TOML value: numbers and truth as such, even where they were typed as text."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(part) for part in value)}]"
    if isinstance(value, bool) or value in ("true", "false"):
        return str(value).lower()
    try:
        number = float(value)
    except (TypeError, ValueError):
        return json.dumps(str(value), ensure_ascii=False)
    return str(value) if math.isfinite(number) else json.dumps(str(value))


def _why_not(order: Sequence[str]) -> str:
    """What speaks against this order of slots."""
    early = [slot for n, slot in enumerate(order) if slot in FINISHING and set(order[n:]) - _LAST]
    if early:
        return (
            f"{early[0]} before denoising would make noise look like detail, which no denoiser "
            "takes away again"
        )
    return "averaging over time first leaves a spatial filter the least to do"


def _mask_tables(path: Path, tables: Any) -> dict[str, dict[str, Any]]:
    """``[[mask]]`` tables as values named ``mask.NAME``."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise _malformed(path, "masks are tables of the form [[mask]]")
    found: dict[str, dict[str, Any]] = {}
    for table in tables:
        values = dict(table)
        name = values.pop("name", None)
        if not isinstance(name, str) or not is_mask_name(name):
            raise _malformed(path, "a [[mask]] has no name of letters, digits, - and _")
        if f"{MASK}.{name}" in found:
            raise _malformed(path, f"it has two masks named {name}")
        found[f"{MASK}.{name}"] = anchored(values, path.parent)
    return found


def parse_assignments(items: Iterable[str]) -> dict[str, str]:
    """Take ``--set slot.param=value`` apart.

    Raises:
        UsageError: an item has no such form, or a name comes twice.
    """
    values: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        name = name.strip()
        if not equals or name.count(".") != 1:
            raise UsageError(
                f"--set {item} is not of the form stage.param=value.",
                "For example: --set spatial.method=nlm (vdenoise stages lists the names).",
                number=13,
            )
        if name in values:
            raise UsageError(f"{name} is set twice.", "Set it once.", number=14)
        values[name] = value.strip()
    return values


def parse_grain(text: str) -> dict[str, str]:
    """What ``--grain`` says, as values of the grain slot.

    ``keep:PERCENT`` of the true grain, ``match:FILE``, ``synth:AMOUNT[,SIZE]``, or ``none`` (0 is
    the same).

    Raises:
        UsageError: it is none of these.
    """
    kind, colon, rest = text.strip().partition(":")
    if not colon and kind in (OFF, "0"):
        return {"grain.method": OFF}
    if colon and rest:
        if kind == "keep":
            return {"grain.method": kind, "grain.strength": _share(rest)}
        if kind == "match":
            return {"grain.method": kind, "grain.file": rest}
        if kind == "synth":
            amount, comma, size = rest.partition(",")
            return {"grain.method": kind, "grain.amount": amount} | (
                {"grain.size": size} if comma else {}
            )
    raise UsageError(
        f"--grain {text} is not a kind of grain.",
        "Say keep:PERCENT, match:FILE, synth:AMOUNT[,SIZE] or none.",
        number=13,
    )


def _share(percent: str) -> str:
    """Percent as typed, as a share from 0 to 1."""
    try:
        number = float(percent)
    except ValueError:
        number = float("nan")
    if not 0 <= number <= 100:
        raise UsageError(
            f"--grain keep:{percent}: want a number from 0 to 100.",
            "It is the percentage of the true grain that is given back; 0 is off.",
            number=17,
        )
    return repr(number / 100)


def parse_masks(items: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Take ``--mask NAME=SOURCE[,key=value...]`` apart, to values named ``mask.NAME``.

    Raises:
        UsageError: an item has no such form, or a name comes twice.
    """
    values: dict[str, dict[str, Any]] = {}
    for item in items:
        name, said = parse_mask(item)
        if f"{MASK}.{name}" in values:
            raise UsageError(f"The mask {name} is given twice.", "Give each a name.", number=14)
        values[f"{MASK}.{name}"] = anchored(said, Path.cwd())
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
    dials: dict[str, Any] = {}
    for name, dial in DIALS.items():
        said = [layer for layer in ranked if name in layer.values]
        value = said[-1].values[name] if said else dial.default
        dials[DIAL_FIELDS[name]] = dial.check(name, value) if said else value
        if said:
            origin[name] = said[-1].origin
    stages = [
        stage
        for slot in SLOTS
        if (stage := _stage(slot, preset, layers, speed, origin)) is not None
    ]
    return Chain(
        preset=preset.name,
        speed=speed or preset.speed,
        stages=tuple(stages),
        origin=origin,
        masks=_masks(ranked, origin),
        **dials,
    )


def _masks(layers: Sequence[Layer], origin: dict[str, str]) -> tuple[MaskSpec, ...]:
    """Every mask that was named, in the order of first mention; the last to speak says all of it,
    and the source ``none`` takes it away."""
    asked: dict[str, Mapping[str, Any]] = {}
    for layer in layers:
        for key, values in layer.values.items():
            slot, _, name = key.partition(".")
            if slot == MASK:
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
) -> Stage | None:
    """The stage of one slot, or None where it is off."""
    key = f"{slot}.method"
    own = preset.values.get(key, methods(slot)[0] if _in_slot(preset.values, slot) else OFF)
    asked = [layer.values[key] for layer in layers if key in layer.values]
    method = str(asked[-1] if asked else own)
    if not asked and own == OFF and any(_in_slot(layer.values, slot) for layer in layers):
        method = methods(slot)[0]  # a parameter of a slot that was off switches it on
    if method == OFF:
        return None
    if method not in methods(slot):
        raise UsageError(
            f"{slot}.method = {method}: there is no such method."
            f"{did_you_mean(method, methods(slot))}",
            f"Methods are {', '.join((*methods(slot), OFF))}.",
            number=15,
        )
    cls = stage_class(f"{slot}.{method}")
    mine = () if method != own else (Layer(f"preset {preset.name}", preset.values),)
    typed = () if speed is None else (_speed_layer(cls, speed),)
    values: dict[str, Any] = {}
    for layer in (_speed_layer(cls, preset.speed), *mine, *typed, *layers):
        for name, value in _in_slot(layer.values, slot).items():
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
    stage = build(cls, values)
    return None if stage.idle else stage


def _speed_layer(cls: type[Stage], speed: str) -> Layer:
    values = cls.speeds.get(speed, {})
    return Layer(f"speed {speed}", {f"{cls.slot}.{name}": value for name, value in values.items()})


def _in_slot(values: Mapping[str, Any], slot: str) -> dict[str, Any]:
    prefix = f"{slot}."
    return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}


def _check_names(layer: Layer) -> None:
    for name in layer.values:
        slot = name.partition(".")[0]
        if slot not in (*SLOTS, MASK) and name not in DIALS:
            known = (*DIALS, *(f"{slot}.method" for slot in SLOTS))
            raise UsageError(
                f"{name} ({layer.origin}): there is no such parameter.{did_you_mean(name, known)}",
                "List stages and parameters with: vdenoise stages",
                number=16,
            )


@dataclass(frozen=True)
class Parameter:
    """A stage's parameter, for people."""

    name: str
    default: Any
    rule: str  # what is accepted: "a whole number from 0 to 8"
    unit: str
    help: str


@cache
def parameters(name: str) -> tuple[Parameter, ...]:
    """The parameters of the stage ``slot.method``, as declared on its model."""
    return tuple(_described(key, info) for key, info in stage_class(name).model_fields.items())


def build(cls: type[Stage], values: Mapping[str, Any]) -> Stage:
    """Make a stage; a wrong value gives the same sentence from everywhere.

    Raises:
        UsageError: a value is not accepted.
    """
    from pydantic import ValidationError

    for key, value in values.items():
        # bool is an int to Python, and pydantic would take `radius = true` for 1
        if isinstance(value, bool) and cls.model_fields[key].annotation is not bool:
            raise _refused(cls, key, value)
    try:
        return cls.model_validate({k: _typed(cls.model_fields[k], v) for k, v in values.items()})
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0]) if error.errors()[0]["loc"] else ""
        if key not in cls.model_fields:  # a rule between parameters
            raise UsageError(
                f"{cls.slot}.{cls.method}: {error.errors()[0]['msg']}.",
                f"See what it accepts with: vdenoise stages {cls.slot}.{cls.method}",
                number=17,
            ) from error
        raise _refused(cls, key, values[key]) from error


def _typed(info: FieldInfo, value: Any) -> Any:
    """The option that was typed, where a parameter has options that are not text: 16 for "16"."""
    options = getattr(info.annotation, "__args__", ())
    return next((option for option in options if str(option) == str(value)), value)


def _refused(cls: type[Stage], key: str, value: Any) -> UsageError:
    about = _described(key, cls.model_fields[key])
    return UsageError(f"{cls.slot}.{key} = {value}: want {about.rule}.", about.help, number=17)


def _described(name: str, info: FieldInfo) -> Parameter:
    low = next((m.ge for m in info.metadata if getattr(m, "ge", None) is not None), None)
    high = next((m.le for m in info.metadata if getattr(m, "le", None) is not None), None)
    options = getattr(info.annotation, "__args__", ())
    if info.annotation is bool:
        rule = "true or false"
    elif options:
        rule = f"one of {', '.join(str(option) for option in options)}"
    elif info.annotation is str:
        rule = "a name or a file"
    else:
        kinds = {int: "a whole number", float: "a number"}
        rule = kinds.get(info.annotation, "text")  # type: ignore[arg-type]
        if low is not None and high is not None:
            rule += f" from {low:g} to {high:g}"
        elif low is not None:
            rule += f" of {low:g} or more"
        elif high is not None:
            rule += f" of {high:g} or less"
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    return Parameter(name, info.default, rule, str(extra.get("unit", "")), info.description or "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggestion for a mistyped word, with a leading space, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""
