"""Film grain as AV1 has it: the numbers a decoder draws it from, as text and as bits.

AV1 can leave grain out of the pictures and have the decoder draw it: Gaussian noise, colored by an
autoregressive filter, scaled by the level of the picture (AV1 specification 5.9.30, 6.8.20 and
7.18.3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

LAG = 3  # of the filter

# How Cb and Cr find their level: their luma's alone (cb_mult, cb_luma_mult, cb_offset)
_CHROMA_LEVEL = ((128, 8), (192, 8), (256, 9))  # (number, bits)
# A plane whose shift register starts at 0 draws no noise: these are the seeds of Y, Cb and Cr that
# start one there (7.18.3.3 and 7.18.3.5)
_DEAD_SEEDS = frozenset({0, 0xB524, 0x49D8})


@dataclass(frozen=True)
class GrainParams:
    """What a decoder draws: numbers as in the bitstream, 8-bit levels."""

    scaling: tuple[tuple[tuple[int, int], ...], ...]  # (level, scaling) points of Y, Cb, Cr
    filters: tuple[tuple[int, ...], ...]  # 24 coefficients of Y; 25 of Cb and Cr, the last on luma
    filter_shift: int  # 6 to 9
    scaling_shift: int  # 8 to 11
    grain_shift: int  # 0 to 3: halvings of the white noise, for what a decoder draws ends at 127

    def text(self, start: int, end: int, seed: int) -> str:
        """The lines of a table, for times from ``start`` until before ``end``."""
        shifts = f"{self.filter_shift} {self.grain_shift} {self.scaling_shift}"
        chroma = " ".join(str(number) for number, _ in _CHROMA_LEVEL)
        lines = [f"E {start} {end} 1 {seed} 1", f"\tp {LAG} {shifts} 0 1 {chroma} {chroma}"]
        for name, points in zip(("sY", "sCb", "sCr"), self.scaling, strict=True):
            lines.append(f"\t{name} {len(points)} " + "".join(f" {x} {y}" for x, y in points))
        for name, taps in zip(("cY", "cCb", "cCr"), self.filters, strict=True):
            lines.append(f"\t{name}" + "".join(f" {tap}" for tap in taps))
        return "\n".join(lines) + "\n"

    def bits(self, seed: int, *, inter: bool) -> str:
        """``film_grain_params()`` of a frame of 4:2:0, as zeros and ones: blocks that overlap, and
        samples that may go beyond the ends of limited range, as the source's may.

        Args:
            seed: of this frame's grain.
            inter: whether it is an inter frame, whose header could refer to another's grain.
        """
        luma, *chroma = self.scaling
        assert luma and bool(chroma[0]) == bool(chroma[1]), "4:2:0 has grain in all planes or in Y"
        out = "1" + _u(seed, 16) + "1" * inter
        out += _points(luma) + "0" + "".join(_points(points) for points in chroma)
        out += _u(self.scaling_shift - 8, 2) + _u(LAG, 2)
        for points, taps in zip(self.scaling, self.filters, strict=True):
            out += "".join(_u(tap + 128, 8) for tap in taps) if points else ""
        out += _u(self.filter_shift - 6, 2) + _u(self.grain_shift, 2)
        for points in chroma:
            out += "".join(_u(number, bits) for number, bits in _CHROMA_LEVEL) if points else ""
        return out + "10"

    def times(self, share: float) -> GrainParams:
        """The same grain, weaker: its sigma times ``share``, from 0 to 1."""
        scaling = tuple(tuple((x, round(y * share)) for x, y in points) for points in self.scaling)
        return replace(self, scaling=scaling)


NO_GRAIN = "0"  # film_grain_params() where none is drawn


def grain_seed(number: int, seed: int) -> int:
    """The seed of a frame's grain: another for each of 60,000 frames in a row, and a function of
    the frame's absolute number alone, so that a part of a clip is drawn as in the whole of it.

    Args:
        number: of the frame, absolute.
        seed: of the run.
    """
    found = (7391 + 3381 * number + 31 * seed) % 65536  # steps as in libaom
    return found if found not in _DEAD_SEEDS else found ^ 1


def _u(value: int, bits: int) -> str:
    return format(value, f"0{bits}b")


def _points(points: tuple[tuple[int, int], ...]) -> str:
    return _u(len(points), 4) + "".join(_u(x, 8) + _u(y, 8) for x, y in points)
