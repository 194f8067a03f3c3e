"""Write ``docs/stages.md`` and what ``--help`` shows of stages: ``python -m vdenoise.chain.docs``.

The declaration of a parameter is its only description; tests compare the committed files with
what this module makes.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vdenoise.chain.parameters import parameters
from vdenoise.chain.presets import SPEEDS
from vdenoise.settings.setting import Setting
from vdenoise.stages import SLOTS, STAGES, methods, stage_class
from vdenoise.stages.base import Stage

INTRODUCTION = """\
# Stages

<!-- Made by `python -m vdenoise.chain.docs`. Change the stages, not this page. -->

Slots run in this order: {order}. Each holds one method, or none:
`--set spatial.method=nlm`, `--set temporal.method=none`. Any parameter is set by
`--set slot.parameter=value`, in a preset, or by a `VDENOISE_*` variable. The first method of a
slot is its default. "Speeds" are the values that `--speed` chooses; a value typed by hand wins.
"""


def stages_page() -> str:
    """The whole page, as Markdown."""
    parts = [INTRODUCTION.format(order=", then ".join(f"**{slot}**" for slot in SLOTS))]
    for slot in SLOTS:
        parts.append(f"## {slot}\n\n{_overview(slot)}")
        parts += [_stage(f"{slot}.{method}") for method in methods(slot)]
    return "\n".join(parts)


def _overview(slot: str) -> str:
    rows = [(f"[{m}](#{slot}{m})", _first_sentence(f"{slot}.{m}")) for m in methods(slot)]
    return _table(("method", "does"), rows)


def _stage(name: str) -> str:
    cls = stage_class(name)
    lines = [f"### {name}\n", f"{inspect.getdoc(cls)}\n", _parameters(parameters(name))]
    if cls.speeds:
        lines.append(f"Speeds: {_speeds(cls)}.\n")
    lines.append(f"Needs: {_needs(cls())}.\n")
    return "\n".join(lines)


def _parameters(found: Mapping[str, Setting]) -> str:
    rows = [
        (f"`{name}`", _value(p.default), f"{p.rule}{f' ({p.unit})' if p.unit else ''}", p.help)
        for name, p in found.items()
    ]
    return _table(("parameter", "default", "accepts", "meaning"), rows)


def _speeds(cls: type[Stage]) -> str:
    said = [(word, cls.speeds[word]) for word in SPEEDS if word in cls.speeds]
    return "; ".join(
        f"{word} {', '.join(f'`{name}={_value(value)}`' for name, value in values.items())}"
        for word, values in said
    )


def _needs(stage: Stage) -> str:
    """What the planner gives the stage at its defaults."""
    needs = [f"{stage.reach} frame{'s' * (stage.reach > 1)} on each side"] if stage.reach else []
    if "motion" in stage.needs:
        needs.append("motion")
    footprint = stage.footprint
    if not footprint.whole:
        needs.append(f"{footprint.halo} pixels around a tile")
    else:
        needs.append("whole frames")
    if footprint.multiple > 1:
        needs.append(f"tiles on a grid of {footprint.multiple} pixels")
    return ", ".join(needs) + (", float16 on CUDA" if stage.precision == "float16" else ", float32")


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _first_sentence(name: str) -> str:
    text = " ".join((inspect.getdoc(stage_class(name)) or "").split())
    return text.partition(". ")[0].rstrip(".") + "."


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def stages_json(names: Iterable[str] = STAGES) -> str:
    """Stages in plain values, for programs and for the command line's help."""
    return json.dumps({name: _described(name) for name in names}, indent=1, ensure_ascii=False)


def _described(name: str) -> dict[str, object]:
    cls = stage_class(name)
    stage = cls()
    return {
        "about": (cls.__doc__ or "").strip().partition("\n")[0],
        "reach": stage.reach,
        "halo": stage.footprint.halo,
        "motion": "motion" in stage.needs,
        "tiles": not stage.footprint.whole,
        "float16": stage.precision == "float16",
        "parameters": [_plain(key, each) for key, each in parameters(name).items()],
        "speeds": cls.speeds,
    }


def _plain(name: str, setting: Setting) -> dict[str, object]:
    return {
        "name": name,
        "default": setting.default,
        "rule": setting.rule,
        "unit": setting.unit,
        "help": setting.help,
        "low": setting.low,
        "high": setting.high,
        "whole": setting.whole,
        "words": setting.words,
    }


def main() -> None:
    """Write both."""
    package = Path(__file__).parent.parent
    (package.parent / "docs" / "stages.md").write_text(stages_page(), encoding="utf-8")
    (package / "cli" / "stages.json").write_text(stages_json() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
