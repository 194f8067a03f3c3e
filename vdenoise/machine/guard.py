"""Work in a child of this process, which outlives it: where a library ends the process, somebody is
left to say so."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from vdenoise.errors import InputError, MemoryShort, VdenoiseError

# What asks a process to end: people, systems and terminals (2, 15, 1), and farms before they kill:
# Grid Engine sends USR1 and USR2 (-notify, s_rt), LSF USR2 at its limit of time, Slurm what it was
# told to; a limit of processor time is XCPU, once a second until the last.
HANDED_ON = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if name in signal.Signals.__members__
)
# What comes again and again, though nobody asks a second time.
REPEATED = tuple(number for number in HANDED_ON if number.name == "SIGXCPU")
_SET_DEATH_SIGNAL = 1  # Linux, prctl.h
# What glibc's loader ends a process with where a thread finds no memory for a library's variables:
# there it cannot fail, and no exception comes of it. No command of ours ends so.
_NO_MEMORY_FOR_THREAD = 127


def end_with(parent: int, number: signal.Signals) -> None:
    """Let this process get a signal when the parent is gone, even by SIGKILL.

    Only Linux can tell; elsewhere nothing happens.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, number)
        if os.getppid() != parent:  # it went before that was said
            os.kill(os.getpid(), number)


def in_child(work: Callable[[], int], leave: Callable[[int], NoReturn]) -> int:
    """Do work in a child of this process and wait for it.

    Signals that ask to end are handed on, and the child ends with this process.

    Args:
        work: gives an exit status.
        leave: ends the child with it.

    Returns:
        The exit status, or minus the signal that ended the child.
    """
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDED_ON)  # until somebody handles them
    child = os.fork()
    if not child:
        end_with(parent, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        leave(work())

    def hand_on(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in HANDED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, hand_on)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fault_of(code: int, clip: str) -> VdenoiseError | None:
    """Why a process ended that could say nothing itself; None where it could.

    Args:
        code: its exit status, or minus the signal that ended it.
        clip: what it read.
    """
    if code == _NO_MEMORY_FOR_THREAD:
        return MemoryShort(
            f"The memory was full while {clip} was being worked on.",
            "Give each task more of it, or run fewer at once.",
            number=5,
        )
    if code >= 0:
        return None
    if code == -signal.SIGKILL:
        return MemoryShort(
            f"{clip} was being worked on when its process was ended from outside (signal 9).",
            "Perhaps memory ran out: give each task more of it, or run fewer at once.",
            number=4,
        )
    return InputError(
        f"reading or writing {clip} ended its process (signal {-code})",
        "The file may be damaged: run it alone to see, or leave it out.",
        number=85,
    )
