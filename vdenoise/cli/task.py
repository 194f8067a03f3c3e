"""The tasks of a farm under a parent that says what ended them, also where a library crashed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

from vdenoise.cli.options import variable
from vdenoise.errors import VdenoiseError
from vdenoise.machine import guard
from vdenoise.settings.choices import ProgressStyle

if TYPE_CHECKING:
    from vdenoise.settings.choices import ProgressStyle

_PROGRESS = "--progress"
_COMMANDS = (("run",), ("farm", "analyze"), ("farm", "assemble"))


def value_of(args: Sequence[str], option: str) -> str | None:
    """What a command line, however wrong it is, gives to an option; the last time counts."""
    found = None
    for word, after in pairwise((*args, "")):
        if word == option:
            found = after
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def style_of(args: Sequence[str]) -> str:
    """How a command line, however wrong it is, wants to be told of its progress."""
    typed = value_of(args, _PROGRESS)
    return os.environ.get(variable(_PROGRESS), "auto") if typed is None else typed


def is_task(args: Sequence[str]) -> bool:
    """Whether a command line does a share of a plan."""
    begins = any(tuple(args[: len(words)]) == words for words in _COMMANDS)
    return begins and value_of(args, "--plan") is not None and hasattr(os, "fork")


def status_of_task(
    args: Sequence[str], work: Callable[[], int], leave: Callable[[int], NoReturn]
) -> int:
    """The exit status of a task, whose work is done in a child that ``leave`` ends."""
    code = guard.in_child(work, leave)
    if -code in guard.HANDED_ON:  # twice, or before it could say anything
        return 128 - code
    fault = guard.fault_of(code, _clip_of(args))
    if fault is None:
        return code
    killed = code == -signal.SIGKILL
    _say(fault, 128 - code if killed else fault.exit_code, style_of(args))
    if killed:  # farms know what that means, and give more memory
        os.kill(os.getpid(), signal.SIGKILL)
    return fault.exit_code


def _say(fault: VdenoiseError, status: int, style: str) -> None:
    from vdenoise import ui  # rich takes a fifth of the time that --help has

    with contextlib.suppress(VdenoiseError), ui.Reporter(cast("ProgressStyle", style)):
        raise fault
    ui.error(fault, status, as_json=style == "json")


def _clip_of(args: Sequence[str]) -> str:
    """The clip of a task, by its command line or its plan."""
    if (source := value_of(args, "--source")) is not None:
        return source
    plan = value_of(args, "--plan") or ""
    try:
        return str(json.loads(Path(plan).read_text("utf-8"))["source"]["path"])
    except (OSError, ValueError, LookupError, TypeError):
        return f"the clip of {plan}"
