"""Recordings in several files, named as one clip: ``GX010001.MP4+GX020001.MP4``.

Cameras and recorders begin a new file every few gigabytes; scans lie in a folder for each reel. A
file that is itself called like that is that file. A text that lists them is named as
``@reels.txt``: only what somebody types is one, as one from elsewhere could name any file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

SEAM = "+"
_LIST_END, _REMARK = ".txt", "# "
_MOST = 1 << 22  # bytes of a list
_LONGEST = 4096  # letters of a path
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
    ends: dict[int, int] = {len(words): len(words)}  # where a part ends that begins there
    for first in reversed(range(len(words))):
        for end in range(first + 1, len(words) + 1):
            name = SEAM.join(words[first:end])
            if len(name) > _LONGEST:
                break
            if end in ends and _is_there(name):
                ends[first] = end
                break
    found, place = [], 0
    while place < len(words):
        if place not in ends:
            return ()
        found.append(Path(SEAM.join(words[place : ends[place]])))
        place = ends[place]
    return tuple(found)


def is_list(name: str) -> bool:
    """Whether a name that was typed with an ``@`` is that of a list of parts."""
    return name.lower().endswith(_LIST_END) and not _is_there(name)


def listed(file: Path) -> str:
    """The parts that a text lists, one a line, with ``+`` between them, as one name.

    Names are seen from the list's folder. Empty lines are left out, and those that begin with
    a ``#`` and a space.

    Raises:
        ValueError: it holds no name, or is no text.
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        data = opened.read(_MOST + 1)
    if len(data) > _MOST or b"\0" in data:
        raise ValueError
    lines = [line.strip() for line in data.decode("utf-8-sig").splitlines()]
    names = [line for line in lines if line and not (line + " ").startswith(_REMARK)]
    if not names:
        raise ValueError
    return SEAM.join(str(file.parent / name) for name in names)


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
