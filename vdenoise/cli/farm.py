"""``vdenoise farm``: the steps of a job beside the segments, and jobs for the farms there are."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vdenoise.cli.farm_state import clean, status
from vdenoise.cli.files import FOLDER, WRITES, FileGroup, claims_of
from vdenoise.cli.options import progress_option, set_threads, threads_option
from vdenoise.cli.plan_jobs import (
    claim_joined,
    claim_sources,
    job_options,
    open_for_nodes,
    open_from,
    plan_option,
)
from vdenoise.errors import DeviceError, OutputError, TryAgain, UsageError
from vdenoise.settings.text import counted

if TYPE_CHECKING:
    from vdenoise.farm.assemble import Assembled
    from vdenoise.farm.job import Job

ENGINES = ("openjd", "slurm", "opencue", "deadline10", "flamenco", "cmdlist")


@click.group(cls=FileGroup)
def farm() -> None:
    """Carry a plan out on many machines. See docs/farm.md."""


farm.add_command(status)
farm.add_command(clean)


def _plan_option(command: Any) -> Any:
    return plan_option(required=True, text="The plan.")(job_options(command))


@farm.command()
@_plan_option
@threads_option
@progress_option
@click.pass_context
def analyze(ctx: click.Context, /, threads: int | None, progress: Any, **options: Any) -> None:
    """Measure the clip of a plan that was made with --analyze later."""
    from vdenoise import ui
    from vdenoise.farm.job import ANALYSIS
    from vdenoise.farm.measure import analyze_job
    from vdenoise.farm.recipe import is_done

    with ui.Reporter(progress) as reporter:
        threads = set_threads(threads)
        job = open_from(options)
        if job.file.analysis is None and not (job.work / ANALYSIS).exists() and is_done(job):
            reporter.finish(f"{job.output(job.file.clean)}: already joined")
            return
        claim_sources(claims_of(ctx), job)
        found, kept = analyze_job(job, reporter, threads)
        for note in found.notes:
            reporter.note(note)
        reporter.finish("already measured" if kept else f"measured: {job.work / ANALYSIS}")


@farm.command()
@_plan_option
@click.option("-o", "--output", type=WRITES, help="The clean clip.  [default: as the plan says]")
@click.option("--verify", is_flag=True, help="Decode the joined clip and compare every frame.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0,
    metavar="SECONDS",
    help="Wait this long for segments that a shared folder does not show yet.",
)
@click.option("--allow-mixed", is_flag=True, help="Join segments of different kinds of machine.")
@click.option("--resume", is_flag=True, help="Leave an output that this job has made before.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@threads_option
@progress_option
@click.pass_context
def assemble(ctx: click.Context, /, progress: Any, **options: Any) -> None:
    """Join the segments of a plan to the clean clip, and check it."""
    from vdenoise import ui
    from vdenoise.farm import assemble as joining
    from vdenoise.farm.collect import check_engines, collect
    from vdenoise.farm.recipe import is_done, joined, save

    with ui.Reporter(progress) as reporter:
        threads = set_threads(options["threads"])
        job = open_from(options, options["output"])
        output = job.output(job.file.clean)
        if options["resume"] and is_done(job):
            reporter.finish(f"{output}: already there", output=str(output))
            return
        overwrite = options["overwrite"] or (options["resume"] and joining.was_begun(job))
        claim_joined(claims_of(ctx), job, overwrite=overwrite)
        reports = collect(job, options["wait"])
        for text in check_engines(reports, allow_mixed=options["allow_mixed"]):
            reporter.warn(f"mixed: {text}")
        made, originals = joined(
            job,
            reports,
            reporter,
            verify=options["verify"],
            overwrite=overwrite,
            threads=threads,
        )
        save(job, made, ["vdenoise", *sys.argv[1:]], originals)
        joining.ended(job)
        joining.remove_old_parts(job)
        _finish(reporter, job, made)


def _finish(reporter: Any, job: Job, made: Assembled) -> None:
    frames = len(made.plan.positions)
    reporter.finish(
        f"{made.plan.output}: {counted(frames, 'frame')} of "
        f"{counted(len(job.file.segments), 'segment')}, "
        f"checked, {made.seconds:.1f} s"
        + ("" if made.plan.invented is None else f"; {made.plan.invented}"),
        output=str(made.plan.output),
        frames=frames,
        seconds=round(made.seconds, 2),
    )


@farm.command()
@_plan_option
@click.option("--engine", type=click.Choice(ENGINES), required=True, help="Which farm.")
@click.option("-o", "--output", type=FOLDER, required=True, metavar="FOLDER", help="For its files.")
@click.option("--name", help="Of the job.  [default: the clip's]")
@click.option(
    "--executable", default="vdenoise", show_default=True, help="The program on the farm's nodes."
)
@click.option("--cpus", type=click.IntRange(min=1), default=4, show_default=True, help="Per task.")
@click.option("--gpus", type=click.IntRange(min=0), default=0, show_default=True, help="Per task.")
@click.option("--memory", type=click.IntRange(min=1), help="MiB per task.  [default: the plan's]")
@click.option(
    "--device",
    metavar="auto|cpu|cuda:N",
    help="Where tasks compute.  [default: the cards that --gpus asks for, else what a node has]",
)
@click.option("--priority", type=click.IntRange(min=0), help="By the farm's own scale.")
@click.option("--retries", type=click.IntRange(min=0), help="Of a task that failed.")
@click.option("--at-once", type=click.IntRange(min=1), help="Most tasks at once.")
@click.option(
    "--per-task",
    type=click.IntRange(min=1),
    help="Segments of one task.  [default: 1, or one for each card]",
)
@click.option(
    "--farm-option",
    "farm_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="A line of the farm's own in its job: partition=gpu, account=post, time=2:00:00 (slurm); "
    "Pool=gpu, Priority=60 (deadline10); may be repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace files of the folder that exist.")
@click.option("--submit", is_flag=True, help="Run submit.sh of the folder.")
@click.pass_context
def export(
    ctx: click.Context,
    /,
    engine: str,
    output: Path,
    submit: bool,
    name: str | None,
    memory: int | None,
    **options: Any,
) -> None:
    """Write the job of a plan for a farm: texts to read, and submit.sh."""
    from vdenoise import ui
    from vdenoise.farm.export import Export, files_of, parse_options
    from vdenoise.farm.export.places import check_places
    from vdenoise.machine.files import write_text

    program = options["executable"]
    if len(program.split()) != 1 and not (program and Path(program).exists()):
        raise UsageError(
            f"--executable is one program, not a command line: {program!r}.",
            f'Write a script that ends in: exec {program} "$@"  - and name that.',
            number=139,
        )
    typed = {
        name.replace("_", "-")
        for name in ctx.params
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    check_places(engine, typed)
    job, maps = open_for_nodes(options)
    claim_sources(claims_of(ctx), job)
    wanted = Export.of(
        job,
        name=name,
        executable=options["executable"],
        cpus=options["cpus"],
        gpus=options["gpus"],
        memory_mib=memory,
        at_once=options["at_once"],
        per_task=options["per_task"],
        priority=options["priority"],
        retries=options["retries"],
        device=options["device"],
        threads=options["cpus"] if engine == "cmdlist" and "cpus" in typed else None,
        options=parse_options(engine, options["farm_options"]),
        maps=maps,
    )
    made, overwrite = files_of(engine, wanted), options["overwrite"]
    stale = files_of(engine, replace(wanted, analyze=True)).keys() - made.keys()
    for file, text in made.items():
        same = _holds(output / file, text)
        claims_of(ctx).write(output / file, file, overwrite=overwrite or same)
    try:
        output.mkdir(parents=True, exist_ok=True)
        for file in stale if overwrite else ():  # a step that this plan no longer has
            (output / file).unlink(missing_ok=True)
        for file, text in made.items():
            write_text(output / file, text)
    except OSError as error:
        raise OutputError(
            f"Cannot write to {output}: {error.strerror}.", "Name another folder.", number=22
        ) from error
    for file in made:
        ui.result(str(output / file))
    if submit:
        _submit(output)
    else:
        ui.Reporter("plain").note(f"to start it: {shlex.join(['sh', str(output / 'submit.sh')])}")


def _holds(path: Path, text: str) -> bool:
    """Whether a file holds this text already."""
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, ValueError):
        return False


def _submit(folder: Path) -> None:
    import subprocess

    done = subprocess.run(["sh", "submit.sh"], cwd=folder, check=False)
    if done.returncode == 127:
        raise DeviceError(
            "The farm's own commands are not on this machine.",
            f"Run {folder / 'submit.sh'} where they are.",
            number=9,
        )
    if done.returncode != 0:
        raise TryAgain(
            f"submit.sh ended with exit {done.returncode}.",
            f"See what it says above, then run {folder / 'submit.sh'} again.",
            number=3,
        )
