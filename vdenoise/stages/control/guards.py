"""Guards: what watches the removed signal and gives back what should not have gone with it.

The removed signal should be noise: of the strength that was measured, without picture in it, and
without a mean. Where it is not, a guard steps in, locally and no more than needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.motion.warp import box_mean
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.findings import StageFindings
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import resize_to
from vdenoise.stages.base import Footprint, Need, Stage, noise_present

GUARDS = ("color", "structure", "ghost")

_WINDOW = 7  # px: the energy of the removed signal is taken over such a square
_DEVIATIONS = 3  # of the windowed energy that are chance
_TINY = 1e-12

DRIFT = 0.25 / 255  # largest mean change of a level in flats, full scale
_CELL = 4  # px: drift is measured on the means of such squares
_LEVELS = 16
_FLAT_STEP = 0.02  # luma step between neighboring cells that is still flat
_ERRORS = 2.5  # standard errors of a mean that are chance
_FEWEST = 24  # cells of a level that say anything at all


def excess(removed: Tensor, sigma: Tensor, grain_area: float) -> Tensor:
    """Share of the removed energy that noise does not explain.

    The energy of noise in a window is itself uncertain, the more so the coarser the grain.

    Args:
        removed: (T, C, H, W) what was taken away.
        sigma: (T, C, H, W) of the noise that was there.
        grain_area: `NoiseTable.grain_area`.

    Returns:
        (T, 1, H, W) in [0, 1]: 0 where no more went than noise may hold, near 1 where picture did.
    """
    energy = removed.square().sum(1)
    energy = torch.stack([box_mean(frame, (_WINDOW, _WINDOW)) for frame in energy])[:, None]
    margin = 1 + _DEVIATIONS * math.sqrt(2 * max(grain_area, 1)) / _WINDOW
    expected = sigma.square().sum(1, keepdim=True) * margin
    return (1 - expected / energy.clamp(min=_TINY)).clamp_(0, 1)


def drift(removed: Tensor, luma: Tensor) -> tuple[Tensor, Tensor]:
    """Mean change of each plane at each luma level, in flats of one frame.

    Args:
        removed: (C, H, W) what the chain changes.
        luma: (1, H, W) the clean luma, on the same grid.

    Returns:
        (C, 16) the size of the mean change as far as it is sure, and (C, 16) what of it, with its
        sign, is beyond a quarter of an 8-bit code.
    """
    cells = functional.avg_pool2d(removed[None], _CELL, ceil_mode=True)[0].flatten(1)
    level = functional.avg_pool2d(luma[None], _CELL, ceil_mode=True)
    around = functional.pad(level, (1, 1, 1, 1), mode="replicate")
    span = functional.max_pool2d(around, 3, stride=1) + functional.max_pool2d(-around, 3, stride=1)
    flat = (span < _FLAT_STEP).flatten()
    place = (level.flatten().clamp(0, 1) * _LEVELS).long().clamp_(max=_LEVELS - 1)[flat]
    values = cells[:, flat]

    def summed(x: Tensor) -> Tensor:
        empty = x.new_zeros(x.shape[0], _LEVELS)
        return empty.index_add_(1, place, x)

    count = summed(torch.ones_like(values[:1]))
    mean = summed(values) / count.clamp(min=1)
    variance = (summed(values.square()) / count.clamp(min=1) - mean.square()).clamp(min=0)
    error = (variance / count.clamp(min=1)).sqrt() * _ERRORS
    enough = count[0] >= _FEWEST
    sure = (mean.abs() - error).clamp(min=0) * enough
    beyond = (sure - DRIFT).clamp(min=0) * mean.sign()
    if not bool(enough.any()):
        return sure, beyond
    # A level without flats goes with the nearest one that has some.
    bins = torch.arange(_LEVELS, device=luma.device)
    away = (bins[:, None] - bins).abs() + _LEVELS * ~enough
    return sure, beyond[:, away.argmin(1)]


def without_drift(removed: Tensor, luma: Tensor) -> tuple[Tensor, float]:
    """Take out of a correction what would shift levels.

    Args:
        removed: (C, H, W) correction of one frame.
        luma: (1, H, W) clean luma on the same grid.

    Returns:
        The correction, and the largest drift found, in 8-bit codes.
    """
    found, beyond = drift(removed, luma)
    worst = float(found.max()) * 255
    if not bool(beyond.any()):
        return removed, worst
    place = (luma[0].clamp(0, 1) * _LEVELS - 0.5).clamp_(0, _LEVELS - 1)
    low = place.long().clamp_(max=_LEVELS - 2)
    share = place - low
    shift = beyond[:, low] * (1 - share) + beyond[:, low + 1] * share
    return removed - shift, worst


def sigma_of(block: Block) -> Picture[Tensor]:
    """Look up the measured sigma at each pixel of the core frames: (T, 1, H, W), (T, 2, h, w)."""
    luma = block.luma.pixels[block.core]

    def looked_up(signal: Signal, noise: NoiseTable) -> Tensor:
        level = resize_to(luma, signal.pixels)
        return noise.sigma_at(level) * noise_present(block, level)

    return block.core_picture.pair(block.noise.picture, looked_up)


class GhostGuard(Stage):
    """Takes back what averaging over time did where it took more than noise away.

    Such a place has met another picture: the pixels of the source come back with all of their
    noise, for the spatial stage and the network to remove.
    """

    slot: ClassVar[str] = "guard"
    method: ClassVar[str] = "ghost"

    @property
    def needs(self) -> frozenset[Need]:
        """What averaging is compared with."""
        return frozenset({"original"})

    @property
    def footprint(self) -> Footprint:
        """Whole frames: the picture is judged as one."""
        return Footprint(whole=True, scratch=3)

    def denoise(self, block: Block) -> Block:
        """Mix the source in where the temporal stage is not to be trusted."""
        now, original = block.core_picture, block.core_original
        removed = now.pair(original, lambda signal, before: signal.pixels - before)
        area = block.noise.grain_area
        ghosts = removed.pair(sigma_of(block), lambda gone, sigma: excess(gone, sigma, area))

        def mixed(n: int) -> Signal:
            signal, before, ghost = now.planes[n], original.planes[n], ghosts.planes[n]
            noisy = torch.ones_like(ghost) * noise_present(block, before)
            return Signal(
                torch.lerp(signal.pixels, before, ghost), torch.lerp(signal.residual, noisy, ghost)
            )

        done = block.with_picture(Picture.of([mixed(n) for n in range(len(now.planes))]))
        seen = ghosts.luma
        return done.with_findings(StageFindings(ghost=seen, ghost_share=seen.mean(dim=(1, 2, 3))))


class Tally:
    """What masks covered and what the guards saw and did in a run."""

    def __init__(self) -> None:
        self._frames = 0
        self._guards: dict[str, _Sum] = {}
        self._covers: dict[str, _Sum] = {}

    def add(self, found: StageFindings, index: int) -> None:
        """Count the frame of this absolute number."""
        self._frames += 1
        for name, value in (
            ("drift", found.drift),
            ("structure_share", found.structure_share),
            ("ghost_share", found.ghost_share),
        ):
            if value is not None:
                self._guards.setdefault(name, _Sum()).add(float(value), index)
        for mask, cover in found.covers.items():
            self._covers.setdefault(mask, _Sum()).add(float(cover), index)

    def guards(self) -> dict[str, float]:
        """Sum up the guards that are on: ``structure_share`` and ``ghost_share`` in percent of the
        picture, mean over the frames; ``drift``, the worst, in 8-bit codes; and of each the most
        that a frame had (``..._most``) and which one (``..._frame``)."""
        found: dict[str, float] = {}
        for name, seen in self._guards.items():
            if name == "drift":
                found |= {name: round(seen.most, 4), f"{name}_frame": seen.frame}
            else:
                mean = seen.total / self._frames
                found |= {name: round(100 * mean, 4), f"{name}_frame": seen.frame}
                found[f"{name}_most"] = round(100 * seen.most, 4)
        return found

    def masks(self) -> dict[str, float]:
        """What each mask covers by name, in percent of the picture, mean over the frames."""
        return {
            name: round(100 * seen.total / self._frames, 4) for name, seen in self._covers.items()
        }


@dataclass
class _Sum:
    """A number of each frame, summed up."""

    total: float = 0.0
    most: float = -math.inf
    frame: int = 0  # that had the most

    def add(self, value: float, index: int) -> None:
        self.total += value
        if value > self.most:
            self.most, self.frame = value, index
