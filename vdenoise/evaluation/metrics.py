"""Measures of a processed clip against the clean one.

Clips are R'G'B' float tensors (T, 3, H, W), nominally in [0, 1]; nothing is rounded or clipped
here. The peak is 1.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vdenoise.picture.color import KB, KG, KR
from vdenoise.picture.quality import check_alike

Gray = NDArray[np.uint8]
Plane = NDArray[np.float64]


def luma(frames: Tensor) -> Tensor:
    """(T, 3, H, W) R'G'B' to (T, 1, H, W) BT.709 Y'."""
    return torch.einsum("c,tchw->thw", frames.new_tensor((KR, KG, KB)), frames)[:, None]


def ssim(clean: Tensor, test: Tensor) -> float:
    """Structural similarity: Wang et al. 2004, mean over channels, pixels and frames.

    Gaussian window of 11x11 and sigma 1.5, K1 = 0.01, K2 = 0.03, peak 1, only windows that lie
    wholly inside the picture; on R', G' and B' each.

    Raises:
        ValueError: shapes differ, or the picture is smaller than the window.
    """
    check_alike(clean, test)
    if min(clean.shape[-2:]) < 11:
        raise ValueError(f"SSIM needs 11x11 pixels or more, not {tuple(clean.shape[-2:])}")
    return float(np.mean([_ssim_frame(a, b) for a, b in zip(clean, test, strict=True)]))


def flicker(clean: Tensor, test: Tensor, where: Tensor | None = None) -> float:
    """RMS of the motion-compensated change of the error, in 8-bit codes.

    The error (test - clean) of each frame is compared with that of the frame before, moved along
    the optical flow of the *clean* clip (OpenCV DIS), which is the same for every competitor.
    Constant error along the motion (lost detail, a colour cast) gives 0; error that comes and
    goes gives what an eye sees as flicker. Pixels that come from outside the picture or whose
    forward and backward flow disagree by more than one pixel are left out.

    Args:
        clean, test: clips.
        where: (T, H, W) the only pixels to look at; None takes all.

    Raises:
        ValueError: shapes differ, or there are fewer than two frames.
    """
    check_alike(clean, test)
    if len(clean) < 2:
        raise ValueError("flicker needs two frames or more")
    error = test.float() - clean.float()
    total, count = 0.0, 0
    for t in range(1, len(clean)):
        followed = Followed(clean[t - 1], clean[t])
        more, seen = followed.change(error[t - 1], error[t], None if where is None else where[t])
        total, count = total + more, count + seen
    return 255 * math.sqrt(total / max(count, 1))


class Followed:
    """The motion from one picture to the next (OpenCV DIS), for comparing what moves with it.

    Args:
        before, now: R'G'B' (3, H, W), nominally in [0, 1], with little noise.
    """

    def __init__(self, before: Tensor, now: Tensor) -> None:
        a, b = _gray(before), _gray(now)
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._back = _flow(dis, b, a)
        forth_here, inside = _warp(_flow(dis, a, b), self._back)
        self.steady = inside & ((self._back + forth_here).square().sum(dim=0).sqrt() <= 1)

    @property
    def speed(self) -> Tensor:
        """(H, W) pixels that each place moved."""
        return self._back.square().sum(dim=0).sqrt()

    @property
    def middle(self) -> Tensor:
        """(2,) pixels down and right by which the middle one of all places moved."""
        return -self._back.flatten(1).median(dim=1).values.flip(0)

    def moved(self, before: Tensor) -> Tensor:
        """(C, H, W) of the frame before, where the motion takes it."""
        return _warp(before, self._back)[0]

    def change(self, before: Tensor, now: Tensor, where: Tensor | None = None) -> tuple[float, int]:
        """Sum of the squared changes along the motion, and how many samples were compared.

        Args:
            before, now: (C, H, W).
            where: (H, W) the only pixels to look at; None takes all that could be followed.
        """
        steady = self.steady if where is None else self.steady & where
        change = (now - self.moved(before))[:, steady]
        return float(change.double().square().sum()), change.numel()


def _gray(picture: Tensor) -> Gray:
    codes = (luma(picture[None])[0, 0].clamp(0, 1) * 255).round().byte()
    return np.asarray(codes.cpu().numpy())


def _ssim_frame(a: Tensor, b: Tensor) -> float:
    """Mean SSIM of two (C, H, W) pictures."""
    taps = cv2.getGaussianKernel(11, 1.5)

    def mean(picture: Plane) -> Plane:
        """The window's mean, where the window lies inside."""
        return np.asarray(cv2.sepFilter2D(picture, cv2.CV_64F, taps, taps)[5:-5, 5:-5])

    values = []
    for x, y in zip(a.double().cpu().numpy(), b.double().cpu().numpy(), strict=True):
        mean_x, mean_y = mean(x), mean(y)
        var_x, var_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
        cov = mean(x * y) - mean_x * mean_y
        c1, c2 = 0.01**2, 0.03**2
        top = (2 * mean_x * mean_y + c1) * (2 * cov + c2)
        values.append((top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())
    return float(np.mean(values))


def _flow(dis: cv2.DISOpticalFlow, a: Gray, b: Gray) -> Tensor:
    """(2, H, W) displacement, in pixels, of each pixel of ``a`` in ``b``."""
    return (
        torch.from_numpy(dis.calc(a, b, np.zeros((*a.shape, 2), np.float32)))
        .permute(2, 0, 1)
        .double()
    )


def _warp(picture: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Bilinear samples of (C, H, W) at each pixel plus flow, and (H, W) which are inside."""
    height, width = picture.shape[-2:]
    x = torch.arange(width, dtype=flow.dtype) + flow[0]
    y = torch.arange(height, dtype=flow.dtype)[:, None] + flow[1]
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], dim=-1)
    moved = functional.grid_sample(
        picture[None].to(flow),
        grid[None],
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )[0]
    return moved, (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
