"""The recipe beside a joined clip, and whether a job has made a clip before."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vdenoise.farm.assemble import Assembled
from vdenoise.farm.job import Job, analysis_of, work_id
from vdenoise.recipe import fingerprint, make_recipe, recipe_path, save_recipe
from vdenoise.run import Result


def save(job: Job, made: Assembled, command: Sequence[str]) -> Path:
    """Write the recipe of a joined clip: that of a single pass, and where its segments were made.

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
        frames=made.plan.frames,
        seconds=sum(report.seconds for report in reports) + made.seconds,
        busy=busy,
        bad_frames=(),
        report=made.report,
    )
    recipe = make_recipe(made.plan, analysis.profile, analysis.cuts, result, command)
    recipe["farm"] = {
        "plan_id": job.file.plan_id,
        "work_id": work_id(job, analysis),
        "output": fingerprint(made.plan.output),
        "segments": [
            {
                "segment": report.segment,
                "frames": list(report.frames),
                "sha256": report.sha256,
                "seconds": report.seconds,
                "host": report.host,
                "engine": report.engine,
            }
            for report in reports
        ],
    }
    return save_recipe(recipe, made.plan.output)


def is_done(job: Job, output: Path) -> bool:
    """Whether the output is there as this job has written it."""
    found: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(recipe_path(output).read_text(encoding="utf-8")).get("farm") or {}
    if not found or not output.exists() or found.get("plan_id") != job.file.plan_id:
        return False
    made_for = work_id(job, analysis_of(job))
    return found.get("work_id") == made_for and found.get("output") == fingerprint(output)
