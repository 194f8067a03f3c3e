"""Places in a clip as people say them, and as they are told."""

from __future__ import annotations

import re
from bisect import bisect_right

from vdenoise.errors import UsageError
from vdenoise.media.inputs import display
from vdenoise.media.movie.index import index_of
from vdenoise.picture.frame import ClipInfo

_FRAME = re.compile(r"(\d{1,18})f")
_TIME = re.compile(r"(?:(?:(\d{1,9}):)?(\d{1,9}):)?(\d{1,18}(?:\.\d{,18})?)")


def frame_at(info: ClipInfo, text: str) -> int:
    """The number of the frame that is shown at a time: ``12.5`` seconds, ``1:02:03.5``; or of a
    frame that is named: ``120f``, counted from 0 or as images are numbered.

    Raises:
        UsageError: it is no such place, or the clip ends before it.
    """
    text = text.strip()
    if named := _FRAME.fullmatch(text):
        number = int(named[1])
        numbers = None if info.sequence is None else info.sequence.numbers
        if numbers is None and number < info.readable:
            return number
        if numbers is not None and number in numbers:
            return numbers.index(number)
        first, last = (0, info.readable - 1) if numbers is None else (numbers[0], numbers[-1])
        raise UsageError(
            f"{display(info.path)} has the frames {first}-{last}, not {number}.",
            f"Name a frame between {first} and {last}.",
            number=20,
        )
    time = _TIME.fullmatch(text)
    if time is None:
        raise UsageError(
            f"--at {text} is no place in a clip.",
            "Give seconds (12.5), a time (00:00:12.5) or a frame (300f).",
            number=161,
        )
    seconds = int(time[1] or 0) * 3600 + int(time[2] or 0) * 60 + float(time[3])
    index = index_of(info)
    if seconds >= (end := float((index.end - index.pts[0]) * index.time_base)):
        raise UsageError(
            f"--at {text} is past the end: {display(info.path)} lasts {clock_text(end)}.",
            f"Name a time before {clock_text(end)}.",
            number=162,
        )
    ticks = index.pts[0] + seconds / float(index.time_base) + 1e-6
    found = max(bisect_right(index.pts, ticks) - 1, 0)
    return min(found, info.readable - 1)


def clock_text(seconds: float) -> str:
    """``00:00:12.500``."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def place_text(info: ClipInfo, frame: int) -> str:
    """``frame 120, 00:00:04.800``; of images their number alone."""
    if info.sequence is not None:
        return f"frame {info.sequence.numbers[frame]}"
    index = index_of(info)
    seconds = float((index.pts[frame] - index.pts[0]) * index.time_base)
    return f"frame {frame}, {clock_text(seconds)}"
