"""The picture under dust, from where the frames beside it show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from vdenoise.picture.block import Signal
from vdenoise.stages.dust.alignment import Box, Mask, Plane, beside

RIM = 1  # px around a spot that its soft edge covers


class CleanPlace(NamedTuple):
    """Where the picture under a spot is to be had."""

    frame: int  # from this one
    down: float  # luma pixels beside the spot's own place
    across: float


@dataclass(frozen=True, eq=False)
class DustSpot:
    """Dust, and where the picture under it is to be had."""

    box: Box  # of the frame, with room for the ring
    where: Mask  # in the box
    sources: tuple[CleanPlace, ...]

    @property
    def cover(self) -> Plane:
        """1 on the spot and its rim, softly to 0 beside it."""
        whole = cv2.dilate(self.where.astype(np.uint8), np.ones((2 * RIM + 1,) * 2, np.uint8))
        return np.maximum(whole, cv2.blur(whole.astype(np.float32), (3, 3))).astype(np.float32)


def mended(
    signal: Signal,
    moved: Mapping[int, Tensor],
    spots: Sequence[DustSpot],
    ratio: tuple[int, int],
    strength: float,
) -> tuple[Signal, Tensor]:
    """Put neighbors' pixels on the spots; say how much of them, (1, 1, h, w).

    Args:
        signal: one frame's, on a grid of ``ratio`` luma pixels (down, across).
        moved: the frames around it as they would look now, (C, h, w) each.
        spots: in luma pixels.
        ratio: luma pixels to one of its own.
        strength: share that is replaced, up to 1.
    """
    height, width = signal.pixels.shape[-2:]
    down, across = ratio
    cover = torch.zeros(1, 1, height, width)
    single = torch.zeros_like(cover)
    fill = torch.zeros(signal.pixels.shape)
    for spot in spots:
        rows, columns = spot.box
        own = (
            slice(rows.start // down, min(-(-rows.stop // down), height)),
            slice(columns.start // across, min(-(-columns.stop // across), width)),
        )
        fresh = torch.from_numpy(_coarse(spot, own, ratio))
        here = cover[0, 0, own[0], own[1]]
        torch.maximum(here, fresh, out=here)
        if len(spot.sources) == 1:
            only = single[0, 0, own[0], own[1]]
            only.copy_(torch.where(fresh > 0, 1.0, only))
        parts = [
            _fetched(moved[s.frame], own, s.down / down, s.across / across) for s in spot.sources
        ]
        target = fill[0, :, own[0], own[1]]
        target.copy_(torch.where(fresh > 0, torch.stack(parts).mean(0), target))
    cover = cover.to(signal.pixels) * min(1.0, strength)
    kept = torch.where(single.to(cover) > 0, 1.0, 0.5**0.5)
    return (
        Signal(
            torch.lerp(signal.pixels, fill.to(signal.pixels), cover),
            signal.residual * (1 - cover * (1 - kept)),
        ),
        cover,
    )


def _fetched(pixels: Tensor, own: Box, down: float, across: float) -> Tensor:
    """(C, h, w) a box of planes, moved."""
    return torch.from_numpy(
        np.stack([beside(plane, own, down, across) for plane in pixels.numpy()])
    )


def _coarse(spot: DustSpot, own: Box, ratio: tuple[int, int]) -> Plane:
    """How far a spot covers each cell of a coarser grid, at most."""
    down, across = ratio
    size = (own[0].stop - own[0].start, own[1].stop - own[1].start)
    whole = np.zeros((size[0] * down, size[1] * across), np.float32)
    top, left = spot.box[0].start - own[0].start * down, spot.box[1].start - own[1].start * across
    cover = spot.cover
    part = whole[top : top + cover.shape[0], left : left + cover.shape[1]]
    part[:] = cover[: part.shape[0], : part.shape[1]]
    covered: Plane = whole.reshape(size[0], down, size[1], across).max((1, 3))
    return covered
