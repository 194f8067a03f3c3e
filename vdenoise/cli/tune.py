"""``vdenoise tune``: a page on this machine for tuning a denoiser by eye."""

from __future__ import annotations

import signal
import threading
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vdenoise.cli.chain import CHAIN_OPTIONS, DOES, TYPED, chain_options, chain_request, preset_name
from vdenoise.cli.clip import knowledge_options, reading_options, sample_options
from vdenoise.cli.files import READS, WRITES, FileCommand
from vdenoise.cli.help import FIRST, GROUPS
from vdenoise.cli.options import device_option, option, progress_option, set_threads
from vdenoise.cli.request import knowledge_from, reading_from
from vdenoise.errors import DeviceError, Interrupted, UsageError

if TYPE_CHECKING:
    from vdenoise.review.tune.controls import Entry
    from vdenoise.review.tune.session import Session
    from vdenoise.review.tune.settings import Base
    from vdenoise.ui import Reporter

_PACKAGES = ("starlette", "uvicorn")
# Beside those that help shows first: what people turn when a picture swims, smears or is too soft.
_FIRST = FIRST | {"--sigma-scale", "--temporal-radius", "--motion-threshold", "--detail"}
# Options that the page knows by another way, or that no run has.
_NOT_PASSED = {
    *("input", "output", "preset", "speed", "gauge", "grain", "assignments", "port"),
    *("no_browser", "progress", *(name.lstrip("-").replace("-", "_") for name in CHAIN_OPTIONS)),
}


@click.command(
    cls=FileCommand,
    epilog="All options are where the page begins; what is turned on it goes on top. The page is "
    "for this machine alone: see docs/tune.md.",
)
@click.argument("input", type=READS)
@option(
    "-o",
    "--output",
    type=WRITES,
    metavar="FILE",
    help="Where 'Render now' writes.  [default: INPUT's name with _dn, in this folder]",
)
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="NUMBER",
    help="Where the page is served on 127.0.0.1.  [default: any that is free]",
)
@option("--no-browser", is_flag=True, help="Say the address, and open no browser.")
@chain_options
@knowledge_options
@sample_options
@device_option
@reading_options
@option("--overwrite", is_flag=True, help="'Render now' replaces its output if it exists.")
@progress_option
@click.pass_context
def tune(ctx: click.Context, /, **options: Any) -> None:
    """Open a page for tuning INPUT by eye: dials, before and after, the command to type."""
    from vdenoise import ui

    _check_packages()
    from vdenoise.review.tune.server import Server, listening

    with ui.Reporter(options["progress"]) as reporter, listening(options["port"]) as door:
        session = session_of(ctx, reporter)
        with Server(session, door, ui.bug) as server:
            ui.result(server.address)
            if not options["no_browser"] and not _open_browser(server.address):
                reporter.warn("no browser could be opened: open the address above in one")
            reporter.note("Ctrl-C ends it")
            _wait(server.rendering.is_running, reporter)


def session_of(ctx: click.Context, reporter: Reporter) -> Session:
    """The clip that was named, looked at and ready to be shown.

    Raises:
        UsageError: something that was said cannot be done.
        InputError: the clip cannot be read.
    """
    from vdenoise.review.tune.session import Session

    if str(ctx.params["input"]) == "-":
        raise UsageError(
            "vdenoise tune reads its clip again and again, and standard input can be read once.",
            "Name a file.",
            number=205,
        )
    base = _base(ctx, set_threads(ctx.params["threads"]))
    info = base.request.reading.probe(reporter.read, quick=True)
    for warning in info.warnings:
        reporter.warn(warning)
    return Session(base, info, lambda: _output(ctx.params), reporter)


def _check_packages() -> None:
    import importlib.util

    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise DeviceError(
            f"vdenoise tune serves its page with {' and '.join(missing)}, not installed here.",
            "Install it with: pip install 'vdenoise[tune]'",
            number=20,
        )


def _base(ctx: click.Context, threads: int | None) -> Base:
    """What was typed, as for a run that keeps the source's format."""
    from vdenoise.review.tune.controls import controls
    from vdenoise.review.tune.settings import begin
    from vdenoise.workflows.request import ClipRequest

    said = ctx.params
    request = ClipRequest(
        reading_from(ctx, threads),
        chain_request(ctx),
        _output(said),
        known=knowledge_from(ctx),
        codec=said["codec"],
        crf=said["crf"],
        bit_depth=said["bit_depth"],
        dither=said["dither"],
        seed=said["seed"],
        device=said["device"],
        overwrite=said["overwrite"],
    )
    return begin(request, preset_name(ctx), controls(entries()), _words(ctx), TYPED)


def entries() -> list[Entry]:
    """Options of the chain in the order and under the titles that help has for them."""
    from vdenoise.review.tune.controls import Entry

    return [
        Entry(
            name,
            CHAIN_OPTIONS[name],
            title,
            first=name in _FIRST,
            does=DOES.get(CHAIN_OPTIONS[name], ""),
        )
        for title, names in GROUPS.items()
        for name in names.split()
        if name in CHAIN_OPTIONS
    ]


def _words(ctx: click.Context) -> tuple[str, ...]:
    """What was typed beside the chain, for a run: as it was typed."""
    words: list[str] = []
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name in _NOT_PASSED or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value, long = ctx.params[name], max(parameter.opts, key=len)
        if value is True:
            words.append(long)
            continue
        if parameter.multiple:
            words += [word for one in value for word in (long, str(one))]
        elif isinstance(value, tuple):
            words += [long, ",".join(f"{number:g}" for number in value)]
        else:
            words += [long, str(value)]
    return tuple(words)


def _output(options: dict[str, Any]) -> Path:
    """Where a run of the page goes: as typed, else a name that is free."""
    from vdenoise.media.images.sequence import files_of
    from vdenoise.media.output_names import split_name

    if options["output"] is not None:
        typed: Path = options["output"]
        return typed
    stem, hole, ext = split_name(options["input"])
    end = f".{hole}.{ext}" if hole else f".{ext}"
    names = (Path(f"{stem}_dn{'' if n == 1 else f'-{n}'}{end}") for n in count(1))
    return next(name for name in names if not any(file.exists() for file in files_of(name)))


def _open_browser(address: str) -> bool:
    """Show the page; False where there is no browser, or only one that would take the terminal for
    itself and knows no script (lynx, w3m)."""
    import webbrowser

    try:
        found = webbrowser.get()
        return type(found) is not webbrowser.GenericBrowser and found.open(address)
    except webbrowser.Error:
        return False


def _wait(is_running: Any, reporter: Reporter) -> None:
    """Until Ctrl-C, which is how a page ends that renders nothing; else it interrupts a run.

    Raises:
        Interrupted: a run is under way, or it is another signal.
    """
    try:
        threading.Event().wait()
    except Interrupted as signalled:
        if signalled.signal_number != signal.SIGINT or is_running():
            raise
        reporter.finish("ended")
