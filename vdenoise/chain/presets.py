"""Presets: a chain with its values under a name.

A preset is a TOML file: ``schema``, ``about``, optionally ``speed``, and one table each for
``[output]``, ``[noise]`` and every slot of the chain in the order in which slots run. What is
accepted in a slot's table is declared once, on the stage's model.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vdenoise.chain import preset_files
from vdenoise.chain.parameters import in_slot
from vdenoise.errors import UsageError, did_you_mean
from vdenoise.machine.files import load_toml
from vdenoise.masks.parse import anchor_file, is_mask_name
from vdenoise.masks.spec import REMOVED
from vdenoise.settings.groups import MASK, SETTINGS
from vdenoise.stages import FINISHING, SLOTS

SCHEMA = 1
SPEEDS = ("veryfast", "fast", "base", "slow", "veryslow")
FACTORS = {"light": 0.6, "strong": 1.3}  # modifiers of any preset, on the shares removed
STRONG_SCALE = 1.15  # on the measured noise: where all of it goes already, more is taken for noise
_LAST = frozenset(FINISHING)


@dataclass(frozen=True)
class Preset:
    """A preset file as read: names and ranges are checked when the chain is resolved."""

    name: str
    about: str
    values: Mapping[str, Any]  # "slot.parameter" -> value
    speed: str = "base"
    why: str = ""  # the reasons for its values
    gauges: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # values by film gauge
    files: tuple[Path, ...] = ()  # what was read: its own, and those it inherits from
    evidence: bool = False  # nothing may be invented, nor in a preset that inherits from it


def names() -> tuple[str, ...]:
    """Names of all presets: those that come with vdenoise, ``auto`` first, then one's own."""
    return (*preset_files.shipped(), *preset_files.own())


def usable() -> tuple[dict[str, Preset], dict[str, str]]:
    """All presets by name, and why others cannot be used: one of a person's own that is broken does
    not take the rest along."""
    found, broken = {}, {}
    for name in names():
        try:
            found[name] = load(name)
        except UsageError as error:
            if name in preset_files.shipped():
                raise
            own = f"{name}.toml"  # it may be what that inherits from that is broken
            broken[name] = error.what if own in error.what else f"{own}: {error.what}"
    return found, broken


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
        preset = modify(preset, modifier)
    return preset


def _read(name: str, children: tuple[str, ...]) -> Preset:
    path = Path(name) if name.endswith(".toml") else preset_files.path_of(name)
    if path is None:
        raise UsageError(
            f"There is no preset {name!r}.{did_you_mean(name, names())}",
            f"Presets are {', '.join(names())}, or the path of a .toml file.",
            number=10,
        )
    try:
        if path.is_fifo():  # it would be waited for
            raise OSError(errno.EINVAL, "It is a pipe")
        data = load_toml(path)
    except OSError as error:
        raise UsageError(
            f"Cannot read the preset {path}: {error.strerror}.",
            "List presets with: vdenoise presets",
            number=11,
        ) from error
    except ValueError as error:
        raise _malformed(path, f"it is not TOML: {error}") from error
    parent = data.pop("inherit", None)
    if parent is None:
        return _parsed(path, data)
    own = os.path.realpath(name) if name.endswith(".toml") else name
    if isinstance(parent, str) and parent.endswith(".toml"):
        parent = os.path.realpath(path.parent / parent)  # beside the preset, not where one works
    if not isinstance(parent, str) or parent.partition("+")[0] in (own, *children):
        raise _malformed(path, f"it cannot inherit from {parent!r}")
    base = _load(parent, (own, *children))
    preset = _parsed(path, {"speed": base.speed, **data})
    return replace(
        preset,
        values=_over(base.values, preset.values),
        gauges=base.gauges,
        files=(*preset.files, *base.files),
        evidence=preset.evidence or base.evidence,
    )


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Values over others; a slot's values are not for another method of it."""
    changed = {
        key.partition(".")[0] for key in above if key.endswith(".method") and key in below
        and above[key] != below[key]
    }  # fmt: skip
    kept = {key: value for key, value in below.items() if key.partition(".")[0] not in changed}
    return {**kept, **above}


def modify(preset: Preset, modifier: str) -> Preset:
    """A preset done lighter or stronger, or for one gauge of film.

    ``light`` removes 0.6 of what the preset does, also inside its masks. ``strong`` removes 1.3 of
    it, but never more than all, and takes the noise for 1.15 of what was measured.

    Raises:
        UsageError: the preset has no such modifier.
    """
    values = dict(preset.values)
    if modifier in FACTORS:
        for dial in ("output.luma", "output.chroma"):
            percent = SETTINGS[dial].check(dial, values.get(dial, SETTINGS[dial].default))
            values[dial] = _times(percent, FACTORS[modifier])
        for name in (name for name in values if name.startswith(f"{MASK}.")):
            values[name] = {
                key: _times(float(value), FACTORS[modifier]) if key in REMOVED else value
                for key, value in values[name].items()
            }
        if modifier == "strong":
            dial = "noise.sigma_scale"
            scale = SETTINGS[dial].check(dial, values.get(dial, SETTINGS[dial].default))
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
        f"The preset {path.name} cannot be used: {why}{'' if why[-1] in '.?' else '.'}",
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
    evidence = data.pop("evidence", False)
    if not isinstance(evidence, bool):
        raise _malformed(path, f"evidence = {evidence!r}, want true or false")
    if not isinstance(why, str) or not isinstance(gauges, dict):
        raise _malformed(path, "why is a text, and gauge a table of tables")
    if speed not in SPEEDS:
        raise _malformed(path, f"speed = {speed!r}, want one of {', '.join(SPEEDS)}")
    # A file of one's own that is called as a shipped preset is not that preset.
    own = path.parent != preset_files.shipped_folder() and path.stem in preset_files.shipped()
    return Preset(
        name=path.name if own else path.stem,
        about=about,
        values=_values(path, data),
        speed=speed,
        why=why,
        gauges={gauge: _values(path, tables) for gauge, tables in gauges.items()},
        files=(path,),
        evidence=evidence,
    )


def _values(path: Path, data: Any) -> dict[str, Any]:
    """Tables of a preset as values by full name."""
    if not isinstance(data, dict):
        raise _malformed(path, "a gauge must hold tables, [gauge.8mm.output]")
    data = dict(data)
    masks = _mask_tables(path, data.pop(MASK, []))
    tables = ("output", "noise", *SLOTS)
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


def saved_text(about: str, inherit: str, speed: str | None, values: Mapping[str, Any]) -> str:
    """The text of a preset that changes ``values`` of another; they have been checked. A parent
    that is a file is found from anywhere."""
    if inherit.endswith(".toml"):
        inherit = os.path.realpath(inherit)
    lines = [f"schema = {SCHEMA}", f"about = {_toml(about)}", f"inherit = {_toml(inherit)}"]
    if speed is not None:
        lines.append(f"speed = {_toml(speed)}")
    for table in ("output", "noise", *SLOTS):
        if mine := in_slot(values, table):
            lines += ["", f"[{table}]", *(f"{key} = {_toml(v)}" for key, v in mine.items())]
    for name, asked in in_slot(values, MASK).items():
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
        found[f"{MASK}.{name}"] = anchor_file(values, path.parent)
    return found
