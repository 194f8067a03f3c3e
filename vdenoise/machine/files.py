"""Files that are whole under their name, or not there at all.

What is not finished has a hidden name beside the final one: ``.NAME.PID.HEX.partial``. Errors of
the operating system pass through: only the caller knows what the file is to a user.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vdenoise.machine.owner import is_orphaned, mark

_PARTIAL = ".partial"
_LONGEST_NAME = 255  # bytes
_BLOCK_BYTES = 1 << 16
# What disks answer that know no second names of a file: FAT, some network mounts
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
MOST_TEXT_BYTES = 512 << 20  # of a list, a preset, a plan: of a week of frames it has less


def partial_path(target: Path) -> Path:
    """A new name for what will be ``target``: in the same folder, so that renaming is all or
    nothing, and with a mark of the process, so that it can be told whose it is."""
    end = f".{mark()}{_PARTIAL}"
    return target.with_name(f".{fitting(target.name, len(end) + 1)}{end}")


def fitting(name: str, more: int) -> str:
    """A name, cut so that ``more`` bytes fit beside it: file systems hold 255 in a name."""
    while len(os.fsencode(name)) + more > _LONGEST_NAME:
        name = name[:-1]
    return name


def leftovers(folder: Path, pid: int | None = None) -> Iterator[Path]:
    """Unfinished files in a folder: those of one process, or all of them."""
    return folder.glob(f".*{_PARTIAL}" if pid is None else f".*.{pid}.*{_PARTIAL}")


def remove_orphans(folder: Path, pid: int | None = None) -> None:
    """Remove unfinished files that killed processes of this machine, or that one of them, left in a
    folder; as far as that is allowed."""
    with contextlib.suppress(OSError):
        for path in leftovers(folder, pid):
            if is_orphaned(".".join(path.name.removesuffix(_PARTIAL).split(".")[-2:])):
                path.unlink(missing_ok=True)


def give_name(part: Path, target: Path, *, overwrite: bool) -> None:
    """Give a finished file its name, in one step of the system's.

    Args:
        part: the file, in the folder of ``target``.
        target: its name.
        overwrite: what has the name is replaced. Else nothing is, also not what has come since
            anybody looked: renaming would, a second name of the same file does not. Where a disk
            knows no such names it is looked at once more just before.

    Raises:
        FileExistsError: something has the name.
    """
    if overwrite:
        part.replace(target)
        return
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno in _NO_LINKS:
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
            part.replace(target)
            return
        # A network mount whose answer was lost asks again, and meets its own file.
        if not isinstance(error, FileExistsError) or not _is_same(part, target):
            raise
    with contextlib.suppress(OSError):  # an orphan, and the file is there
        part.unlink()


def _is_same(part: Path, target: Path) -> bool:
    own, found = part.lstat(), target.lstat()
    return (own.st_dev, own.st_ino) == (found.st_dev, found.st_ino)


@contextlib.contextmanager
def replacing(target: Path, *, durable: bool = True) -> Iterator[Path]:
    """A path to write to, which becomes ``target`` at the end, or is removed after an error.

    Args:
        target: a file that is there is replaced.
        durable: wait until the content is on the disk: else a power cut after the renaming may
            leave an empty file under the final name.
    """
    part = partial_path(target)
    try:
        yield part
        if durable:
            sync(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """A text file that people write: UTF-8, or UTF-16 where a byte order mark says so, as the
    editors and shells of Windows save it. The mark is no part of the text.

    Raises:
        ValueError: it is no such text, or longer than any that is meant.
    """
    data = bytearray()
    with path.open("rb") as file:  # all at once would take room for the longest there may be
        while len(data) <= MOST_TEXT_BYTES and (block := file.read(_BLOCK_BYTES)):
            data += block
    if len(data) > MOST_TEXT_BYTES:
        raise ValueError(f"it is longer than {MOST_TEXT_BYTES >> 20} MiB")
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = data.decode("utf-16" if wide else "utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")  # as text files are opened


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: it is no JSON, or nested beyond all reason.
    """
    try:
        return json.loads(read_text(path))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def load_toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        ValueError: it is no TOML, is nested beyond all reason, or has a number with more digits
            than Python writes: of those in base 16, 8 or 2 it reads any.
    """
    import tomllib  # not at the top: --help is to answer at once

    try:
        found = tomllib.loads(read_text(path))
        repr(found)  # fails for such numbers here, where that is expected
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return found


def write_text(target: Path, text: str) -> None:
    """Write a text file in UTF-8.

    Args:
        target: a link is replaced, and what it leads to stays: nobody has named that. A device or
            a pipe cannot be replaced and is written to, and so is a stream (``/dev/stdout``),
            whatever it leads to.
        text: all of it. What UTF-8 cannot hold (in names of files that are not UTF-8) is written
            as JSON escapes it.
    """
    if target.exists() and (not target.is_file() or _is_stream(target)):
        target.write_text(text, encoding="utf-8", errors="backslashreplace")
        return
    with replacing(target) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")


def _is_stream(path: Path) -> bool:
    """Whether a name is the system's for what a process has opened: ``/dev/stdout``,
    ``/dev/fd/1``."""
    where = os.path.realpath(path.parent)
    return where == "/dev" or where.startswith("/proc/")


def frozen(path: Path) -> Path:
    """A path as another process finds it: absolute and without ``..``, but with the links of its
    mounts, which mean the same on other machines."""
    plain = Path(os.path.normpath(path.absolute()))
    try:
        same = plain.parent.samefile(path.parent)
    except OSError:
        same = False
    return plain if same else Path(os.path.realpath(path.parent)) / path.name


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
