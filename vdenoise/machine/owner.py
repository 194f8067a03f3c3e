"""Whose an unfinished file or a temporary folder is: its name says so, and what a process that was
killed left behind is removed by the next one."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import zlib
from functools import cache
from pathlib import Path

_MARK = re.compile(r"(\d+)\.([0-9a-f]{8})[0-9a-f]{6}")
_FOLDER = re.compile(r"vdenoise-(\d+\.[0-9a-f]+)-\w+")


def mark() -> str:
    """Make what a name says that it is this process's by, never the same twice: ``PID.HEX``."""
    return f"{os.getpid()}.{_here()}{os.urandom(3).hex()}"


def is_orphaned(found: str) -> bool:
    """Whether the process of a mark has ended. Of other machines that is not known: then not."""
    parts = _MARK.fullmatch(found)
    if parts is None or parts[2] != _here():
        return False
    try:
        os.kill(int(parts[1]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def temporary_prefix() -> str:
    """What the name of a temporary folder of this process begins with. Those that were left by
    killed processes of the same user go: a pipe's is as large as its clip."""
    import shutil  # these two and the one below not at the top: --help is to answer at once
    import tempfile

    with contextlib.suppress(OSError):
        for path in Path(tempfile.gettempdir()).glob("vdenoise-*"):
            name = _FOLDER.fullmatch(path.name)
            if name is not None and is_orphaned(name[1]) and _is_my_folder(path):
                shutil.rmtree(path, ignore_errors=True)
    return f"vdenoise-{mark()}-"


def _is_my_folder(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


@cache
def _here() -> str:
    """Name this machine since it was started, and whose numbers of processes these are: of two
    containers that share a disk neither knows those of the other."""
    import socket

    told = [socket.gethostname()]
    with contextlib.suppress(OSError):
        told.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        told.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return f"{zlib.crc32(' '.join(told).encode(errors='backslashreplace')):08x}"
