"""Lists of jobs: ``[defaults]`` and ``[[job]]`` tables of options of ``run``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from vdenoise.errors import UsageError
from vdenoise.machine.files import load_toml

# Options of ``run`` that make no clip of the input, or that the batch itself decides.
_OF_ONE_RUN = ("dry-run", "plan", "segments", "help", "help-all")
_OF_BATCH = ("overwrite", "resume", "threads", "progress")
_OPTION = re.compile(r"[a-z][a-z0-9_-]*")
OUTPUTS = ("noise-out", "mask-out", "matte-out", "grain-table", "write-cuts")  # beside the clip


def tables(
    file: Path, options: Sequence[str], parameters: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """The jobs of a list as it says them, each over the defaults, without what was typed.

    Args:
        file: the list.
        options: as typed; they win.
        parameters: which parameter of the chain an option stands for, by option.

    Raises:
        UsageError: it is no such list.
    """
    try:
        data = load_toml(file)
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}.", "Correct it.", number=91) from error
    listed, defaults = data.pop("job", []), data.pop("defaults", {})
    sound = isinstance(listed, list) and all(isinstance(t, dict) for t in listed)
    if data or not sound or not isinstance(defaults, dict):
        raise UsageError(
            f"{file} holds {', '.join(data) or 'no list of jobs'}.",
            "It has a table [defaults] and tables [[job]] with input and options of run.",
            number=91,
        )
    said = _names(options, parameters)
    for table in listed:
        values = {**defaults, **table}
        if not isinstance(values.get("input"), str):
            raise UsageError(f"A job of {file} has no input.", 'Add input = "CLIP".', number=91)
        if not isinstance(values.get("output", ""), str):
            raise UsageError(
                f"A job of {file} has an output that is no text.", 'Say output = "CLIP".', number=91
            )
        for name in values:
            option = name.replace("_", "-")
            if option in (*_OF_ONE_RUN, *_OF_BATCH) or not _OPTION.fullmatch(name):
                more = f"; {', '.join(_OF_BATCH)} are for all jobs, if at all"
                raise UsageError(
                    f"The job of {values['input']} says {name!r}: that is for a run on its own.",
                    f"Take it out of {file}{more if option in _OF_BATCH else ''}.",
                    number=91,
                )
        mine = {name: _without(value, name, said, parameters) for name, value in values.items()}
        yield {name: value for name, value in mine.items() if value is not None}


def _names(options: Sequence[str], parameters: Mapping[str, str]) -> set[str]:
    """What was typed: options, and the parameters that they and ``--set`` stand for."""
    found = {word.partition("=")[0] for word in options if word.startswith("--")}
    found |= {parameters[name] for name in found if name in parameters}
    sets = (b for a, b in pairwise(options) if a in ("--set", "--mask"))
    return found | {text.partition("=")[0].strip() for text in sets}


def _without(value: Any, name: str, said: set[str], parameters: Mapping[str, str]) -> Any:
    """A value of a list, without what was typed; None where nothing of it is left."""
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, dict):
        return {key: inner for key, inner in value.items() if key not in said} or None
    if option in ("--set", "--mask"):
        items = value if isinstance(value, list) else [value]
        return [item for item in items if str(item).partition("=")[0].strip() not in said] or None
    return None if option in said or parameters.get(option) in said else value


def as_typed(values: Mapping[str, Any]) -> Iterator[str]:
    """Options as they would be typed: ``luma = 50`` is ``--luma 50``."""
    for name, value in values.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from (option, f"{key}={inner}")
        elif isinstance(value, bool):
            if value:
                yield option
        elif isinstance(value, list):
            for inner in value:
                yield from (option, str(inner))
        else:
            yield from (option, str(value))
