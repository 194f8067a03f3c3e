"""Chroma planes at another density: thinned as MPEG-2 has it, or interpolated."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.picture.frame import PixelFormat


def thinned(plane: Tensor, out: PixelFormat) -> Tensor:
    """Chroma (H, W) at the density of ``out``; edges are repeated."""
    x = plane[None, None]
    if out.sub_w:
        x = functional.pad(x, (1, 1, 0, 0), mode="replicate")
        x = (x[..., :-2:2] + 2 * x[..., 1:-1:2] + x[..., 2::2]) / 4
    if out.sub_h:
        x = functional.pad(x, (0, 0, 0, x.shape[-2] % 2), mode="replicate")
        x = (x[..., ::2, :] + x[..., 1::2, :]) / 2
    return x[0, 0]


def interpolated(
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
