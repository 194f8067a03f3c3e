"""How jobs stand: done, to do or in conflict with what is there; and the report of them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vdenoise.batch.jobs import ClipJob
from vdenoise.errors import InputError, OutputError, UsageError
from vdenoise.machine.files import write_text
from vdenoise.media.access import reading, writing
from vdenoise.media.images.sequence import files_of, find, is_image
from vdenoise.media.parts import parts_of
from vdenoise.workflows.contents import is_same
from vdenoise.workflows.recipe import is_intact, is_whole, load_recipe

State = Literal["to do", "done", "conflict", "failed", "waiting"]

REPORT = "vdenoise-batch.json"
_KIND, _HEAD_BYTES = "vdenoise-batch", 256
FROM_ANOTHER_INPUT = "from another input"


@dataclass
class Outcome:
    """How a job stands."""

    job: ClipJob
    state: State
    why: str = ""
    code: str = ""  # of the error, such as E0308
    seconds: float = 0.0
    frames: int = 0
    hint: str = ""
    wanted: Wanted | None = None  # of one that is to do: what to make,
    overwrite: bool = False  # and whether what is there may be replaced

    def to_json(self) -> dict[str, Any]:
        """Make plain values of it, for the report."""
        found = {
            "input": str(self.job.source),
            "output": str(self.job.output),
            "options": list(self.job.options),
            "state": self.state,
            "seconds": round(self.seconds, 2),
            "frames": self.frames,
        }
        told = {"error": self.code, "why": self.why, "hint": self.hint}
        return found | {name: text for name, text in told.items() if text}


@dataclass(frozen=True)
class Wanted:
    """What a job is to make: all that decides its result, beside its clip."""

    version: str  # of vdenoise
    asked: Mapping[str, Any]  # parameters of its chain, before anything is measured
    options: Mapping[str, Any]  # beside those of the chain
    files: Mapping[str, str]  # hashes of what is read beside the clip, by what it is
    beside: Mapping[str, Path]  # what is written beside the clean clip, by what it is


def state_of(job: ClipJob, wanted: Wanted, *, ours: bool, overwrite: bool) -> Outcome:
    """Whether a job is to do, done, or in conflict with what is there.

    It is done where the recipe beside the output tells of the same input, options, parameters and
    files, and all that was written is as it was written. It has failed where its clip cannot be
    read. What was changed after it was made is a conflict: somebody's work may be in it.

    Args:
        job: the job.
        wanted: what it is to make.
        ours: whether a batch has begun the job and not finished it: what it left may be replaced.
        overwrite: whether anything may be replaced.
    """
    recipe = load_recipe(job.output)
    to_do = Outcome(job, "to do", wanted=wanted, overwrite=overwrite)
    try:
        _see(job.source)
        why = "" if recipe is None else _differs(recipe, job, wanted)
    except (InputError, UsageError) as error:
        return Outcome(job, "failed", error.what, error.code, hint=error.hint)
    outputs = {"output": job.output, **wanted.beside}
    if recipe is None:
        files = [file for path in outputs.values() for file in files_of(path)]
        there = [file for file in files if os.path.lexists(file)]
        if there and not ours and not overwrite:
            return Outcome(job, "conflict", f"{there[0]} exists, and nothing tells what it is")
        return to_do
    if why:
        why = f"{job.output} was made {why}"
    else:
        told = {"output": recipe["output"], **recipe["beside"]}
        lost = [name for name, path in outputs.items() if not is_whole(told.get(name, {}), path)]
        changed = [n for n, path in outputs.items() if not is_intact(told.get(n, {}), path)]
        if not changed:
            return Outcome(job, "done", frames=int(recipe["result"]["frames"]))
        edited = [name for name in changed if name not in lost]
        if not edited or ours:
            return to_do
        why = f"{outputs[edited[0]]} was changed after it was made"
    return to_do if overwrite else Outcome(job, "conflict", why)


def _see(source: Path) -> None:
    """See that a clip is there and may be read.

    Raises:
        InputError: it is not, or is a pipe.
        UsageError: its name is no pattern.
    """
    files = list(parts_of(source))
    if is_image(files[-1]):
        found = find(source, "skip")
        files = [found.source(place) for place in range(len(found.numbers))]
    for file in files:
        if file.is_fifo():  # it would be waited for, and can be read once
            raise InputError(
                f"{file} is a pipe: a batch reads its clips more than once.",
                "Denoise it with: vdenoise run",
                number=87,
            )
        with reading(str(file)):
            file.open("rb").close()


def _differs(recipe: Mapping[str, Any], job: ClipJob, wanted: Wanted) -> str:
    """What an output was made with that is not so now; empty for nothing.

    Raises:
        InputError: the clip cannot be read.
    """
    if recipe["versions"]["vdenoise"] != wanted.version:
        return f"by vdenoise {recipe['versions']['vdenoise']}"
    if (recipe["options"], recipe["asked"]) != (wanted.options, wanted.asked):
        return "with other options"
    for role in sorted(recipe["files"].keys() | wanted.files.keys()):
        if recipe["files"].get(role) != wanted.files.get(role):
            return f"with another content of {role}"
    hold = wanted.options["on_missing"] == "hold"
    sequence = find(job.source, "hold" if hold else "skip") if is_image(job.source) else None
    with reading(str(job.source)):
        same = is_same(job.source, sequence, recipe["input"])
    return "" if same else FROM_ANOTHER_INPUT


def see_report(folder: Path) -> None:
    """See that what a batch's report will replace is a report.

    Raises:
        OutputError: it is another file.
    """
    target = folder / REPORT
    if not target.is_file() or target.is_symlink():  # of a link nothing but itself is replaced
        return
    with target.open("rb") as file:
        if _KIND.encode() in file.read(_HEAD_BYTES):
            return
    raise OutputError(
        f"{target} exists, and is no report of a batch.",
        "Move it away, or choose another folder.",
        number=72,
    )


def save_report(folder: Path, outcomes: Sequence[Outcome], seconds: float) -> Path:
    """Write the report of a batch beside its outputs, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    states = [outcome.state for outcome in outcomes]
    report = {
        "kind": _KIND,
        "schema": 1,
        "seconds": round(seconds, 2),
        "counts": {state: states.count(state) for state in sorted(set(states))},
        "jobs": [outcome.to_json() for outcome in outcomes],
    }
    target = folder / REPORT
    with writing(target):
        write_text(target, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return target
