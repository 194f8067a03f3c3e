"""What to say when a file cannot be read, or an output cannot be written where it is to go."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import av

from vdenoise.errors import (
    NO_HANDLES,
    TRANSIENT,
    InputError,
    OutputError,
    TryAgain,
    UsageError,
    handles_short,
)
from vdenoise.machine.claims import see_free, taken
from vdenoise.media.memory import see_memory
from vdenoise.media.parts import missing_part

DISK_FULL = 5  # number of an OutputError
TOO_LARGE = 32  # the same


def check_folder(target: Path, *, made_later: bool = False) -> None:
    """See that a file could be made in the folder of ``target``.

    Args:
        target: the file.
        made_later: a folder that is missing is made in time, so that it is enough if it can be.

    Raises:
        OutputError: the folder is missing or not writable.
    """
    folder = target.parent
    while made_later and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is no folder.", "Name another one.", number=17)
    if not folder.is_dir():
        way = "It is a link: see whether what it leads to is mounted."
        if not folder.is_symlink():
            way = f"Make it with: {shlex.join(['mkdir', '-p', str(folder)])}"
        raise OutputError(f"The folder {folder} does not exist.", way, number=2)
    if not os.access(folder, os.W_OK):
        raise OutputError(
            f"The folder {folder} may not be written.", "Choose another folder.", number=4
        )


def make_folder(folder: Path) -> None:
    """Make a folder for outputs, and those above it.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Cannot make the folder {folder}: {error.strerror}.", "Name another one.", number=12
        ) from error


def check_free(target: Path, source: Path | None, *, overwrite: bool | None) -> None:
    """See that a clip may be written: that its name is free, or what has it may be replaced.

    Args:
        target: the file.
        source: the input's file; None for a pipe.
        overwrite: it may be replaced; None where that is seen elsewhere.

    Raises:
        UsageError: it is the input itself.
        OutputError: it may not be replaced, or is no file.
    """
    if target.exists() and source is not None and target.samefile(source):
        raise UsageError(
            f"{target} is the input itself.", "Give the output another name.", number=25
        )
    check_no_pipe(target, "Name a file. A pipe is written to by: -o - > PIPE")
    if overwrite is not None:
        see_free(target, overwrite=overwrite)


def check_no_pipe(target: Path, way: str = "Name a file.") -> None:
    """See that no pipe or device lies where a file is to be put into its place.

    Raises:
        OutputError: one does.
    """
    if target.exists() and not target.is_file():
        raise OutputError(
            f"{target} is a pipe or a device, whose place no file takes.", way, number=26
        )


def absent(name: str) -> InputError:
    """What to raise where a file or folder is not there."""
    if part := missing_part(name):
        return InputError(
            f"{part} does not exist, of the parts {name}.", "Check the path.", number=1
        )
    return InputError(f"{name} does not exist.", "Check the path.", number=1)


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn failures of opening a file or a folder into an InputError that says why.

    Args:
        name: what people call it: ``a.mov``, ``The folder shots``.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise absent(name) from error
    except PermissionError as error:
        raise InputError(f"{name} may not be read.", "Check its permissions.", number=9) from error
    except OSError as error:
        if error.errno in NO_HANDLES:
            raise handles_short() from error
        raise InputError(
            f"{name} cannot be read: {error.strerror}.", "Check the path and the disk.", number=9
        ) from error


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn failures of writing into an OutputError that says why."""
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        if isinstance(error, av.FFmpegError):
            see_memory(error)
        code = getattr(error, "errno", None)
        if code in NO_HANDLES:
            raise handles_short() from error
        if code == errno.EEXIST:  # another run has made the same meanwhile
            raise taken(target) from error
        if code == errno.EFBIG:
            raise OutputError(
                f"{target} would be larger than a file may be there.",
                "A limit (ulimit -f) or the disk's own (4 GB with FAT32): write elsewhere, or in "
                "parts with --frames.",
                number=TOO_LARGE,
            ) from error
        if code in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(
                f"The disk is full: {target} cannot be finished.",
                f"Free some room in {target.parent} and run the same command again.",
                number=DISK_FULL,
            ) from error
        if code == errno.EPIPE:
            raise OutputError(
                "The program that reads standard output has closed it.",
                "See what it says.",
                number=6,
            ) from error
        if code in TRANSIENT:
            raise TryAgain(
                f"{target} cannot be reached for now: {getattr(error, 'strerror', error)}.",
                "Run the same command again later.",
                number=1,
            ) from error
        raise OutputError(
            f"{target} cannot be written: {getattr(error, 'strerror', None) or error}.",
            "Check the disk, or write in another place or container.",
            number=7,
        ) from error
