"""Every error vdenoise raises on purpose, each with the exit code it ends the program with.

::

    VdenoiseError
    ├── UsageError       2   wrong option, preset or parameter
    ├── InputError       3   input missing, unreadable or unsupported
    ├── OutputError      4   output exists or cannot be written
    ├── DeviceError      5   device, driver or model missing
    ├── MemoryShort      6   out of memory even at the smallest tile
    ├── GateError        7   written, and a quality gate failed
    ├── BatchError       8   batch finished, some jobs failed
    ├── VerifyError      9   the output does not keep what it must keep
    ├── ConflictError   10   plan, source or version conflict
    ├── TryAgain        75   temporary trouble
    └── Interrupted    130   stopped by a signal (143 for SIGTERM)

Anything else that escapes is a bug of ours: traceback and exit code 1.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from typing import ClassVar

# What a shared folder says when its server is away for a moment: the same may work later.
TRANSIENT = frozenset(
    {errno.ESTALE, errno.EIO, errno.EAGAIN, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN}
)

NO_HANDLES = frozenset({errno.EMFILE, errno.ENFILE})  # neither the file's fault nor the disk's


class VdenoiseError(Exception):
    """What happened, what to do about it, and a stable code to search logs for.

    ``number`` is the end of the printed code: ``E0301`` is error 01 of exit code 3, ``E02104`` is
    error 104 of exit code 2. A code has one meaning; only what means the same, such as a file that
    does not exist, is raised with it in several places.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, hint: str, *, number: int) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.number = number

    @property
    def code(self) -> str:
        """Stable identifier such as ``E0301``."""
        return f"E{self.exit_code:02d}{self.number:02d}"


def handles_short() -> MemoryShort:
    """What to raise where the system gives no more file handles."""
    return MemoryShort(
        "Too many files are open at once for the system.",
        "Raise the limit (ulimit -n 1024), or end other programs.",
        number=6,
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggestion for a mistyped word, with a leading space, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""


def fault_of(error: ValueError) -> str:
    """What is wrong with something that was read, in a few words.

    Args:
        error: of pydantic, whose first finding is named with its place
            (``shots.0.first: Field required``); else of a parser, which says it itself.
    """
    from pydantic import ValidationError  # not at the top: --help is to answer at once

    if not isinstance(error, ValidationError):
        return str(error).partition("; use sys.")[0]  # advice to programmers
    first = error.errors()[0]
    if first["type"] == "model_type":
        return "it holds no table of names and values"
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


class UsageError(VdenoiseError):
    """Wrong option, preset or parameter."""

    exit_code = 2


class FileClash(UsageError):
    """A file would be written that is also read, or written as something else."""


class InputError(VdenoiseError):
    """The input is missing, unreadable or of an unsupported kind."""

    exit_code = 3


class OutputError(VdenoiseError):
    """The output exists already or cannot be written."""

    exit_code = 4


class DeviceError(VdenoiseError):
    """A device, driver or model is missing."""

    exit_code = 5


class MemoryShort(VdenoiseError):
    """Out of memory even at the smallest tile."""

    exit_code = 6


class GateError(VdenoiseError):
    """The output was written, and a quality gate failed."""

    exit_code = 7


class BatchError(VdenoiseError):
    """A batch finished and some of its jobs failed."""

    exit_code = 8


class VerifyError(VdenoiseError):
    """The output does not keep what it must keep."""

    exit_code = 9


class ConflictError(VdenoiseError):
    """Plan, source or version do not belong together."""

    exit_code = 10


class TryAgain(VdenoiseError):
    """Temporary trouble; the same command may work later."""

    exit_code = 75


class Interrupted(VdenoiseError):
    """Stopped by a signal; nothing was left under the final name."""

    exit_code = 130

    def __init__(self, what: str, hint: str, *, signal_number: int = 2) -> None:
        super().__init__(what, hint, number=1)
        self.signal_number = signal_number

    @property
    def status(self) -> int:
        """Process exit status: 128 + signal number."""
        return 128 + self.signal_number
