"""``vdenoise farm status`` and ``clean``: how far a job is, and what it no longer needs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vdenoise.cli.files import FileCommand
from vdenoise.cli.plan_jobs import job_options, open_from, plan_option
from vdenoise.errors import ConflictError, TryAgain, UsageError
from vdenoise.settings.text import counted

if TYPE_CHECKING:
    from vdenoise.farm.clean import Cleanup
    from vdenoise.farm.progress import JobProgress

_NEXT = {
    "measure": "to be measured: vdenoise farm analyze",
    "denoise": "segments to be done: vdenoise run --plan",
    "join": "to be joined: vdenoise farm assemble",
    "joining": "being joined, or an assemble was killed (the same again, with --resume)",
    "joined": "joined",
}


def _plan_option(command: Any) -> Any:
    return plan_option(required=True, text="The plan.")(job_options(command))


@click.command(cls=FileCommand)
@_plan_option
@click.option("--each", is_flag=True, help="A line for each segment, too.")
@click.option("--quick", is_flag=True, help="Go by the files' sizes, without reading them.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(each: bool, quick: bool, as_json: bool, **options: Any) -> None:
    """Say which segments are done, sound and fit the plan; exit 75 while any is missing."""
    from vdenoise import ui
    from vdenoise.farm.progress import progress_of
    from vdenoise.farm.split import as_text

    job = open_from(options)
    found = progress_of(job, quick=quick)
    if as_json:
        ui.result_json(
            {
                "plan_id": job.file.plan_id,
                "stage": found.stage,
                "done": found.numbers("done"),
                "missing": found.to_do,
                "seconds": round(found.seconds, 3),
                "segments": [one.to_json() for one in found.segments],
            }
        )
    else:
        _show(job.file.plan_id, found, options["plan"])
        for one in found.segments if each else ():
            ui.result(one.line)
    if foreign := found.numbers("foreign"):
        raise ConflictError(
            f"{counted(len(foreign), 'segment')} of {job.work} made for another plan or analysis: "
            f"{as_text(foreign)}.",
            "Do them again with --overwrite, or give each plan a --work folder of its own.",
            number=62,
        )
    if found.to_do:
        left = as_text(found.to_do)
        way = f"Do them with: vdenoise run {job.words} --segments {left} --resume"
        if found.stage == "measure":
            way = f"Measure the clip first, with: vdenoise farm analyze {job.words}"
        raise TryAgain(
            f"{counted(len(found.to_do), 'segment')} of {len(found.segments)} still to be done: "
            f"{left}.",
            way,
            number=6,
        )


def _show(plan_id: str, found: JobProgress, plan: Path) -> None:
    from vdenoise import ui
    from vdenoise.farm.split import as_text

    done, begun = found.numbers("done"), found.numbers("begun")
    cleaned = found.stage == "joined" and not done
    facts = {
        "plan": f"{plan}, id {plan_id[:12]}",
        "state": _NEXT[found.stage],
        "done": "all, and the segments are removed"
        if cleaned
        else f"{len(done)} of {counted(len(found.segments), 'segment')}, "
        f"{found.seconds:.0f} s of work",
        "missing": as_text(found.to_do) or "none",
    }
    if begun and found.to_do:
        facts["begun"] = f"{as_text(begun)} (in work, or stopped)"
    if damaged := found.numbers("damaged"):
        facts["damaged"] = as_text(damaged)
    ui.facts("", facts)


@click.command(cls=FileCommand)
@_plan_option
@click.option("--given-up", is_flag=True, help="Also of a clip that is not joined.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean(given_up: bool, dry_run: bool, yes: bool, **options: Any) -> None:
    """Remove the segments, reports and unfinished files of a clip that is joined.

    Outputs, recipes and the plan stay, and so does what is not this job's.
    """
    from vdenoise import ui
    from vdenoise.farm.clean import check_may_go, cleanup_of, remove
    from vdenoise.farm.progress import progress_of

    job = open_from(options)
    found = progress_of(job, quick=True)
    check_may_go(job, found, given_up=given_up)
    cleanup = cleanup_of(job, found)
    if dry_run:
        for path in cleanup.files:
            ui.result(str(path))
    _say_others(cleanup)
    amount = f"{counted(len(cleanup.files), 'file')}, {cleanup.bytes / 1e6:.3g} MB"
    if dry_run:
        ui.Reporter("plain").note(f"{amount} would go")
        return
    if cleanup.files and not yes:
        _ask(f"Remove {amount}, of {job.work}?")
    remove(job, cleanup)
    ui.Reporter("plain").note(f"removed: {amount}")


def _say_others(cleanup: Cleanup) -> None:
    from vdenoise import ui

    if cleanup.others:
        more = f" and {len(cleanup.others) - 1} more" if len(cleanup.others) > 1 else ""
        ui.Reporter("plain").note(f"stays, for it is not of this job: {cleanup.others[0]}{more}")


def _ask(question: str) -> None:
    """Ask on a terminal.

    Raises:
        UsageError: there is none, or the answer is no.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            f"{question} There is no terminal to answer on.",
            "Say --yes, or --dry-run to see what would go.",
            number=220,
        )
    if not click.confirm(question, err=True):
        raise UsageError("Nothing was removed.", "Say yes, or --yes.", number=221)
