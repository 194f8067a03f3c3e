"""Networks of the literature, which know R'G'B' only: conversions, and what they have in common."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from vdenoise.nets.base import Input, NetInput, Network
from vdenoise.picture.color import CB_SCALE, CR_SCALE, KB, KG, KR

# Equal, independent noise of sigma 1 in R', G' and B' has this variance in Y' (BT.709).
_LUMA_VARIANCE = KR**2 + KG**2 + KB**2
_CB_VARIANCE = (KR**2 + KG**2 + (1 - KB) ** 2) / CB_SCALE**2
_CR_VARIANCE = ((1 - KR) ** 2 + KG**2 + KB**2) / CR_SCALE**2
_CHROMA_SHARE = (1 - _LUMA_VARIANCE) / (_CB_VARIANCE + _CR_VARIANCE)


class RgbNetwork(Network):
    """Takes what the temporal stage made of the frame and a sigma, and works on R'G'B' in [0, 1].

    What a spatial stage made of that is not used: such networks were trained on noise, not on what
    a filter leaves of it.
    """

    inputs: ClassVar[tuple[Input, ...]] = ("temporal", "sigma", "left")
    half_ok: ClassVar[bool] = False  # it answers with a picture, which bfloat16 would round

    def change(self, rgb: Tensor, sigma: Tensor, x: NetInput) -> Tensor:
        """(N, 3, H, W): what to add to R'G'B'.

        Args:
            rgb: (N, 3, H, W) float32.
            sigma: (N, 1, H, W) float32 of the noise in it, full-scale units.
            x: everything, for networks that take more.
        """
        raise NotImplementedError

    def correction(self, x: NetInput) -> Tensor:
        """(N, 3, H, W) float32."""
        picture, left = x.averaged
        change = self.change(to_rgb(picture), rgb_sigma(x.sigma * left), x)
        return from_rgb(change.float()) + (picture - x.average)


def start(net: nn.Module) -> None:
    """Random weights by which convolutions keep the size of what goes through (He et al. 2015).

    Torch's own shrink it at each layer: behind twenty of them nothing is left, and nothing is
    learned. The papers' authors normalised batches instead, and merged that into their weights.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def to_rgb(x: Tensor) -> Tensor:
    """(..., 3, H, W) Y'CbCr to R'G'B' by the BT.709 matrix; also for differences."""
    luma, cb, cr = x.unbind(-3)
    red, blue = luma + CR_SCALE * cr, luma + CB_SCALE * cb
    return torch.stack((red, (luma - KR * red - KB * blue) / KG, blue), -3)


def from_rgb(x: Tensor) -> Tensor:
    """The reverse of `to_rgb`."""
    red, green, blue = x.unbind(-3)
    luma = KR * red + KG * green + KB * blue
    return torch.stack((luma, (blue - luma) / CB_SCALE, (red - luma) / CR_SCALE), -3)


def rgb_sigma(sigma: Tensor) -> Tensor:
    """The one sigma that such a network takes, from those of Y', Cb and Cr.

    Root mean square over R', G' and B': exact for noise that is equal and independent in these, as
    such networks were trained on, and for gray pictures.

    Args:
        sigma: (N, 3, H, W).

    Returns:
        (N, 1, H, W).
    """
    luma, cb, cr = sigma.square().unbind(1)
    return (luma + _CHROMA_SHARE * (cb + cr)).sqrt()[:, None]
