"""Samples as pictures for a screen: R'G'B' with 8 bits, (H, W, 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.picture.color import quantisation, to_float
from vdenoise.picture.encodings import LINEAR
from vdenoise.picture.frame import ClipInfo, PixelFormat
from vdenoise.picture.samples import has_rgb, rgb_of
from vdenoise.picture.subsampling import interpolated

Picture = NDArray[np.uint8]

NOISE_GAIN = 8.0  # how much removed noise is amplified where nobody knows how strong it is
_GAINS = (16.0, 12.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.0)
_SIGMAS = 3.0  # of the noise that fit between gray and white
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
                interpolated(to_float(p, fmt).sub_(zero), fmt, full, size, info.chroma_location)
                for p in color[1:]
            )
            matrix = info.matrix if has_rgb(info.matrix) else "bt709"
            found = torch.stack(rgb_of(luma, cb / scale, cr / scale, matrix))
    if info.curve is not None and info.curve.encoding == LINEAR:
        found = (found.nan_to_num() / info.curve.white).clamp(0, 1) ** _GAMMA
    return found


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
