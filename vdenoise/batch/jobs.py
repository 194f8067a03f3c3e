"""Which jobs there are: of folders, globs, files and lists."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from vdenoise.batch.lists import OUTPUTS, as_typed, tables
from vdenoise.batch.naming import check_kind, name_in_list, name_output, stay_below
from vdenoise.errors import ConflictError, InputError, UsageError
from vdenoise.machine.claims import identity
from vdenoise.media.access import absent, reading
from vdenoise.media.images.sequence import in_folder, is_image, is_pattern, split
from vdenoise.media.movie.codecs import CONTAINERS

# Movies that are read but not written in their own container.
READ_ONLY = (".mpg", ".mpeg", ".m2v", ".vob", ".3gp", ".wmv", ".flv", ".ogv", ".dv", ".asf")


@dataclass(frozen=True)
class ClipJob:
    """One clip and the options of its run."""

    source: Path
    output: Path
    options: tuple[str, ...] = ()  # of ``vdenoise run``, as typed
    listed: bool = False  # by a file, which may come from anybody
    fault: str = ""  # what makes it impossible
    prepared: tuple[tuple[Path, str], ...] = ()  # files that its run reads, to write before it

    @property
    def name(self) -> str:
        """Name the clip for people."""
        return str(self.source)

    def arguments(self, *more: str) -> tuple[str, ...]:
        """Everything after ``vdenoise run``; ``more`` options win. Whatever the clip is called, it
        is no option."""
        return (*self.options, *more, f"--output={self.output}", "--", str(self.source))


def jobs_of(
    sources: Sequence[str],
    folder: Path,
    template: str,
    options: Sequence[str],
    *,
    parameters: Mapping[str, str] | None = None,
    trust_paths: bool = False,
) -> list[ClipJob]:
    """The jobs of folders, globs, files and ``.toml`` lists, in a stable order.

    What another job writes is no source: outputs may go beside the clips.

    Args:
        sources: as typed. A folder is searched to any depth; its folders are mirrored.
        folder: where outputs go.
        template: name of an output, with {stem}, {ext} and {preset} of its source.
        options: of every run; they win over those of a list.
        parameters: which parameter of the chain an option stands for, by option.
        trust_paths: lists may name outputs anywhere.

    Raises:
        InputError: nothing is there to do.
        UsageError: the template or a list cannot be understood, an output is its own source or
            would lie outside of ``folder``.
        ConflictError: two jobs would write the same output.
    """
    found: list[ClipJob] = []
    for text in sources:
        path = Path(text)
        if path.suffix.lower() == ".toml" and path.is_file():
            found += _listed(path, folder, template, options, parameters or {}, trust_paths)
            continue
        for base, clip in _clips(text, folder):
            place = folder / clip.parent.relative_to(base)
            found.append(ClipJob(clip, name_output(clip, place, template, options), tuple(options)))
    found = _without_outputs(found)
    if not found:
        raise InputError(
            f"There is no clip in {', '.join(sources)}.",
            "Name a folder or files of movies or images, or a .toml list of jobs.",
            number=17,
        )
    first: dict[Hashable, ClipJob] = {}
    for job in found:
        other = first.setdefault(_file(job.output), job)
        if other is not job:
            raise ConflictError(
                f"{other.source} and {job.source} would both become {job.output}.",
                "Give --template something that tells them apart, such as {stem}_{ext}.mkv, or "
                "keep them in folders of their own.",
                number=14,
            )
    return found


def linked_folders(sources: Sequence[str], folder: Path) -> list[Path]:
    """Folders that `jobs_of` passes over because links lead to them, which may go in a circle, or
    to the same clips twice.

    Args:
        sources: as typed.
        folder: where outputs go; a link to it is no loss.
    """
    return [
        path
        for text in sources
        if Path(text).is_dir()
        for where, folders in _folders(Path(text), folder)
        for path in (where / name for name in folders)
        if path.is_symlink() and path.resolve() != folder.resolve()
    ]


def _without_outputs(jobs: Sequence[ClipJob]) -> list[ClipJob]:
    """The jobs but for those of clips that another of them writes.

    Raises:
        UsageError: a clip would be written over itself.
    """
    makers = {_file(job.output): job for job in jobs}
    found = []
    for job in jobs:
        maker = makers.get(_file(job.source))
        if maker is job:
            raise UsageError(
                f"{job.output} is the input itself.",
                "Choose another folder, or a --template with other names.",
                number=25,
            )
        if maker is None:
            found.append(job)
    return found


def _file(path: Path) -> Hashable:
    """Which file a path is, also where a folder takes ``A`` and ``a`` for one name."""
    return identity(path) or path


def _clips(text: str, target: Path) -> Iterator[tuple[Path, Path]]:
    """(folder to mirror from, clip) of a folder, a glob or a file."""
    path = Path(text)
    if path.is_dir():
        for here, _ in _folders(path, target):
            for clip in _in(here):
                yield path, clip
    elif path.exists() or (is_image(path) and not glob.has_magic(text)):
        yield path.parent, path
    else:
        magic = next((n for n, part in enumerate(path.parts) if glob.has_magic(part)), None)
        if magic is None:
            raise absent(text)
        base = Path(*path.parts[:magic])
        files = set(base.glob(str(Path(*path.parts[magic:]))))
        for folder in sorted({file.parent for file in files}):
            for clip in _in(folder):
                if clip in files or (is_pattern(clip) and _any_frame(clip, files)):
                    yield base, clip


def _folders(path: Path, target: Path) -> Iterator[tuple[Path, list[str]]]:
    """A folder and all below it, but for hidden ones and what outputs go to, with the names of
    theirs."""
    for where, folders, _ in os.walk(path, onerror=_unreadable):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        here = Path(where)
        if here.resolve() == target.resolve() and here != path:
            folders.clear()
            continue
        yield here, folders


def _unreadable(error: OSError) -> NoReturn:
    """A folder that cannot be read is not passed over: there may be clips in it."""
    with reading(f"The folder {error.filename}"):
        raise error


def _any_frame(pattern: Path, files: Iterable[Path]) -> bool:
    """Whether a frame of a sequence is among files."""
    before, _, after = split(pattern)
    form = re.compile(rf"{re.escape(before)}\d+{re.escape(after)}")
    return any(file.parent == pattern.parent and form.fullmatch(file.name) for file in files)


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


def _listed(
    file: Path,
    folder: Path,
    template: str,
    options: Sequence[str],
    parameters: Mapping[str, str],
    trust_paths: bool,
) -> Iterator[ClipJob]:
    """The jobs of a list: ``[defaults]`` and ``[[job]]`` tables of options of ``run``.

    An input may be a folder or a glob. Whether a clip is there is left to `state_of`.
    """
    for number, values in enumerate(tables(file, options, parameters), 1):
        text, output = str(file.parent / values.pop("input")), values.pop("output", None)
        if "\0" in "".join((text, str(output), *as_typed(values), *options)):
            shown = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
            why = f"The job of {shown} names what no file or option can be called"
            yield ClipJob(Path(shown), folder / f"job {number}", listed=True, fault=why)
            continue
        for name in (name for name in values if name.replace("_", "-") in OUTPUTS):
            values[name] = str(name_in_list(str(values[name]), folder, trust_paths))
        typed = (*as_typed(values), *options)
        path = Path(text)
        many = path.is_dir() or (glob.has_magic(text) and not path.exists())
        clips = list(_clips(text, folder)) if many else [(path.parent, path)]
        if output is not None and len(clips) != 1:
            raise UsageError(
                f"The job of {text} names {len(clips)} clips and one output.",
                "Leave output away, or list the clips one by one.",
                number=91,
            )
        for base, clip in clips:
            place = folder / clip.parent.relative_to(base)
            if output is None:
                target = name_output(clip, place, template, typed)
                target = target if trust_paths else stay_below(target, folder)
            else:
                target = name_in_list(output, folder, trust_paths)
                check_kind(target, f"The job of {clip} makes {target}")
            yield ClipJob(clip, target, typed, listed=True)
