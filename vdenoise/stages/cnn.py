"""Networks as a stage: guided by the stages before, driven by the measured noise."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from vdenoise.frame import Block, Signal
from vdenoise.nets import build, guard
from vdenoise.nets.base import NetInput, Network, noise_bands
from vdenoise.nets.models import find, load
from vdenoise.stages.base import Stage, param, resize_to, subsampling


class Cnn(Stage):
    """Runs a network on each frame: S is fast, M cleaner, or a file of your own training.

    It sees what the stages before made of the frame, the flow-aligned average, the noisy frame, and
    for every pixel how strong the noise was and how much of it the average left; strength, masks
    and levels of brightness all act through that.
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
        "removes noise": "a network finishes what the stages before began; tests/test_cnn.py",
        "stronger is smoother": "as above: held to it after the spatial stage, tests/test_cnn.py",
        "says what it leaves": "what a network leaves is its own error, which no map foretells",
        "halo is used": "the guard's window is felt where the guard steps in; tests/test_cnn.py",
        "flat stays flat": "a network answers to a thousandth of full scale, not to rounding",
    }

    model: str = param("S", "Network to run: S, M, or a .safetensors file.")

    structure_guard: bool = param(
        True,
        "Whether the network gives way to the stages before where it would remove more than the "
        "noise measured: fine textures stay.",
    )

    @property
    def halo(self) -> int:
        """What the network's convolutions see, and the guard around that."""
        return _shape(self.model)[0] + (guard.REACH if self.structure_guard else 0)

    @property
    def multiple(self) -> int:
        """Cells of the network's coarsest level, on 4:4:4 as on 4:2:0."""
        return _shape(self.model)[1]

    @property
    def fingerprint(self) -> str:
        """Hash of the weights."""
        return find(self.model).sha256

    def denoise(self, block: Block) -> Block:
        """Frame by frame: the result cannot depend on how many come at once."""
        net = load(self.model, block.luma.pixels.device, block.compute)
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
        luma, chroma = block.luma.pixels[at], None
        if block.chroma is not None:
            chroma = block.chroma.pixels[at]
        noisy, noisy_chroma = block.before
        temporal, temporal_chroma = block.averaged or (block.luma, block.chroma)
        temporal_luma = temporal.pixels[at]
        planes = slice(0, 1) if chroma is None else slice(0, 3)
        sigma = block.noise.planes(planes).sigma_at(temporal_luma) * self.strength
        x = NetInput(
            noisy=_joined(noisy[at], None if noisy_chroma is None else noisy_chroma[at]),
            average=_joined(luma, chroma),
            sigma=sigma if chroma is not None else _joined(sigma, None),
            left=_left(block.luma, block.chroma, at),
            bands=noise_bands(block.noise.spectrum).to(luma)[None],
            temporal=_joined(
                temporal_luma, None if temporal_chroma is None else temporal_chroma.pixels[at]
            ),
            temporal_left=_left(temporal, temporal_chroma, at),
        )
        correction = net(x)
        if self.structure_guard:
            correction = guard.guarded(correction, x, block.noise.grain_area)
        correction = correction.to(luma)
        if chroma is None:
            return luma + correction[:, :1], None
        change = [resize_to(plane, chroma) for plane in correction[:, 1:].split(1, dim=1)]
        return luma + correction[:, :1], chroma + torch.cat(change, 1)


def _left(luma: Signal, chroma: Signal | None, at: slice) -> Tensor:
    """The residual map of every plane, (1, 3, H, W)."""
    if chroma is None:
        return luma.left[at].expand(-1, 3, -1, -1)
    return _joined(luma.left[at], chroma.left[at].expand(-1, 2, -1, -1))


def _joined(luma: Tensor, chroma: Tensor | None) -> Tensor:
    """(1, 3, H, W): chroma repeated to luma's size, 0 where there is none."""
    if chroma is None:
        return torch.cat([luma, torch.zeros_like(luma).expand(-1, 2, -1, -1)], 1)
    down, across = subsampling(luma, chroma)
    if (down, across) != (1, 1):
        chroma = chroma.repeat_interleave(down, -2).repeat_interleave(across, -1)
        chroma = chroma[..., : luma.shape[-2], : luma.shape[-1]]
    return torch.cat([luma, chroma], 1)


@cache
def _shape(model: str) -> tuple[int, int]:
    """Halo and size multiple of a model."""
    net = build(find(model).architecture)
    return net.halo, net.multiple
