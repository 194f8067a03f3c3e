"""What QuickTime, MP4 and Matroska tell of a picture beside the codec, where FFmpeg says nothing.

QuickTime's boxes are read from the sample entry of the picture's track (ISO/IEC 14496-12, 8.5.2);
Matroska's from the Video element of its track entry (RFC 9559, 5.1.4.1.28).
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

ENTRY = 86  # bytes of a visual sample entry before its extension boxes, with the box header
_LARGEST_HEADER = 1 << 28  # a larger "moov" or "meta" is no header of a clip
_TRACK_ENTRY, _NUMBER, _VIDEO = 0xAE, 0xD7, 0xE0
_SEGMENT, _TRACKS, _CLUSTER = 0x18538067, 0x1654AE6B, 0x1F43B675
_CROP = {0x54CC: "left", 0x54DD: "right", 0x54BB: "top", 0x54AA: "bottom"}


def quicktime_boxes(path: Path, track: int) -> dict[bytes, bytes]:
    """The extension boxes of a video track's first sample entry, by kind; empty where it has none.

    Args:
        path: a QuickTime or MP4 file.
        track: the track's ID.
    """
    inside = tracks_of(header_of(path)).get(track, {})
    for name in (b"mdia", b"minf", b"stbl"):
        inside = dict(boxes_in(inside.get(name, b"")))
    entries = inside.get(b"stsd", b"")[8:]
    return dict(boxes_in(entries[ENTRY : int.from_bytes(entries[:4], "big")]))


def header_of(path: Path) -> bytes:
    """The contents of the "moov" box of a QuickTime or MP4 file; empty where it has none."""
    return top_box(path, b"moov")


def top_box(path: Path, wanted: bytes) -> bytes:
    """The contents of a box that stands at the top of a file of QuickTime's family; empty where
    there is none, or a larger one than any such box is.

    Args:
        path: the file.
        wanted: its kind.
    """
    with path.open("rb") as file:
        return _top_box(file, wanted)


def tracks_of(header: bytes) -> dict[int, dict[bytes, bytes]]:
    """The boxes of each track of a "moov", by the track's ID."""
    found: dict[int, dict[bytes, bytes]] = {}
    for kind, body in boxes_in(header):
        inside = dict(boxes_in(body)) if kind == b"trak" else {}
        head = inside.get(b"tkhd", b"")
        place = 20 if head[:1] == b"\1" else 12
        if len(head) >= place + 4:
            found.setdefault(int.from_bytes(head[place : place + 4], "big"), inside)
    return found


def _top_box(file: BinaryIO, wanted: bytes) -> bytes:
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        length = size - 8
        if size == 1:
            length = int.from_bytes(file.read(8), "big") - 16
        if kind == wanted and 0 < length < _LARGEST_HEADER:
            return file.read(length)
        if size == 0 or length < 0 or length > _rest(file):
            break
        file.seek(length, 1)
    return b""


def _rest(file: BinaryIO) -> int:
    """Bytes from here to the end: sizes that a file tells may be beyond all that can be sought."""
    return os.fstat(file.fileno()).st_size - file.tell()


def boxes_in(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, contents) of the boxes that stand one after the other."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        begin = at + 8
        if size == 1:
            size = int.from_bytes(data[begin : begin + 8], "big")
            begin += 8
        if size == 0:
            size = len(data) - at
        if size < begin - at or at + size > len(data):
            return
        yield kind, data[begin : at + size]
        at += size


def clean_aperture(boxes: dict[bytes, bytes], size: tuple[int, int]) -> str:
    """``60x44`` of a "clap" box; empty where there is none, or where it is the whole picture, as
    uncompressed QuickTime always says.

    Args:
        boxes: of the picture's sample entry.
        size: width and height of the picture.
    """
    box = boxes.get(b"clap", b"")
    if len(box) < 32:
        return ""
    parts = struct.unpack(">8i", box[:32])
    width, height, *off = (parts[n] / (parts[n + 1] or 1) for n in (0, 2, 4, 6))
    return "" if (width, height) == size and not any(off) else f"{width:g}x{height:g}"


def gamma(boxes: dict[bytes, bytes]) -> str:
    """``2.2`` of QuickTime's "gama" box; empty where there is none."""
    box = boxes.get(b"gama", b"")
    return f"{int.from_bytes(box[:4], 'big') / 65536:.4g}" if len(box) >= 4 else ""


def matroska_crop(path: Path, track: int) -> str:
    """``left 2, top 2`` of a Matroska track's cropping; empty where there is none."""
    tracks = next(level_one(path, (_TRACKS, _CLUSTER)), (_CLUSTER, b""))
    for kind, body in elements(tracks[1]) if tracks[0] == _TRACKS else ():
        inside = dict(elements(body))
        if kind == _TRACK_ENTRY and int.from_bytes(inside.get(_NUMBER, b""), "big") == track:
            video = dict(elements(inside.get(_VIDEO, b"")))
            cut = {word: int.from_bytes(video.get(n, b""), "big") for n, word in _CROP.items()}
            return ", ".join(f"{word} {count}" for word, count in cut.items() if count)
    return ""


def level_one(
    path: Path, wanted: Collection[int], largest: int = _LARGEST_HEADER
) -> Iterator[tuple[int, bytes]]:
    """(ID, contents) of the elements of a Matroska file's segment that are of some kinds, up to the
    first that is damaged.

    Args:
        path: the file.
        wanted: IDs.
        largest: bytes of the longest that is read.
    """
    with path.open("rb") as file:
        while (found := element(file)) is not None:
            kind, size = found
            if kind == _SEGMENT:
                continue
            if size is None or size > _rest(file):
                return
            if kind in wanted and size <= largest:
                yield kind, file.read(size)
            else:
                file.seek(size, 1)


def element(file: BinaryIO) -> tuple[int, int | None] | None:
    """(ID, bytes of its contents or None where they are not known) of the EBML element that begins
    here; None at the end and where there is none."""
    kind = _number(file, keep=True)
    size = _number(file, keep=False)
    if not kind or size is None:
        return None
    return kind, None if size < 0 else size


def _number(file: BinaryIO, *, keep: bool) -> int | None:
    """A number of variable length; -1 for "unknown". ``keep``: with its length bits, as an ID."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    if len(rest) < length - 1:
        return None
    value = int.from_bytes(first + rest, "big")
    if keep:
        return value
    value &= (1 << 7 * length) - 1
    return -1 if value == (1 << 7 * length) - 1 else value


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(ID, contents) of the EBML elements that stand one after the other."""
    file = io.BytesIO(data)
    while (found := element(file)) is not None:
        kind, size = found
        yield kind, file.read(len(data) if size is None else size)
