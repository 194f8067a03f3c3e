"""Pictures that do not stand still in the gate of a camera, a printer or a scanner."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.motion.exposure import steady_step
from vdenoise.motion.opencv import keep_on_one_thread
from vdenoise.motion.warp import warp
from vdenoise.picture.block import Block, Signal, join_signals, window
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import subsampling
from vdenoise.stages.base import Footprint, Role, Stage, param

Plane = NDArray[np.float32]
Way = NDArray[np.float64]  # (2,) down and across, in luma pixels

_LARGEST = 640  # px: the longer side of what is compared
_BLUR = 1.5  # px: of what is compared, so that grain does not lead it astray
_ROUNDS = 6  # of solving for the rest of the way
_ALIKE = 2.5  # robust spreads within which a difference is one of place and not of things
_SAME = 0.5 / 255  # what blurred grain differs by; twelve times that is something else
_SHARED = (0.3, 0.5)  # of the picture that moves so, for none and for all of the correction
_SMALLEST = 32  # px: in lower pictures no way is found
_LEAST = 0.02  # px: less is left as it is, and no pixel is interpolated for it


class PictureStep(NamedTuple):
    """How a whole picture has moved from a frame to the next."""

    way: Way
    share: float  # of the picture that has


class GateWeave(Stage):
    """Moves each frame to where a line through the places of the frames around would have it.

    How the picture as a whole has moved to the next frame is found by phase correlation (Kuglin and
    Hines 1975) and then, to a fiftieth of a pixel, by least squares on gradients (Lucas and Kanade
    1981) over what moves alike. A pan is such a line and stays; nothing is carried on from frame to
    frame. The picture is not cropped or scaled: its outermost pixels go on where it has moved away.
    """

    slot: ClassVar[str] = "weave"
    method: ClassVar[str] = "translation"
    role: ClassVar[Role] = "repair"

    radius: int = param(
        7, "Frames looked at on each side; more steadies slower weave.", low=1, high=24
    )
    limit: float = param(
        4.0, "Farthest that a frame is moved, down and across.", low=0.1, high=64.0, unit="px"
    )

    @property
    def reach(self) -> int:
        """Frames that the radius names."""
        return self.radius

    @property
    def footprint(self) -> Footprint:
        """Whole frames: they move as a whole."""
        return Footprint(whole=True, scratch=4)

    def denoise(self, block: Block) -> Block:
        """Move luma and chroma alike."""
        keep_on_one_thread()
        height, width = block.luma.pixels.shape[-2:]
        scale = max(1.0, max(height, width) / _LARGEST)
        pictures = [_small(pixels, scale) for pixels in block.luma.pixels]
        steps = [
            PictureStep(step.way * scale, step.share)
            for step in (moved_by(a, b) for a, b in pairwise(pictures))
        ]
        done = []
        for t in block.wanted:
            seen = window(block.first + t, self.radius, block.shot_first, block.shot_last)
            around = range(seen.start - block.first, seen.stop - block.first)
            now = block.frame(t)
            way = self._way(steps, around, t)
            if float(np.abs(way).max()) < _LEAST:
                done.append(now.map(Signal.copy))
                continue

            def shifted(signal: Signal, _: NoiseTable, way: Way = way) -> Signal:
                return _shifted(signal, way, subsampling(block.luma.pixels, signal.pixels))

            done.append(now.pair(block.noise.picture, shifted))
        return block.with_picture(Picture.join(done, join_signals))

    def _way(self, steps: list[PictureStep], around: range, t: int) -> Way:
        """(2,) where frame ``t`` is to be moved."""
        if len(around) < 3:
            return np.zeros(2)
        way = steady_step([step.way for step in steps], around, t)
        own = [steps[k].share for k in (t - 1, t) if around.start <= k < around.stop - 1]
        low, high = _SHARED
        sure = min(max((min(own) - low) / (high - low), 0.0), 1.0)
        found: Way = np.clip(min(1.0, self.strength) * sure * way, -self.limit, self.limit)
        return found


def moved_by(own: Plane, other: Plane) -> PictureStep:
    """How a whole picture has moved: what is at a place of one is so much farther in the other.

    Args:
        own: (H, W).
        other: (H, W) the next.
    """
    if min(own.shape) < _SMALLEST:
        return PictureStep(np.zeros(2), 0.0)
    a, b = (np.asarray(cv2.GaussianBlur(p, (0, 0), _BLUR), np.float32) for p in (own, other))
    frame = cv2.createHanningWindow(own.shape[::-1], cv2.CV_32F)
    (across, down), _ = cv2.phaseCorrelate(a - a.mean(), b - b.mean(), frame)
    # Where a thing in front fills much of the picture the two may differ: what more of it shares
    starts = [np.zeros(2), np.array([down, across])]
    return max((_refine(a, b, start) for start in starts), key=lambda step: step.share)


def _refine(a: Plane, b: Plane, start: Way) -> PictureStep:
    """Solve for the way between two pictures from a first guess."""
    way, share, farthest = start, 0.0, min(a.shape) / 4
    for _ in range(_ROUNDS):
        if not np.isfinite(way).all() or np.abs(way).max() > farthest:
            return PictureStep(np.zeros(2), 0.0)
        rows, columns = (int(np.ceil(abs(v))) + 4 for v in way)
        inside = (slice(rows, a.shape[0] - rows), slice(columns, a.shape[1] - columns))
        there = np.array([[1, 0, way[1]], [0, 1, way[0]]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        back = cv2.warpAffine(b, there, a.shape[::-1], flags=flags)
        rest = (back - a)[inside].astype(np.float64)
        rest -= np.median(rest)  # light that changes all over is no way
        slopes = np.gradient((back + a) / 2)
        down_slope, across_slope = (np.asarray(s, np.float64)[inside] for s in slopes)
        spread = 1.4826 * float(np.median(np.abs(rest))) + _SAME
        alike = np.abs(rest) < _ALIKE * spread
        g = down_slope[alike], across_slope[alike]
        # Summed one by one: a product of matrices would depend on the number of threads
        normal = np.array([[(u * v).sum() for v in g] for u in g])
        if np.linalg.det(normal) < 1e-8 * max(float(np.trace(normal)), 1e-6) ** 2:
            return PictureStep(np.zeros(2), 0.0)  # nothing to hold on to, at least one way
        share = float((np.abs(rest) < _SAME * 12).mean())
        change = -np.linalg.solve(normal, np.array([(u * rest[alike]).sum() for u in g]))
        way = way + np.clip(change, -1, 1)
        if np.abs(change).max() < 0.002:
            break
    return PictureStep(way, share)


def _small(luma: Tensor, scale: float) -> Plane:
    """(1, H, W) luma less its mean, which says nothing of a way, so many times smaller."""
    plane = luma[0].cpu().numpy()
    plane = np.asarray(plane - plane.mean(dtype=np.float64), np.float32)
    if scale == 1:
        return plane
    size = tuple(round(n / scale) for n in plane.shape[::-1])
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _shifted(signal: Signal, way: Way, ratio: tuple[int, int]) -> Signal:
    """A frame's signal moved by so many luma pixels; ``ratio`` of them are one of its own."""
    flow = torch.tensor([-way[1], -way[0]], dtype=torch.float32).view(2, 1, 1)
    down, across = ratio
    height, width = signal.pixels.shape[-2:]
    flow = flow.expand(2, height, width).contiguous().to(signal.pixels.device)
    pixels = warp(signal.pixels[0].float(), flow, (1 / across, 1 / down))
    residual = warp(signal.residual[0].float().contiguous(), flow, (1 / across, 1 / down))
    return Signal(pixels.to(signal.pixels)[None], residual.clamp(0, 1).to(signal.residual)[None])
