"""Whether a file is all there, by the sizes that its own structure tells: demuxers do not say."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from av.container import InputContainer
from av.video.stream import VideoStream

from vdenoise.media.inputs import local
from vdenoise.media.movie.boxes import element
from vdenoise.media.movie.packets import PicturePackets

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
    frames = len(found.pts)
    kinds = container.format.name.split(",")
    # The demuxer's index, not the header's count: frames that an edit list leaves out are in none.
    listed = len(stream.index_entries)
    if listed > frames + found.hidden and "mov" in kinds:
        return f"{frames} of its {listed - found.hidden} frames are there"
    if "avi" in kinds and 8 + int.from_bytes(_head(path)[4:8], "little") > size:
        return "it is shorter than its header says"
    if "matroska" in kinds:
        return matroska_lacks(local(path))
    if "mpegts" in kinds and size % 188 and size % 192:
        return "its last packet is incomplete"
    if "mov" in kinds:
        return quicktime_lacks(local(path)) or (
            "its last packets are incomplete" if found.broken else ""
        )
    return ""


def _head(path: Path) -> bytes:
    """The first bytes of a file: of an AVI, "RIFF" and its length."""
    with local(path).open("rb") as file:
        return file.read(8)
