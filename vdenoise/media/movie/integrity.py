"""Whether a file is all there, by the sizes that its own structure tells: demuxers do not say."""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from vdenoise.media.inputs import local
from vdenoise.media.movie.boxes import element
from vdenoise.media.movie.demuxers import joined_in, kinds_of, open_demuxer
from vdenoise.media.movie.packets import PicturePackets, read_packets

_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_TOP = {
    0x114D9B74, 0x1549A966, 0x1654AE6B, _CLUSTER, 0x1C53BB6B, 0x1043A770, 0x1254C367, 0x1941A469,
}  # fmt: skip


def matroska_lacks(path: Path) -> str:
    """What a Matroska file lacks, in words; nothing where each element ends where it says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while (found := element(file)) is not None:
            kind, length = found
            begin = file.tell()
            if kind == _SEGMENT:
                if length is not None and begin + length > size:
                    return f"the last {begin + length - size} of its bytes are missing"
                return _damage(file, size if length is None else begin + length)
            if length is None or begin + length > size:
                break
            file.seek(begin + length)
    return "its segment is missing"


def _damage(file: BinaryIO, end: int) -> str:
    """Where the elements of a segment do not follow each other. A cluster is walked block by
    block: what FFmpeg cannot read there it passes over without a word."""
    limits = [end]
    while (at := file.tell()) < end:
        while len(limits) > 1 and at >= limits[-1]:
            limits.pop()
        found = element(file)
        if found is None:
            return f"its structure is damaged at byte {at}"
        kind, length = found
        begin = file.tell()
        if kind in _TOP:
            del limits[1:]
        if kind == _CLUSTER:
            limits.append(end if length is None else begin + length)
            if limits[-1] > end:
                return f"its structure is damaged or cut at byte {at}"
            continue
        if length is None or begin + length > limits[-1]:
            return f"its structure is damaged or cut at byte {at}"
        file.seek(begin + length)
    return ""


def quicktime_lacks(path: Path) -> str:
    """The same for the boxes of a QuickTime or MP4 file, fragments among them."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            at = file.tell() - 8
            length = struct.unpack(">I", head[:4])[0]
            if length == 1:
                length = int.from_bytes(file.read(8), "big")
            if length == 0 or at + length == size:
                return ""
            if length < 8 or not head[4:].isascii():
                return ""  # what follows the last box is no box, and nobody's concern
            if at + length > size:
                return f"the last {at + length - size} of its bytes are missing"
            file.seek(at + length)
    return ""


def lacks(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    found: PicturePackets,
    size: int,
) -> str:
    """What a file that was cut short lacks; the demuxers themselves say nothing."""
    files = local(path)
    if len(files) > 1:
        kept = joined_in(container)
        bytewise = kept is None or not kept.begins
        lacking = ((part, "" if bytewise else _part_lacks(part)) for part in files)
        return next((f"of {part}, {words}" for part, words in lacking if words), "")
    frames, file = len(found.pts), files[0]
    kinds = kinds_of(container)
    # The demuxer's index, not the header's count: frames that an edit list leaves out are in none.
    listed = len(stream.index_entries)
    if listed > frames + found.hidden and "mov" in kinds:
        return f"{frames} of its {listed - found.hidden} frames are there"
    if "matroska" in kinds:
        return matroska_lacks(file)
    if "mov" in kinds:
        return quicktime_lacks(file) or ("its last packets are incomplete" if found.broken else "")
    if "mpegts" in kinds and size % 188 and size % 192 and size % 204:
        return "its last packet is incomplete"
    if "ivf" in kinds and stream.frames > frames:
        return f"{frames} of its {stream.frames} frames are there"
    told = container.duration / av.time_base if container.duration else 0.0
    if told - found.end > _TOLD.get(kinds[0], inf):
        return f"{found.end:.2f} of its {told:.2f} s are there"
    short = _ENDS[kinds[0]](file, found, size) if kinds[0] in _ENDS else False
    return "its end is missing" if short or (found.cut and kinds[0] != "mpegts") else ""


def _part_lacks(path: Path) -> str:
    """The same for one part: by its structure, and where that does not tell by its packets."""
    with open_demuxer(path) as container:
        kinds, picture = kinds_of(container), container.streams.video[0]
        if "matroska" in kinds:
            return matroska_lacks(path)
        if "mov" in kinds:
            return quicktime_lacks(path)
        size = path.stat().st_size
        return lacks(
            path, container, picture, read_packets(container, picture, size, None)[0], size
        )


# Seconds that a container's own length may be off by.
_TOLD = {"mxf": 0.1, "flv": 1.0}


def _avi_is_short(path: Path, _found: PicturePackets, size: int) -> bool:
    return 8 + int.from_bytes(_part(path, 4, 4), "little") > size


def _asf_is_short(path: Path, _found: PicturePackets, size: int) -> bool:
    """Judge by the size in the file properties, unless it was written for broadcast."""
    head = _part(path, 0, 1 << 16)
    at = head.find(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    if at < 0 or len(head) < at + 92:
        return False
    told, flags = (
        struct.unpack_from(kind, head, at + n)[0] for kind, n in (("<Q", 40), ("<I", 88))
    )
    return not flags & 1 and told > size


def _ogg_is_short(path: Path, _found: PicturePackets, size: int) -> bool:
    """The last page must be whole, and the end of its stream."""
    begin = max(size - (1 << 17), 0)
    tail = _part(path, begin, 1 << 17)
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return True
    table = tail[at + 27 : at + 27 + tail[at + 26]]
    return not tail[at + 5] & 4 or at + 27 + tail[at + 26] + sum(table) > len(tail)


def _nut_is_short(path: Path, found: PicturePackets, size: int) -> bool:
    """See that behind the last packet there is nothing, or headers and an index; "NK" begins what
    is before a frame. FFmpeg reads half a packet as if it were whole; what it writes itself ends
    with an index."""
    if _nut_has_index(path, size):
        return False
    if b"Lavf" in _part(path, 0, _NUT_HEADERS):
        return True
    if found.until >= size or found.ends_empty:
        return False
    return _part(path, found.until, 2) not in (b"NM", b"NS", b"NI", b"NX")


_NUT_HEADERS = 1 << 16  # bytes that NUT's first headers stand in


def _nut_has_index(path: Path, size: int) -> bool:
    """Whether a NUT ends with an index, whose length stands before its checksum."""
    length = int.from_bytes(_part(path, size - 12, 8), "big")
    return 12 < length <= size and _part(path, size - length, 2) == b"NX"


_ENDS: dict[str, Callable[[Path, PicturePackets, int], bool]] = {
    "avi": _avi_is_short,
    "asf": _asf_is_short,
    "ogg": _ogg_is_short,
    "nut": _nut_is_short,
    "yuv4mpegpipe": lambda _path, found, size: found.until < size,
    "dv": lambda _path, found, size: size % max(found.length, 1) != 0,
    "gif": lambda path, _found, size: not _part(path, size - 64, 64).rstrip(b"\0").endswith(b";"),
    "jpeg_pipe": lambda path, _found, size: b"\xff\xd9" not in _part(path, size - 64, 64),
}


def _part(path: Path, at: int, count: int) -> bytes:
    """Some bytes of a file."""
    with path.open("rb") as file:
        file.seek(max(at, 0))
        return file.read(count)
