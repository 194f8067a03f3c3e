"""Joining the segments of a plan: the clip that a single pass would have written.

Images are there already, and only seen to be whole. Where each frame is coded alone, the segments'
packets go into the output as they are, with the plan's timestamps. Other codecs are encoded once,
here, from the lossless segments: an encoder that looks ahead gives other bits where its input
begins elsewhere.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vdenoise.engine.plan import Plan
from vdenoise.engine.run import Progress
from vdenoise.errors import VerifyError
from vdenoise.farm.grain import fit_grain
from vdenoise.farm.job import Job, analysis_of, run_plan, shown, work_id
from vdenoise.farm.planfile import OutputPart
from vdenoise.farm.record import Record, read_record, write_record
from vdenoise.farm.segments import (
    SegmentReport,
    clip_path,
    files_of,
    frame_hash,
    frame_hashes,
    frames_of,
)
from vdenoise.filmgrain.table import GrainTable
from vdenoise.machine.files import leftovers
from vdenoise.media.av1.grain import GrainBits
from vdenoise.media.images.sequence import target_of
from vdenoise.media.movie.tag import RecipeTag
from vdenoise.media.movie.writer import MovieWriter
from vdenoise.media.reader import Reader
from vdenoise.media.verify import Report
from vdenoise.media.writer import check_target
from vdenoise.workflows.tag import tag_of

JOINING = "joining.json"  # in the work folder, while outputs may be there that are not done
OLD_SECONDS = 24 * 3600.0  # a temporary file of this age belongs to a task that was killed


@dataclass(frozen=True)
class Assembled:
    """What was joined."""

    plan: Plan
    reports: tuple[SegmentReport, ...]
    report: Report
    seconds: float
    tag: RecipeTag


class Joining(Record):
    """Which outputs were begun: what a killed assemble has finished of them may be replaced."""

    work_id: str
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, job: Job) -> Joining:
        """Note what the joining of a job will write."""
        outputs = tuple(str(job.output(part).absolute()) for part in job.file.parts)
        return cls(work_id=work_id(job, analysis_of(job)), outputs=outputs)


def was_begun(job: Job) -> bool:
    """Whether an assemble of this job, to these outputs, was begun and not ended."""
    path = job.work / JOINING
    return path.exists() and read_record(Joining, path, "note", "Remove it.") == Joining.of(job)


def ended(job: Job) -> None:
    """Everything is done, the recipe as well."""
    (job.work / JOINING).unlink(missing_ok=True)


def assemble(
    job: Job,
    reports: Sequence[SegmentReport],
    progress: Progress,
    settled: Callable[[], None],
    *,
    verify: bool = False,
    overwrite: bool = False,
    threads: int | None = None,
) -> Assembled:
    """Join the segments; each clip gets its name when it was compared with the source.

    Whoever calls this says that it has `ended`, once the recipe is there.

    Args:
        job: the job.
        reports: of all segments (`collect`).
        progress: told of every frame.
        settled: is called when a clip is written, before it is checked and gets its name; what it
            raises ends the joining.
        verify: decode what is finished and compare every frame with its segment's, too.
        overwrite: replace outputs that exist.
        threads: decoder threads, None for one per core.

    Raises:
        VerifyError: a frame is not the one its segment was made with, or a clip does not keep
            what it must.
        OutputError: it exists or cannot be written.
    """
    started = time.perf_counter()
    targets = {part.name: (job.output(part), part.encode) for part in job.file.parts}
    analysis = analysis_of(job)
    plan = run_plan(job, analysis, frames=job.file.frames, targets=targets, device="cpu")
    for part in job.file.parts:
        if part.join != "files":
            check_target(job.info, job.output(part), overwrite=overwrite)
    write_record(Joining.of(job), job.work / JOINING)
    grain: GrainTable | None = None
    if job.grain_table is not None or plan.film_grain is not None:
        grain = fit_grain(job, analysis, plan.film_grain or 0.0, progress, threads)
    if grain is not None and job.grain_table is not None:
        plan = replace(plan, grain_table=job.grain_table)
        grain.save(job.grain_table)
    drawn = None if grain is None or plan.film_grain is None else grain.bits
    tag = tag_of(plan, analysis.profile, analysis.cuts, {})
    found = []
    for place, part in enumerate(job.file.parts):
        hashes = [text for report in reports for text in report.parts[place].frame_hashes]
        if part.join != "files":
            own = part == job.file.clean
            made = _joined(
                job, part, hashes, progress, settled, verify, overwrite, threads,
                drawn if own else None, tag if own else None,
            )  # fmt: skip
        else:
            made = Report(checked=("files",), findings=())
            if verify:
                numbers = range(len(job.file.segments))
                files = [file for n in numbers for file in files_of(job, n, part)]
                _compare(job, files, hashes, progress, threads)
        found.append(made)
    return Assembled(plan, tuple(reports), found[0], time.perf_counter() - started, tag)


def _joined(
    job: Job,
    part: OutputPart,
    hashes: Sequence[str],
    progress: Progress,
    settled: Callable[[], None],
    verify: bool,
    overwrite: bool,
    threads: int | None,
    grain: GrainBits | None,
    tag: RecipeTag | None,
) -> Report:
    """Write one clip from its segments, whose frames have these hashes."""
    (first, last), copied = job.file.frames, part.join == "copy"
    clips = [clip_path(job, n, part) for n in range(len(job.file.segments))]
    with Reader(
        job.info,
        first=first,
        last=first if copied else last,
        threads=threads,
        deinterlace=job.file.interlaced == "deinterlace",
    ) as reader:
        with MovieWriter(
            shown(part, reader.info),
            job.output(part),
            part.encode,
            source=job.source if part == job.file.clean and not job.info.sequence else None,
            first=first,
            last=last,
            overwrite=overwrite,
            grain=grain,
            tag=tag,
        ) as writer:
            progress.start("join", len(hashes))
            written = (
                writer.copy(next(iter(reader)), clips)
                if copied
                else _encoded(clips, hashes, reader, writer)
            )
            for _ in written:
                progress.advance({})
        try:
            settled()
            if verify and copied and writer.temporary is not None:
                _compare(job, [writer.temporary], hashes, progress, threads)
            return writer.commit()
        except BaseException:
            writer.abort()
            raise


def _encoded(
    clips: Sequence[Path], hashes: Sequence[str], reader: Reader, writer: MovieWriter
) -> Iterator[int]:
    """Encode the segments' samples. Everything else of a frame (captions, field flags) is its
    source's, so that is decoded once more."""
    made = frames_of(clips)
    for text, frame, source in zip(hashes, made, reader, strict=False):
        if frame_hash(frame.planes) != text:
            raise _other_frame(source.index)
        writer.write(source, frame.planes)
        yield source.index


def _compare(
    job: Job,
    files: Sequence[Path],
    wanted: Sequence[str],
    progress: Progress,
    threads: int | None,
) -> None:
    progress.start("verify", len(wanted))
    found = 0
    numbers = [n for segment in range(len(job.file.segments)) for n in job.file.wanted(segment)]
    for place, text in enumerate(frame_hashes(files, threads)):
        if place >= len(wanted) or text != wanted[place]:
            raise _other_frame(numbers[min(place, len(numbers) - 1)])
        found += 1
        progress.advance({})
    if found != len(wanted):
        raise VerifyError(
            f"The joined clip holds {found} frames that can be decoded, not {len(wanted)}.",
            "Join it again; if it stays, report this as a bug.",
            number=7,
        )


def _other_frame(number: int) -> VerifyError:
    return VerifyError(
        f"Frame {number} of the joined clip is not the one that its segment was made with.",
        "Do the segment again with --overwrite, and report this as a bug if it stays.",
        number=6,
    )


def remove_old_parts(job: Job) -> int:
    """Remove what killed tasks left behind a day ago, in the work folder and of this job's images;
    returns how many files."""
    found = list(leftovers(job.work))
    for part in job.file.parts:
        if part.join == "files":
            files = target_of(job.info, job.output(part))
            beside = leftovers(files.folder)
            found += [path for path in beside if path.name.startswith(f".{files.prefix}")]
    removed = 0
    for path in found:
        with contextlib.suppress(OSError):  # another assemble may be faster
            if time.time() - path.stat().st_mtime > OLD_SECONDS:
                path.unlink()
                removed += 1
    return removed
