"""Planes at another density: chroma thinned as MPEG-2 has it, or filled in; luma made smaller."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise import compiled
from vdenoise.picture.frame import PixelFormat


def subsample(plane: Tensor, out: PixelFormat) -> Tensor:
    """Chroma (H, W) at the density of ``out``; edges are repeated."""
    x = plane[None, None]
    if out.sub_w:
        x = functional.pad(x, (1, 1, 0, 0), mode="replicate")
        x = (x[..., :-2:2] + 2 * x[..., 1:-1:2] + x[..., 2::2]) / 4
    if out.sub_h:
        x = functional.pad(x, (0, 0, 0, x.shape[-2] % 2), mode="replicate")
        x = (x[..., ::2, :] + x[..., 1::2, :]) / 2
    return x[0, 0]


def upsample(
    plane: Tensor, fmt: PixelFormat, out: PixelFormat, luma: tuple[int, int], location: str
) -> Tensor:
    """Interpolate chroma (h, w) to the density of ``out`` (Catmull-Rom, edges repeated)."""
    assert out.sub_w <= fmt.sub_w and out.sub_h <= fmt.sub_h, "chroma is never thinned out"
    height, width = (-(-luma[0] >> out.sub_h), -(-luma[1] >> out.sub_w))
    if out.sub_h < fmt.sub_h:
        cosited = location in ("topleft", "top")
        plane = _interpolate_rows(plane, fmt.sub_h - out.sub_h, cosited)[:height]
    if out.sub_w < fmt.sub_w:
        cosited = location not in ("center", "top", "bottom")
        plane = _interpolate_rows(plane.T, fmt.sub_w - out.sub_w, cosited)[:width].T
    return plane.contiguous()


def _interpolate_rows(plane: Tensor, log2: int, cosited: bool) -> Tensor:
    """2^log2 rows for each row, the first on the row itself (cosited) or all centred around it."""
    times = 1 << log2
    padded = functional.pad(plane[None, None], (0, 0, 2, 2), mode="replicate")[0, 0]
    rows = plane.shape[0]
    phases = []
    for k in range(times):
        shift = k / times if cosited else (k + 0.5) / times - 0.5
        whole = -1 if shift < 0 else 0
        t = shift - whole
        taps = (
            0.5 * (-t + 2 * t**2 - t**3),
            0.5 * (2 - 5 * t**2 + 3 * t**3),
            0.5 * (t + 4 * t**2 - 3 * t**3),
            0.5 * (-(t**2) + t**3),
        )
        start = 1 + whole  # row -1 of the neighborhood, in the padded plane
        phases.append(
            sum(
                (padded[start + n : start + n + rows] * tap for n, tap in enumerate(taps) if tap),
                torch.zeros_like(plane),
            )
        )
    return torch.stack(phases, 1).flatten(0, 1)


def resize_to(luma: Tensor, like: Tensor) -> Tensor:
    """Average luma (T, 1, H, W) down to the size of a chroma plane (no-op for 4:4:4).

    The last row or column of an odd-sized clip is averaged with itself, as chroma was.
    """
    height, width = like.shape[-2:]
    fy, fx = subsampling(luma, like)
    if (fy, fx) == (1, 1):
        return luma
    if compiled.serves(luma):
        means = torch.empty(*luma.shape[:-2], height, width)
        for plane, to in zip(luma.flatten(0, -3), means.flatten(0, -3), strict=True):
            compiled.call("cell_means", plane.contiguous(), *plane.shape, fy, fx, to)
        return means
    pad = (0, width * fx - luma.shape[-1], 0, height * fy - luma.shape[-2])
    return functional.avg_pool2d(functional.pad(luma, pad, mode="replicate"), (fy, fx))


def repeat_to(chroma: Tensor, luma: Tensor) -> Tensor:
    """Repeat chroma (..., h, w) to the size of luma (..., H, W) (no-op for 4:4:4)."""
    down, across = subsampling(luma, chroma)
    if (down, across) == (1, 1):
        return chroma
    chroma = chroma.repeat_interleave(down, -2).repeat_interleave(across, -1)
    return chroma[..., : luma.shape[-2], : luma.shape[-1]]


def subsampling(luma: Tensor, chroma: Tensor) -> tuple[int, int]:
    """Luma pixels to one chroma pixel, down and across: powers of two.

    9 luma columns to 3 of chroma is 4:1:1's 4, not 3.
    """
    ratios = [-(-a // b) for a, b in zip(luma.shape[-2:], chroma.shape[-2:], strict=True)]
    down, across = (1 << (ratio - 1).bit_length() for ratio in ratios)
    return down, across
