"""Frames beside one as they would look at its time, and where a spot's surroundings are in them."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.motion.opencv import keep_on_one_thread
from vdenoise.motion.warp import warp

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box = tuple[slice, slice]  # rows and columns of a frame

_SLACK = 5  # px by which motion may be wrong at a spot, which hides what moves
_STANDS_OUT = 0.06  # what stands out less than this does not lead motion astray


class Match(NamedTuple):
    """Where a ring fits best."""

    error: float  # mean square of the difference
    down: float  # luma pixels from where motion says it is
    across: float


def flow_without_spots(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Tensor:
    """(2, h, w) from ``a`` to ``b`` in luma pixels, both from `without_spots`."""
    keep_on_one_thread()
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    dis.setFinestScale(1)
    dis.setPatchSize(8)
    dis.setPatchStride(4)
    dis.setGradientDescentIterations(8)
    dis.setVariationalRefinementIterations(5)
    flow = dis.calc(a, b, None)  # type: ignore[call-overload]
    return torch.from_numpy(np.ascontiguousarray(flow.transpose(2, 0, 1)))


def without_spots(plane: Plane, largest: int) -> NDArray[np.uint8]:
    """An 8-bit picture from which bright and dark spots are gone: opened and closed where that
    changes much."""
    smooth = cv2.GaussianBlur(plane, (0, 0), 1.0)
    side = 2 * (min(largest, 10) // 2) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx(smooth, cv2.MORPH_OPEN, kernel)
    closed = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, kernel)
    kept = np.clip(smooth, closed - _STANDS_OUT, opened + _STANDS_OUT)
    return np.asarray(np.clip(kept * 255 + 0.5, 0, 255), np.uint8)


def moved(pixels: Tensor, flow: Tensor, scale: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """(C, H, W) of a frame as they would look at the time that the flow leads from."""
    return warp(pixels.float().cpu(), flow, scale)


def matched(other: Plane, own: Plane, box: Box, ring: Mask) -> Match:
    """Find the place nearby where a ring of a frame fits best in another, to a part of a pixel."""
    rows, columns = box
    height, width = own.shape
    top, left = min(_SLACK, rows.start), min(_SLACK, columns.start)
    area = other[
        rows.start - top : min(height, rows.stop + _SLACK),
        columns.start - left : min(width, columns.stop + _SLACK),
    ]
    errors = (
        cv2.matchTemplate(
            np.ascontiguousarray(area),
            np.ascontiguousarray(own[box]),
            cv2.TM_SQDIFF,
            mask=ring.astype(np.float32),
        )
        / ring.sum()
    )
    # Where places are as good as each other the one that motion says stands
    ys, xs = np.ogrid[: errors.shape[0], : errors.shape[1]]
    far = np.hypot(ys - top, xs - left)
    best = int(np.argmin(errors * (1 + 0.02 * far) + 1e-7 * far))
    y, x = divmod(best, errors.shape[1])
    whole = Match(max(0.0, float(errors[y, x])), y - top, x - left)
    down, across = _summit(errors[:, x], y), _summit(errors[y], x)
    if not (down or across):
        return whole
    fine = Match(0.0, whole.down + down, whole.across + across)
    found = beside(other, box, fine.down, fine.across)
    error = float(((found - own[box])[ring] ** 2).mean())
    return fine._replace(error=error) if error < whole.error else whole


def _summit(errors: NDArray[np.float32], at: int) -> float:
    """Where between pixels a parabola through the least of some errors has its lowest point."""
    if not 0 < at < len(errors) - 1:
        return 0.0
    before, here, behind = (float(e) for e in errors[at - 1 : at + 2])
    bend = before - 2 * here + behind
    return 0.0 if bend <= 0 else float(np.clip((before - behind) / (2 * bend), -0.5, 0.5))


def beside(plane: Plane, box: Box, down: float, across: float) -> Plane:
    """A box of a plane, moved by so many pixels; edge pixels are repeated."""
    rows, columns = box
    ys, xs = np.mgrid[rows, columns].astype(np.float32)
    found = cv2.remap(
        plane,
        xs + np.float32(across),
        ys + np.float32(down),
        cv2.INTER_LINEAR if down % 1 == across % 1 == 0 else cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(found, np.float32)
