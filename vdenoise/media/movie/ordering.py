"""The frames of a clip in the order in which they are shown, from the times of its packets."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from vdenoise.errors import InputError
from vdenoise.media.inputs import display, open_input, prepare_decoder, video_of
from vdenoise.media.memory import see_memory
from vdenoise.media.movie.demuxers import kinds_of
from vdenoise.media.movie.edit_lists import played_until
from vdenoise.media.movie.packets import PicturePackets

COMMON_RATES = tuple(
    Fraction(rate * 1000, unit)
    for rate in (24, 25, 30, 48, 50, 60, 100, 120)
    for unit in (1001, 1000)
)
_MOST = 2**31 - 1  # in either part of the fractions that FFmpeg holds
_AROUND = 125  # frames
_PEEK = 4  # frames decoded to see that packets and frames are one to one


@dataclass(frozen=True)
class FrameIndex:
    """All frames of a clip in presentation order."""

    pts: tuple[int, ...]
    durations: tuple[int, ...]  # in ticks; 0 where unknown
    keys: tuple[int, ...]  # frame numbers that decoding can start at
    time_base: Fraction
    rate: Fraction
    variable_rate: bool
    counted: bool  # timestamps are missing or broken: frame n is shown at n / rate
    truncated: str = ""  # what is missing, in words; empty for a whole file
    checks: tuple[int, ...] = ()  # CRC-32 of each frame's packet (of images: in their sequence)

    def __len__(self) -> int:
        return len(self.pts)

    @cached_property
    def numbers(self) -> Mapping[int | None, int]:
        """The number of the frame that is shown at a tick."""
        return {pts: n for n, pts in enumerate(self.pts)}

    @cached_property
    def places(self) -> tuple[int, ...] | None:
        """How many frames of the rate fit before each frame, where all times are whole frames: the
        frames' numbers, but where some were dropped. None where times lie between."""
        lasting = 1 / (self.rate * self.time_base)
        counts = [(pts - self.pts[0]) / lasting for pts in self.pts]
        if any(count.denominator != 1 for count in counts):
            return None
        return tuple(int(count) for count in counts)

    def soonest(self, near: int, length: int) -> int:
        """Where a stretch of some frames begins that is decoded soonest, in a few seconds around a
        frame: decoding starts one keyframe before the one that it needs.

        Args:
            near: number of that frame.
            length: frames of the stretch.
        """
        low, high = bisect_left(self.keys, near - _AROUND), bisect_right(self.keys, near + _AROUND)
        begins = [
            (self.keys[n] - self.keys[n - 1], abs(self.keys[n] + 1 - near), self.keys[n] + 1)
            for n in range(max(low, 1), high)
            if self.keys[n] + 1 + length <= len(self)
        ]
        return min(begins)[2] if begins and near > 0 else near

    @property
    def end(self) -> int:
        """Tick at which the last frame ends."""
        return self.pts[-1] + self.durations[-1]


def ordered(
    path: Path,
    container: av.container.InputContainer,
    stream: VideoStream,
    found: PicturePackets,
    truncated: str = "",
) -> FrameIndex:
    """The index that the packets of the picture come to.

    Args:
        path: the clip.
        container: it, opened.
        stream: its picture.
        found: the packets of that.
        truncated: what the file lacks, in words.

    Raises:
        InputError: the clip cannot be opened.
    """
    told = _told_end(container, stream) if not found.hidden else None
    base = stream.time_base or Fraction(1, 1000)
    rates = [
        Fraction(rate)
        for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate)
        if rate
    ] or [Fraction(25)]
    if len(found.pts) == 1 and found.durations[0]:
        rates = _rates_of_one(found.durations[0] * base, rates)
    # An AVI tells no times. Where frames depend on later ones, FFmpeg gives each the time of
    # its packet and some delay: in another order than they are shown.
    guessed = "avi" in kinds_of(container) and found.delayed
    known = [pts for pts in found.pts if pts is not None]
    counted = len(known) < len(found.pts) or len(set(known)) < len(known) or not known
    # Where the times jump back, as in joined files, their order is not that of the frames.
    counted = counted or guessed or found.onward.moved > 0
    if not counted:
        decoded = _decoded_pts(path, known)
        if decoded is not None:
            checks = found.checks or [0] * len(known)  # none where only times were looked at
            facts = zip(found.durations, found.keys, checks, strict=True)
            lookup = dict(zip(known, facts, strict=True))
            kept = [lookup.get(pts, (0, False, 0)) for pts in decoded]
            found.pts = list(decoded)
            found.durations = [duration for duration, _, _ in kept]
            found.keys = [key for _, key, _ in kept]
            found.checks = [check for _, _, check in kept] if found.checks else []
            known = decoded
    if counted:
        rate = _held_rate(rates[0], display(path))
        begin = Fraction(0)
        if known and not guessed:
            begin = (known[0] if found.onward.moved else min(known)) * base
        ticks, step = _counted_ticks(rate, begin)
        return FrameIndex(
            pts=tuple(round(begin / ticks) + n * step for n in range(len(found.pts))),
            durations=(step,) * len(found.pts),
            keys=(0,),
            time_base=ticks,
            rate=rate,
            variable_rate=False,
            counted=True,
            truncated=truncated,
            checks=tuple(found.checks),
        )
    order = sorted(range(len(known)), key=known.__getitem__)
    pts = [known[i] for i in order]
    rate, variable = _clock(pts, base, rates)
    rate = _held_rate(rate, display(path))
    final = told - pts[-1] if told is not None else found.durations[order[-1]]
    nominal = round(1 / (rate * base))
    if not 0 < final <= 100 * nominal:
        final = nominal
    # A packet's own duration is the step to the next packet, not to the next frame shown.
    durations = [b - a for a, b in pairwise(pts)] + [final]
    return FrameIndex(
        pts=tuple(pts),
        durations=tuple(durations),
        keys=tuple(n for n, i in enumerate(order) if found.keys[i]),
        time_base=base,
        rate=rate,
        variable_rate=variable,
        counted=False,
        truncated=truncated,
        checks=tuple(found.checks[i] for i in order) if found.checks else (),
    )


def _rates_of_one(lasting: Fraction, told: list[Fraction]) -> list[Fraction]:
    """Rates that a single frame can have: as long as it lasts, which containers know better than
    how many a second there would be of it. The nearest common one, for milliseconds are rounded."""
    common = min((*told, *COMMON_RATES), key=lambda rate: abs(1 / rate - lasting))
    near = abs(1 / common - lasting) < Fraction(1, 2000)
    return [common if near else 1 / lasting, *told]


def _counted_ticks(rate: Fraction, begin: Fraction) -> tuple[Fraction, int]:
    """Ticks that tell when the first of evenly spaced frames is shown, and how many of them a frame
    lasts: sound stands beside the picture by the file's own times."""
    if begin == 0:
        return 1 / rate, 1
    fine = math.lcm(rate.numerator, 1000)
    ticks = Fraction(1, fine if fine <= _MOST else rate.numerator)
    return ticks, int(1 / rate / ticks)


def _held_rate(rate: Fraction, name: str) -> Fraction:
    """The nearest rate that FFmpeg can hold: means of long clips have more digits.

    Raises:
        InputError: it has none, for times that no clip has.
    """
    whole = math.ceil(max(rate, 1 / rate))
    if whole > _MOST:
        raise InputError(
            f"The times of {name} are damaged: its frames are {float(1 / rate):.1g} s apart.",
            "Copy the file again, or give it new times with a program that copies streams.",
            number=8,
        )
    if rate >= 1:
        return rate.limit_denominator(_MOST // whole)
    return 1 / (1 / rate).limit_denominator(_MOST // whole)


def _told_end(container: av.container.InputContainer, stream: VideoStream) -> int | None:
    """Where QuickTime files say that the picture ends, in ticks."""
    if "mov" not in kinds_of(container) or not stream.duration or not stream.time_base:
        return None
    told = (stream.start_time or 0) + stream.duration
    return round(played_until(container, stream.id, told * stream.time_base) / stream.time_base)


def _decoded_pts(path: Path, known: list[int]) -> list[int] | None:
    """Timestamps of the decoded frames, where they are not those of the packets.

    Field pairs in two packets, hidden VP8 frames and leading pictures of an open first group
    have packets that never become a frame. A few frames tell; only then is the clip decoded.
    """
    expected = sorted(known)
    with open_input(path) as container:
        stream = video_of(container, path)
        hides = stream.codec_context.name in ("vp8", "libvpx")
        prepare_decoder(stream, threads=1)  # left before its end: see inputs.release
        first: list[int] = []
        for pts, sound in _decode_all(container, stream):
            if not sound:
                return None  # damage is the reader's to tell
            first.append(pts)
            if len(first) >= _PEEK:
                break
        if first == expected[: len(first)] and not hides:
            return None
    with open_input(path) as container:
        stream = video_of(container, path)
        prepare_decoder(stream)
        decoded = []
        for pts, sound in _decode_all(container, stream):
            if not sound:
                return None
            decoded.append(pts)
    return sorted(set(decoded)) or None


def _decode_all(
    container: av.container.InputContainer, stream: VideoStream
) -> Iterator[tuple[int, bool]]:
    """(pts, sound) of every frame; one (0, False) and the end where anything is damaged."""
    try:
        for frame in container.decode(stream):
            if frame.is_corrupt or frame.pts is None:
                yield 0, False
                return
            yield frame.pts, True
    except av.FFmpegError as error:
        see_memory(error)
        yield 0, False


def _clock(pts: list[int], base: Fraction, rates: list[Fraction]) -> tuple[Fraction, bool]:
    """The frame rate, and whether the timestamps leave it by more than one tick, or by half a
    frame where that is less."""
    ticks = np.array(pts, dtype=np.float64) - pts[0]
    number = np.arange(len(pts), dtype=np.float64)
    mean = rates[0]
    if len(pts) > 1 and pts[-1] > pts[0]:
        mean = (len(pts) - 1) / ((pts[-1] - pts[0]) * base)
    for rate in (*rates, *COMMON_RATES, mean):
        lasting = float(1 / (rate * base))
        if np.abs(ticks - number * lasting).max() <= min(1.0, lasting / 2):
            return rate, False
    stored = 1 / base  # AVI counts in frames, and leaves out those that were dropped
    return (stored if stored in rates else mean), True
