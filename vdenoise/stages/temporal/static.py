"""Average over time for a locked-off camera: no motion search, moving things are left alone."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from vdenoise.picture.block import Block, Signal, join_signals, window
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.subsampling import resize_to
from vdenoise.picture.windows import TINY, box, smooth
from vdenoise.stages.base import Footprint, Stage, param


class TemporalStatic(Stage):
    """Average of the same pixel in neighboring frames, where only the noise differs.

    Each neighbor's weight falls with the local mean square difference to the current frame, in
    units of what two noisy frames differ by at that level. The window is finite and slides
    inward at the ends of a shot.
    """

    slot: ClassVar[str] = "temporal"
    method: ClassVar[str] = "static"
    speeds: ClassVar[dict[str, dict[str, Any]]] = {
        "veryfast": {"radius": 2},
        "fast": {"radius": 3},
        "slow": {"radius": 6},
        "veryslow": {"radius": 8},
    }

    radius: int = param(4, "Frames averaged on each side; 0 is off.", low=0, high=8, unit="frames")
    patch: int = param(2, "Half size of the compared patches.", low=0, high=6, unit="px")
    width: float = param(
        1.0,
        "Decay of the weights, in sigmas of the noise: less keeps faint motion sharper.",
        low=0.2,
        high=4.0,
    )

    @property
    def reach(self) -> int:
        """Frames on each side."""
        return self.radius

    @property
    def footprint(self) -> Footprint:
        """Half of a patch, if anything is compared at all."""
        return Footprint(halo=self.patch if self.radius else 0, scratch=14)

    def denoise(self, block: Block) -> Block:
        """Average luma, then chroma where luma agrees too."""
        core = block.wanted
        results = [self._frame(block, position) for position in core]
        return block.with_picture(Picture.join(results, join_signals))

    def _frame(self, block: Block, position: int) -> Picture[Signal]:
        """Luma and chroma of one core frame."""
        seen = window(block.first + position, self.radius, block.shot_first, block.shot_last)
        positions = [index - block.first for index in seen]
        luma_variance = [self._variance(block, block.luma, p) for p in positions]
        luma_weights = self._weights(block, block.luma, luma_variance, positions, position)
        luma = self._average(block, block.luma, luma_weights, positions, position)
        if block.chroma is None:
            return Picture(luma)
        variance = [self._variance(block, block.chroma, p) for p in positions]
        weights = self._weights(block, block.chroma, variance, positions, position)
        weights = [
            torch.minimum(own, resize_to(of_luma, own))
            for own, of_luma in zip(weights, luma_weights, strict=True)
        ]
        return Picture(luma, self._average(block, block.chroma, weights, positions, position))

    def _variance(self, block: Block, signal: Signal, position: int) -> Tensor:
        """(1, C, H, W): variance of the noise that is left in one frame, ``strength`` included."""
        frame = slice(position, position + 1)
        noise = block.noise.luma if signal is block.luma else block.noise.chroma
        level = resize_to(block.luma.pixels[frame], signal.pixels)
        sigma = noise.sigma_at(level) * signal.residual[frame]
        return (sigma * self.strength).square()

    def _weights(
        self,
        block: Block,
        signal: Signal,
        variance: list[Tensor],
        positions: list[int],
        position: int,
    ) -> list[Tensor]:
        """(1, 1, H, W) for each frame of the window, 1 for the current one."""
        own, own_variance = signal.pixels[position], variance[positions.index(position)]
        rho = block.noise.temporal_correlation
        # the coarser the grain, the fewer samples a patch has and the more its distance scatters
        decay = 2 / self.width**2 / max(block.noise.grain_area, 1) ** 0.5
        weights = []
        for p, other_variance in zip(positions, variance, strict=True):
            # noise that is alike in neighboring frames differs by less
            differs = max(1 - rho ** abs(p - position), 0.05) if rho > 0 else 1.0
            explained = (own_variance + other_variance) * differs
            difference = signal.pixels[p : p + 1] - own
            ratio = difference * difference / explained.clamp(min=TINY)
            distance = smooth(ratio.mean(1, keepdim=True), box(self.patch))
            weights.append(((distance - 1).clamp(min=0) * -decay).exp())
        weights[positions.index(position)] = torch.ones_like(weights[0])
        return weights

    def _average(
        self,
        block: Block,
        signal: Signal,
        weights: list[Tensor],
        positions: list[int],
        position: int,
    ) -> Signal:
        """Weighted mean over the window, as a correction, and the sigma it leaves.

        The variance of the mean is the sum over all pairs of w_i w_j rho^|i - j|, gathered while
        walking through time.
        """
        own = signal.pixels[position : position + 1]
        rho = max(block.noise.temporal_correlation, 0.0)
        total = torch.zeros_like(weights[0])
        moved = torch.zeros_like(own)
        before = torch.zeros_like(weights[0])  # sum of earlier weights, faded by rho per frame
        square = torch.zeros_like(weights[0])
        for p, weight in zip(positions, weights, strict=True):
            moved += (signal.pixels[p : p + 1] - own) * weight
            total += weight
            noisy = weight * signal.residual[p : p + 1]
            before *= rho
            square += noisy * noisy + noisy * before * 2
            before += noisy
        residual = (square.sqrt() / total).clamp(max=1)
        return Signal(own + moved / total, residual)
