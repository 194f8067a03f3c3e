"""Pixels of a sensor that shine or are dead: at the same place in every frame."""

from __future__ import annotations

import math
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.motion.warp import resize
from vdenoise.picture.block import Accuracy, Block, Signal, join_signals, window
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import resize_to
from vdenoise.picture.windows import pad, shift
from vdenoise.stages.base import Footprint, Need, Role, Stage, param

_AROUND = tuple(
    (dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if max(abs(dy), abs(dx)) == 2
)
_NEXT = tuple((dy, dx) for dy in range(-1, 2) for dx in range(-1, 2) if (dy, dx) != (0, 0))
_WAY = (0.75, 1.75)  # px that the picture has moved within the window, from and to which it counts
_NEARBY = 31  # px: side of the square whose farthest way counts; a pixel that stays holds motion up
_ALONE = 1.0  # times what pixels around it span: beyond that it is a defect, though nothing moves
_SPREAD = 0.4  # an offset that varies more than by such a share of itself belongs to the picture


class HotPixels(Stage):
    """Replaces pixels that stand out of their neighborhood by the same amount in every frame, while
    the picture around them moves on.

    What stands out of a still picture may be a star or a lamp: it is left alone unless ``still`` is
    set. A demosaiced pixel has made a cross of it, so the pixels next to it are corrected where
    they, too, stand out all the time.
    """

    slot: ClassVar[str] = "hot"
    method: ClassVar[str] = "fixed"
    role: ClassVar[Role] = "repair"

    radius: int = param(4, "Frames looked at on each side.", low=1, high=12)
    threshold: float = param(
        4.0, "How far they must stand out, in sigmas of a mean over all frames.", low=2.0, high=20.0
    )
    floor: float = param(
        4.0, "Least contrast, however low the noise.", low=0.5, high=64.0, unit="8-bit codes"
    )
    still: bool = param(False, "Also where nothing moves and it may be a point of the picture.")

    @property
    def reach(self) -> int:
        """Frames that the radius names."""
        return self.radius

    @property
    def needs(self) -> frozenset[Need]:
        """Motion, to know what moves past a pixel."""
        return frozenset(() if self.still else {"motion"})

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
        moves = [self._moves(block, t) for t in block.wanted]
        found = block.picture.pair(block.noise.picture, partial(self._signal, block, moves))
        return block.with_picture(found)

    def _around(self, block: Block, t: int) -> list[int]:
        seen = window(block.first + t, self.radius, block.shot_first, block.shot_last)
        return [n - block.first for n in seen]

    def _moves(self, block: Block, t: int) -> Tensor:
        """(1, 1, H, W): 1 where the picture moves past its place within the window."""
        around = self._around(block, t)
        luma = block.luma.pixels[t : t + 1]
        if self.still or len(around) < 3:
            return torch.ones_like(luma)
        assert block.motion is not None, "the planner gives motion to a stage that needs it"
        ends = {around[0], around[-1]} - {t}
        ways = [block.motion.flow(t, k).square().sum(0).sqrt() for k in ends]
        way = torch.stack(ways).amax(0)[None, None]
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
        for t in block.wanted:
            around = self._around(block, t)
            if len(around) < 3:
                done.append(signal[t : t + 1])
                continue
            pixels = signal.pixels[around]
            off = pixels - _median(pixels, _AROUND)
            middle = off.median(0, keepdim=True).values
            spread = (off - middle).abs().median(0, keepdim=True).values * 1.4826
            level = resize_to(block.luma.pixels[t : t + 1], pixels)
            sigma = noise.sigma_at(level)
            error = torch.maximum(spread, sigma) * math.sqrt(math.pi / 2 / len(around))
            bar = (self.threshold * error).clamp(min=self.floor / 255) / self.strength
            steady = spread < _SPREAD * middle.abs() + 0.5 * sigma
            if self.still:  # detail stands out as well, but not alone
                steady &= _stands_alone(pixels.median(0, keepdim=True).values)
            steady &= (off * middle.sign() > 0).float().mean(0, keepdim=True) > 0.85
            share = ((middle.abs() / bar - 1) * 4).clamp(0, 1) * steady
            share = share * resize_to(moves[t - first], pixels)
            share = share * _isolated(share)
            own = signal[t : t + 1]
            fill = _median(own.pixels, _NEXT)
            kept = 1 - 0.5 * share.amax(1, keepdim=True)  # of the noise, by a median of eight
            done.append(Signal(torch.lerp(own.pixels, fill, share), own.residual * kept))
        return join_signals(done)


def _stands_alone(pixels: Tensor) -> Tensor:
    """Where a pixel exceeds the eight around it by more than these span."""
    padded = pad(pixels, 2)
    beside = torch.stack([shift(padded, dy, dx, 2) for dy, dx in _NEXT])
    high, low = beside.amax(0), beside.amin(0)
    return torch.maximum(pixels - high, low - pixels) > _ALONE * (high - low)


def _median(pixels: Tensor, offsets: tuple[tuple[int, int], ...]) -> Tensor:
    """The median of the pixels at some offsets from each."""
    padded = pad(pixels, 2)
    return torch.stack([shift(padded, dy, dx, 2) for dy, dx in offsets]).median(0).values


def _isolated(share: Tensor) -> Tensor:
    """0 where many pixels of a neighborhood stand out: that is a thing, not a pixel."""
    crowd = functional.avg_pool2d(pad((share > 0).to(share), 3), 7, 1) * 49
    return (crowd <= 9).to(share)
