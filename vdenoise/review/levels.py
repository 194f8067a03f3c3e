"""Shifts of levels between a source and its result, plane by plane, over a clip."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.review.judged import CODE


class ChromaSwap:
    """Whether a clip's Cb and Cr stand in each other's place: by the means of cells, in which there
    is little noise, so that it is seen where a level holds all kinds of colors."""

    _CELL = 8  # chroma samples
    _FITS = 0.5  # share of the squared error with which the swapped planes fit far better
    _LEAST = 1.0  # codes between planes that can be told apart

    def __init__(self) -> None:
        self._own = self._swapped = 0.0
        self._frames = 0

    def push(self, source: Tensor, result: Tensor) -> None:
        """Count a frame: Cb and Cr (2, h, w) of source and result."""
        side = [min(self._CELL, n) for n in source.shape[-2:]]
        before, after = (functional.avg_pool2d(x[None], side)[0] for x in (source, result))
        self._own += float((after - before).square().mean())
        self._swapped += float((after - before.flip(0)).square().mean())
        self._frames += 1

    def shift(self) -> float | None:
        """Codes by which colors are off, where the planes are swapped; else None."""
        off = math.sqrt(self._own / max(self._frames, 1)) / CODE
        return off if off > self._LEAST and self._swapped < self._FITS * self._own else None


class Levels:
    """Shift of each plane at each level of brightness, over a clip.

    Noise that lies askew, as light of a camera behind a curve does, has its mean at one level and
    its middle at another, and the clean picture is nearer to its middle, or beyond it: the curve
    bends the noise of each photosite, which keeps its own middle, and a pixel is a mean of several,
    which lie less askew than each. So a result may lie as far beyond the middle as that tells, and
    as the curve of a screen makes of noise of this strength. A shift of color moves both.

    Args:
        planes: how many.
        cell: px, side of the cells that have a level.
        flat: most change between neighboring cells that are counted; None counts all, as for cells
            so large that detail, which may be lost, has no mean in them.
        fewest: cells of a level that say anything.
    """

    LEVELS = 16
    _DARKEST, _BRIGHTEST = 0.06, 0.94  # beyond, clipped noise has a mean of its own
    _OF_PIXEL = 6.0  # photosites whose mean a pixel is: three colors, each between two or more
    _BEND = 0.6  # half of gamma - 1 (2.2): noise of s codes at level y loses _BEND * s^2 / y
    _STRONGEST = 3.0  # variance of a plane's noisiest color, by that of their mean
    _OF_COLOR = 0.5  # so far from a bent luma its colors lie, where white balance lifted one
    _FARTHEST, _BINS = 64 * CODE, 1025  # histogram of what was removed, in eighths of a code

    def __init__(
        self, planes: int, cell: int = 4, flat: float | None = 0.02, fewest: int = 400
    ) -> None:
        self._cell, self._flat, self._fewest = cell, flat, fewest
        self._frames = 0
        self.total = torch.zeros(planes, self.LEVELS, dtype=torch.float64)
        self.squares = torch.zeros_like(self.total)
        self.count = torch.zeros(self.LEVELS, dtype=torch.float64)
        self.histogram = torch.zeros(planes, self.LEVELS, self._BINS, dtype=torch.float64)

    def push(self, removed: Tensor, luma: Tensor) -> None:
        """Count a frame: what was removed of planes (C, H, W), by the clean luma (1, H, W)."""
        self._frames += 1
        if min(luma.shape[-2:]) < self._cell:
            return
        # By the level that the source has: light that pulses would move cells from one to another
        level = functional.avg_pool2d((luma + removed[:1].mean())[None], self._cell)[0]
        height, width = (self._cell * n for n in level.shape[-2:])
        samples = functional.pixel_unshuffle(removed[:, None, :height, :width], self._cell)
        inside = (level > self._DARKEST) & (level < self._BRIGHTEST)
        if self._flat is not None:
            around = functional.pad(level[None], (1, 1, 1, 1), mode="replicate")[0]
            span = functional.max_pool2d(around, 3, 1) + functional.max_pool2d(-around, 3, 1)
            inside &= span < self._flat
        which = inside.flatten()
        place = (level.flatten()[which] * self.LEVELS).long().clamp(0, self.LEVELS - 1)
        self.count.index_add_(0, place, torch.ones_like(place, dtype=torch.float64))
        for n, plane in enumerate(samples.flatten(2)):
            cells = plane[:, which]
            mean = cells.mean(dim=0).double()
            self.total[n].index_add_(0, place, mean)
            self.squares[n].index_add_(0, place, mean.square())
            bins = (cells / self._FARTHEST + 1).mul((self._BINS - 1) / 2).round().long()
            bins = bins.clamp(0, self._BINS - 1) + place * self._BINS
            found = torch.bincount(bins.flatten(), minlength=self.LEVELS * self._BINS)
            self.histogram[n] += found.reshape(self.LEVELS, self._BINS)

    def worst(self) -> tuple[float, int, int]:
        """Codes beyond chance, plane and level of the greatest shift."""
        known = self.count >= self._fewest
        count = self.count.clamp(min=1)
        mean = self.total / count
        # What is lost of detail is lost in every frame: it is counted once
        apart = count if self._flat is not None else (count / max(self._frames, 1)).clamp(min=1)
        error = ((self.squares / count - mean.square()).clamp(min=0) / apart).sqrt()
        askew = self._middles() - mean
        most = self._bent()
        bent = (self._OF_PIXEL * askew).clamp(-most, most)
        ends = torch.stack((mean, mean + askew, mean + bent))
        aside = self._OF_COLOR * bent[:1].abs()  # what bends colors unlike shifts their difference
        aside = torch.cat((torch.zeros_like(aside), aside.expand(len(mean) - 1, -1)))
        shift = torch.zeros_like(mean).clamp(ends.amin(0) - aside, ends.amax(0) + aside)
        shift = (shift.abs() - 4 * error).clamp(min=0) * known / CODE
        plane, level = divmod(int(shift.argmax()), self.LEVELS)
        return float(shift[plane, level]), plane, level

    def _bent(self) -> Tensor:
        """The most that a curve takes from levels (planes, levels): half its second derivative
        times the variance (of a power of light, by its slope)."""
        values = torch.linspace(-self._FARTHEST, self._FARTHEST, self._BINS, dtype=torch.float64)
        count = self.histogram.sum(-1).clamp(min=1)
        mean = (self.histogram * values).sum(-1) / count
        variance = (self.histogram * values.square()).sum(-1) / count - mean.square()
        level = (torch.arange(self.LEVELS) + 0.5) / self.LEVELS
        return self._BEND * self._STRONGEST * variance / level

    def _middles(self) -> Tensor:
        """Medians (planes, levels), between samples that are whole codes where their ranks lie:
        the inverse of the mid-distribution function (Parzen 2004)."""
        values = np.linspace(-self._FARTHEST, self._FARTHEST, self._BINS)
        found = np.zeros(self.total.shape)
        for place in np.ndindex(found.shape):
            number = self.histogram[place].numpy()
            there = number > 0
            ranks = (number.cumsum() - number / 2)[there]
            if len(ranks):
                found[place] = np.interp(number.sum() / 2, ranks, values[there])
        return torch.from_numpy(found)
