"""Move a picture along a flow field."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vdenoise.compiled import on_processor

Map = NDArray[np.float32]


def warp(pixels: Tensor, flow: Tensor, scale: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Fetch each pixel from where the flow says it is, with bicubic interpolation.

    Both devices use Keys' kernel with a = -0.75 and repeat the edge pixels.

    Args:
        pixels: (C, H, W), on any grid (luma or chroma).
        flow: (2, h, w), x and y displacement in luma pixels on a coarser or equal grid.
        scale: (x, y) size of this plane relative to luma: (0.5, 0.5) for 4:2:0 chroma.

    Returns:
        (C, H, W) on the same device, float32 on the CPU, else the dtype of ``pixels``.
    """
    return warp_all([pixels], flow, scale)[0]


def warp_all(
    pictures: Sequence[Tensor], flow: Tensor, scale: tuple[float, float] = (1.0, 1.0)
) -> list[Tensor]:
    """`warp` of several pictures of one size: where to fetch from is computed once."""
    height, width = pictures[0].shape[-2:]
    if on_processor(flow):
        x, y = cpu_maps(flow, (height, width), scale)
        found = [torch.empty(pixels.shape) for pixels in pictures]
        for pixels, moved in zip(pictures, found, strict=True):
            for plane, into in zip(pixels.numpy(), moved.numpy(), strict=True):
                cv2.remap(plane, x, y, cv2.INTER_CUBIC, dst=into, borderMode=cv2.BORDER_REPLICATE)
        return found
    grid = functional.interpolate(
        flow[None].float(), (height, width), mode="bilinear", align_corners=False
    )[0]
    ys = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None]
    xs = torch.arange(width, device=flow.device, dtype=torch.float32)[None]
    x_at = (xs + grid[0] * scale[0]) * (2 / max(width - 1, 1)) - 1
    y_at = (ys + grid[1] * scale[1]) * (2 / max(height - 1, 1)) - 1
    places = torch.stack([x_at, y_at], dim=-1)[None]
    return [
        functional.grid_sample(
            pixels[None].float(), places, mode="bicubic", padding_mode="border", align_corners=True
        )[0].to(pixels.dtype)
        for pixels in pictures
    ]


def resize(field: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring a map (h, w) to another size, bilinear."""
    if field.shape == size:
        return field
    if on_processor(field):
        return torch.from_numpy(_resize(field.numpy(), *size))
    return functional.interpolate(
        field[None, None], size, mode="bilinear", align_corners=False, antialias=False
    )[0, 0]


def reduce(x: Tensor, factors: tuple[int, int]) -> Tensor:
    """Average over cells of (down, across) pixels: (C, H, W) to sizes rounded up."""
    if factors == (1, 1):
        return x
    if on_processor(x):
        height, width = (-(-n // f) for n, f in zip(x.shape[-2:], factors, strict=True))
        small = torch.empty(len(x), height, width)
        for plane, into in zip(x.numpy(), small.numpy(), strict=True):
            cv2.resize(plane, (width, height), dst=into, interpolation=cv2.INTER_AREA)
        return small
    return functional.avg_pool2d(x[None], factors, ceil_mode=True)[0]


def cpu_maps(flow: Tensor, size: tuple[int, int], scale: tuple[float, float]) -> tuple[Map, Map]:
    """The absolute x and y coordinates that `remap` fetches from, (H, W) each."""
    height, width = size
    xs, ys = _grid(height, width)
    maps: list[Map] = []
    for component, start, factor in zip(flow.numpy(), (xs, ys), scale, strict=True):
        if component.shape != size:
            component = _resize(component, height, width)
        maps.append(component * np.float32(factor) + start)
    return maps[0], maps[1]


def remap(
    plane: NDArray[np.float32], x: Map, y: Map, interpolation: int = cv2.INTER_CUBIC
) -> NDArray[np.float32]:
    """Fetch plane[y, x], bicubic unless said otherwise."""
    out: Any = cv2.remap(plane, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, dtype=np.float32)


def _resize(field: Map, height: int, width: int) -> Map:
    out: Any = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(out, dtype=np.float32)


@cache
def _grid(height: int, width: int) -> tuple[Map, Map]:
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.ascontiguousarray(xs), np.ascontiguousarray(ys)


def box_mean(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Mean over windows of (height, width), both odd, edges repeated: (H, W) -> (H, W)."""
    if on_processor(x):
        out = cv2.blur(x.numpy(), size[::-1], borderType=cv2.BORDER_REPLICATE)
        return torch.from_numpy(out)
    y, x_ = size[0] // 2, size[1] // 2
    padded = functional.pad(x[None, None], (x_, x_, y, y), mode="replicate")
    return functional.avg_pool2d(padded, size, stride=1)[0, 0]
