"""What training makes small. All take R'G'B' differences or pictures, (N, 3, H, W)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

_EPSILON = 1e-3


def charbonnier(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean of sqrt(d^2 + 1e-6) (Charbonnier et al. 1994): L1, smooth at 0."""
    return ((found - wanted).square() + _EPSILON**2).sqrt().mean()


def mse(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean square."""
    return (found - wanted).square().mean()


def l1(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (found - wanted).abs().mean()


def minus_psnr(found: Tensor, wanted: Tensor) -> Tensor:
    """Give minus the mean PSNR over pictures, in units of 100 dB."""
    square = (found - wanted).square().mean((1, 2, 3))
    return (square + 1e-6).log10().mean() / 10


def ssim_mixed(found: Tensor, wanted: Tensor) -> Tensor:
    """0.84 (1 - SSIM) / 2 + 0.16 L1 (Zhao et al. 2017, with single-scale SSIM, 11x11 Gaussian)."""
    from kornia.losses import ssim_loss

    structure: Tensor = ssim_loss(found, wanted, 11)
    return 0.84 * structure + 0.16 * l1(found, wanted)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "charbonnier": charbonnier,
    "mse": mse,
    "l1": l1,
    "psnr": minus_psnr,
    "ssim-mixed": ssim_mixed,
}
