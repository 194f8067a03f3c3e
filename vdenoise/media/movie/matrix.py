"""How a movie says that its picture is to be turned: a display matrix (ISO 14496-12, 8.3.2).

Of its nine numbers the first row is where across goes (a, b), the second where down goes (c, d).
Containers other than QuickTime's tell an angle and whether the picture is mirrored, no more.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from fractions import Fraction

Matrix = tuple[int, ...]

_ONE = 1 << 16  # 1 in the first two columns
_SLACK = 1e-3  # of 1: less is rounding
MIRRORED = "mirroring"
SHAPED = "display matrix that scales, slants or moves"


def matrix_in(side_data: Mapping[str, bytes]) -> Matrix | None:
    """The nine numbers of a display matrix among a frame's side data; None without one."""
    raw = side_data.get("DISPLAYMATRIX")
    return None if raw is None else struct.unpack_from("<9i", raw)


def degrees(matrix: Matrix | None) -> float:
    """The angle that it turns by, counter-clockwise, from 0 to 360."""
    if matrix is None:
        return 0.0
    a, b, _, _ = _unit(matrix)
    return round(-math.degrees(math.atan2(b, a)) % 360, 3) % 360


def apart(one: float, other: float) -> float:
    """How far two angles are apart, in degrees."""
    return abs((one - other + 180) % 360 - 180)


def items(matrix: Matrix | None, aspect: Fraction) -> dict[str, str]:
    """Items of the ledger that a matrix holds beside its angle.

    Args:
        matrix: of the clip.
        aspect: the shape of its pixels. FFmpeg tells a stretch as that, where nothing else does.
    """
    if matrix is None:
        return {}
    a, b, c, d = _unit(matrix)
    found = {MIRRORED: ""} if a * d < b * c else {}
    # What is turned or mirrored has to be moved to be where it was.
    moved = any(matrix[6:8]) and not found and not degrees(matrix)
    across, down = _lengths(matrix)
    scaled = not _equal(down, 1) or not _equal(across, aspect if _told(matrix, aspect) else 1)
    if scaled or moved or abs(a * b + c * d) > _SLACK or matrix[2] or matrix[5]:
        found[SHAPED] = ""
    return found


def written(matrix: Matrix, aspect: Fraction, *, whole: bool) -> Matrix:
    """What to write of a matrix.

    Args:
        matrix: the source's.
        aspect: the shape of pixels that is written beside it.
        whole: as it is, but for a stretch that ``aspect`` tells; else the turn alone, as exact as
            it can be, for a muxer that asks for an angle finds none in another.
    """
    a, b, _, c, d = matrix[:5]
    exact = (a, b) in ((d, -c), (-d, c))
    if exact or (whole and (SHAPED in items(matrix, aspect) or not _told(matrix, aspect))):
        return matrix
    turn = math.radians(degrees(matrix))
    cos, sin = round(math.cos(turn) * _ONE), round(math.sin(turn) * _ONE)
    side = -1 if MIRRORED in items(matrix, aspect) else 1
    return (cos, -sin, 0, side * sin, side * cos, 0, *matrix[6:])


def _told(matrix: Matrix, aspect: Fraction) -> bool:
    """Whether the shape of pixels tells how much a matrix stretches."""
    across, down = _lengths(matrix)
    return not _equal(across, down) and _equal(across / down, aspect)


def _lengths(matrix: Matrix) -> tuple[float, float]:
    """How much wider and higher it makes what is seen."""
    a, b, c, d = (matrix[n] / _ONE for n in (0, 1, 3, 4))
    return math.hypot(a, c) or 1.0, math.hypot(b, d) or 1.0


def _unit(matrix: Matrix) -> tuple[float, float, float, float]:
    """a, b, c and d without that."""
    across, down = _lengths(matrix)
    a, b, c, d = (matrix[n] / _ONE for n in (0, 1, 3, 4))
    return a / across, b / down, c / across, d / down


def _equal(one: float, other: float | Fraction) -> bool:
    return abs(one / float(other) - 1) <= _SLACK
