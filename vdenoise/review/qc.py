"""``vdenoise qc``: a result that is on disk against its source."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from vdenoise.engine.run import Progress
from vdenoise.engine.tiles import Area
from vdenoise.errors import GateError
from vdenoise.media.movie.index import index_of
from vdenoise.picture.frame import ClipInfo
from vdenoise.review.alignment import aligned, check_sizes, in_step
from vdenoise.review.contract import positions_held
from vdenoise.review.inspect import Inspector
from vdenoise.review.positions import place_text
from vdenoise.review.repaired import Repairs
from vdenoise.review.verdict import Inspection
from vdenoise.settings.text import counted
from vdenoise.workflows.reading import Reading
from vdenoise.workflows.request import FrameRanges
from vdenoise.workflows.tag import told_plan


def qc_files(
    source: Reading,
    result: Reading,
    progress: Progress,
    *,
    cuts: Sequence[int] | None = None,
    frames: FrameRanges | None = None,
    repairs: Repairs | None = None,
) -> Inspection:
    """Judge a result.

    Args:
        source, result: the clips.
        progress: told of every frame.
        cuts: first frames of new shots; None finds them.
        frames: those of the source that the result holds; None is what its recipe says, else those
            that are shown at the same times.
        repairs: that were made of the source's damage, which are made again to judge against.

    Raises:
        InputError: one cannot be read.
        UsageError: the source has no such frames, or the clips differ in size or in times.
    """
    told = told_plan(result.path)
    source = replace(source, interlaced=told.get("interlaced", source.interlaced))
    infos = [source.probe(), result.probe()]
    check_sizes(infos)
    held = positions_held(infos[0], told, frames)
    part = held != tuple(range(infos[0].readable)) and len(held) == infos[1].readable
    numbers = list(zip(held, range(len(held)), strict=True)) if part else aligned(infos)
    inspector = Inspector(infos[0], infos[1].format, infos[1].full_range)
    progress.start("judge", len(numbers))
    repairs = repairs or Repairs()
    wanted = {number for number, _ in numbers}
    befores = repairs.frames(source, infos[0], min(wanted), max(wanted))
    afters = in_step((result,), infos[1:], [(number,) for _, number in numbers])
    with contextlib.closing(befores), contextlib.closing(afters):
        these = (before for before in befores if before.source.index in wanted)
        for before, (after,) in zip(these, afters, strict=True):
            inspector.push(before.source, after.planes, before.repaired)
            progress.advance({})
    missing = _missing(infos, numbers)
    return inspector.finish(cuts, missing=[k for k in missing if k in held] if part else missing)


def _missing(infos: Sequence[ClipInfo], numbers: Sequence[tuple[int, ...]]) -> list[int]:
    """Source frames between the first and the last of the result that it does not have; where its
    times say nothing of it, those at its end that would make it as long as it says."""
    between = [k for (a, _), (b, _) in pairwise(numbers) for k in range(a + 1, b)]
    source, result = (index_of(info) for info in infos)
    last = numbers[-1][0]
    end = (result.end - result.pts[0]) * result.time_base
    start = source.pts[numbers[0][0]]
    spans = [(k, (source.pts[k] - start) * source.time_base) for k in range(last + 1, len(source))]
    half = 1 / infos[0].rate / 2
    return between + [k for k, time in spans if time < end - half]


def gate_error(found: Inspection, info: ClipInfo, result: str) -> GateError:
    """The error for gates that do not hold."""
    worst = found.failed[0]
    place = "" if worst.frame is None else place_text(info, worst.frame)
    rest = len(found.failed) - 1
    more = f" ({counted(rest, 'gate')} more failed)" if rest else ""
    return GateError(
        f"{result} does not pass: {worst.text(place)}{more}.",
        f"{worst.gate.advice[0].upper()}{worst.gate.advice[1:]}.",
        number=1,
    )


def lines_of(found: Inspection, info: ClipInfo) -> list[tuple[str, ...]]:
    """Gate, figure, limit, verdict and place, as rows of a table."""
    rows: list[tuple[str, ...]] = []
    for verdict in found.verdicts:
        gate = verdict.gate
        fires = verdict.amount > 0
        place = [place_text(info, verdict.frame)] if fires and verdict.frame is not None else []
        if fires and verdict.area is not None:
            a = verdict.area
            place.append(f"x {a.left} y {a.top}, {a.right - a.left}x{a.bottom - a.top}")
        if fires and verdict.detail:
            place.append(verdict.detail)
        digits = 0 if gate.unit == "frames" else 2
        rows.append(
            (
                gate.name,
                f"{verdict.amount:.{digits}f} {gate.unit}",
                f"{gate.limit:g}",
                "ok" if verdict.ok else f"FAILED: {gate.advice}",
                ", ".join(place),
            )
        )
    return rows


def as_json(found: Inspection, source: str, result: str) -> dict[str, object]:
    """The same for programs."""
    return {
        "source": source,
        "result": result,
        "frames": found.frames,
        "passed": not found.failed,
        "gates": [
            {
                "gate": v.gate.name,
                "figure": round(v.amount, 4),
                "unit": v.gate.unit,
                "limit": v.gate.limit,
                "ok": v.ok,
                "frame": v.frame,
                "area": None if v.area is None else _box(v.area),
                "detail": v.detail,
                "advice": None if v.ok else v.gate.advice,
            }
            for v in found.verdicts
        ],
    }


def _box(area: Area) -> list[int]:
    """x, y, width, height."""
    return [area.left, area.top, area.right - area.left, area.bottom - area.top]
