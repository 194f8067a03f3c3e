"""Pixels of a sensor that shine or are dead: at the same place in every frame."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import torch
from pydantic import model_validator
from torch import Tensor
from torch.nn import functional

from vdenoise.motion.warp import resize
from vdenoise.picture.block import Accuracy, Block, Signal, join_signals, window
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import resize_to, subsampling
from vdenoise.picture.windows import pad, shift
from vdenoise.stages.base import Footprint, Need, Role, Stage, StageFile, param
from vdenoise.stages.hot.known import MapFile, at_density, bad_pixels, check_map

_WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))  # there and back: a pixel lies between two of each
_APART = 2  # px: a demosaiced pixel has made a cross of itself
_WAY = (0.75, 1.75)  # px that the picture has moved within the window, from and to which it counts
_NEARBY = 31  # px: side of the square whose farthest way counts; a pixel that stays holds motion up
_ALONE = 1.0  # times what pixels around it span: beyond that it is a defect, though nothing moves
_SHOWS = 0.4  # of its usual contrast: in a frame with less it does not show, and ...
_OFTEN = 0.7  # ... in so many frames it must
_FLAT = 1.0 / 255  # of two opposite neighbors that differ by much less none is the better guess


class HotPixels(Stage):
    """Takes out what pixels differ by from their neighbors in every frame, while the picture around
    them moves on.

    A pixel must lie beyond the mean of opposite neighbors in all four ways, so that no line is one,
    though a line that moves along itself stays where it is. What stands out of a still picture may
    be a star or a lamp: it is left alone unless ``still`` is set. A demosaiced pixel has made a
    cross of it, so the pixels next to it are corrected where they, too, stand out all the time.
    """

    slot: ClassVar[str] = "hot"
    method: ClassVar[str] = "fixed"
    role: ClassVar[Role] = "repair"

    radius: int = param(
        8,
        "Frames looked at on each side: more find pixels where it takes long until the picture "
        "moves.",
        low=1,
        high=12,
    )
    threshold: float = param(
        4.0, "How far they must stand out, in sigmas of a mean over all frames.", low=2.0, high=20.0
    )
    floor: float = param(
        4.0, "Least contrast, however low the noise.", low=0.5, high=64.0, unit="8-bit codes"
    )
    still: bool = param(False, "Also where nothing moves and it may be a point of the picture.")
    map: str = param(
        "",
        "Picture of the clip's size that is white where a pixel is known to be bad: these are "
        "replaced, in a still picture and a single frame too, and no others are looked for.",
    )

    @model_validator(mode="after")
    def _map_is_a_picture(self) -> Self:
        """Read it now: a missing file is said before the start, not in the middle."""
        if self.map:
            bad_pixels(self.map)
        return self

    @property
    def files(self) -> tuple[StageFile, ...]:
        """The map."""
        return (MapFile(Path(self.map)),) if self.map else ()

    def check(self, info: ClipInfo) -> None:
        """See that the map is of the clip's size."""
        if self.map:
            check_map(self.map, info.height, info.width, by_field=info.by_field)

    @property
    def reach(self) -> int:
        """Frames that the radius names."""
        return self.radius

    @property
    def needs(self) -> frozenset[Need]:
        """Motion, to know what moves past a pixel."""
        return frozenset(() if self.still or self.map else {"motion"})

    @property
    def motion_accuracy(self) -> Accuracy:
        """Whether it moves is all that counts."""
        return "fast"

    @property
    def footprint(self) -> Footprint:
        """Whole frames: motion has no bounded halo."""
        return Footprint(whole=True, scratch=30)

    def denoise(self, block: Block) -> Block:
        """Correct luma, and Cb and Cr each for itself."""
        moves = [] if self.map else [self._moves(block, t) for t in block.wanted]
        found = block.picture.pair(block.noise.picture, partial(self._signal, block, moves))
        return block.with_picture(found)

    def found(self, block: Block) -> tuple[Tensor, Tensor]:
        """Look for hot pixels in the one frame that a block wants.

        Returns:
            (H, W) booleans: where luma or chroma has one; and where that can be told, as the
            picture moves.
        """
        (t,) = block.wanted
        size = block.luma.pixels.shape[-2:]
        moves = self._moves(block, t)
        where = torch.zeros(size, dtype=torch.bool)
        planes = block.picture.pair(block.noise.picture, lambda signal, noise: (signal, noise))
        for signal, noise in planes.planes:
            around = signal.pixels[self._around(block, t)]
            contrast = torch.cat([_contrast(frame[None]) for frame in around])
            own = signal.pixels[t : t + 1]
            level = resize_to(block.luma.pixels[t : t + 1], own)
            share = self._share(contrast, noise.sigma_at(level)) * resize_to(moves, own)
            share = (share * _isolated(share)).amax(1)[0]
            down, across = subsampling(block.luma.pixels, own)
            whole = share.repeat_interleave(down, 0).repeat_interleave(across, 1)
            where |= (whole > 0.5)[: size[0], : size[1]].cpu()
        return where, (moves[0, 0] > 0.5).cpu()

    def _around(self, block: Block, t: int) -> list[int]:
        seen = window(block.first + t, self.radius, block.shot_first, block.shot_last)
        return [n - block.first for n in seen]

    def _moves(self, block: Block, t: int) -> Tensor:
        """(1, 1, H, W): 1 where the picture moves past its place within the window.

        Motion is followed from frame to frame: over a whole window it is seldom known.
        """
        around = self._around(block, t)
        luma = block.luma.pixels[t : t + 1]
        if self.still or len(around) < 3:
            return torch.ones_like(luma)
        assert block.motion is not None, "the planner gives motion to a stage that needs it"
        steps = torch.stack([block.motion.flow(a, b) for a, b in pairwise(around)])
        places = functional.pad(steps.cumsum(0), (0, 0) * 3 + (1, 0))
        way = (places.amax(0) - places.amin(0)).square().sum(0).sqrt()[None, None]
        side = max(1, round(_NEARBY * way.shape[-1] / luma.shape[-1]) // 2) * 2 + 1
        way = functional.avg_pool2d(pad(way, side // 2), side, 1)
        low, high = _WAY
        share = ((way - low) / (high - low)).clamp(0, 1)
        return resize(share[0, 0], (luma.shape[-2], luma.shape[-1]))[None, None].to(luma)

    def _signal(
        self, block: Block, moves: list[Tensor], signal: Signal, noise: NoiseTable
    ) -> Signal:
        done = []
        first = block.wanted.start
        if self.map:
            ratio = subsampling(block.luma.pixels, signal.pixels)
            share = at_density(self.map, signal.pixels, ratio)
            return join_signals([self._repaired(block, t, signal, share) for t in block.wanted])
        seen = sorted({n for t in block.wanted for n in self._around(block, t)})
        contrast = {n: _contrast(signal.pixels[n : n + 1]) for n in seen}
        for t in block.wanted:
            around = self._around(block, t)
            own = signal[t : t + 1]
            if len(around) < 3:
                done.append(own.copy())
                continue
            level = resize_to(block.luma.pixels[t : t + 1], own.pixels)
            share = self._share(torch.cat([contrast[n] for n in around]), noise.sigma_at(level))
            if self.still:  # detail stands out as well, but not alone
                share *= _stands_alone(signal.pixels[around].mean(0, keepdim=True))
            share = share * resize_to(moves[t - first], own.pixels)
            done.append(self._repaired(block, t, signal, share * _isolated(share)))
        return join_signals(done)

    def _repaired(self, block: Block, t: int, signal: Signal, share: Tensor) -> Signal:
        """One frame without what its pixels are off by, as far as (1, C or 1, h, w) says."""
        own = signal[t : t + 1]
        share = share.expand_as(own.pixels)
        fixed = _mended(signal.pixels[self._around(block, t)], own.pixels, share)
        kept = 1 - 0.2 * share.amax(1, keepdim=True)  # of the noise: seldom beyond those around
        return Signal(fixed, own.residual * kept)

    def _share(self, contrast: Tensor, sigma: Tensor) -> Tensor:
        """(1, C, H, W): 1 where pixels stand out in nearly all of the frames.

        Args:
            contrast: (T, C, H, W) from `_contrast`.
            sigma: (1, C, H, W) of the noise.
        """
        error = sigma * math.sqrt(math.pi / 2 / len(contrast))
        bar = (self.threshold * error).clamp(min=self.floor / 255) / self.strength
        share = torch.zeros_like(sigma)
        some = contrast.mean(0, keepdim=True).abs() > 0.5 * bar  # few: medians cost time
        those = contrast[some.expand_as(contrast)].view(len(contrast), -1)
        middle = those.median(0).values
        often = (those * middle.sign() > _SHOWS * middle.abs()).to(those).mean(0) >= _OFTEN
        share[some] = ((middle.abs() / bar[some] - 1) * 4).clamp(0, 1) * often
        return share


def _pairs(pixels: Tensor, apart: int) -> list[tuple[Tensor, Tensor]]:
    """The pixels on both sides of each, so far apart, in four ways."""
    padded = pad(pixels, apart)
    return [
        (
            shift(padded, apart * dy, apart * dx, apart),
            shift(padded, -apart * dy, -apart * dx, apart),
        )
        for dy, dx in _WAYS
    ]


def _contrast(pixels: Tensor) -> Tensor:
    """Measure by how much pixels lie above (or, negative, below) the mean of opposite neighbors in
    every way that a line may go: a line or an edge has none."""
    beyond = [pixels - (a + b) / 2 for a, b in _pairs(pixels, _APART)]
    low = torch.stack(beyond).amin(0)
    high = torch.stack(beyond).amax(0)
    return low.clamp(min=0) + high.clamp(max=0)


def _guess(pixels: Tensor) -> Tensor:
    """Pixels from those around them, along edges: of opposite ones most counts what is alike."""
    total, weights = torch.zeros_like(pixels), torch.zeros_like(pixels)
    for a, b in _pairs(pixels, 1):
        weight = 1 / ((a - b).square() + _FLAT**2)
        total += weight * (a + b) / 2
        weights += weight
    return total / weights


def _mended(around: Tensor, own: Tensor, share: Tensor) -> Tensor:
    """A frame without what its pixels are off by in all frames around. What that leaves lies
    within what is beside it, so that a pixel that is clipped, or shines more in the light, is
    no hole."""
    where = (share > 0).expand_as(own)
    if not where.any():
        return own.clone()
    off = torch.stack([(n - _guess(n))[where[0]] for n in around])
    beside = torch.stack([x[where] for pair in _pairs(own, 1) for x in pair])
    found = (own[where] - off.median(0).values).clamp(beside.amin(0), beside.amax(0))
    fixed = own.clone()
    fixed[where] = torch.lerp(own[where], found, share[where])
    return fixed


def _stands_alone(pixels: Tensor) -> Tensor:
    """Where a pixel exceeds the eight around it by more than these span."""
    beside = torch.stack([x for pair in _pairs(pixels, 1) for x in pair])
    high, low = beside.amax(0), beside.amin(0)
    return torch.maximum(pixels - high, low - pixels) > _ALONE * (high - low)


def _isolated(share: Tensor) -> Tensor:
    """0 where many pixels of a neighborhood stand out: that is a thing, not a pixel."""
    crowd = functional.avg_pool2d(pad((share > 0).to(share), 3), 7, 1) * 49
    return (crowd <= 9).to(share)
