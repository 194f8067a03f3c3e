"""Light that is another in every frame: old film, time-lapse, fluorescent lamps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vdenoise.motion.exposure import (
    Plane,
    Step,
    align,
    likeness,
    small,
    steady_curve,
    steady_step,
    step,
)
from vdenoise.picture.block import Block, Signal, join_signals, window
from vdenoise.picture.luma_chroma import Picture
from vdenoise.stages.base import Footprint, Role, Stage, param

_LEVELS = 9  # from black to white, at which a curve is found
_SHARED = 40.0  # pixels' worth of the whole picture's step that a level's own is mixed with
_CELLS = (4, 6)  # rows and columns of the field of local steps


class Deflicker(Stage):
    """Brings the levels of a frame to where the frames around it would have them.

    Each frame is aligned with the next on small pictures; how much brighter that is is measured at
    each level, by medians, which things that move do not sway. The frame gets the level that a line
    through those around has at its time: slow changes, such as a dusk or a fade, stay, and nothing
    is carried from frame to frame, so nothing drifts.
    """

    slot: ClassVar[str] = "flicker"
    method: ClassVar[str] = "levels"
    role: ClassVar[Role] = "repair"

    radius: int = param(
        7, "Frames looked at on each side; more steadies slower flicker.", low=1, high=24
    )
    local: bool = param(False, "Also even out light that flickers in a part of the picture.")

    @property
    def reach(self) -> int:
        """Frames that the radius names."""
        return self.radius

    @property
    def footprint(self) -> Footprint:
        """Whole frames: levels are those of the picture."""
        return Footprint(whole=True, scratch=4)

    def denoise(self, block: Block) -> Block:
        """Shift luma by level and scale chroma alike."""
        pictures = [small(pixels) for pixels in block.luma.pixels]
        levels = [_step(a, b, _by_level, _LEVELS) for a, b in pairwise(pictures)]
        places = [
            _step(a, b, _by_place, _CELLS[0] * _CELLS[1]) if self.local else None
            for a, b in pairwise(pictures)
        ]
        done = []
        for t in block.wanted:
            seen = window(block.first + t, self.radius, block.shot_first, block.shot_last)
            around = range(seen.start - block.first, seen.stop - block.first)
            now = block.frame(t)
            if len(around) < 2:
                done.append(now.map(Signal.copy))
                continue
            curve = steady_curve(levels, around, t)
            change = _at(curve, now.luma.pixels)
            if self.local:
                rest = steady_step([p for p in places if p is not None], around, t)
                change = change + _field(rest, curve, pictures[t], now.luma.pixels)
            gain = 1 + self.strength * (_gain(curve) - 1)
            moved = [now.luma.pixels + self.strength * change]
            moved += [] if now.chroma is None else [now.chroma.pixels * gain]
            done.append(
                now.pair(Picture.of(moved), lambda old, new: Signal(new, old.residual.clone()))
            )
        return block.with_picture(Picture.join(done, join_signals))


def _by_level(own: Plane) -> NDArray[np.int64]:
    """The level that each pixel of a small picture is nearest to."""
    return np.clip(np.rint(own * (_LEVELS - 1)), 0, _LEVELS - 1).astype(np.int64)


def _by_place(own: Plane) -> NDArray[np.int64]:
    """The cell of `_CELLS` that each pixel lies in."""
    height, width = own.shape
    rows = np.arange(height) * _CELLS[0] // height
    columns = np.arange(width) * _CELLS[1] // width
    cells: NDArray[np.int64] = (rows[:, None] * _CELLS[1] + columns).astype(np.int64)
    return cells


def _step(
    own: Plane, other: Plane, grouped: Callable[[Plane], NDArray[np.int64]], count: int
) -> Step:
    """How much brighter the next frame is in each group, as far as the two match.

    It is looked at from both: what is moved is a little softer, so that fine bright things look
    darker in it.
    """
    there, back = (_one_way(a, b, grouped, count) for a, b in ((own, other), (other, own)))
    result: Step = (there - back) / 2
    return result


def _one_way(
    own: Plane, other: Plane, grouped: Callable[[Plane], NDArray[np.int64]], count: int
) -> Step:
    """How much brighter another frame is in each group, by where it shows the same as this one.

    Pixels are grouped by the mean of both frames: of those that are bright in one alone many are so
    by chance, and are less so in the other.
    """
    moved = align(other, own)
    both = np.asarray((own + moved) / 2, np.float32)
    groups = grouped(both)
    found, pixels = step(own, moved, groups, count)
    level = np.bincount(groups.ravel(), both.ravel(), count) / np.maximum(pixels, 1)
    # In the mean a step is one of gain: what a group with few pixels has no say in
    gain = (found * pixels * level).sum() / max((pixels * level**2).sum(), 1e-9)
    share = pixels / (pixels + _SHARED)
    result: Step = likeness(own, moved) * (share * found + (1 - share) * gain * level)
    return result


def _field(rest: Step, curve: Step, own: Plane, luma: Tensor) -> Tensor:
    """(1, 1, H, W) what is added in places, beside what is added everywhere."""
    levels = np.linspace(0, 1, _LEVELS)
    everywhere = np.interp(own, levels, curve)
    groups = _by_place(own).ravel()
    pixels = np.bincount(groups, minlength=len(rest))
    known = np.bincount(groups, everywhere.ravel(), len(rest)) / np.maximum(pixels, 1)
    cells = torch.from_numpy((rest - known).reshape(1, 1, *_CELLS)).to(luma)
    return functional.interpolate(cells, luma.shape[-2:], mode="bicubic", align_corners=False)


def _at(curve: NDArray[np.float64], luma: Tensor) -> Tensor:
    """The curve at each pixel, straight between its levels and level beyond them."""
    table = torch.from_numpy(curve).to(luma)
    place = luma.clamp(0, 1) * (len(curve) - 1)
    low = place.floor().clamp(max=len(curve) - 2)
    index = low.long()
    return torch.lerp(table[index], table[index + 1], place - low)


def _gain(curve: NDArray[np.float64]) -> float:
    """The gain that is nearest to a curve of steps."""
    levels = np.linspace(0, 1, len(curve))
    return float(1 + (curve * levels).sum() / (levels**2).sum())
