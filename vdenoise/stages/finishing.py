"""What repairing and finishing stages share: one function, called for luma and for chroma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from vdenoise.picture.block import Block, Signal
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import resize_to
from vdenoise.stages.base import Footprint, Stage, noise_present, param


@dataclass(frozen=True, eq=False)
class Part:
    """Luma or chroma of the frames to compute, and what belongs to it."""

    signal: Signal  # (T, C, H, W)
    noise: NoiseTable  # of these C planes, before any stage
    luma: Tensor  # (T, 1, H, W) at the signal's resolution
    original: Tensor  # (T, C, H, W) before any stage
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

    changes: ClassVar[tuple[str, ...]] = ("luma", "chroma")  # the other signal is handed on

    strength: float = param(
        1.0, "How hard this stage works: 0 is off, 1 is its own idea of right.", low=0, high=2
    )

    @property
    def footprint(self) -> Footprint:
        """What most keep of a signal while they work on it."""
        return Footprint(scratch=10)

    def denoise(self, block: Block) -> Block:
        """Finish the signals that this stage changes."""
        core, now, original = block.core, block.core_picture, block.core_original
        clean = now.map(lambda signal: signal.pixels)
        if block.clean is not None:
            clean = block.clean.map(lambda pixels: pixels[core])
        done = []
        for n, signal in enumerate(now.planes):
            if ("luma", "chroma")[n] not in self.changes:
                done.append(signal)
                continue
            part = Part(
                signal=signal,
                noise=block.noise.picture.planes[n],
                luma=resize_to(now.luma.pixels, signal.pixels),
                original=original.planes[n],
                clean=clean.planes[n],
                first=block.first + block.wanted.start,
                planes=(range(1), range(1, 3))[n],
                corner=block.corner[n],
                seed=block.seed,
                present=noise_present(block, signal.pixels),
                residual_factor=block.residual_factor,
            )
            done.append(self.finish(part))
        return block.with_picture(Picture.of(done))

    def finish(self, part: Part) -> Signal:
        """What a stage implements: the new signal, never the same tensors."""
        raise NotImplementedError
