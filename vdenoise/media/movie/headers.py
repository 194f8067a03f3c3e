"""Noticing, without decoding, what single packets of a picture tell, and where headers are new."""

from __future__ import annotations

import contextlib
from array import array
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream

from vdenoise.media.movie.messages import CAPTIONS, GRAIN, LAYERS, length_bytes, told_by

_EXTRACTED = {"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "av1"}
_FRONT = {"prores": slice(8, 26), "vp9": slice(0, 8)}  # of keyframes: size, shape, color
# What containers put beside packets, by FFmpeg's name.
_BESIDE = {
    "a53_cc": CAPTIONS,
    "afd": "active format description (AFD)",
    "dynamic_hdr10_plus": "HDR10+ metadata",
    "lcevc": LAYERS,
    "s12m_timecode": "timecodes of single frames",
}
_ADDITION = "matroska_block_additional"


class PacketWatch:
    """Sees each packet of a picture once, in the order of the file; it may empty the packet.

    Attributes:
        told: the packets that told of each item of the ledger, by their number.
    """

    def __init__(self, stream: VideoStream) -> None:
        self.told: dict[str, array[int]] = {}
        self._codec = str(stream.codec_context.codec.canonical_name)
        self._front = _FRONT.get(self._codec)
        self._headers: set[object] = set()
        self._lasting: dict[int, bytes] = {}
        self._filter: BitStreamFilterContext | None = None
        extradata = bytes(stream.codec_context.extradata or b"")
        self._lengths = length_bytes(self._codec, extradata)
        self._always: set[str] = set()
        self._header: bytes | None = None
        self._beside = dict(_BESIDE)
        told = {key.lower(): value for key, value in stream.metadata.items()}
        if told.get("alpha_mode") != "1":
            self._beside[_ADDITION] = "data beside frames (BlockAdditions)"
        apart = extradata[:1] == b"\1" and self._codec in ("h264", "hevc")  # headers are elsewhere
        if self._codec in _EXTRACTED and not apart:
            with contextlib.suppress(av.FFmpegError, ValueError):
                self._filter = BitStreamFilterContext("extract_extradata", stream)

    def see(self, packet: Any, number: int) -> bool:
        """Whether frames may look otherwise from this packet on than any before: by a header, or by
        a message on how they are shown."""
        items = {self._beside.get(data.data_type, "") for data in packet.iter_sidedata()}
        items |= self._always
        for told in told_by(self._codec, bytes(packet), self._lengths):
            items.add(told.item)
            if told.item == GRAIN and self._codec == "av1":
                self._always.add(GRAIN)  # by the sequence's header, of all frames behind it
            if told.lasting is not None:
                kind, body = told.lasting
                self._lasting[kind] = body
        for item in items - {""}:
            self.told.setdefault(item, array("q")).append(number)
        self._header = self._header_of(packet) or self._header
        now = self._header, tuple(sorted(self._lasting.items()))
        new = now not in self._headers
        first = not self._headers
        self._headers.add(now)
        return new and not first

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
