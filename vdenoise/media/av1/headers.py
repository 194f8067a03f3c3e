"""Frame headers of AV1, read as far as to where film grain goes: their last syntax element.

Follows the AV1 bitstream specification, section 5.9; names in comments are its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vdenoise.media.av1.syntax import (
    INTRA_ONLY,
    KEY,
    SWITCH,
    FrameHeader,
    global_motion,
    loop_filter,
    quantization,
    restoration,
    segmentation,
    size_as,
    size_of,
    skips,
    tiles,
)
from vdenoise.media.av1.units import (
    FRAME,
    FRAME_HEADER,
    REDUNDANT_FRAME_HEADER,
    SELECT,
    SEQUENCE_HEADER,
    Bits,
    Obu,
    StreamHeader,
    UnreadableHeader,
    read_sequence,
)

_SLOTS = 8  # NUM_REF_FRAMES
_REFERENCES = 7  # REFS_PER_FRAME
_NONE = 7  # PRIMARY_REF_NONE


@dataclass
class Headers:
    """Reads the headers of a stream, packet by packet."""

    sequence: StreamHeader | None = None
    _slots: list[FrameHeader] = field(
        default_factory=lambda: [FrameHeader() for _ in range(_SLOTS)]
    )
    _last: FrameHeader | None = None

    def read(self, units: Sequence[Obu], number: int) -> list[FrameHeader | None]:
        """Find for each unit of a packet the frame whose header it holds, if that has a place for
        grain.

        Args:
            units: of the packet, which shows one frame.
            number: of the frame that the packet shows; frames that it only holds get theirs when
                a later packet shows them.

        Raises:
            UnreadableHeader: a header is not as SVT-AV1 writes it.
        """
        found: list[FrameHeader | None] = []
        for unit in units:
            frame = None
            if unit.kind == SEQUENCE_HEADER:
                self.sequence = read_sequence(unit.payload)
            elif unit.kind in (FRAME_HEADER, FRAME):
                frame = self._frame(unit, number)
                self._last = frame
            elif unit.kind == REDUNDANT_FRAME_HEADER:
                frame = self._last
            found.append(frame if frame is not None and frame.has_grain else None)
        return found

    def _frame(self, unit: Obu, number: int) -> FrameHeader | None:
        """uncompressed_header() and what it does to the slots; None where it shows a slot."""
        if self.sequence is None:
            raise UnreadableHeader("a frame before the sequence header")
        b = Bits(unit.payload)
        if b.flag():  # show_existing_frame
            again = self._slots[b.u(3)]
            if again.number is None:
                again.number = number
            if again.kind == KEY:  # 7.21: it is as if it came now
                self._slots = [again] * _SLOTS
            return None
        frame, refresh = _uncompressed(b, self.sequence, self._slots)
        frame.end = b.at
        rest = 8 * len(unit.payload) - b.at if unit.kind == FRAME_HEADER else -b.at % 8
        if b.u(rest) != (1 << (rest - 1) if unit.kind == FRAME_HEADER else 0):
            raise UnreadableHeader("a frame header with something behind it")
        frame.number = number if frame.shown else None
        self._slots = [frame if refresh >> n & 1 else slot for n, slot in enumerate(self._slots)]
        return frame


def _uncompressed(
    b: Bits, s: StreamHeader, slots: Sequence[FrameHeader]
) -> tuple[FrameHeader, int]:
    """uncompressed_header() behind show_existing_frame; the frame, and refresh_frame_flags"""
    kind = b.u(2)
    if kind == SWITCH:
        raise UnreadableHeader("an S-frame")
    intra = kind in (KEY, INTRA_ONLY)
    shown = b.flag()
    showable = kind != KEY if shown else b.flag()
    first = kind == KEY and shown
    resilient = True if first else b.flag()
    frame = FrameHeader(kind, shown, showable)
    if first:
        slots = [FrameHeader() for _ in slots]
    no_adaption = b.flag()  # disable_cdf_update
    screen = b.flag() if s.screen_content == SELECT else bool(s.screen_content)
    integer_mv = screen and (b.flag() if s.integer_mv == SELECT else bool(s.integer_mv))
    other_size = b.flag()  # frame_size_override_flag
    frame.hint = b.u(s.hint_bits)
    primary = _NONE if intra or resilient else b.u(3)
    refresh = 0xFF if first else b.u(8)
    if resilient and s.hint_bits and (not intra or refresh != 0xFF):
        b.u(s.hint_bits * _SLOTS)  # ref_order_hint
    references: list[FrameHeader] = []
    precise = block_copy = False
    if intra:
        narrow = size_of(b, s, frame, other_size)
        block_copy = screen and not narrow and b.flag()  # allow_intrabc
    else:
        if s.hint_bits:
            b.refuse("short signaling of references")
        references = [slots[b.u(3)] for _ in range(_REFERENCES)]
        if other_size and not resilient:
            narrow = size_as(b, s, frame, references)
        else:
            narrow = size_of(b, s, frame, other_size)
        precise = not integer_mv and b.flag()  # allow_high_precision_mv
        if not b.flag():  # is_filter_switchable
            b.u(2)
        b.u(1)  # is_motion_mode_switchable
        if not resilient and s.motion_fields:
            b.u(1)  # use_ref_frame_mvs
    if not no_adaption:
        b.u(1)  # disable_frame_end_update_cdf
    tiles(b, s, narrow or frame.size[0], frame.size[1])
    base, plain = quantization(b, s)
    segmentation(b, frame, None if primary == _NONE else references[primary])
    if base and b.flag():  # delta_q_present
        b.u(2)
        if not block_copy and b.flag():  # delta_lf_present
            b.u(3)
    lossless = plain and all(base + extra <= 0 for extra in frame.quantizers)
    if not lossless and not block_copy:
        loop_filter(b)
        if s.cdef:
            b.u(2)  # cdef_damping_minus_3
            b.u(12 << b.u(2))  # strengths, of 1 << cdef_bits kinds
    if not (lossless and not narrow) and not block_copy and s.restoration:
        restoration(b, s)
    if not lossless:
        b.u(1)  # tx_mode_select
    compound = not intra and b.flag()  # reference_select
    if compound and s.hint_bits and skips(frame.hint, [r.hint for r in references], s.hint_bits):
        b.u(1)  # skip_mode_present
    if not intra and not resilient and s.warped_motion:
        b.u(1)  # allow_warped_motion
    b.u(1)  # reduced_tx_set
    if not intra:
        for _ in range(_REFERENCES):
            global_motion(b, precise)
    return frame, refresh
