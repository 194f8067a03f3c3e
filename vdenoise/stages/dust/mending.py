"""Neighbors' pixels in place of dust, softly at its rim."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vdenoise.picture.block import Signal
from vdenoise.stages.dust.alignment import Plane
from vdenoise.stages.dust.scene import Speck


def mend(
    signal: Signal,
    moved: Sequence[Tensor],
    spots: Sequence[Speck],
    ratio: tuple[int, int],
    strength: float,
) -> tuple[Signal, Tensor]:
    """Put neighbors' pixels on the spots; returns that, and (1, 1, H, W) how much of them.

    Args:
        signal: one frame's, on a grid of ``ratio`` luma pixels (down, across).
        moved: its neighbors as they would look now, (C, H, W) each.
        spots: in luma pixels.
        ratio: luma pixels to one of its own.
        strength: share that is replaced, up to 1.
    """
    height, width = signal.pixels.shape[-2:]
    down, across = ratio
    cover = torch.zeros(1, 1, height * down, width * across)
    single = torch.zeros_like(cover)
    fill = torch.zeros(signal.pixels.shape)
    for spot in spots:
        rows, columns = spot.box
        soft = torch.from_numpy(spot.cover)
        here = cover[0, 0, rows, columns]
        torch.maximum(here, soft, out=here)
        own = (
            slice(rows.start // down, -(-rows.stop // down)),
            slice(columns.start // across, -(-columns.stop // across)),
        )
        if len(spot.sources) == 1:
            single[0, 0, rows, columns] = torch.where(soft > 0, 1.0, single[0, 0, rows, columns])
        parts = []
        for n, dy, dx in spot.sources:
            ys = (torch.arange(own[0].start, min(own[0].stop, height)) + round(dy / down)).clamp(
                0, height - 1
            )
            xs = (torch.arange(own[1].start, min(own[1].stop, width)) + round(dx / across)).clamp(
                0, width - 1
            )
            parts.append(moved[n][:, ys[:, None], xs])
        patch = torch.stack(parts).mean(0)
        target = fill[0, :, own[0], own[1]]
        mask = torch.nn.functional.max_pool2d(
            cover[
                :,
                :,
                own[0].start * down : own[0].stop * down,
                own[1].start * across : own[1].stop * across,
            ],
            ratio,
            ceil_mode=True,
        )[0, :, : target.shape[-2], : target.shape[-1]]
        fresh = torch.from_numpy(_grid(spot, own, ratio, target.shape[-2:]))
        target.copy_(torch.where((fresh > 0) & (mask > 0), patch, target))
    cover = torch.nn.functional.max_pool2d(cover, ratio, ceil_mode=True)
    single = torch.nn.functional.max_pool2d(single, ratio, ceil_mode=True)
    cover = cover.to(signal.pixels) * min(1.0, strength)
    kept = torch.where(single.to(cover) > 0, 1.0, 0.5**0.5)
    return (
        Signal(
            torch.lerp(signal.pixels, fill.to(signal.pixels), cover),
            signal.residual * (1 - cover * (1 - kept)),
        ),
        cover,
    )


def _grid(
    spot: Speck, own: tuple[slice, slice], ratio: tuple[int, int], size: tuple[int, ...]
) -> Plane:
    """Where a spot is on a coarser grid: 1 in each cell that it touches."""
    down, across = ratio
    whole = np.zeros((size[0] * down, size[1] * across), np.float32)
    top, left = spot.box[0].start - own[0].start * down, spot.box[1].start - own[1].start * across
    cover = spot.cover
    part = whole[top : top + cover.shape[0], left : left + cover.shape[1]]
    part[:] = cover[: part.shape[0], : part.shape[1]]
    touched: Plane = whole.reshape(size[0], down, size[1], across).max((1, 3))
    return touched
