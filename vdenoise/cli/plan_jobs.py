"""The job of a plan as commands open it: where its files are, and what it reads and writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from vdenoise.cli.files import FOLDER, READS, claim_clip
from vdenoise.errors import UsageError

if TYPE_CHECKING:
    from vdenoise.farm.job import Job
    from vdenoise.farm.planfile import OutputPart
    from vdenoise.machine.claims import Claims
    from vdenoise.machine.path_map import PathMap

Command = TypeVar("Command", bound=Callable[..., Any])


def of_plan(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
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
                callback=of_plan,
                help="The clip, where it was moved.",
            ),
            click.option(
                "--work",
                type=FOLDER,
                metavar="FOLDER",
                callback=of_plan,
                help="Where segments go.  [default: the plan's name with .work]",
            ),
            click.option(
                "--map",
                "path_map",
                multiple=True,
                metavar="FROM=TO",
                callback=of_plan,
                help="Folder FROM of the plan's machine is TO on this one; may be repeated, and "
                "wins over VDENOISE_PATH_MAP (FROM=TO;FROM=TO).",
            ),
            click.option(
                "--map-rules",
                type=READS,
                metavar="FILE",
                callback=of_plan,
                help="The same, as a session of Open Job Description has it.",
            ),
            click.option(
                "--allow-version-skew",
                is_flag=True,
                callback=of_plan,
                help="Work on the plan of another version of vdenoise.",
            ),
        )
    ):
        command = decorate(command)
    return command


def open_from(options: dict[str, Any], output: Path | None = None) -> Job:
    """The job that the options name; ``output`` is where its clean clip goes, if elsewhere."""
    from vdenoise.farm.job import open_job

    typed, session = path_maps(options)

    def here(path: Path | None) -> Path | None:
        return None if path is None else Path(typed(str(path)))

    return open_job(
        Path(typed(str(options["plan"]))),
        source=here(options["source"]),
        work=here(options["work"]),
        output=here(output),
        path_map=typed + session,
        mapped=_mapping_words(options),
        allow_version_skew=options["allow_version_skew"],
    )


def _mapping_words(options: dict[str, Any]) -> tuple[str, ...]:
    """The mappings as they were typed."""
    rules = options["map_rules"]
    return (
        *(word for text in options["path_map"] for word in ("--map", text)),
        *(() if rules is None else ("--map-rules", str(rules))),
    )


def open_for_nodes(options: dict[str, Any]) -> tuple[Job, tuple[str, ...]]:
    """The job as this machine sees it, and the mappings that were typed: they are the nodes'."""
    from vdenoise.machine.path_map import PathMap

    PathMap.of(options["path_map"])
    return open_from({**options, "path_map": ()}), options["path_map"]


def path_maps(options: dict[str, Any]) -> tuple[PathMap, PathMap]:
    """What maps names in the plan and on the command line, and what maps those in the plan alone:
    a session of Open Job Description has mapped what it hands on."""
    from vdenoise.machine.path_map import PathMap

    rules = options["map_rules"]
    session = PathMap() if rules is None else PathMap.of_rules_file(rules)
    typed = PathMap.of(options["path_map"]) + PathMap.of_variable()
    return typed.for_this_system(), session


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

    for role, read in job.chain(analysis_of(job)).files.items():
        for file in read:
            claim_clip(claims, file, role)
    for number in numbers:
        claims.write(report_path(job, number), f"the report of segment {number}")
        for part in job.file.parts:
            for file in files_of(job, number, part):
                claims.write(file, _role(part))


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
    if job.grain_table is not None:
        claims.write(job.grain_table, "the grain table", overwrite=overwrite)
    claim_recipe(claims, job.output(job.file.clean), overwrite=overwrite)


def _role(part: OutputPart) -> str:
    """What writes a part: the clean clip is what ``--output`` may name."""
    return "--output" if part.name == "clean" else f"the {part.name} clip"
