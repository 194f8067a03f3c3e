"""Rectangles, ellipses and polygons as coverage of pixels, with smooth edges."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

from vdenoise.masks.spec import MaskSpec
from vdenoise.picture.frame import FieldLines

_FINER = 4  # sub-pixels on each side of a pixel, for polygons


def shape(spec: MaskSpec, height: int, width: int, lines: FieldLines | None = None) -> Tensor:
    """Coverage (H, W) in [0, 1]: the share of each pixel that lies inside, on the CPU.

    The picture's top left corner is (0, 0), its bottom right one (width, height); percent are of
    the picture's width for x and of its height for y. Shapes may reach beyond the picture. A field
    gets its lines of what is drawn on the frame.
    """
    tall = height if lines is None else lines.height
    whole = _drawn(spec.kind, spec.numbers, spec.percent, tall, width)
    return whole if lines is None else whole[lines.parity :: 2]


@lru_cache(maxsize=8)
def _drawn(
    kind: str, numbers: tuple[float, ...], percent: tuple[bool, ...], height: int, width: int
) -> Tensor:
    sides = (width, height)
    at = [
        value * sides[n % 2] / 100 if relative else value
        for n, (value, relative) in enumerate(zip(numbers, percent, strict=True))
    ]
    if kind == "rect":
        across = _overlap(width, at[0], at[0] + at[2])
        return _overlap(height, at[1], at[1] + at[3])[:, None] * across
    if kind == "ellipse":
        return _ellipse(height, width, *at)
    return _polygon(height, width, at)


def _overlap(size: int, start: float, end: float) -> Tensor:
    """(size,): how much of each pixel lies between two coordinates."""
    edges = torch.arange(size + 1, dtype=torch.float64).clamp(start, max(start, end))
    return edges.diff().float()


def _ellipse(height: int, width: int, x: float, y: float, rx: float, ry: float) -> Tensor:
    """Draw an ellipse by the distance to the edge, to first order: the implicit function over its
    gradient."""
    rx, ry = max(rx, 1e-6), max(ry, 1e-6)
    ys = (torch.arange(height, dtype=torch.float64) + 0.5 - y)[:, None] / ry
    xs = (torch.arange(width, dtype=torch.float64) + 0.5 - x)[None] / rx
    radius = (xs.square() + ys.square()).sqrt()
    slope = ((xs / rx).square() + (ys / ry).square()).sqrt() / radius.clamp(min=1e-9)
    return (0.5 - (radius - 1) / slope.clamp(min=1e-9)).clamp(0, 1).float()


def _polygon(height: int, width: int, at: list[float]) -> Tensor:
    points = np.array(at, dtype=np.float64).reshape(-1, 1, 2) * _FINER - 0.5
    fine = np.zeros((height * _FINER, width * _FINER), np.uint8)
    cv2.fillPoly(fine, [np.rint(points * 16).astype(np.int32)], 255, shift=4)
    small = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small).float() / 255
