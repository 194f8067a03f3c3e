"""Networks as a stage: guided by the stages before, driven by the measured noise."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from vdenoise.frame import Block, Signal
from vdenoise.nets.base import NetInput, Network, noise_bands
from vdenoise.nets.models import find, load
from vdenoise.stages.base import Stage, param, resize_to, subsampling


class Cnn(Stage):
    """Runs a network on each frame: S is fast, M cleaner, or a file of your own training.

    It sees the flow-aligned average, the noisy frame, and for every pixel how strong the noise was
    and how much of it is left; strength, masks and brightness levels all act through that.
    """

    slot: ClassVar[str] = "net"
    method: ClassVar[str] = "cnn"
    mixed: ClassVar[bool] = True
    needs_source: ClassVar[bool] = True
    memory: ClassVar[float] = 40.0
    speeds: ClassVar[dict[str, dict[str, Any]]] = {
        "veryfast": {"model": "S"},
        "fast": {"model": "S"},
        "base": {"model": "S"},
        "slow": {"model": "M"},
        "veryslow": {"model": "M"},
    }
    exempt: ClassVar[dict[str, str]] = {
        "a level shift commutes": "a network has learned what dark and bright pictures are like",
        "says what it leaves": "what a network leaves is its own error, which no map foretells",
        "flat stays flat": "a network answers to a thousandth of full scale, not to rounding",
    }

    model: str = param("S", "Network to run: S, M, or a .safetensors file.")

    @property
    def halo(self) -> int:
        """What the network's convolutions see."""
        return _shape(self.model)[0]

    @property
    def multiple(self) -> int:
        """Cells of the network's coarsest level, on 4:4:4 as on 4:2:0."""
        return _shape(self.model)[1]

    def denoise(self, block: Block) -> Block:
        """Frame by frame: the result cannot depend on how many come at once."""
        device = block.luma.pixels.device
        net = load(self.model, device, block.compute)
        frames = [self._frame(block, t, net) for t in range(*block.core.indices(block.frames))]
        left = max(0.0, 1.0 - self.strength)
        luma = Signal(torch.cat([luma for luma, _ in frames]), block.luma.left[block.core] * left)
        if block.chroma is None:
            return block.with_signals(luma, None)
        chroma = torch.cat([chroma for _, chroma in frames if chroma is not None])
        return block.with_signals(luma, Signal(chroma, block.chroma.left[block.core] * left))

    def _frame(self, block: Block, t: int, net: Network) -> tuple[Tensor, Tensor | None]:
        """Luma (1, 1, H, W) and chroma (1, 2, h, w) of block frame ``t``."""
        at = slice(t, t + 1)
        luma, noisy = block.luma[at], block.before[0][at]
        planes = slice(0, 1) if block.chroma is None else slice(0, 3)
        sigma = block.noise.planes(planes).sigma_at(luma.pixels) * self.strength
        bands = noise_bands(block.noise.spectrum).to(luma.pixels)[None]
        if block.chroma is None:
            zero = torch.zeros_like(luma.pixels).expand(-1, 2, -1, -1)
            x = NetInput(
                noisy=torch.cat([noisy, zero], 1),
                average=torch.cat([luma.pixels, zero], 1),
                sigma=torch.cat([sigma, zero], 1),
                left=luma.left.expand(-1, 3, -1, -1),
                bands=bands,
            )
            return luma.pixels + net(x)[:, :1].to(luma.pixels), None
        chroma, noisy_chroma = block.chroma[at], block.before[1]
        assert noisy_chroma is not None
        size = (luma.pixels.shape[-2], luma.pixels.shape[-1])
        factors = subsampling(luma.pixels, chroma.pixels)
        x = NetInput(
            noisy=torch.cat([noisy, _spread(noisy_chroma[at], factors, size)], 1),
            average=torch.cat([luma.pixels, _spread(chroma.pixels, factors, size)], 1),
            sigma=sigma,
            left=torch.cat(
                [luma.left, _spread(chroma.left, factors, size).expand(-1, 2, -1, -1)], 1
            ),
            bands=bands,
        )
        correction = net(x).to(luma.pixels)
        change = torch.cat(
            [resize_to(plane, chroma.pixels) for plane in correction[0, 1:, None, None]], 1
        )
        return luma.pixels + correction[:, :1], chroma.pixels + change


def _spread(chroma: Tensor, factors: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Chroma repeated to luma's size."""
    if factors == (1, 1):
        return chroma
    whole = chroma.repeat_interleave(factors[0], -2).repeat_interleave(factors[1], -1)
    return whole[..., : size[0], : size[1]]


@cache
def _shape(model: str) -> tuple[int, int]:
    """Halo and size multiple of a model."""
    from vdenoise.nets import build

    net = build(find(model).architecture)
    return net.halo, net.multiple
