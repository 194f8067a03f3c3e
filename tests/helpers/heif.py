"""Stills as HEIF holds them (ISO/IEC 23008-12), box by box."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import av

from tests.helpers import image_files as files

SIZE = (64, 48)


def still(
    path: Path,
    numbers: tuple[int, ...],
    *,
    grid: bool = False,
    primary: int = 1,
    beside: str = "",
) -> Path:
    """Pictures of `codes` in HEVC, as items of their own or as the tiles of one above another.

    Args:
        path: the file.
        numbers: of the pictures.
        grid: whether there is an item 1 that they are the tiles of.
        primary: number of the item that the file is about, from 1.
        beside: what kind item 2 is of, as an auxiliary picture of item 1; a plain one where empty.
    """
    made = [_coded(number) for number in numbers]
    width, height = SIZE
    first = 1 + grid
    items = [(n, b"hvc1") for n in range(first, first + len(made))]
    every = [(1, b"grid")] * grid + items
    places = struct.pack(">4B2H", 0, 0, len(made) - 1, 0, width, height * len(made))
    brand = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")

    def meta(base: int) -> bytes:
        where = struct.pack(">HHHHII", 1, 1, 0, 1, 0, len(places)) if grid else b""
        for (item, _), (_, sample) in zip(items, made, strict=True):
            where += struct.pack(">HHHHII", item, 0, 0, 1, base, len(sample))
            base += len(sample)
        told = [_full(b"infe", struct.pack(">HH4sB", n, 0, kind, 0), 2) for n, kind in every]
        sizes = [(width, height), (width, height * len(made))]
        shown = [_full(b"ispe", struct.pack(">II", *size)) for size in sizes]
        shown += [_full(b"auxC", beside.encode() + b"\0")] * bool(beside)
        uses = [(1, b"\3")] * grid + [(n, b"\x81\2") for n, _ in items]
        if beside:
            uses[1] = (2, b"\x81\2\x84")
        parts = [
            _full(b"hdlr", struct.pack(">I4s13x", 0, b"pict")),
            _full(b"pitm", struct.pack(">H", primary)),
            _full(b"iloc", struct.pack(">BBH", 0x44, 0, len(every)) + where, 1),
            _full(b"iinf", struct.pack(">H", len(told)) + b"".join(told)),
            _box(
                b"iprp",
                _box(b"ipco", made[0][0] + b"".join(shown))
                + _full(
                    b"ipma",
                    struct.pack(">I", len(uses))
                    + b"".join(struct.pack(">HB", n, len(use)) + use for n, use in uses),
                ),
            ),
        ]
        if grid:
            tiles = struct.pack(f">HH{len(items)}H", 1, len(items), *(n for n, _ in items))
            parts += [_full(b"iref", _box(b"dimg", tiles)), _box(b"idat", places)]
        if beside:
            parts.append(_full(b"iref", _box(b"auxl", struct.pack(">3H", 2, 1, 1))))
        return _full(b"meta", b"".join(parts))

    header = brand + meta(len(brand) + len(meta(0)) + 8)
    path.write_bytes(header + _box(b"mdat", b"".join(sample for _, sample in made)))
    return path


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data) + 8, kind) + data


def _full(kind: bytes, data: bytes, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24) + data)


def _coded(number: int) -> tuple[bytes, bytes]:
    """The hvcC box and the only sample of a picture."""
    memory = io.BytesIO()
    out = av.open(memory, "w", format="mp4")
    stream = out.add_stream("libx265", rate=25)
    (stream.width, stream.height), stream.pix_fmt = SIZE, "yuv420p"
    stream.options = {"x265-params": "log-level=none:keyint=1"}
    for _ in range(8):  # of one or two x265 fails at random
        frame = av.VideoFrame.from_ndarray(files.codes(number=number), format="rgb24")
        out.mux(stream.encode(frame.reformat(format="yuv420p")))
    out.mux(stream.encode(None))
    out.close()
    data = memory.getvalue()
    with av.open(io.BytesIO(data)) as again:
        sample = bytes(next(packet for packet in again.demux() if packet.size))
    at = data.index(b"hvcC") - 4
    return data[at : at + struct.unpack_from(">I", data, at)[0]], sample
