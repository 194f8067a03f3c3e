"""A frame's neighbors in time: fetched along the motion, compared with it, weighed and summed up.

Where there are compiled functions, compiled/temporal.c does all of it row by row, the same to
rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vdenoise import compiled
from vdenoise.motion.warp import box_mean, reduce, resize, warp_all


class Judge(NamedTuple):
    """How a difference becomes doubt."""

    floor: float  # its mean square over a window that says nothing, in variances of the noise
    slope: float  # what each variance beyond adds to the doubt; weights are exp(-doubt)


@dataclass(frozen=True, eq=False)
class Sums:
    """What the neighbors of a frame add up to: it has weight 1 itself."""

    total: Tensor  # (C, H, W), of weighted differences from the frame
    weight: Tensor  # (h, w), on cells
    power: Tensor  # (h, w), of weights squared
    lost: float  # share of a neighbor's noise that fetching between pixels leaves

    def add(self, difference: Tensor, weight: Tensor) -> None:
        """Take a neighbor in: its difference (C, H, W), and its weight (h, w)."""
        size = (difference.shape[-2], difference.shape[-1])
        self.total.addcmul_(difference, resize(weight, size))
        self.weight.add_(weight)
        self.power.addcmul_(weight, weight, value=self.lost)


@dataclass(frozen=True, eq=False)
class Compared:
    """Two planes of a frame, (H, W) each, that those of its neighbors are compared with: luma's
    guide and luma, or both of chroma."""

    own: Sequence[Tensor]
    variance: Sequence[Tensor]  # for each plane (h, w): of the noise, on cells
    cell: tuple[int, int]  # pixels down and across, 1 or 2
    window: tuple[int, int]  # cells down and across, odd, 7 at most, over which means are taken
    judges: Sequence[Judge]  # one for each plane, or one for the mean of both
    scale: tuple[float, float]  # pixels to one of luma, across and down

    def weigh(
        self, neighbor: Sequence[Tensor], flow: Tensor, trust: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compare the planes of a neighbor.

        Args:
            neighbor: two planes (H, W).
            flow: (2, fh, fw), where they are to be fetched from, in pixels of luma.
            trust: (h, w), in [0, 1], a factor on the weight.

        Returns:
            By how much each plane differs (2, H, W), and its weight (h, w).
        """
        if self._compiled(neighbor, flow, trust):
            differences, weight = torch.empty(2, *self.own[0].shape), torch.empty_like(trust)
            self._call(neighbor, flow, trust, weight, differences, None)
            return differences, weight
        moved = warp_all([plane[None] for plane in neighbor], flow, self.scale)
        differences = torch.cat(moved).sub_(torch.stack(tuple(self.own)))
        changes = reduce(differences.square(), self.cell).div_(torch.stack(tuple(self.variance)))
        if len(self.judges) == 1:
            changes = changes.mean(0, keepdim=True)
        weight = torch.zeros_like(trust)
        for change, judge in zip(changes, self.judges, strict=True):
            beyond = box_mean(change, self.window).sub_(judge.floor).clamp_(min=0)
            weight.sub_(beyond, alpha=judge.slope)
        return differences, weight.exp_().mul_(trust)

    def sum_up(self, neighbor: Sequence[Tensor], flow: Tensor, trust: Tensor, sums: Sums) -> Tensor:
        """`weigh` a neighbor and add it: the last planes, as many as are summed up."""
        if self._compiled(neighbor, flow, trust):
            weight = torch.empty_like(trust)
            self._call(neighbor, flow, trust, weight, None, sums)
            return weight
        differences, weight = self.weigh(neighbor, flow, trust)
        sums.add(differences[-len(sums.total) :], weight)
        return weight

    def _compiled(self, neighbor: Sequence[Tensor], flow: Tensor, trust: Tensor) -> bool:
        return compiled.serves(*self.own, *self.variance, *neighbor, flow, trust)

    def _call(
        self,
        neighbor: Sequence[Tensor],
        flow: Tensor,
        trust: Tensor,
        weight: Tensor,
        differences: Tensor | None,
        sums: Sums | None,
    ) -> None:
        nothing: list[Tensor | None] = [None, None]
        total = nothing if sums is None else [*nothing, *sums.total][-2:]
        differ = nothing if differences is None else [*differences]
        kept = [[plane.contiguous() for plane in x] for x in (neighbor, self.own, self.variance)]
        pointers = [
            [x.data_ptr() if x is not None else 0 for x in c] for c in (*kept, differ, total)
        ]
        planes = torch.tensor(pointers).T.contiguous()
        half = [length // 2 for length in self.window]
        sides = (*self.own[0].shape, *trust.shape, *self.cell, *half, *flow.shape[1:])
        judges = torch.tensor([*self.judges] * (3 - len(self.judges)))
        done = compiled.call(
            "neighbor",
            torch.tensor([*sides, len(self.judges)]),
            planes,
            flow.contiguous(),
            torch.tensor(self.scale),
            trust.contiguous(),
            judges,
            0.0 if sums is None else sums.lost,
            weight,
            None if sums is None else sums.weight,
            None if sums is None else sums.power,
        )
        if not done:
            raise MemoryError("no memory for the rows of a neighbor in time")
