"""Rows that are as a whole too bright or too dark, other ones in every frame, and bars of hum."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

import torch

from vdenoise.motion.warp import resize, warp
from vdenoise.picture.block import Accuracy, Block, Signal, join_signals, window
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import resize_to, subsampling
from vdenoise.stages.base import Footprint, Need, Role, Stage, param
from vdenoise.stages.lines.rows import Aligned


class LineOffsets(Stage):
    """Takes out what whole rows differ by from what the aligned frames around have there.

    A row's offset is the mean over its pixels, as far as these match, so that what moves has no
    say; light that changes all over the picture is none. The frames around have offsets of their
    own, which their mean carries into this one: of bars that roll at one frequency that is known
    and taken out; of the rest, N ** -0.5 of N frames, as much as flat parts of the picture tell.
    """

    slot: ClassVar[str] = "lines"
    method: ClassVar[str] = "offsets"
    role: ClassVar[Role] = "repair"

    axis: Literal["rows", "columns", "both"] = param("rows", "Which lines are off.")
    radius: int = param(
        5, "Frames looked at on each side; the more, the less is left.", low=1, high=12
    )
    limit: float = param(10.0, "Most that a line is moved.", low=0.5, high=64.0, unit="8-bit codes")

    @property
    def reach(self) -> int:
        """Frames that the radius names."""
        return self.radius

    @property
    def needs(self) -> frozenset[Need]:
        """Motion, to compare with the frames around."""
        return frozenset({"motion"})

    @property
    def motion_accuracy(self) -> Accuracy:
        """Means over rows forgive much."""
        return "fast"

    @property
    def footprint(self) -> Footprint:
        """Whole frames: a line is one from end to end."""
        return Footprint(whole=True, scratch=40)

    def denoise(self, block: Block) -> Block:
        """Correct luma; chroma has such noise of its own and is treated alike."""
        found = block.picture.pair(block.noise.picture, partial(self._signal, block))
        return block.with_picture(found)

    def _signal(self, block: Block, signal: Signal, noise: NoiseTable) -> Signal:
        done = []
        for t in block.wanted:
            own = signal[t : t + 1]
            seen = window(block.first + t, self.radius, block.shot_first, block.shot_last)
            others = [n - block.first for n in seen if n != block.first + t]
            fixed = own.pixels.clone()
            for c, aligned in enumerate(_planes(block, t, others, signal, noise)):
                change = torch.zeros_like(aligned.own)
                if self.axis != "columns":
                    change = change + aligned.offsets()
                if self.axis != "rows":
                    change = change + aligned.turned(change).offsets().mT
                bound = self.limit / 255
                fixed[0, c] -= self.strength * change.clamp(-bound, bound)
            done.append(Signal(fixed, own.residual.clone()))
        return join_signals(done)


def _planes(
    block: Block, t: int, others: list[int], signal: Signal, noise: NoiseTable
) -> list[Aligned]:
    """Each plane of a frame with those around it; none where there are no others."""
    if not others:
        return []
    assert block.motion is not None, "the planner gives motion to a stage that needs it"
    own = signal.pixels[t]
    level = resize_to(block.luma.pixels[t : t + 1], own[None])
    sigma = (noise.sigma_at(level) * signal.residual[t : t + 1])[0]
    down, across = subsampling(block.luma.pixels, own[None])
    moved, trust = [], []
    for k in others:
        moved.append(warp(signal.pixels[k], block.motion.flow(t, k), (1 / across, 1 / down)))
        trust.append(resize(block.motion.trust(t, k), (own.shape[-2], own.shape[-1])))
    pictures, trusts = torch.stack(moved).to(own), torch.stack(trust).to(own)
    times = tuple(k - t for k in others)
    return [Aligned(own[c], pictures[:, c], trusts, times, sigma[c]) for c in range(len(own))]
