"""DnCNN (Zhang et al. 2017) and FDnCNN, with the layers' names of the published weights.

DnCNN is not told how strong the noise is: it removes what it was trained on. FDnCNN takes sigma.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from vdenoise.errors import UsageError
from vdenoise.nets.base import Input, NetInput, halo
from vdenoise.nets.color import RgbNetwork, start

Shapes = Mapping[str, tuple[int, ...]]

_IRCNN_DEPTH = 7


class DnCnn(RgbNetwork):
    """3x3 convolutions at full size, one after the other."""

    inputs: ClassVar[tuple[Input, ...]] = ("temporal",)
    memory: ClassVar[float] = 80.0

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        depth: int = 20,
        *,
        normed: bool = False,
        told: bool = False,
    ) -> None:
        """Build with random weights.

        Args:
            channels: 3, or 1 for a network of gray pictures (run on R', G' and B' apart).
            width: channels inside.
            depth: convolutions.
            normed: batch normalisation, as during its authors' training; their published weights
                have it merged into the convolutions.
            told: FDnCNN: takes sigma and answers with the picture instead of its noise.
        """
        super().__init__()
        self.channels, self.depth, self.told = channels, depth, told
        layers: list[nn.Module] = [nn.Conv2d(channels + told, width, 3, padding=1), nn.ReLU()]
        for _ in range(depth - 2):
            layers.append(nn.Conv2d(width, width, 3, padding=1))
            if normed:
                layers.append(nn.BatchNorm2d(width, eps=1e-4))
            layers.append(nn.ReLU())
        self.model = nn.Sequential(*layers, nn.Conv2d(width, channels, 3, padding=1))
        start(self)

    @property
    def halo(self) -> int:
        """One pixel a convolution."""
        return halo([(1, 1, 1)] * self.depth)

    def change(self, rgb: Tensor, sigma: Tensor, x: NetInput) -> Tensor:
        """Answer with minus the noise that is seen."""
        picture = rgb if self.channels == 3 else rgb.flatten(0, 1)[:, None]
        given = picture
        if self.told:
            given = torch.cat([picture, sigma.repeat_interleave(len(picture) // len(sigma), 0)], 1)
        out: Tensor = self.model(given.to(self.dtype)).float()
        return (out - picture if self.told else -out).view_as(rgb)


class FDnCnn(DnCnn):
    """DnCNN that is told sigma."""

    inputs: ClassVar[tuple[Input, ...]] = ("temporal", "sigma", "residual")


def plain() -> DnCnn:
    """Build the one for color pictures of unknown noise: 20 convolutions of 64 channels, as its
    authors train it.

    Without normalisation it stays at "no noise" when it is trained.
    """
    return DnCnn(normed=True)


def told() -> FDnCnn:
    """FDnCNN for color pictures, as its authors train it."""
    return FDnCnn(normed=True, told=True)


def fitting(shapes: Shapes) -> DnCnn | None:
    """The network that has weights of these names and shapes, if it is one of these.

    Raises:
        UsageError: it may as well be an IRCNN.
    """
    if "model.0.weight" not in shapes or any(not key.startswith("model.") for key in shapes):
        return None
    convolutions = sorted(
        (int(key.split(".")[1]), shape) for key, shape in shapes.items() if len(shape) == 4
    )
    depth, (width, given), answered = len(convolutions), convolutions[0][1][:2], 0
    answered = convolutions[-1][1][0]
    if answered not in (1, 3) or given not in (answered, answered + 1):
        return None
    normed = any(key.endswith("running_mean") for key in shapes)
    if depth == _IRCNN_DEPTH and not normed:
        raise UsageError(
            "The weights fit a DnCNN of 7 layers and an IRCNN alike: the file does not say how far "
            "apart the taps of its convolutions are.",
            "IRCNN is not supported; for a DnCNN write a .safetensors file that names its "
            "architecture, dncnn.",
            number=127,
        )
    kind = FDnCnn if given > answered else DnCnn
    return kind(answered, width, depth, normed=normed, told=given > answered)
