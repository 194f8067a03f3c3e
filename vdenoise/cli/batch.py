"""``vdenoise batch``: many clips, one run each."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vdenoise.cli.chain import chain_from, chain_options
from vdenoise.cli.clip import clip_options, reading_options
from vdenoise.cli.options import option, progress_option
from vdenoise.cli.run import run
from vdenoise.errors import BatchError, ConflictError, Interrupted, VdenoiseError

if TYPE_CHECKING:
    from vdenoise.batch.jobs import Job
    from vdenoise.batch.outcome import Outcome
    from vdenoise.ui import Reporter

WATCH_SECONDS = 5.0  # between two looks at a watched folder; a clip that changed meanwhile can wait
Look = tuple[int, int, int]  # files of a clip, their bytes, when the newest was changed
_OWN = ("sources", "output", "template", "jobs", "keep_going", "dry_run", "watch", "overwrite")
_OWN_TOO = ("threads", "progress")


@click.command(
    epilog="A list of jobs is a .toml file with a table [defaults] and tables [[job]]: input, "
    'perhaps output, and options of run such as preset = "film-scan" or luma = 60.'
)
@click.argument("sources", nargs=-1, required=True, metavar="FOLDER|GLOB|FILE|JOBS.toml...")
@option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="Where the clean clips go; folders are mirrored.",
)
@option(
    "--template",
    default="{stem}_dn.{ext}",
    show_default=True,
    help="Name of an output: {stem}, {ext} and {preset}.",
)
@option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Clips at the same time; they share the cores.",
)
@chain_options
@clip_options
@reading_options
@option("--keep-going", is_flag=True, help="Go on with the other clips when one fails.")
@option("--watch", is_flag=True, help="Wait for more clips until interrupted.")
@option("--overwrite", is_flag=True, help="Replace outputs that were made in another way.")
@option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
@progress_option
@click.pass_context
def batch(ctx: click.Context, /, **options: Any) -> None:
    """Remove the noise of many clips. What is done and intact is not done again."""
    from vdenoise import ui
    from vdenoise.batch.journal import Journal
    from vdenoise.batch.outcome import save_report
    from vdenoise.batch.running import carry_out

    folder: Path = options["output"]
    typed = tuple(_typed(ctx))
    started = time.monotonic()
    tried: dict[Path, Outcome] = {}  # by output: a watched folder shows them again
    looks: dict[Path, Look] = {}
    with ui.Reporter(options["progress"]) as reporter, _told(tried):
        if options["dry_run"]:
            _show(_outcomes(options, typed, Journal.open(folder)))
            return
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            journal = Journal.open(folder)
            outcomes = _outcomes(options, typed, journal, tried, looks)
            fresh = [o for o in outcomes if o.job.output not in tried]
            _check(fresh, options)
            tried |= {o.job.output: o for o in fresh}
            if any(o.state == "to do" for o in fresh) or not options["watch"]:
                _note(fresh, reporter)
            try:
                carry_out(
                    fresh,
                    journal,
                    lambda job, event: _tell(job, event, reporter),
                    lambda outcome: _finished(outcome, reporter),
                    at_once=options["jobs"],
                    threads=_threads(options["threads"], options["jobs"]),
                    keep_going=options["keep_going"] or options["watch"],
                )
            finally:
                save_report(folder, list(tried.values()), time.monotonic() - started)
            if not options["watch"]:
                break
            time.sleep(WATCH_SECONDS)
        _end(list(tried.values()), folder, reporter, time.monotonic() - started)


def _outcomes(
    options: Mapping[str, Any],
    typed: Sequence[str],
    journal: Any,
    known: Mapping[Path, Outcome] | None = None,
    looks: dict[Path, Look] | None = None,
) -> list[Outcome]:
    """How every job stands; of a watched folder (``looks`` at it) those whose clip is complete.

    Options that a job does not accept are found here, before any work.
    """
    from vdenoise import __version__
    from vdenoise.batch.jobs import jobs_of
    from vdenoise.batch.outcome import state_of
    from vdenoise.errors import InputError

    try:
        jobs = jobs_of(options["sources"], options["output"], options["template"], typed)
    except InputError:
        if looks is None or not options["watch"]:
            raise
        jobs = []  # nothing has come yet
    known = known or {}
    if options["watch"] and looks is not None:
        jobs = [job for job in jobs if job.output in known or _settled(job.source, looks)]
    found = []
    for job in jobs:
        if job.output in known:
            found.append(known[job.output])
            continue
        context = run.make_context("run", list(job.arguments))
        ours = options["overwrite"] or str(job.output) in journal.begun
        found.append(
            state_of(
                job,
                chain_from(context).parameters(),
                __version__,
                ours=ours,
                overwrite=options["overwrite"],
            )
        )
    return found


def _settled(source: Path, looks: dict[Path, Look]) -> bool:
    """Whether a clip is as it was at the last look: nobody writes to it. The clock of the machine
    that holds it may be another one, so times are compared with each other only."""
    from vdenoise.media.sequence import find

    files = [source]
    if not source.exists():  # a pattern
        found = find(source, "skip")
        files = [found.path(number) for number in found.numbers]
    states = [path.stat() for path in files]
    look = len(files), sum(s.st_size for s in states), max(s.st_mtime_ns for s in states)
    before, looks[source] = looks.get(source), look
    return look == before


@contextlib.contextmanager
def _told(tried: Mapping[Path, Outcome]) -> Iterator[None]:
    """Say what a batch that is stopped has done."""
    try:
        yield
    except Interrupted as stop:
        done = [outcome.state for outcome in tried.values()].count("done")
        raise Interrupted(
            f"Stopped: {done} clips are done and stay.",
            "Run the same command again to go on.",
            signal_number=stop.signal_number,
        ) from stop


def _typed(ctx: click.Context) -> Iterator[str]:
    """The options given here that every run gets, in their order of declaration."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        own = name in _OWN or name in _OWN_TOO
        if own or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
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


def _threads(given: int | None, jobs: int) -> int:
    from vdenoise.process import granted_threads

    cores = given or granted_threads() or len(os.sched_getaffinity(0))
    return max(1, cores // jobs)


def _check(outcomes: Sequence[Outcome], options: Mapping[str, Any]) -> None:
    """Stop before any work where an output would be lost, unless told to keep going."""
    conflicts = [o for o in outcomes if o.state == "conflict"]
    if not conflicts or options["keep_going"] or options["watch"]:
        return
    more = f" ({len(conflicts) - 1} more like it)" if len(conflicts) > 1 else ""
    raise ConflictError(
        f"{conflicts[0].why}{more}.",
        "Say --overwrite to make it again, --keep-going to leave it, or choose another folder.",
        number=11,
    )


def _note(outcomes: Sequence[Outcome], reporter: Reporter) -> None:
    states = [o.state for o in outcomes]
    done, conflicts = states.count("done"), states.count("conflict")
    text = f"batch: {len(outcomes)} clips"
    if done:
        text += f", {done} done already"
    if conflicts:
        text += f", {conflicts} left alone"
    reporter.note(text)
    for outcome in outcomes:
        if outcome.state == "conflict":
            reporter.warn(f"{outcome.why}; left alone")


def _tell(job: Job, event: Mapping[str, Any], reporter: Reporter) -> None:
    """Hand an event of a job on to programs; people see only warnings."""
    values = {key: value for key, value in event.items() if key not in ("v", "ts", "event")}
    if event.get("event") == "warning" and reporter.style != "json":
        reporter.warn(f"{job.name}: {event.get('text', '')}")
    else:
        reporter.event(str(event.get("event", "note")), job=job.name, **values)


def _finished(outcome: Outcome, reporter: Reporter) -> None:
    job = outcome.job
    if outcome.state == "failed":
        reporter.event("failed", job=job.name, code=outcome.code, text=outcome.why)
        if reporter.style != "json":
            reporter.warn(f"{job.name}: {outcome.code} {outcome.why}")
        return
    reporter.event("finished", job=job.name, output=str(job.output), frames=outcome.frames)
    if reporter.style != "json":
        reporter.note(
            f"{job.name} > {job.output}: {outcome.frames} frames, {outcome.seconds:.1f} s"
        )


def _end(outcomes: Sequence[Outcome], folder: Path, reporter: Reporter, seconds: float) -> None:
    """The last words, and the exit code.

    Raises:
        BatchError: some jobs failed or were left alone.
    """
    from vdenoise.batch.outcome import REPORT

    states = [o.state for o in outcomes]
    good = states.count("done")
    if good == len(states):
        reporter.finish(f"{folder}: {good} clips done, {seconds:.1f} s", jobs=good)
        return
    bad = [o for o in outcomes if o.state in ("failed", "conflict")]
    rest = states.count("waiting")
    text = f"{len(bad)} of {len(states)} clips failed or were left alone"
    text += f", {rest} were not begun" if rest else ""
    raise BatchError(
        f"{text}: {bad[0].job.name}: {bad[0].code} {bad[0].why}.".replace(":  ", ": "),
        f"See {folder / REPORT}; run the same command again for what is missing"
        + ("." if rest == 0 else ", with --keep-going to pass failures over."),
    )


def _show(outcomes: Sequence[Outcome]) -> None:
    """The table of a dry run.

    Raises:
        ConflictError: an output would be lost.
    """
    from vdenoise import ui

    ui.table(
        "",
        ("input", "output", "state"),
        [(o.job.name, str(o.job.output), o.why or o.state) for o in outcomes],
    )
    problems: list[VdenoiseError] = [
        ConflictError(f"{o.why}.", "Say --overwrite or --keep-going.", number=11)
        for o in outcomes
        if o.state == "conflict"
    ]
    if problems:
        raise problems[0]
