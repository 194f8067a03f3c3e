"""The recipe beside an output, ``OUT.vdenoise.json``: what was done, to what, with which versions.

Enough to do the same again, and to see whether the input is still the same.
"""

from __future__ import annotations

import json
import os
import platform
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from vdenoise import __version__
from vdenoise.chain.resolve import Chain
from vdenoise.engine.plan import Plan
from vdenoise.engine.run import Result
from vdenoise.errors import OutputError, UsageError
from vdenoise.machine import engine
from vdenoise.machine.claims import Claims
from vdenoise.machine.files import fitting, write_text
from vdenoise.masks.spec import MaskSpec
from vdenoise.media.images.sequence import is_image, split, target_of
from vdenoise.media.inputs import is_pipe
from vdenoise.media.movie.tag import RecipeTag
from vdenoise.media.probe import probe
from vdenoise.picture.frame import ImageSequence
from vdenoise.picture.noise import NoiseProfile
from vdenoise.stages.plugins import packages
from vdenoise.workflows.contents import content, files_of, fingerprint_of, is_same

KIND, SCHEMA = "vdenoise-recipe", 1
_LIBRARIES = ("torch", "av", "OpenImageIO", "opencv-python-headless", "numpy")


def recipe_path(output: Path) -> Path:
    """Where the recipe of an output goes: beside it, with its name, cut where that is too long."""
    end = ".vdenoise.json"
    if fitting(output.name, len(end)) != output.name:
        end = f".{zlib.crc32(os.fsencode(output.name)):08x}{end}"
    return output.with_name(fitting(output.name, len(end)) + end)


def _output(plan: Plan, output: Path) -> dict[str, Any]:
    """Fingerprint of what was written; of images also their numbers."""
    if not is_image(output):
        return content(output, None)
    files = target_of(plan.info, output)
    numbers = tuple(files.numbers[position] for position in plan.positions)
    found = content(output, replace(files, numbers=numbers, held=()))
    return {**found, "numbers": list(numbers), "padding": files.padding}


def is_intact(told: Mapping[str, Any], output: Path) -> bool:
    """Whether an output holds what its recipe told of it."""
    try:
        return is_same(output, _images_of(told, output), told)
    except (OSError, UsageError):
        return False


def is_whole(told: Mapping[str, Any], output: Path) -> bool:
    """Whether every file of an output is there, whatever it holds."""
    try:
        return all(file.exists() for file in files_of(output, _images_of(told, output)))
    except UsageError:
        return False


def _images_of(told: Mapping[str, Any], output: Path) -> ImageSequence | None:
    """The files of an output of images; None of a movie.

    Raises:
        UsageError: it is called as no such images.
    """
    numbers, padding = told.get("numbers"), told.get("padding")
    if numbers is None:
        return None
    before, _, after = (output.name, None, "") if padding is None else split(output)
    return ImageSequence(output.parent, before, after, padding, tuple(numbers))


def load_recipe(output: Path) -> dict[str, Any] | None:
    """The recipe beside an output; None where there is none that can be read and is whole."""
    return read_recipe(recipe_path(output))


def read_recipe(file: Path) -> dict[str, Any] | None:
    """A recipe by its own name; None where it is none, cannot be read or is not whole."""
    if not file.is_file():  # a pipe would be waited for
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        _Told.model_validate(found)
    except (OSError, ValueError, RecursionError):
        return None
    return dict(found)


class _Told(BaseModel):
    """What is read of a recipe again: one where any of it is missing tells nothing."""

    class Versions(BaseModel):
        """Versions of what computed; only ours decides."""

        vdenoise: str

    class Input(BaseModel):
        """What was read, as `content` says it, if there was a file."""

        sha256: str = ""

    class Output(BaseModel):
        """What was written, as `content` says it."""

        sha256: str
        numbers: list[int] | None = None
        padding: int | None = None

    class Outcome(BaseModel):
        """What was done."""

        frames: int

    kind: Literal["vdenoise-recipe"]
    schema_version: Literal[1] = Field(alias="schema")
    versions: Versions
    input: Input
    output: Output
    result: Outcome
    asked: dict[str, Any]
    options: dict[str, Any]
    files: dict[str, str]
    beside: dict[str, Output]
    farm: dict[str, Any] | None = None


def mask_fingerprint(mask: MaskSpec) -> str | None:
    """SHA-256 over the ends of a mask's file or of every file of its sequence; None without one."""
    if not mask.path:
        return None
    path = Path(mask.path)
    found: str = fingerprint_of(path, probe(path).sequence)["sha256_samples"]
    return found


def make_recipe(
    plan: Plan,
    profile: NoiseProfile,
    cuts: Sequence[int],
    result: Result,
    command: Sequence[str],
    asked: Chain | None = None,
    *,
    source: Mapping[str, Any],
    tag: RecipeTag,
    options: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
    beside: Mapping[str, Path] | None = None,
    frames_crc32: str = "",
) -> dict[str, Any]:
    """Everything worth knowing of a finished run.

    Args:
        plan: what was done.
        profile: of the noise that was removed.
        cuts: that were found or given.
        result: what it did.
        command: as typed.
        asked: the chain before the measurement decided anything, where it did.
        source: `content` of the clip from before the work; empty for a pipe.
        tag: what the clip's container says of this recipe, if it has a place for it.
        options: beside the chain's that decide a result.
        beside: what was written beside the clip, by what it is.
        frames_crc32: `FrameChecks.text` of what was written, for `replay`.
        files: `hashes` of the files that decide a result beside the clip, from before the work.
    """
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "tag": tag.text,
        "versions": {
            "vdenoise": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
        "plug_ins": packages(plan.chain.stages),
        "command": list(command),
        "input": {"path": str(plan.info.path), **source},
        "output": _output(plan, plan.output),
        "beside": {name: _output(plan, path) for name, path in (beside or {}).items()},
        "options": dict(options or {}),
        "files": dict(files or {}),
        "engine": engine.fingerprint(plan.device),
        "masks": {
            mask.name: found
            for mask in plan.chain.masks
            if (found := mask_fingerprint(mask)) is not None
        },
        "plan": plan.to_json(),
        "asked": (asked or plan.chain).parameters(),
        "parameters": plan.chain.parameters(),
        "origin": dict(plan.chain.origin),
        "cuts": list(cuts),
        "profile": profile.model_dump(mode="json"),
        "result": {
            "frames": result.frames,
            "frames_crc32": frames_crc32,
            "seconds": round(result.seconds, 3),
            "bad_frames": list(result.bad_frames),
            "guards": dict(result.guards),
            "masks": dict(result.masks),
            "checked": list(result.report.checked),
            "notes": list(result.report.notes),
        },
    }


def claim_recipe(claims: Claims, output: Path, *, overwrite: bool | None) -> None:
    """Claim the recipe beside an output, which may replace an older one and, unless ``overwrite``,
    nothing else; None where it is seen elsewhere whether the older one may go.

    Raises:
        FileClash: it is read, or written as something else.
        OutputError: its name is taken by another file.
    """
    if not is_pipe(output):
        known = load_recipe(output) is not None
        may = None if known and overwrite is None else overwrite or known
        claims.write(recipe_path(output), "the recipe", overwrite=may)


def save_recipe(recipe: dict[str, Any], output: Path) -> Path:
    """Write the recipe beside its output.

    Raises:
        OutputError: it cannot be written.
    """
    target = recipe_path(output)
    try:
        text = json.dumps(recipe, indent=1, ensure_ascii=False) + "\n"
        write_text(target, text)
    except OSError as error:
        raise OutputError(
            f"The clip {output} is complete, but its recipe {target.name} cannot be written: "
            f"{error.strerror}.",
            "Free some room, or ignore this if you do not need the recipe.",
            number=8,
        ) from error
    return target
