"""The chunks of PNG files beside the pixels, which go from one file into another as they are.

OpenImageIO writes color tags, text and an offset of its own, and reads some of what there is.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

Chunk = tuple[bytes, bytes]  # its kind, and what it holds

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# What holds the pixels or says how: palettes and transparent colors are resolved by reading.
_PIXELS = frozenset(
    (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"hIST", b"acTL", b"fcTL", b"fdAT", b"iDOT")
)
# By the rule of the last letter these must not go into a file with other pixels. But they tell of
# the pixels' meaning, not of their values.
_OF_MEANING = frozenset((b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"mDCv"))
_OF_MEANING |= frozenset((b"cLLi", b"sBIT", b"bKGD", b"sPLT", b"tIME", b"eXIf", b"sTER"))
_OF_MEANING |= frozenset((b"sCAL", b"pCAL"))
_PALETTE, _ALPHA = 1, 4  # bits of the color type


def chunks(path: Path) -> Iterator[Chunk]:
    """All chunks of a PNG file.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        file.seek(len(_SIGNATURE))
        while len(head := file.read(8)) == 8:
            size, kind = struct.unpack(">I4s", head)
            yield kind, file.read(size)
            file.seek(4, 1)  # the checksum


def is_whole(path: Path) -> bool:
    """Whether every chunk of a PNG is there, from the first to the last; what is in them is not
    looked at.

    Raises:
        OSError: the file cannot be read.
    """
    kinds = []
    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            return False
        while len(head := file.read(8)) == 8:
            size, kind = struct.unpack(">I4s", head)
            kinds.append(kind)
            end = file.seek(size + 4, 1)
        if not kinds or end != file.seek(0, 2):
            return False
    return kinds[0] == b"IHDR" and kinds[-1] == b"IEND" and b"IDAT" in kinds


def kept_chunks(source: Path, target: Path) -> tuple[tuple[Chunk, ...], tuple[Chunk, ...]]:
    """What of a PNG belongs into another one with the same picture: before and after the pixels.

    Args:
        source: whose chunks these are.
        target: says how its pixels are stored: a background color is said in their depth.

    Raises:
        OSError: a file cannot be read.
    """
    _, header = next(chunks(target))
    before: list[Chunk] = []
    after: list[Chunk] = []
    found, own, palette = before, header, b""
    for kind, data in chunks(source):
        if kind == b"IHDR":
            own = data
        elif kind == b"PLTE":
            palette = data
        elif kind == b"IDAT":
            found = after
        elif is_kept(kind):
            found.append((kind, _as_stored(kind, data, palette, own, header)))
    return tuple(before), tuple(after)


def is_kept(kind: bytes) -> bool:
    """Whether a chunk of a kind goes into a file with other pixels."""
    return kind not in _PIXELS and (kind in _OF_MEANING or bool(kind[3] & 0x20))


def lost_chunks(path: Path) -> tuple[str, ...]:
    """Kinds of chunks that are left behind, because they hold for the old pixels only.

    Raises:
        OSError: the file cannot be read.
    """
    lost = (kind for kind, _ in chunks(path) if kind not in _PIXELS and not is_kept(kind))
    return tuple(dict.fromkeys(kind.decode("latin-1") for kind in lost))


def set_chunks(target: Path, before: Iterable[Chunk], after: Iterable[Chunk] = ()) -> None:
    """Put chunks around the pixels of a PNG, in the place of those that it has.

    Raises:
        OSError: the file cannot be read or written.
    """
    own = [(kind, data) for kind, data in chunks(target) if kind in _PIXELS]
    pixels = next(n for n, (kind, _) in enumerate(own) if kind == b"IDAT")
    whole = (*own[:pixels], *before, *own[pixels:-1], *after, own[-1])
    with target.open("wb") as file:
        file.write(_SIGNATURE)
        for kind, data in whole:
            file.write(struct.pack(">I", len(data)) + kind + data)
            file.write(struct.pack(">I", zlib.crc32(kind + data)))


def _as_stored(kind: bytes, data: bytes, palette: bytes, own: bytes, header: bytes) -> bytes:
    """What a chunk says of samples, for those of another file.

    Args:
        kind, data: the chunk.
        palette: content of PLTE, empty without one.
        own: content of the file's IHDR.
        header: content of the other file's IHDR.
    """
    depth, color = own[8:10]
    wanted, other = header[8:10]
    if kind == b"bKGD":
        if color & _PALETTE:
            values = tuple(palette[3 * data[0] : 3 * data[0] + 3])
            depth = 8
        else:
            values = struct.unpack(f">{len(data) // 2}H", data)
        scale = ((1 << wanted) - 1) / ((1 << depth) - 1)
        return struct.pack(f">{len(values)}H", *(round(v * scale) for v in values))
    if kind == b"sBIT" and other & _ALPHA and not color & _ALPHA:
        return data + bytes((wanted,))
    return data
