"""A run of one clip that can be killed at any moment and goes on where it was: a farm of one.

Its plan and its segments lie beside the output, in a folder of their own, until all is joined. So
the result is that of a single pass, to the bit, as a farm's is.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from vdenoise.engine.plan import Plan
from vdenoise.engine.run import Result
from vdenoise.errors import ConflictError
from vdenoise.farm import assemble as joining
from vdenoise.farm.chain_record import Request
from vdenoise.farm.collect import collect
from vdenoise.farm.inputs import FOLDER as INPUTS
from vdenoise.farm.job import ANALYSIS, Job, open_job
from vdenoise.farm.make_plan import make_plan
from vdenoise.farm.measure import measure
from vdenoise.farm.planfile import PlanFile
from vdenoise.farm.recipe import joined
from vdenoise.farm.record import write_record
from vdenoise.farm.segments import SEGMENT, run_segment, to_do
from vdenoise.machine.files import fitting
from vdenoise.media.access import make_folder
from vdenoise.media.writer import check_target
from vdenoise.workflows.contents import hashes
from vdenoise.workflows.decides import deciding_files, deciding_options, written_beside
from vdenoise.workflows.prepare import Listener
from vdenoise.workflows.recipe import is_intact, load_recipe, make_recipe, save_recipe
from vdenoise.workflows.request import ClipRequest
from vdenoise.workflows.room import check_room

PLAN = "plan.json"
_END = ".vdenoise-work"


def work_folder(output: Path) -> Path:
    """Where unfinished work on an output lies: beside it."""
    return output.with_name(fitting(output.name, len(_END)) + _END)


def was_begun(output: Path) -> bool:
    """Whether there is unfinished work on an output."""
    return (work_folder(output) / PLAN).exists()


def denoise_resumably(
    request: ClipRequest, plan: Plan, listener: Listener, command: Sequence[str], device: str
) -> tuple[Plan, Result] | None:
    """Do what is asked for, or what is left to do of it.

    Args:
        request: what is asked for.
        plan: of the request.
        listener: told of every frame, and of what was found.
        command: what to put into the recipe.
        device: ``auto``, ``cpu`` or ``cuda:N``.

    Returns:
        What was carried out and what came of it; None where it was done before, and is intact.

    Raises:
        ConflictError: the unfinished work beside the output is of another request.
        OutputError: the output exists and was made otherwise, or the disk has no room for it.
    """
    files = hashes(deciding_files(request))
    file = make_plan(
        plan,
        Request.of(request.chain),
        profile=request.known.noise(plan.info),
        cuts=request.known.first_frames(plan.info),
        segment_frames=None,
        progress=listener,
    )
    told = load_recipe(plan.output) or {}
    own = told.get("resumable") == {"request_id": file.request_id}
    if own and not request.overwrite and is_intact(told["output"], plan.output):
        _clear(work_folder(plan.output))
        return None
    may = request.overwrite or was_begun(plan.output)  # else what is there is not this run's
    for path in (plan.output, *written_beside(request).values()):
        check_target(plan.info, path, positions=plan.positions, overwrite=may)
    there = sum(path.stat().st_size for path in work_folder(plan.output).glob("*"))
    if (short := check_room(plan, parts=True, there=there)) is not None:
        listener.note(short)
    job = _job(file, plan, listener, request)
    _do_what_is_left(job, listener, device, request.reading.threads)
    overwrite = request.overwrite or joining.was_begun(job)
    made, originals = joined(
        job, collect(job), listener, overwrite=overwrite, threads=request.reading.threads
    )
    analysis = job.file.analysis
    assert analysis is not None, "it is in the plan"
    reports = made.reports
    result = Result(
        frames=len(made.plan.positions),
        seconds=sum(report.seconds for report in reports) + made.seconds,
        busy={},
        bad_frames=(),
        report=made.report,
    )
    recipe = make_recipe(
        made.plan,
        analysis.profile,
        analysis.cuts,
        result,
        command,
        options=deciding_options(request),
        source=originals.clip,
        files=files,
        beside=written_beside(request),
        tag=made.tag,
    )
    recipe["resumable"] = {"request_id": file.request_id}
    save_recipe(recipe, made.plan.output)
    _clear(work_folder(plan.output))
    return made.plan, result


def _clear(folder: Path) -> None:
    """Remove what a run in parts lays there, and the folder; what is somebody else's stays."""
    ours = (PLAN, ANALYSIS, joining.JOINING, SEGMENT)
    for path in folder.glob("*"):
        if path.name.removeprefix(".").startswith(ours) and not path.is_dir():
            path.unlink(missing_ok=True)
    shutil.rmtree(folder / INPUTS, ignore_errors=True)
    with contextlib.suppress(OSError):  # a link, or somebody has something in it
        folder.rmdir()


def _job(file: PlanFile, plan: Plan, listener: Listener, request: ClipRequest) -> Job:
    """The job of a request: as it was begun, or begun now."""
    folder = work_folder(plan.output)
    path = folder / PLAN
    if path.exists() and request.overwrite:
        _clear(folder)
    if path.exists():
        begun = PlanFile.load(path)
        if begun.request_id != file.request_id:
            raise ConflictError(
                f"{folder} holds unfinished work that was asked for otherwise, or of a clip that "
                "has changed.",
                "Say the same as then, or --overwrite to begin anew.",
                number=213,
            )
    else:
        found = measure(file, plan.info, listener, request.reading.threads)
        for note in found.notes:
            listener.note(note)
        make_folder(folder)
        write_record(file.model_copy(update={"analysis": found}).sealed(), path)
    return open_job(path, work=folder)


def _do_what_is_left(job: Job, listener: Listener, device: str, threads: int | None) -> None:
    numbers = tuple(range(len(job.file.segments)))
    todo = to_do(job, numbers, resume=True, overwrite=False)
    if len(todo) < len(numbers):
        listener.note(f"{len(numbers) - len(todo)} of {len(numbers)} parts were done before")
    for number in todo:
        run_segment(job, number, listener, device=device, overwrite=True, threads=threads)
