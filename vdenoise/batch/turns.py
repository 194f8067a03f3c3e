"""Which outputs of a folder a batch is making, so that others, here or on other machines, make
others.

An output is one byte of the folder's journal, and who makes it locks that byte: the system gives
it back when a process ends, however it does. A lock belongs to the opened file, not to the process
(open file description locks, Linux 3.15): closing the journal elsewhere loses none.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import struct
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from vdenoise.errors import OutputError

if sys.platform == "linux":
    import fcntl

_PLACES = 1 << 62  # of a file, that outputs are spread over
_TAKEN = (errno.EAGAIN, errno.EACCES)


class Turns:
    """A context manager that takes outputs for this process, and gives all back at its end.

    Args:
        journal: of the output folder; made where it is not there.

    Raises:
        OutputError: it cannot be written.
    """

    def __init__(self, journal: Path) -> None:
        self._folder = journal.parent
        try:
            self._handle = os.open(journal, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise unwritable(journal, error) from error
        #: Whether batches see each other: not every disk knows locks, nor every system these.
        self.seen = self._lock(0) is not None
        self._unlock(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._handle)

    def take(self, output: Path) -> bool:
        """Take an output, unless another batch is making it."""
        return self._lock(self._place(output)) is not False

    def give(self, output: Path) -> None:
        """Give an output back."""
        self._unlock(self._place(output))

    def _place(self, output: Path) -> int:
        """The byte of an output: by its way from the folder, which is the same on all machines."""
        name = os.fsencode(os.path.relpath(output, self._folder))
        return 1 + int.from_bytes(hashlib.sha256(name).digest()[:8]) % (_PLACES - 1)

    def _lock(self, place: int) -> bool | None:
        """Whether a byte is this process's now; None where nobody can tell."""
        if sys.platform == "linux":
            try:
                fcntl.fcntl(self._handle, fcntl.F_OFD_SETLK, _words(fcntl.F_WRLCK, place))
            except OSError as error:
                return False if error.errno in _TAKEN else None
            return True
        return None

    def _unlock(self, place: int) -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._handle, fcntl.F_OFD_SETLK, _words(fcntl.F_UNLCK, place))


def _words(kind: int, place: int) -> bytes:
    """A ``struct flock`` for one byte of a file."""
    return struct.pack("hhqqi0q", kind, os.SEEK_SET, place, 1, 0)


def unwritable(journal: Path, error: OSError) -> OutputError:
    """What to raise where a journal cannot be written."""
    return OutputError(
        f"The journal {journal} cannot be written: {error.strerror}.",
        "Free some room, or choose another folder.",
        number=11,
    )
