"""Where a clip is cut into segments. Edges mean nothing for the result, only for the work."""

from __future__ import annotations

from vdenoise.errors import UsageError

# Seconds to denoise a million pixels of one frame on two cores, roughly (benchmarks/speed.py has
# the first two of them); only the length of segments rests on it.
SECONDS_PER_MEGAPIXEL = {"veryfast": 0.15, "fast": 0.25, "base": 0.75, "slow": 1.5, "veryslow": 3.0}
TARGET_SECONDS = 600.0  # of work in one segment: what a kill can cost
LEAST_FRAMES, MOST_FRAMES = 24, 2000
HANDLE_FACTOR = 8  # at least this many times the handles: they cost 1/8 at most


def segment_length(pixels: int, speed: str, reach: int) -> int:
    """Frames of a segment that takes about ten minutes and is long against its handles.

    Args:
        pixels: of one frame.
        speed: the ``--speed`` word.
        reach: frames that a frame needs on each side.
    """
    wanted = round(TARGET_SECONDS / (SECONDS_PER_MEGAPIXEL[speed] * pixels / 1e6))
    return min(max(wanted, LEAST_FRAMES, HANDLE_FACTOR * 2 * reach), MOST_FRAMES)


def split(first: int, last: int, length: int) -> tuple[tuple[int, int], ...]:
    """Segments (first, last frame) of the frames ``first`` to ``last``.

    Edges are multiples of ``length`` counted from the clip's first frame, so that the plan of a
    part of a clip has the same ones. A last segment of less than half goes to the one before.
    """
    assert length >= 1 and first <= last
    starts = [first, *range((first // length + 1) * length, last + 1, length)]
    if len(starts) > 1 and 2 * (last + 1 - starts[-1]) < length:
        starts.pop()
    stops = [*starts[1:], last + 1]
    return tuple((a, b - 1) for a, b in zip(starts, stops, strict=True))


def parse_numbers(text: str, count: int) -> tuple[int, ...]:
    """``3-5,9`` to segment numbers in order, each once.

    Raises:
        UsageError: it has another form, or the plan has fewer segments.
    """
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else True)):
            raise UsageError(
                f"{text!r} does not name segments.", "For example: --segments 3-5,9", number=136
            )
        begin, end = int(first), int(last or first)
        if not begin <= end < count:
            raise UsageError(
                f"The plan has the segments 0-{count - 1}, not {part.strip()}.",
                f"Name segments between 0 and {count - 1}, as A or A-B.",
                number=92,
            )
        found.update(range(begin, end + 1))
    return tuple(sorted(found))


def as_text(numbers: tuple[int, ...]) -> str:
    """Segment numbers the way they are typed: ``3-5,9``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)
