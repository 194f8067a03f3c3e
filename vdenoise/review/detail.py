"""The figure of the structure gate: how much of the picture's own detail went with the noise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.review.judged import (
    BLOCK,
    CELL,
    CODE,
    TINY,
    Figure,
    Pair,
    area_means,
    blocks,
    box,
    worse,
)

_BANDS = ((1, 3), (3, 9))  # px: detail between two box means; coarser is level, not detail
_CELLS = BLOCK // CELL  # along an area's side
_KEPT_CODES = 1.5  # least detail of a result that a share can be missing from
_DETAIL_CODES = 2.5  # least detail that can be lost
_OVER_NOISE = 0.8  # ... and against what noise was removed
_OVER_CALM = 4.0  # ... and against the calmest fifth: noise that a codec froze is everywhere
_FOLLOWED = 0.5  # share of an area whose motion could be followed


def structure(pair: Pair) -> Figure:
    """Percent of detail that went with the noise.

    Detail is what this frame and the one before, moved along the motion, have in common: noise has
    nothing in common with either. A share of it that went leaves the rest in the result, where it
    is told from noise by next to nothing; what went altogether is only to be seen in the source,
    and there only where it is stronger than what a codec froze.
    """
    worst = Figure(0.0)
    for band in _BANDS:
        for share in (_share_of_kept(pair, band), _share_of_source(pair, band)):
            worst = worse(worst, 100 * share, pair.now)
    return worst


def _share_of_kept(pair: Pair, band: tuple[int, int]) -> Tensor:
    """The share of detail that went, where some of it is left: (1, h, w), by area.

    What was removed is fitted by the detail of the result, with that of the frame before it as the
    instrument, whose noise is another; as far as chance could not do it: errors of a fit to
    clusters, which noise may fill with blobs of any size (Liang and Zeger 1986). Noise that a codec
    froze is in what was removed, and not in a good result.
    """
    gone, kept, there = (
        _band(x, *band) * pair.steady for x in (pair.now.removed, pair.now.result, pair.result)
    )
    lost, left = (_cells(x * there) for x in (gone, kept))
    strength = _of_cells(left)
    enough = strength / pair.followed > (_KEPT_CODES * CODE) ** 2
    strength = strength.clamp(min=TINY)
    fit = _of_cells(lost) / strength
    spread = _of_cells(lost.square()) - 2 * fit * _of_cells(lost * left)
    spread = spread + fit.square() * _of_cells(left.square())
    samples = min(_CELLS, lost.shape[-2]) * min(_CELLS, lost.shape[-1])
    error = (spread.clamp(min=0) / samples).sqrt() / strength
    share = (fit - 3 * error).clamp(min=0)
    sure = enough & (pair.followed > _FOLLOWED)
    return torch.where(sure, share / (1 + share), torch.zeros_like(share))


def _share_of_source(pair: Pair, band: tuple[int, int]) -> Tensor:
    """The share of the source's own detail that went: (1, h, w), by area."""
    here, there, gone = (
        _band(x, *band) * pair.steady for x in (pair.now.source, pair.source, pair.now.removed)
    )
    detail, lost = (blocks(x * there) / pair.followed for x in (here, gone))
    calm = detail.flatten().quantile(0.2).clamp(min=0)
    least = torch.maximum(
        torch.as_tensor((_DETAIL_CODES * CODE) ** 2 + (_OVER_NOISE * pair.now.noise) ** 2),
        calm * _OVER_CALM,
    )
    sure = (detail > least) & (pair.followed > _FOLLOWED)
    return torch.where(sure, lost / detail.clamp(min=TINY), torch.zeros_like(lost))


def _cells(x: Tensor) -> Tensor:
    """(1, H, W) to sums of small cells, which noise fills one by one."""
    side = [min(CELL, n) for n in x.shape[-2:]]
    return functional.avg_pool2d(x[None], side)[0]


def _of_cells(x: Tensor) -> Tensor:
    """Cells to means of the areas of `blocks`."""
    return area_means(x, _CELLS, 1)


def _band(x: Tensor, fine: int, coarse: int) -> Tensor:
    return (x if fine == 1 else box(x, fine)) - box(x, coarse)
