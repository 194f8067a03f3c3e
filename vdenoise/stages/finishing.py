"""What repairing and finishing stages share: one function, called for luma and for chroma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from vdenoise.picture.frame import Block, Signal
from vdenoise.picture.noise import NoiseTable
from vdenoise.picture.subsampling import resize_to
from vdenoise.stages.base import Stage, noise_present, param


@dataclass(frozen=True, eq=False)
class Part:
    """Luma or chroma of the frames to compute, and what belongs to it."""

    signal: Signal  # (T, C, H, W)
    noise: NoiseTable  # of these C planes, before any stage
    luma: Tensor  # (T, 1, H, W) at the signal's resolution
    source: Tensor  # (T, C, H, W) before any stage
    clean: Tensor  # (T, C, H, W) after everything that removes
    first: int  # absolute number of the first frame
    planes: range  # 0 for luma, 1 and 2 for chroma
    corner: tuple[int, int]  # row and column of the first pixel in its plane
    seed: int
    present: Tensor | float  # share of that noise that was there, (T, 1, H, W) in [0, 1]
    residual_factor: float  # times as much noise is left in pictures as the signal says

    @property
    def sigma(self) -> Tensor:
        """(T, C, H, W): the noise that was there, in full-scale units."""
        return self.noise.sigma_at(self.luma) * self.present

    @property
    def residual_sigma(self) -> Tensor:
        """(T, C, H, W): the noise that is still there."""
        return self.noise.sigma_at(self.luma) * self.signal.residual


class Finisher(Stage):
    """A stage that looks at one frame, and at luma and chroma apart."""

    memory: ClassVar[float] = 10.0

    strength: float = param(
        1.0, "How hard this stage works: 0 is off, 1 is its own idea of right.", low=0, high=2
    )

    def denoise(self, block: Block) -> Block:
        """Finish the signals that this stage changes."""
        core = block.core
        luma = block.luma[core]
        source, clean = block.before, block.clean
        if clean is None:
            clean = block.luma.pixels, None if block.chroma is None else block.chroma.pixels
        first = block.first + block.wanted.start
        done = luma
        if "luma" in self.changes:
            done = self.finish(
                Part(
                    signal=luma,
                    noise=block.noise.planes(slice(0, 1)),
                    luma=luma.pixels,
                    source=source[0][core],
                    clean=clean[0][core],
                    first=first,
                    planes=range(1),
                    corner=block.corner[0],
                    seed=block.seed,
                    present=noise_present(block, luma.pixels),
                    residual_factor=block.residual_factor,
                )
            )
        if block.chroma is None or "chroma" not in self.changes:
            return block.with_signals(done, None if block.chroma is None else block.chroma[core])
        chroma = block.chroma[core]
        assert source[1] is not None and clean[1] is not None
        part = Part(
            signal=chroma,
            noise=block.noise.planes(slice(1, 3)),
            luma=resize_to(luma.pixels, chroma.pixels),
            source=source[1][core],
            clean=clean[1][core],
            first=first,
            planes=range(1, 3),
            corner=block.corner[1],
            seed=block.seed,
            present=noise_present(block, chroma.pixels),
            residual_factor=block.residual_factor,
        )
        return block.with_signals(done, self.finish(part))

    def finish(self, part: Part) -> Signal:
        """What a stage implements: the new signal, never the same tensors."""
        raise NotImplementedError
