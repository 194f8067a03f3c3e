"""``vdenoise batch``: many clips, one run each."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vdenoise.cli.batch_jobs import as_run, check_report
from vdenoise.cli.batch_report import check, end, ended, note, show, tell
from vdenoise.cli.chain import CHAIN_OPTIONS, chain_options
from vdenoise.cli.clip import clip_options, reading_options
from vdenoise.cli.files import FOLDER, FileCommand, claims_of
from vdenoise.cli.grain import References
from vdenoise.cli.option_text import retype
from vdenoise.cli.options import option, progress_option
from vdenoise.cli.system_faults import of_system
from vdenoise.errors import FileClash, InputError, Interrupted, OutputError
from vdenoise.settings.text import counted

if TYPE_CHECKING:
    from vdenoise.batch.jobs import ClipJob
    from vdenoise.batch.journal import Journal
    from vdenoise.batch.outcome import Outcome
    from vdenoise.batch.watch import Looks
    from vdenoise.machine.claims import Claims

WATCH_SECONDS = 5.0  # between two looks at a watched folder; a clip that changed meanwhile can wait
NOTHING_THERE = 17  # number of the error for folders without a clip
_OWN = ("sources", "output", "template", "jobs", "keep_going", "dry_run", "watch", "overwrite")
_OWN_TOO = ("threads", "progress", "settle", "trust_paths")


@click.command(
    cls=FileCommand,
    epilog="A list of jobs is a .toml file with a table [defaults] and tables [[job]]: input (a "
    "clip, a folder or a glob, from where the list lies), perhaps output, and options of run such "
    'as preset = "film-scan" or luma = 60.',
)
@click.argument("sources", nargs=-1, required=True, metavar="FOLDER|GLOB|FILE|JOBS.toml...")
@option(
    "-o",
    "--output",
    type=FOLDER,
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
@option(
    "--settle",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="With --watch: take a clip that has not changed for so long.  [default: 5; images, which "
    "come one by one, 20]",
)
@option("--overwrite", is_flag=True, help="Replace outputs that were made in another way.")
@option(
    "--trust-paths",
    is_flag=True,
    help="Let a list of jobs write outside of the output folder.",
)
@option(
    "--report",
    is_flag=True,
    help="Write a page beside each output, and one of all: vdenoise-batch.html.",
)
@option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
@progress_option
@click.pass_context
def batch(ctx: click.Context, /, **options: Any) -> None:
    """Remove the noise of many clips. What is done and intact is not done again."""
    from vdenoise import ui
    from vdenoise.batch.jobs import linked_folders
    from vdenoise.batch.journal import JOURNAL, Journal
    from vdenoise.batch.outcome import REPORT, save_report, see_report
    from vdenoise.batch.running import carry_out
    from vdenoise.batch.watch import Looks
    from vdenoise.media.access import make_folder
    from vdenoise.review.report.index import INDEX, write_index

    folder: Path = options["output"]
    typed = tuple(retype(ctx, (*_OWN, *_OWN_TOO)))
    keep_going = options["keep_going"] or options["watch"]
    started = time.monotonic()
    tried: dict[Path, Outcome] = {}  # by output: a watched folder shows them again
    looks = Looks(*_looks(options["settle"])) if options["watch"] else None
    with (
        ui.Reporter(options["progress"]) as reporter,
        References(reporter) as references,
        _told(tried),
    ):
        for link in linked_folders(options["sources"], folder):
            reporter.warn(f"{link} is a link to a folder and is passed over: name it to have it")
        if options["dry_run"]:
            found = _outcomes(options, typed, Journal.open(folder), claims_of(ctx), references)
            show(found)
            check(found, keep_going=keep_going)
            return
        while True:
            journal = Journal.open(folder)
            journal.see_own()
            see_report(folder)
            for file in (JOURNAL, REPORT, *((INDEX,) if options["report"] else ())):
                claims_of(ctx).write(folder / file, f"the batch's own {file}", overwrite=True)
            outcomes = _outcomes(options, typed, journal, claims_of(ctx), references, tried, looks)
            fresh = [o for o in outcomes if o.job.output not in tried]
            check(fresh, keep_going=keep_going)
            make_folder(folder)  # not before: what is refused leaves nothing
            tried |= {o.job.output: o for o in fresh}
            if any(o.state == "to do" for o in fresh) or not options["watch"]:
                note(fresh, reporter)
            try:
                carry_out(
                    fresh,
                    journal,
                    lambda job, event: tell(job, event, reporter),
                    lambda outcome: ended(outcome, reporter),
                    note=reporter.note,
                    at_once=options["jobs"],
                    threads=_threads(options["threads"], options["jobs"]),
                    keep_going=keep_going,
                )
            finally:
                save_report(folder, list(tried.values()), time.monotonic() - started)
                if options["report"]:
                    page = write_index(folder, list(tried.values()))
            if options["report"]:
                reporter.note(f"report: {page}")
            if not options["watch"]:
                break
            time.sleep(WATCH_SECONDS)
        end(list(tried.values()), folder, reporter, time.monotonic() - started)


def _outcomes(
    options: Mapping[str, Any],
    typed: Sequence[str],
    journal: Journal,
    claims: Claims,
    references: References,
    tried: dict[Path, Outcome] | None = None,
    looks: Looks | None = None,
) -> list[Outcome]:
    """How every job stands.

    Of a watched folder (``looks`` at it) those whose clip is complete; one that failed is forgotten
    when its clip changes. Options that a job does not accept are found here, before any work.
    """
    from vdenoise.batch.jobs import jobs_of

    try:
        jobs = jobs_of(
            options["sources"],
            options["output"],
            options["template"],
            typed,
            parameters=CHAIN_OPTIONS,
            trust_paths=options["trust_paths"],
        )
    except InputError as error:
        if looks is None or error.number != NOTHING_THERE:
            raise
        jobs = []  # nothing has come yet
    tried = {} if tried is None else tried
    found = []
    for job in jobs:
        if looks is not None and job.output in tried and looks.changed(job.source):
            looks.forget(tried.pop(job.output))
        if job.output in tried:
            found.append(tried[job.output])
        elif looks is None or looks.settled(job.source):
            again = looks is not None and job.output in looks.again
            found.append(
                _outcome(
                    job,
                    claims,
                    references,
                    ours=str(job.output) in journal.unfinished,
                    overwrite=options["overwrite"] or again,
                )
            )
    for outcome in (one for one in found if one.state == "to do"):
        of = f" of {outcome.job.name}"
        clash = next((c for role, c in claims.refused.items() if role.endswith(of)), None)
        if clash is not None:  # it would write what a later job reads
            outcome.state, outcome.why, outcome.code = "conflict", clash.what, clash.code
            outcome.hint = clash.hint
    return found


def _outcome(
    job: ClipJob,
    claims: Claims,
    references: References,
    *,
    ours: bool,
    overwrite: bool,
) -> Outcome:
    """How a job stands.

    Raises:
        UsageError: it does not accept one of its options.
    """
    from vdenoise.batch.outcome import Outcome, state_of

    if job.fault:
        return Outcome(job, "failed", job.fault, "E0384", hint="Correct the list of jobs.")
    try:
        job, wanted = as_run(job, claims, references, overwrite=overwrite)
        found = state_of(job, wanted, ours=ours, overwrite=overwrite)
        if found.state == "to do" and "--report" in job.options and not overwrite:
            check_report(job)
        return found
    except (FileClash, OutputError) as clash:
        return Outcome(job, "conflict", clash.what, clash.code, hint=clash.hint)
    except InputError as error:
        return Outcome(job, "failed", error.what, error.code, hint=error.hint)
    except OSError as problem:  # such as a name that its output cannot have
        known = of_system(problem)
        if known is None:
            raise
        return Outcome(job, "failed", known.what, known.code, hint=known.hint)


def _looks(settle: float | None) -> tuple[int, int]:
    """Looks in a row at which a movie, and images, must be the same."""
    seconds = (5.0, 20.0) if settle is None else (settle, settle)
    movie, images = (max(1, math.ceil(each / WATCH_SECONDS)) for each in seconds)
    return movie, images


@contextlib.contextmanager
def _told(tried: Mapping[Path, Outcome]) -> Iterator[None]:
    """Say what a batch that is stopped has done."""
    try:
        yield
    except Interrupted as stop:
        done = [outcome.state for outcome in tried.values()].count("done")
        raise Interrupted(
            f"Stopped: {counted(done, 'clip')} done, and kept.",
            "Run the same command again to go on.",
            signal_number=stop.signal_number,
        ) from stop


def _threads(given: int | None, jobs: int) -> int:
    from vdenoise.machine.process import granted_threads

    cores = given or granted_threads() or len(os.sched_getaffinity(0))
    return max(1, cores // jobs)
