"""Timestamps and timecode of an output, from those of the source."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer

from vdenoise.media.movie.demuxers import joined_in
from vdenoise.media.movie.ordering import FrameIndex

_MILLISECOND_CONTAINERS = ("matroska", "webm")
CONSTANT_RATE_CONTAINERS = ("yuv4mpegpipe", "avi", "mxf")  # they store a rate, no timestamps
DROPS = "avi"  # the one of them that can leave a frame out: the one before is shown for longer


@dataclass(frozen=True)
class Clock:
    """When each output frame is shown."""

    time_base: Fraction
    first: int  # absolute number of the first frame
    pts: tuple[int, ...]
    durations: tuple[int, ...]
    shift: Fraction  # seconds taken off the source's timestamps
    begin: Fraction = Fraction(0)  # seconds at which the first frame is to be shown
    end: Fraction | None = None  # source time of the first frame left out, None at the clip's end

    def at(self, number: int) -> tuple[int, int]:
        """(pts, duration) of the frame with this absolute number."""
        return self.pts[number - self.first], self.durations[number - self.first]

    def holds(self, time: Fraction) -> bool:
        """Whether what the source shows at this time belongs to the part that is written."""
        return (self.end is None or time < self.end) and (self.first == 0 or time >= self.shift)

    def number(self, pts: int) -> int:
        """Absolute number of the frame that is shown at this time."""
        return self.first + bisect_left(self.pts, pts)


def starts_anew(container: InputContainer, rate: Fraction) -> bool:
    """Whether the timecode of a later part is not that of the first one, counted on.

    Args:
        container: an open movie.
        rate: frames per second.
    """
    told = joined_in(container)
    if told is None or not told.timecodes or told.timecodes[0] is None:
        return False
    return any(
        timecode is not None
        and timecode != advanced_timecode(told.timecodes[0], round(begin * rate), rate)
        for timecode, begin in zip(told.timecodes, told.begins, strict=True)
    )


class SampleClock:
    """Counts the time of decoded sound by its samples: a source's ticks may be longer than its
    packets (TrueHD in Matroska), and no muxer takes two packets at one time.

    Args:
        tick: seconds, in which the source tells times.
    """

    def __init__(self, tick: Fraction) -> None:
        self._tick = tick
        self._last: Fraction | None = None
        self._end = Fraction(0)

    def place(self, told: Fraction | None, lasting: Fraction) -> Fraction:
        """When the next samples are heard: behind the last ones, or, where the source tells of a
        time that is further off than a tick, then.

        Args:
            told: seconds; None where the source does not say.
            lasting: seconds.
        """
        at = self._end
        if told is not None and (
            self._last is None or (abs(told - at) > self._tick and told > self._last)
        ):
            at = told
        self._last, self._end = at, at + lasting
        return at


def output_clock(index: FrameIndex, container: str, first: int, last: int) -> Clock:
    """The clock of frames ``first`` to ``last`` in a container.

    Timestamps stay as they are; a part of a clip is moved so that its first frame is at 0. Where
    the source only has whole milliseconds (Matroska) and the output can do better, a constant
    rate is written exactly instead of with the source's rounding.
    """
    base, shift = index.time_base, Fraction(0)
    if first > 0:
        shift = index.pts[first] * base
    start = index.pts[first] * base - shift
    coarse = base == Fraction(1, 1000) and container not in _MILLISECOND_CONTAINERS
    end = index.pts[last + 1] * base if last + 1 < len(index) else None
    frames = last - first + 1
    if container in CONSTANT_RATE_CONTAINERS:
        counted = tuple(range(frames))
        if container == DROPS and index.variable_rate and index.places is not None:
            counted = tuple(place - index.places[first] for place in index.places[first : last + 1])
        return Clock(1 / index.rate, first, counted, (1,) * frames, shift, start, end)
    if coarse and not index.variable_rate:
        # Fine enough for the start: at 25 frames per second it may lie on any millisecond.
        base = Fraction(1, math.lcm(index.rate.numerator, 1000))
        step = int(1 / index.rate / base)
        begin = round(start / base)
        return Clock(
            time_base=base,
            first=first,
            pts=tuple(begin + n * step for n in range(frames)),
            durations=(step,) * frames,
            shift=shift,
            begin=start,
            end=end,
        )
    offset = index.pts[first] if first > 0 else 0
    return Clock(
        time_base=base,
        first=first,
        pts=tuple(pts - offset for pts in index.pts[first : last + 1]),
        durations=index.durations[first : last + 1],
        shift=shift,
        begin=start,
        end=end,
    )


def advanced_timecode(timecode: str, frames: int, rate: Fraction) -> str:
    """SMPTE ST 12-1 timecode ``frames`` frames later; drop-frame where it is written with ``;``.

    Drop-frame leaves out the numbers 0 and 1 (0 to 3 at 59.94) of each minute but every tenth.
    """
    if frames == 0:
        return timecode
    per_second = round(rate)
    drop = 2 * max(per_second // 30, 1) if ";" in timecode or "." in timecode else 0
    hours, minutes, seconds, count = (
        int(part) for part in timecode.replace(";", ":").replace(".", ":").split(":")
    )
    total_minutes = hours * 60 + minutes
    number = (total_minutes * 60 + seconds) * per_second + count + frames
    number -= drop * (total_minutes - total_minutes // 10)
    if drop:
        per_ten = 600 * per_second - 9 * drop
        tens, rest = divmod(number, per_ten)
        extra = (
            0
            if rest < 60 * per_second
            else 1 + (rest - 60 * per_second) // (60 * per_second - drop)
        )
        number += drop * (9 * tens + extra)
    seconds, count = divmod(number, per_second)
    return (
        f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        f"{';' if drop else ':'}{count:02d}"
    )


# SMPTE ST 12-1, as EXR and DPX store it: digits of four bits from the frames up, and the bits that
# each has in use; between them flags, of which bit 6 says that frame numbers are dropped.
_DIGITS = ((0, 4), (4, 2), (8, 4), (12, 3), (16, 4), (20, 3), (24, 4), (28, 2))
_DROP = 1 << 6


def timecode_of(word: int) -> str | None:
    """Timecode from the 32 bits that images hold; None where they hold none."""
    low = [word >> shift & (1 << bits) - 1 for shift, bits in _DIGITS]
    frames, seconds, minutes, hours = (a + 10 * b for a, b in zip(low[::2], low[1::2], strict=True))
    if word == 0xFFFFFFFF or max(low[::2]) > 9 or seconds > 59 or minutes > 59 or hours > 23:
        return None
    mark = ";" if word & _DROP else ":"
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{mark}{frames:02d}"


def timecode_word(timecode: str) -> int:
    """The reverse of :func:`timecode_of`."""
    digits = [int(c) for c in reversed(timecode) if c.isdecimal()]
    word = sum(digit << shift for digit, (shift, _) in zip(digits, _DIGITS, strict=True))
    return word | (0 if timecode[-3] == ":" else _DROP)
