"""How the light of neighboring frames differs, where they show the same: small pictures, aligned.

Light that flickers and bars that roll over a picture are wide and smooth, so a small picture tells
all of them, and its noise is next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.motion.opencv import keep_on_one_thread

Plane = NDArray[np.float32]
Step = NDArray[np.float64]  # (groups,) by how much a frame is brighter

SMALL = 160  # px: the longer side of what is compared
_CONTRAST = 9  # px: of the neighborhood by whose mean and spread a picture is evened out for motion
_ALIKE = 0.12  # beyond the median, a difference of levels that is no longer light but the picture
_LEAST = 12  # pixels that a median is taken of
_KNOWN = (0.5, 0.75)  # correlation of aligned pictures from and to which they count


def small(luma: Tensor) -> Plane:
    """(1, H, W) luma as a small picture."""
    plane = np.asarray(luma[0].float().cpu().numpy(), np.float32)
    factor = min(1.0, SMALL / max(plane.shape))
    size = tuple(max(16, round(n * factor)) for n in plane.shape[::-1])
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def align(other: Plane, own: Plane) -> Plane:
    """Another small picture as it would look now. Motion is found behind an evening out of light
    and contrast, so that it does not follow the flicker."""
    keep_on_one_thread()
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    dis.setFinestScale(0)
    dis.setPatchSize(8)
    dis.setPatchStride(3)
    flow = dis.calc(_evened(own), _evened(other), None)  # type: ignore[call-overload]
    ys, xs = np.mgrid[0 : own.shape[0], 0 : own.shape[1]].astype(np.float32)
    moved = cv2.remap(
        other,
        xs + flow[..., 0],
        ys + flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, np.float32)


def likeness(own: Plane, other: Plane) -> float:
    """How well two small pictures match, light and contrast aside: 0 not at all, 1 well enough."""
    a, b = (_evened(p).astype(np.float32) - 128 for p in (own, other))
    correlation = float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-9))
    low, high = _KNOWN
    return min(max((correlation - low) / (high - low), 0.0), 1.0) ** 2


def _evened(plane: Plane) -> NDArray[np.uint8]:
    window = (_CONTRAST, _CONTRAST)
    mean = cv2.blur(plane, window)
    spread = np.sqrt(np.maximum(cv2.blur(plane * plane, window) - mean * mean, 0))
    even = (plane - mean) / (spread + 0.02)
    return np.asarray(np.clip(even * 40 + 128, 0, 255), np.uint8)


def step(own: Plane, other: Plane, groups: NDArray[np.int64], count: int) -> tuple[Step, Step]:
    """Measure by how much another frame is brighter, in each group of pixels.

    Args:
        own: a small picture.
        other: of the same size, aligned.
        groups: the group of each pixel, 0 to ``count - 1``; such as its level, or its row.
        count: of groups.

    Returns:
        (groups,) medians of the differences, 0 for a group of few pixels, and how many it has.
    """
    difference = (other - own).ravel()
    alike = np.abs(difference - np.median(difference)) < _ALIKE
    flat = np.where(alike, groups.ravel(), count)
    order = np.argsort(flat, kind="stable")
    bounds = np.searchsorted(flat[order], np.arange(count + 1))
    parts = np.split(difference[order], bounds[1:])[:count]
    found = [float(np.median(part)) if len(part) >= _LEAST else 0.0 for part in parts]
    return np.array(found), np.diff(bounds).astype(np.float64)


def steady_step(steps: Sequence[Step], around: range, t: int) -> Step:
    """What is to be added for a frame to lie on the line through those around it.

    Args:
        steps: from each frame to the next, (groups,) each.
        around: the frames looked at, with the frame itself.
        t: the frame itself.
    """
    heights = np.zeros((len(around), len(steps[0]) if steps else 1))
    for n, k in enumerate(around[:-1]):
        heights[n + 1] = heights[n] + steps[k]
    return on_the_line(heights - heights[t - around.start], around, t)


def steady_curve(curves: Sequence[Step], around: range, t: int) -> Step:
    """What is to be added at each level for a frame to lie on the line through those around it.

    A level is followed from frame to frame, as what was at one is at another in the next: steps
    added up at one level would leave out that brighter frames step farther, and a clip whose light
    varies by 5 % would come out darker by a quarter of a percent.

    Args:
        curves: from each frame to the next, (levels,) by how much brighter it is there. The levels
            lie evenly from 0 to 1 and are those in the middle between the two frames.
        around: the frames looked at, with the frame itself.
        t: the frame itself.
    """
    levels = np.linspace(0, 1, len(curves[0]))
    heights = np.zeros((len(around), len(levels)))
    here = t - around.start
    for n in range(here, len(around) - 1):
        step = curves[around[n]]
        heights[n + 1] = heights[n] + _extended(levels + heights[n], levels - step / 2, step)
    for n in range(here, 0, -1):
        step = curves[around[n - 1]]
        heights[n - 1] = heights[n] - _extended(levels + heights[n], levels + step / 2, step)
    return on_the_line(heights, around, t, doubted=True)


def _extended(at: Step, levels: Step, values: Step) -> Step:
    """Values between levels, in proportion to the level beyond the last, as gain is."""
    levels = np.maximum.accumulate(levels)
    beyond = np.maximum(at / max(float(levels[-1]), 1e-6), 1)
    found: Step = np.interp(at, levels, values) * beyond
    return found


def on_the_line(
    heights: NDArray[np.float64], around: range, t: int, *, doubted: bool = False
) -> Step:
    """A weighted local regression (Cleveland 1979), which follows slow changes without lag, also at
    a shot's ends, and adds nothing up over time.

    Args:
        heights: (frames around, groups), by how much each is brighter than the frame itself.
        around: the frames looked at, with the frame itself.
        t: the frame itself.
        doubted: whether less is believed of a slope that chance can have made, as it does at the
            ends. A camera's way, which bends, is no chance.
    """
    x = np.array([k - t for k in around], np.float64)
    weight = (1 - (np.abs(x) / (np.abs(x).max() + 1)) ** 3) ** 3
    mean_x = (weight * x).sum() / weight.sum()
    mean = (weight[:, None] * heights).sum(0) / weight.sum()
    lever = (weight * (x - mean_x))[:, None]
    spread = max(float((weight * (x - mean_x) ** 2).sum()), 1e-9)
    slope = (lever * (heights - mean)).sum(0) / spread
    if doubted:
        off = heights - mean - (x - mean_x)[:, None] * slope
        chance = (lever**2).sum() / spread**2 * (off**2).sum(0) / max(len(x) - 2, 1)
        slope = slope * slope**2 / np.maximum(slope**2 + chance, 1e-18)
    result: Step = mean - slope * mean_x
    return result
