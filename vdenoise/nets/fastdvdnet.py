"""FastDVDnet (Tassano, Delon, Veit 2020), with the layers' names of the published weights.

Five frames in, unaligned: three U-Nets of the same weights on three frames each, and a fourth on
what they answer. Run frame by frame, so the first three are not shared between frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from vdenoise.nets.base import Input, NetInput, halo
from vdenoise.nets.color import RgbNetwork, start
from vdenoise.picture.color import to_rgb


def _conv(given: int, out: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(given, out, 3, stride, padding=1, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(out), nn.ReLU()]


class _Layers(nn.Module):
    """Layers under the name that the published weights have."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.convblock = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """One after the other."""
        out: Tensor = self.convblock(x)
        return out


def _pair(width: int) -> _Layers:
    return _Layers(*_conv(width, width), *_conv(width, width))


def _down(given: int, out: int) -> _Layers:
    return _Layers(*_conv(given, out, stride=2), _pair(out))


def _up(given: int, out: int) -> _Layers:
    spread = nn.Conv2d(given, 4 * out, 3, padding=1, bias=False)
    return _Layers(_pair(given), spread, nn.PixelShuffle(2))


class _DenBlock(nn.Module):
    """Three frames to the one in the middle."""

    def __init__(self, widths: tuple[int, int, int], each: int) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.inc = _Layers(*_conv(12, 3 * each, groups=3), *_conv(3 * each, fine))
        self.downc0, self.downc1 = _down(fine, middle), _down(middle, coarse)
        self.upc2, self.upc1 = _up(coarse, middle), _up(middle, fine)
        last = nn.Conv2d(fine, 3, 3, padding=1, bias=False)
        self.outc = _Layers(*_conv(fine, fine), last)

    def forward(self, a: Tensor, b: Tensor, c: Tensor, sigma: Tensor) -> Tensor:
        """(N, 3, H, W) each, sigma (N, 1, H, W); float32 in and out."""
        dtype = next(self.parameters()).dtype
        x0 = self.inc(torch.cat([a, sigma, b, sigma, c, sigma], 1).to(dtype))
        x1 = self.downc0(x0)
        x2 = self.upc2(self.downc1(x1))
        out: Tensor = self.outc(x0 + self.upc1(x1 + x2))
        return b - out.float()


class FastDvdNet(RgbNetwork):
    """Two frames on each side; takes a map of sigma."""

    inputs: ClassVar[tuple[Input, ...]] = ("temporal", "neighbors", "sigma", "residual")
    reach = 2
    memory: ClassVar[float] = 140.0

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 128), each: int = 30) -> None:
        """Build with random weights.

        Args:
            widths: channels at 1/1, 1/2 and 1/4 of the size.
            each: channels of the first layer for each frame.
        """
        super().__init__()
        self.temp1, self.temp2 = _DenBlock(widths, each), _DenBlock(widths, each)
        start(self)

    @property
    def multiple(self) -> int:
        """Cells of the coarsest level."""
        return 4

    @property
    def halo(self) -> int:
        """Two blocks one after the other. A convolution with stride looks to one side only."""
        up = [(1, 2, 2), (2, 3, 3), (4, 3, 3)]
        down = [(4, 2, 2), (2, 1, 0), (2, 2, 2), (1, 1, 0), (1, 2, 2)]
        return halo([*up, *down, *up, *down])

    def change(self, rgb: Tensor, sigma: Tensor, x: NetInput) -> Tensor:
        """The picture that it answers with, less the one given."""
        assert x.neighbors is not None, "this network takes neighbors"
        a, b, d, e = to_rgb(x.neighbors).unbind(1)
        first = self.temp1(a, b, rgb, sigma)
        second = self.temp1(b, rgb, d, sigma)
        third = self.temp1(rgb, d, e, sigma)
        out: Tensor = self.temp2(first, second, third, sigma)
        return out - rgb


def published() -> FastDvdNet:
    """Build it as published."""
    return FastDvdNet()


def fitting(shapes: Mapping[str, tuple[int, ...]]) -> FastDvdNet | None:
    """The network that has weights of these names and shapes, if it is one of these."""
    names = ("inc.convblock.3", "downc0.convblock.0", "downc1.convblock.0")
    fine, middle, coarse = (shapes.get(f"temp1.{name}.weight", ()) for name in names)
    if not (len(fine) == len(middle) == len(coarse) == 4):
        return None
    return FastDvdNet((fine[0], middle[0], coarse[0]), fine[1] // 3)
