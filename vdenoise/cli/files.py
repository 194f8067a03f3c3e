"""Files that commands are given: each option says whether it reads or writes, and no command
starts that would write over what it reads, over another of its outputs or, without
``--overwrite``, over a file that is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from vdenoise.cli.help import HelpfulCommand
from vdenoise.cli.options import from_variables
from vdenoise.errors import DeviceError, InputError, OutputError, UsageError
from vdenoise.machine import process
from vdenoise.machine.claims import Claims

_CLAIMS = "vdenoise.claims"
_LIST = "@"  # of parts of a clip: `vdenoise.media.parts`


class Reads(click.Path):
    """A file, a folder or a pattern of images to read, or one of some words.

    Args:
        words: what means something other than a file, such as ``auto``.
    """

    def __init__(self, *words: str) -> None:
        super().__init__(path_type=Path, allow_dash=True)
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Make a path of it; a word stays a text, and of a list of parts comes what it lists.

        Raises:
            InputError: the list is not there, or lists nothing.
        """
        if value in self.words:
            return value
        if isinstance(value, str) and value.startswith(_LIST):
            value = _parts_in(value)
        return super().convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words that begin like that, else files."""
        words = [word for word in self.words if incomplete and word.startswith(incomplete)]
        found = [CompletionItem(word) for word in words]
        return found or super().shell_complete(ctx, param, incomplete)


def _parts_in(typed: str) -> str:
    """The parts that a list names as one; what was typed where it is no list."""
    from vdenoise.media.access import reading
    from vdenoise.media.parts import is_list, listed

    if not is_list(typed):
        return typed
    name = typed.removeprefix(_LIST)
    try:
        with reading(f"The list {name}"):
            return listed(Path(name))
    except ValueError as error:
        raise InputError(
            f"The list {name} names no parts.",
            "Write the name of one part on each line, as docs/long.md shows.",
            number=89,
        ) from error


class Writes(click.Path):
    """A file or a pattern of images to write.

    Args:
        later: another command writes it, and sees then whether it may replace what is there.
        stdout: ``-`` is standard output.
    """

    def __init__(self, *, later: bool = False, stdout: bool = False) -> None:
        super().__init__(path_type=Path, allow_dash=True)
        self.later, self.stdout = later, stdout

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Make a path of it.

        Raises:
            UsageError: it is ``-`` where nothing is written to standard output: a file of that
                name is hard to get rid of.
        """
        found = super().convert(value, param, ctx)
        if str(found) == "-" and not self.stdout:
            raise UsageError(
                f"{_called(param) if param else 'This'} takes no -: only a clean clip goes to "
                "standard output.",
                "Name a file.",
                number=230,
            )
        return found


class Folder(click.Path):
    """A folder for what a command writes: it claims the files in it itself."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)


READS, WRITES, WRITES_CLIP, WRITES_LATER, FOLDER = (
    Reads(),
    Writes(),
    Writes(stdout=True),
    Writes(later=True),
    Folder(),
)


class FileCommand(HelpfulCommand):
    """A command that claims every file it was given before it does anything."""

    def invoke(self, ctx: click.Context) -> Any:
        """Claim what was typed or set in the environment, then run."""
        # What is done already is left by --resume, and only its own work is replaced.
        may = bool(ctx.params.get("overwrite")) or (None if ctx.params.get("resume") else False)
        try:
            claim_typed(ctx, claims_of(ctx), overwrite=may)
            return super().invoke(ctx)
        except (UsageError, InputError, OutputError, DeviceError) as error:
            error.hint = f"{error.hint} {from_variables(ctx)}".strip()
            raise


class FileGroup(click.Group):
    """A group of such commands."""

    command_class = FileCommand


def claims_of(ctx: click.Context) -> Claims:
    """The claims of the command that is run."""
    found: Claims = ctx.meta.setdefault(_CLAIMS, Claims())
    return found


def share_claims(ctx: click.Context, claims: Claims) -> None:
    """Let a command have these claims: it is one of several that run beside each other."""
    ctx.meta[_CLAIMS] = claims


def claim_typed(
    ctx: click.Context, claims: Claims, *, overwrite: bool | None, of: str = ""
) -> None:
    """Claim the files that the options and arguments of a command name.

    Args:
        ctx: of the command.
        claims: what to add them to.
        overwrite: what exists may be replaced; None where that is seen elsewhere.
        of: what tells one of many commands with the same claims from the others, to people.

    Raises:
        UsageError: one would be written that is read or written as something else.
        OutputError: one exists and may not be replaced.
    """
    for parameter in ctx.command.params:
        kind, value = parameter.type, ctx.params.get(parameter.name or "")
        role = f"{_called(parameter)}{of}"
        for path in (path for path in _paths(value) if isinstance(kind, Reads | Writes)):
            if isinstance(kind, Writes):
                claims.write(path, role, overwrite=None if kind.later else overwrite)
            else:
                claim_clip(claims, path, role)


def claim_clip(claims: Claims, path: Path, role: str) -> None:
    """Claim what is read: a file, or every image of a pattern.

    Raises:
        UsageError: one of them is written.
    """
    with process.importing():  # this is where torch comes in
        from vdenoise.media.images.sequence import files_of

    for file in files_of(path):
        claims.read(file, role)


def _called(parameter: click.Parameter) -> str:
    """``the input``, ``--profile``."""
    argument = isinstance(parameter, click.Argument)
    return f"the {parameter.name}" if argument else max(parameter.opts, key=len)


def _paths(value: Any) -> Iterator[Path]:
    for each in value if isinstance(value, Sequence) and not isinstance(value, str) else (value,):
        if isinstance(each, Path):
            yield each
