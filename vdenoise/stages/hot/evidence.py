"""How far pixels are taken for bad ones, from how they stand out in all frames."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.subsampling import repeat_to, subsampling
from vdenoise.picture.windows import pad
from vdenoise.stages.hot.mending import off

_SHOWS = 0.4  # of its usual contrast: in a frame with less it does not show, and ...
_OFTEN = 0.7  # ... in so many frames it must
_TOLD = (3.0, 6.0)  # errors that it is off by on the whole, from and to which it counts, where ...
# ... another plane has a bad one
_MEDIAN = math.sqrt(math.pi / 2)  # times as far as a mean is a median astray


def standing_out(contrast: Tensor, bar: Tensor) -> Tensor:
    """(1, C, H, W): 1 where pixels stand out in nearly all of the frames, and in no crowd.

    Args:
        contrast: (T, C, H, W) of the frames, from `mending.contrast`.
        bar: (1, C, H, W) contrast from which on one counts.
    """
    share = torch.zeros_like(bar)
    some = contrast.mean(0, keepdim=True).abs() > 0.5 * bar  # few: medians cost time
    those = contrast[some.expand_as(contrast)].view(len(contrast), -1)
    middle = those.median(0).values
    often = (those * middle.sign() > _SHOWS * middle.abs()).to(those).mean(0) >= _OFTEN
    share[some] = ((middle.abs() / bar[some] - 1) * 4).clamp(0, 1) * often
    return share


def mean_error(sigma: Tensor, frames: int) -> Tensor:
    """What noise leaves in a median over frames, standard deviation."""
    return sigma * _MEDIAN / math.sqrt(frames)


def isolated(share: Tensor) -> Tensor:
    """A share, 0 where many pixels of a neighborhood stand out: that is a thing, not a pixel."""
    crowd = functional.avg_pool2d(pad((share > 0).to(share), 3), 7, 1) * 49
    return share * (crowd <= 9)


def told_by_others(
    shares: Picture[Tensor], around: Picture[Tensor], sigmas: Picture[Tensor]
) -> Picture[Tensor]:
    """Let a plane hear of the bad pixels of the others. In fine detail a pixel does not stand out
    in each frame, but a sensor's pixel that is bad in color is so in brightness, too: there it is
    enough that it is off on the whole.

    Args:
        shares: (1, C, H, W) of luma and chroma, 0 to 1.
        around: (T, C, H, W) of the frames.
        sigmas: (1, C, H, W) of their noise.
    """
    luma, chroma = shares
    if chroma is None or around.chroma is None or sigmas.chroma is None:
        return shares
    color = chroma.amax(1, keepdim=True)
    ratio = subsampling(luma, chroma)
    either = torch.maximum(color, functional.max_pool2d(luma, ratio, ceil_mode=True))
    return Picture(
        _told(luma, repeat_to(color, luma), around.luma, sigmas.luma),
        _told(chroma, either, around.chroma, sigmas.chroma),
    )


def _told(share: Tensor, elsewhere: Tensor, around: Tensor, sigma: Tensor) -> Tensor:
    elsewhere = elsewhere.expand_as(share)
    where = elsewhere > share
    those = off(around, where[0])
    usual = those.median(0).values
    spread = 1.4826 * (those - usual).abs().median(0).values
    error = mean_error(torch.maximum(spread, sigma[where]), len(those)).clamp(min=1e-9)
    low, high = _TOLD
    sure = ((usual.abs() / error - low) / (high - low)).clamp(0, 1)
    found = share.clone()
    found[where] = torch.maximum(share[where], elsewhere[where] * sure)
    return found
