"""Image files of kinds that the library which reads them does not write, byte by byte."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.helpers import images

Tags = Mapping[int, tuple[int, Sequence[Any] | bytes]]
_FORMS = {1: "B", 2: "s", 3: "H", 4: "I", 5: "I", 7: "s", 8: "h", 9: "i", 10: "i", 11: "f", 12: "d"}
_FORMS |= {13: "I", 16: "Q"}


def codes(dtype: str = "uint8", channels: int = 3, number: int = 0) -> images.Array:
    """A noisy picture as (48, 64, C) codes that fill an integer type, or as floats."""
    found = images.picture(number, channels=channels).clip(0, 1)
    kind = np.dtype(dtype)
    return found.astype(kind) if kind.kind == "f" else (found * np.iinfo(kind).max).astype(kind)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(path: Path, *chunks: tuple[bytes, bytes], pixels: images.Array | None = None) -> Path:
    """A PNG with just the given chunks before its pixels: RGB, gray or with alpha, 8 or 16 bits."""
    pixels = codes() if pixels is None else pixels
    height, width, count = pixels.shape
    head = (width, height, 8 * pixels.itemsize, (0, 0, 4, 2, 6)[count], 0, 0, 0)
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    step = len(rows) // height
    raw = b"".join(b"\0" + rows[n * step : (n + 1) * step] for n in range(height))
    parts = ((b"IHDR", struct.pack(">IIBBBBB", *head)), *chunks, (b"IDAT", zlib.compress(raw)))
    whole = b"".join(chunk(*part) for part in (*parts, (b"IEND", b"")))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + whole)
    return path


def png_chunks(path: Path) -> list[tuple[bytes, bytes]]:
    """All chunks but those that hold pixels."""
    data, at, found = path.read_bytes(), 8, []
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind not in (b"IHDR", b"IDAT", b"IEND"):
            found.append((kind, data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def packed(kind: int, values: Sequence[Any] | bytes, order: str) -> tuple[int, bytes]:
    """Count and bytes of a TIFF tag's values; rationals as flat numbers."""
    if isinstance(values, bytes):
        return len(values) // {3: 2, 4: 4}.get(kind, 1), values
    data = struct.pack(f"{order}{len(values)}{_FORMS[kind]}", *values)
    return len(values) // (2 if kind in (5, 10) else 1), data


def directory(tags: Tags, order: str, at: int, following: int = 0) -> bytes:
    """A TIFF directory with its values, to stand at a place in a file."""
    entries, beyond = b"", b""
    start = at + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        count, data = packed(kind, values, order)
        if len(data) > 4:
            place = struct.pack(f"{order}I", start + len(beyond))
            beyond += data + b"\0" * (len(data) % 2)
        else:
            place = data.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", tag, kind, count) + place
    count, last = struct.pack(f"{order}H", len(tags)), struct.pack(f"{order}I", following)
    return count + entries + last + beyond


def tiff(
    path: Path,
    pixels: images.Array,
    photometric: int = 2,
    *,
    order: str = "<",
    tags: Tags | None = None,
    pictures: int = 1,
    data: bytes | None = None,
) -> Path:
    """An uncompressed TIFF in one strip (or with ``data`` as its strip), as often as asked."""
    height, width, count = pixels.shape
    strip = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes() if data is None else data
    strip += b"\0" * (len(strip) % 2)
    whole = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8 + len(strip))
    whole += strip
    base: dict[int, tuple[int, Sequence[Any] | bytes]] = {
        256: (3, (width,)),
        257: (3, (height,)),
        258: (3, (8 * pixels.itemsize,) * count),
        259: (3, (1,)),
        262: (3, (photometric,)),
        273: (4, (8,)),
        277: (3, (count,)),
        278: (3, (height,)),
        279: (4, (len(strip),)),
        339: (3, (3 if pixels.dtype.kind == "f" else 1,) * count),
    }
    base |= tags or {}
    for n in range(pictures):
        size = len(directory(base, order, 0))
        following = len(whole) + size if n < pictures - 1 else 0
        whole += directory(base, order, len(whole), following)
    path.write_bytes(whole)
    return path


def jpeg(path: Path, *segments: tuple[int, bytes]) -> Path:
    """A JPEG with further segments behind its beginning."""
    images.write(path, codes(), "uint8", CompressionQuality=95)
    data = path.read_bytes()
    extra = b"".join(struct.pack(">BBH", 0xFF, m, len(d) + 2) + d for m, d in segments)
    path.write_bytes(data[:2] + extra + data[2:])
    return path


def multi_picture(kinds: Sequence[int]) -> tuple[int, bytes]:
    """The segment of a multi-picture JPEG (CIPA DC-007) that lists pictures of some kinds."""
    entries = b"".join(struct.pack("<IIIHH", kind, 1000, 0, 0, 0) for kind in kinds)
    tags: Tags = {
        0xB000: (7, b"0100"),
        0xB001: (4, (len(kinds),)),
        0xB002: (7, entries),
    }
    return 0xE2, b"MPF\0II*\0" + struct.pack("<I", 8) + directory(tags, "<", 8)


def cmyk_jpeg(path: Path) -> Path:
    """A JPEG of four inks, all of one level: each block is a DC difference of 0 and an end."""
    images.write(path, codes(channels=1), "uint8")
    data = path.read_bytes()
    frame = data.index(b"\xff\xc0")
    scan = data.index(b"\xff\xda")
    after = frame + 2 + struct.unpack_from(">H", data, frame + 2)[0]
    parts = b"".join(bytes((n, 0x11, 0)) for n in range(1, 5))
    head = struct.pack(">BBHBHHB", 0xFF, 0xC0, 20, 8, 48, 64, 4) + parts
    order = b"".join(bytes((n, 0)) for n in range(1, 5))
    start = struct.pack(">BBHB", 0xFF, 0xDA, 14, 4) + order + bytes((0, 63, 0))
    bits = int("001010" * (8 * 6 * 4), 2).to_bytes(144, "big")
    path.write_bytes(data[:frame] + head + data[after:scan] + start + bits + b"\xff\xd9")
    return path


def gif(path: Path, pictures: int, *, timed: bool) -> Path:
    """A GIF of 2x2 pixels: cleared after each code, so that nothing is compressed."""
    whole = b"GIF89a" + struct.pack("<HHBBB", 2, 2, 0x80, 0, 0) + bytes((0, 0, 0, 255, 255, 255))
    for n in range(pictures):
        if timed:
            whole += bytes((0x21, 0xF9, 4, 0, 10, 0, 0, 0))
        whole += b"," + struct.pack("<HHHHB", 0, 0, 2, 2, 0)
        values, bits = [4, n % 2, 4, 1, 4, 0, 4, 1, 5], 0
        for place, value in enumerate(values):
            bits |= value << (3 * place)
        coded = bits.to_bytes(4, "little")
        whole += bytes((2, len(coded))) + coded + b"\0"
    path.write_bytes(whole + b";")
    return path


def animated_webp(path: Path) -> Path:
    """A WebP whose header tells of animation, with two equal frames."""
    images.write(path, codes(), "uint8")
    data = path.read_bytes()
    picture = data[12:]
    size = (63).to_bytes(3, "little") + (47).to_bytes(3, "little")
    frame = bytes(6) + size + (40).to_bytes(3, "little") + b"\0" + picture
    frames = (b"ANMF" + struct.pack("<I", len(frame)) + frame) * 2
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes((2, 0, 0, 0)) + size
    body += b"ANIM" + struct.pack("<I", 6) + bytes(6) + frames
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def tiff_tags(path: Path) -> dict[int, tuple[int, bytes]]:
    """Type and bytes of each tag of a TIFF's first directory, in the file's own order."""
    data = path.read_bytes()
    order = "<" if data[:2] == b"II" else ">"
    at = struct.unpack_from(f"{order}I", data, 4)[0]
    found = {}
    for n in range(struct.unpack_from(f"{order}H", data, at)[0]):
        entry = at + 2 + 12 * n
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, entry)
        size = count * struct.calcsize(_FORMS[kind]) * (2 if kind in (5, 10) else 1)
        place = entry + 8 if size <= 4 else struct.unpack_from(f"{order}I", data, entry + 8)[0]
        found[tag] = (kind, data[place : place + size])
    return found


def tiff_strips(path: Path) -> bytes:
    """The pixels of an uncompressed TIFF as they are stored."""
    data, tags = path.read_bytes(), tiff_tags(path)
    order = "<" if data[:2] == b"II" else ">"
    places, sizes = (
        struct.unpack(f"{order}{len(raw) // struct.calcsize(_FORMS[kind])}{_FORMS[kind]}", raw)
        for kind, raw in (tags[273], tags[279])
    )
    return b"".join(data[p : p + s] for p, s in zip(places, sizes, strict=True))


def dpx(path: Path, pix_fmt: str, number: int = 0) -> Path:
    """A DPX as FFmpeg writes it: without headers for film and television, 1664 bytes in all."""
    kind = "uint16" if "10" in pix_fmt or "12" in pix_fmt or "16" in pix_fmt else "uint8"
    pixels = codes(kind, number=number)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24" if kind == "uint8" else "rgb48le")
    context = av.CodecContext.create("dpx", "w")
    context.width, context.height, context.pix_fmt = 64, 48, pix_fmt
    context.time_base = Fraction(1, 24)
    packets = [*context.encode(frame.reformat(format=pix_fmt)), *context.encode(None)]
    path.write_bytes(b"".join(map(bytes, packets)))
    return path
