"""Several clips in step: frames that are shown at the same time, or a refusal with both numbers."""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Generator, Sequence
from fractions import Fraction

from vdenoise.errors import UsageError
from vdenoise.media.inputs import display
from vdenoise.media.movie.index import index_of
from vdenoise.picture.frame import ClipInfo, SourceFrame
from vdenoise.workflows.reading import Reading

Times = list[Fraction]


def check_sizes(infos: Sequence[ClipInfo]) -> None:
    """See that clips have one size.

    Raises:
        UsageError: they do not.
    """
    first = infos[0]
    for info in infos[1:]:
        if (info.width, info.height) != (first.width, first.height):
            raise UsageError(
                f"{display(first.path)} is {first.width}x{first.height} and {display(info.path)} "
                f"is {info.width}x{info.height}.",
                "Scale one of them first: pixels are compared one by one.",
                number=167,
            )


def aligned(infos: Sequence[ClipInfo]) -> list[tuple[int, ...]]:
    """Numbers of the frames that are shown together, one of each clip: all of the shortest one.

    Times are those of the files; where these do not fit, they are counted from each clip's first
    frame. They may differ by as much as containers round them.

    Raises:
        UsageError: some frame of the shortest has none beside it in another clip.
    """
    for from_start in (False, True):
        times = [_times(info, from_start=from_start) for info in infos]
        shortest = min(times, key=len)
        found = [_nearest(shortest, other, _tolerance(infos)) for other in times]
        if all(numbers is not None for numbers in found):
            return list(zip(*(n for n in found if n is not None), strict=True))
    a, b = _unlike(infos)
    raise UsageError(
        f"{display(a.path)} has {a.frames} frames at {float(a.rate):.6g} fps and "
        f"{display(b.path)} {b.frames} at {float(b.rate):.6g} fps: they are not shown at the same "
        "times.",
        "Compare clips of one rate of which one is a part of the other.",
        number=168,
    )


def in_step(
    readings: Sequence[Reading], infos: Sequence[ClipInfo], numbers: Sequence[tuple[int, ...]]
) -> Generator[tuple[SourceFrame, ...], None, None]:
    """The frames of several clips, together.

    Args:
        readings: how each is read.
        infos: the clips.
        numbers: from `aligned`.

    Raises:
        InputError: one cannot be read.
    """
    with contextlib.ExitStack() as stack:
        streams = []
        for n, (reading, info) in enumerate(zip(readings, infos, strict=True)):
            first, last = numbers[0][n], numbers[-1][n]
            reader = stack.enter_context(reading.reader(info, first, last))
            streams.append(iter(reader))
        for wanted in numbers:
            yield tuple(
                next(frame for frame in stream if frame.index == number)
                for stream, number in zip(streams, wanted, strict=True)
            )


def _times(info: ClipInfo, *, from_start: bool) -> Times:
    index = index_of(info)
    ticks: Sequence[int] = index.pts
    if info.sequence is not None:
        ticks = info.sequence.numbers
    start = ticks[0] if from_start else 0
    return [(tick - start) * index.time_base for tick in ticks[: info.readable]]


def _tolerance(infos: Sequence[ClipInfo]) -> Fraction:
    """Allow as much as two containers may round a time, but never as much as half a frame."""
    ticks = sum(sorted((index_of(info).time_base for info in infos), reverse=True)[:2])
    return min(Fraction(ticks), min(1 / info.rate for info in infos) / 3)


def _nearest(wanted: Times, there: Times, tolerance: Fraction) -> list[int] | None:
    """Find for each time the frame that is shown then; None where there is none for one of them."""
    found = []
    for time in wanted:
        n = bisect_left(there, time)
        near = [k for k in (n - 1, n) if 0 <= k < len(there)]
        best = min(near, key=lambda k: abs(there[k] - time))
        if abs(there[best] - time) > tolerance:
            return None
        found.append(best)
    return found if len(set(found)) == len(found) else None


def _unlike(infos: Sequence[ClipInfo]) -> tuple[ClipInfo, ClipInfo]:
    first = infos[0]
    for other in infos[1:]:
        if (other.frames, other.rate) != (first.frames, first.rate):
            return first, other
    return first, infos[-1]
