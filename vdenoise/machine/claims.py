"""What a command reads and what it writes: no file that it needs is written over.

A file counts by what it is, not by what it is called: links, hard links, relative names and, where
a folder does not tell them apart, upper and lower case name the same one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Hashable
from pathlib import Path

from vdenoise.errors import FileClash, InputError, OutputError

_ANYBODY_WRITES = 0o222


class Claims:
    """The files of one command, each claimed before anything is written.

    Attributes:
        refused: what was claimed to be written in a role, and is read by who came later; of
            commands side by side the one with that role must not write it either.
    """

    def __init__(self) -> None:
        self.refused: dict[str, FileClash] = {}
        self._read: dict[Hashable, str] = {}
        self._written: dict[Hashable, tuple[Path, str]] = {}

    def read(self, path: Path, role: str) -> None:
        """Claim a file to read; the same one may be read as many things. What was claimed to be
        written in the same role is made first and read then.

        Args:
            path: the file, or what will never be one (``-``, a pipe): that is passed over.
            role: what it is to people: ``the input``, ``--profile``, ``the mask sky``.

        Raises:
            FileClash: it is to be written, too.
            InputError: it is a device, whose content may never end.
        """
        if path.is_char_device() or path.is_block_device():
            raise InputError(
                f"{path} ({role}) is a device.", "Name a file, a pipe, or - for stdin.", number=86
            )
        own = identity(path)
        if own is None:
            return
        path, writer = self._written.get(own, (path, role))
        if writer != role:
            raise self.refused.setdefault(writer, _both(path, role))
        self._read.setdefault(own, role)

    def write(self, path: Path, role: str, *, overwrite: bool | None = None) -> None:
        """Claim a file to write.

        Args:
            path: the file; a pipe or a device that was typed is passed over: nothing there can be
                lost.
            role: what writes it, to people: ``--output``, ``the recipe``. Claimed again for the
                same role it is the same claim.
            overwrite: a file of this name may be replaced; None where that is seen elsewhere.

        Raises:
            FileClash: it is read, too, or written as something else.
            OutputError: its name is not free (`see_free`), it is a folder, or it is a pipe that
                stands where nobody asked for one: it would be waited for.
        """
        own = identity(path)
        if own is None:
            if path.is_fifo() and not role.startswith("--"):
                raise OutputError(
                    f"{path} ({role}) is a pipe.", "Move it, or name another output.", number=29
                )
            return
        if self._read.get(own, role) != role:
            raise _both(path, self._read[own])
        other = self._written.setdefault(own, (path, role))[1]
        if other != role:
            raise FileClash(
                f"{role} and {other} would both be written to {path}.",
                "Give each a name of its own.",
                number=52,
            )
        if path.is_dir():
            raise OutputError(
                f"{path} ({role}) is a folder.", "Choose another name, or move it.", number=24
            )
        if overwrite is not None:
            see_free(path, overwrite=overwrite)


def see_free(path: Path, *, overwrite: bool) -> None:
    """See that a name is free, or that what has it may be replaced. A link that leads nowhere has
    its name, too: its disk may not be mounted. What nobody may write is not replaced at all: so
    finished work is locked.

    Raises:
        OutputError: it may not be replaced.
    """
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise taken(path)
    if path.exists() and not path.stat().st_mode & _ANYBODY_WRITES:
        raise OutputError(
            f"{path} is read-only: somebody has locked it.",
            "Choose another name, or let it be written again (chmod u+w).",
            number=30,
        )


def taken(path: Path) -> OutputError:
    """What to raise where a name is not free."""
    return OutputError(
        f"{path} exists already.", "Choose another name or add --overwrite.", number=1
    )


def identity(path: Path) -> Hashable | None:
    """What a path is, however it is named; None of what is no file: ``-``, pipes, devices.

    A file that exists is its device and inode; one that does not is the nearest folder that does,
    and the names below it.
    """
    if str(path) == "-":
        return None
    real = Path(os.path.realpath(path))
    below: tuple[str, ...] = ()
    while True:
        try:
            found = real.stat()
        except OSError:
            if real.parent == real:
                return (str(path),)
            below, real = (real.name, *below), real.parent
            continue
        if not below and not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            return None
        if below and _folds_case(real):
            below = tuple(name.casefold() for name in below)
        return (found.st_dev, found.st_ino, *below)


def _folds_case(folder: Path) -> bool:
    """Whether the file system of a folder takes ``A`` and ``a`` for the same name.

    Something in it tells; of an empty one its own name, which is that of the folder above.
    """
    try:
        with os.scandir(folder) as entries:
            inside = next((e.name for e in entries if e.name.swapcase() != e.name), None)
        one = folder / inside if inside else folder
        other = one.with_name(one.name.swapcase())
        return other.name != one.name and other.samefile(one)
    except (OSError, ValueError):  # the root has no name
        return False


def _both(target: Path, role: str) -> FileClash:
    what = "the input itself" if role == "the input" else f"also {role}, which is read"
    return FileClash(f"{target} is {what}.", "Give the output another name.", number=25)
