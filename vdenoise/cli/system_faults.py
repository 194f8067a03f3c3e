"""What the system, and libraries in its name, say that people can do something about."""

from __future__ import annotations

import errno
from pathlib import Path

from vdenoise.errors import (
    NO_HANDLES,
    TRANSIENT,
    InputError,
    MemoryShort,
    OutputError,
    TryAgain,
    UsageError,
    VdenoiseError,
    handles_short,
)
from vdenoise.machine.memory import may_take

_SHOWN_LETTERS = 80  # of a name
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_NAME = (errno.ENAMETOOLONG, errno.ELOOP)  # no file can be called so
# A file or folder that a command had found in order was changed by others while it was at work.
_TAKEN_AWAY = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ENODEV)
# What threads, the loader, C++ libraries, torch and OpenCV say where there is no memory for them.
_NO_MEMORY = (
    *("can't start new thread", "failed to map segment", "Cannot allocate memory"),
    *("bad_alloc", "can't allocate memory", "Insufficient memory"),
)
# Where not even that much is to be had, whatever went wrong went wrong for want of it: a module
# without room fails as a mistake in its text, or as a name that is not in it.
_LITTLE_BYTES = 64 << 20
_LINKS_IN_A_CIRCLE = "Symlink loop"  # pathlib, before Python 3.13
_NO_TEMPORARIES = "No usable temporary directory"  # tempfile


def of_system(problem: Exception) -> VdenoiseError | None:
    """What people can do something about; None where it is a fault of ours."""
    if isinstance(problem, OSError) and (known := _of_files(problem)) is not None:
        return known
    text = str(problem)
    if isinstance(problem, RuntimeError) and text.startswith(_LINKS_IN_A_CIRCLE):
        return _nameless(f"{text}: links lead in a circle.")
    said = isinstance(problem, MemoryError) or any(word in text for word in _NO_MEMORY)
    if said or not may_take(_LITTLE_BYTES):
        return MemoryShort(
            "The memory is full.", "End other programs, or use a faster --speed.", number=3
        )
    return None


def problem_of_stdout(problem: Exception) -> bool:
    """Whether it is standard output that cannot be written, so that no more goes there."""
    return isinstance(problem, OSError) and problem.errno in _FULL and problem.filename is None


def _of_files(problem: OSError) -> VdenoiseError | None:
    name = _shown(str(problem.filename))
    if problem.errno in _FULL:
        full = "it would be too large" if problem.errno == errno.EFBIG else "the disk is full"
        return OutputError(
            f"{'Standard output' if problem_of_stdout(problem) else name} cannot be written: "
            f"{full}.",
            "Free some room where it goes to (or see ulimit -f), and run the same command again.",
            number=5,
        )
    if problem.errno in _NO_NAME:
        return _nameless(f"{name} cannot be used: {problem.strerror}.")
    if problem.errno in NO_HANDLES:
        return handles_short()
    if problem.errno in TRANSIENT:
        return TryAgain(
            f"{problem.filename or 'A file'} cannot be reached: {problem.strerror}.",
            "Run the same command again later.",
            number=1,
        )
    if problem.errno in _TAKEN_AWAY and problem.filename is not None:
        return OutputError(
            f"{name} cannot be used any more: {problem.strerror}.",
            "See whether it is there and who may use it, and run the same command again.",
            number=18,
        )
    if str(problem.strerror).startswith(_NO_TEMPORARIES):
        return OutputError(
            "There is no folder for temporary files that may be written.",
            "Point TMPDIR to one.",
            number=28,
        )
    if problem.errno == errno.ENOENT and not _here():
        return InputError(
            "The current folder is not there any more.", "Change to another one.", number=88
        )
    return None


def _shown(name: str) -> str:
    """A name for a sentence: of a long one its ends."""
    half = _SHOWN_LETTERS // 2
    return name if len(name) <= _SHOWN_LETTERS else f"{name[:half]} ... {name[-half:]}"


def _nameless(what: str) -> UsageError:
    return UsageError(
        what, "Check the names that were given, also those in lists and presets.", number=216
    )


def _here() -> bool:
    """Whether there is a current folder: somebody may have removed it."""
    try:
        return Path.cwd().is_dir()
    except FileNotFoundError:
        return False
