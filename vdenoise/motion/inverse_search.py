"""Flow between two pictures on a processor, by dense inverse search (DIS; Kroeger et al., "Fast
Optical Flow using Dense Inverse Search", 2016).

Where there are compiled functions it is compiled/flow.c, for which a picture is prepared once for
all of its flows; else it is OpenCV's, which takes three times as long and is as accurate: what both
find differs in places where little tells of motion.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise import compiled
from vdenoise.motion.opencv import keep_on_one_thread
from vdenoise.picture.block import Accuracy

# px: where two scales of patches have no room OpenCV chooses others, by the width alone, and on a
# low and wide picture it then reads what is not its own.
_SMALLEST = 48
_PATCH = 8  # px, its side

# To every second pixel, or to every one: that gains up to 0.4 dB on sharp clips
# (benchmarks/motion.py), and takes three times as long as all before it.
_FINEST: dict[Accuracy, int] = {"fast": 1, "better": 1, "best": 0}
_REFINEMENTS: dict[Accuracy, int] = {"fast": 0, "better": 5, "best": 5}
_local = threading.local()


@dataclass(frozen=True, eq=False)
class Scales:
    """A picture as the search takes it: means of 2x2 pixels, of 2x2 of those, and so on."""

    height: int  # px, of the picture
    width: int
    high: int  # px, of what is searched: 48 at least, the last rows and columns repeated
    wide: int
    numbers: Tensor  # as compiled/flow.c lays them out, or (high, wide) in 8 bits: OpenCV's


def prepared(picture: Tensor, accuracy: Accuracy, *, by_opencv: bool = False) -> Scales:
    """What `between` takes of a picture (1, h, w), nominally in [0, 1].

    Args:
        picture: what is matched.
        accuracy: of the search.
        by_opencv: even where there are compiled functions.
    """
    height, width = picture.shape[-2:]
    high, wide = max(height, _SMALLEST), max(width, _SMALLEST)
    if (high, wide) != (height, width):
        edges = (0, wide - width, 0, high - height)
        picture = functional.pad(picture[None], edges, mode="replicate")[0]
    if by_opencv or not compiled.serves(picture):
        codes = (picture[0] * 255).round_().clamp_(0, 255).to(torch.uint8)
        return Scales(height, width, high, wide, codes)
    layout = high, wide, _FINEST[accuracy], _coarsest(high, wide)
    numbers = torch.empty(compiled.call("scales_room", *layout))
    _see(compiled.call("scales", picture.contiguous(), *layout, numbers))
    return Scales(height, width, high, wide, numbers)


def between(a: Scales, b: Scales, accuracy: Accuracy) -> Tensor:
    """Flow from picture ``a`` to picture ``b``, both prepared for this accuracy.

    Returns:
        (2, h, w) float32, displacement in pixels of these pictures.
    """
    if a.numbers.dtype == torch.uint8:
        return _by_opencv(a, b, accuracy)
    layout = a.high, a.wide, _FINEST[accuracy], _coarsest(a.high, a.wide)
    flow = torch.empty(2, a.high, a.wide)
    _see(compiled.call("flow", a.numbers, b.numbers, *layout, _REFINEMENTS[accuracy], flow))
    return flow[:, : a.height, : a.width].contiguous()


def _coarsest(high: int, wide: int) -> int:
    """The scale that is searched first."""
    for_motion = int(math.log2(max(high, wide) / (4 * _PATCH)) + 0.5)
    return max(1, min(for_motion, int(math.log2(min(high, wide) / _PATCH))))


def _see(done: int) -> None:
    if not done:
        raise MemoryError("no memory for the scales of a picture")


def _by_opencv(a: Scales, b: Scales, accuracy: Accuracy) -> Tensor:
    keep_on_one_thread()
    start: Any = None  # OpenCV's stubs do not know that no initial flow is fine
    dis = _dis(accuracy, (a.high, a.wide))
    flow = dis.calc(a.numbers.numpy(), b.numbers.numpy(), start)[: a.height, : a.width]
    return torch.from_numpy(np.ascontiguousarray(flow.transpose(2, 0, 1)))


def _dis(accuracy: Accuracy, size: tuple[int, int]) -> cv2.DISOpticalFlow:
    """An estimator of this thread for pictures of this size.

    DIS objects keep buffers and cannot be shared; and one that has seen a small picture goes on
    with fewer scales on large ones.
    """
    found: dict[tuple[Accuracy, tuple[int, int]], cv2.DISOpticalFlow] = _local.__dict__.setdefault(
        "dis", {}
    )
    if (accuracy, size) not in found:
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        dis.setFinestScale(_FINEST[accuracy])
        dis.setPatchSize(_PATCH)
        dis.setPatchStride(4)
        dis.setGradientDescentIterations(5)  # more fit what noise is left
        dis.setVariationalRefinementIterations(_REFINEMENTS[accuracy])
        found[accuracy, size] = dis
    return found[accuracy, size]
