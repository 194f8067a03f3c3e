"""Vertical scratches: thin lines over most of the height, worn in by a machine."""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.picture.block import Block, Signal, join_signals, window
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.subsampling import subsampling
from vdenoise.stages.base import Footprint, Role, Stage, param

Plane = NDArray[np.float32]

_PARTS = 12  # of the height; a line is looked for in each
_MOST = 0.55  # of the parts must show it
_BESIDE = 4  # px on each side that a line is compared with
_STEEP = 5.0  # sigmas of a part's mean, that a line stands out by
_TEXTURE = 2.5  # times what columns usually stand out by
_FEW = 0.06  # of the columns; where more stand out it is stripes in the picture
_STEADY = 0.8  # of the frames around must show it
_THROUGH = 0.4  # least share of the picture that is taken to shine through a line
_LONG = 48  # rows over which what a line does is even: the picture under it is kept


class VerticalScratches(Stage):
    """Finds thin vertical lines that go through most of the picture and lifts them off.

    A line stands out of the columns beside it, in the same direction, in most of twelve parts of
    the height and in most of the frames around (Kokaram 1998, with means over time in place of the
    Hough transform). What it adds is evened out along its length and subtracted, so that texture
    and grain below it stay; where that is not all of it, columns from both sides go on into it.
    A thin pole in a still picture looks the same: in such shots masks keep it.
    """

    slot: ClassVar[str] = "scratches"
    method: ClassVar[str] = "vertical"
    role: ClassVar[Role] = "repair"

    width: int = param(3, "Widest line.", low=1, high=8, unit="px")
    floor: float = param(
        3.0, "Least contrast, however low the noise.", low=0.5, high=64.0, unit="8-bit codes"
    )

    radius: int = param(
        2, "Frames looked at on each side: a scratch stays while the picture moves.", low=0, high=8
    )

    @property
    def reach(self) -> int:
        """Frames that the radius names."""
        return self.radius

    @property
    def footprint(self) -> Footprint:
        """Whole frames: a scratch is known by its length."""
        return Footprint(whole=True, scratch=4)

    def denoise(self, block: Block) -> Block:
        """Search luma; chroma is repaired at the same places."""
        profiles = [_profiles(_plane(pixels), self.width) for pixels in block.luma.pixels]
        done = []
        for t in block.wanted:
            now = block.frame(t)
            luma = now.luma
            sigma = block.noise.luma.sigma_at(luma.pixels) * luma.residual
            seen = window(block.first + t, self.radius, block.shot_first, block.shot_last)
            around = [profiles[n - block.first] for n in seen]
            grain = float(sigma.mean()) * max(block.noise.grain_area, 1) ** 0.5
            error = grain / max(1.0, luma.pixels.shape[-2] / _PARTS) ** 0.5
            lines = self._lines(profiles[t], around, error)
            across = [subsampling(luma.pixels, signal.pixels)[1] for signal in now.planes]
            planes = zip(now.planes, across, strict=True)
            done.append(Picture.of([_lifted(s, lines, n, self.strength) for s, n in planes]))
        return block.with_picture(Picture.join(done, join_signals))

    def _lines(self, own: Plane, around: list[Plane], error: float) -> list[tuple[int, int]]:
        """First and last column of each scratch of a frame, from `_profiles` of it and of the
        frames around; ``error`` is the noise of one."""
        stack = np.stack(around)
        mean = stack.mean(0)
        texture = 1.4826 * np.median(np.abs(mean), axis=1, keepdims=True)
        bar = np.maximum(_STEEP * error / len(around) ** 0.5, _TEXTURE * texture)
        bar = np.maximum(bar, self.floor / 255) / max(self.strength, 0.1)
        lines = []
        for sign in (1, -1):
            steady = (sign * stack > 0.4 * bar).mean(0) >= _STEADY
            votes = ((sign * mean > bar) & steady).astype(np.uint8)
            votes = cv2.dilate(votes, np.ones((1, 3), np.uint8)).sum(0)
            columns = np.flatnonzero(votes >= _MOST * len(mean))
            for run in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
                if 0 < len(run) <= self.width + 4:
                    lines.append(_here(own, sign, int(run[0]), int(run[-1]), bar))
        wide = sum(last - first + 1 for first, last in lines)
        return sorted(lines) if wide <= _FEW * own.shape[1] else []


def _here(own: Plane, sign: int, first: int, last: int, bar: Plane) -> tuple[int, int]:
    """Where a scratch that is known to be about here lies in this frame: it wanders."""
    start, stop = max(0, first - 1), min(own.shape[1], last + 2)
    shows = (sign * own[:, start:stop] > 0.4 * bar).mean(0) > 0.3
    where = np.flatnonzero(shows)
    return (start + int(where[0]), start + int(where[-1])) if len(where) else (first, last)


def _profiles(plane: Plane, width: int) -> Plane:
    """(parts, W): how columns stand out of those beside them, in each part of the height."""
    parts = np.array_split(plane, min(_PARTS, len(plane)))
    lines = np.stack([part.mean(0) for part in parts])
    return np.asarray(np.stack([line - _beside(line, width) for line in lines]), np.float32)


def _plane(pixels: Tensor) -> Plane:
    """(1, H, W) to (H, W)."""
    return np.asarray(pixels[0].float().cpu().numpy(), np.float32)


def _beside(line: Plane, width: int) -> Plane:
    """What a column would be without a line there: the median of what is around."""
    reach = width + _BESIDE
    padded = np.pad(line, reach, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    return np.asarray(np.median(windows, axis=-1), np.float32)


def _lifted(signal: Signal, lines: list[tuple[int, int]], across: int, strength: float) -> Signal:
    """A frame without its lines; ``across`` luma columns are one of the signal."""
    pixels, residual = signal.pixels.clone(), signal.residual.clone()
    width = pixels.shape[-1]
    share = min(1.0, strength)
    for first, last in lines:
        start, stop = max(0, first // across - 1), min(width, last // across + 2)
        for c in range(pixels.shape[1]):
            plane = np.asarray(pixels[0, c].float().cpu().numpy(), np.float32)
            fixed = torch.from_numpy(_under(plane, start, stop)).to(pixels)
            pixels[0, c, :, start:stop] += share * (fixed - pixels[0, c, :, start:stop])
    return Signal(pixels, residual)


def _under(plane: Plane, start: int, stop: int) -> Plane:
    """The columns ``start`` to ``stop`` as they are below a line.

    Straight from side to side is the first guess. A line lets a share of the picture through: that
    share is the slope of a column over the guess; what is beside it, evened out over rows, is the
    line's own light. Both taken out, what is left is the picture with its texture and grain.
    """
    width = plane.shape[1]
    one = plane[:, max(0, start - 2) : start] if start else plane[:, stop : stop + 2]
    two = plane[:, stop : stop + 2] if stop < width else one
    low, high = one.mean(1, keepdims=True), two.mean(1, keepdims=True)
    way = (np.arange(stop - start, dtype=np.float32) + 1) / (stop - start + 1)
    guess = low + (high - low) * way
    seen = plane[:, start:stop]
    from_mean = guess - guess.mean(0)
    power = (from_mean**2).mean(0) + 1e-6
    through = np.clip((from_mean * seen).mean(0) / power, _THROUGH, 1)
    light = cv2.blur(seen - through * guess, (1, _LONG), borderType=cv2.BORDER_REFLECT)
    texture = (seen - light) / through - guess
    # What varies more than beside the line was not even along it: then the guess counts more
    beside = float(np.std(one - one.mean(1, keepdims=True))) + 1e-6
    keep = min(1.0, 3 * beside / (float(texture.std()) + 1e-6))
    return np.asarray(guess + keep * texture, np.float32)
