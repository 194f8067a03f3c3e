"""Whether a spot on one frame is dirt on the film or a thing that was before the camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from vdenoise.stages.dust.alignment import Box, Mask, Plane, beside, matched
from vdenoise.stages.dust.mending import RIM, CleanPlace, DustSpot
from vdenoise.stages.dust.spikes import Numbers, Spikes, beyond_both, spikes

_RING = 3  # px: width of the ring around a spot that must look as its neighbors do
_RING_SIGMAS = 1.35  # root mean square of a sound ring, in sigmas of a difference of two frames
_RING_CONTRAST = 0.25  # and no more of the spot's own contrast than this
_SURE = 0.5  # times as much error where only one neighbor matches: the other may be occluded
_CROWD = 96  # px: the square, or so many times a spot's own extent, that a crowd is counted in
_CROWD_EXTENTS = 6.0
_MIXED = 3  # times as many of one sign as of the other are no dust
_THIN = 2.0  # times as few in each such square are a crowd if they are all over, and ...
_PURE = 5  # ... so many times as many as of the other sign
_LIKE_SIZES = (0.25, 0.6)  # least ratios of one side and of the other of two views of a thing
_LIKE_CONTRAST = 0.5  # and of their contrast
_SOUND = 0.35  # of a spot's contrast, by which what is around it may differ
_TRAVEL = (8.0, 6.0)  # px, and its own extents, that a thing may go in a frame
_STEADY = (3.0, 0.15)  # px, and share of the way, by which two ways in a row may differ
_COLORED = 0.04  # Cb and Cr this far from gray and from what is around are a color
_SHAPE = 2.0  # spreads of the ring by which a neighbor differs where the spot is: a thing
_SHAPE_CONTRAST = 0.3  # and of the spot's contrast
_HIDES = (25, 20)  # percent of a spot beyond which no more than that of its ring may be
_STAYS = 3.0  # spreads of the ring by which a spot differs that stays at its place on the screen
_STAYS_HIGH = 0.5  # of its height above what is around it, which it has there at least
_STAYS_APART = 0.25  # and of that height, by which it may look different


@dataclass(frozen=True, eq=False)
class Scene:
    """A frame's luma, and that of the frames around it as they would look now."""

    own: Plane
    others: Mapping[int, Plane]  # by frames from this one; the two nearest first
    unmoved: Mapping[int, Plane]  # the two nearest as they are
    sigma: Plane  # of the noise in it
    threshold: float  # sigmas, from which on something stands out
    floor: float  # and least contrast
    crowd: int  # spots of a kind in a square, on three frames, that are none
    color: Plane | None  # (H, W, 2) Cb and Cr at the density of luma
    _known: dict[tuple[int, int, int], bool] = field(default_factory=dict)  # by frame, sign, spot

    @cached_property
    def bar(self) -> Plane:
        """(H, W): what a spot stands out by."""
        return np.asarray(np.maximum(self.sigma * self.threshold, self.floor), np.float32)

    @cached_property
    def near(self) -> tuple[int, int]:
        """The two frames that a spot is compared with, in frames from this one."""
        first, second = list(self.others)[:2]
        return first, second

    @cached_property
    def _frames(self) -> dict[int, Plane]:
        return {0: self.own, **self.others}

    @cached_property
    def _spikes(self) -> dict[int, tuple[Spikes, Spikes]]:
        """The bright and the dark ones of each frame against the two next to it."""
        found = {}
        for k, picture in self._frames.items():
            one, two = sorted(self._frames.keys() - {k}, key=lambda n: (abs(n - k), abs(n)))[:2]
            beyond = beyond_both(picture, (self._frames[one], self._frames[two]))
            found[k] = (spikes(beyond, self.bar), spikes(-beyond, self.bar))
        return found

    def dust(self, largest: int) -> list[DustSpot]:
        """What is dust, of spots up to an extent."""
        found = []
        for sign, own in zip((1, -1), self._spikes[0], strict=True):
            for n in np.flatnonzero(own.extents <= largest):
                if self._crowded(sign, int(n)) or self._travels(sign, int(n)):
                    continue
                box = own.box(int(n), _RING + RIM + 1)
                where = own.where(int(n), box)
                ring = _ring(where)
                if ring.sum() < 8 or not self._hides(box, where, ring, sign):
                    continue
                sources = self._sources(box, where, ring, sign)
                if sources and not self._stays(box, where, ring, float(own.contrast[n])):
                    found.append(DustSpot(box, where, sources))
        return found

    def _of(self, k: int, sign: int) -> Spikes:
        return self._spikes[k][0 if sign > 0 else 1]

    def _crowded(self, sign: int, n: int) -> bool:
        """Whether many such spots are near, on this frame and on those beside it, and few of the
        other sign: rain and glitter are bright, dirt is of both kinds or seldom. Where such spots
        are all over the picture, and hardly any of the other sign, half as many will do: rain is
        thinner at some places."""
        own = self._of(0, sign)
        extent = float(own.extents[n])
        half = max(_CROWD, _CROWD_EXTENTS * extent) / 2
        size = np.array(self.own.shape, np.float64)
        lowest, highest = np.minimum(half, size / 2), np.maximum(size - half, size / 2)
        middle = np.clip(own.centers[n], lowest, highest)
        near, all_over = {sign: 0, -sign: 0}, {sign: 0, -sign: 0}
        for k in (0, *self.near):
            for kind in near:
                those = self._of(k, kind)
                like = (2 * those.extents >= extent) & (2 * those.contrast >= own.contrast[n])
                inside = (np.abs(those.centers - middle) <= half).all(1)
                for m in np.flatnonzero(like):
                    if self._sound(k, kind, int(m)):
                        all_over[kind] += 1
                        near[kind] += bool(inside[m])
        in_square = all_over[sign] * float(np.prod(np.minimum(2 * half / size, 1)))
        return self.crowd <= near[sign] > _MIXED * near[-sign] or (
            self.crowd <= _THIN * in_square and all_over[sign] > _PURE * all_over[-sign]
        )

    def _sound(self, k: int, sign: int, n: int) -> bool:
        """Whether the picture around a spot of a frame is known from another, so that it is one,
        and nothing that motion has missed."""
        if (k, sign, n) not in self._known:
            those = self._of(k, sign)
            box = those.box(n, _RING + RIM + 1)
            ring = _ring(those.where(n, box))
            # By the median: part of the ring may have been covered by the thing itself
            gaps = [
                np.median(np.abs((self._frames[k][box] - self._frames[other][box])[ring]))
                for other in self._frames.keys() - {k}
                if ring.any() and abs(other - k) <= 2
            ]
            error = float(min(gaps, default=np.inf)) * 1.4826
            noise = float((2 * self.sigma[box][ring] ** 2).mean()) ** 0.5 * _RING_SIGMAS
            limit = max(noise, _SOUND * float(those.contrast[n]))
            self._known[k, sign, n] = error <= limit
        return self._known[k, sign, n]

    def _ways(self, k: int, sign: int, n: int) -> Numbers:
        """(M, 2) from a spot to all of frame ``k`` that may be the same thing."""
        own, those = self._of(0, sign), self._of(k, sign)
        way = those.centers - own.centers[n]
        far = (_TRAVEL[0] + _TRAVEL[1] * float(own.extents[n])) * abs(k)
        like = np.hypot(*way.T) <= far
        sizes = those.boxes[:, 2:4] / own.boxes[n, 2:4]
        sizes = np.sort(np.minimum(sizes, 1 / sizes), axis=1)
        contrast = those.contrast / own.contrast[n]
        like &= (sizes >= _LIKE_SIZES).all(1)
        like &= np.minimum(contrast, 1 / contrast) >= _LIKE_CONTRAST
        those_like = [m for m in np.flatnonzero(like) if self._sound(k, sign, int(m))]
        found: Numbers = way[those_like]
        return found

    def _stays(self, box: Box, where: Mask, ring: Mask, contrast: float) -> bool:
        """Whether a frame beside it has something of a spot's shape, or the spot itself, at the
        same place of the screen, however the picture moves: a lamp of the car that the camera
        follows, a title."""
        own = self.own[box]
        height = float(own[where].mean() - np.median(own[ring]))
        for other in self.unmoved.values():
            patch = other[box]
            shape = abs(float(patch[where].mean() - patch[ring].mean()))
            if shape > max(_STAYS * float(patch[ring].std()), _SHAPE_CONTRAST * contrast):
                return True
            there = float(patch[where].mean() - np.median(patch[ring])) / height if height else 0.0
            apart = float(np.abs(patch - own)[where].mean())
            if there > _STAYS_HIGH and apart < _STAYS_APART * abs(height):
                return True
        return False

    def _travels(self, sign: int, n: int) -> bool:
        """Whether it is something that moves on: on two more frames, one after the other, such a
        spot is where a steady way leads.

        Dirt is gray. What has a color is a thing if it is seen on one of the frames beside it; at a
        shot's end, where it may just have come, or be about to go, it is one in any case.
        """
        own = self._of(0, sign)
        box = own.box(n, _RING + RIM + 1)
        colored = self._colored(box, own.where(n, box))
        if colored and self.near[0] * self.near[1] > 0:
            return True
        ways = {k: self._ways(k, sign, n) / k for k in self.others}  # in pixels a frame
        if colored and any(len(ways[k]) for k in self.near):
            return True
        for one, two in ((-1, 1), (1, 2), (-1, -2)):
            if one not in ways or two not in ways:
                continue
            for way in ways[one]:
                slack = _STEADY[0] + _STEADY[1] * float(np.abs(way).max())
                if (np.abs(ways[two] - way).max(-1) <= slack).any():
                    return True
        return False

    def _colored(self, box: Box, where: Mask) -> bool:
        """Whether a spot has a color of its own: neither gray, nor what is around it, nor between,
        as thinned chroma makes it."""
        if self.color is None:
            return False
        here = self.color[box]
        own, around = here[where].mean(0), here[~where].mean(0)
        share = float(np.clip((own * around).sum() / max(float((around**2).sum()), 1e-9), 0, 1))
        return float(np.hypot(*(own - share * around))) > _COLORED

    def _hides(self, box: Box, where: Mask, ring: Mask, sign: int) -> bool:
        """Whether a spot is beyond nearly all that is around it, as dirt is, which lies before the
        picture; a lid that closes looks like the face beside it."""
        spot, around = (
            np.percentile(sign * self.own[box][part], 100 - share)
            for part, share in zip((where, ring), _HIDES, strict=True)
        )
        return bool(spot > around)

    def _sources(self, box: Box, where: Mask, ring: Mask, sign: int) -> tuple[CleanPlace, ...]:
        """The neighbors that look around a spot as this frame does and do not have the spot:
        both, or one that is beyond doubt; none if they have something else of its shape there,
        which is a thing whose light has changed."""
        noise = float((2 * self.sigma[box][ring] ** 2).mean()) * _RING_SIGMAS**2
        found = []
        for k in self.near:
            match = matched(self.others[k], self.own, box, ring)
            patch = beside(self.others[k], box, match.down, match.across)
            contrast = sign * (self.own[box] - patch)
            mean = float(contrast[where].mean())
            limit = max(noise, (_RING_CONTRAST * mean) ** 2)
            if match.error > limit or mean <= 0 or not (contrast > self.bar[box])[where].any():
                continue
            shape = abs(float(patch[where].mean() - patch[ring].mean()))
            if shape > max(_SHAPE * float(patch[ring].std()), _SHAPE_CONTRAST * mean):
                return ()
            found.append((match.error / limit, CleanPlace(k, match.down, match.across)))
        if len(found) == 1 and found[0][0] > _SURE:
            return ()
        return tuple(source for _, source in found)


def _ring(where: Mask) -> Mask:
    """The pixels around a spot, beyond its soft edge."""
    near = cv2.dilate(where.astype(np.uint8), np.ones((3, 3), np.uint8))
    wide = cv2.dilate(near, np.ones((2 * _RING + 1,) * 2, np.uint8))
    ring: Mask = (wide > 0) & (near == 0)
    return ring
