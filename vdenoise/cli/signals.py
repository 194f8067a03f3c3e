"""What a command does when it is asked to end: it goes the way of an error."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from vdenoise.errors import Interrupted
from vdenoise.machine.guard import HANDED_ON, REPEATED

_ENDED_BY = {
    "SIGINT": "Interrupted",
    "SIGUSR1": "Terminated by SIGUSR1",
    "SIGUSR2": "Terminated by SIGUSR2",
    "SIGXCPU": "Out of the processor time that was granted",
}
_ONE_REQUEST_SECONDS = 0.5
_SOON_SECONDS = 0.001


@contextmanager
def heard() -> Iterator[None]:
    """Let what asks to end raise `Interrupted` inside. Under nohup the terminal's end is to be
    passed over: what is ignored stays so."""
    numbers = [n for n in HANDED_ON if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in numbers}
    dropped = sys.unraisablehook
    try:
        sys.unraisablehook = _again_if_dropped
        for number in numbers:  # in here: one may be on its way
            signal.signal(number, _interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = dropped


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    """End the command the way an error does: threads join, temporary files go.

    A second signal while that happens ends the program on the spot; but not at once: where a
    scheduler signals all processes of a task and one of them hands it on, that is one request.
    """
    begun = time.monotonic()

    def again(number: int, _frame: FrameType | None) -> None:
        if number not in REPEATED and time.monotonic() - begun > _ONE_REQUEST_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for each in HANDED_ON:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, again)
    word = _ENDED_BY.get(signal.Signals(number).name, "Terminated")
    raise Interrupted(
        f"{word}: nothing was written under the final name.",
        "Run the same command again to start over.",
        signal_number=number,
    )


def _again_if_dropped(told: Any) -> None:
    """Python drops what is raised where nobody can catch it, as in what it calls when an object
    goes, which it does with every module it loads. A request to end is made again then."""
    lost = told.exc_value
    if not isinstance(lost, Interrupted) or not hasattr(signal, "setitimer"):
        sys.__unraisablehook__(told)
        return

    def once_more(_number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        raise lost

    signal.signal(signal.SIGALRM, once_more)
    signal.setitimer(signal.ITIMER_REAL, _SOON_SECONDS)
