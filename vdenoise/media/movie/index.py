"""Which frames a clip holds, known before the first one is denoised.

A demux-only pass: the timestamps of all packets, sorted, are those of the decoded frames in
presentation order (packets that an edit list hides are left out). Frame numbers, seeking, the
variable-rate decision and the detection of files that were cut short all rest on it; and by the
checksum of each packet a reader notices a file that is no longer the one that was indexed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from vdenoise.media.inputs import local, open_input, still_written, video_of
from vdenoise.media.movie.integrity import lacks
from vdenoise.media.movie.ordering import FrameIndex, ordered
from vdenoise.media.movie.packets import Heard, StreamPackets, read_packets
from vdenoise.media.movie.transport import continuity
from vdenoise.picture.frame import ClipInfo


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
        InputError: the clip cannot be opened, or is still being written.
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
    """A file, or its parts together, as it is now."""

    path: Path
    mtime_ns: int
    size: int
    heard: Heard | None = field(default=None, compare=False)


def _file(path: Path, heard: Heard | None = None) -> _File:
    states = [file.stat() for file in local(path)]
    changed = max(state.st_mtime_ns for state in states)
    return _File(path, changed, sum(state.st_size for state in states), heard)


_adopted: dict[_File, FrameIndex] = {}


class Turn(NamedTuple):
    """A packet that begins with another header than the ones before."""

    packet: int  # of the picture, counted in the file's order
    pts: int | None  # None where times tell nothing


@dataclass(frozen=True)
class Scan:
    """What one pass over the packets of a clip tells."""

    index: FrameIndex
    others: dict[int, StreamPackets]  # streams beside the picture, by their number in the file
    told: Mapping[str, array[int]]  # items of the ledger: the frames whose packets told of them
    turns: tuple[Turn, ...]  # where a header changed
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
        shown = tuple(found.pts)
        index = ordered(path, container, stream, found, truncated)
    if (now := _file(path)) != file:
        grown = (
            f"{file.size} bytes have become {now.size}" if now.size != file.size else "it changed"
        )
        raise still_written(path, f"{grown} while it was read")
    turns = tuple(Turn(n, None if index.counted else shown[n]) for n in found.turns)
    told = {item: _frames(index, shown, packets) for item, packets in found.told.items()}
    return Scan(index, others, told, turns, jumps)


def _frames(index: FrameIndex, shown: Sequence[int | None], packets: array[int]) -> array[int]:
    """The frames of some packets; of a frame in two packets each may be the one."""
    if index.counted:
        return packets
    times = (shown[n] for n in packets)
    return array("q", sorted({bisect_right(index.pts, t) - 1 for t in times if t is not None}))
