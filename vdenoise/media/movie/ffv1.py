"""Checksums of FFV1 packets (RFC 9043, section 4.9): FFmpeg only logs a mismatch.

With error correction on, every slice ends in a footer: its size (24 bits), an error status byte
and a CRC-32 (polynomial 0x04C11DB7, not reflected, initial value 0) that makes the checksum of
the whole slice 0.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

_FOOTER = 8
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Checksums:
    """Follows the packets of one stream and tells which cannot be decoded as they were coded.

    Args:
        present: whether packets of this stream have checksums, see :func:`present`.
    """

    def __init__(self, present: bool) -> None:
        self._present = present
        self._broken = False  # since the last key frame something was damaged

    def damaged(self, packet: bytes, key: bool) -> bool:
        """Whether this packet, or one it depends on, is damaged."""
        if key:
            self._broken = False
        if self._present and not _sound(packet):
            self._broken = True
        return self._broken


def present(packets: Iterable[bytes]) -> bool:
    """Whether one of a stream's first packets has checksums (that are right)."""
    return any(_sound(packet) for packet in packets if packet)  # the last one may be empty


def _sound(packet: bytes) -> bool:
    """Whether the packet is a chain of slices that all have the right checksum."""
    end = len(packet)
    while end >= _FOOTER:
        size = int.from_bytes(packet[end - _FOOTER : end - _FOOTER + 3], "big")
        start = end - _FOOTER - size
        if start < 0 or _crc(packet[start:end]) != 0:
            return False
        end = start
    return end == 0


def _crc(data: bytes) -> int:
    """zlib's CRC is the reflected one: on bit-reversed bytes it is ours, bit-reversed."""
    return zlib.crc32(data.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
