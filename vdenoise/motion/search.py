"""Optical flow by coarse-to-fine search in torch, for devices where OpenCV is not.

At each level of a pyramid: try whole-pixel displacements around the coarser flow, then refine by
Gauss-Newton steps on windows (Lucas & Kanade, 1981), with a median and a mean after each so that
single failures do not spread.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_WINDOW = 13  # px: pictures are compared over windows of this size
_SMALLEST = 24  # px: the pyramid stops before a side gets shorter
_REFINEMENTS = 3
_FLAT = 3e-3  # added to the squared gradient: below it a window hardly moves the flow


def search(a: Tensor, b: Tensor) -> Tensor:
    """Flow from picture ``a`` to picture ``b``.

    Args:
        a, b: (1, H, W) luma, nominally [0, 1].

    Returns:
        (2, H, W) float32, x and y displacement in pixels of these pictures.
    """
    pyramid = [(a.float(), b.float())]
    while min(pyramid[-1][0].shape[-2:]) >= 2 * _SMALLEST:
        pyramid.append((_half(pyramid[-1][0]), _half(pyramid[-1][1])))
    flow = torch.zeros(2, *pyramid[-1][0].shape[-2:], device=a.device)
    for level, (first, second) in enumerate(reversed(pyramid)):
        if level:
            flow = 2 * functional.interpolate(
                flow[None], first.shape[-2:], mode="bilinear", align_corners=False
            ).squeeze(0)
        # The coarsest level finds the motion from nothing, so it looks further.
        for step in (3.0, 1.0) if level == 0 else (1.0,):
            flow = _settle(_try_around(first, second, flow, step))
        for _ in range(_REFINEMENTS):
            flow = _settle(_gauss_newton(first, second, flow))
    return flow


def _half(picture: Tensor) -> Tensor:
    return functional.avg_pool2d(picture[None], 2, ceil_mode=True)[0]


def _try_around(a: Tensor, b: Tensor, flow: Tensor, step: float) -> Tensor:
    """The best of nine displacements around ``flow``, which stays unless another is better."""
    moves = [(0.0, 0.0)] + [(x, y) for y in (-step, 0, step) for x in (-step, 0, step) if x or y]
    trials = [flow + flow.new_tensor(move)[:, None, None] for move in moves]
    costs = torch.stack([_window_mean((_fetch(b, t) - a).abs_()) for t in trials])
    best = costs.argmin(0)
    return torch.stack(trials, 1).gather(1, best.expand(2, 1, *best.shape))[:, 0]


def _gauss_newton(a: Tensor, b: Tensor, flow: Tensor) -> Tensor:
    """One step towards equal windows, at most one pixel long."""
    moved = _fetch(b, flow)
    dx, dy = _gradients((a + moved) / 2)
    change = moved - a
    products = torch.cat([dx * dx, dx * dy, dy * dy, dx * change, dy * change])
    xx, xy, yy, xt, yt = _window_mean(products[:, None], squeeze=False)[:, 0]
    xx, yy = xx + _FLAT, yy + _FLAT
    determinant = xx * yy - xy * xy
    step: Tensor = torch.stack([xy * yt - yy * xt, xy * xt - xx * yt]) / determinant
    return flow + step.clamp(-1, 1)


def _gradients(picture: Tensor) -> tuple[Tensor, Tensor]:
    padded = functional.pad(picture[None], (1, 1, 1, 1), mode="replicate")[0]
    x = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    y = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    return x, y


def _window_mean(x: Tensor, *, squeeze: bool = True) -> Tensor:
    """Mean over windows, edges repeated: (1, H, W) -> (H, W), or (N, 1, H, W) kept as it is."""
    half = _WINDOW // 2
    padded = functional.pad(x[None] if squeeze else x, (half,) * 4, mode="replicate")
    mean = functional.avg_pool2d(padded, _WINDOW, stride=1)
    return mean[0, 0] if squeeze else mean


def _fetch(picture: Tensor, flow: Tensor) -> Tensor:
    """The picture seen through a flow, bilinear, edges repeated."""
    height, width = picture.shape[-2:]
    x = torch.arange(width, device=flow.device) + flow[0]
    y = torch.arange(height, device=flow.device)[:, None] + flow[1]
    grid = torch.stack([x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1], dim=-1)
    seen: Tensor = functional.grid_sample(
        picture[None], grid[None], mode="bilinear", padding_mode="border", align_corners=True
    )
    return seen[0]


def _settle(flow: Tensor) -> Tensor:
    """3x3 median of each component, then a 5x5 mean: motion is smooth, its errors are not."""
    padded = functional.pad(flow[None], (1, 1, 1, 1), mode="replicate")[0]
    height, width = flow.shape[-2:]
    views = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    middle = functional.pad(torch.stack(views).median(0).values[None], (2,) * 4, mode="replicate")
    return functional.avg_pool2d(middle, 5, stride=1)[0]
