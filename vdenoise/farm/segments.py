"""Doing some segments of a plan, and knowing which are done.

A segment is a clip of the frames' own packets or of lossless ones, and a report beside it that
holds the hash of every frame. It counts as done when the report fits the plan and the file's
bytes. Both appear complete or not at all, so a task may be killed at any moment, run again, or
run twice at once.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from vdenoise import run
from vdenoise.errors import ConflictError, OutputError, VerifyError
from vdenoise.farm.engine import fingerprint
from vdenoise.farm.job import Job, analysis_of, make_folder, run_plan, work_id
from vdenoise.farm.planfile import Analysis, Record, read_record, write_record
from vdenoise.media.codecs import CONTAINERS
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader

HASH_BYTES = 16  # of a frame's BLAKE2b


class SegmentReport(Record):
    """What is known of a finished segment."""

    kind: Literal["vdenoise-segment"] = "vdenoise-segment"
    schema_version: Literal[1] = 1
    work_id: str
    segment: int
    frames: tuple[int, int]
    bytes: int
    sha256: str
    frame_hashes: tuple[str, ...]  # of the samples, as decoded from the file
    engine: dict[str, str]
    host: str
    seconds: float
    busy_seconds: dict[str, float]


@dataclass(frozen=True)
class Place:
    """Where a segment lies."""

    clip: Path
    report: Path


def place_of(job: Job, number: int) -> Place:
    """The files of a segment: ``seg_000012_0000288-0000311.mov`` and ``.json``."""
    first, last = job.file.segments[number]
    stem = f"seg_{number:06d}_{first:07d}-{last:07d}"
    kind = job.file.segment_encode.container
    extension = next(end for end, container in CONTAINERS.items() if container == kind)
    return Place(job.work / f"{stem}{extension}", job.work / f"{stem}.json")


def finished(job: Job, number: int, wanted: str) -> SegmentReport | None:
    """The report of a segment that is done and sound, None where it is to be done (again).

    Args:
        job: the job.
        number: of the segment.
        wanted: the `work_id` it must have been made for.

    Raises:
        ConflictError: it was made for another plan.
    """
    place = place_of(job, number)
    if not place.report.exists():
        return None
    report = read_record(SegmentReport, place.report, "segment report", "Remove it.")
    if report.work_id != wanted:
        raise ConflictError(
            f"{place.clip} was made for another plan or analysis.",
            "Do it again with --overwrite, or give each plan a --work folder of its own.",
            number=8,
        )
    if not place.clip.exists() or place.clip.stat().st_size != report.bytes:
        return None
    return report if file_hash(place.clip) == report.sha256 else None


def to_do(job: Job, numbers: Sequence[int], *, resume: bool, overwrite: bool) -> tuple[int, ...]:
    """The segments among ``numbers`` that are to be done.

    Args:
        job: the job.
        numbers: segments asked for.
        resume: leave out those that are done and sound.
        overwrite: do all of them.

    Raises:
        OutputError: one is done already, and neither was said.
        ConflictError: one was made for another plan.
    """
    if overwrite:
        return tuple(numbers)
    wanted = work_id(job, analysis_of(job))
    done = [n for n in numbers if finished(job, n, wanted) is not None]
    if done and not resume:
        raise OutputError(
            f"Segment {done[0]} is done already: {place_of(job, done[0]).clip}.",
            "Say --resume to leave it, or --overwrite to do it again.",
            number=13,
        )
    return tuple(n for n in numbers if n not in done)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def frame_hash(planes: Sequence[Tensor]) -> str:
    """Hash of a frame's samples, plane after plane."""
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    for plane in planes:
        digest.update(plane.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def frame_hashes(path: Path, threads: int | None = None) -> Iterator[str]:
    """Hashes of the frames of a clip, as decoded."""
    with Reader(probe(path), threads=threads) as reader:
        for frame in reader:
            yield frame_hash(frame.planes)


def run_segment(
    job: Job,
    number: int,
    progress: run.Progress,
    *,
    device: str,
    analysis: Analysis | None = None,
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
    place = place_of(job, number)
    make_folder(job.work)
    plan = run_plan(
        job,
        analysis,
        frames=(first, last),
        output=place.clip,
        encode=job.file.segment_encode,
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
    hashes = tuple(frame_hashes(place.clip, threads))
    if len(hashes) != last - first + 1:
        raise VerifyError(
            f"{place.clip} holds {len(hashes)} frames that can be decoded, not {last - first + 1}.",
            "Do the segment again with --overwrite; if it stays, look at the disk.",
            number=4,
        )
    report = SegmentReport(
        work_id=work_id(job, analysis),
        segment=number,
        frames=(first, last),
        bytes=place.clip.stat().st_size,
        sha256=file_hash(place.clip),
        frame_hashes=hashes,
        engine=fingerprint(plan.device),
        host=platform.node(),
        seconds=round(time.perf_counter() - started, 3),
        busy_seconds={kind: round(value, 3) for kind, value in result.busy.items()},
    )
    write_record(report, place.report)
    return report
