"""Frame headers of AV1, read as far as to where film grain goes: their last syntax element.

Follows the AV1 bitstream specification, section 5.9; names in comments are its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vdenoise.media.av1_units import (
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

KEY, INTER, INTRA_ONLY, SWITCH = range(4)  # frame_type

_SLOTS = 8  # NUM_REF_FRAMES
_REFERENCES = 7  # REFS_PER_FRAME
_NONE = 7  # PRIMARY_REF_NONE
_TILE_WIDTH, _TILE_AREA, _TILES = 4096, 4096 * 2304, 64  # most
_SEGMENT_BITS = (8, 6, 6, 6, 6, 3, 0, 0)  # of each feature's value
_SIGNED_FEATURES = 5  # the first ones


@dataclass
class Frame:
    """A coded frame, with what later ones need of it."""

    kind: int = KEY
    shown: bool = True  # at once; else by show_existing_frame, if ever
    showable: bool = False
    end: int = 0  # the bit of the header at which film_grain_params() goes
    hint: int = 0  # order_hint
    size: tuple[int, int] = (0, 0)  # upscaled
    quantizers: tuple[int, ...] = (0,) * 8  # of the segments, beside the frame's own
    number: int | None = None  # of the first packet that shows it

    @property
    def has_grain(self) -> bool:
        """Whether its header has a place for grain."""
        return self.shown or self.showable


@dataclass
class Headers:
    """Reads the headers of a stream, packet by packet."""

    sequence: StreamHeader | None = None
    _slots: list[Frame] = field(default_factory=lambda: [Frame() for _ in range(_SLOTS)])
    _last: Frame | None = None

    def read(self, units: Sequence[Obu], number: int) -> list[Frame | None]:
        """For each unit of a packet the frame whose header it holds, if that has a place for grain.

        Args:
            units: of the packet, which shows one frame.
            number: of the frame that the packet shows; frames that it only holds get theirs when
                a later packet shows them.

        Raises:
            UnreadableHeader: a header is not as SVT-AV1 writes it.
        """
        found: list[Frame | None] = []
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

    def _frame(self, unit: Obu, number: int) -> Frame | None:
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


def _uncompressed(b: Bits, s: StreamHeader, slots: Sequence[Frame]) -> tuple[Frame, int]:
    """uncompressed_header() behind show_existing_frame; the frame, and refresh_frame_flags"""
    kind = b.u(2)
    if kind == SWITCH:
        raise UnreadableHeader("an S-frame")
    intra = kind in (KEY, INTRA_ONLY)
    shown = b.flag()
    showable = kind != KEY if shown else b.flag()
    first = kind == KEY and shown
    resilient = True if first else b.flag()
    frame = Frame(kind, shown, showable)
    if first:
        slots = [Frame() for _ in slots]
    no_adaption = b.flag()  # disable_cdf_update
    screen = b.flag() if s.screen_content == SELECT else bool(s.screen_content)
    integer_mv = screen and (b.flag() if s.integer_mv == SELECT else bool(s.integer_mv))
    other_size = b.flag()  # frame_size_override_flag
    frame.hint = b.u(s.hint_bits)
    primary = _NONE if intra or resilient else b.u(3)
    refresh = 0xFF if first else b.u(8)
    if resilient and s.hint_bits and (not intra or refresh != 0xFF):
        b.u(s.hint_bits * _SLOTS)  # ref_order_hint
    references: list[Frame] = []
    precise = block_copy = False
    if intra:
        narrow = _size(b, s, frame, other_size)
        block_copy = screen and not narrow and b.flag()  # allow_intrabc
    else:
        if s.hint_bits:
            b.refuse("short signaling of references")
        references = [slots[b.u(3)] for _ in range(_REFERENCES)]
        if other_size and not resilient:
            narrow = _size_as(b, s, frame, references)
        else:
            narrow = _size(b, s, frame, other_size)
        precise = not integer_mv and b.flag()  # allow_high_precision_mv
        if not b.flag():  # is_filter_switchable
            b.u(2)
        b.u(1)  # is_motion_mode_switchable
        if not resilient and s.motion_fields:
            b.u(1)  # use_ref_frame_mvs
    if not no_adaption:
        b.u(1)  # disable_frame_end_update_cdf
    _tiles(b, s, narrow or frame.size[0], frame.size[1])
    base, plain = _quantization(b, s)
    _segmentation(b, frame, None if primary == _NONE else references[primary])
    if base and b.flag():  # delta_q_present
        b.u(2)
        if not block_copy and b.flag():  # delta_lf_present
            b.u(3)
    lossless = plain and all(base + extra <= 0 for extra in frame.quantizers)
    if not lossless and not block_copy:
        _loop_filter(b)
        if s.cdef:
            b.u(2)  # cdef_damping_minus_3
            b.u(12 << b.u(2))  # strengths, of 1 << cdef_bits kinds
    if not (lossless and not narrow) and not block_copy and s.restoration:
        _restoration(b, s)
    if not lossless:
        b.u(1)  # tx_mode_select
    compound = not intra and b.flag()  # reference_select
    if compound and s.hint_bits and _skips(frame.hint, [r.hint for r in references], s.hint_bits):
        b.u(1)  # skip_mode_present
    if not intra and not resilient and s.warped_motion:
        b.u(1)  # allow_warped_motion
    b.u(1)  # reduced_tx_set
    if not intra:
        for _ in range(_REFERENCES):
            _global_motion(b, precise)
    return frame, refresh


def _size(b: Bits, s: StreamHeader, frame: Frame, other: bool) -> int:
    """frame_size() and render_size(); the width that is coded where that is less, else 0"""
    frame.size = (b.u(s.width_bits) + 1, b.u(s.height_bits) + 1) if other else s.size
    narrow = _superres(b, s, frame)
    if b.flag():  # render_and_frame_size_different
        b.u(32)
    return narrow


def _size_as(b: Bits, s: StreamHeader, frame: Frame, references: Sequence[Frame]) -> int:
    """frame_size_with_refs()"""
    for reference in references:
        if b.flag():  # found_ref
            frame.size = reference.size
            return _superres(b, s, frame)
    return _size(b, s, frame, True)


def _superres(b: Bits, s: StreamHeader, frame: Frame) -> int:
    """superres_params()"""
    if not s.superres or not b.flag():
        return 0
    parts = b.u(3) + 9
    return (frame.size[0] * 8 + parts // 2) // parts


def _tiles(b: Bits, s: StreamHeader, width: int, height: int) -> None:
    """tile_info()"""
    log2 = 7 if s.big_blocks else 6
    columns, rows = (-(-length // 8) * 8 + (1 << log2) - 1 >> log2 for length in (width, height))
    least_columns = _log2(_TILE_WIDTH >> log2, columns)
    least = max(least_columns, _log2(_TILE_AREA >> 2 * log2, rows * columns))
    if not b.flag():  # uniform_tile_spacing_flag
        raise UnreadableHeader("uneven tiles")
    across = _increment(b, least_columns, _log2(1, min(columns, _TILES)))
    down = _increment(b, max(least - across, 0), _log2(1, min(rows, _TILES)))
    if across or down:
        b.u(across + down + 2)  # context_update_tile_id, tile_size_bytes_minus_1


def _log2(unit: int, length: int) -> int:
    """tile_log2()"""
    found = 0
    while unit << found < length:
        found += 1
    return found


def _increment(b: Bits, value: int, most: int) -> int:
    while value < most and b.flag():
        value += 1
    return value


def _quantization(b: Bits, s: StreamHeader) -> tuple[int, bool]:
    """quantization_params(): base_q_idx, and whether no coefficient deviates from it"""
    base = b.u(8)
    deltas = [b.delta()]
    of_chroma = 4 if s.separate_uv and b.flag() else 2  # diff_uv_delta
    deltas += [b.delta() for _ in range(of_chroma)]
    if b.flag():  # using_qmatrix
        b.u(12 if s.separate_uv else 8)
    return base, not any(deltas)


def _segmentation(b: Bits, frame: Frame, primary: Frame | None) -> None:
    """segmentation_params()"""
    if not b.flag():  # segmentation_enabled
        return
    if primary is not None:
        frame.quantizers = primary.quantizers
        if b.flag():  # segmentation_update_map
            b.u(1)
        if not b.flag():  # segmentation_update_data
            return
    found = []
    for _ in range(len(frame.quantizers)):
        values = [0] * len(_SEGMENT_BITS)
        for n, bits in enumerate(_SEGMENT_BITS):
            if b.flag():  # feature_enabled
                values[n] = b.signed(1 + bits) if n < _SIGNED_FEATURES else b.u(bits)
        found.append(values[0])
    frame.quantizers = tuple(found)


def _loop_filter(b: Bits) -> None:
    """loop_filter_params()"""
    if b.u(12):  # loop_filter_level of luma
        b.u(12)
    b.u(3)  # loop_filter_sharpness
    if b.flag() and b.flag():  # loop_filter_delta_enabled, _update
        for _ in range(10):
            b.delta()


def _restoration(b: Bits, s: StreamHeader) -> None:
    """lr_params()"""
    used = [bool(b.u(2)) for _ in range(3)]
    if any(used):
        if b.flag() and not s.big_blocks:  # lr_unit_shift
            b.u(1)
        if any(used[1:]):
            b.u(1)  # lr_uv_shift


def _skips(hint: int, references: Sequence[int], bits: int) -> bool:
    """skipModeAllowed: two references nearest in time, on both sides or both before"""
    distances = [_distance(other, hint, bits) for other in references]
    before = [d for d in distances if d < 0]
    if not before:
        return False
    return any(d > 0 for d in distances) or min(before) < max(before)


def _distance(a: int, b: int, bits: int) -> int:
    """get_relative_dist()"""
    half = 1 << (bits - 1)
    return (a - b & half - 1) - (a - b & half)


def _global_motion(b: Bits, precise: bool) -> None:
    """global_motion_params() of one reference"""
    if not b.flag():  # is_global
        return
    if b.flag():  # is_rot_zoom
        alphas, translation = 2, 12
    elif b.flag():  # is_translation
        alphas, translation = 0, 9 - (not precise)
    else:
        alphas, translation = 4, 12
    for bits in (12,) * alphas + (translation,) * 2:
        _subexponential(b, 2 * (1 << bits) + 1)


def _subexponential(b: Bits, count: int) -> None:
    """decode_subexp(): how long it is does not depend on what it is coded against"""
    step, start = 0, 0
    while True:
        bits = 3 + max(step - 1, 0)
        if count <= start + 3 * (1 << bits):
            b.quasi(count - start)
            return
        if not b.flag():  # subexp_more_bits
            b.u(bits)
            return
        step, start = step + 1, start + (1 << bits)
