"""Rectangles of a picture that players turn: as people see them, and as the clip holds them."""

from __future__ import annotations

import numpy as np

from vdenoise.engine.tiles import Area
from vdenoise.picture.frame import ClipInfo
from vdenoise.review.display import Picture


def quarters(info: ClipInfo) -> int:
    """Quarter turns to the left after which players show the picture of a clip."""
    return round(info.rotation / 90) % 4


def upright(picture: Picture, info: ClipInfo) -> Picture:
    """A picture as players show it: clips of phones are turned."""
    return np.ascontiguousarray(np.rot90(picture, quarters(info)))


def seen_size(info: ClipInfo) -> tuple[int, int]:
    """Height and width as people see them."""
    size = info.height, info.width
    return size[::-1] if quarters(info) % 2 else size


def as_seen(area: Area, info: ClipInfo) -> Area:
    """A rectangle of the clip, where people see it."""
    return _before_turning(area, -quarters(info) % 4, seen_size(info))


def as_held(area: Area, info: ClipInfo) -> Area:
    """A rectangle that people see, in the clip's own rows and columns."""
    return _before_turning(area, quarters(info), (info.height, info.width))


def _before_turning(area: Area, turns: int, size: tuple[int, int]) -> Area:
    """Where a rectangle of a picture was before it was turned to the left so many times.

    Args:
        area: in the turned picture.
        turns: quarters.
        size: height and width before.
    """
    if turns == 0:
        return area
    height, width = size
    once = _before_turning(area, turns - 1, (width, height))
    return Area(once.left, once.right, width - once.bottom, width - once.top)
