"""Commands in children of a process that has everything imported, with the system against them.

`faults.c` is loaded before all else (`with_faults`), so that a child can make calls fail.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp

from vdenoise import cli

_LOADED = "VDENOISE_FAULTS_LOADED"
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status (minus the signal, 999 where it hung) and what it said
    last."""

    status: int
    said: str


@dataclass(frozen=True)
class Failing:
    """Calls that fail, from the ``first`` to the ``last`` of those that match.

    Attributes:
        calls: letters of `faults.c`.
        place: part of the path of the files.
        code: errno; 0 of calls that work.
        nap_seconds: before each.
    """

    calls: str
    place: str
    code: int = 0
    first: int = 0
    last: int = 0
    nap_seconds: float = 0.0

    def arm(self) -> None:
        """In this process, from now on."""
        _library().arm(
            self.calls.encode(),
            self.place.encode(),
            self.code,
            *map(ctypes.c_long, (self.first, self.last, round(self.nap_seconds * 1e6))),
        )


def with_faults(module: str) -> None:
    """Start this program again with `faults.c` loaded, if it is not."""
    if os.environ.pop(_LOADED, None):
        del os.environ["LD_PRELOAD"]  # what is started from here is left alone
        return
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # threads do not outlive a fork
    os.environ |= {_LOADED: "1", **preloaded(Path(mkdtemp())), **single}
    os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])


def preloaded(folder: Path) -> dict[str, str]:
    """The environment of a program that has `faults.c`, built in a folder."""
    library = folder / "faults.so"
    compiler = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", str(library)]
    source = Path(__file__).with_name("faults.c")
    subprocess.run([*compiler, str(source), "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def attempt(
    words: Sequence[str],
    folder: Path,
    *,
    before: Callable[[], object] = lambda: None,
    moment: float | None = None,
    then: Callable[[int], object] = lambda _: None,
) -> Ended:
    """Run a command in a child.

    Args:
        words: of the command line.
        folder: where it runs.
        before: is called in the child at last.
        moment: seconds after which ``then`` is called here, with the child's number.
        then: see there.
    """
    with TemporaryFile() as said:
        child = os.fork()
        if not child:
            _be(words, folder, said.fileno(), before)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        wait = moment
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            if wait is not None and time.monotonic() > deadline - _PATIENCE_SECONDS + wait:
                then(child)
                wait = None
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return Ended(999, "it hung")
            time.sleep(0.002)
        said.seek(0)
        lines = said.read().decode("utf-8", "replace").splitlines()
    return Ended(os.waitstatus_to_exitcode(status), (lines or [""])[-1])


def _be(words: Sequence[str], folder: Path, said: int, before: Callable[[], object]) -> None:
    """The child: never returns."""
    code = 1
    try:
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(said, 2)
        before()
        code = cli.status(list(words))
        sys.stderr.flush()
    finally:
        os._exit(code)


def within(more_mib: int) -> Callable[[], None]:
    """Limit a process's memory to what it has and so much more."""

    def limit() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + (more_mib << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    return limit


def jumping(first: int, seconds: int) -> Callable[[], None]:
    """Let the wall clock jump at one look at it."""
    return lambda: _library().jump(ctypes.c_long(first), ctypes.c_long(seconds))


def written_down(calls: str, place: str, log: Path) -> Callable[[], None]:
    """Write matching calls into a file, a line each: letter, path, new path."""

    def begin() -> None:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        _library().write_down(handle)
        Failing(calls, place, first=1 << 40).arm()

    return begin
