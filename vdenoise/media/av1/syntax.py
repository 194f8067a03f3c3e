"""What frame headers of AV1 are made of: a function for each part, which reads past it.

Follows the AV1 bitstream specification, section 5.9; names in comments are its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vdenoise.media.av1.units import Bits, StreamHeader, UnreadableHeader

KEY, INTER, INTRA_ONLY, SWITCH = range(4)  # frame_type

_TILE_WIDTH, _TILE_AREA, _TILES = 4096, 4096 * 2304, 64  # most
_SEGMENT_BITS = (8, 6, 6, 6, 6, 3, 0, 0)  # of each feature's value
_SIGNED_FEATURES = 5  # the first ones


@dataclass
class FrameHeader:
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


def size_of(b: Bits, s: StreamHeader, frame: FrameHeader, other: bool) -> int:
    """frame_size() and render_size(); the width that is coded where that is less, else 0"""
    frame.size = (b.u(s.width_bits) + 1, b.u(s.height_bits) + 1) if other else s.size
    narrow = _superres(b, s, frame)
    if b.flag():  # render_and_frame_size_different
        b.u(32)
    return narrow


def size_as(b: Bits, s: StreamHeader, frame: FrameHeader, references: Sequence[FrameHeader]) -> int:
    """frame_size_with_refs()"""
    for reference in references:
        if b.flag():  # found_ref
            frame.size = reference.size
            return _superres(b, s, frame)
    return size_of(b, s, frame, True)


def _superres(b: Bits, s: StreamHeader, frame: FrameHeader) -> int:
    """superres_params()"""
    if not s.superres or not b.flag():
        return 0
    parts = b.u(3) + 9
    return (frame.size[0] * 8 + parts // 2) // parts


def tiles(b: Bits, s: StreamHeader, width: int, height: int) -> None:
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


def quantization(b: Bits, s: StreamHeader) -> tuple[int, bool]:
    """quantization_params(): base_q_idx, and whether no coefficient deviates from it"""
    base = b.u(8)
    deltas = [b.delta()]
    of_chroma = 4 if s.separate_uv and b.flag() else 2  # diff_uv_delta
    deltas += [b.delta() for _ in range(of_chroma)]
    if b.flag():  # using_qmatrix
        b.u(12 if s.separate_uv else 8)
    return base, not any(deltas)


def segmentation(b: Bits, frame: FrameHeader, primary: FrameHeader | None) -> None:
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


def loop_filter(b: Bits) -> None:
    """loop_filter_params()"""
    if b.u(12):  # loop_filter_level of luma
        b.u(12)
    b.u(3)  # loop_filter_sharpness
    if b.flag() and b.flag():  # loop_filter_delta_enabled, _update
        for _ in range(10):
            b.delta()


def restoration(b: Bits, s: StreamHeader) -> None:
    """lr_params()"""
    used = [bool(b.u(2)) for _ in range(3)]
    if any(used):
        if b.flag() and not s.big_blocks:  # lr_unit_shift
            b.u(1)
        if any(used[1:]):
            b.u(1)  # lr_uv_shift


def skips(hint: int, references: Sequence[int], bits: int) -> bool:
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


def global_motion(b: Bits, precise: bool) -> None:
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
