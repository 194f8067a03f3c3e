"""What clipping did to the mean of the noise: blacks and whites go back to where they were."""

from __future__ import annotations

import math
from functools import cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.picture.block import Block, Signal
from vdenoise.picture.color import (
    CB_VARIANCE,
    CR_VARIANCE,
    KB,
    KG,
    KR,
    LUMA_VARIANCE,
    from_rgb,
    to_rgb,
)
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise_table import LEVELS, NoiseTable
from vdenoise.picture.subsampling import repeat_to, resize_to, subsampling
from vdenoise.stages.base import Footprint, Need, Role, Stage, param

# Variance of luma, and the mean of those of Cb and Cr, under white R'G'B' noise of variance 1.
_LUMA_SHARE = LUMA_VARIANCE
_CHROMA_SHARE = (CB_VARIANCE + CR_VARIANCE) / 2

_CELL = 8  # px: samples are counted in such squares, and these 3 by 3, or for a decision 5 by 5
_NEAR = 1.5  # sigmas from an end within which samples tell how strong the noise is there
_ROUNDING = 1.5 / 255  # Y'CbCr of 8 bits makes R'G'B' that is off by as much
# Of the samples that unclipped noise would have beyond an end: with a seventh there, all of the
# correction is made, with a third of them none.
_ALL, _NONE = 1 / 7, 1 / 3
_FEW, _FEWEST = 0.01, 1e-4  # share of the samples of a neighborhood, a frame, that is chance
_TINY = 1e-12
_STEPS, _FARTHEST = 1024, 4.0  # of the tables; beyond 4 sigmas an end is not felt


class Unclip(Stage):
    """Takes back the shift of blacks and whites that comes from noise clipped at the ends.

    Noise that would leave the range is clipped in the camera or the file, so the mean of a noisy
    black lies above black, and that mean is what any denoiser finds: blacks turn milky, whites
    gray. For Gaussian noise the mean is a known function of level and sigma (Foi 2009, "Clipped
    noisy images"), and this is its inverse, on R', G' and B'. Where the source goes beyond an end,
    noise is not clipped there, and nothing is done.
    """

    slot: ClassVar[str] = "levels"
    method: ClassVar[str] = "unclip"
    role: ClassVar[Role] = "repair"

    strength: float = param(
        1.0, "Share of the shift that is taken back: 0 is off, 1 is all of it.", low=0, high=1
    )

    @property
    def needs(self) -> frozenset[Need]:
        """Where it was clipped."""
        return frozenset({"original"})

    @property
    def footprint(self) -> Footprint:
        """Whole frames: near an end, levels are means over cells of the picture."""
        return Footprint(whole=True, scratch=16)

    def denoise(self, block: Block) -> Block:
        """Correct R'G'B' near both ends; luma and chroma get the change."""
        luma, chroma = block.core_picture
        now = _channels(block.core_picture.map(lambda signal: signal.pixels))
        source = _channels(block.core_original)
        ratio = (1, 1) if chroma is None else subsampling(luma.pixels, chroma.pixels)
        kept = _kept(block.noise.spectrum[0], ratio)
        sigma = _channel_noise(block.noise, kept)
        change, slope = torch.zeros_like(now), torch.ones_like(now)
        for x, y, table, sign in (
            (now, source, sigma, 1),
            (1 - now, 1 - source, sigma.flip(0), -1),
        ):
            shift, steeper = _shift(x, y, table, kept, ratio)
            change -= sign * shift
            slope += steeper
        change *= self.strength
        slope = torch.lerp(torch.ones_like(slope), slope, self.strength).clamp(min=0)
        if chroma is None:
            return block.with_picture(Picture(_changed(luma, change, slope)))
        planes = from_rgb(change)
        grown = (slope.square() * _weights(slope)).sum(1, keepdim=True).div(_LUMA_SHARE).sqrt()
        small = resize_to(planes[:, 1:], chroma.pixels), resize_to(grown, chroma.pixels)
        return block.with_picture(
            Picture(_changed(luma, planes[:, :1], grown), _changed(chroma, *small))
        )


def _changed(signal: Signal, change: Tensor, slope: Tensor) -> Signal:
    """What noise is left near an end is stretched along with the levels."""
    return Signal(signal.pixels + change, (signal.residual * slope).clamp(0, 1))


def _shift(
    now: Tensor, source: Tensor, sigma: Tensor, kept: float, ratio: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """How far the lower end has moved levels, and how much more than 1 the way back is steep.

    Args:
        now: (T, C, H, W) the estimate, 0 at the end.
        source: the same before any stage.
        sigma: (17,) most that noise may have at each level.
        kept: share of its variance that is left at the resolution of chroma.
        ratio: luma pixels per chroma pixel.
    """
    most = _at(sigma, now, 1)
    if not bool((now < _NEAR * most).any()):
        return torch.zeros_like(now), torch.zeros_like(now)
    # Only means over the pixels of a chroma sample are R'G'B' of the clip, every channel for
    # itself: a pixel has the other channels' noise as well.
    coarse = now.new_empty(1, 1, -(-now.shape[-2] // ratio[0]), -(-now.shape[-1] // ratio[1]))
    level, given = resize_to(now, coarse), resize_to(source, coarse)
    near = (level < _NEAR * _at(sigma, level, 1)).to(now)
    weight = _pooled(near).clamp(min=_TINY)
    deviation = (_pooled(near * (given - level).square()) / (weight * kept)).sqrt()
    mean = _pooled(near * level) / weight
    # A neighborhood's deviation over its mean tells both level and sigma of clipped noise.
    local = _spread(deviation * _widening(mean / deviation.clamp(min=_TINY)), now)
    local = torch.minimum(local, most).clamp(min=_TINY)
    clipped = _spread(_evidence(level, given), now)
    shift, steeper = _excess(now / local)
    return clipped * local * shift, clipped * steeper


def _evidence(now: Tensor, source: Tensor) -> Tensor:
    """(T, C, cells): 1 where the noise is clipped at 0, 0 where it is not.

    Noise that is not clipped has as many samples below the end as lie as far above the estimate.
    """
    below = (source < -_ROUNDING).to(now)
    mirrored = (source > 2 * now + _ROUNDING).to(now)
    frame = (below.mean((1, 2, 3)) + _FEWEST) / (mirrored.mean((1, 2, 3)) + 2 * _FEWEST)
    believed = _FEW * frame[:, None, None, None]  # of places that have little to say themselves
    share = (_pooled(below, 5) + believed) / (_pooled(mirrored, 5) + _FEW)
    return ((_NONE - share) / (_NONE - _ALL)).clamp(0, 1)


def _channel_noise(noise: NoiseTable, kept: float) -> Tensor:
    """(17,) sigma of R', G' and B' by level, before clipping, from that of luma and chroma: a part
    common to the channels, which chroma does not see, and a part that each has for itself."""
    sigma = noise.sigma.double()
    if len(sigma) == 1:
        return _unclipped(sigma[0])
    luma = max(sigma[0].square().mean().item(), _TINY)
    own = sigma[1:].square().mean().item() / (_CHROMA_SHARE * kept)
    own = min(own, luma / _LUMA_SHARE)
    return _unclipped(sigma[0] * math.sqrt((luma - _LUMA_SHARE * own + own) / luma))


def _kept(spectrum: Tensor, ratio: tuple[int, int]) -> float:
    """Share of noise variance that averaging over a chroma sample's pixels leaves."""
    size = len(spectrum)
    rows, columns = (_response(length, size).to(spectrum) for length in ratio)
    return float((spectrum * rows[:, None] * columns).mean())


def _response(length: int, size: int) -> Tensor:
    """Power response of a mean over ``length`` samples at the DCT's frequencies, bands' middles."""
    half = math.pi * (torch.arange(size, dtype=torch.float64) + 0.5) / (2 * size)
    return ((length * half).sin() / (length * half.sin())).square()


def _unclipped(measured: Tensor) -> Tensor:
    """(17,) sigma before clipping, if all of the noise measured at each mean level is clipped."""
    level = torch.linspace(0, 1, LEVELS, dtype=measured.dtype, device=measured.device)
    away = torch.minimum(level, 1 - level)
    return measured * _widening(away / measured.clamp(min=_TINY))


@cache
def _clipped_gaussian() -> tuple[Tensor, Tensor, Tensor]:
    """Levels 0 to 6 in sigmas, and mean and deviation of unit noise there, clipped at 0."""
    t = torch.linspace(0, 6, 6001, dtype=torch.float64)
    below, density = torch.special.ndtr(t), torch.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    mean = t * below + density
    second = (t * t + 1) * below + t * density
    return t, mean, (second - mean.square()).sqrt()


@cache
def _tables() -> tuple[Tensor, Tensor, Tensor]:
    """Tabulate by mean, in sigmas from 0 to 4: excess of the mean over the level, and its slope
    less; by mean over deviation: sigma over deviation."""
    t, mean, deviation = _clipped_gaussian()
    wanted = torch.linspace(0, _FARTHEST, _STEPS + 1, dtype=torch.float64)
    excess = wanted - _through(wanted, mean, t)
    excess[-1] = 0
    steeper = 1 / torch.special.ndtr(wanted - excess) - 1
    steeper[wanted < mean[0]] = -1  # black is black, whatever noise is left
    steeper[-1] = 0
    wider = _through(wanted, mean / deviation, 1 / deviation)
    wider[-1] = 1
    return excess, steeper, wider


def _through(x: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Piecewise linear through (xs, ys), ``xs`` ascending; constant beyond."""
    return torch.from_numpy(np.interp(x.numpy(), xs.numpy(), ys.numpy()))


def _excess(mean: Tensor) -> tuple[Tensor, Tensor]:
    """Look up, for a mean in sigmas, how far it lies above its level, and 1 less than the inverse's
    slope. Below the mean of a noisy black all of it is excess."""
    excess, steeper, _ = _tables()
    return torch.where(mean < 0, mean, _at(excess, mean)), _at(steeper, mean)


def _widening(ratio: Tensor) -> Tensor:
    """Sigma before clipping over deviation after it, from mean over deviation."""
    return _at(_tables()[2], ratio)


def _at(table: Tensor, x: Tensor, end: float = _FARTHEST) -> Tensor:
    """A table over 0 to ``end``, linear between entries."""
    steps = len(table) - 1
    place = x.clamp(0, end) * (steps / end)
    low = place.to(torch.int32).clamp(max=steps - 1)
    found = table.to(x)
    left = found.index_select(0, low.flatten()).view(x.shape)
    right = found.index_select(0, low.flatten() + 1).view(x.shape)
    return left + (right - left) * (place - low)


def _pooled(x: Tensor, side: int = 3) -> Tensor:
    """Means over cells, then over ``side`` by ``side`` of them."""
    cells = functional.avg_pool2d(x, _CELL, ceil_mode=True)
    return functional.avg_pool2d(cells, side, 1, side // 2, count_include_pad=False)


def _spread(cells: Tensor, like: Tensor) -> Tensor:
    """Cells back to pixels, smoothly."""
    return functional.interpolate(cells, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _channels(picture: Picture[Tensor]) -> Tensor:
    """(T, 3, H, W) R'G'B', or (T, 1, H, W) without chroma, which is repeated to luma's size."""
    luma, chroma = picture
    if chroma is None:
        return luma
    return to_rgb(torch.cat([luma, repeat_to(chroma, luma)], 1))


def _weights(like: Tensor) -> Tensor:
    return like.new_tensor((KR**2, KG**2, KB**2)).view(1, 3, 1, 1)
