"""The figures that gates judge, of one frame and its neighbor: each is near 0 for a good result.

``removed`` is source minus result. All pictures are luma (1, H, W), nominally in [0, 1], except
where a plane is named; codes are 8-bit codes.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from vdenoise.engine.tiles import Area
from vdenoise.evaluation.unreferenced import band_edges
from vdenoise.review.judged import (
    BLOCK,
    CODE,
    INDEPENDENT,
    SMOOTH,
    TINY,
    Figure,
    Judged,
    Pair,
    blocks,
    box,
    smoothed,
    worse,
)

_MOVES = 12 * CODE  # least change of a smoothed pixel where something moves
_TRAILS = 8 * CODE  # ... and least trail of it that a ghost can be a share of
_LEVELS, _FEWEST_STILL = 32, 500  # levels of a curve, and pixels that tell one of them
_NEAR = 17  # px: so near to what moves an area is not calm
_MOVING = 0.04  # share of an area's pixels that move
_AT_END = 2.0  # codes: so near to an end of the range a source is at it
_ROUNDING = CODE / 64  # so near to an end of the range a sample is that end
_OFF_END = 2.0  # ... and so many times the noise, on average
_CRUSHED = 0.15  # share of the pixels around at the end of the range, from which on all are
_ALIKE = 0.05  # share of a trail that must be unlike a blur to tell them apart
_FOLLOWED = 0.5  # share of an area whose motion could be followed
_BY_CHANCE = 4.0  # standard errors of the mean of a picture's areas


def ghosting(before: Judged, now: Judged) -> Figure:
    """Percent of the frame before that is in this one where something moves; beyond chance.

    The result is the source plus a share of what the frame before had there; what a blur leaves
    looks a little like it and is taken off (least squares of two regressors), as is before what
    another curve of levels changes where nothing moves. What moved is told
    from the results: the noise of the source, which is in what was removed as well, would pass for
    a ghost. Chance is three standard errors: what removed noise leaves beside such a fit, with as
    many samples as the smoothing leaves independent.
    """
    old, new = before.smooth_result, now.smooth_result
    trail = old - new
    detail = new - smoothed(new)
    moves = (trail.abs() > _TRAILS).float()
    change = _of_levels(now.smooth_removed, new, 1 - moves) - now.smooth_removed
    x, d, y = trail * moves, detail * moves, change * moves
    products = ((x, x), (d, d), (x, d), (x, y), (d, y), (y, y))
    xx, dd, xd, xy, dy, yy = (blocks(a * b) for a, b in products)
    moving = blocks(moves)
    apart = (1 - xd.square() / (xx * dd).clamp(min=TINY)).clamp(min=0)  # of trail and blur
    two = apart > _ALIKE
    alone = xx * torch.where(two, apart, torch.ones_like(apart))  # of the trail, what blur is not
    fit = torch.where(two, xy - dy * xd / dd.clamp(min=TINY), xy)
    share = (fit / alone.clamp(min=TINY)).clamp(min=0)
    blur = torch.where(two, (dy - share * xd) / dd.clamp(min=TINY), torch.zeros_like(dy))
    left = (yy - share * xy - blur * dy).clamp(min=0)
    samples = moving * BLOCK**2 / INDEPENDENT
    error = (left / alone.clamp(min=TINY) / (samples - 2).clamp(min=TINY)).sqrt()
    share = (share - 3 * error).clamp(min=0)
    share = share / (1 + share)  # a ghost takes from the change that it is a share of
    sure = (moving > _MOVING) & (samples > 2)
    return worse(Figure(0.0), 100 * torch.where(sure, share, torch.zeros_like(share)), now)


def _of_levels(removed: Tensor, level: Tensor, still: Tensor) -> Tensor:
    """What a curve of levels takes from each pixel, as it does where nothing moves."""
    place = (level * _LEVELS).long().clamp(0, _LEVELS - 1).flatten()
    count = torch.bincount(place, still.flatten(), _LEVELS)
    total = torch.bincount(place, (removed * still).flatten(), _LEVELS)
    known = count > _FEWEST_STILL
    curve = torch.where(known, total / count.clamp(min=1), torch.zeros_like(total))
    return curve[place].view_as(level)


def flicker(pair: Pair) -> Figure:
    """Codes by which an area's level changes and the source's does not; beyond chance.

    A source that flickers itself, as coded noise does, may come out calm: what counts is only how
    far the result's level goes beyond the source's, or the other way. What moves is left out:
    `ghosting` looks at it.
    """
    before, now = pair.before, pair.now
    moves = ((now.smooth_source - before.smooth_source).abs() > _MOVES).numpy().astype(np.uint8)
    near = cv2.dilate(moves[0], cv2.getStructuringElement(cv2.MORPH_RECT, (_NEAR, _NEAR)))
    steady = pair.steady * torch.from_numpy(np.asarray(near == 0))
    own, there = (now.result - pair.result) * steady, (now.source - pair.source) * steady
    share = blocks(steady)
    level, allowed = (blocks(step) / share.clamp(min=TINY) for step in (own, there))
    beyond = _beyond(level, allowed)
    noise = (blocks((own - there).square()) / share.clamp(min=TINY)).sqrt()
    chance = 4 * noise / (BLOCK * 0.7)
    found = (beyond.abs() - chance).clamp(min=0) * (share > _FOLLOWED)
    return worse(_pulse(pair), found / CODE, now)


def _pulse(pair: Pair) -> Figure:
    """Codes by which the whole picture's level changes and the source's does not: light that is
    added to everything is seen though all of it moves."""
    before, now = pair.before, pair.now
    own, there = (
        (a - b).mean() for a, b in ((now.result, before.result), (now.source, before.source))
    )
    # A ghost or lost detail changes areas by turns up and down, and hardly their middle one
    gone = blocks(now.removed - before.removed).flatten()
    chance = _BY_CHANCE * float(gone.std(correction=0)) / math.sqrt(gone.numel())
    found = min(abs(float(_beyond(own, there))), abs(float(gone.median())) - chance)
    height, width = now.source.shape[-2:]
    return Figure(max(found, 0.0) / CODE, Area(0, height, 0, width))


def _beyond(level: Tensor, allowed: Tensor) -> Tensor:
    """How far a change of a result's level goes beyond the source's, or the other way."""
    return level - allowed.clamp(level.clamp(max=0), level.clamp(min=0))


def banding(now: Judged, native_step: float) -> Figure:
    """Per mille of an area at the edges of bands that the source does not have.

    Args:
        now: the frame.
        native_step: 8-bit codes between two samples of the result's format: no band is finer.
    """
    least = max(0.8, 1.5 * native_step)
    new = band_edges(now.result[0], least) & ~band_edges(now.source[0], least)
    return worse(Figure(0.0), 1000 * blocks(new[None].float()), now)


def clipping(now: Judged) -> Figure:
    """Per mille of the pixels that came to an end of the range where the source was not there yet.

    In crushed blacks noise alone lifts some pixels off the end, and a clean result has none of it:
    what lies together at the end in the result was away from it on average, and by more than the
    noise.
    """
    least = _AT_END * CODE + _OFF_END * now.noise
    new = torch.zeros_like(now.result)
    for left, way in ((1 - now.result, 1 - now.source), (now.result, now.source)):
        came = ((left < _ROUNDING) & (way > _AT_END * CODE) & ~_around(way < _ROUNDING)).float()
        mean = box(came * way, SMOOTH) / box(came, SMOOTH).clamp(min=TINY)
        new += came * (mean > least)
    return Figure(1000 * float(new.mean()))


def _around(at_end: Tensor) -> Tensor:
    """Where a picture lies at an end of the range, beside what noise takes off it."""
    return box(at_end.float(), SMOOTH) > _CRUSHED


def repeats(before: Judged, now: Judged) -> bool:
    """Whether the result shows the frame before again, and the source does not."""
    same = (now.result - before.result).abs() < _ROUNDING
    if float(same.float().mean()) < 0.999:
        return False
    own, last = (float(v.smooth_removed.abs().mean()) for v in (now, before))
    return own > 2 * last + 0.3 * CODE


def bleeding(other: Judged, now: Judged) -> Figure:
    """Percent of a frame of another shot that shows in this one."""
    trail = other.smooth_source - now.smooth_source
    change = -now.smooth_removed
    share = float((trail * change).sum() / trail.square().sum().clamp(min=TINY))
    return Figure(100 * max(share, 0.0))
