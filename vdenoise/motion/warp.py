"""Move a picture along a flow field."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

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
    height, width = pixels.shape[-2:]
    if pixels.device.type == "cpu":
        x, y = cpu_maps(flow, (height, width), scale)
        return torch.stack([torch.from_numpy(remap(plane.numpy(), x, y)) for plane in pixels])
    grid = functional.interpolate(
        flow[None].float(), (height, width), mode="bilinear", align_corners=False
    )[0]
    ys = torch.arange(height, device=pixels.device, dtype=torch.float32)[:, None]
    xs = torch.arange(width, device=pixels.device, dtype=torch.float32)[None]
    x_at = (xs + grid[0] * scale[0]) * (2 / max(width - 1, 1)) - 1
    y_at = (ys + grid[1] * scale[1]) * (2 / max(height - 1, 1)) - 1
    return functional.grid_sample(
        pixels[None].float(),
        torch.stack([x_at, y_at], dim=-1)[None],
        mode="bicubic",
        padding_mode="border",
        align_corners=True,
    )[0].to(pixels.dtype)


def resize(field: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring a map (h, w) from the motion grid to a plane's size, bilinear."""
    if field.device.type == "cpu":
        return torch.from_numpy(_resize(field.numpy(), *size))
    return functional.interpolate(
        field[None, None], size, mode="bilinear", align_corners=False, antialias=False
    )[0, 0]


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


def remap(plane: NDArray[np.float32], x: Map, y: Map) -> NDArray[np.float32]:
    """Fetch plane[y, x] with bicubic interpolation."""
    out: Any = cv2.remap(plane, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, dtype=np.float32)


def _resize(field: Map, height: int, width: int) -> Map:
    out: Any = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(out, dtype=np.float32)


@cache
def _grid(height: int, width: int) -> tuple[Map, Map]:
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.ascontiguousarray(xs), np.ascontiguousarray(ys)


def box_mean(x: Tensor, size: int) -> Tensor:
    """Mean over size x size windows, edges repeated: (H, W) -> (H, W); ``size`` is odd."""
    if x.device.type == "cpu":
        out = cv2.blur(x.numpy(), (size, size), borderType=cv2.BORDER_REPLICATE)
        return torch.from_numpy(out)
    half = size // 2
    padded = functional.pad(x[None, None], (half, half, half, half), mode="replicate")
    return functional.avg_pool2d(padded, size, stride=1)[0, 0]
