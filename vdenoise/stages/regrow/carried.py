"""Random fields that follow the motion.

What is invented from numbers that are drawn anew for each frame flickers as noise does. So a number
goes along with the picture: each pixel takes that of the pixel it was in the frame before, whole,
because interpolation would blur what has to stay white; where two would take the same, or nothing
matches, a pixel draws its own. (Chang et al., "How I Warped Your Noise", 2024, and Burgert et al.,
"Go-with-the-Flow", 2025, carry the noise of video diffusion for the same reason.)

Numbers are carried through `PERIOD` frames, counted from frame 0 of the clip, so that a segment has
those of the whole. Two fields take turns, half a period apart: each is drawn anew where its weight
is 0, and the squares of the weights add up to 1. So nothing jumps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.picture.block import Block
from vdenoise.picture.random_at import normal
from vdenoise.stages.grain.field import FIELD_MARGIN

PERIOD = 8
REACH = PERIOD - 1  # frames before that a frame's numbers may come from
_TRUSTED = 0.5  # agreement of flow and its opposite from which a pixel is followed


class Origin(NamedTuple):
    """Where the number of each pixel of a plane was drawn."""

    frame: Tensor  # (H, W) int64, absolute number
    place: Tensor  # (H, W) int64, row times width plus column in that frame


class Field(NamedTuple):
    """One of the fields that take turns."""

    origin: Origin
    weight: float
    frames: range  # absolute numbers of those that numbers may come from


def fields(block: Block, t: int, size: tuple[int, int]) -> list[Field]:
    """The fields of a frame of the block, in a plane of this height and width.

    Without motion in the block each pixel draws its own.
    """
    index = block.first + t
    ages = [(index - turn) % PERIOD for turn in (0, PERIOD // 2)]
    begins = [index if block.motion is None else max(index - age, block.shot_first) for age in ages]
    assert min(begins) >= block.first, "a block holds what its stages reach for"
    moves = {k: _move(block, k - block.first, size) for k in range(min(begins) + 1, index + 1)}
    found = []
    for age, begun in zip(ages, begins, strict=True):
        origin = _own(begun, size, block.luma.pixels.device)
        for frame in range(begun + 1, index + 1):
            own = _own(frame, size, origin.place.device)
            origin = _taken(origin, own, *moves[frame])
        weight = abs(math.sin(math.pi * age / PERIOD))
        found.append(Field(origin, weight, range(begun, index + 1)))
    return found


def white(
    carried: Sequence[Field], corner: tuple[int, int], words: Sequence[int], draw: int
) -> Tensor:
    """Standard normal numbers with a margin of `FIELD_MARGIN` around the plane.

    Args:
        carried: the frame's fields.
        corner: row and column of the first pixel.
        words: seed and plane.
        draw: number of the draw, or what else sets it apart.

    Returns:
        (H + 2 FIELD_MARGIN, W + 2 FIELD_MARGIN) float32. Those of the margin are the frame's own.
    """
    (top, left), (height, width) = corner, carried[0].origin.frame.shape
    rows = range(top - FIELD_MARGIN, top + height + FIELD_MARGIN)
    columns = range(left - FIELD_MARGIN, left + width + FIELD_MARGIN)
    inner = slice(FIELD_MARGIN, -FIELD_MARGIN)
    seed, plane = words
    total: Tensor | None = None
    for turn, field in enumerate(carried):
        frame, place = field.origin
        own = normal(rows, columns, seed, field.frames[-1], plane, turn, draw, device=frame.device)
        for earlier in field.frames[:-1]:
            drawn = normal(rows, columns, seed, earlier, plane, turn, draw, device=frame.device)
            numbers = drawn[inner, inner].flatten()[place]
            own[inner, inner] = torch.where(frame == earlier, numbers, own[inner, inner])
        total = own * field.weight if total is None else total + own * field.weight
    assert total is not None
    return total


def _own(index: int, size: tuple[int, int], device: torch.device) -> Origin:
    """Every pixel draws its own number, in this frame."""
    place = torch.arange(size[0] * size[1], device=device).view(size)
    return Origin(torch.full_like(place, index), place)


def _move(block: Block, t: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where each pixel of block frame ``t`` was in the frame before it, and which take its number.

    Returns:
        (H, W) int64 place, and (H, W) bool.
    """
    motion = block.motion
    assert motion is not None
    height, width = size
    full = block.luma.pixels.shape[-2:]

    def at(grid: Tensor) -> Tensor:
        return functional.interpolate(grid[None].float(), (height, width), mode="nearest")[0]

    across, down = at(motion.flow(t, t - 1))
    trusted = at(motion.trust(t, t - 1)[None])[0] > _TRUSTED
    here = _own(t, size, across.device).place
    row = here // width + (down * (height / full[0])).round().long()
    column = here % width + (across * (width / full[1])).round().long()
    inside = trusted & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    source = torch.where(inside, row * width + column, 0)
    # Of several pixels that would take the same number, the first one does
    takes = torch.full((height * width,), height * width, device=source.device)
    takes = takes.scatter_reduce(0, source[inside], here[inside], "amin")
    return source, inside & (takes[source] == here)


def _taken(before: Origin, own: Origin, source: Tensor, takes: Tensor) -> Origin:
    """The origins of a frame, from those of the one before and its own."""
    frame, place = (
        torch.where(takes, old.flatten()[source], new) for old, new in zip(before, own, strict=True)
    )
    return Origin(frame, place)
