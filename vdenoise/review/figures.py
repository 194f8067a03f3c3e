"""The figures that gates judge, of one frame and its neighbor: each is near 0 for a good result.

``removed`` is source minus result. All pictures are luma (1, H, W), nominally in [0, 1], except
where a plane is named; codes are 8-bit codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.engine.tiles import Area
from vdenoise.evaluation.metrics import Followed
from vdenoise.evaluation.unreferenced import band_edges

CODE = 1 / 255
BLOCK = 64  # px: side of the areas that are judged; neighbors overlap by half
_BANDS = ((1, 3), (3, 9))  # px: detail between two box means; coarser is level, not detail
_DETAIL_CODES = 2.5  # least detail that can be lost
_OVER_NOISE = 0.8  # ... and against what noise was removed
_OVER_CALM = 4.0  # ... and against the calmest fifth: noise that a codec froze is everywhere
_MOVES = 12 * CODE  # least change of a smoothed pixel where something moves
_NEAR = 17  # px: so near to what moves an area is not calm
_MOVING = 0.04  # share of an area's pixels that move
_SMOOTH = 7  # px: noise is down to a seventh after it
_FOLLOWED = 0.5  # share of an area whose motion could be followed
_TINY = 1e-12


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

    @property
    def removed(self) -> Tensor:
        """What was taken away."""
        return self.source - self.result


def structure(before: Judged, now: Judged, followed: Followed) -> Figure:
    """Percent of detail that went with the noise.

    Detail is what this frame and the one before, moved along the motion, have in common: noise has
    nothing in common with either. Of that, the share that is in what was removed.
    """
    moved = followed.moved(before.source).float()
    steady = followed.steady[None].float()
    removed = now.removed
    noise = float(_blocks(removed.square()).flatten().quantile(0.5))
    worst = Figure(0.0)
    for fine, coarse in _BANDS:
        here, there, gone = (_band(x, fine, coarse) * steady for x in (now.source, moved, removed))
        share_followed = _blocks(steady).clamp(min=_TINY)
        detail = _blocks(here * there) / share_followed
        lost = _blocks(gone * there) / share_followed
        calm = detail.flatten().quantile(0.2).clamp(min=0)
        least = torch.maximum(
            torch.as_tensor((_DETAIL_CODES * CODE) ** 2 + _OVER_NOISE**2 * noise),
            calm * _OVER_CALM,
        )
        sure = (detail > least) & (share_followed > _FOLLOWED)
        share = torch.where(sure, lost / detail.clamp(min=_TINY), torch.zeros_like(lost))
        worst = _worse(worst, 100 * share, now)
    return worst


def ghosting(before: Judged, now: Judged) -> Figure:
    """Percent of the frame before that is in this one where something moves.

    The result is the source plus a share of what the frame before had there; what a blur leaves
    looks a little like it and is taken off. What moved is told from the results: the noise of the
    source, which is in what was removed as well, would pass for a ghost.
    """
    old, new = smoothed(before.result), smoothed(now.result)
    trail, change = old - new, -smoothed(now.removed)
    detail = new - smoothed(new)
    moves = (trail.abs() > _MOVES).float()
    x, d, y = trail * moves, detail * moves, change * moves
    xx, dd, xd, xy, dy = (_blocks(a * b) for a, b in ((x, x), (d, d), (x, d), (x, y), (d, y)))
    determinant = xx * dd - xd * xd
    share = torch.where(
        determinant > 0.05 * xx * dd, (xy * dd - dy * xd) / determinant.clamp(min=_TINY), xy / xx
    )
    share = share.clamp(min=0)
    share = share / (1 + share)  # a ghost takes from the change that it is a share of
    sure = _blocks(moves) > _MOVING
    return _worse(Figure(0.0), 100 * torch.where(sure, share, torch.zeros_like(share)), now)


def flicker(before: Judged, now: Judged, followed: Followed) -> Figure:
    """Codes by which an area's level changes and the source's does not; beyond chance.

    What moves is left out: `ghosting` looks at it.
    """
    moves = ((smoothed(now.source) - smoothed(before.source)).abs() > _MOVES).float()
    calm = functional.max_pool2d(moves[None], _NEAR, 1, _NEAR // 2)[0] == 0
    steady = (followed.steady[None] & calm).float()
    step = (now.removed - followed.moved(before.removed).float()) * steady
    share = _blocks(steady)
    level = _blocks(step) / share.clamp(min=_TINY)
    chance = 4 * (_blocks(step.square()) / share.clamp(min=_TINY)).sqrt() / (BLOCK * 0.7)
    found = (level.abs() - chance).clamp(min=0) * (share > _FOLLOWED)
    return _worse(Figure(0.0), found / CODE, now)


def banding(now: Judged, native_step: float) -> Figure:
    """Per mille of an area at the edges of bands that the source does not have.

    Args:
        now: the frame.
        native_step: 8-bit codes between two samples of the result's format: no band is finer.
    """
    least = max(0.8, 1.5 * native_step)
    new = band_edges(now.result[0], least) & ~band_edges(now.source[0], least)
    return _worse(Figure(0.0), 1000 * _blocks(new[None].float()), now)


def clipping(now: Judged) -> Figure:
    """Per mille of the pixels that came to an end of the range."""
    margin = 2 * CODE
    high = (now.result >= 1) & (now.source < 1 - margin)
    low = (now.result <= 0) & (now.source > margin)
    return Figure(1000 * float((high | low).float().mean()))


def repeats(before: Judged, now: Judged) -> bool:
    """Whether the result shows the frame before again, and the source does not."""
    same = (now.result - before.result).abs() < CODE / 64
    if float(same.float().mean()) < 0.999:
        return False
    own, last = (float(smoothed(v.removed).abs().mean()) for v in (now, before))
    return own > 2 * last + 0.3 * CODE


def bleeding(other: Judged, now: Judged) -> Figure:
    """Percent of a frame of another shot that shows in this one."""
    trail = smoothed(other.source) - smoothed(now.source)
    change = -smoothed(now.removed)
    share = float((trail * change).sum() / trail.square().sum().clamp(min=_TINY))
    return Figure(100 * max(share, 0.0))


class Levels:
    """Mean shift of each plane at each level of brightness, over a clip."""

    LEVELS = 16
    _FLAT = 0.02  # change between neighboring cells that is still flat
    _CELL = 4
    _FEWEST = 400  # cells of a level that say anything
    _DARKEST, _BRIGHTEST = 0.06, 0.94  # beyond, clipped noise has a mean of its own

    def __init__(self, planes: int) -> None:
        self.total = torch.zeros(planes, self.LEVELS, dtype=torch.float64)
        self.squares = torch.zeros_like(self.total)
        self.count = torch.zeros(self.LEVELS, dtype=torch.float64)

    def push(self, removed: Tensor, luma: Tensor) -> None:
        """Count a frame: what was removed of planes (C, H, W), by the clean luma (1, H, W)."""
        cells = functional.avg_pool2d(removed[None], self._CELL)[0].flatten(1).double()
        level = functional.avg_pool2d(luma[None], self._CELL)[0]
        around = functional.pad(level[None], (1, 1, 1, 1), mode="replicate")[0]
        span = functional.max_pool2d(around, 3, 1) + functional.max_pool2d(-around, 3, 1)
        inside = (level > self._DARKEST) & (level < self._BRIGHTEST) & (span < self._FLAT)
        which = inside.flatten()
        place = (level.flatten()[which] * self.LEVELS).long().clamp(0, self.LEVELS - 1)
        self.count.index_add_(0, place, torch.ones_like(place, dtype=torch.float64))
        for n in range(len(cells)):
            self.total[n].index_add_(0, place, cells[n][which])
            self.squares[n].index_add_(0, place, cells[n][which].square())

    def worst(self) -> tuple[float, int, int]:
        """Codes beyond chance, plane and level of the greatest shift."""
        known = self.count >= self._FEWEST
        count = self.count.clamp(min=1)
        mean = self.total / count
        error = ((self.squares / count - mean.square()).clamp(min=0) / count).sqrt()
        shift = (mean.abs() - 4 * error).clamp(min=0) * known / CODE
        plane, level = divmod(int(shift.argmax()), self.LEVELS)
        return float(shift[plane, level]), plane, level


def _worse(worst: Figure, amounts: Tensor, now: Judged) -> Figure:
    """The worse of what is known and the worst block of (1, h, w)."""
    place = int(amounts.argmax())
    amount = float(amounts.flatten()[place])
    if amount <= worst.amount:
        return worst
    row, column = divmod(place, amounts.shape[-1])
    height, width = now.source.shape[-2:]
    top, left = row * BLOCK // 2, column * BLOCK // 2
    return Figure(amount, Area(top, min(top + BLOCK, height), left, min(left + BLOCK, width)))


def _blocks(x: Tensor) -> Tensor:
    """(1, H, W) to means of overlapping areas; a smaller picture is one."""
    side = [min(BLOCK, n) for n in x.shape[-2:]]
    return functional.avg_pool2d(x[None], side, BLOCK // 2)[0]


def _band(x: Tensor, fine: int, coarse: int) -> Tensor:
    return (x if fine == 1 else _box(x, fine)) - _box(x, coarse)


def smoothed(x: Tensor) -> Tensor:
    """A picture without most of its noise."""
    return _box(_box(x, _SMOOTH), 3)


def _box(x: Tensor, side: int) -> Tensor:
    half = side // 2
    padded = functional.pad(x[None], (half,) * 4, mode="replicate")
    return functional.avg_pool2d(padded, side, 1)[0]
