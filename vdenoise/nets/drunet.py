"""DRUNet (Zhang et al. 2020): a residual U-Net with skip connections, names as published."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from vdenoise.nets.base import NetInput, halo
from vdenoise.nets.color import RgbNetwork


class _Block(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.res = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=bias),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        change: Tensor = self.res(x)
        return x + change


class DruNet(RgbNetwork):
    """Four levels of residual blocks; takes a map of sigma."""

    memory: ClassVar[float] = 120.0

    def __init__(
        self,
        channels: int = 3,
        widths: tuple[int, int, int, int] = (64, 128, 256, 512),
        blocks: int = 4,
        *,
        bias: bool = False,
    ) -> None:
        """Build with random weights.

        Args:
            channels: 3, or 1 for a network of gray pictures (run on R', G' and B' apart).
            widths: channels at 1/1, 1/2, 1/4 and 1/8 of the size.
            blocks: residual blocks at each level, going down and going up.
            bias: whether convolutions have one.
        """
        super().__init__()
        self.channels, self.blocks = channels, blocks
        self.m_head = nn.Conv2d(channels + 1, widths[0], 3, padding=1, bias=bias)
        pairs = list(pairwise(widths))

        def level(width: int) -> list[nn.Module]:
            return [_Block(width, bias) for _ in range(blocks)]

        down = [nn.Sequential(*level(a), nn.Conv2d(a, b, 2, 2, bias=bias)) for a, b in pairs]
        up = [nn.Sequential(nn.ConvTranspose2d(b, a, 2, 2, bias=bias), *level(a)) for a, b in pairs]
        self.m_down1, self.m_down2, self.m_down3 = down
        self.m_body = nn.Sequential(*level(widths[3]))
        self.m_up3, self.m_up2, self.m_up1 = reversed(up)
        self.m_tail = nn.Conv2d(widths[0], channels, 3, padding=1, bias=bias)

    @property
    def multiple(self) -> int:
        """Cells of the coarsest level."""
        return 8

    @property
    def halo(self) -> int:
        """Convolutions one after the other, times the size of a cell at their level."""
        up = [(1, 1, 1), *((cell, 2 * self.blocks, 2 * self.blocks) for cell in (1, 2, 4, 8))]
        return halo([*up, *reversed(up[:-1])])

    def change(self, rgb: Tensor, sigma: Tensor, x: NetInput) -> Tensor:
        """The picture that it answers with, less the one given."""
        picture = rgb if self.channels == 3 else rgb.flatten(0, 1)[:, None]
        level = sigma.repeat_interleave(len(picture) // len(rgb), 0)
        x1 = self.m_head(torch.cat([picture, level], 1).to(self.dtype))
        x2 = self.m_down1(x1)
        x3 = self.m_down2(x2)
        x4 = self.m_down3(x3)
        features = self.m_up3(self.m_body(x4) + x4)
        features = self.m_up1(self.m_up2(features + x3) + x2)
        out: Tensor = self.m_tail(features + x1).float()
        return (out - picture).view_as(rgb)


def color() -> DruNet:
    """Build it as published for color pictures."""
    return DruNet()


def fitting(shapes: Mapping[str, tuple[int, ...]]) -> DruNet | None:
    """The network that has weights of these names and shapes, if it is one of these."""
    names = ("m_head.weight", "m_down1.0.res.0.weight", "m_body.0.res.0.weight", "m_tail.weight")
    if any(name not in shapes for name in names):
        return None
    blocks = sum(key.startswith("m_body.") and key.endswith(".res.0.weight") for key in shapes)
    ends = [shapes.get(f"m_down{n}.{blocks}.weight", (0, 0)) for n in (1, 2, 3)]
    widths = (shapes["m_head.weight"][0], ends[0][0], ends[1][0], ends[2][0])
    return DruNet(shapes["m_tail.weight"][0], widths, blocks, bias="m_head.bias" in shapes)
