"""Noticing, without decoding, what single packets of a picture hold: captions, and new headers."""

from __future__ import annotations

import contextlib
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream

# ATSC A/53 captions: in a user data message (ITU-T T.35), or in MPEG-2's user data.
_CAPTION_MARKS = {
    "h264": (b"\xb5\x00\x31GA94\x03",),
    "hevc": (b"\xb5\x00\x31GA94\x03",),
    "av1": (b"\xb5\x00\x31GA94\x03",),
    "mpeg2video": (b"\0\0\1\xb2GA94\x03", b"\0\0\1\xb2CC\1\xf8"),
    "mpeg1video": (b"\0\0\1\xb2GA94\x03", b"\0\0\1\xb2CC\1\xf8"),
}
_COUNTS, _COUNT = 0x40, 0x1F  # bits: whether the bytes of captions count, and how many threes
_EXTRACTED = {"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "av1"}
_FRONT = {"prores": slice(8, 26), "vp9": slice(0, 8)}  # of keyframes: size, shape, color


class HeaderWatch:
    """Sees each packet of a picture once, in the order of the file; it may empty the packet.

    Attributes:
        captions: whether closed captions were met.
    """

    def __init__(self, stream: VideoStream) -> None:
        self.captions = False
        self._codec = str(stream.codec_context.codec.canonical_name)
        self._marks = _CAPTION_MARKS.get(self._codec, ())
        self._front = _FRONT.get(self._codec)
        self._header: bytes | None = None
        self._filter: BitStreamFilterContext | None = None
        extradata = stream.codec_context.extradata or b""
        apart = extradata[:1] == b"\1" and self._codec in ("h264", "hevc")  # headers are elsewhere
        if self._codec in _EXTRACTED and not apart:
            with contextlib.suppress(av.FFmpegError, ValueError):
                self._filter = BitStreamFilterContext("extract_extradata", stream)

    def new_header(self, packet: Any) -> bool:
        """Whether a header begins here that differs from the one before."""
        if self._marks and not self.captions:
            data = bytes(packet)
            self.captions = any(_holds_captions(data, mark) for mark in self._marks)
        header = self._header_of(packet)
        before = self._header
        if header is not None:
            self._header = header
        return None not in (before, header) and header != before

    def _header_of(self, packet: Any) -> bytes | None:
        if packet.has_sidedata("new_extradata"):
            return bytes(packet.get_sidedata("new_extradata"))
        if self._front is not None and packet.is_keyframe:
            return bytes(packet)[self._front]
        if self._filter is None or not packet.is_keyframe:
            return None
        with contextlib.suppress(av.FFmpegError, ValueError):
            for filtered in self._filter.filter(packet):
                if filtered.has_sidedata("new_extradata"):
                    return bytes(filtered.get_sidedata("new_extradata"))
        return None


def _holds_captions(data: bytes, mark: bytes) -> bool:
    """Whether a message that begins with a mark is there and holds captions.

    Of ATSC's, CTA-708 tells how many of three bytes each follow, and whether they count; where that
    is none, or more than the message has room for, nobody shows any.
    """
    at = data.find(mark)
    while at >= 0:
        flags = data[at + len(mark)] if at + len(mark) < len(data) else 0
        count = flags & _COUNT
        room = data[at - 1] if at and mark[:1] == b"\xb5" else 0xFF  # bytes of the message
        sound = flags & _COUNTS and count and room >= len(mark) + 2 + 3 * count
        if sound or not mark.endswith(b"GA94\x03"):
            return True
        at = data.find(mark, at + 1)
    return False
