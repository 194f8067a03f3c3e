"""A change of light between a frame and its aligned neighbor, told from the noise of both."""

from __future__ import annotations

import torch
from torch import Tensor

from vdenoise.motion.warp import box_mean, reduce, resize

_CELL = 8  # luma px: what light does is looked at on cells of so many
_WINDOW = (9, 9)  # cells whose mean is taken
_SURE = 4.0  # times its variance that the square of such a mean is, where it begins to count
_TINY = 1e-12


def light_of(
    difference: Tensor, weight: Tensor, variance: Tensor, area: float, factors: tuple[int, int]
) -> Tensor:
    """Measure by how much an aligned neighbor is brighter, where that is more than noise explains.

    A mean over a window that reaches to one side of a frame lags behind light that changes: by 1.5
    codes where a car's shadow brightens by two codes a frame. In a window that reaches to both
    sides what is before and what is behind make up for each other.

    Args:
        difference: (C, H, W), the neighbor less the frame.
        weight: (H, W), how far it will be used.
        variance: (C, h, w), of the noise in the frame, on a grid that is equal or coarser.
        area: pixels of the noise's grain.
        factors: luma pixels to one of these, down and across.

    Returns:
        (C, H, W), smooth; 0 where there is nothing but noise.
    """
    cell = (max(_CELL // factors[0], 1), max(_CELL // factors[1], 1))
    size = (difference.shape[-2], difference.shape[-1])
    used = reduce(weight[None], cell)
    share = box_mean(used[0], _WINDOW).clamp_(min=_TINY)
    pixels = _WINDOW[0] * cell[0] * _WINDOW[1] * cell[1] / max(area, 1.0)
    found = []
    for plane, noise in zip(reduce(difference * weight, cell), variance, strict=True):
        mean = box_mean(plane, _WINDOW).div_(share)
        scatter = resize(noise, (mean.shape[-2], mean.shape[-1])) * (2 / pixels) / share
        sure = 1 - _SURE * scatter / mean.square().clamp_(min=_TINY)
        found.append(resize(mean.mul_(sure.clamp_(min=0)), size))
    return torch.stack(found)
