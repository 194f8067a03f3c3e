"""What options of all commands share: environment variables, progress, threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click
from click.core import ParameterSource

from vdenoise.machine import process
from vdenoise.settings.choices import ProgressStyle

Command = TypeVar("Command", bound=Callable[..., Any])

ENVIRONMENT = "VDENOISE_"


def variable(option: str) -> str:
    """The environment variable of an option: ``VDENOISE_TEMPORAL_RADIUS``."""
    return ENVIRONMENT + option.lstrip("-").replace("-", "_").upper()


def option(*names: str, **attributes: Any) -> Callable[[Command], Command]:
    """A click option that is an environment variable too."""
    long = next(name for name in names if name.startswith("--"))
    return click.option(*names, envvar=variable(long.partition("/")[0]), **attributes)


def from_variables(ctx: click.Context) -> str:
    """A sentence on what a command was told by variables, which nobody sees who reads its command
    line; empty for nothing."""
    names = [
        parameter.envvar
        for parameter in ctx.command.params
        if ctx.get_parameter_source(parameter.name or "") is ParameterSource.ENVIRONMENT
    ]
    return f"Set in the environment: {', '.join(map(str, names))}." if names else ""


def words_of(choice: Any) -> click.Choice[str]:
    """Accept the words of a ``Literal``, as `vdenoise.settings.choices` has them."""
    return click.Choice(get_args(choice))


def progress_option(command: Command) -> Command:
    """Add ``--progress``."""
    return option(
        "--progress",
        type=words_of(ProgressStyle),
        default="auto",
        show_default=True,
        help="A bar, plain lines, one JSON object a line, Open Job Description's lines, or "
        "nothing; on stderr.",
    )(command)


def fps_option(command: Command) -> Command:
    """Add ``--fps``."""
    return option(
        "--fps",
        type=click.FloatRange(min=0, min_open=True, max=1000),
        help="Frames per second of a sequence of images.  [default: what they say, else 24]",
    )(command)


def threads_option(command: Command) -> Command:
    """Add ``--threads``, for `set_threads`."""
    return option(
        "--threads",
        type=click.IntRange(1, 1024),  # of more, libraries crash
        help="Threads for decoding and computing.  [default: one per core granted]",
    )(command)


def device_option(command: Command) -> Command:
    """Add ``--device``."""
    return option(
        "--device",
        default="auto",
        show_default=True,
        metavar="auto|cpu|cuda:N",
        help="Where to compute.",
    )(command)


def set_threads(threads: int | None) -> int | None:
    """Limit torch as decoding is limited: to what was typed, else to what a scheduler grants
    (OpenCV is kept on one thread). Returns the number, None for no limit."""
    threads = threads or process.granted_threads()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    return threads
