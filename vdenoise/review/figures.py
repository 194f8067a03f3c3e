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
_CRUSHED = 0.15  # share of the pixels around at the end of the range, from which on all are
_INDEPENDENT = 64.3  # px of a smoothed picture that tell as much as one: (441 / 55) ** 2
_ALIKE = 0.05  # share of a trail that must be unlike a blur to tell them apart
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
    """Percent of the frame before that is in this one where something moves; beyond chance.

    The result is the source plus a share of what the frame before had there; what a blur leaves
    looks a little like it and is taken off (least squares of two regressors). What moved is told
    from the results: the noise of the source, which is in what was removed as well, would pass for
    a ghost. Chance is three standard errors: what removed noise leaves beside such a fit, with as
    many samples as the smoothing leaves independent.
    """
    old, new = smoothed(before.result), smoothed(now.result)
    trail, change = old - new, -smoothed(now.removed)
    detail = new - smoothed(new)
    moves = (trail.abs() > _MOVES).float()
    x, d, y = trail * moves, detail * moves, change * moves
    products = ((x, x), (d, d), (x, d), (x, y), (d, y), (y, y))
    xx, dd, xd, xy, dy, yy = (_blocks(a * b) for a, b in products)
    moving = _blocks(moves)
    apart = (1 - xd.square() / (xx * dd).clamp(min=_TINY)).clamp(min=0)  # of trail and blur
    two = apart > _ALIKE
    alone = xx * torch.where(two, apart, torch.ones_like(apart))  # of the trail, what blur is not
    fit = torch.where(two, xy - dy * xd / dd.clamp(min=_TINY), xy)
    share = (fit / alone.clamp(min=_TINY)).clamp(min=0)
    blur = torch.where(two, (dy - share * xd) / dd.clamp(min=_TINY), torch.zeros_like(dy))
    left = (yy - share * xy - blur * dy).clamp(min=0)
    samples = moving * BLOCK**2 / _INDEPENDENT
    error = (left / alone.clamp(min=_TINY) / (samples - 2).clamp(min=_TINY)).sqrt()
    share = (share - 3 * error).clamp(min=0)
    share = share / (1 + share)  # a ghost takes from the change that it is a share of
    sure = (moving > _MOVING) & (samples > 2)
    return _worse(Figure(0.0), 100 * torch.where(sure, share, torch.zeros_like(share)), now)


def flicker(before: Judged, now: Judged, followed: Followed) -> Figure:
    """Codes by which an area's level changes and the source's does not; beyond chance.

    A source that flickers itself, as coded noise does, may come out calm: what counts is only how
    far the result's level goes beyond the source's, or the other way. What moves is left out:
    `ghosting` looks at it.
    """
    moves = ((smoothed(now.source) - smoothed(before.source)).abs() > _MOVES).float()
    calm = functional.max_pool2d(moves[None], _NEAR, 1, _NEAR // 2)[0] == 0
    steady = (followed.steady[None] & calm).float()
    own, there = (
        (new - followed.moved(old).float()) * steady
        for new, old in ((now.result, before.result), (now.source, before.source))
    )
    share = _blocks(steady)
    level, allowed = (_blocks(step) / share.clamp(min=_TINY) for step in (own, there))
    beyond = level - allowed.clamp(level.clamp(max=0), level.clamp(min=0))
    noise = (_blocks((own - there).square()) / share.clamp(min=_TINY)).sqrt()
    chance = 4 * noise / (BLOCK * 0.7)
    found = (beyond.abs() - chance).clamp(min=0) * (share > _FOLLOWED)
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
    """Per mille of the pixels that came to an end of the range where the source was not there yet.

    In crushed blacks noise alone lifts some pixels off the end, and a clean result has none of it.
    """
    margin = 2 * CODE
    high = (now.result >= 1) & (now.source < 1 - margin) & ~_around(now.source >= 1)
    low = (now.result <= 0) & (now.source > margin) & ~_around(now.source <= 0)
    return Figure(1000 * float((high | low).float().mean()))


def _around(at_end: Tensor) -> Tensor:
    """Where a picture lies at an end of the range, beside what noise takes off it."""
    return _box(at_end.float(), _SMOOTH) > _CRUSHED


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
