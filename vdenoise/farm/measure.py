"""What a plan needs to know of its clip: noise, cuts, and the chain that follows from them."""

from __future__ import annotations

from vdenoise.engine.run import Progress
from vdenoise.farm.chain_record import ChainRecord
from vdenoise.farm.inputs import AS_NAMED, Places
from vdenoise.farm.job import ANALYSIS, Job, analysis_of
from vdenoise.farm.planfile import AnalysisRecord, PlanFile
from vdenoise.farm.record import write_record
from vdenoise.media.access import make_folder
from vdenoise.picture.frame import ClipInfo
from vdenoise.workflows.prepare import measure_clip
from vdenoise.workflows.reading import Reading


def measure(
    file: PlanFile,
    info: ClipInfo,
    progress: Progress,
    threads: int | None,
    places: Places = AS_NAMED,
) -> AnalysisRecord:
    """Measure the clip as the plan asks.

    Args:
        file: the plan.
        info: of its source.
        progress: told of every frame.
        threads: decoder threads, None for one per core.
        places: where the plan's files are on this machine.
    """
    reading = Reading(info.path, interlaced=file.interlaced, threads=threads)
    found = measure_clip(
        info,
        reading,
        file.request.asked(places.find),
        progress,
        profile=file.given_profile,
        cuts=file.given_cuts,
    )
    return AnalysisRecord(
        request_id=file.request_id,
        profile=found.profile,
        cuts=found.cuts,
        chain=ChainRecord.of(found.chain, places.name),
        notes=found.notes,
    )


def analyze_job(job: Job, progress: Progress, threads: int | None) -> tuple[AnalysisRecord, bool]:
    """The first step of a farm job: measure and keep it in the work folder.

    Returns:
        The analysis, and whether it was there already (then it stays as it is).

    Raises:
        ConflictError: the work folder holds that of another plan.
    """
    make_folder(job.work)
    if job.file.analysis is not None or (job.work / ANALYSIS).exists():
        return analysis_of(job), True
    found = measure(job.file, job.info, progress, threads, job.places)
    write_record(found, job.work / ANALYSIS)
    return found, False
