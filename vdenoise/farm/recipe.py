"""The recipe beside a joined clip, and whether a job has made a clip before."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from vdenoise.engine.run import Progress, Result
from vdenoise.errors import TryAgain, UsageError
from vdenoise.farm.assemble import Assembled, assemble
from vdenoise.farm.job import Job, analysis_of, work_id
from vdenoise.farm.segments import SegmentReport
from vdenoise.media.images.reader import changed
from vdenoise.workflows.originals import Originals
from vdenoise.workflows.recipe import is_intact, load_recipe, make_recipe, save_recipe


def originals_of(job: Job) -> Originals:
    """The source as it is before its segments are joined: the one that they were made from.

    Raises:
        ConflictError: it is another one.
        InputError: it cannot be read.
    """
    found, source, sequence = Originals(job.info), job.file.source, job.info.sequence
    if sequence is None:
        clip = found.clip
        if (clip["bytes"], clip["sha256_samples"]) != (source.bytes, source.sha256_samples):
            raise changed(str(job.source), "it")
        return found
    for position, (now, planned) in enumerate(zip(found.checks, sequence.checks, strict=True)):
        if now != planned:
            raise changed(str(job.source), sequence.source(position).name)
    return found


def joined(
    job: Job,
    reports: Sequence[SegmentReport],
    progress: Progress,
    *,
    verify: bool = False,
    overwrite: bool = False,
    threads: int | None = None,
) -> tuple[Assembled, Originals]:
    """Join the segments of a job while its source stays what they were made from.

    Args:
        job: the job.
        reports: of all segments, as `vdenoise.farm.collect.collect` gives them.
        progress: told of every frame.
        verify: decode what was joined and compare every frame.
        overwrite: replace outputs that exist.
        threads: decoder threads, None for one per core.

    Returns:
        What was joined, and the source as it was.

    Raises:
        ConflictError: the source is another one, or was changed meanwhile.
        VdenoiseError: as `vdenoise.farm.assemble.assemble`.
    """
    originals = originals_of(job)
    with originals.explaining():
        made = assemble(
            job,
            reports,
            progress,
            originals.see_unchanged,
            verify=verify,
            overwrite=overwrite,
            threads=threads,
        )
    return made, originals


def save(job: Job, made: Assembled, command: Sequence[str], originals: Originals) -> Path:
    """Write the recipe of a joined clip: that of a single pass, and where its segments were made.

    Args:
        job: the job.
        made: what was joined.
        command: as typed.
        originals: from before the joining.

    Raises:
        OutputError: it cannot be written.
    """
    analysis = analysis_of(job)
    reports = made.reports
    busy: dict[str, float] = {}
    for report in reports:
        for kind, seconds in report.busy_seconds.items():
            busy[kind] = busy.get(kind, 0.0) + seconds
    result = Result(
        frames=len(made.plan.positions),
        seconds=sum(report.seconds for report in reports) + made.seconds,
        busy=busy,
        bad_frames=(),
        report=made.report,
    )
    recipe = make_recipe(
        made.plan, analysis.profile, analysis.cuts, result, command,
        source=originals.clip, tag=made.tag,
    )  # fmt: skip
    recipe["farm"] = {
        "plan_id": job.file.plan_id,
        "work_id": work_id(job, analysis),
        "segments": [
            {
                "segment": report.segment,
                "frames": list(report.frames),
                "sha256": {part.name: part.sha256 for part in report.parts},
                "seconds": report.seconds,
                "host": report.host,
                "engine": report.engine,
            }
            for report in reports
        ],
    }
    return save_recipe(recipe, made.plan.output)


def is_done(job: Job) -> bool:
    """Whether the clean clip is there as this job has written it."""
    try:
        output = job.output(job.file.clean)
    except UsageError:  # the clip was moved, and nobody has said where its output goes
        return False
    recipe = load_recipe(output)
    told = {} if recipe is None else recipe.get("farm") or {}
    if recipe is None or told.get("plan_id") != job.file.plan_id:
        return False
    with contextlib.suppress(TryAgain):  # the measurement was cleaned away: the plan's id tells
        if told.get("work_id") != work_id(job, analysis_of(job)):
            return False
    return is_intact(recipe["output"], output)
