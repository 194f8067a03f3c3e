"""How jobs stand: done, to do or in conflict with what is there; and the report of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vdenoise.batch.jobs import Job, given
from vdenoise.errors import InputError
from vdenoise.machine.files import write_text
from vdenoise.media.access import absent, writing
from vdenoise.media.images.sequence import find, is_image, is_pattern
from vdenoise.workflows.recipe import fingerprint_of, is_intact, load_recipe

State = Literal["to do", "done", "conflict", "failed", "waiting"]

REPORT = "vdenoise-batch.json"
_HARMLESS = {"--threads": 1, "--progress": 1, "--overwrite": 0}  # options that change no result


@dataclass
class Outcome:
    """How a job stands."""

    job: Job
    state: State
    why: str = ""
    code: str = ""  # of the error, such as E0308
    seconds: float = 0.0
    frames: int = 0
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the report."""
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


def state_of(
    job: Job, parameters: Mapping[str, Any], version: str, *, ours: bool, overwrite: bool
) -> Outcome:
    """Whether a job is to do, done, or in conflict with what is there.

    It is done where the recipe beside the output tells of the same input, options and resolved
    parameters, and the output is as it was written. It has failed where its clip is not there.

    Args:
        job: the job.
        parameters: of its chain before anything is measured.
        version: of vdenoise.
        ours: whether this batch has begun the job before: what it left may be replaced.
        overwrite: whether anything may be replaced.
    """
    try:
        _see(job.source)
    except InputError as error:
        return Outcome(job, "failed", error.what, error.code, hint=error.hint)
    recipe = load_recipe(job.output)
    if recipe is None:
        there = job.output.exists()
        if there and not ours and not overwrite:
            return Outcome(job, "conflict", f"{job.output} exists, and nothing tells what it is")
        return Outcome(job, "to do")
    why = _differs(recipe, job, parameters, version)
    if not why and is_intact(recipe, job.output):
        return Outcome(job, "done", frames=int(recipe["result"]["frames"]))
    if why and not overwrite:
        return Outcome(job, "conflict", f"{job.output} was made {why}")
    return Outcome(job, "to do")


def _see(source: Path) -> None:
    """See that a clip is there.

    Raises:
        InputError: it is not.
    """
    if is_image(source):
        find(source, "skip")
    if not is_pattern(source) and not source.exists():
        raise absent(str(source))


def _differs(
    recipe: Mapping[str, Any], job: Job, parameters: Mapping[str, Any], version: str
) -> str:
    """What an output was made with that is not so now; empty for nothing."""
    if recipe["versions"]["vdenoise"] != version:
        return f"by vdenoise {recipe['versions']['vdenoise']}"
    if _meaning(recipe["command"]) != _meaning(["vdenoise", "run", *job.arguments]):
        return "with other options"
    if recipe.get("asked") != parameters:
        return "with other parameters"
    told = {k: v for k, v in recipe["input"].items() if k != "path"}
    hold = given(job.options, "--on-missing") == "hold"
    sequence = find(job.source, "hold" if hold else "skip") if is_image(job.source) else None
    return "from another input" if fingerprint_of(job.source, sequence) != told else ""


def _meaning(command: Sequence[str]) -> list[str]:
    """A command line without what changes no result, and without where things are."""
    rest, words = [], iter(command[3:])
    for word in words:
        if word in _HARMLESS:
            for _ in range(_HARMLESS[word]):
                next(words, None)
        elif word in ("-o", "--output"):
            next(words, None)
        else:
            rest.append(word)
    return rest


def save_report(folder: Path, outcomes: Sequence[Outcome], seconds: float) -> Path:
    """Write the report of a batch beside its outputs, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    states = [outcome.state for outcome in outcomes]
    report = {
        "kind": "vdenoise-batch",
        "schema": 1,
        "seconds": round(seconds, 2),
        "counts": {state: states.count(state) for state in sorted(set(states))},
        "jobs": [outcome.to_json() for outcome in outcomes],
    }
    target = folder / REPORT
    with writing(target):
        write_text(target, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return target
