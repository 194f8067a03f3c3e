"""``vdenoise run --plan``: a share of a plan, the way a farm's task does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vdenoise.cli.files import claims_of
from vdenoise.cli.options import set_threads
from vdenoise.cli.plan_jobs import (
    Command,
    claim_segments,
    claim_sources,
    job_options,
    of_plan,
    open_from,
    plan_option,
)
from vdenoise.errors import Interrupted, UsageError
from vdenoise.settings.text import counted

if TYPE_CHECKING:
    from vdenoise.farm.job import Job
    from vdenoise.ui import Reporter

PLAN_LINES = 10_000  # of progress, over all tasks of a plan

# With a plan nothing else is read: all that could change a pixel is in it.
_WITH_PLAN = {
    *("plan", "segments", "resume", "overwrite", "source", "work", "output"),
    *("path_map", "map_rules", "allow_version_skew", "device", "devices", "threads", "progress"),
}


def segment_options(command: Command) -> Command:
    """Add the options of ``run --plan``."""
    command = click.option(
        "--devices",
        metavar="cuda:0,cuda:1",
        callback=of_plan,
        help="With --plan: one process on each.",
    )(command)
    command = click.option(
        "--resume",
        is_flag=True,
        help="Keep what is done beside the output until all is, and go on there after a crash. "
        "With --plan: leave segments that are done and sound.",
    )(command)
    command = click.option(
        "--segments",
        metavar="A-B,C",
        callback=of_plan,
        help="With --plan: only these.  [default: all]",
    )(command)
    text = "Do segments of a plan instead of a clip. See: vdenoise plan."
    return plan_option(required=False, text=text)(job_options(command))


def run_segments(ctx: click.Context, options: dict[str, Any]) -> None:
    """Do the segments named, or all."""
    from vdenoise import ui
    from vdenoise.farm.split import parse_numbers

    for name in options:
        typed = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if typed and name not in _WITH_PLAN:
            raise UsageError(
                f"{name.replace('_', '-')} cannot be said with --plan: the plan decides it.",
                "Make another plan with: vdenoise plan",
                number=77,
            )
    with ui.Reporter(options["progress"]) as reporter:
        threads = set_threads(options["threads"])
        job = open_from(options, options["output"])
        if job.moved and job.file.clean.join != "files":
            raise UsageError(
                "The segments of this plan are joined later: its tasks do not write the output.",
                "Say -o to vdenoise farm assemble instead.",
                number=80,
            )
        claim_sources(claims_of(ctx), job)
        count = len(job.file.segments)
        numbers = tuple(range(count))
        if options["segments"] is not None:
            numbers = parse_numbers(options["segments"], count)
        if options["resume"] and _were_cleaned(job, numbers):
            reporter.finish(f"{job.output(job.file.clean)}: already joined", done=[], kept=[])
            return
        claim_segments(claims_of(ctx), job, numbers)
        if options["devices"] is not None:
            _on_devices(job, numbers, options, reporter)
        else:
            _one_after_the_other(job, numbers, options, threads, reporter)


def _were_cleaned(job: Job, numbers: tuple[int, ...]) -> bool:
    """Whether a task comes again whose segments were joined and removed (``farm clean``)."""
    from vdenoise.farm.recipe import is_done
    from vdenoise.farm.segments import report_path

    return not any(report_path(job, n).exists() for n in numbers) and is_done(job)


def progress_lines(segments: int, of: int) -> int:
    """How many lines of progress a task may print that does some of a plan's segments: all tasks
    share `PLAN_LINES`, so that the logs of a feature film in 4K stay below 5 MB."""
    return min(max(PLAN_LINES * segments // of, 2), 100)


def _one_after_the_other(
    job: Job,
    numbers: tuple[int, ...],
    options: dict[str, Any],
    threads: int | None,
    reporter: Reporter,
) -> None:
    from vdenoise.farm.job import analysis_of
    from vdenoise.farm.segments import run_segment, to_do
    from vdenoise.farm.split import as_text

    analysis = analysis_of(job)
    todo = to_do(job, numbers, resume=options["resume"], overwrite=options["overwrite"])
    done = tuple(n for n in numbers if n not in todo)
    if done:
        reporter.note(f"already done: segment {as_text(done)}")
    frames = sum(last - first + 1 for first, last in (job.file.segments[n] for n in todo))
    reporter.expect(frames, lines=progress_lines(len(todo), len(job.file.segments)))
    for place, number in enumerate(todo):
        reporter.name(f"segment {number}")
        try:
            report = run_segment(
                job,
                number,
                reporter,
                device=options["device"],
                analysis=analysis,
                overwrite=options["overwrite"] or options["resume"],
                threads=threads,
            )
        except Interrupted as stop:
            raise Interrupted(
                f"Stopped in segment {number}: {place} of {len(todo)} were finished and stay.",
                "Run the same command with --resume to go on.",
                signal_number=stop.signal_number,
            ) from stop
        reporter.event(
            "segment",
            segment=number,
            frames=list(report.frames),
            bytes=report.parts[0].bytes,
            sha256=report.parts[0].sha256,
            seconds=report.seconds,
        )
    reporter.finish(
        f"segment {as_text(numbers)} of {len(job.file.segments)} in {job.work}: "
        f"{len(todo)} done now, {len(done)} before",
        done=list(todo),
        kept=list(done),
    )


def _on_devices(
    job: Job, numbers: tuple[int, ...], options: dict[str, Any], reporter: Reporter
) -> None:
    from vdenoise.farm.devices import run_on

    flags = [flag for flag in ("resume", "overwrite", "allow_version_skew") if options[flag]]
    run_on(
        options["devices"].split(","),
        job,
        numbers,
        [*(f"--{flag.replace('_', '-')}" for flag in flags), *job.mapped],
        threads=options["threads"],
    )
    reporter.finish(f"{counted(len(numbers), 'segment')} in {job.work}")
