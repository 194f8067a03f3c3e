"""Names of image sequences, and which of their files are there.

``plate.####.exr``, ``plate.@@@@.exr``, ``plate.%04d.exr`` and ``plate.$F4.exr`` are one pattern:
frame numbers with at least four digits. A single ``#`` or ``@`` takes the padding found on disk.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, islice, pairwise
from pathlib import Path

from vdenoise.errors import InputError, UsageError
from vdenoise.media.access import reading
from vdenoise.media.images.reels import in_a_row
from vdenoise.media.parts import HOLE, parts_of
from vdenoise.picture.frame import ClipInfo, ImageSequence
from vdenoise.settings.choices import OnMissing

# The kinds of images that are read, and those of them that are written.
KINDS = {
    ".exr": "exr",
    ".dpx": "dpx",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
}
# Kinds of images that are known by name and not read.
OTHER_IMAGES = frozenset({
    ".tga", ".targa", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".jxr", ".psd", ".psb",
    ".sgi", ".rgb", ".iff", ".pic", ".rla", ".hdr", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf",
    ".orf", ".rw2", ".cin", ".pcx", ".svg", ".ari",
})  # fmt: skip
WRITTEN = ("exr", "dpx", "tiff", "png")
_MOST = 10_000_000  # frames from the first to the last, where every one of them counts: five days
_SHOWN = 5  # missing frames named in a message


def is_image(path: Path) -> bool:
    """Whether a path names an image or a pattern of images, by its extension."""
    return path.suffix.lower() in KINDS


def is_pattern(path: Path) -> bool:
    """Whether a path is an image pattern, with a place for the frame number."""
    return is_image(path) and not path.exists() and HOLE.search(path.name) is not None


def split(path: Path) -> tuple[str, int | None, str]:
    """A pattern's name as (before, digits, after); digits None: as found, a single ``#`` or ``@``.

    Raises:
        UsageError: there is more than one place for a number.
    """
    holes = list(HOLE.finditer(path.name))
    if len(holes) != 1:
        raise UsageError(
            f"{path.name} has {len(holes)} places for a frame number.",
            "Give it one: name.####.exr, name.%04d.exr or name.$F4.exr.",
            number=70,
        )
    hole = holes[0]
    digits = hole["c"] if hole["c"] is not None else hole["f"]
    width = int(digits or 1) if digits is not None else len(hole[0])
    before, after = path.name[: hole.start()], path.name[hole.end() :]
    return before, None if digits is None and width == 1 else width, after


def find(path: Path, on_missing: OnMissing = "refuse") -> ImageSequence:
    """The sequence behind a pattern, or one image as a sequence of one.

    Args:
        path: pattern or file.
        on_missing: what to do where numbers are missing between the first and the last:
            ``refuse``; ``skip`` them, so that their neighbors follow each other; ``hold`` the
            frame before. A sequence that lacks numbers at equal steps (rendered on twos) is whole.

    Raises:
        InputError: there are no such files, numbers are missing, or two paddings are mixed.
        UsageError: the pattern has two places for a number.
    """
    parts = parts_of(path)
    if len(parts) > 1:
        return in_a_row([find(part, on_missing) for part in parts])
    if not is_pattern(path):
        return ImageSequence(path.parent, path.name, "", None, (0,))
    before, digits, after = split(path)
    widths = _numbers(path.parent, before, after)
    if not widths:
        raise InputError(
            f"No file is called {path}.",
            _others(path.parent) or "Check the path and the pattern.",
            number=1,
        )
    padding, numbers = _padding(path, widths, digits)
    if padding is None:
        raise InputError(
            f"No file is called {path}.", _others(path.parent) or "Check the pattern.", number=1
        )
    found = ImageSequence(path.parent, before, after, padding, numbers)
    steps = {b - a for a, b in pairwise(numbers)}
    if steps <= {1} or (len(steps) == 1 and len(numbers) > 2):
        return found
    if on_missing == "skip":
        return found
    too_many = numbers[-1] - numbers[0] > _MOST
    if on_missing == "refuse" or too_many:
        raise InputError(
            f"{path} lacks {_missing_of(numbers)} between {numbers[0]} and {numbers[-1]}.",
            f"See whether the last number belongs there: {found.path(numbers[-1])}"
            if too_many
            else "Render them again, or say --on-missing skip or --on-missing hold.",
            number=14,
        )
    every = tuple(range(numbers[0], numbers[-1] + 1))
    missing = tuple(sorted(set(every) - set(numbers)))
    return ImageSequence(path.parent, before, after, padding, every, missing)


def files_of(path: Path) -> tuple[Path, ...]:
    """The files that a path names: its parts, all that fit a pattern of images, whatever their
    padding, else the path itself, whether it is there or not.

    Raises:
        InputError: the folder cannot be read.
    """
    parts = parts_of(path)
    if len(parts) > 1:
        return tuple(chain.from_iterable(map(files_of, parts)))
    if not is_pattern(path) or not path.parent.is_dir() or len(HOLE.findall(path.name)) != 1:
        return (path,)
    before, _, after = split(path)
    form = re.compile(rf"{re.escape(before)}\d+{re.escape(after)}")
    with reading(f"The folder {path.parent}"):
        return tuple(sorted(each for each in path.parent.iterdir() if form.fullmatch(each.name)))


def notes(sequence: ImageSequence) -> tuple[str, ...]:
    """What is unusual about the numbers, for people and for the recipe."""
    if sequence.held:
        held = _named(sequence.held, len(sequence.held))
        return (f"missing {held}: the frame before is held",)
    steps = {b - a for a, b in pairwise(sequence.numbers)}
    if len(steps) == 1 and steps != {1}:
        return (f"the frame numbers go in steps of {steps.pop()}",)
    if len(steps) > 1:
        return (f"missing {_missing_of(sequence.numbers)}: skipped",)
    return ()


def in_folder(folder: Path) -> tuple[Path, ...]:
    """The image sequences of a folder as patterns, and its single images, sorted.

    Files whose names differ in their last number only belong together; one such file alone is a
    single image.
    """
    groups: dict[tuple[str, int, str], list[str]] = defaultdict(list)
    found: list[Path] = []
    for entry in os.scandir(folder):
        path = folder / entry.name
        if entry.name.startswith(".") or not is_image(path) or not entry.is_file():
            continue
        number = re.fullmatch(r"(.*?)(\d+)(\D*)", entry.name)
        if number is None:
            found.append(path)
        else:
            # 0999 and 1000 belong together, 999 and 1000 do too, 999 and 0999 do not.
            groups[number[1], len(number[2]), number[3]].append(entry.name)
    for (before, width, after), names in groups.items():
        digits = [name[len(before) : len(before) + width] for name in names]
        longer = not any(d.startswith("0") for d in digits) and width > 1
        if longer and (before, width - 1, after) in groups:
            continue
        whole = len(names) > 1 or (before, width + 1, after) in groups
        found.append(folder / (f"{before}{'#' * width}{after}" if whole else names[0]))
    return tuple(sorted(found))


def selected(info: ClipInfo, parts: Sequence[tuple[int, int, int]]) -> tuple[int, ...]:
    """Positions of the frames that ``--frames`` names, ascending.

    Args:
        info: the clip.
        parts: (first, last, step) in the numbers people see: those of the files of a sequence,
            counted from 0 for anything else.

    Raises:
        UsageError: the clip does not have one of them.
    """
    numbers = range(info.frames or 0) if info.sequence is None else info.sequence.numbers
    places = {number: position for position, number in enumerate(numbers)}
    wanted: set[int] = set()
    for first, last, step in parts:
        here = [n for n in numbers if first <= n <= last and (n - first) % step == 0]
        whole = not here or first not in places or here[-1] + step <= last
        gaps = info.sequence is None or len(here) < 2
        if whole or (gaps and len(here) < len(range(first, last + 1, step))):
            name = info.path if info.sequence is None else info.sequence.pattern
            raise UsageError(
                f"{name} has the frames {numbers[0]}-{numbers[-1]}, not {first}-{last}"
                + (f" in steps of {step}." if step > 1 else "."),
                f"Say --frames A-B with numbers between {numbers[0]} and {numbers[-1]}.",
                number=20,
            )
        wanted.update(places[n] for n in here)
    return tuple(sorted(wanted))


def target_of(info: ClipInfo, target: Path) -> ImageSequence:
    """The files that a clip is written to: numbered as its own, a movie's frames from 0.

    Raises:
        UsageError: the target is one file and the clip has more frames, or has two places for a
            number, or is a kind of image that is not written.
    """
    if KINDS[target.suffix.lower()] not in WRITTEN:
        raise UsageError(
            f"{target.name} would lose more than noise: JPEG is read, not written.",
            "Write .png, .tif, .exr or .dpx.",
            number=71,
        )
    own = info.sequence
    numbers = tuple(range(info.frames or 0)) if own is None else own.numbers
    if HOLE.search(target.name) is None:
        return ImageSequence(target.parent, target.name, "", None, numbers)
    before, digits, after = split(target)
    if digits is None:
        digits = 1 if own is None or own.padding is None else own.padding
    return ImageSequence(target.parent, before, after, digits, numbers)


def _numbers(folder: Path, before: str, after: str) -> dict[int, set[int]]:
    """Frame numbers on disk by the digits they are written with."""
    form = re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}")
    widths: dict[int, set[int]] = defaultdict(set)
    with reading(f"The folder {folder}"):
        for entry in os.scandir(folder):
            if (found := form.fullmatch(entry.name)) and not _is_special(entry):
                widths[len(found[1])].add(int(found[1]))
    return widths


def _padding(
    path: Path, widths: dict[int, set[int]], digits: int | None
) -> tuple[int | None, tuple[int, ...]]:
    """The padding all files agree on, and their numbers.

    Raises:
        InputError: they do not agree: which files are meant cannot be known.
    """
    narrow = min(widths) if digits is None else digits
    fitting = {
        width: {n for n in numbers if len(str(n)) == width or width == narrow}
        for width, numbers in widths.items()
        if width >= narrow
    }
    numbers = sorted(set().union(*fitting.values()))
    if sum(map(len, widths.values())) > len(numbers) and numbers:
        odd = next(
            f"{n:0{width}d}"
            for width, found in sorted(widths.items())
            for n in sorted(found)
            if n not in fitting.get(width, set())
        )
        raise InputError(
            f"{path} is ambiguous: beside the number {numbers[0]:0{narrow}d} there is {odd}, "
            "written with another padding.",
            "Keep the two in folders of their own, or name them alike.",
            number=15,
        )
    return (narrow if numbers else None), tuple(numbers)


def _is_special(entry: os.DirEntry[str]) -> bool:
    """Whether it is neither a file nor a link to what may be one: a folder, a pipe, a device."""
    return not (entry.is_file() or entry.is_symlink())


def _missing_of(numbers: Sequence[int]) -> str:
    """What lacks between ascending numbers, of which the last may lie anywhere."""
    gaps = chain.from_iterable(range(a + 1, b) for a, b in pairwise(numbers))
    return _named(gaps, numbers[-1] - numbers[0] + 1 - len(numbers))


def _named(numbers: Iterable[int], count: int) -> str:
    """``frames 3, 4, 7`` (the first few)."""
    shown = ", ".join(map(str, islice(numbers, _SHOWN)))
    rest = count - _SHOWN
    return f"frame{'s' if count > 1 else ''} {shown}" + (f" and {rest} more" if rest > 0 else "")


def _others(folder: Path) -> str:
    """A hint that names what is there."""
    there = [path.name for path in in_folder(folder)][:3] if folder.is_dir() else []
    return f"There is {', '.join(there)}." if there else ""
