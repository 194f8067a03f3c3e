"""Looking at a folder again and again: which clips nobody writes to any more."""

from __future__ import annotations

from pathlib import Path

from vdenoise.batch.outcome import Outcome
from vdenoise.errors import InputError, UsageError
from vdenoise.media.images.sequence import find, is_image, is_pattern

Look = tuple[int, int, int]  # files of a clip, their bytes, when the newest was changed


class Looks:
    """What clips were like when they were looked at.

    Args:
        movie: looks in a row at which a movie must be as it was.
        images: the same of images, which come one by one.
    """

    def __init__(self, movie: int = 1, images: int = 1) -> None:
        self._movie, self._images = movie, images
        self._seen: dict[Path, tuple[Look | None, int]] = {}  # and how often it was the same
        self._taken: dict[Path, Look | None] = {}
        self.again: set[Path] = set()  # outputs to make again

    def settled(self, source: Path) -> bool:
        """Look at a clip; whether it is there as it was at the last looks.

        The clock of the machine that holds it may be another one, so times are compared with each
        other only.
        """
        look = _look(source)
        before, times = self._seen.get(source, (None, 0))
        times = times + 1 if look is not None and look == before else 0
        self._seen[source] = look, times
        if times < (self._images if is_image(source) else self._movie):
            return False
        self._taken[source] = look
        return True

    def forget(self, outcome: Outcome) -> None:
        """Take a clip up again that changed: what was made of it by this batch may be replaced."""
        if outcome.state == "done":
            self.again.add(outcome.job.output)

    def changed(self, source: Path) -> bool:
        """Whether a clip is no longer what it was when it had settled."""
        return source in self._taken and _look(source) != self._taken[source]


def _look(source: Path) -> Look | None:
    """None where there is nothing."""
    try:
        files = [source]
        if is_pattern(source):
            found = find(source, "skip")
            files = [found.path(number) for number in found.numbers]
        states = [path.stat() for path in files]
    except (OSError, InputError, UsageError):
        return None
    return len(files), sum(s.st_size for s in states), max(s.st_mtime_ns for s in states)
