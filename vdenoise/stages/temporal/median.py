"""Repair what is in one frame only: dust, dirt, drop-outs, single-frame scratches."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from vdenoise.motion.warp import resize, warp
from vdenoise.picture.block import Block, Signal, join_signals, window
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import resize_to, subsampling
from vdenoise.picture.windows import pad, shift
from vdenoise.stages.base import Footprint, Need, Stage, param


class TemporalMedian(Stage):
    """Replaces pixels that lie outside of all their neighbors in time by the neighbors' median.

    A spike detector of the SDIp kind (Kokaram, "Motion Picture Restoration", 1998): a pixel is
    dirt if the neighbors along the motion agree with each other and it exceeds all of them, or
    falls short of all of them, by more than the noise explains. Everything else stays untouched.
    """

    slot: ClassVar[str] = "temporal"
    method: ClassVar[str] = "median"

    radius: int = param(1, "Frames compared on each side; 0 is off.", low=0, high=4, unit="frames")
    threshold: float = param(
        5.0, "How far dirt must stand out, in sigmas of the noise.", low=2.0, high=20.0
    )
    floor: float = param(
        0.03, "Least contrast of dirt, full scale 1, however low the noise.", low=0.0, high=1.0
    )
    grow: int = param(1, "Rim repaired around each spot: its soft edge.", low=0, high=4, unit="px")
    compensate: bool = param(True, "Follow the motion; off only where nothing moves.")

    @property
    def reach(self) -> int:
        """Frames on each side."""
        return self.radius

    @property
    def footprint(self) -> Footprint:
        """Whole frames: motion has no bounded halo."""
        return Footprint(whole=True)

    @property
    def needs(self) -> frozenset[Need]:
        """Motion, unless the camera is locked off."""
        moves = self.compensate and self.radius > 0 and self.strength > 0
        return frozenset({"motion"} if moves else ())

    def denoise(self, block: Block) -> Block:
        """Search and repair luma; chroma is repaired there and where it stands out itself."""
        results = [self._frame(block, p) for p in block.wanted]
        return block.with_picture(Picture.join(results, join_signals))

    def _frame(self, block: Block, position: int) -> Picture[Signal]:
        """Luma and chroma of one core frame."""
        seen = window(block.first + position, self.radius, block.shot_first, block.shot_last)
        others = [index - block.first for index in seen if index != block.first + position]
        current = slice(position, position + 1)
        if not others:
            return block.picture.map(lambda signal: signal[current])
        search = partial(self._search, block, position, others)
        found = block.picture.pair(block.noise.picture, search)
        in_luma = found.luma[0].amax(1, keepdim=True)

        def repaired(signal: Signal, of: tuple[Tensor, Tensor]) -> Signal:
            share, median = of
            share = torch.maximum(share.amax(1, keepdim=True), resize_to(in_luma, median))
            return _repair(signal[current], share, median, len(others))

        return block.picture.pair(found, repaired)

    def _search(
        self, block: Block, position: int, others: list[int], signal: Signal, noise: NoiseTable
    ) -> tuple[Tensor, Tensor]:
        """How much each pixel is dirt, 0 to 1, and the median of its neighbors.

        Returns:
            (1, C, H, W) twice.
        """
        current = slice(position, position + 1)
        own = signal.pixels[current]
        level = resize_to(block.luma.pixels[current], own)
        sigma = noise.sigma_at(level) * signal.residual[current]
        bar = (sigma * self.threshold).clamp(min=self.floor) / self.strength
        moved = [self._moved(block, signal, position, other) for other in others]
        around = torch.cat([pixels for pixels, _ in moved]).sort(dim=0).values
        trust = torch.cat([trust for _, trust in moved]).amin(0, keepdim=True)
        low, high = around[:1], around[-1:]
        middle = (len(others) - 1) // 2
        median = (around[middle : middle + 1] + around[len(others) // 2 :][:1]) * 0.5
        beyond = torch.maximum(own - high, low - own) - (high - low)
        share = ((beyond / bar - 1) * 2).clamp(0, 1) * trust
        if self.grow:
            padded = pad(share, self.grow)
            rim = range(-self.grow, self.grow + 1)
            for dy in rim:
                for dx in rim:
                    share = torch.maximum(share, shift(padded, dy, dx, self.grow))
            # the rim of a spot is repaired only where the neighbors agree
            share = share * (2 - (high - low) / bar).clamp(0, 1) * trust
        return share, median

    def _moved(
        self, block: Block, signal: Signal, position: int, other: int
    ) -> tuple[Tensor, Tensor]:
        """Another frame as it would look now (1, C, H, W), and the trust in that (1, 1, H, W)."""
        pixels = signal.pixels[other]
        if not self.compensate:
            return pixels[None], torch.ones_like(signal.residual[:1])
        assert block.motion is not None, "the planner gives motion to a stage that needs it"
        height, width = pixels.shape[-2:]
        trust = resize(block.motion.trust(position, other), (height, width))
        down, across = subsampling(block.luma.pixels, pixels)
        moved = warp(pixels, block.motion.flow(position, other), (1 / across, 1 / down))
        return moved[None], trust[None, None]


def _repair(signal: Signal, share: Tensor, median: Tensor, count: int) -> Signal:
    """Mix in the median; of ``count`` samples it keeps sqrt(pi / 2 count) of their sigma."""
    kept = min((torch.pi / 2 / count) ** 0.5, 1.0)
    return Signal(
        signal.pixels + (median - signal.pixels) * share, signal.residual * (1 - share * (1 - kept))
    )
