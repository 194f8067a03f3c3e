"""Settings of the whole process that make it faster, made before torch is loaded."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vdenoise.errors import UsageError
from vdenoise.machine.guard import end_with

# glibc, malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _PERTURB, _ARENA_MAX = -1, -2, -3, -6, -8
_MIB = 1 << 20


# Where schedulers say how many cores a task has (OpenCue, Slurm, Grid Engine, PBS).
_GRANTS = ("CUE_THREADS", "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "NSLOTS", "NCPUS")


def granted_threads() -> int | None:
    """Cores that a scheduler grants, no more than the affinity mask; None where none says.

    Without a word from one, libraries follow the mask by themselves.
    """
    for name in _GRANTS:
        text = os.environ.get(name, "")
        if text.isdecimal() and int(text) > 0:
            return min(int(text), len(os.sched_getaffinity(0)))
    return None


def keep_to_granted_gpus() -> None:
    """See the GPUs alone that OpenCue grants: it names them in ``CUE_GPU_CORES``, by their places
    on the bus, and hides none. Other schedulers hide them by ``CUDA_VISIBLE_DEVICES`` themselves.
    """
    granted = os.environ.get("CUE_GPU_CORES", "").replace(" ", "")
    if granted and "CUDA_VISIBLE_DEVICES" not in os.environ:
        os.environ["CUDA_VISIBLE_DEVICES"] = granted
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"


EXIT_VARIABLE = "VDENOISE_EXIT_AS"


def exit_codes() -> dict[int, int]:
    """What codes a farm wants instead of ours: ``VDENOISE_EXIT_AS=6=33,75=99``. Only this process
    ends with them: those that it starts tell it ours.

    Raises:
        UsageError: it is of another form.
    """
    text = os.environ.pop(EXIT_VARIABLE, "")
    found = {}
    for part in filter(None, text.replace(" ", "").split(",")):
        ours, _, theirs = part.partition("=")
        if not (ours.isdecimal() and theirs.isdecimal() and 0 < int(theirs) < 256):
            raise UsageError(
                f"{EXIT_VARIABLE}={text} does not say which exit codes are wanted.",
                f"For example: {EXIT_VARIABLE}=6=33,75=99",
                number=222,
            )
        found[int(ours)] = int(theirs)
    return found


_closed: set[int] = set()  # of 0, 1 and 2: those that whoever started us had closed


def fill_closed_streams() -> None:
    """Put nothing in the place of standard streams that are closed.

    Else the next file that is opened would get their number, and messages would go into it.
    """
    _closed.clear()
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        _closed.add(number)
    os.close(number)
    # Of these very numbers, and for good: one that is given back would soon be a file's.
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def is_closed(stream: int) -> bool:
    """Whether standard input (0), output (1) or error (2) was closed from the beginning."""
    return stream in _closed


PARENT_VARIABLE = "VDENOISE_PARENT"  # process id of a batch: its jobs end with it


def end_with_parent() -> None:
    """End, as after SIGTERM, when the batch that started this process is gone, even by SIGKILL.

    Only Linux can tell; elsewhere a job then goes on to its end, which harms nothing.
    """
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if parent.isdecimal():
        end_with(int(parent), signal.SIGTERM)


def python(module: str) -> tuple[str, ...]:
    """What starts a module in a process of its own. What lies in the current folder is not taken
    for a library there: clips may lie beside a ``queue.py``, or somebody may have put one there.
    Only where this program was itself found there it must be looked at.
    """
    try:
        found_here = Path.cwd() == Path(__file__).absolute().parents[2]
    except FileNotFoundError:
        found_here = False
    return (sys.executable, *(() if found_here else ("-P",)), "-m", module)


def prepare() -> None:
    """Let freed memory be used again at once, and let waiting threads sleep.

    A frame's temporaries are megabytes each; by default the C library hands them back to the
    system when they are freed and takes every page anew. And
    OpenMP's threads spin while they wait, which takes the cores from decoder and encoder.

    An environment that sets ``OMP_WAIT_POLICY`` or ``MALLOC_*`` itself is left as it is. Only
    glibc has these settings; elsewhere nothing happens.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if any(k.startswith("MALLOC_") for k in os.environ):
        return
    if (mallopt := _mallopt()) is not None:
        # A 1080p plane of float32 is kept, several together go back: at 32 and 512 MiB a run with
        # a network held 0.6 GB more and was no faster, at 4 MiB it was 14 % slower.
        mallopt(_MMAP_THRESHOLD, 8 * _MIB)
        mallopt(_TRIM_THRESHOLD, 64 * _MIB)
        mallopt(_TOP_PAD, 32 * _MIB)
        # One heap for all threads: with one each, what a worker freed lay idle while another took
        # more, 0.3 GB at 1080p. A frame is some hundred allocations, so nobody waits for the lock.
        mallopt(_ARENA_MAX, 1)


@contextmanager
def importing() -> Iterator[None]:
    """Import inside: Python does not look for garbage meanwhile, nor later in what was imported.

    All of that stays to the end, and looking through it again and again took a tenth of a start.
    """
    looked, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:  # else what is there may be anybody's
            gc.freeze()
            atexit.register(gc.unfreeze)  # else OpenImageIO says line by line that it leaks
        if looked:
            gc.enable()


def fill_memory(*, same: bool) -> None:
    """Let memory that this process is given from now on hold the ``same`` bytes every time, or not.

    For libraries whose results depend on memory that they never wrote. It costs that all memory is
    written to, also what nobody comes to use. Only glibc has that setting.
    """
    if (mallopt := _mallopt()) is not None:
        mallopt(_PERTURB, 0xFF if same else 0)


def _mallopt() -> Any:
    """The C library's function; None where it is not glibc's."""
    linux = sys.platform.startswith("linux")
    return getattr(ctypes.CDLL(None), "mallopt", None) if linux else None
