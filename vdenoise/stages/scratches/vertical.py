"""Vertical scratches: thin lines over most of the height, worn in by a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from vdenoise.motion.warp import warp
from vdenoise.picture.block import Accuracy, Block, Signal, join_signals, window
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import resize_to, subsampling
from vdenoise.stages.base import Footprint, Need, Role, Stage, param
from vdenoise.stages.scratches.lifting import Plane, lifted

Lines = list[tuple[int, int]]  # first and last column of each

_PARTS = 12  # of the height; a line is looked for in each
_MOST = 0.55  # of the parts must show it
_BESIDE = 4  # px on each side that a line is compared with
_STEEP = 5.0  # sigmas of a part's mean, that a line stands out by
_TEXTURE = 2.5  # times what columns usually stand out by
_FEW = 0.06  # of the columns; where more stand out it is stripes in the picture
_STEADY = 0.8  # of the frames around must show it
_WANDERS = 2  # px that a line may lie beside where it is in the mean of the frames around
_FOOT = 0.2  # of its contrast: what has less is beside it
_SWAYS = (-0.5, 0.0, 0.5)  # px that a scratch may lie elsewhere in another frame
_GOES = 0.4  # times as unlike where the picture went as where it is now: a thing of the picture
_HOLDS = 8  # px on each side of a line where motion may be held by it


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
        4, "Frames looked at on each side: a scratch stays while the picture moves.", low=0, high=8
    )

    @property
    def reach(self) -> int:
        """Frames that the radius names."""
        return self.radius

    @property
    def needs(self) -> frozenset[Need]:
        """Motion, to see below a line what other frames show there."""
        return frozenset({"motion"})

    @property
    def motion_accuracy(self) -> Accuracy:
        """What is fetched is compared beside the line."""
        return "fast"

    @property
    def footprint(self) -> Footprint:
        """Whole frames: a scratch is known by its length."""
        return Footprint(whole=True, scratch=12)

    def denoise(self, block: Block) -> Block:
        """Search luma; chroma is repaired at the same places."""
        profiles = [_profiles(_plane(pixels), self.width) for pixels in block.luma.pixels]
        done = []
        for t in block.wanted:
            luma = block.frame(t).luma
            sigma = block.noise.luma.sigma_at(luma.pixels) * luma.residual
            seen = window(block.first + t, self.radius, block.shot_first, block.shot_last)
            around = {n - block.first: profiles[n - block.first] for n in seen}
            grain = float(sigma.mean()) * max(block.noise.grain_area, 1) ** 0.5
            error = grain / max(1.0, luma.pixels.shape[-2] / _PARTS) ** 0.5
            lines = self._worn(block, t, self._lines(t, around, error), around)
            done.append(
                block.frame(t).map(Signal.copy) if not lines[t] else self._frame(block, t, lines)
            )
        return block.with_picture(Picture.join(done, join_signals))

    def _worn(
        self, block: Block, t: int, lines: dict[int, Lines], around: Mapping[int, Plane]
    ) -> dict[int, Lines]:
        """Lines that do not go with the picture beside them: what does is a thing in it."""
        assert block.motion is not None, "the planner gives motion to a stage that needs it"
        flows = {k: block.motion.flow(t, k).float().cpu().numpy() for k in lines if k != t}
        width = block.luma.pixels.shape[-1]
        worn = []
        for line in lines[t]:
            goes = stays = 0.0
            for k, flow in flows.items():
                goes += _unlike(around[t], around[k], line, _ways_beside(flow, line, width))
                stays += _unlike(around[t], around[k], line, _SWAYS)
            worn.append(goes >= _GOES * stays)
        return {k: list(compress(found, worn)) for k, found in lines.items()}

    def _frame(self, block: Block, t: int, lines: dict[int, Lines]) -> Picture[Signal]:
        """A frame without its lines; ``lines`` are those of all frames around, too."""
        assert block.motion is not None, "the planner gives motion to a stage that needs it"
        width = block.luma.pixels.shape[-1]
        flows = {
            k: _past(block.motion.flow(t, k).float().cpu(), lines[t], width)
            for k in sorted(lines.keys() - {t}, key=lambda k: (abs(k - t), k))
        }

        def mended(signal: Signal, noise: NoiseTable) -> Signal:
            down, across = subsampling(block.luma.pixels, signal.pixels)
            scale = (1 / across, 1 / down)
            now = signal.pixels[t].float().cpu()
            sigma = float(
                noise.sigma_at(resize_to(block.luma.pixels[t : t + 1], signal.pixels)).mean()
            )
            others = []
            for k, flow in flows.items():
                clear = torch.ones(1, *now.shape[1:])
                for start, stop in (_columns(line, across, now.shape[-1]) for line in lines[k]):
                    clear[..., start:stop] = 0
                moved = warp(signal.pixels[k].float().cpu(), flow, scale)
                there = (warp(clear, flow, scale) > 0.99).float()
                others.append((moved.numpy(), there[0].numpy()))
            found = now.numpy().copy()
            for line in lines[t]:
                columns = _columns(line, across, now.shape[-1])
                for c, plane in enumerate(found):
                    fetched = [(moved[c], clear) for moved, clear in others]
                    plane[:, slice(*columns)] = lifted(plane, columns, fetched, sigma)
            fixed = torch.from_numpy(found).to(signal.pixels)[None]
            own = signal[t : t + 1]
            share = min(1.0, self.strength)
            return Signal(torch.lerp(own.pixels, fixed, share), own.residual.clone())

        return block.picture.pair(block.noise.picture, mended)

    def _lines(self, t: int, around: Mapping[int, Plane], error: float) -> dict[int, Lines]:
        """First and last column of each scratch of frame ``t``, in it and in the frames around,
        from `_profiles` of all; ``error`` is the noise of one."""
        own = around[t]
        stack = np.stack(list(around.values()))
        mean = stack.mean(0)
        texture = 1.4826 * np.median(np.abs(mean), axis=1, keepdims=True)
        bar = np.maximum(_STEEP * error / len(around) ** 0.5, _TEXTURE * texture)
        bar = np.maximum(bar, self.floor / 255) / max(self.strength, 0.1)
        runs = []
        for sign in (1, -1):
            steady = (sign * stack > 0.4 * bar).mean(0) >= _STEADY
            votes = ((sign * mean > bar) & steady).astype(np.uint8)
            votes = cv2.dilate(votes, np.ones((1, 3), np.uint8)).sum(0)
            columns = np.flatnonzero(votes >= _MOST * len(mean))
            for run in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
                if 0 < len(run) <= self.width + 4:
                    runs.append((sign, int(run[0]), int(run[-1])))
        runs.sort(key=lambda run: run[1])
        found = {k: [_here(there, *run, bar) for run in runs] for k, there in around.items()}
        wide = sum(last - first + 1 for first, last in found[t])
        return found if wide <= _FEW * own.shape[1] else {k: [] for k in around}


def _here(own: Plane, sign: int, first: int, last: int, bar: Plane) -> tuple[int, int]:
    """Where a scratch that is known to be about here lies in this frame: it wanders."""
    start, stop = max(0, first - _WANDERS), min(own.shape[1], last + 1 + _WANDERS)
    usual = np.median(sign * own[:, start:stop], axis=0)
    shows = (sign * own[:, start:stop] > 0.4 * bar).mean(0) > 0.3
    where = np.flatnonzero(shows | (usual > _FOOT * usual.max()))
    if not shows.any():
        return first, last
    peak = int(usual.argmax())
    runs = np.split(where, np.flatnonzero(np.diff(where) > 1) + 1)
    run = next((r for r in runs if peak in r), where)
    return start + int(run[0]), start + int(run[-1])


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


def _columns(line: tuple[int, int], across: int, width: int) -> tuple[int, int]:
    """First column and one past the last, with the soft edges of a line, in a plane of which one
    column is ``across`` of luma."""
    return max(0, line[0] // across - 1), min(width, line[1] // across + 2)


def _past(flow: Tensor, lines: Lines, width: int) -> Tensor:
    """Motion that goes straight across lines: at them it is that of the line."""
    found = flow.numpy().copy()
    columns = found.shape[-1]
    for first, last in lines:
        start = max(0, int((first - _HOLDS) * columns / width))
        stop = min(columns - 1, -int(-(last + 1 + _HOLDS) * columns // width))
        way = np.linspace(0, 1, stop - start + 1, dtype=np.float32)
        one, two = found[..., start : start + 1], found[..., stop : stop + 1]
        found[..., start : stop + 1] = one + (two - one) * way
    return torch.from_numpy(found)


def _unlike(own: Plane, other: Plane, line: tuple[int, int], ways: Sequence[float]) -> float:
    """How far a line looks different in another frame, where it is most alike of the places that
    lie so many pixels farther to the right."""
    start, stop = max(0, line[0] - 2), min(own.shape[1], line[1] + 3)
    columns = np.arange(own.shape[1])
    there = [
        [np.interp(columns[start:stop] + way, columns, part) for part in other] for way in ways
    ]
    off: float = ((np.array(there) - own[:, start:stop]) ** 2).mean((1, 2)).min()
    return off


def _ways_beside(flow: Plane, line: tuple[int, int], width: int) -> list[float]:
    """How far the picture moves across on both sides of a line, luma pixels."""
    columns = flow.shape[-1]
    places = (line[0] - _HOLDS, line[1] + _HOLDS)
    inside = [x * columns // width for x in places if 0 <= x < width]
    return [float(np.median(flow[0, :, x])) for x in inside]
