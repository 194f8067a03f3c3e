"""What gates look at: a frame of source and result, the one before it, and areas of both.

All pictures are luma (1, H, W), nominally in [0, 1]; codes are 8-bit codes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.engine.tiles import Area
from vdenoise.evaluation.metrics import Followed
from vdenoise.motion.warp import box_mean

CODE = 1 / 255
BLOCK = 64  # px: side of the areas that are judged; neighbors overlap by half
CELL = 8  # px: side of the cells that chance is told from
SMOOTH = 7  # px: noise is down to a seventh after it
INDEPENDENT = 64.3  # px of a smoothed picture that tell as much as one: (441 / 55) ** 2
TINY = 1e-12


@dataclass(frozen=True)
class Figure:
    """The worst of a frame: how much, and where."""

    amount: float
    area: Area | None = None


@dataclass(frozen=True, eq=False)
class Judged:
    """One frame of source and result."""

    index: int
    source: Tensor  # (1, H, W)
    result: Tensor

    @cached_property
    def removed(self) -> Tensor:
        """What was taken away."""
        return self.source - self.result

    @cached_property
    def smooth_source(self) -> Tensor:
        """The source without most of its noise."""
        return smoothed(self.source)

    @cached_property
    def smooth_result(self) -> Tensor:
        """The result without what noise it has left."""
        return smoothed(self.result)

    @cached_property
    def noise(self) -> float:
        """RMS of what was taken away, but for its level, in the middle one of all areas."""
        return math.sqrt(float(blocks((self.removed - self.smooth_removed).square()).median()))

    @property
    def smooth_removed(self) -> Tensor:
        """What was taken away without most of the noise in it."""
        return self.smooth_source - self.smooth_result


class Pair:
    """A frame and the one before it, which is moved to where the motion takes it.

    The motion is that of the result, which has little noise.
    """

    def __init__(self, before: Judged, now: Judged) -> None:
        followed = Followed(*(x.expand(3, -1, -1) for x in (before.result, now.result)))
        moved = followed.moved(torch.cat((before.source, before.result))).float()
        self.before, self.now = before, now
        self.source, self.result = moved[:1], moved[1:]
        self.steady = followed.steady[None].float()  # where the motion could be followed
        self.motion = followed.middle  # px down and right, of most of the picture
        self.followed = blocks(self.steady).clamp(min=TINY)  # its share of each area


def worse(found: Figure, amounts: Tensor, now: Judged) -> Figure:
    """The worse of what is known and the worst block of (1, h, w)."""
    place = int(amounts.argmax())
    amount = float(amounts.flatten()[place])
    if amount <= found.amount:
        return found
    row, column = divmod(place, amounts.shape[-1])
    height, width = now.source.shape[-2:]
    top, left = (
        max(min(n * BLOCK // 2, size - BLOCK), 0) for n, size in ((row, height), (column, width))
    )
    return Figure(amount, Area(top, min(top + BLOCK, height), left, min(left + BLOCK, width)))


def blocks(x: Tensor) -> Tensor:
    """(1, H, W) to means of overlapping areas, up to the edges; a smaller picture is one."""
    return area_means(x, BLOCK, CELL)


def area_means(x: Tensor, side: int, least: int) -> Tensor:
    """(1, H, W) to means of squares that overlap by half; the last ones lie at the picture's end.

    Args:
        x: pixels, or cells of them.
        side: of a square.
        least: what may be left over at the end.
    """
    return _row_means(_row_means(x, side, least).mT, side, least).mT


def _row_means(x: Tensor, side: int, least: int) -> Tensor:
    rows = x.shape[-2]
    side, step = min(side, rows), side // 2
    means = functional.avg_pool2d(x[None], (side, 1), (step, 1))[0]
    if (rows - side) % step >= least:
        means = torch.cat((means, x[..., rows - side :, :].mean(dim=-2, keepdim=True)), dim=-2)
    return means


def smoothed(x: Tensor) -> Tensor:
    """A picture without most of its noise."""
    return box(box(x, SMOOTH), 3)


def box(x: Tensor, side: int) -> Tensor:
    """Means of windows of (1, H, W), edges repeated."""
    return box_mean(x[0], (side, side))[None]
