"""A U-Net that mixes time by shifting channels between frames (TSM, Lin et al. 2019; for video
denoising BSVD, Qi et al. 2022): the ablation of our design, in which the temporal stage mixes time
and the network sees one frame.

Frames are computed in fixed blocks counted from frame 0 of the clip, so that where a clip is cut
into blocks or segments never changes the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from vdenoise.nets.base import Input, NetInput, Network, halo

_GAIN = 4.0  # sigmas are some hundredths
_SHARE = 8  # one channel in so many comes from the frame before, as many from the one behind


class _ShiftBlock(nn.Module):
    """x + conv(leaky(conv(shifted x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():  # sums of residuals start small
            self.second.weight.mul_(0.3)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """(clips * frames, C, H, W) to the same."""
        change: Tensor = self.second(functional.leaky_relu(self.first(shifted(x, frames)), 0.1))
        return x + change


def shifted(x: Tensor, frames: int) -> Tensor:
    """An eighth of the channels from the frame before, an eighth from the one behind; 0 where
    there is none.

    Args:
        x: (clips * frames, C, H, W).
        frames: of a clip.
    """
    clips = x.reshape(-1, frames, *x.shape[1:])
    fold = x.shape[1] // _SHARE
    before = functional.pad(clips[:, :-1, :fold], (0, 0, 0, 0, 0, 0, 1, 0))
    behind = functional.pad(clips[:, 1:, fold : 2 * fold], (0, 0, 0, 0, 0, 0, 0, 1))
    return torch.cat([before, behind, clips[:, :, 2 * fold :]], 2).flatten(0, 1)


class Shift(Network):
    """U-Net at half resolution, channel shift in every block."""

    inputs: ClassVar[tuple[Input, ...]] = ("noisy", "temporal", "sigma", "residual")
    clip = 8
    reach = 2
    memory: ClassVar[float] = 240.0

    def __init__(
        self, widths: tuple[int, ...] = (32, 64, 128), blocks: tuple[int, ...] = (1, 2, 2)
    ) -> None:
        """Build with random weights; the last convolution is 0, so the picture comes back.

        Args:
            widths: channels at 1/2, 1/4 ... of the size.
            blocks: residual blocks at each of these levels.
        """
        super().__init__()
        self.blocks = blocks
        self.head = nn.Conv2d(18, widths[0], 3, padding=1)
        pairs = list(pairwise(widths))
        self.encoder = nn.ModuleList(
            _level(w, n) for w, n in zip(widths[:-1], blocks[:-1], strict=True)
        )
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairs)
        self.middle = _level(widths[-1], blocks[-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairs)
        self.decoder = nn.ModuleList(
            _level(w, n) for w, n in zip(widths[:-1], blocks[:-1], strict=True)
        )
        self.tail = nn.Conv2d(widths[0], 12, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        assert self.tail.bias is not None
        nn.init.zeros_(self.tail.bias)

    @property
    def multiple(self) -> int:
        """Cells of the coarsest level."""
        return 1 << len(self.blocks)

    @property
    def halo(self) -> int:
        """Convolutions one after the other, times the size of a cell at their level."""
        levels = [(2 << n, 2 * count, 2 * count) for n, count in enumerate(self.blocks)]
        up = [(2, 1, 1), *levels]
        return halo([*up, *reversed(up[:-1])])

    def correction(self, x: NetInput) -> Tensor:
        """(T, 3, H, W) float32 for T consecutive frames."""
        frames = len(x.average)
        if frames == 1:  # as in `Network.forward`: never a single picture
            return self._clips(x.twice(), 1)[:1]
        return self._clips(x, frames)

    def _clips(self, x: NetInput, frames: int) -> Tensor:
        """Cut the frames into as many clips of ``frames`` as there are."""
        picture, residual = x.averaged
        level = x.sigma * residual
        centred = picture - picture.new_tensor([0.5, 0.0, 0.0])[:, None, None]
        planes = [functional.pixel_unshuffle(centred, 2), functional.avg_pool2d(level, 2) * _GAIN]
        noise = functional.avg_pool2d((x.noisy - picture) * _GAIN, 2)
        features = self.head(torch.cat([*planes, noise], 1).to(self.dtype))
        kept = []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            features = _through(blocks, features, frames)
            kept.append(features)
            features = down(features)
        features = _through(self.middle, features, frames)
        for blocks, up in zip(reversed(self.decoder), reversed(self.up), strict=True):
            features = _through(blocks, up(features) + kept.pop(), frames)
        out: Tensor = self.tail(features)
        return functional.pixel_shuffle(out.float(), 2) * level + (picture - x.average)


def _level(width: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(_ShiftBlock(width) for _ in range(count))


def _through(blocks: nn.Module, x: Tensor, frames: int) -> Tensor:
    for block in blocks.children():
        x = block(x, frames)
    return x


def plain() -> Shift:
    """Three levels, 32 to 128 channels."""
    return Shift()


def fitting(shapes: Mapping[str, tuple[int, ...]]) -> Shift | None:
    """The network that has weights of these names and shapes, if it is one of these."""
    levels = sum(key.startswith("down.") and key.endswith(".weight") for key in shapes)
    names = ("head.weight", *(f"down.{n}.weight" for n in range(levels)))
    if levels == 0 or any(name not in shapes for name in names):
        return None

    def count(level: str) -> int:
        return sum(key.startswith(level) and key.endswith(".first.weight") for key in shapes)

    blocks = (*(count(f"encoder.{n}.") for n in range(levels)), count("middle."))
    return Shift(tuple(shapes[name][0] for name in names), blocks)
