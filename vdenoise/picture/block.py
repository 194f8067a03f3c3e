"""What stages are given: the signals of consecutive frames, and the block that carries them.

Working representation: Y'CbCr in the clip's own transfer curve, luma nominally in [0, 1], chroma
centred at 0 and nominally in [-0.5, 0.5], float32, chroma *at its native resolution* (a 4:2:0
clip keeps quarter-size chroma planes). Values outside the nominal range are legal and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

import torch
from torch import Tensor

from vdenoise.picture.findings import StageFindings
from vdenoise.picture.frame import FieldLines
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise_table import NoiseTable

Accuracy = Literal["fast", "better", "best"]  # of motion
Cut = Callable[[Tensor], Tensor]  # a part of (T, C, H, W)


@dataclass(frozen=True, eq=False)
class Signal:
    """Luma or chroma of T consecutive frames, with the share of the measured noise left in them."""

    pixels: Tensor  # (T, C, H, W): C = 1 for luma, 2 for chroma
    residual: Tensor  # (T, 1, H, W) in [0, 1]: sigma of the noise now, relative to the profile's

    def __post_init__(self) -> None:
        assert self.pixels.ndim == 4 and self.residual.ndim == 4, "signals are (T, C, H, W)"
        assert self.residual.shape[0] == self.pixels.shape[0] and self.residual.shape[1] == 1
        assert self.residual.shape[2:] == self.pixels.shape[2:]

    def __getitem__(self, frames: slice) -> Signal:
        return Signal(self.pixels[frames], self.residual[frames])

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[-2], self.pixels.shape[-1]

    def frame(self, t: int) -> Signal:
        """The signal of one frame: what is looked at so is not joined with others."""
        return self[t : t + 1]

    def map(self, change: Callable[[Tensor], Tensor]) -> Signal:
        """Do the same to pixels and residual, such as to cut a part out."""
        return Signal(change(self.pixels), change(self.residual))

    def copy(self) -> Signal:
        """Copy the tensors: a stage never hands its input on to be written to."""
        return self.map(Tensor.clone)

    def __repr__(self) -> str:
        return f"Signal({tuple(self.pixels.shape)}, {self.pixels.dtype}, {self.pixels.device})"


class _Joined(Signal):
    """Signals of consecutive frames, one by one until somebody asks for all of them as one tensor:
    a stage that never does is spared the copy of its window, in time and in memory."""

    parts: tuple[Signal, ...]

    def __init__(self, parts: Sequence[Signal]) -> None:
        object.__setattr__(self, "parts", tuple(parts))  # as everything of a frozen class is set

    def __getitem__(self, frames: slice) -> Signal:
        return join_signals(self.parts[frames])

    def __len__(self) -> int:
        return len(self.parts)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.parts[0].size

    @cached_property
    def pixels(self) -> Tensor:
        """All of them, (T, C, H, W)."""
        return torch.cat([signal.pixels for signal in self.parts])

    @cached_property
    def residual(self) -> Tensor:
        """All of them, (T, 1, H, W); maps that no stage has touched are one expanded number."""
        maps = [signal.residual for signal in self.parts]
        untouched = all(map.untyped_storage().nbytes() == map.element_size() for map in maps)
        return maps[0].expand(len(maps), -1, -1, -1) if untouched else torch.cat(maps)


def join_signals(signals: Sequence[Signal]) -> Signal:
    """Signals of consecutive frames as one; none is copied before its tensors are asked for."""
    return signals[0] if len(signals) == 1 else _Joined(signals)


class Motion(Protocol):
    """Motion between frames of a block, estimated once per pair and shared by everyone."""

    @property
    def guide_noise(self) -> float:
        """Noise variance left in the guides, as a share of the source's."""
        ...

    def guide(self, a: int) -> Tensor:
        """Luma of block frame ``a`` with most of its noise removed, (1, H, W)."""
        ...

    def flow(self, a: int, b: int) -> Tensor:
        """Where each pixel of block frame ``a`` is in block frame ``b``.

        Returns (2, h, w): x and y displacement in *luma pixels*, on the reduced motion grid.
        """
        ...

    def trust(self, a: int, b: int) -> Tensor:
        """(h, w) in [0, 1]: 1 where the forward and backward flow agree, 0 at occlusions."""
        ...


def window(index: int, reach: int, shot_first: int, shot_last: int) -> range:
    """The frames that frame ``index`` is computed from: its 2 * reach + 1 nearest of the shot.

    Centred on ``index`` inside the shot; at the shot's ends it slides inward, so that the first
    and last frames see as many distinct frames as the others. A shorter shot is seen whole. All
    numbers are absolute frame indices, ``shot_last`` inclusive.
    """
    first = max(shot_first, min(index - reach, shot_last - 2 * reach))
    return range(first, min(shot_last, first + 2 * reach) + 1)


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive frames of one shot: ``core`` is to be computed, the rest is context."""

    first: int  # absolute index of the first frame in the block
    core: slice  # the frames a stage must deliver, as positions inside the block
    luma: Signal
    chroma: Signal | None  # None for 4:0:0
    noise: NoiseTable  # measured noise of this shot, on the signals' device
    motion: Motion | None = None  # None where no stage asked for motion
    present: Tensor | None = None  # (T, 1, H, W): luma's `residual` before any stage; None: 1
    shot: tuple[int, int] | None = None  # absolute first and last frame; None: the block itself
    # For stages that ask: the same frames before any stage, and what the temporal stage made of
    # them; None: the block's own
    kept_original: Picture[Tensor] | None = None
    averaged: Picture[Signal] | None = None
    # What the finishing stages start from: everything that removes is done, dials and masks applied
    clean: Picture[Tensor] | None = None
    residual_factor: float = 1.0  # `Stage.residual_factor` of the last stage that removed noise
    compute: torch.dtype = torch.float32  # what a network's convolutions run in
    seed: int = 0  # of what is drawn at random
    # Row and column of the block's first luma and first chroma pixel in their planes
    corner: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    lines: FieldLines | None = None  # of fields; None: pictures are whole frames
    mattes: Tensor | None = None  # (core frames, N, H, W) in [0, 1]: masks that come from files
    findings: StageFindings = field(default_factory=StageFindings)  # of the core frames

    @property
    def picture(self) -> Picture[Signal]:
        """Luma and chroma of all frames as the stage finds them."""
        return Picture(self.luma, self.chroma)

    @property
    def core_picture(self) -> Picture[Signal]:
        """Luma and chroma of the frames that a stage must deliver."""
        return self.picture.map(lambda signal: signal[self.core])

    def frame(self, t: int) -> Picture[Signal]:
        """Luma and chroma of the frame at position ``t`` of the block, context included."""
        return self.picture.map(lambda signal: signal.frame(t))

    @property
    def original(self) -> Picture[Tensor]:
        """Luma (T, 1, H, W) and chroma (T, 2, h, w) of all frames before any stage."""
        if self.kept_original is not None:
            return self.kept_original
        return self.picture.map(lambda signal: signal.pixels)

    @property
    def core_original(self) -> Picture[Tensor]:
        """`original` of the frames that a stage must deliver."""
        return self.original.map(lambda pixels: pixels[self.core])

    @property
    def shot_first(self) -> int:
        """Absolute index of the first frame of the shot."""
        return self.first if self.shot is None else self.shot[0]

    @property
    def shot_last(self) -> int:
        """Absolute index of the last frame of the shot (inclusive)."""
        return self.first + self.frames - 1 if self.shot is None else self.shot[1]

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Signals in order: luma, then chroma where there is any."""
        return self.picture.planes

    @property
    def frames(self) -> int:
        """Number of frames in the block, context included."""
        return len(self.luma)

    @property
    def wanted(self) -> range:
        """Positions in the block of the frames a stage must deliver: ``core`` as numbers."""
        return range(*self.core.indices(self.frames))

    def with_picture(self, picture: Picture[Signal]) -> Block:
        """The same block with another picture (a stage's result holds core frames only)."""
        return replace(self, luma=picture.luma, chroma=picture.chroma)

    def with_findings(self, found: StageFindings) -> Block:
        """The same block, in which more was found."""
        return replace(self, findings=found.over(self.findings))

    def cut(self, luma: Cut, chroma: Cut) -> Block:
        """Cut all that the block shows alike: luma's tensors by one function, chroma's by other."""

        def tensors(picture: Picture[Tensor] | None) -> Picture[Tensor] | None:
            return picture and picture.map_each(luma, chroma)

        def signals(picture: Picture[Signal]) -> Picture[Signal]:
            return picture.map_each(lambda s: s.map(luma), lambda s: s.map(chroma))

        return replace(
            self.with_picture(signals(self.picture)),
            kept_original=tensors(self.kept_original),
            averaged=self.averaged and signals(self.averaged),
            clean=tensors(self.clean),
            present=None if self.present is None else luma(self.present),
        )

    def behind(self, done: Block) -> Block:
        """What a stage right behind another finds: the core frames as they came out of that, and
        what they were."""
        core = self.core
        return replace(
            self.cut(lambda x: x[core], lambda x: x[core]).with_picture(done.picture),
            first=self.first + core.start,
            core=slice(0, done.frames),
            motion=None,
            findings=done.findings,
        )
