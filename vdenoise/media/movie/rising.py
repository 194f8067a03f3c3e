"""Decoding times that rise from packet to packet: MPEG-TS and MP4 take no others.

In Matroska a tick is a millisecond, longer than a packet of TrueHD lasts: several have one time.
"""

from __future__ import annotations

from typing import Any

STRICT = ("mpegts", "mov", "mp4")  # all of fine ticks


class Rising:
    """Moves packets by single ticks of the output, so that each comes behind the one before."""

    def __init__(self) -> None:
        self._last: int | None = None

    def move(self, packet: Any, target: Any) -> None:
        """Move a packet that would be decoded with the one before, or before that.

        Args:
            packet: of sound; one without a decoding time stays as it is.
            target: the stream, its header written.
        """
        if packet.dts is None:
            return
        ratio = packet.time_base / target.time_base
        dts = round(packet.dts * ratio)
        if self._last is not None and dts <= self._last:
            late = 0 if packet.pts is None else packet.pts - packet.dts
            dts = self._last + 1
            packet.duration = round((packet.duration or 0) * ratio)
            packet.dts, packet.pts = dts, dts + round(late * ratio)
            packet.time_base = target.time_base
        self._last = dts
