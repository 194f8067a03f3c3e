"""What is typed for a chain on the command line, as values by full name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vdenoise.errors import UsageError
from vdenoise.masks.parse import anchor_file, parse_mask
from vdenoise.settings.groups import MASK
from vdenoise.stages import OFF


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

    ``keep:PERCENT`` of the true grain, ``match:FILE``, ``synth:AMOUNT[,SIZE]``, ``av1[:PERCENT]``,
    or ``none`` (0 is the same).

    Raises:
        UsageError: it is none of these.
    """
    kind, colon, rest = text.strip().partition(":")
    if not colon and kind in (OFF, "0"):
        return {"grain.method": OFF}
    if not colon and kind == "av1":
        return {"grain.method": kind}
    if colon and rest:
        if kind in ("keep", "av1"):
            return {"grain.method": kind, "grain.strength": _share(f"--grain {kind}:", rest)}
        if kind == "match":
            return {"grain.method": kind, "grain.file": rest}
        if kind == "synth":
            amount, comma, size = rest.partition(",")
            return {"grain.method": kind, "grain.amount": amount} | (
                {"grain.size": size} if comma else {}
            )
    raise UsageError(
        f"--grain {text} is not a kind of grain.",
        "Say keep:PERCENT, match:FILE, synth:AMOUNT[,SIZE], av1[:PERCENT] or none.",
        number=100,
    )


def parse_regrow(text: str) -> dict[str, str]:
    """What ``--regrow`` says, as values of that slot: percent of the invented detail, 0 is off.

    Raises:
        UsageError: it is no number from 0 to 100.
    """
    what = "It is the percentage of the invented detail that is added; 0 is off."
    return {"regrow.strength": _share("--regrow ", text.strip(), what)}


def _share(
    option: str,
    percent: str,
    hint: str = "It is the percentage of the true grain that is given back; 0 is off.",
) -> str:
    """Percent as typed, as a share from 0 to 1."""
    try:
        number = float(percent)
    except ValueError:
        number = float("nan")
    if not 0 <= number <= 100:
        raise UsageError(
            f"{option}{percent}: want a number from 0 to 100.",
            hint,
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
            raise UsageError(f"The mask {name} is given twice.", "Give each a name.", number=101)
        values[f"{MASK}.{name}"] = anchor_file(said, Path.cwd())
    return values
