"""What a person can turn on the page: every dial and parameter as it is declared, nothing else.

A value that comes from the page counts only where a control takes it, so that no text of the page
ever becomes the name of a file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from vdenoise.chain.parameters import build, parameters
from vdenoise.errors import UsageError
from vdenoise.nets.models import shipped
from vdenoise.settings.groups import SETTINGS
from vdenoise.settings.setting import Setting
from vdenoise.stages import OFF, SLOTS, methods, stage_class

Kind = Literal["number", "choice", "several"]

_MODEL = "net.model"  # a name or a file, of which names alone may be chosen here
_METHOD = "method"
_FINE, _COARSE = 0.05, 1.0  # steps of sliders ...
_WIDE = 20.0  # ... the coarse one from this range on


@dataclass(frozen=True)
class Entry:
    """An option of the command line that stands for a parameter of the chain.

    Attributes:
        option: as it is typed, ``--luma``.
        name: full name of the parameter, ``output.luma``.
        group: the title under which help shows it.
        first: whether it is one of those that matter first.
        does: what turning it up does, where its declaration does not say that; else empty.
    """

    option: str
    name: str
    group: str
    first: bool
    does: str = ""


@dataclass(frozen=True)
class Control:
    """One thing to turn.

    Attributes:
        name: full name, ``temporal.radius``.
        option: ``--temporal-radius``; empty where it is typed as ``--set``.
        group: the title under which it stands; of what has no option of its own, its slot.
        first: whether it is shown without being asked for.
        help: one sentence.
        kind: numbers on sliders, one of some words, or any of them.
        low, high, step: of a slider.
        count: numbers asked for.
        words: what may be chosen.
        default: as it is typed.
        methods: of its slot that have it; empty for all.
    """

    name: str
    option: str
    group: str
    first: bool
    help: str
    kind: Kind
    default: str
    low: float = 0.0
    high: float = 0.0
    step: float = _COARSE
    count: int = 1
    words: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    def takes(self, text: str) -> bool:
        """Whether a value is of its form; ranges are checked where chains are made."""
        parts = text.split(",")
        if self.kind == "number":
            return len(parts) == self.count and all(map(_is_number, parts))
        if self.kind == "choice":
            return text in self.words
        return text == OFF or all(part in self.words for part in parts)


def controls(entries: Iterable[Entry]) -> tuple[Control, ...]:
    """Everything there is to turn: first what has an option, then each slot's switch, then all
    other parameters of its methods.

    Args:
        entries: options of the chain, in the order in which help shows them.
    """
    found: dict[str, Control] = {}
    for entry in entries:
        made = _dial(entry) if entry.name in SETTINGS else _parameter(entry)
        if made is not None:
            found[entry.name] = made
    for slot in SLOTS:
        plain = (_plain(f"{slot}.{name}") for name in _parameters_of(slot))
        for entry in (_plain(f"{slot}.{_METHOD}"), *plain):
            if entry.name not in found and (made := _parameter(entry)) is not None:
                found[entry.name] = made
    return tuple(found.values())


def _plain(name: str) -> Entry:
    return Entry("", name, name.partition(".")[0], first=False)


def _dial(entry: Entry) -> Control:
    setting: Setting = SETTINGS[entry.name]
    return Control(
        entry.name,
        entry.option,
        entry.group,
        entry.first,
        setting.help,
        "several" if setting.several else "choice" if setting.words else "number",
        default=setting.text(setting.default),
        low=setting.low or 0.0,
        high=setting.high or 0.0,
        step=_step(setting.low or 0.0, setting.high or 0.0),
        count=setting.count,
        words=setting.words,
    )


def _parameter(entry: Entry) -> Control | None:
    """None where it has no form that can be turned, as names of files have none."""
    slot, _, key = entry.name.partition(".")
    if key == _METHOD:
        names = tuple(name for name in methods(slot) if _works_alone(slot, name))
        about = f"How {slot} is done; {OFF} is off."
        return _choice(entry, about, (*names, OFF), methods(slot)[0], ())
    having = tuple(name for name in methods(slot) if key in _names(slot, name))
    found = parameters(f"{slot}.{having[0]}")[key]
    if entry.name == _MODEL:
        return _choice(entry, found.help, (*shipped(), OFF), str(found.default), having)
    if found.words:
        default = str(found.default).lower() if isinstance(found.default, bool) else found.default
        return _choice(entry, found.help, found.words, str(default), having)
    if found.low is None or found.high is None:
        return None
    return Control(
        entry.name,
        entry.option,
        entry.group,
        entry.first,
        f"{entry.does}: 0 is off, 1 is right for most." if entry.does else found.help,
        "number",
        default=f"{found.default:g}",
        low=found.low,
        high=found.high,
        step=_COARSE if found.whole else _step(found.low, found.high),
        methods=having,
    )


def _choice(
    entry: Entry, about: str, words: tuple[str, ...], default: str, having: tuple[str, ...]
) -> Control:
    return Control(
        entry.name,
        entry.option,
        entry.group,
        entry.first,
        about,
        "choice",
        default=default,
        words=words,
        methods=having,
    )


def _step(low: float, high: float) -> float:
    return _COARSE if high - low >= _WIDE else _FINE


def _names(slot: str, method: str) -> tuple[str, ...]:
    return tuple(parameters(f"{slot}.{method}"))


def _parameters_of(slot: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for method in methods(slot) for name in _names(slot, method)))


def _works_alone(slot: str, method: str) -> bool:
    """Whether a method does anything without being told a file."""
    try:
        return not build(stage_class(f"{slot}.{method}"), {}).idle
    except UsageError:
        return False


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
