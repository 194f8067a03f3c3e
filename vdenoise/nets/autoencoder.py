"""A denoising autoencoder (after Vincent et al. 2008; convolutional): no skip connections, so
everything goes through a quarter of the size. A baseline of how much the skips matter."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from vdenoise.nets.base import NetInput, halo
from vdenoise.nets.color import RgbNetwork, start


class Autoencoder(RgbNetwork):
    """Halves the size twice and brings it back; takes a map of sigma."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        """Build with random weights; ``widths`` are the channels at 1/1, 1/2 ... of the size."""
        super().__init__()
        self.widths = widths
        pairs = list(pairwise(widths))
        self.head = nn.Conv2d(4, widths[0], 3, padding=1)
        self.encoder = nn.Sequential(*(_level(nn.Conv2d(a, b, 2, 2), b) for a, b in pairs))
        self.decoder = nn.Sequential(
            *(_level(nn.ConvTranspose2d(b, a, 2, 2), a) for a, b in reversed(pairs))
        )
        self.tail = nn.Conv2d(widths[0], 3, 3, padding=1)
        start(self)

    @property
    def multiple(self) -> int:
        """Cells of the coarsest level."""
        return 1 << (len(self.widths) - 1)

    @property
    def halo(self) -> int:
        """Convolutions one after the other, times the size of a cell at their level."""
        cells = [1 << n for n in range(len(self.widths))]
        down = [(cell, 1, 1) for cell in cells]
        return halo([(1, 1, 1), *((cell, 1, 1) for cell in cells[:-1]), *reversed(down)])

    def change(self, rgb: Tensor, sigma: Tensor, x: NetInput) -> Tensor:
        """The picture that it answers with, less the one given."""
        given = torch.cat([rgb - 0.5, sigma], 1).to(self.dtype)
        features = self.decoder(self.encoder(nn.functional.leaky_relu(self.head(given), 0.1)))
        out: Tensor = self.tail(features)
        return out.float() + 0.5 - rgb


def _level(scale: nn.Module, width: int) -> nn.Sequential:
    return nn.Sequential(
        scale,
        nn.LeakyReLU(0.1),
        nn.Conv2d(width, width, 3, padding=1),
        nn.LeakyReLU(0.1),
    )


def plain() -> Autoencoder:
    """Three levels, 32 to 128 channels."""
    return Autoencoder()


def fitting(shapes: Mapping[str, tuple[int, ...]]) -> Autoencoder | None:
    """The network that has weights of these names and shapes, if it is one of these."""
    levels = sum(key.startswith("encoder.") and key.endswith(".0.weight") for key in shapes)
    names = ("head.weight", *(f"encoder.{n}.0.weight" for n in range(levels)))
    if levels == 0 or any(name not in shapes for name in names):
        return None
    return Autoencoder(tuple(shapes[name][0] for name in names))
