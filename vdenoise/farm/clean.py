"""Removing what a job needed on its way: segments, reports, the measurement, unfinished files.

Outputs, recipes and the plan are never removed, nor is what another job or a person laid into the
work folder.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from vdenoise.errors import ConflictError, OutputError, VdenoiseError
from vdenoise.farm.assemble import JOINING, Joining
from vdenoise.farm.inputs import FOLDER
from vdenoise.farm.job import ANALYSIS, Job
from vdenoise.farm.planfile import AnalysisRecord
from vdenoise.farm.progress import JobProgress
from vdenoise.farm.record import read_record
from vdenoise.farm.segments import clip_path, report_path, report_stem
from vdenoise.machine.files import leftovers
from vdenoise.media.images.sequence import target_of


@dataclass(frozen=True)
class Cleanup:
    """What goes and what stays."""

    files: tuple[Path, ...]
    bytes: int
    others: tuple[Path, ...]  # in the work folder, of somebody else


def check_may_go(job: Job, progress: JobProgress, *, given_up: bool) -> None:
    """See that nothing is lost that is still needed.

    Raises:
        ConflictError: the clip is not joined, or an output is missing, and nobody has given it up.
    """
    if given_up:
        return
    if progress.stage != "joined":
        done = progress.numbers("done")
        raise ConflictError(
            f"{job.output(job.file.clean)} is not there as this job makes it: {len(done)} of "
            f"{len(progress.segments)} segments are done, and would be lost.",
            f"Join them with: vdenoise farm assemble {job.words}  - or say --given-up "
            "to remove them all the same.",
            number=60,
        )
    table = () if job.grain_table is None else (job.grain_table,)
    movies = (job.output(part) for part in job.file.parts if part.join != "files")
    for output in (*movies, *table):
        if not output.exists():
            raise ConflictError(
                f"{output} is missing, and could not be joined again without the segments.",
                f"Join them with: vdenoise farm assemble {job.words} --overwrite  - or "
                "say --given-up to remove them all the same.",
                number=61,
            )


def cleanup_of(job: Job, progress: JobProgress) -> Cleanup:
    """What may be removed of a job."""
    found: list[Path] = []
    foreign = set(progress.numbers("foreign"))
    for number in range(len(job.file.segments)):
        if number in foreign:
            continue
        found.append(report_path(job, number))
        found += [clip_path(job, number, part) for part in job.file.parts if part.join != "files"]
    stems = tuple(
        f".{report_stem(job, n)}" for n in range(len(job.file.segments)) if n not in foreign
    )
    ours = (*stems, f".{ANALYSIS}", f".{JOINING}")
    found += [path for path in leftovers(job.work) if path.name.startswith(ours)]
    if not foreign:
        found += [path for path in (job.work / ANALYSIS, job.work / JOINING) if _is_of(job, path)]
    found += [
        job.work / FOLDER / record.sha256[:12] / Path(record.path).name
        for record in job.file.inputs
    ]
    for part in job.file.parts:
        if part.join == "files":
            images = target_of(job.info, job.output(part))
            ours = tuple(f".{images.path(number).name}." for number in images.numbers)
            found += [path for path in leftovers(images.folder) if path.name.startswith(ours)]
    files = tuple(dict.fromkeys(path for path in found if path.is_file()))
    gone = set(files)
    others = tuple(sorted(p for p in _all_in(job.work) if p not in gone))
    return Cleanup(files, sum(path.stat().st_size for path in files), others)


def _all_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


def _is_of(job: Job, path: Path) -> bool:
    """Whether the measurement, or the note of a joining, is of this plan."""
    try:
        if path.name == ANALYSIS:
            measured = read_record(AnalysisRecord, path, "analysis", "Remove it.")
            return measured.request_id == job.file.request_id
        note = read_record(Joining, path, "note", "Remove it.")
        return str(job.output(job.file.clean).absolute()) in note.outputs
    except VdenoiseError:  # not there, not readable, or nobody said where the output is now
        return False


def remove(job: Job, cleanup: Cleanup) -> None:
    """Remove it, reports first: without one a segment is not done, so that a cleanup that is
    stopped leaves nothing that looks whole. The work folder goes when it is empty.

    Raises:
        OutputError: a file cannot be removed.
    """
    for path in sorted(cleanup.files, key=lambda file: file.suffix != ".json"):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"{path} cannot be removed: {error.strerror}.",
                "Check its folder's permissions, and run the same command again.",
                number=62,
            ) from error
    folders = sorted((path for path in job.work.rglob("*") if path.is_dir()), reverse=True)
    for folder in (*folders, job.work):
        with contextlib.suppress(OSError):  # somebody has something in it
            folder.rmdir()
