"""One piece of work at a time, and only the one that was asked for last."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class Superseded(Exception):
    """Something newer was asked for: the result of this is not wanted any more."""


class Newest:
    """Lets one caller work at a time; whoever comes ends the work of those before."""

    def __init__(self) -> None:
        self._counting, self._working = threading.Lock(), threading.Lock()
        self._last = 0
        self._closed = False

    @contextlib.contextmanager
    def turn(self) -> Iterator[Callable[[], None]]:
        """Wait for one's turn, and end what is under way.

        Yields:
            What raises `Superseded` once somebody came behind, or all is closed.

        Raises:
            Superseded: somebody came behind before it began.
        """
        with self._counting:
            self._last += 1
            mine = self._last

        def check() -> None:
            if self._closed or mine != self._last:
                raise Superseded

        with self._working:
            check()
            yield check

    @contextlib.contextmanager
    def between(self) -> Iterator[None]:
        """Work that is short and ends nothing: when the one under way is done."""
        with self._working:
            yield

    def close(self) -> None:
        """End what is under way, and let nothing begin."""
        self._closed = True
