"""How a picture is to be turned to be seen, as Exif counts it (1 to 8), and turning it."""

from __future__ import annotations

import math

from torch import Tensor

from vdenoise.media.movie.matrix import MIRRORED
from vdenoise.picture.frame import ClipInfo

WORDS = {
    2: "mirrored left to right",
    3: "turned by 180 degrees",
    4: "mirrored top to bottom",
    5: "mirrored about its diagonal",
    6: "turned by 90 degrees clockwise",
    7: "mirrored about its other diagonal",
    8: "turned by 90 degrees counter-clockwise",
}
_ONE = 1 << 16  # 1 in a display matrix
_SLACK = 1e-3
# Where across and down go in the picture that is seen: (x from x, y from x, x from y, y from y).
_AXES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


def orientation_of(info: ClipInfo) -> int:
    """How the pictures of a clip are to be turned to be seen; 1 is not at all, or by an angle that
    Exif has no number for."""
    told = info.metadata.get("orientation", "") if info.sequence is not None else ""
    return int(told) if told else _of_movie(info) or 1


def is_told(info: ClipInfo) -> bool:
    """Whether there is a number for how the pictures of a movie are to be turned."""
    return _of_movie(info) is not None


def _of_movie(info: ClipInfo) -> int | None:
    angle = math.radians(info.rotation)
    cos, sin = math.cos(angle), math.sin(angle)
    side = -1 if MIRRORED in info.holds else 1
    axes = (cos, -sin, side * sin, side * cos)
    near = {n: max(abs(a - b) for a, b in zip(axes, _AXES[n], strict=True)) for n in _AXES}
    best = min(near, key=lambda n: near[n])
    return best if near[best] < _SLACK else None


def rotation(orientation: int) -> float:
    """Counter-clockwise degrees, as players read them from the first row of a display matrix."""
    a, b, _, _ = _AXES[orientation]
    return {(1, 0): 0.0, (0, 1): 270.0, (-1, 0): 180.0, (0, -1): 90.0}[a, b]


def is_held(kind: str) -> bool:
    """Whether viewers follow an orientation in a kind of image file."""
    return kind in ("tiff", "png", "jpeg")


def turned(plane: Tensor, orientation: int) -> Tensor:
    """An (H, W) plane as it is to be seen: (W, H) for orientations above 4."""
    if orientation > 4:
        plane = plane.T
    across, down = _FLIPS[orientation]
    axes = [axis for axis, flipped in ((0, down), (1, across)) if flipped]
    return plane.flip(axes).contiguous() if axes else plane.contiguous()


def display_matrix(orientation: int, width: int, height: int) -> tuple[int, ...]:
    """The matrix that turns a movie's picture so (ISO 14496-12, 8.3.2), as 16.16 and 2.30 numbers.

    Args:
        orientation: 1 to 8.
        width, height: of the picture as it is coded.
    """
    a, b, c, d = _AXES[orientation]
    x = -min(0, a * width, c * height)
    y = -min(0, b * width, d * height)
    return (a * _ONE, b * _ONE, 0, c * _ONE, d * _ONE, 0, x * _ONE, y * _ONE, 1 << 30)


# After the axes are exchanged (above 4): whether left and right, top and bottom are.
_FLIPS = {
    1: (False, False),
    2: (True, False),
    3: (True, True),
    4: (False, True),
    5: (False, False),
    6: (True, False),
    7: (True, True),
    8: (False, True),
}
