"""The options a command was given, as words for another command."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import click
from click.core import ParameterSource


def retype(ctx: click.Context, leave_out: Collection[str]) -> Iterator[str]:
    """What stood on the command line, in the order of declaration.

    Args:
        ctx: of the command.
        leave_out: names of parameters that the other command does not get.
    """
    for parameter in ctx.command.params:
        name = parameter.name or ""
        typed = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if name in leave_out or not typed:
            continue
        assert isinstance(parameter, click.Option)
        flag, value = max(parameter.opts, key=len), ctx.params[name]
        if parameter.is_flag:
            yield flag
        elif parameter.multiple:
            for each in value:
                yield from (flag, str(each))
        elif isinstance(value, tuple):
            yield from (flag, ",".join(map(_part, value)))
        else:
            yield from (flag, str(value))


def _part(value: Any) -> str:
    """A number, or a (first, last, step) of ``--frames``."""
    if not isinstance(value, tuple):
        return f"{value:g}"
    first, last, step = value
    return f"{first}-{last}x{step}"
