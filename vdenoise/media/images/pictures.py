"""How many pictures a file of images holds: what libraries that read the first one do not tell."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_PNG = b"\x89PNG\r\n\x1a\n"
# Kinds of pictures in a multi-picture JPEG (CIPA DC-007) that are smaller copies of the first.
_PREVIEWS = (0x010001, 0x010002)
# How the further picture of an HDR photo is announced: it says how much brighter, and is no frame.
_GAIN_MAPS = (b"hdrgm:Version", b"HDRGainMap", b"urn:iso:std:iso:ts:21496:-1")


def is_animated_png(path: Path) -> bool:
    """Whether a file is a PNG with more than one frame; False for what cannot be read."""
    if path.suffix.lower() != ".png" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return png_frames(file.read(1 << 16)) > 1
    except OSError:
        return False


def png_frames(data: bytes) -> int:
    """Frames of a PNG, from its beginning: what ``acTL`` says, which comes before the pixels."""
    at = len(_PNG)
    while data.startswith(_PNG) and at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"acTL" and size == 8:
            return int(struct.unpack_from(">I", data, at + 8)[0])
        if kind == b"IDAT":
            break
        at += 12 + size
    return 1


def is_animated_webp(path: Path) -> bool:
    """Whether a file is a WebP with several frames, which FFmpeg does not decode."""
    with path.open("rb") as file:
        head = file.read(21)
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) > 20 and head[20] & 2 > 0


def gif_frames(data: bytes) -> int:
    """Pictures of a GIF: FFmpeg joins those that follow each other without a time of their own."""

    def behind_blocks(at: int) -> int:
        while at < len(data) and data[at]:
            at += 1 + data[at]
        return at + 1

    def table(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 0x80 else 0

    at, found = 13 + table(data[10]) if len(data) > 10 else 0, 0
    while 0 < at < len(data):
        if data[at] == 0x21:  # an extension
            at = behind_blocks(at + 2)
        elif data[at] == 0x2C and at + 9 < len(data):
            found += 1
            at = behind_blocks(at + 11 + table(data[at + 9]))
        else:
            break
    return found


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers of a JPEG and what they hold, up to the pixels."""
    at = 2
    while data.startswith(b"\xff\xd8") and at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker in (0xDA, 0xD9):
            return
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # without content
            at += 2
            continue
        size = struct.unpack_from(">H", data, at + 2)[0]
        yield marker, data[at + 4 : at + 2 + size]
        at += 2 + size


def jpeg_pictures(data: bytes) -> tuple[int, bool]:
    """Pictures of a JPEG beside smaller copies of the first, and whether a gain map is left out.

    Args:
        data: the file.
    """
    for marker, content in jpeg_segments(data):
        if marker == 0xE2 and content.startswith(b"MPF\0"):
            kinds = _kinds_of_pictures(content[4:])
            others = [kind for kind in kinds[1:] if kind not in _PREVIEWS]
            if others and not any(others) and any(mark in data for mark in _GAIN_MAPS):
                return 1, True
            return 1 + len(others), False
    return 1, any(mark in data for mark in _GAIN_MAPS)


def _kinds_of_pictures(index: bytes) -> list[int]:
    """The kinds in the index of a multi-picture file, which is laid out as TIFF is."""
    order = "<" if index[:2] == b"II" else ">"
    try:
        at = struct.unpack_from(f"{order}I", index, 4)[0]
        for n in range(struct.unpack_from(f"{order}H", index, at)[0]):
            tag, _, size, place = struct.unpack_from(f"{order}HHII", index, at + 2 + 12 * n)
            if tag == 0xB002:  # one entry of 16 bytes for each picture
                entries = range(place, place + size, 16)
                return [struct.unpack_from(f"{order}I", index, e)[0] & 0xFFFFFF for e in entries]
    except struct.error:
        pass  # a damaged index tells of no further picture
    return []
