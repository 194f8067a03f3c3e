"""Masks made from the picture: ranges of luma, hue and saturation, and automatic ones.

They look at the picture as the chain has cleaned it so far, where noise moves them least. Colors
are those of BT.709 whatever the clip's matrix is: a mask needs no more.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.masks.spec import MaskSpec
from vdenoise.motion.warp import box_mean
from vdenoise.picture.color import CB_SCALE, CR_SCALE, KB, KG, KR

_COLORLESS = (3.0, 8.0)  # percent of saturation: below, a hue means nothing; above, all it says
_SHADOWS = (12.0, 30.0)  # percent of luma: full mask below, none above
# px: shadows and flats are judged on a neighborhood, not on a pixel
_SMALL, _WINDOW, _WIDE = (3, 3), (5, 5), (9, 9)
_EDGE = 0.035  # luma step a pixel that counts as half an edge
_FLAT = 0.02  # deviation in a window that counts as half flat
# Skin in Cb and Cr, from Chai and Ngan 1999 (Cb 77-127, Cr 133-173 in 8-bit codes), and by luma.
_SKIN_CB, _SKIN_CR = (-51 / 224, -1 / 224), (5 / 224, 45 / 224)
_SKIN_SOFT, _SKIN_LUMA = 4 / 224, (0.2, 0.95)
_SKIN_COLOR = (3 / 224, 9 / 224)  # distance from gray: white walls and shirts lie in that box too


def drawn(spec: MaskSpec, luma: Tensor, chroma: Tensor | None, noise: Tensor) -> Tensor:
    """A range or automatic mask of one frame.

    Args:
        spec: of kind ``luma``, ``hue``, ``saturation`` or ``auto``.
        luma: (1, H, W), nominally [0, 1].
        chroma: (2, h, w), nominally [-0.5, 0.5], None for a clip without colors.
        noise: (H, W) sigma that is left in this luma, in the same unit.

    Returns:
        (H, W) in [0, 1].
    """
    if spec.kind == "auto":
        return _AUTOMATIC[spec.word](luma, chroma, noise)
    low, high = spec.numbers
    if spec.kind == "luma":
        return _between(luma[0] * 100, low, high, spec.soft)
    if chroma is None:
        return _nothing(luma)
    size = (luma.shape[-2], luma.shape[-1])
    saturation = _saturation(chroma)
    if spec.kind == "saturation":
        return _grown(_between(saturation, low, high, spec.soft), size)
    start, end = _COLORLESS
    colored = ((saturation - start) / (end - start)).clamp(0, 1)
    # Distance from the middle of the range, around the circle.
    half = ((high - low) % 360) / 2 if high - low != 360 else 180.0
    away = (_hue(chroma) - (low + half) + 180).remainder(360).sub_(180).abs_()
    return _grown(_ramp(half + spec.soft, half, away) * colored, size)


def _between(value: Tensor, low: float, high: float, soft: float) -> Tensor:
    """1 from low to high percent, falling to 0 over ``soft``; 0 and 100 have no beyond."""
    found = torch.ones_like(value)
    if low > 0:
        found = _ramp(low - soft, low, value)
    return found * _ramp(high + soft, high, value) if high < 100 else found


def _ramp(zero: float, one: float, value: Tensor) -> Tensor:
    """0 at ``zero`` and beyond, 1 at ``one`` and beyond, straight between (a step where equal)."""
    if zero == one:
        return (value <= one).to(value)
    return ((value - zero) / (one - zero)).clamp(0, 1)


def _saturation(chroma: Tensor) -> Tensor:
    """(h, w) percent: distance from gray, 100 where Cb or Cr alone would be at its end."""
    return (chroma.square().sum(0).sqrt() * 200).clamp(max=100)


def _hue(chroma: Tensor) -> Tensor:
    """(h, w) degrees of the hexagon of HSV: red 0, green 120, blue 240. Luma does not enter."""
    cb, cr = chroma
    blue, red = cb * CB_SCALE, cr * CR_SCALE
    green = -(blue * KB + red * KR) / KG
    # atan2 in the plane across the gray axis; within 1.2 degrees of the hexagon's hue
    across = math.sqrt(3) / 2 * (green - blue)
    return torch.atan2(across, red - (green + blue) / 2).rad2deg().remainder(360)


def _grown(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Repeat what lies on chroma's grid on luma's."""
    if mask.shape[-2:] == torch.Size(size):
        return mask
    return functional.interpolate(mask[None, None], size, mode="bilinear", align_corners=False)[
        0, 0
    ].clamp_(0, 1)


def _nothing(luma: Tensor) -> Tensor:
    return torch.zeros_like(luma[0])


def _shadows(luma: Tensor, chroma: Tensor | None, noise: Tensor) -> Tensor:
    full, none = _SHADOWS
    return _ramp(none, full, box_mean(luma[0], _WINDOW) * 100)


def _edges(luma: Tensor, chroma: Tensor | None, noise: Tensor) -> Tensor:
    """Find edges by the gradient of a slightly smoothed picture, against what noise would show."""
    even = box_mean(luma[0], _SMALL)
    padded = functional.pad(even[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    across = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    half = _EDGE + noise
    steep = (across.square() + down.square()) / half.square()
    found = steep.square() / (1 + steep.square())
    return functional.max_pool2d(found[None, None], 3, stride=1, padding=1)[0, 0]


def _flat(luma: Tensor, chroma: Tensor | None, noise: Tensor) -> Tensor:
    """Find flat areas by the deviation in a window, beyond what noise explains."""
    mean = box_mean(luma[0], _WIDE)
    variance = box_mean((luma[0] - mean).square(), _WIDE)
    beyond = (variance - 2 * noise.square()).clamp(min=0) / _FLAT**2
    return box_mean(1 / (1 + beyond.square()), _WINDOW)


def _skin(luma: Tensor, chroma: Tensor | None, noise: Tensor) -> Tensor:
    if chroma is None:
        return _nothing(luma)
    found, away = torch.ones_like(chroma[0]), torch.zeros_like(chroma[0])
    for plane, (low, high) in zip(chroma, (_SKIN_CB, _SKIN_CR), strict=True):
        even = box_mean(plane, _SMALL)
        away = away + even.square()
        found = found * _ramp(low - _SKIN_SOFT, low, even) * _ramp(high + _SKIN_SOFT, high, even)
    found = torch.minimum(found, _ramp(*_SKIN_COLOR, away.sqrt()))
    low, high = _SKIN_LUMA
    even = box_mean(luma[0], _WINDOW)
    lit = _ramp(low - 0.1, low, even) * _ramp(high + 0.05, high, even)
    return _grown(found, (luma.shape[-2], luma.shape[-1])) * lit


_AUTOMATIC = {"shadows": _shadows, "edges": _edges, "flat": _flat, "skin": _skin}
