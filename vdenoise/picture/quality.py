"""How far a picture is from another."""

from __future__ import annotations

import torch
from torch import Tensor


def psnr(clean: Tensor, test: Tensor) -> float:
    """Peak signal-to-noise ratio in dB, the mean over frames of each frame's own (peak 1).

    One mean squared error per frame over all its channels and pixels; an equal frame counts as
    100 dB, so that one of them does not make the mean infinite.
    """
    check_alike(clean, test)
    error = (clean.double() - test.double()).square().mean(dim=(1, 2, 3))
    return float((-10 * torch.log10(error)).clamp(max=100).mean())


def check_alike(clean: Tensor, test: Tensor) -> None:
    """Raise `ValueError` where two are not clips (T, 1 or 3, H, W) of one shape."""
    if clean.shape != test.shape or clean.ndim != 4 or clean.shape[1] not in (1, 3):
        raise ValueError(f"clips differ in shape: {tuple(clean.shape)} and {tuple(test.shape)}")
