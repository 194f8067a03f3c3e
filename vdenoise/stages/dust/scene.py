"""What of a frame is dust: beyond both neighbors, in surroundings that match, going nowhere."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vdenoise.stages.dust.alignment import Plane

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
_RIM = 1  # px around a spot that its soft edge covers


@dataclass(frozen=True, eq=False)
class Speck:
    """Dust, and where the picture under it is to be had."""

    box: tuple[slice, slice]  # of the frame, with room for the ring
    where: Mask  # in the box
    # Neighbors that have the picture, and how far down and across beside the spot's place
    sources: tuple[tuple[int, int, int], ...]

    @property
    def cover(self) -> Plane:
        """1 on the spot and its rim, softly to 0 beside it."""
        whole = cv2.dilate(self.where.astype(np.uint8), np.ones((2 * _RIM + 1,) * 2, np.uint8))
        return np.maximum(whole, cv2.blur(whole.astype(np.float32), (3, 3))).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Scene:
    """A frame's luma, those of its two neighbors as they would look now, and the noise in it."""

    own: Plane
    others: tuple[Plane, Plane]
    times: tuple[int, int]  # of the neighbors, in frames from this one
    sigma: Plane
    color: Plane | None  # (H, W, 2) Cb and Cr at the density of luma

    def spots(self, threshold: float, floor: float, size: int, strength: float) -> list[Speck]:
        """Find what is dust.

        Args:
            threshold: how far it must stand out, in sigmas of the noise.
            floor: least contrast, in full-scale units.
            size: largest extent, in pixels.
            strength: above 1 less is enough.
        """
        bar = np.maximum(self.sigma * threshold, floor) / max(strength, 0.1)
        found: list[Speck] = []
        excess = self._excess()
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
            fits = np.maximum(stats[:, 2], stats[:, 3]) <= size
            for n in np.flatnonzero(seeds & fits):
                box = _around(stats[n], self.own.shape)
                spot = labels[box] == n
                if crowd[box][spot].mean() > _CROWDED + stats[n, 4] / _CROWD**2:
                    continue
                sources = self._sources(box, spot, sign, bar[box])
                if sources and not self._travels(box, spot, sign):
                    found.append(Speck(box, spot, sources))
        return found

    def _excess(self) -> Plane:
        """By how much each pixel lies above both neighbors (or, negative, below them). They are
        taken from 3 by 3 pixels, as motion is not exact."""
        kernel = np.ones((3, 3), np.uint8)
        high = np.maximum(*(cv2.dilate(other, kernel) for other in self.others))
        low = np.minimum(*(cv2.erode(other, kernel) for other in self.others))
        own = self.own
        beyond = np.where(own > high, own - high, np.where(own < low, own - low, 0))
        return np.asarray(beyond, np.float32)

    def _sources(
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

    def _travels(self, box: tuple[slice, slice], spot: Mask, sign: int) -> bool:
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
