"""Samples as pictures for a screen: R'G'B' with 8 bits, (H, W, 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.engine.tiles import Area
from vdenoise.picture.color import quantisation, to_float
from vdenoise.picture.encodings import LINEAR
from vdenoise.picture.frame import ClipInfo, PixelFormat
from vdenoise.picture.samples import has_rgb, rgb_of
from vdenoise.picture.subsampling import upsample

Picture = NDArray[np.uint8]

NOISE_GAIN = 8.0  # how much removed noise is amplified where nobody knows how strong it is
_GAINS = (16.0, 12.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.0)
_SIGMAS = 3.0  # of the noise that fit between gray and white
_CHROMA_REACH = 4  # chroma samples around an area that its interpolation looks at, and some more
_GAMMA = 1 / 2.2  # for scene-linear samples


def rgb_float(planes: Sequence[Tensor], fmt: PixelFormat, info: ClipInfo) -> Tensor:
    """(3, H, W) R'G'B' float32, nominally in [0, 1], nothing clipped but in scene-linear clips.

    Args:
        planes: samples in ``fmt``, as `Excerpt` holds them.
        fmt: their layout: the clip's own, or the output's.
        info: the clip: range, matrix, where its chroma lies, whether it is scene-linear.
    """
    color = [plane.cpu() for plane in planes[: fmt.color_planes]]
    scale, zero = quantisation(fmt, info.full_range, chroma=False)
    if fmt.family == "rgb":
        # FFmpeg's planar RGB is G, B, R.
        g, b, r = (to_float(plane, fmt).sub_(zero).mul_(1 / scale) for plane in color)
        found = torch.stack((r, g, b))
    else:
        luma = to_float(color[0], fmt).sub_(zero).mul_(1 / scale)
        if fmt.family == "gray":
            found = luma.expand(3, -1, -1)
        else:
            scale, zero = quantisation(fmt, info.full_range, chroma=True)
            full, size = replace(fmt, sub_w=0, sub_h=0), (luma.shape[0], luma.shape[1])
            cb, cr = (
                upsample(to_float(p, fmt).sub_(zero), fmt, full, size, info.chroma_location)
                for p in color[1:]
            )
            matrix = info.matrix if has_rgb(info.matrix) else "bt709"
            found = torch.stack(rgb_of(luma, cb / scale, cr / scale, matrix))
    if info.curve is not None and info.curve.encoding == LINEAR:
        found = (found.nan_to_num() / info.curve.white).clamp(0, 1) ** _GAMMA
    return found


def around(area: Area, fmt: PixelFormat, info: ClipInfo) -> Area:
    """An area (luma pixels) with what interpolating its chroma looks at."""
    fy, fx = fmt.subsampling
    reach = _CHROMA_REACH * max(fy, fx) if max(fy, fx) > 1 else 0
    found = area.grown(reach, (info.height, info.width))
    return replace(found, top=found.top // fy * fy, left=found.left // fx * fx)


def rgb_within(planes: Sequence[Tensor], fmt: PixelFormat, info: ClipInfo, area: Area) -> Tensor:
    """An area (luma pixels) of `rgb_float`, to the bit; the samples `around` it must be right."""
    (fy, fx), grid = fmt.subsampling, around(area, fmt, info)
    coarse = Area(grid.top // fy, -(-grid.bottom // fy), grid.left // fx, -(-grid.right // fx))
    parts = [grid.of(planes[0]), *(coarse.of(plane) for plane in planes[1 : fmt.color_planes])]
    return area.inside(grid).of(rgb_float(parts, fmt, info))


def shown(rgb: Tensor) -> Picture:
    """(3, H, W) or gray (1, H, W) in [0, 1] as a picture."""
    codes = (rgb.detach().clamp(0, 1) * 255).round_().to(torch.uint8)
    return np.ascontiguousarray(codes.expand(3, -1, -1).permute(1, 2, 0).numpy())


def noise_gain(sigma: float) -> float:
    """How much removed noise of ``sigma`` (full scale 1) can be amplified to be seen and not
    clipped: what is clipped hides the picture that may be in it."""
    most = 0.5 / (_SIGMAS * max(sigma, 1e-6))
    return next((gain for gain in _GAINS if gain <= most), 1.0)


def removed(source: Tensor, result: Tensor, gain: float = NOISE_GAIN) -> Picture:
    """What was taken away, amplified, around middle gray.

    Args:
        source, result: from `rgb_float`.
        gain: 8 shows a difference of one 8-bit code as eight.
    """
    return shown(0.5 + (source - result) * gain)
