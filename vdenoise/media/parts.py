"""Recordings in several files, named as one clip: ``GX010001.MP4+GX020001.MP4``.

Cameras and recorders begin a new file every few gigabytes; scans lie in a folder for each reel. A
file that is itself called like that is that file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

SEAM = "+"
HOLE = re.compile(r"#+|@+|%0?(?P<c>\d*)d|\$F(?P<f>\d*)")  # the place of an image's number


def parts_of(path: Path) -> tuple[Path, ...]:
    """The files, or patterns of images, that a path names in their order; the path itself where it
    names one, or where not every part of the name is there."""
    text = str(path)
    if SEAM not in text or _is_there(text):
        return (path,)
    return _split(text.split(SEAM)) or (path,)


def missing_part(path: Path | str) -> str:
    """The first part of a name that is not there, where the one before it is; else nothing."""
    words = str(path).split(SEAM)
    there = [_is_there(word) for word in words]
    if not there[0] or all(there):
        return ""
    return words[there.index(False)]


def _split(words: Sequence[str]) -> tuple[Path, ...]:
    """Parts of a name whose pieces lie between its signs: the shortest that are there; a part's own
    name may hold the sign."""
    for count in range(1, len(words) + 1):
        first = SEAM.join(words[:count])
        if not _is_there(first):
            continue
        if count == len(words):
            return (Path(first),)
        if rest := _split(words[count:]):
            return (Path(first), *rest)
    return ()


def _is_kind(name: str, kind: Callable[[int], bool]) -> bool:
    """Whether there is a file or folder of a name. `Path` raises an error where that is too long
    for a file's, as that of many parts is."""
    try:
        return kind(Path(name).stat().st_mode)
    except (OSError, ValueError):
        return False


def _is_there(name: str) -> bool:
    """Whether a name is a file's, or a pattern's that some file fits."""
    if _is_kind(name, stat.S_ISREG):
        return True
    folder, last = os.path.split(name)
    holes = list(HOLE.finditer(last))
    if len(holes) != 1 or not _is_kind(folder or ".", stat.S_ISDIR):
        return False
    before, after = last[: holes[0].start()], last[holes[0].end() :]
    form = re.compile(rf"{re.escape(before)}\d+{re.escape(after)}")
    with os.scandir(folder or ".") as entries:
        return any(form.fullmatch(entry.name) for entry in entries)
