"""HDR10 metadata for codecs whose bitstream has no place for it.

MOV and Matroska tell it beside the codec, but PyAV cannot set that on a new stream. It can copy it
from a stream that was read, so a one-frame QuickTime file is made in memory, the boxes ``mdcv``
and ``clli`` (ISO/IEC 14496-12, 12.1.5 and 12.1.6) are put into it, and it is read again.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import av
from av.container import InputContainer

from vdenoise.media.movie.hdr import scaled

_ENTRY = 86  # bytes of a visual sample entry before its extension boxes, with the box header
_FOURCC = {"prores": b"apch", "dnxhd": b"AVdh", "ffv1": b"FFV1"}
_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def template(codec: str, hdr: dict[str, Any]) -> InputContainer:
    """A container with one video stream of this coded format that has the HDR10 metadata.

    Args:
        codec: FFmpeg's name of the coded format: prores, dnxhd or ffv1.
        hdr: as in ``ClipInfo.hdr``.
    """
    movie = _with_boxes(_tiny_movie(), _FOURCC[codec], _boxes(hdr))
    return av.open(io.BytesIO(movie), "r")


def _tiny_movie() -> bytes:
    """A QuickTime file of one gray frame; its codec is renamed afterwards."""
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as output:
        stream = output.add_stream("prores_ks", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv422p10le"
        frame = av.VideoFrame(64, 64, "yuv422p10le")
        for plane in frame.planes:
            plane.update(b"\0\2" * (plane.buffer_size // 2))
        frame.pts = 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def _boxes(hdr: dict[str, Any]) -> bytes:
    boxes = b""
    display = hdr.get("mastering_display", {})
    if {"red", "min_luminance"} <= display.keys():
        corners = [
            scaled(value, 50000)
            for name in ("green", "blue", "red", "white")
            for value in display[name]
        ]
        brightest = scaled(display["max_luminance"], 10000)
        darkest = scaled(display["min_luminance"], 10000)
        boxes += struct.pack(">I4s8H2I", 32, b"mdcv", *corners, brightest, darkest)
    light = hdr.get("content_light")
    if light is not None:
        boxes += struct.pack(">I4s2H", 12, b"clli", light["max"], light["average"])
    return boxes


def _with_boxes(movie: bytes, fourcc: bytes, boxes: bytes) -> bytes:
    """The movie with boxes added to its sample entry; ``moov`` is last, so no offset changes."""
    data = bytearray(movie)
    sizes, start, end = [], 0, len(data)
    for kind in _PATH:
        start = _find(data, kind, start, end)
        sizes.append(start)
        end = start + int.from_bytes(data[start : start + 4], "big")
        start += 8
    entry = start + 8  # after version, flags and entry count
    data[entry + 4 : entry + 8] = fourcc
    for at in (*sizes, entry):
        grown = int.from_bytes(data[at : at + 4], "big") + len(boxes)
        data[at : at + 4] = grown.to_bytes(4, "big")
    data[entry + _ENTRY : entry + _ENTRY] = boxes
    return bytes(data)


def _find(data: bytearray, kind: bytes, start: int, end: int) -> int:
    """Where the box ``kind`` starts among the boxes from ``start`` to ``end``."""
    while start < end:
        if data[start + 4 : start + 8] == kind:
            return start
        start += int.from_bytes(data[start : start + 4], "big")
    raise AssertionError(f"our own movie has no {kind!r}")
