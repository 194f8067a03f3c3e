"""Rows that are as a whole too bright or too dark, other ones in every frame, and bars of hum."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor

from vdenoise.motion.warp import resize, warp
from vdenoise.picture.block import Accuracy, Block, Signal, join_signals, window
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import resize_to, subsampling
from vdenoise.stages.base import Footprint, Need, Role, Stage, param

_ALIKE = 3.0  # sigmas of a difference of two frames, and ...
_OFF = (12.0 / 255, 3.0 / 255)  # ... as much as lines are off by, first and once that is known:
# what differs more shows something else
_MATCH = 0.25  # share of the frames around that a pixel must match
_ENOUGH = 0.2  # share of a row that must do so
_SURE = (0.3, 0.5)  # mean of that share over a frame, for nothing and for all of its offsets


class LineOffsets(Stage):
    """Takes out what whole rows differ by from what the aligned frames around have there.

    A row's offset is the median over its pixels, as far as these match, so that what moves has no
    say; light that changes all over the picture is none. The frames around have offsets of their
    own, which their mean carries into this one: of N frames a share of N ** -0.5 is left.
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
        """Medians over rows forgive much."""
        return "fast"

    @property
    def footprint(self) -> Footprint:
        """Whole frames: a line is one from end to end."""
        return Footprint(whole=True, scratch=10)

    def denoise(self, block: Block) -> Block:
        """Correct luma; chroma has such noise of its own and is treated alike."""
        found = block.picture.pair(block.noise.picture, partial(self._signal, block))
        return block.with_picture(found)

    def _signal(self, block: Block, signal: Signal, noise: NoiseTable) -> Signal:
        done = []
        rows, columns = self.axis != "columns", self.axis != "rows"
        bound = self.limit / 255
        for t in block.wanted:
            own = signal[t : t + 1]
            seen = window(block.first + t, self.radius, block.shot_first, block.shot_last)
            others = [n - block.first for n in seen if n != block.first + t]
            if not others:
                done.append(own.copy())
                continue
            level = resize_to(block.luma.pixels[t : t + 1], own.pixels)
            sigma = noise.sigma_at(level) * own.residual
            compared = _Compared(block, t, {k: signal.pixels[k] for k in others})
            change = torch.zeros_like(own.pixels[0])
            for off in _OFF:
                rest, known = compared.rest(own.pixels[0] - change, sigma[0], off)
                if rows:
                    change += _lines(rest, known)
                if columns:
                    change += _lines((rest - (_lines(rest, known) if rows else 0)).mT, known.mT).mT
            sure = known.mean((-1, -2), keepdim=True)
            sure = ((sure - _SURE[0]) / (_SURE[1] - _SURE[0])).clamp(0, 1)
            change = (change * sure).clamp(-bound, bound)
            done.append(Signal(own.pixels - self.strength * change[None], own.residual.clone()))
        return join_signals(done)


class _Compared:
    """The frames around one, as they would look now."""

    def __init__(self, block: Block, t: int, others: dict[int, Tensor]) -> None:
        assert block.motion is not None, "the planner gives motion to a stage that needs it"
        self.moved, self.trust = [], []
        for k, pixels in others.items():
            down, across = subsampling(block.luma.pixels, pixels[None])
            self.moved.append(warp(pixels, block.motion.flow(t, k), (1 / across, 1 / down)))
            size = (pixels.shape[-2], pixels.shape[-1])
            self.trust.append(resize(block.motion.trust(t, k), size))

    def rest(self, own: Tensor, sigma: Tensor, off: float) -> tuple[Tensor, Tensor]:
        """A frame less the mean of what others have there, where they match.

        Returns:
            (C, H, W) twice: the difference, and the share of the frames around that match there.
        """
        total, weight = torch.zeros_like(own), torch.zeros_like(own)
        for moved, trust in zip(self.moved, self.trust, strict=True):
            difference = own - moved.to(own)
            alike = (difference.abs() < _ALIKE * 2**0.5 * sigma + off).to(own) * trust.to(own)
            total += difference * alike
            weight += alike
        return total / weight.clamp(min=1e-6), weight / len(self.moved)


def _lines(rest: Tensor, known: Tensor) -> Tensor:
    """(C, H, 1) the median of each row where it is known, without what all rows have."""
    found = torch.where(known > _MATCH, rest, torch.nan).nanmedian(-1, keepdim=True).values
    found = torch.where(
        (known > _MATCH).to(rest).mean(-1, keepdim=True) >= _ENOUGH, found, torch.nan
    )
    found = found - found.nanmedian(-2, keepdim=True).values
    return found.nan_to_num(0.0)
