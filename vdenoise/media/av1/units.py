"""AV1 packets taken apart: units, their bits, and the sequence header.

Follows the AV1 bitstream specification, sections 5.3 to 5.5; names in comments are its own. What
SVT-AV1 never writes (scalability, decoder models, frame identifiers, S-frames, uneven tiles) is
refused, here and where headers are read on: nothing would prove that it is read rightly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SEQUENCE_HEADER, FRAME_HEADER, FRAME, REDUNDANT_FRAME_HEADER = 1, 3, 6, 7  # obu_type
SELECT = 2  # SELECT_SCREEN_CONTENT_TOOLS, SELECT_INTEGER_MV: each frame says it

_HEADER_BYTES = 1024  # no header is longer


class UnreadableHeader(Exception):
    """A header that is not as SVT-AV1 writes them (a clause without a full stop)."""


class OwnGrain(UnreadableHeader):
    """A sequence header of which all is read, and that says that frames may tell film grain."""


@dataclass(frozen=True)
class Obu:
    """An open bitstream unit."""

    kind: int
    head: bytes  # its header, without the size
    payload: bytes

    def bytes(self) -> bytes:
        """The unit again, with its size."""
        size, rest = b"", len(self.payload)
        while rest > 127:
            size, rest = size + bytes([rest & 127 | 128]), rest >> 7
        return self.head + size + bytes([rest]) + self.payload


def obus(data: bytes) -> Iterator[Obu]:
    """The units of a packet.

    Raises:
        UnreadableHeader: a unit does not say how long it is, or is cut off.
    """
    at = 0
    while at < len(data):
        start, at = at, at + (2 if data[at] & 4 else 1)
        if not data[start] & 2:
            raise UnreadableHeader("an OBU does not tell its size")
        head, size, shift = data[start:at], 0, 0
        while at < len(data):
            byte, at = data[at], at + 1
            size |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                break
        if at + size > len(data):
            raise UnreadableHeader("an OBU is cut off")
        yield Obu(head[0] >> 3 & 15, head, data[at : at + size])
        at += size


@dataclass(frozen=True)
class StreamHeader:
    """What a sequence header says of frame headers."""

    grain_at: int  # the bit of film_grain_params_present in its payload
    width_bits: int
    height_bits: int
    size: tuple[int, int]  # most: (width, height)
    big_blocks: bool  # 128x128
    warped_motion: bool
    motion_fields: bool  # enable_ref_frame_mvs
    screen_content: int  # seq_force_screen_content_tools
    integer_mv: int
    hint_bits: int  # 0 without order hints
    superres: bool
    cdef: bool
    restoration: bool
    separate_uv: bool  # separate_uv_delta_q


class Bits:
    """Bits of a header, from the first."""

    def __init__(self, data: bytes) -> None:
        data = data[:_HEADER_BYTES]
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)
        self.at = 0

    def u(self, bits: int) -> int:
        """f(n)"""
        self.at += bits
        self._left -= bits
        if self._left < 0:
            raise UnreadableHeader("a header ends early")
        return self._value >> self._left & (1 << bits) - 1

    def flag(self) -> bool:
        """f(1)"""
        return bool(self.u(1))

    def signed(self, bits: int) -> int:
        """su(n)"""
        value = self.u(bits)
        return value - (1 << bits) if value >> (bits - 1) else value

    def quasi(self, count: int) -> int:
        """ns(n)"""
        width = count.bit_length()
        short = (1 << width) - count
        value = self.u(width - 1)
        return value if value < short else (value << 1) - short + self.u(1)

    def delta(self) -> int:
        """read_delta_q()"""
        return self.signed(7) if self.flag() else 0

    def refuse(self, what: str) -> None:
        """f(1) that must be 0."""
        if self.flag():
            raise UnreadableHeader(what)


def read_sequence(payload: bytes) -> StreamHeader:
    """sequence_header_obu()

    Raises:
        UnreadableHeader: it is not as SVT-AV1 writes it.
        OwnGrain: it is, and frames may tell film grain.
    """
    b = Bits(payload)
    if b.u(3):  # seq_profile
        raise UnreadableHeader("video that is not 4:2:0")
    b.u(1)  # still_picture
    b.refuse("a reduced still picture header")
    if b.flag():  # timing_info_present_flag
        b.u(64)
        b.refuse("an equal picture interval")
        b.refuse("a decoder model")
    delay = b.flag()  # initial_display_delay_present_flag
    for _ in range(b.u(5) + 1):  # operating points
        if b.u(12):
            raise UnreadableHeader("scalable layers")
        if b.u(5) > 7:  # seq_level_idx
            b.u(1)  # seq_tier
        if delay and b.flag():
            b.u(4)
    width_bits, height_bits = b.u(4) + 1, b.u(4) + 1
    size = b.u(width_bits) + 1, b.u(height_bits) + 1
    b.refuse("frame identifiers")
    big_blocks = b.flag()
    b.u(4)  # enable_filter_intra, _intra_edge_filter, _interintra_compound, _masked_compound
    warped_motion = b.flag()
    b.u(1)  # enable_dual_filter
    hints = b.flag()
    motion_fields = bool(b.u(2) & 1) if hints else False  # enable_jnt_comp is the other
    screen_content = SELECT if b.flag() else b.u(1)
    integer_mv = SELECT
    if screen_content:
        integer_mv = SELECT if b.flag() else b.u(1)
    hint_bits = b.u(3) + 1 if hints else 0
    superres, cdef, restoration = b.flag(), b.flag(), b.flag()
    separate_uv = _color(b)
    grain_at = b.at
    if b.flag():
        raise OwnGrain("film grain of the encoder's own")
    return StreamHeader(
        grain_at, width_bits, height_bits, size, big_blocks, warped_motion, motion_fields,
        screen_content, integer_mv, hint_bits, superres, cdef, restoration, separate_uv,
    )  # fmt: skip


def _color(b: Bits) -> bool:
    """color_config() of 4:2:0, the one layout of profile 0 but monochrome; separate_uv_delta_q"""
    b.u(1)  # high_bitdepth
    b.refuse("monochrome video")
    if b.flag():  # color_description_present_flag
        b.u(24)
    b.u(3)  # color_range, chroma_sample_position
    return b.flag()
