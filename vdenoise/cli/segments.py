"""``vdenoise run --plan``: a share of a plan, the way a farm's task does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from vdenoise.cli.files import FOLDER, READS, claim_clip, claims_of
from vdenoise.cli.options import set_threads
from vdenoise.errors import Interrupted, UsageError
from vdenoise.settings.text import counted

if TYPE_CHECKING:
    from vdenoise.farm.job import Job
    from vdenoise.farm.planfile import OutputPart
    from vdenoise.machine.claims import Claims
    from vdenoise.ui import Reporter

Command = TypeVar("Command", bound=Callable[..., Any])

PLAN_LINES = 10_000  # of progress, over all tasks of a plan

# With a plan nothing else is read: all that could change a pixel is in it.
_WITH_PLAN = {
    *("plan", "segments", "resume", "overwrite", "source", "work", "output"),
    *("allow_version_skew", "device", "devices", "threads", "progress"),
}


def _of_plan(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """See that an option that is about a plan does not come without one: nothing would heed it."""
    typed = ctx.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    if typed and ctx.params.get("plan") is None:
        raise UsageError(
            f"{parameter.opts[0]} is for the segments of a plan, and no --plan is given.",
            "Make one with: vdenoise plan CLIP -o plan.json",
            number=95,
        )
    return value


def plan_option(*, required: bool, text: str) -> Callable[[Command], Command]:
    """``--plan``, read before the options that go with it."""
    return click.option(
        "--plan", type=READS, metavar="FILE", required=required, is_eager=True, help=text
    )


def job_options(command: Command) -> Command:
    """Add what says where the files of a plan are."""
    for decorate in reversed(
        (
            click.option(
                "--source",
                type=READS,
                metavar="FILE",
                callback=_of_plan,
                help="The clip, where it was moved.",
            ),
            click.option(
                "--work",
                type=FOLDER,
                metavar="FOLDER",
                callback=_of_plan,
                help="Where segments go.  [default: the plan's name with .work]",
            ),
            click.option(
                "--allow-version-skew",
                is_flag=True,
                callback=_of_plan,
                help="Work on the plan of another version of vdenoise.",
            ),
        )
    ):
        command = decorate(command)
    return command


def segment_options(command: Command) -> Command:
    """Add the options of ``run --plan``."""
    command = click.option(
        "--devices",
        metavar="cuda:0,cuda:1",
        callback=_of_plan,
        help="With --plan: one process on each.",
    )(command)
    command = click.option(
        "--resume",
        is_flag=True,
        callback=_of_plan,
        help="With --plan: leave segments that are done and sound.",
    )(command)
    command = click.option(
        "--segments",
        metavar="A-B,C",
        callback=_of_plan,
        help="With --plan: only these.  [default: all]",
    )(command)
    text = "Do segments of a plan instead of a clip. See: vdenoise plan."
    return plan_option(required=False, text=text)(job_options(command))


def open_from(options: dict[str, Any], output: Path | None = None) -> Job:
    """The job that the options name; ``output`` is where its clean clip goes, if elsewhere."""
    from vdenoise.farm.job import open_job

    return open_job(
        options["plan"],
        source=options["source"],
        work=options["work"],
        output=output,
        allow_version_skew=options["allow_version_skew"],
    )


def claim_sources(claims: Claims, job: Job) -> None:
    """Claim what every task of a job reads.

    Raises:
        UsageError: it is to be written.
    """
    from vdenoise.farm.job import ANALYSIS

    claims.read(job.plan_path, "--plan")
    claim_clip(claims, job.source, "the input")
    claims.read(job.work / ANALYSIS, "the analysis")


def claim_segments(claims: Claims, job: Job, numbers: tuple[int, ...]) -> None:
    """Claim what some segments write; whether they may replace anything is seen to elsewhere.

    Raises:
        UsageError: it is read, or two are written to the same file.
    """
    from vdenoise.farm.job import analysis_of
    from vdenoise.farm.segments import files_of, report_path

    for role, read in analysis_of(job).chain.chain().files.items():
        for file in read:
            claim_clip(claims, file, role)
    for number in numbers:
        claims.write(report_path(job, number), f"the report of segment {number}", overwrite=True)
        for part in job.file.parts:
            for file in files_of(job, number, part):
                claims.write(file, _role(part), overwrite=True)


def claim_joined(claims: Claims, job: Job, *, overwrite: bool) -> None:
    """Claim what is joined, and what the joining reads.

    Raises:
        UsageError: it is read, or two are written to the same file.
        OutputError: something exists and may not be replaced.
    """
    from vdenoise.farm.segments import clip_path, report_path
    from vdenoise.workflows.recipe import claim_recipe

    claim_sources(claims, job)
    for number in range(len(job.file.segments)):
        claims.read(report_path(job, number), f"the report of segment {number}")
    for part in job.file.parts:
        if part.join != "files":
            claims.write(job.output(part), _role(part), overwrite=overwrite)
            for number in range(len(job.file.segments)):
                claims.read(clip_path(job, number, part), f"segment {number}")
    if job.file.grain_table is not None:
        claims.write(Path(job.file.grain_table), "the grain table", overwrite=overwrite)
    claim_recipe(claims, job.output(job.file.clean), overwrite=overwrite)


def _role(part: OutputPart) -> str:
    """What writes a part: the clean clip is what ``--output`` may name."""
    return "--output" if part.name == "clean" else f"the {part.name} clip"


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
        claim_segments(claims_of(ctx), job, numbers)
        if options["devices"] is not None:
            _on_devices(job, numbers, options, reporter)
        else:
            _one_after_the_other(job, numbers, options, threads, reporter)


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
        [f"--{flag.replace('_', '-')}" for flag in flags],
        threads=options["threads"],
    )
    reporter.finish(f"{counted(len(numbers), 'segment')} in {job.work}")
