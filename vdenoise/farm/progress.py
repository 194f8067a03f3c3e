"""How far the job of a plan is: what is done of each segment, and whether all is joined."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any, Literal

from vdenoise.errors import TryAgain
from vdenoise.farm.assemble import JOINING
from vdenoise.farm.job import Job, analysis_of, work_id
from vdenoise.farm.recipe import is_done
from vdenoise.farm.segments import (
    SegmentReport,
    files_of,
    is_sound,
    report_of,
    report_path,
    report_stem,
)
from vdenoise.machine.files import leftovers

State = Literal["done", "missing", "begun", "damaged", "foreign"]
Stage = Literal["measure", "denoise", "join", "joining", "joined"]


@dataclass(frozen=True)
class SegmentProgress:
    """What is there of a segment."""

    segment: int
    frames: tuple[int, int]  # in the numbers people see
    state: State
    report: SegmentReport | None = None  # of what is done
    idle_seconds: float | None = None  # of what is begun: since something was last written of it

    def to_json(self) -> dict[str, Any]:
        """Make plain values of it, for programs."""
        told = {"segment": self.segment, "frames": self.frames, "state": self.state}
        if self.report is not None:
            told |= {
                "bytes": sum(part.bytes for part in self.report.parts),
                "seconds": self.report.seconds,
                "host": self.report.host,
                "engine": self.report.engine,
            }
        if self.idle_seconds is not None:
            told["idle_seconds"] = round(self.idle_seconds, 1)
        return told

    @property
    def line(self) -> str:
        """Say it in one line, for people: ``segment 3  288-311  done    24 frames  8.1 s  2.96 fps
        node07``."""
        first, last = self.frames
        said = f"segment {self.segment}  {first}-{last}  {self.state.ljust(7)}"
        if self.report is not None:
            count = len(self.report.parts[0].frame_hashes)
            rate = f"  {count / self.report.seconds:.3g} fps" if self.report.seconds else ""
            said += f"  {count} frames  {self.report.seconds:.1f} s{rate}  {self.report.host}"
        if self.idle_seconds is not None:
            said += f"  last written {self.idle_seconds:.0f} s ago"
        return said.rstrip()


@dataclass(frozen=True)
class JobProgress:
    """How far a job is."""

    stage: Stage  # what is to be done next, or is done
    segments: tuple[SegmentProgress, ...]

    def numbers(self, *states: State) -> tuple[int, ...]:
        """The segments that are in one of these states."""
        return tuple(one.segment for one in self.segments if one.state in states)

    @property
    def to_do(self) -> tuple[int, ...]:
        """The segments that tasks must still do; none of a clip that is joined."""
        return () if self.stage == "joined" else self.numbers("missing", "begun", "damaged")

    @property
    def seconds(self) -> float:
        """What the segments that are done took."""
        return sum(one.report.seconds for one in self.segments if one.report is not None)


def progress_of(job: Job, *, quick: bool = False) -> JobProgress:
    """See how far a job is.

    Args:
        job: the job.
        quick: believe a segment whose files have the right size, instead of reading every byte.
    """
    try:
        wanted = work_id(job, analysis_of(job))
    except TryAgain:
        wanted = None
    begun = {}
    for path in leftovers(job.work):
        with contextlib.suppress(FileNotFoundError):  # it got its name in this moment
            begun[path.name] = path.stat().st_mtime
    segments = tuple(
        _of_segment(job, number, wanted, begun, quick=quick)
        for number in range(len(job.file.segments))
    )
    return JobProgress(_stage(job, wanted, segments), segments)


def _stage(job: Job, wanted: str | None, segments: tuple[SegmentProgress, ...]) -> Stage:
    if is_done(job):
        return "joined"
    if (job.work / JOINING).exists():
        return "joining"
    if wanted is None:
        return "measure"
    return "join" if all(one.state == "done" for one in segments) else "denoise"


def _of_segment(
    job: Job, number: int, wanted: str | None, begun: dict[str, float], *, quick: bool
) -> SegmentProgress:
    def found(state: State, **more: Any) -> SegmentProgress:
        return SegmentProgress(number, job.numbers(number), state, **more)

    told = report_path(job, number).exists()
    if (report := report_of(job, number)) is not None:
        if report.work_id != wanted:
            return found("foreign")
        if is_sound(job, number, report, quick=quick):
            return found("done", report=report)
    stem = f".{report_stem(job, number)}"
    times = [when for name, when in begun.items() if name.startswith(stem)]
    if not told:
        files = (file for part in job.file.parts for file in files_of(job, number, part))
        times += [file.stat().st_mtime for file in files if file.exists()]
    if times:
        return found("begun", idle_seconds=max(time.time() - max(times), 0.0))
    return found("damaged" if told else "missing")
