"""Which jobs there are: of folders, globs, files and lists."""

from __future__ import annotations

import glob
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from vdenoise.errors import ConflictError, InputError, UsageError
from vdenoise.media.codecs import CONTAINERS
from vdenoise.media.sequence import KINDS, WRITTEN, find, in_folder, is_image

TEMPLATE = "{stem}_dn.{ext}"
# Movies that are read but not written in their own container.
READ_ONLY = (".mpg", ".mpeg", ".m2v", ".vob", ".3gp", ".wmv", ".flv", ".ogv", ".dv", ".asf")


@dataclass(frozen=True)
class Job:
    """One clip and the options of its run."""

    source: Path
    output: Path
    options: tuple[str, ...] = ()  # of ``vdenoise run``, as typed

    @property
    def name(self) -> str:
        """For people."""
        return str(self.source)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Everything after ``vdenoise run``."""
        return (str(self.source), "-o", str(self.output), *self.options)


def jobs_of(
    sources: Sequence[str], folder: Path, template: str, options: Sequence[str]
) -> list[Job]:
    """The jobs of folders, globs, files and ``.toml`` lists, in a stable order.

    Args:
        sources: as typed. A folder is searched to any depth; its folders are mirrored.
        folder: where outputs go.
        template: name of an output, with {stem}, {ext} and {preset} of its source.
        options: of every run.

    Raises:
        InputError: nothing is there to do.
        UsageError: the template or a list cannot be understood.
        ConflictError: two jobs would write the same output.
    """
    found: list[Job] = []
    for text in sources:
        path = Path(text)
        if path.suffix.lower() == ".toml" and path.is_file():
            found += _listed(path, folder, template, options)
            continue
        for base, clip in _clips(text, folder):
            place = folder / clip.parent.relative_to(base)
            found.append(Job(clip, _named(clip, place, template, options), tuple(options)))
    if not found:
        raise InputError(
            f"There is no clip in {', '.join(sources)}.",
            "Name a folder or files of movies or images, or a .toml list of jobs.",
            number=17,
        )
    first: dict[Path, Job] = {}
    for job in found:
        other = first.setdefault(job.output.resolve(), job)
        if other is not job:
            raise ConflictError(
                f"{other.source} and {job.source} would both become {job.output}.",
                "Give --template something that tells them apart, such as {stem}_{ext}.mkv, or "
                "keep them in folders of their own.",
                number=10,
            )
    return found


def _clips(text: str, target: Path) -> Iterator[tuple[Path, Path]]:
    """(folder to mirror from, clip) of a folder, a glob or a file."""
    path = Path(text)
    if path.is_dir():
        for where, folders, _ in os.walk(path):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            here = Path(where)
            if here.resolve() == target.resolve() and here != path:
                folders.clear()
                continue
            for clip in _in(here):
                yield path, clip
    elif path.exists() or (is_image(path) and not glob.has_magic(text)):
        yield path.parent, path
    else:
        magic = next((n for n, part in enumerate(path.parts) if glob.has_magic(part)), None)
        if magic is None:
            raise InputError(f"{text} does not exist.", "Check the path.", number=1)
        base = Path(*path.parts[:magic])
        files = set(base.glob(str(Path(*path.parts[magic:]))))
        for folder in sorted({file.parent for file in files}):
            for clip in _in(folder):
                members = {clip} & files
                if is_image(clip) and not members:
                    members = {find(clip).source(0)} & files
                if members:
                    yield base, clip


def _in(folder: Path) -> list[Path]:
    """The movies and image sequences of a folder."""
    movies = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (*CONTAINERS, *READ_ONLY)
        and path.is_file()
        and not path.name.startswith(".")
    ]
    return sorted([*movies, *in_folder(folder)])


def _named(clip: Path, folder: Path, template: str, options: Sequence[str]) -> Path:
    """The output of a clip. A sequence keeps the place of its number, before the extension."""
    suffix = clip.suffix.lower()
    stem, hole, ext = clip.stem, "", clip.suffix[1:]
    if is_image(clip):
        if match := re.fullmatch(r"(.*?)[._-]?(#+)(.*)", clip.stem):
            stem, hole = (match[1] + match[3]) or clip.parent.name, f".{match[2]}"
        if KINDS[suffix] not in WRITTEN:
            ext = "png"
    elif suffix not in CONTAINERS:
        ext = "mkv"
    preset = given(options, "--preset") or "auto"
    try:
        name = template.format(stem=stem, ext=ext, preset=Path(preset).stem)
    except (KeyError, IndexError, ValueError) as error:
        raise UsageError(
            f"The template {template!r} cannot be understood: {error}.",
            f"Use {{stem}}, {{ext}} and {{preset}}, as in {TEMPLATE}.",
            number=90,
        ) from error
    made = Path(name)
    return folder / made.with_name(f"{made.stem}{hole}{made.suffix}")


def given(options: Sequence[str], name: str) -> str:
    """The value of an option among those typed, the last one; empty without it."""
    return next((b for a, b in reversed([*pairwise(options)]) if a == name), "")


def _listed(file: Path, folder: Path, template: str, options: Sequence[str]) -> Iterator[Job]:
    """The jobs of a list: ``[defaults]`` and ``[[job]]`` tables of options of ``run``."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.", "Correct it.", number=91) from error
    tables, defaults = data.pop("job", []), data.pop("defaults", {})
    sound = isinstance(tables, list) and all(isinstance(t, dict) for t in tables)
    if data or not sound or not isinstance(defaults, dict):
        raise UsageError(
            f"{file} holds {', '.join(data) or 'no list of jobs'}.",
            "It has a table [defaults] and tables [[job]] with input and options of run.",
            number=91,
        )
    for table in tables:
        values = {**defaults, **table}
        if not isinstance(values.get("input"), str):
            raise UsageError(f"A job of {file} has no input.", 'Add input = "CLIP".', number=91)
        clip = file.parent / values.pop("input")
        output = values.pop("output", None)
        typed = (*options, *_typed(values))
        target = folder / output if output else _named(clip, folder, template, typed)
        yield Job(clip, target, typed)


def _typed(values: Mapping[str, Any]) -> Iterator[str]:
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
