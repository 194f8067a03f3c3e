"""The picture below a vertical line: from beside it, from frames in which it lies elsewhere, and
from what shines through."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Columns = tuple[int, int]  # first and one past the last

_LONG = 32  # rows over which what a line does is even: the picture under it is kept
_SHORT = 15  # rows and
_SIDE = 6  # columns on each side by which another frame is compared with this one
_THROUGH = 0.4  # least share of the picture that is taken to shine through a line
_ALIKE = (3.0, 7.0)  # times as far from another frame as noise explains: all of it, and none


def lifted(
    plane: Plane, columns: Columns, others: Sequence[tuple[Plane, Plane]], sigma: float
) -> Plane:
    """The columns of a frame without the line on them.

    Straight from side to side is the first guess. Where other frames, moved along the motion, look
    beside the line as this one does, and their own lines are elsewhere, they are the guess. What a
    line adds is even along its length; with that taken out, what is left of the difference from the
    guess is texture and grain that shine through.

    Args:
        plane: (H, W) of one frame.
        columns: of the line.
        others: frames around as they would look now, and 1 where they show no line.
        sigma: of the noise.
    """
    start, stop = columns
    seen = plane[:, start:stop]
    across = _across(plane, columns)
    guess, _ = _elsewhere(plane, columns, others, sigma, across)
    # By how much both vary: a guess that is wrong in places would be said to shine through less
    ratio = np.sqrt(_varies(seen) / (_varies(guess) + 1e-6))
    through = np.asarray(np.clip(ratio, _THROUGH, 1), np.float32)
    texture = (seen - _even(seen - through * guess)) / through - guess
    # What varies more than beside the line was not even along it: then the guess counts more
    one = plane[:, max(0, start - 2) : start] if start else plane[:, stop : stop + 2]
    beside = float(np.std(one - one.mean(1, keepdims=True))) + 1e-6
    keep = min(1.0, 3 * beside / (float(texture.std()) + 1e-6))
    return np.asarray(guess + keep * texture, np.float32)


def _across(plane: Plane, columns: Columns) -> Plane:
    """Straight from one side of a line to the other."""
    start, stop = columns
    one = plane[:, max(0, start - 2) : start] if start else plane[:, stop : stop + 2]
    two = plane[:, stop : stop + 2] if stop < plane.shape[1] else one
    low, high = one.mean(1, keepdims=True), two.mean(1, keepdims=True)
    way = (np.arange(stop - start, dtype=np.float32) + 1) / (stop - start + 1)
    return np.asarray(low + (high - low) * way, np.float32)


def _elsewhere(
    plane: Plane,
    columns: Columns,
    others: Sequence[tuple[Plane, Plane]],
    sigma: float,
    across: Plane,
) -> tuple[Plane, Plane]:
    """What other frames show in the columns of a line, by how well each fits beside it, else what
    lies across; and how far it is theirs, 0 to 1."""
    start, stop = columns
    left, right = max(0, start - _SIDE), min(plane.shape[1], stop + _SIDE)
    beside = np.ones(right - left, np.bool_)
    beside[start - left : stop - left] = False
    total = np.zeros_like(across)
    weight, sure = np.full_like(across, 1e-6), np.zeros_like(across)
    for other, clear in others:
        off = (other - plane)[:, left:right][:, beside]
        there = clear[:, left:right][:, beside]
        square = cv2.blur((off**2 * there).mean(1, keepdims=True), (1, _SHORT))
        known = cv2.blur(there.mean(1, keepdims=True), (1, _SHORT))
        error = np.sqrt(square / np.maximum(known, 1e-3)).reshape(-1, 1)
        low, high = (a * (2**0.5 * sigma + 1 / 255) for a in _ALIKE)
        alike = np.clip((high - error) / (high - low), 0, 1) * (known.reshape(-1, 1) > 0.3)
        share = alike * clear[:, start:stop]
        sure = np.maximum(sure, share)
        share = share / np.maximum(error, 1 / 255) ** 2
        total += share * other[:, start:stop]
        weight += share
    found = across + sure * (total / weight - across)
    return np.asarray(found, np.float32), np.asarray(sure, np.float32)


def _varies(part: Plane) -> Plane:
    """Variance of each column along the line, of all that is finer than what a line does."""
    return np.asarray(((part - _even(part)) ** 2).mean(0), np.float32)


def _even(part: Plane) -> Plane:
    """Evened out along the line."""
    found = cv2.blur(part, (1, _LONG), borderType=cv2.BORDER_REFLECT)
    return np.asarray(found.reshape(part.shape), np.float32)
