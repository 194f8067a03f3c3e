"""Looking at a folder again and again: which clips nobody writes to any more."""

from __future__ import annotations

from pathlib import Path

from vdenoise.errors import InputError
from vdenoise.media.images.sequence import find, is_pattern

Look = tuple[int, int, int]  # files of a clip, their bytes, when the newest was changed


class Looks:
    """What clips were like when they were last looked at."""

    def __init__(self) -> None:
        self._seen: dict[Path, Look | None] = {}

    def settled(self, source: Path) -> bool:
        """Look at a clip; whether it is there as it was at the last look.

        The clock of the machine that holds it may be another one, so times are compared with each
        other only.
        """
        look = _look(source)
        before, self._seen[source] = self._seen.get(source), look
        return look is not None and look == before


def _look(source: Path) -> Look | None:
    """None where there is nothing."""
    try:
        files = [source]
        if is_pattern(source):
            found = find(source, "skip")
            files = [found.path(number) for number in found.numbers]
        states = [path.stat() for path in files]
    except (FileNotFoundError, InputError):
        return None
    return len(files), sum(s.st_size for s in states), max(s.st_mtime_ns for s in states)
