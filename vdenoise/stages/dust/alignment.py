"""Motion between frames with dust, found on pictures that spots were taken out of."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.motion.opencv import keep_on_one_thread

Plane = NDArray[np.float32]

_STANDS_OUT = 0.06  # what stands out less than this does not lead motion astray


def flow_without_spots(a: Plane, b: Plane, size: int) -> Tensor:
    """Find motion on pictures without spots, which it would follow: (2, h, w) from ``a`` to ``b``,
    in luma pixels, taking out spots up to ``size``."""
    keep_on_one_thread()
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    dis.setFinestScale(1)
    dis.setPatchSize(8)
    dis.setPatchStride(4)
    dis.setGradientDescentIterations(8)
    dis.setVariationalRefinementIterations(5)
    one, two = (_without_spots(p, size) for p in (a, b))
    flow = dis.calc(one, two, None)  # type: ignore[call-overload]
    return torch.from_numpy(np.ascontiguousarray(flow.transpose(2, 0, 1)))


def _without_spots(plane: Plane, largest: int) -> NDArray[np.uint8]:
    """An 8-bit picture from which bright and dark spots are gone: opened and closed where that
    changes much."""
    smooth = cv2.GaussianBlur(plane, (0, 0), 1.0)
    side = 2 * (min(largest, 10) // 2) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx(smooth, cv2.MORPH_OPEN, kernel)
    closed = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, kernel)
    kept = np.clip(smooth, closed - _STANDS_OUT, opened + _STANDS_OUT)
    return np.asarray(np.clip(kept * 255 + 0.5, 0, 255), np.uint8)
