"""Doing some segments of a plan, and knowing which are done.

A segment is a clip of the frames' own packets or of lossless ones (of images: the finished files
themselves), and a report that holds the hash of every frame. It counts as done when the report fits
the plan and the files' bytes. All appear complete or not at all, so a task may be killed at any
moment, run again, or run twice at once.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from vdenoise.engine import run
from vdenoise.errors import ConflictError, InputError, OutputError, UsageError, VerifyError
from vdenoise.farm.job import Job, analysis_of, run_plan, work_id
from vdenoise.farm.planfile import AnalysisRecord, OutputPart
from vdenoise.farm.record import Record, read_record, write_record
from vdenoise.machine.engine import fingerprint
from vdenoise.media.access import make_folder
from vdenoise.media.images.sequence import target_of
from vdenoise.media.movie.codecs import CONTAINERS
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.picture.frame import SourceFrame

SEGMENT = "seg_"  # what the files of segments begin with
HASH_BYTES = 16  # of a frame's BLAKE2b
_BLOCK_BYTES = 1 << 20


class PartReport(Record):
    """What is known of one of a segment's clips."""

    name: str
    bytes: int
    sha256: str  # of the file, or of all images one after the other
    frame_hashes: tuple[str, ...]  # of the samples, as decoded from the file


class SegmentReport(Record):
    """What is known of a finished segment."""

    kind: Literal["vdenoise-segment"] = "vdenoise-segment"
    schema_version: Literal[2] = 2
    work_id: str
    segment: int
    frames: tuple[int, int]
    parts: tuple[PartReport, ...]  # as in the plan: the clean clip first
    engine: dict[str, str]
    host: str
    seconds: float
    busy_seconds: dict[str, float]


def report_stem(job: Job, number: int) -> str:
    """What the files of a segment in the work folder begin with: ``seg_000012_0000288-0000311``."""
    first, last = job.numbers(number)
    return f"{SEGMENT}{number:06d}_{first:07d}-{last:07d}"


def report_path(job: Job, number: int) -> Path:
    """Where a segment's report lies: ``seg_000012_0000288-0000311.json``."""
    return job.work / f"{report_stem(job, number)}.json"


def clip_path(job: Job, number: int, part: OutputPart) -> Path:
    """What a segment writes: ``seg_000012_0000288-0000311.mov`` beside its report (with the part's
    name, if it is not the clean one); of images the pattern of the output."""
    if part.join == "files":
        return job.output(part)
    kind = part.segment_encode.container
    extension = next(end for end, container in CONTAINERS.items() if container == kind)
    name = "" if part == job.file.clean else f"_{part.name}"
    return job.work / f"{report_stem(job, number)}{name}{extension}"


def files_of(job: Job, number: int, part: OutputPart) -> tuple[Path, ...]:
    """The files a segment writes of one part."""
    path = clip_path(job, number, part)
    if part.join != "files":
        return (path,)
    files = target_of(job.info, path)
    return tuple(files.path(files.numbers[n]) for n in job.file.wanted(number))


def report_of(job: Job, number: int) -> SegmentReport | None:
    """The report of a segment; None where there is none, or no more, as after a power cut."""
    try:
        return read_record(SegmentReport, report_path(job, number), "segment report", "Remove it.")
    except UsageError:
        return None


def finished(job: Job, number: int, wanted: str) -> SegmentReport | None:
    """The report of a segment that is done and sound, None where it is to be done (again).

    Args:
        job: the job.
        number: of the segment.
        wanted: the `work_id` it must have been made for.

    Raises:
        ConflictError: it was made for another plan.
    """
    report = report_of(job, number)
    if report is None:
        return None
    if report.work_id != wanted:
        raise ConflictError(
            f"{report_path(job, number)} was made for another plan or analysis.",
            "Do it again with --overwrite, or give each plan a --work folder of its own.",
            number=8,
        )
    return report if is_sound(job, number, report) else None


def is_sound(job: Job, number: int, report: SegmentReport, *, quick: bool = False) -> bool:
    """Whether the files of a segment are as its report says.

    Args:
        job: the job.
        number: of the segment.
        report: of it.
        quick: go by their sizes alone.
    """
    if [part.name for part in job.file.parts] != [made.name for made in report.parts]:
        return False
    for part, made in zip(job.file.parts, report.parts, strict=True):
        files = files_of(job, number, part)
        if not all(file.exists() for file in files):
            return False
        if sum(file.stat().st_size for file in files) != made.bytes:
            return False
        if not quick and files_hash(files) != made.sha256:
            return False
    return True


def to_do(job: Job, numbers: Sequence[int], *, resume: bool, overwrite: bool) -> tuple[int, ...]:
    """The segments among ``numbers`` that are to be done.

    Args:
        job: the job.
        numbers: segments asked for.
        resume: leave out those that are done and sound.
        overwrite: do all of them.

    Raises:
        OutputError: one is done already or was begun, and neither was said.
        ConflictError: one was made for another plan.
    """
    if overwrite:
        return tuple(numbers)
    wanted = work_id(job, analysis_of(job))
    done = [n for n in numbers if finished(job, n, wanted) is not None]
    if done and not resume:
        raise OutputError(
            f"Segment {done[0]} is done already: {report_path(job, done[0])}.",
            "Say --resume to leave it, or --overwrite to do it again.",
            number=13,
        )
    todo = tuple(n for n in numbers if n not in done)
    if not resume:
        _see_nothing_is_left(job, todo)
    return todo


def _see_nothing_is_left(job: Job, numbers: Sequence[int]) -> None:
    """See that no file of a segment is there without its report.

    Raises:
        OutputError: one is.
    """
    for number in numbers:
        files = (file for part in job.file.parts for file in files_of(job, number, part))
        if (there := next((file for file in files if file.exists()), None)) is not None:
            raise OutputError(
                f"{there} exists, and no report says that segment {number} is done: a task may "
                "have been stopped.",
                "Say --resume to do what is not done and sound, or --overwrite to do all again.",
                number=16,
            )


def files_hash(files: Sequence[Path]) -> str:
    """SHA-256 of the bytes of files one after the other."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def frame_hash(planes: Sequence[Tensor]) -> str:
    """Hash of a frame's samples, plane after plane."""
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    for plane in planes:
        digest.update(plane.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def frame_hashes(paths: Iterable[Path], threads: int | None = None) -> Iterator[str]:
    """Hashes of the frames of clips or images one after the other, as decoded."""
    return (frame_hash(frame.planes) for frame in frames_of(paths, threads))


def frames_of(paths: Iterable[Path], threads: int | None = None) -> Iterator[SourceFrame]:
    """The frames of clips or images one after the other."""
    for path in paths:
        with Reader(probe(path), threads=threads) as reader:
            yield from reader


def run_segment(
    job: Job,
    number: int,
    progress: run.Progress,
    *,
    device: str,
    analysis: AnalysisRecord | None = None,
    overwrite: bool = False,
    threads: int | None = None,
) -> SegmentReport:
    """Denoise one segment and write it with its report.

    Args:
        job: the job.
        number: of the segment.
        progress: told of every frame.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        analysis: where it was read already.
        overwrite: replace files that are there.
        threads: decoder threads, None for one per core.

    Raises:
        OutputError: it exists, or the folder cannot be written.
        VerifyError: what was written cannot be decoded whole.
    """
    analysis = analysis or analysis_of(job)
    first, last = job.file.segments[number]
    make_folder(job.work)
    plan = run_plan(
        job,
        analysis,
        frames=(first, last),
        targets={
            part.name: (clip_path(job, number, part), part.segment_encode)
            for part in job.file.parts
        },
        device=device,
    )
    started = time.perf_counter()
    result = run.run(
        plan,
        analysis.profile,
        analysis.cuts,
        progress,
        overwrite=overwrite,
        threads=threads,
        segment=True,
    )
    report = SegmentReport(
        work_id=work_id(job, analysis),
        segment=number,
        frames=(first, last),
        parts=tuple(_part_report(job, number, part, threads) for part in job.file.parts),
        engine=fingerprint(plan.device),
        host=platform.node(),
        seconds=round(time.perf_counter() - started, 3),
        busy_seconds={kind: round(value, 3) for kind, value in result.busy.items()},
    )
    write_record(report, report_path(job, number))
    return report


def _part_report(job: Job, number: int, part: OutputPart, threads: int | None) -> PartReport:
    files = files_of(job, number, part)
    try:
        hashes = tuple(frame_hashes(files, threads))
    except InputError:  # another task on this segment may have put its own in their place just now
        hashes = tuple(frame_hashes(files, threads))
    wanted = len(job.file.wanted(number))
    if len(hashes) != wanted:
        raise VerifyError(
            f"{files[0]} holds {len(hashes)} frames that can be decoded, not {wanted}.",
            "Do the segment again with --overwrite; if it stays, look at the disk.",
            number=4,
        )
    return PartReport(
        name=part.name,
        bytes=sum(file.stat().st_size for file in files),
        sha256=files_hash(files),
        frame_hashes=hashes,
    )
