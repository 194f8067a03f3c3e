"""FFDNet (Zhang, Zuo, Zhang 2018), with the layers' names of the published weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from vdenoise.nets.base import NetInput, halo
from vdenoise.nets.color import RgbNetwork, start


class FfdNet(RgbNetwork):
    """3x3 convolutions at half size; takes a map of sigma."""

    def __init__(self, channels: int = 3, width: int = 96, depth: int = 12) -> None:
        """Build with random weights.

        Args:
            channels: 3, or 1 for a network of gray pictures (run on R', G' and B' apart).
            width: channels inside.
            depth: convolutions.
        """
        super().__init__()
        self.channels, self.depth = channels, depth
        layers: list[nn.Module] = [nn.Conv2d(4 * channels + 1, width, 3, padding=1), nn.ReLU()]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
        self.model = nn.Sequential(*layers, nn.Conv2d(width, 4 * channels, 3, padding=1))
        start(self)

    @property
    def multiple(self) -> int:
        """Cells of half size."""
        return 2

    @property
    def halo(self) -> int:
        """Two pixels a convolution, and the rest of a cell."""
        return halo([(2, 1, 1)] * self.depth)

    def change(self, rgb: Tensor, sigma: Tensor, x: NetInput) -> Tensor:
        """The picture that it answers with, less the one given."""
        picture = rgb if self.channels == 3 else rgb.flatten(0, 1)[:, None]
        level = functional.avg_pool2d(sigma, 2).repeat_interleave(len(picture) // len(rgb), 0)
        packed = torch.cat([functional.pixel_unshuffle(picture, 2), level], 1)
        out: Tensor = functional.pixel_shuffle(self.model(packed.to(self.dtype)).float(), 2)
        return (out - picture).view_as(rgb)


def color() -> FfdNet:
    """Build it as published for color pictures."""
    return FfdNet()


def fitting(shapes: Mapping[str, tuple[int, ...]]) -> FfdNet | None:
    """The network that has weights of these names and shapes, if it is one of these."""
    if "model.0.weight" not in shapes or any(not key.startswith("model.") for key in shapes):
        return None
    convolutions = sorted(
        (int(key.split(".")[1]), shape) for key, shape in shapes.items() if len(shape) == 4
    )
    width, given = convolutions[0][1][:2]
    channels = given // 4
    if channels not in (1, 3) or given % 4 != 1 or convolutions[-1][1][0] != 4 * channels:
        return None
    return FfdNet(channels, width, len(convolutions))
