"""Dust, dirt, hairs and drop-outs: what lies on one frame of a film and on no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.motion.opencv import keep_on_one_thread
from vdenoise.motion.warp import warp
from vdenoise.picture.frame import Block, Signal, window
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.subsampling import subsampling
from vdenoise.stages.base import Role, Stage, param

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

_EDGE = 0.4  # of the threshold: pixels of it that hang together with that one stand out as far
_RING = 3  # px: width of the ring around a spot that must look as its neighbors do
_RING_SIGMAS = 1.35  # root mean square of a sound ring, in sigmas of a difference of two frames
_RING_CONTRAST = 0.25  # and no more of the spot's own contrast than this
_SURE = 0.5  # times as much error where only one neighbor matches: the other may be occluded
_SLACK = 5  # px by which motion may be wrong at a spot, which hides what moves
_CROWD = 64  # px: in a square of this side ...
_CROWDED = 0.035  # ... no more than this share of pixels is dust: it is rain, glitter or foliage
_TRAVEL = 40  # px a frame: things that move on steadily are looked for as far away
_STEADY = 4  # px by which the way before and the way after may differ
_COLORED = 0.04  # Cb and Cr this far from gray and from what is around are a color
_ALIKE = 0.75  # correlation from which two spots are the same thing
_SMALLEST = 32  # px: in lower pictures no motion is found
_RIM = 1  # px around a spot that its soft edge covers
_STANDS_OUT = 0.06  # what stands out less than this does not lead motion astray


class DustSpots(Stage):
    """Replaces spots that are on a single frame by what the frames beside it show there.

    A spike detector (Kokaram, "Motion Picture Restoration", 1998) finds pixels that lie outside of
    all their neighbors along the motion by more than the noise explains. A spot of them is dust
    only where the ring around it matches those neighbors, so that the motion is known to be right;
    where no such spot comes and goes on a steady way, which would be a thing that moves; and where
    few others are near, as in rain. Motion is estimated on pictures that spots were taken out of,
    or it would follow them.
    """

    slot: ClassVar[str] = "dust"
    method: ClassVar[str] = "spots"
    role: ClassVar[Role] = "repair"
    tileable: ClassVar[bool] = False
    memory: ClassVar[float] = 12.0
    exempt: ClassVar[dict[str, str]] = {
        "repairs its damage": "needs moving pictures with dust: tests/stages/test_dust.py",
        "reach is enough and used": "a frame of pure noise matches nothing and is not looked at",
    }

    threshold: float = param(
        4.5, "How far dust must stand out, in sigmas of the noise.", low=2.0, high=20.0
    )
    floor: float = param(
        8.0,
        "Least contrast of dust, however low the noise.",
        low=1.0,
        high=128.0,
        unit="8-bit codes",
    )
    size: int = param(
        48, "Largest extent of a spot; hairs are long and thin.", low=1, high=256, unit="px"
    )

    @property
    def reach(self) -> int:
        """The frames beside it; at a shot's ends the two next."""
        return 1

    def denoise(self, block: Block) -> Block:
        """Repair luma, and chroma at the same places."""
        planes = [block.luma.pixels[t, 0].float().cpu().numpy() for t in range(block.frames)]
        frames = [self._frame(block, planes, t) for t in block.wanted]
        done = block.with_picture(Picture.join([picture for picture, _ in frames], _stack))
        return replace(done, maps={**block.maps, "dust": torch.cat([map for _, map in frames])})

    def _frame(
        self, block: Block, planes: Sequence[Plane], t: int
    ) -> tuple[Picture[Signal], Tensor]:
        now = block.frame(t)
        luma, chroma = now
        seen = window(block.first + t, self.reach, block.shot_first, block.shot_last)
        others = [n - block.first for n in seen if n != block.first + t]
        nothing = torch.zeros_like(luma.pixels)
        # Nobody can tell from one frame which of the two has the spot
        if len(others) < 2 or min(luma.pixels.shape[-2:]) < _SMALLEST:
            return now, nothing
        flows = [_flow(planes[t], planes[k], self.size) for k in others]
        moved = [_moved(block.luma.pixels[k], f) for k, f in zip(others, flows, strict=True)]
        sigma = block.noise.luma.sigma_at(luma.pixels) * luma.residual
        scene = _Scene(
            planes[t],
            (_plane(moved[0]), _plane(moved[1])),
            (others[0] - t, others[1] - t),
            _plane(sigma[0]),
            _color(chroma, planes[t].shape),
        )
        spots = self._spots(scene)
        if not spots:
            return now, nothing
        mended, cover = _mended(luma, moved, spots, (1, 1), self.strength)
        if chroma is not None and block.chroma is not None:
            ratio = subsampling(luma.pixels, chroma.pixels)
            scale = (1 / ratio[1], 1 / ratio[0])
            colors = [
                _moved(block.chroma.pixels[k], f, scale) for k, f in zip(others, flows, strict=True)
            ]
            chroma, _ = _mended(chroma, colors, spots, ratio, self.strength)
        return Picture(mended, chroma), cover

    def _spots(self, scene: _Scene) -> list[_Spot]:
        """What is dust."""
        bar = np.maximum(scene.sigma * self.threshold, self.floor / 255) / max(self.strength, 0.1)
        found: list[_Spot] = []
        excess = scene.excess()
        for sign in (1, -1):
            ratio = excess * sign / bar
            count, labels, stats, _ = cv2.connectedComponentsWithStats(
                (ratio > _EDGE).astype(np.uint8), connectivity=8
            )
            inside = labels > 0
            peaks = np.zeros(count, np.float32)
            np.maximum.at(peaks, labels[inside], ratio[inside])
            seeds = peaks > 1
            crowd = cv2.blur(seeds[labels].astype(np.float32), (_CROWD, _CROWD))
            fits = np.maximum(stats[:, 2], stats[:, 3]) <= self.size
            for n in np.flatnonzero(seeds & fits):
                box = _around(stats[n], scene.own.shape)
                spot = labels[box] == n
                if crowd[box][spot].mean() > _CROWDED + stats[n, 4] / _CROWD**2:
                    continue
                sources = scene.sources(box, spot, sign, bar[box])
                if sources and not scene.travels(box, spot, sign):
                    found.append(_Spot(box, spot, sources))
        return found


@dataclass(frozen=True, eq=False)
class _Spot:
    """Dust, and where the picture under it is to be had."""

    box: tuple[slice, slice]  # of the frame, with room for the ring
    where: Mask  # in the box
    sources: tuple[
        tuple[int, int, int], ...
    ]  # neighbor, and how far down and across beside its place

    @property
    def cover(self) -> Plane:
        """1 on the spot and its rim, softly to 0 beside it."""
        whole = cv2.dilate(self.where.astype(np.uint8), np.ones((2 * _RIM + 1,) * 2, np.uint8))
        return np.maximum(whole, cv2.blur(whole.astype(np.float32), (3, 3))).astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Scene:
    """A frame's luma, those of its two neighbors as they would look now, and the noise in it."""

    own: Plane
    others: tuple[Plane, Plane]
    times: tuple[int, int]  # of the neighbors, in frames from this one
    sigma: Plane
    color: Plane | None  # (H, W, 2) Cb and Cr at the density of luma

    def excess(self) -> Plane:
        """By how much each pixel lies above both neighbors (or, negative, below them). They are
        taken from 3 by 3 pixels, as motion is not exact."""
        kernel = np.ones((3, 3), np.uint8)
        high = np.maximum(*(cv2.dilate(other, kernel) for other in self.others))
        low = np.minimum(*(cv2.erode(other, kernel) for other in self.others))
        own = self.own
        beyond = np.where(own > high, own - high, np.where(own < low, own - low, 0))
        return np.asarray(beyond, np.float32)

    def sources(
        self, box: tuple[slice, slice], spot: Mask, sign: int, bar: Plane
    ) -> tuple[tuple[int, int, int], ...]:
        """The neighbors that look around a spot as this frame does and do not have the spot:
        both, or one that is beyond doubt."""
        near = cv2.dilate(spot.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        ring = (
            cv2.dilate(near.astype(np.uint8), np.ones((2 * _RING + 1,) * 2, np.uint8)) > 0
        ) & ~near
        if ring.sum() < 8:
            return ()
        noise = float((2 * self.sigma[box][ring] ** 2).mean()) * _RING_SIGMAS**2
        found = []
        for n, other in enumerate(self.others):
            error, down, across = _matched(other, self.own, box, ring)
            patch = _beside(other, box, down, across)
            contrast = sign * (self.own[box] - patch)
            mean = float(contrast[spot].mean())
            limit = max(noise, (_RING_CONTRAST * mean) ** 2)
            if error <= limit and mean > 0 and (contrast[spot] > bar[spot]).any():
                found.append((error / limit, (n, down, across)))
        if len(found) == 1 and found[0][0] > _SURE:
            return ()
        return tuple(source for _, source in found)

    def _colored(self, box: tuple[slice, slice], spot: Mask) -> bool:
        """Whether a spot has a color of its own: neither gray, nor what is around it, nor between,
        as thinned chroma makes it."""
        if self.color is None:
            return False
        here = self.color[box]
        own, around = here[spot].mean(0), here[~spot].mean(0)
        share = float(np.clip((own * around).sum() / max(float((around**2).sum()), 1e-9), 0, 1))
        return float(np.hypot(*(own - share * around))) > _COLORED

    def travels(self, box: tuple[slice, slice], spot: Mask, sign: int) -> bool:
        """Whether it is something that moves on: at the other two times there is such a spot where
        a steady way leads.

        Dirt is gray. What has a color is a thing if it is seen at one of these times; at a shot's
        end, where it may just have come, or be about to go, it is one in any case.
        """
        ys, xs = np.nonzero(spot)
        top, left = int(box[0].start + ys.min()) - 1, int(box[1].start + xs.min()) - 1
        bottom, right = int(box[0].start + ys.max()) + 2, int(box[1].start + xs.max()) + 2
        top, left = max(0, top), max(0, left)
        colored = self._colored(box, spot)
        if colored and self.times[0] * self.times[1] > 0:
            return True
        before, behind = (sign * (other - self.own) for other in self.others)
        pattern = np.ascontiguousarray((before + behind)[top:bottom, left:right] * np.float32(-0.5))
        start = np.array([max(0, top - _TRAVEL), max(0, left - _TRAVEL)])
        stop = np.minimum([bottom + _TRAVEL, right + _TRAVEL], self.own.shape)
        ways = []
        for picture in (before, behind):
            area = np.ascontiguousarray(picture[start[0] : stop[0], start[1] : stop[1]])
            ways.append(np.argwhere(_alike(area, pattern)) - (np.array([top, left]) - start))
        if colored and (len(ways[0]) or len(ways[1])):
            return True
        if not (len(ways[0]) and len(ways[1])):
            return False
        goes_on = ways[0] * (self.times[1] / self.times[0])
        gaps = np.abs(goes_on[:, None] - ways[1][None]).max(-1)
        far = np.abs(goes_on).max(-1)[:, None]
        return bool((gaps <= _STEADY + far / 5).any())


def _alike(picture: Plane, pattern: Plane) -> Mask:
    """Where a picture has the pattern: of the same shape, and about as strong."""
    energy = float(np.sqrt((pattern**2).sum()))
    if energy == 0:
        return np.zeros((1, 1), np.bool_)
    product = cv2.matchTemplate(picture, pattern, cv2.TM_CCORR)
    power = cv2.boxFilter(
        picture**2,
        -1,
        pattern.shape[::-1],
        normalize=False,
        anchor=(0, 0),
        borderType=cv2.BORDER_CONSTANT,
    )[: product.shape[0], : product.shape[1]]
    strength = np.sqrt(np.maximum(power, 1e-12))
    alike: Mask = (product > _ALIKE * strength * energy) & (strength > 0.5 * energy)
    return alike


def _flow(a: Plane, b: Plane, size: int) -> Tensor:
    """(2, h, w) from ``a`` to ``b`` in luma pixels, of pictures without spots."""
    keep_on_one_thread()
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    dis.setFinestScale(1)
    dis.setPatchSize(8)
    dis.setPatchStride(4)
    dis.setGradientDescentIterations(8)
    dis.setVariationalRefinementIterations(5)
    one, two = (_without_spots(p, size) for p in (a, b))
    flow = dis.calc(one, two, None)  # type: ignore[call-overload]
    return torch.from_numpy(np.ascontiguousarray(flow.transpose(2, 0, 1)))


def _without_spots(plane: Plane, largest: int) -> NDArray[np.uint8]:
    """An 8-bit picture from which bright and dark spots are gone: opened and closed where that
    changes much."""
    smooth = cv2.GaussianBlur(plane, (0, 0), 1.0)
    side = 2 * (min(largest, 10) // 2) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx(smooth, cv2.MORPH_OPEN, kernel)
    closed = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, kernel)
    kept = np.clip(smooth, closed - _STANDS_OUT, opened + _STANDS_OUT)
    return np.asarray(np.clip(kept * 255 + 0.5, 0, 255), np.uint8)


def _moved(pixels: Tensor, flow: Tensor, scale: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    return warp(pixels.float().cpu(), flow, scale)


def _around(stats: NDArray[np.int32], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The rows and columns of a component, with room for its ring."""
    left, top, width, height = (int(v) for v in stats[:4])
    room = _RING + _RIM + 1
    return (
        slice(max(0, top - room), min(shape[0], top + height + room)),
        slice(max(0, left - room), min(shape[1], left + width + room)),
    )


def _matched(
    other: Plane, own: Plane, box: tuple[slice, slice], ring: Mask
) -> tuple[float, int, int]:
    """Mean square error of a ring at the place nearby where it fits best, and that place."""
    rows, columns = box
    height, width = own.shape
    top, left = min(_SLACK, rows.start), min(_SLACK, columns.start)
    area = other[
        rows.start - top : min(height, rows.stop + _SLACK),
        columns.start - left : min(width, columns.stop + _SLACK),
    ]
    errors = (
        cv2.matchTemplate(
            np.ascontiguousarray(area),
            np.ascontiguousarray(own[box]),
            cv2.TM_SQDIFF,
            mask=ring.astype(np.float32),
        )
        / ring.sum()
    )
    # Where places are as good as each other the one that motion says stands
    ys, xs = np.ogrid[: errors.shape[0], : errors.shape[1]]
    far = np.hypot(ys - top, xs - left)
    best = int(np.argmin(errors * (1 + 0.02 * far) + 1e-7 * far))
    y, x = divmod(best, errors.shape[1])
    return max(0.0, float(errors[y, x])), y - top, x - left


def _beside(plane: Plane, box: tuple[slice, slice], down: int, across: int) -> Plane:
    """A box of a plane, moved; inside the frame, as `_matched` found it."""
    rows, columns = box
    return plane[
        rows.start + down : rows.stop + down, columns.start + across : columns.stop + across
    ]


def _mended(
    signal: Signal,
    moved: Sequence[Tensor],
    spots: Sequence[_Spot],
    ratio: tuple[int, int],
    strength: float,
) -> tuple[Signal, Tensor]:
    """Neighbors' pixels on the spots, and (1, 1, H, W) how much of them.

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
    spot: _Spot, own: tuple[slice, slice], ratio: tuple[int, int], size: tuple[int, ...]
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


def _color(chroma: Signal | None, size: tuple[int, ...]) -> Plane | None:
    """(H, W, 2) Cb and Cr of each pixel of luma."""
    if chroma is None:
        return None
    planes = np.ascontiguousarray(chroma.pixels[0].permute(1, 2, 0).float().cpu().numpy())
    return np.asarray(cv2.resize(planes, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _plane(x: Tensor) -> Plane:
    """(1, H, W) to (H, W)."""
    return np.asarray(x[0].float().cpu().numpy(), np.float32)


def _stack(signals: Sequence[Signal]) -> Signal:
    """Signals of one frame each as one, copied."""
    return Signal(torch.cat([s.pixels for s in signals]), torch.cat([s.residual for s in signals]))
