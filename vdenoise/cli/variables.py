"""Variables of the environment that look like ours and are not."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator

import click

from vdenoise.cli.options import ENVIRONMENT

# Read elsewhere than by an option.
_OTHERS = ("PATH_MAP", "EXIT_AS", "PARENT", "PRESETS", "COMPILED", "TORCH_PATHS")
_OF_TESTS = ("REQUIRE_CUDA", "SLURM", "BENCH_VAPOURSYNTH")  # and of benchmarks
# What modules of an environment call where a program is, and containers a service of its name.
_PLACES = ("ROOT", "HOME", "DIR", "PATH", "BASE", "PREFIX", "BIN", "VERSION", "PORT")
_OF_SERVICES = ("SERVICE_", "PORT_")


def take_strangers(root: click.Group) -> list[str]:
    """A sentence on each variable that somebody has set for us and nothing reads, most likely
    because it is mistyped. They are taken out of the environment: what is started from here has
    no need to say it again.

    Args:
        root: the group of all commands.
    """
    names = sorted(name for name in os.environ if name.startswith(ENVIRONMENT))
    if not names:  # as most starts are: options need not be gone through
        return []
    known = {*_OTHERS, *_OF_TESTS, *(name.removeprefix(ENVIRONMENT) for name in _read_by(root))}
    found = []
    for name in names:
        ours = name.removeprefix(ENVIRONMENT)
        if ours not in known and ours not in _PLACES and not ours.startswith(_OF_SERVICES):
            del os.environ[name]
            close = difflib.get_close_matches(ours, known, n=1)
            guess = f" Did you mean {ENVIRONMENT}{close[0]}?" if close else ""
            found.append(f"{name} is set in the environment, and nothing reads it.{guess}")
    return found


def _read_by(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter.envvar, str):
            yield parameter.envvar
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _read_by(each)
