"""The command line: one file per command.

Torch, av and pydantic are imported inside commands only, so that ``--help`` answers at once.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, NoReturn, cast

import click

from vdenoise import __version__
from vdenoise.cli.adapt import adapt
from vdenoise.cli.analyze import analyze
from vdenoise.cli.batch import batch
from vdenoise.cli.compare import compare
from vdenoise.cli.doctor import doctor
from vdenoise.cli.evaluate import evaluate
from vdenoise.cli.farm import farm
from vdenoise.cli.models import models
from vdenoise.cli.options import from_variables
from vdenoise.cli.plan import plan
from vdenoise.cli.presets import presets
from vdenoise.cli.preview import preview
from vdenoise.cli.profile import profile
from vdenoise.cli.qc import qc
from vdenoise.cli.replay import replay, restore
from vdenoise.cli.run import run
from vdenoise.cli.signals import heard
from vdenoise.cli.stages import stages
from vdenoise.cli.switches import with_strengths
from vdenoise.cli.system_faults import of_system, problem_of_stdout
from vdenoise.cli.task import is_task, status_of_task, style_of
from vdenoise.cli.train import train
from vdenoise.cli.tune import tune
from vdenoise.cli.variables import take_strangers
from vdenoise.cli.verify import verify
from vdenoise.errors import (
    Interrupted,
    MemoryShort,
    UsageError,
    VdenoiseError,
    did_you_mean,
)
from vdenoise.machine import messages, process

if TYPE_CHECKING:
    from vdenoise.settings.choices import ProgressStyle


class _Group(click.Group):
    """A group that suggests a command for a mistyped one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            hint = f"Commands are {', '.join(self.commands)}."
            if Path(name).exists():
                hint = f"To denoise it: vdenoise run {shlex.quote(name)} -o OUTPUT"
            guess = did_you_mean(name, self.commands)
            raise UsageError(f"There is no command {name!r}.{guess}", hint, number=2)
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, invoke_without_command=True, context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="vdenoise", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Remove noise from video, and change nothing else.

    vdenoise run noisy.mp4 -o clean.mp4 measures the noise, removes it, checks the result against
    the source and only then gives it its name.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for command in (
    run,
    preview,
    tune,
    compare,
    verify,
    qc,
    replay,
    restore,
    batch,
    plan,
    farm,
    analyze,
    profile,
    presets,
    stages,
    models,
    evaluate,
    train,
    adapt,
    doctor,
):
    cli.add_command(command)


def main() -> NoReturn:
    """Entry point: runs the command and exits with its status."""
    process.fill_closed_streams()
    messages.keep_talking()
    process.end_with_parent()
    process.keep_to_granted_gpus()
    process.prepare()
    try:
        wanted = process.exit_codes()
    except UsageError as problem:
        _say(problem, problem.exit_code, as_json=style_of(sys.argv[1:]) == "json")
        sys.exit(problem.exit_code)
    args = sys.argv[1:]
    work = partial(status, args)
    code = status_of_task(args, work, _leave) if is_task(args) else work()
    _leave(wanted.get(code, code))


def _leave(code: int) -> NoReturn:
    """End this process with a status. All is written and said.

    The interpreter is not taken down: it would look through all that was imported, half a second
    of a run. And a library's thread that a signal found at work may still be there, under which
    that crashed once in some hundred times.
    """
    if code <= _SIGNALLED:
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        atexit._run_exitfuncs()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def status(args: Sequence[str]) -> int:
    """Run a command line; every way it can end gets its exit status and its last line."""
    as_json = style_of(args) == "json"
    try:
        return _end(args, partial(_say, as_json=as_json))
    except (MemoryError, OSError):  # not even for a sentence is there any, or a file handle
        os.write(2, _LAST_EVENT if as_json else _LAST_WORDS)
        return MemoryShort.exit_code


def _end(args: Sequence[str], say: Callable[..., None]) -> int:
    with contextlib.ExitStack() as signals:  # left when all is said
        try:
            signals.enter_context(heard())
            return _status(args)
        except BrokenPipeError:
            # Whoever read our output has gone: nothing more can be said, and none is an error.
            _discard_output()
            return 0
        except VdenoiseError as problem:
            return _told(problem, say)
        except click.exceptions.NoArgsIsHelpError as problem:
            click.echo(problem.format_message())
            return 0
        except click.ClickException as problem:
            say(_misused(problem), 2)
            return 2
        except Exception as problem:
            if isinstance(problem.__cause__, Interrupted):  # while a class was made, in Python 3.11
                return _told(problem.__cause__, say)
            known = of_system(problem)
            if known is None:
                say(problem)
                return 1
            if problem_of_stdout(problem):
                _discard_output()
            return _told(known, say)


def _told(problem: VdenoiseError, say: Callable[..., None]) -> int:
    """Say an error; the exit status that goes with it."""
    code = problem.status if isinstance(problem, Interrupted) else problem.exit_code
    say(problem, code)
    return code


def _say(problem: Exception, code: int = 1, *, as_json: bool) -> None:
    from vdenoise import ui  # rich takes a fifth of the time that --help has

    if isinstance(problem, VdenoiseError):
        ui.error(problem, code, as_json=as_json)
    else:
        ui.bug(problem, as_json=as_json)


def _discard_output() -> None:
    """Send what is still to be written to standard output nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _misused(problem: click.ClickException) -> UsageError:
    """What click found wrong, in our words."""
    context, message = getattr(problem, "ctx", None), problem.format_message()
    path = context.command_path if context is not None else "vdenoise"
    if message.startswith("Got unexpected extra arg") and path.endswith(_ONE_CLIP):
        return UsageError(
            f"{path} takes one clip and g{shorten(message[1:], 160, placeholder=' ...)')}.",
            "Images are one clip by their pattern, in quotes: 'plate.####.exr'. For many clips "
            "there is vdenoise batch.",
            number=1,
        )
    variables = "" if context is None else from_variables(context)
    return UsageError(message, f"See: {path} --help {variables}".strip(), number=1)


def _tell_of_strangers(args: Sequence[str]) -> None:
    """Warn of variables that nothing reads. A task of a plan reads none."""
    if is_task(args) or not (strangers := take_strangers(cli)):
        return
    from vdenoise import ui

    reporter = ui.Reporter(cast("ProgressStyle", style_of(args)))
    for text in strangers:
        reporter.warn(text)


def _status(args: Sequence[str]) -> int:
    _tell_of_strangers(args)
    # Without standalone mode click returns the code of `ctx.exit()`, such as --help's 0.
    try:
        code = cli.main(args=with_strengths(args), prog_name="vdenoise", standalone_mode=False)
    except SystemExit as left:  # so click ends where nobody reads any more, with 1, a bug's status
        if isinstance(left.__context__, BrokenPipeError):
            raise left.__context__ from None
        raise
    sys.stdout.flush()  # while it can still be said that this fails
    return code if isinstance(code, int) else 0


_ONE_CLIP = (" run", " analyze", " plan", " build")  # commands that take one
_LAST_WORDS = (
    b"vdenoise: error E0603 [exit 6] The memory is full, or no more files can be opened.\n"
)
_LAST_EVENT = b'{"v": 1, "event": "error", "code": "E0603", "exit": 6, "what": "", "hint": ""}\n'
_SIGNALLED = 128  # exit statuses above it are those of signals
