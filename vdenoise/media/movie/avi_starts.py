"""AVI tells when a stream begins in its header alone, and FFmpeg's muxer leaves that at 0."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

_SCALE, _START = 20, 28  # bytes into a stream header ("strh"): dwScale and dwRate; dwStart

_TRIED = 6  # waits of the picture


@dataclass(frozen=True)
class StreamTimes:
    """The times of a stream header."""

    place: int  # byte of the file where its contents begin
    unit: Fraction  # seconds of what is counted: a frame, a block of sound
    start: int  # units before it begins


def headers(path: Path) -> list[StreamTimes]:
    """The stream headers of an AVI file, in their order."""
    with path.open("rb") as file:
        return list(_headers(file.read(1 << 20)))


def _headers(data: bytes) -> Iterator[StreamTimes]:
    """They stand at the front, in lists: RIFF, hdrl, one strl for each stream."""
    at = 0
    while at + 12 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind in (b"RIFF", b"LIST"):
            if data[at + 8 : at + 12] == b"movi":
                return
            at += 12
            continue
        if kind == b"strh":
            scale, rate = struct.unpack_from("<2I", data, at + 8 + _SCALE)
            start = struct.unpack_from("<I", data, at + 8 + _START)[0]
            yield StreamTimes(at + 8, Fraction(scale, rate or 1), start)
        at += 8 + size + size % 2


def starts(
    units: Mapping[int, Fraction], picture: int, firsts: Mapping[int, Fraction]
) -> dict[int, int]:
    """How many of its units each stream waits before it begins.

    Sound is told to within half a unit. Where it begins before the picture, the picture waits; and
    a few frames more where sound comes nearer to its place then.

    Args:
        units: seconds of the unit of each stream.
        picture: which stream is the picture.
        firsts: when each other stream begins, in seconds after the picture.
    """
    earliest = min((Fraction(0), *firsts.values()))
    least = -(earliest // units[picture])

    def waits(frames: int) -> dict[int, int]:
        lead = frames * units[picture]
        return {n: round((lead + first) / units[n]) for n, first in firsts.items()}

    def error(frames: int) -> Fraction:
        lead = frames * units[picture]
        errors = (abs(w * units[n] - lead - firsts[n]) for n, w in waits(frames).items())
        return sum(errors, Fraction(0))

    frames = min(range(least, least + _TRIED), key=error)
    return {picture: frames, **waits(frames)}


def set_starts(path: Path, picture: int, firsts: Mapping[int, Fraction]) -> None:
    """Write into a finished file when its streams begin.

    Args:
        path: the file.
        picture: which of its streams is the picture.
        firsts: when each other stream begins, in seconds after the picture.
    """
    found = headers(path)
    waits = starts({n: header.unit for n, header in enumerate(found)}, picture, firsts)
    with path.open("r+b") as file:
        for number, wait in waits.items():
            file.seek(found[number].place + _START)
            file.write(struct.pack("<I", wait))
