"""Networks of the literature, which know R'G'B' only: conversions, and what they have in common."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from vdenoise.nets.base import Input, NetInput, Network
from vdenoise.picture.color import CB_VARIANCE, CR_VARIANCE, LUMA_VARIANCE, from_rgb, to_rgb

# Of the variances of Cb and Cr, in that of noise that is the same in R', G' and B'
_CHROMA_SHARE = (1 - LUMA_VARIANCE) / (CB_VARIANCE + CR_VARIANCE)


class RgbNetwork(Network):
    """Takes what the temporal stage made of the frame and a sigma, and works on R'G'B' in [0, 1].

    What a spatial stage made of that is not used: such networks were trained on noise, not on what
    a filter leaves of it.
    """

    inputs: ClassVar[tuple[Input, ...]] = ("temporal", "sigma", "residual")
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
        picture, residual = x.averaged
        change = self.change(to_rgb(picture), rgb_sigma(x.sigma * residual), x)
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
