"""The header of DPX files (SMPTE ST 268-1), which goes from one file into another as it is.

OpenImageIO reads and writes the pixels. It takes films' and television's headers for given, which
FFmpeg leaves out, and writes numbers, texts and a version of its own.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Literal

import numpy as np

ByteOrder = Literal["little", "big"]

_FILE_SIZE, _NAME, _ELEMENTS, _ELEMENT = 16, slice(36, 136), 780, 72
# Of an image element, how its pixels are stored: order of channels; packing and run lengths; where;
# padding.
_STORED = ((20, 1), (24, 4), (28, 4), (32, 8))
_PLACE, _DEPTH, _PACKING = 28, 23, slice(_ELEMENTS + 24, _ELEMENTS + 26)
_SHIFTS = {1: 4, 2: 0}  # packings that give 12 bits a word of 16: filled below, or above
_ORDER, _RGBA, _ABGR = _ELEMENTS + 20, 51, 52  # descriptors
_SAMPLES = {6: 1, 50: 3, 51: 4, 52: 4}  # of a pixel, by the element's descriptor
_WHOLE = {8: "u1", 16: "u2"}  # samples that stand alone, by their bits
_OF_DEPTH = ((4, 16), (_DEPTH, 1))  # the ends of the codes, and the bits of a sample
_FILM, _TELEVISION = 1664, 1920  # where these headers begin
_UNDEFINED = 0xFFFFFFFF
_LARGEST = 1 << 24  # bytes of a header with user data; more is taken for damage


def byte_order(path: Path) -> ByteOrder:
    """Say in which order the bytes of numbers are stored.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return "little" if file.read(4) == b"XPDS" else "big"


def has_television_header(path: Path) -> bool:
    """Whether there is a header for timecode and frame rate, and not pixels in its place.

    Raises:
        OSError: the file cannot be read.
    """
    return len(_header(path)[0]) >= _TELEVISION + 128


def carry_header(target: Path, source: Path) -> None:
    """Give a file the header of another one, but for how and where its pixels are stored.

    Args:
        target: as OpenImageIO wrote it, in the byte order of ``source``.
        source: whose header it is to have, user data included.

    Raises:
        OSError: one of them cannot be read or written.
    """
    header, order = _header(source)
    made, _ = _header(target)
    pixels = target.read_bytes()[len(made) :]
    new = bytearray(header)
    depth = _ELEMENTS + _DEPTH
    for at, size in _STORED if header[depth] == made[depth] else (*_STORED, *_OF_DEPTH):
        place = slice(_ELEMENTS + at, _ELEMENTS + at + size)
        new[place] = made[place]
    packing = struct.unpack(f"{order}H", header[_PACKING])[0]
    if header[depth] == made[depth] == 12 and packing in _SHIFTS:
        pixels = _filled(pixels, made, order, _SHIFTS[packing])
        new[_PACKING] = header[_PACKING]
    kind = _WHOLE.get(made[depth]) if header[depth] == made[depth] else None
    if kind is not None and (header[_ORDER], made[_ORDER]) == (_ABGR, _RGBA):
        pixels = np.frombuffer(pixels, kind).reshape(-1, 4)[:, ::-1].tobytes()
        new[_ORDER] = _ABGR  # OpenImageIO writes alpha at the end only
    struct.pack_into(f"{order}I", new, _ELEMENTS + _PLACE, len(header))
    if struct.unpack_from(f"{order}I", new, _FILE_SIZE)[0] != _UNDEFINED:
        struct.pack_into(f"{order}I", new, _FILE_SIZE, len(new) + len(pixels))
    target.write_bytes(bytes(new) + pixels)


def kept_header(path: Path) -> dict[str, bytes]:
    """What :func:`carry_header` carries, by the names of the header's parts.

    Raises:
        OSError: the file cannot be read.
    """
    header = bytearray(_header(path)[0])
    packing = header[_PACKING] if header[_ELEMENTS + _DEPTH] == 12 else bytes(2)
    header[_FILE_SIZE : _FILE_SIZE + 4] = bytes(4)
    header[_NAME] = bytes(100)
    for at, size in _STORED:
        header[_ELEMENTS + at : _ELEMENTS + at + size] = bytes(size)
    header[_PACKING] = packing
    parts = {
        "file header": (0, 768),
        "image header": (768, _FILM),
        "film header": (_FILM, _TELEVISION),
        "television header": (_TELEVISION, 2048),
        "user data": (2048, len(header)),
    }
    return {name: bytes(header[first:last]) for name, (first, last) in parts.items()}


def _filled(packed: bytes, header: bytes, order: str, shift: int) -> bytes:
    """Samples of 12 bits in words of 16, in the place of those that follow each other without a
    gap, which is all that OpenImageIO writes.

    Args:
        packed: rows of words of 32 bits, each filled from its lowest bit on.
        header: of the file that they are from.
        order: of the bytes in a word, as `struct` writes it.
        shift: places of the sample in its word.
    """
    width, height = struct.unpack_from(f"{order}2I", header, 772)
    count = width * _SAMPLES[header[_ELEMENTS + 20]]
    words = np.frombuffer(packed, f"{order}u4").astype("<u4").reshape(height, -1)
    octets = words.view(np.uint8)[:, : (3 * count + 1) // 2].astype(np.uint16)
    threes = np.pad(octets, ((0, 0), (0, -octets.shape[1] % 3))).reshape(height, -1, 3)
    first, second, third = threes[..., 0], threes[..., 1], threes[..., 2]
    pairs = np.stack([first | (second & 15) << 8, second >> 4 | third << 4], -1)
    samples = pairs.reshape(height, -1)[:, :count] << shift
    return samples.astype(f"{order}u2").tobytes()


def set_name(path: Path, name: str) -> None:
    """Put another name into the header, which holds the one the file was written under.

    Raises:
        OSError: the file cannot be written.
    """
    field = name.encode("ascii", "replace")[:99]
    with path.open("r+b") as file:
        file.seek(_NAME.start)
        file.write(field.ljust(100, b"\0"))


def _header(path: Path) -> tuple[bytes, str]:
    """All before the pixels, and the byte order as `struct` writes it."""
    order = "<" if byte_order(path) == "little" else ">"
    with path.open("rb") as file:
        first = file.read(8)
        size = struct.unpack_from(f"{order}I", first, 4)[0] if len(first) == 8 else 0
        if not _FILM <= size <= _LARGEST:
            raise OSError(f"its header tells of {size} bytes before the pixels")
        return first + file.read(size - 8), order
