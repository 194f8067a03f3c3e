"""What containers tell of a picture beside its codec: HDR10, stereo 3D, projection, ICC, aperture.

PyAV cannot set that on a new stream. It can copy it from a stream that was read, so a one-frame
QuickTime file is made in memory, the boxes (``mdcv`` and ``clli`` of ISO/IEC 14496-12, and those
that a clip brought) are put into it, and it is read again.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from vdenoise.media.movie.boxes import ENTRY
from vdenoise.media.movie.hdr import scaled
from vdenoise.media.movie.opening import open_encoder

# Made as ProRes and renamed; the others are made by their own encoder, because FFmpeg reads no
# stream of theirs without its header.
_RENAMED = {"prores_ks": b"apch", "dnxhd": b"AVdh", "ffv1": b"FFV1"}
_SIZE = 32  # bytes of a sample entry before its width and height
_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def template(
    encoder: str, size: tuple[int, int], hdr: dict[str, Any], boxes: bytes
) -> InputContainer:
    """A container with one video stream of a coded format that has this metadata beside it.

    Args:
        encoder: FFmpeg's name.
        size: width and height that the boxes are for.
        hdr: as in ``ClipInfo.hdr``; empty where the codec tells it itself.
        boxes: as in ``ClipInfo.boxes``.
    """
    renamed = _RENAMED.get(encoder)
    movie = _tiny_movie("prores_ks" if renamed else encoder)
    movie = _with_boxes(movie, renamed, size, _boxes(hdr) + boxes)
    return av.open(io.BytesIO(movie), "r")


def _tiny_movie(encoder: str) -> bytes:
    """A file of one gray frame."""
    file = io.BytesIO()
    quicktime = encoder == "prores_ks"
    layout = "yuv422p10le" if quicktime else "yuv420p"
    with av.open(file, "w", format="mov" if quicktime else "mp4") as output:
        quiet = {"x265-params": "log-level=none"} if encoder == "libx265" else {}
        stream = output.add_stream(encoder, rate=25, options=quiet)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 64, layout
        open_encoder(stream.codec_context)
        frame = av.VideoFrame(64, 64, layout)
        for plane in frame.planes:
            gray = b"\0\2" if quicktime else b"\x80"
            plane.update(gray * (plane.buffer_size // len(gray)))
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


def _with_boxes(movie: bytes, fourcc: bytes | None, size: tuple[int, int], boxes: bytes) -> bytes:
    """The movie with boxes added to its sample entry; ``moov`` is last, so no offset changes."""
    data = bytearray(movie)
    sizes, start, end = [], 0, len(data)
    for kind in _PATH:
        start = _find(data, kind, start, end)
        sizes.append(start)
        end = start + int.from_bytes(data[start : start + 4], "big")
        start += 8
    entry = start + 8  # after version, flags and entry count
    data[entry + _SIZE : entry + _SIZE + 4] = struct.pack(">2H", *size)
    if fourcc is not None:
        data[entry + 4 : entry + 8] = fourcc
    for at in (*sizes, entry):
        grown = int.from_bytes(data[at : at + 4], "big") + len(boxes)
        data[at : at + 4] = grown.to_bytes(4, "big")
    data[entry + ENTRY : entry + ENTRY] = boxes
    return bytes(data)


def _find(data: bytearray, kind: bytes, start: int, end: int) -> int:
    """Where the box ``kind`` starts among the boxes from ``start`` to ``end``."""
    while start < end:
        if data[start + 4 : start + 8] == kind:
            return start
        start += int.from_bytes(data[start : start + 4], "big")
    raise AssertionError(f"our own movie has no {kind!r}")
