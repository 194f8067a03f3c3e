"""Standard error as a program that must not end by it: a log that nobody reads loses lines, and the
work goes on."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import stat
import sys

_STDERR = 2
_PATIENCE_SECONDS = 5.0  # for a pipe that is full, before lines are lost
_AT_ONCE = select.PIPE_BUF  # bytes that a pipe takes whole once it takes any


class Messages(io.TextIOBase):
    """Text to a descriptor. Nothing it does raises, or waits for more than some seconds.

    Where the reader has gone, what is written goes nowhere, also by libraries. Where a disk or a
    pipe is full lines are lost until there is room again.

    Args:
        descriptor: to write to.
        patience: seconds to wait for a full pipe; the next lines then wait no more.
    """

    def __init__(self, descriptor: int = _STDERR, patience: float = _PATIENCE_SECONDS) -> None:
        self._descriptor = descriptor
        self._patience, self._wait = patience, patience
        self._cut = False  # a line was lost in its middle
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        self._may_stall = kind in (stat.S_IFIFO, stat.S_IFSOCK)

    encoding = "utf-8"
    errors = "backslashreplace"  # of what names of files hold that is no text

    def writable(self) -> bool:
        """Whether it can be written to: always."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether a terminal reads."""
        return os.isatty(self._descriptor)

    def write(self, text: str, /) -> int:
        """Write or lose a text; its length."""
        data = text.encode(self.encoding, self.errors)
        if self._cut:
            data = b"\n" + data
        begun = False
        while data:
            sent = self._send(data[:_AT_ONCE] if self._may_stall else data)
            if not sent:
                self._cut = self._cut or begun
                break
            begun, self._cut, data = True, False, data[sent:]
        return len(text)

    def _send(self, data: bytes) -> int:
        """Bytes written, 0 where they are lost."""
        try:
            if self._may_stall and not self._ready():
                return 0
            return os.write(self._descriptor, data)
        except OSError as error:
            if error.errno == errno.EPIPE:
                with contextlib.suppress(OSError):
                    nowhere = os.open(os.devnull, os.O_WRONLY)
                    os.dup2(nowhere, self._descriptor)
                    os.close(nowhere)
                    self._may_stall = False
            return 0

    def _ready(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        ready = bool(poll.poll(1000 * self._wait))
        self._wait = self._patience if ready else 0.0
        return ready


def keep_talking() -> None:
    """Let messages of this process go through `Messages`, where the system has what that needs.

    Results are UTF-8 as well, whatever the locale says of letters: no name ends a command.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding=Messages.encoding, errors=Messages.errors)
    if hasattr(select, "poll") and sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
            sys.stderr = Messages(sys.stderr.fileno())
