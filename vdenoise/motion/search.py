"""Optical flow by coarse-to-fine search in torch, for devices where OpenCV is not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_WINDOW = 9  # px: differences are compared over windows of this size
_SMALLEST = 24  # px: the pyramid stops before a side gets shorter
_ROUNDS = 3  # searches around the current flow at each level
_STEPS = (-1.0, 0.0, 1.0)  # px, halved from round to round


def search(a: Tensor, b: Tensor) -> Tensor:
    """Flow from picture ``a`` to picture ``b``.

    At each level of a pyramid the flow from the coarser one is refined by trying displacements
    around it, comparing windows of pixels, and taking a median over neighbors so that single
    failures do not spread.

    Args:
        a, b: (1, H, W) luma, nominally [0, 1].

    Returns:
        (2, H, W) float32, x and y displacement in pixels of these pictures.
    """
    pyramid = [(a.float(), b.float())]
    while min(pyramid[-1][0].shape[-2:]) >= 2 * _SMALLEST:
        pyramid.append(
            (
                functional.avg_pool2d(pyramid[-1][0][None], 2, ceil_mode=True)[0],
                functional.avg_pool2d(pyramid[-1][1][None], 2, ceil_mode=True)[0],
            )
        )
    flow = torch.zeros(2, *pyramid[-1][0].shape[-2:], device=a.device)
    for level, (first, second) in enumerate(reversed(pyramid)):
        size = (first.shape[-2], first.shape[-1])
        if level:
            flow = (
                2
                * functional.interpolate(flow[None], size, mode="bilinear", align_corners=False)[0]
            )
        # The coarsest level has to find the motion from nothing: look further there.
        for round_ in range(_ROUNDS + (2 if level == 0 else 0)):
            step = 2.0 if level == 0 and round_ < 2 else 0.5 ** max(round_ - 2 * (level == 0), 0)
            flow = _median(_refine(first, second, flow, step))
    return flow


def _refine(a: Tensor, b: Tensor, flow: Tensor, step: float) -> Tensor:
    """The best of nine displacements around ``flow``, then a parabola through the costs."""
    costs = torch.stack(
        [
            _cost(a, b, flow + step * flow.new_tensor([x, y])[:, None, None])
            for y in _STEPS
            for x in _STEPS
        ]
    )
    best = costs.argmin(0)
    y, x = best // 3, best % 3
    dx = x - 1 + _vertex(costs, best, x, 1)
    dy = y - 1 + _vertex(costs, best, y, 3)
    return flow + step * torch.stack([dx, dy])


def _vertex(costs: Tensor, best: Tensor, place: Tensor, stride: int) -> Tensor:
    """Offset of the minimum of a parabola through three neighboring costs, within half a step."""
    inner = place == 1
    at = best.clamp(stride, costs.shape[0] - 1 - stride)
    low, mid, high = (costs.gather(0, (at + d)[None])[0] for d in (-stride, 0, stride))
    curvature = low - 2 * mid + high
    offset = 0.5 * (low - high) / curvature.clamp(min=1e-12)
    return torch.where(inner & (curvature > 1e-12), offset.clamp(-0.5, 0.5), 0.0)


def _cost(a: Tensor, b: Tensor, flow: Tensor) -> Tensor:
    """(H, W): mean absolute difference over a window, plus a little for leaving the picture."""
    height, width = a.shape[-2:]
    x = torch.arange(width, device=a.device) + flow[0]
    y = torch.arange(height, device=a.device)[:, None] + flow[1]
    grid = torch.stack([x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1], dim=-1)[
        None
    ]
    moved = functional.grid_sample(
        b[None], grid, mode="bilinear", padding_mode="border", align_corners=True
    )
    half = _WINDOW // 2
    difference = functional.pad((moved - a[None]).abs_(), (half,) * 4, mode="replicate")
    return functional.avg_pool2d(difference, _WINDOW, stride=1)[0, 0]


def _median(flow: Tensor) -> Tensor:
    """3x3 median of each component."""
    padded = functional.pad(flow[None], (1, 1, 1, 1), mode="replicate")[0]
    height, width = flow.shape[-2:]
    views = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return torch.stack(views).median(0).values
