"""Which frames a clip holds, known before the first one is denoised.

A demux-only pass: the timestamps of all packets, sorted, are those of the decoded frames in
presentation order (packets that an edit list hides are left out). Frame numbers, seeking, the
variable-rate decision and the detection of files that were cut short all rest on it; and by the
checksum of each packet a reader notices a file that is no longer the one that was indexed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from vdenoise.media.inputs import local, open_input, prepare_decoder, video_of
from vdenoise.media.movie.integrity import lacks
from vdenoise.media.movie.packets import Heard, StreamPackets, read_packets
from vdenoise.media.movie.transport import continuity
from vdenoise.picture.frame import ClipInfo

COMMON_RATES = tuple(
    Fraction(rate * 1000, unit)
    for rate in (24, 25, 30, 48, 50, 60, 100, 120)
    for unit in (1001, 1000)
)
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

    @property
    def end(self) -> int:
        """Tick at which the last frame ends."""
        return self.pts[-1] + self.durations[-1]


def index_of(info: ClipInfo) -> FrameIndex:
    """The index of a probed clip: of a movie scanned, of images one tick for each.

    Raises:
        InputError: the clip cannot be opened.
    """
    if info.sequence is None:
        return scan(info.path)
    count = len(info.sequence.numbers)
    return FrameIndex(
        pts=tuple(range(count)),
        durations=(1,) * count,
        keys=tuple(range(count)),
        time_base=1 / info.rate,
        rate=info.rate,
        variable_rate=False,
        counted=False,
    )


def scan(path: Path, heard: Heard | None = None) -> FrameIndex:
    """Index a clip: all of it is read. The result is kept until the file changes.

    Raises:
        InputError: the clip cannot be opened.
    """
    file = _file(path, heard)
    return _adopted[file] if file in _adopted else _scan(file).index


def scanned(path: Path) -> Scan | None:
    """All that the pass over the packets told; None where an index was adopted instead of it.

    Raises:
        InputError: the clip cannot be opened.
    """
    file = _file(path)
    return None if file in _adopted else _scan(file)


def streams_beside(path: Path) -> dict[int, StreamPackets]:
    """Every packet of the streams beside the picture, by stream number. All of the clip is read,
    if it was not yet.

    Raises:
        InputError: the clip cannot be opened.
    """
    return _scan(_file(path)).others


def adopt(path: Path, index: FrameIndex) -> None:
    """Take an index of the file that was made before: a farm task does not read all of a clip.

    It holds until the file changes.
    """
    _adopted[_file(path)] = index


@dataclass(frozen=True)
class _File:
    """A file as it is now."""

    path: Path
    mtime_ns: int
    size: int
    heard: Heard | None = field(default=None, compare=False)


def _file(path: Path, heard: Heard | None = None) -> _File:
    state = local(path).stat()
    return _File(path, state.st_mtime_ns, state.st_size, heard)


_adopted: dict[_File, FrameIndex] = {}


@dataclass(frozen=True)
class Scan:
    """What one pass over the packets of a clip tells."""

    index: FrameIndex
    others: dict[int, StreamPackets]  # streams beside the picture, by their number in the file
    captions: bool  # the picture's packets hold closed captions
    turns: tuple[int, ...]  # pts of frames before which a header changed
    jumps: int = 0  # of an MPEG-TS: see `Continuity`


@lru_cache(maxsize=16)
def _scan(file: _File) -> Scan:
    path = file.path
    with open_input(path) as container:
        stream = video_of(container, path)
        found, others = read_packets(container, stream, file.size, file.heard)
        if file.heard is not None:
            file.heard(file.size, file.size)
        truncated, jumps = lacks(path, container, stream, found, file.size), 0
        if container.format.name == "mpegts" and not truncated:
            told_by = continuity(local(path), {other.id for other in container.streams})
            truncated, jumps = told_by.damage, told_by.jumps
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
        guessed = container.format.name == "avi" and found.delayed
    known = [pts for pts in found.pts if pts is not None]
    counted = len(known) < len(found.pts) or len(set(known)) < len(known) or not known
    # Where the times jump back, as in joined files, their order is not that of the frames.
    counted = counted or guessed or found.onward.moved > 0
    if not counted:
        decoded = _decoded_pts(path, known)
        if decoded is not None:
            facts = zip(found.durations, found.keys, found.checks, strict=True)
            lookup = dict(zip(known, facts, strict=True))
            kept = [lookup.get(pts, (0, False, 0)) for pts in decoded]
            found.pts = list(decoded)
            found.durations = [duration for duration, _, _ in kept]
            found.keys = [key for _, key, _ in kept]
            found.checks = [check for _, _, check in kept]
            known = decoded
    if counted:
        rate = rates[0]
        begin = Fraction(0)
        if known and not guessed:
            begin = (known[0] if found.onward.moved else min(known)) * base
        ticks, step = _counted_ticks(rate, begin)
        index = FrameIndex(
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
        return Scan(index, others, found.captions, (), jumps)
    order = sorted(range(len(known)), key=known.__getitem__)
    pts = [known[i] for i in order]
    rate, variable = _clock(pts, base, rates)
    final = told - pts[-1] if told is not None else found.durations[order[-1]]
    nominal = round(1 / (rate * base))
    if not 0 < final <= 100 * nominal:
        final = nominal
    # A packet's own duration is the step to the next packet, not to the next frame shown.
    durations = [b - a for a, b in pairwise(pts)] + [final]
    index = FrameIndex(
        pts=tuple(pts),
        durations=tuple(durations),
        keys=tuple(n for n, i in enumerate(order) if found.keys[i]),
        time_base=base,
        rate=rate,
        variable_rate=variable,
        counted=False,
        truncated=truncated,
        checks=tuple(found.checks[i] for i in order),
    )
    turns = tuple(pts for pts in found.turns if pts is not None)
    return Scan(index, others, found.captions, turns, jumps)


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
    ticks = Fraction(1, math.lcm(rate.numerator, 1000))
    return ticks, int(1 / rate / ticks)


def _told_end(container: av.container.InputContainer, stream: VideoStream) -> int | None:
    """Where QuickTime files say that the picture ends, in ticks."""
    if "mov" not in container.format.name.split(",") or not stream.duration:
        return None
    return (stream.start_time or 0) + stream.duration


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
    except av.FFmpegError:
        yield 0, False


def _clock(pts: list[int], base: Fraction, rates: list[Fraction]) -> tuple[Fraction, bool]:
    """The frame rate, and whether the timestamps leave it by more than one tick."""
    ticks = np.array(pts, dtype=np.float64) - pts[0]
    number = np.arange(len(pts), dtype=np.float64)
    mean = rates[0]
    if len(pts) > 1 and pts[-1] > pts[0]:
        mean = (len(pts) - 1) / ((pts[-1] - pts[0]) * base)
    for rate in (*rates, *COMMON_RATES, mean):
        if np.abs(ticks - number * float(1 / (rate * base))).max() <= 1.0:
            return rate, False
    return mean, True
