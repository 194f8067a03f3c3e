"""Collecting the segments of a plan: which are there, whole, and made by one kind of machine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from vdenoise.errors import ConflictError, TryAgain
from vdenoise.farm.job import Job, analysis_of, work_id
from vdenoise.farm.planfile import AnalysisRecord
from vdenoise.farm.segments import (
    SegmentReport,
    finished,
)
from vdenoise.farm.split import as_text

POLL_SECONDS = 2.0


def collect(job: Job, wait_seconds: float = 0.0) -> tuple[SegmentReport, ...]:
    """The reports of all segments, each compared with its file's bytes.

    Args:
        job: the job.
        wait_seconds: how long to wait for segments that are not there: the last ones of another
            machine may show late in a shared folder.

    Raises:
        TryAgain: segments are missing or damaged.
        ConflictError: segments were made for another plan.
    """
    until = time.monotonic() + wait_seconds
    wanted = work_id(job, _awaited(job, until))
    found: dict[int, SegmentReport] = {}
    while True:
        with contextlib.suppress(FileNotFoundError):
            list(job.work.iterdir())  # on NFS this, and not a look at one file, asks the server
        for number in range(len(job.file.segments)):
            if number not in found and (report := finished(job, number, wanted)) is not None:
                found[number] = report
        missing = tuple(n for n in range(len(job.file.segments)) if n not in found)
        if not missing:
            return tuple(found[n] for n in sorted(found))
        if time.monotonic() >= until:
            raise TryAgain(
                f"{len(missing)} of {len(job.file.segments)} segments are missing or damaged: "
                f"{as_text(missing)}.",
                f"Do them with: vdenoise run {job.words} --segments {as_text(missing)} --resume",
                number=2,
            )
        time.sleep(min(POLL_SECONDS, max(until - time.monotonic(), 0.01)))


def _awaited(job: Job, until: float) -> AnalysisRecord:
    """The analysis, which a shared folder may show late.

    Raises:
        TryAgain: it is not there in time.
    """
    while True:
        try:
            return analysis_of(job)
        except TryAgain:
            if time.monotonic() >= until:
                raise
        time.sleep(min(POLL_SECONDS, max(until - time.monotonic(), 0.01)))


def check_engines(reports: Sequence[SegmentReport], *, allow_mixed: bool) -> tuple[str, ...]:
    """See that one engine made all segments; returns what differs, where that is allowed.

    Raises:
        ConflictError: engines differ.
    """
    engines: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for report in reports:
        engines.setdefault(tuple(sorted(report.engine.items())), []).append(report.segment)
    if len(engines) == 1:
        return ()
    keys = sorted({key for engine in engines for key, _ in engine})
    differing = [key for key in keys if len({dict(engine).get(key) for engine in engines}) > 1]
    texts = tuple(
        f"segments {as_text(tuple(numbers))}: "
        + ", ".join(f"{key} {dict(engine).get(key)}" for key in differing)
        for engine, numbers in engines.items()
    )
    if not allow_mixed:
        raise ConflictError(
            f"The segments come from {len(engines)} kinds of machine: {'; '.join(texts)}.",
            "Do those of one kind again with --overwrite, or say --allow-mixed: their pixels may "
            "differ by a code.",
            number=9,
        )
    return texts
