"""Planes to the working representation: ranges, matrices, depths (back: `picture.samples`).

Quantisation follows Rec. ITU-R BT.2100-2 table 9 (and BT.709-6 / BT.601-7 for the same formulas):
limited range puts luma on 16..235 and chroma on 16..240, times 2^(bits-8); full range uses
0..2^bits-1 with chroma centred on 2^(bits-1). RGB goes through the BT.709-6 luma coefficients for
analysis only: what is written back is a correction, so the choice is invisible at strength 0.

Everything here is pure and works on any device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.picture.encodings import ENCODINGS
from vdenoise.picture.frame import ClipInfo, Curve, PixelFormat, SourceFrame
from vdenoise.picture.luma_chroma import Picture

# Rec. ITU-R BT.709-6, item 3.2 and 3.3
KR, KG, KB = 0.2126, 0.7152, 0.0722
CB_SCALE, CR_SCALE = 1.8556, 1.5748

_LARGEST = 1e12  # of samples that are light, in floating point

# Equal, independent noise of variance 1 in R', G' and B' has this variance in Y', Cb and Cr.
LUMA_VARIANCE = KR**2 + KG**2 + KB**2
CB_VARIANCE = (KR**2 + KG**2 + (1 - KB) ** 2) / CB_SCALE**2
CR_VARIANCE = ((1 - KR) ** 2 + KG**2 + KB**2) / CR_SCALE**2

_MEAN_LIGHT = 15  # side of the window in which the mean light is kept
_PEDESTAL = 4.0  # sigmas of noise that black lies above 0 behind a curve: networks learned from
# samples that end at 0 that noise next to it is too bright, and here it is not
_FILL = 7  # side of the neighborhood that stands in for a sample that is no finite number


def to_rgb(x: Tensor) -> Tensor:
    """(..., 3, H, W) Y'CbCr to R'G'B' by the BT.709 matrix; also for differences."""
    luma, cb, cr = x.unbind(-3)
    red, blue = luma + CR_SCALE * cr, luma + CB_SCALE * cb
    return torch.stack((red, (luma - KR * red - KB * blue) / KG, blue), -3)


def from_rgb(x: Tensor) -> Tensor:
    """The reverse of `to_rgb`."""
    red, green, blue = x.unbind(-3)
    luma = KR * red + KG * green + KB * blue
    return torch.stack((luma, (blue - luma) / CB_SCALE, (red - luma) / CR_SCALE), -3)


def quantisation(fmt: PixelFormat, full_range: bool, *, chroma: bool) -> tuple[float, float]:
    """Codes per unit of the working representation and the code of its zero.

    Floating-point samples are their own unit: (1, 0).
    """
    if fmt.floating:
        return 1.0, 0.0
    step = float(1 << (fmt.bits - 8))
    if full_range:
        return float((1 << fmt.bits) - 1), float(1 << (fmt.bits - 1)) if chroma else 0.0
    return (224 * step, 128 * step) if chroma else (219 * step, 16 * step)


def apply_curve(x: Tensor, curve: Curve) -> Tensor:
    """Samples behind the curve: of their light x, 2 (sqrt(gain x + read^2) - read) / gain above
    zero, the straight line of the same slope below, and a pedestal, over that of ``curve.white``.

    Raises no error for any finite input; written so that a gain of 0 gives that line throughout.
    """
    x = ENCODINGS[curve.encoding].light(x)
    above = x.clamp(min=0)
    rise = (above * curve.gain + curve.read**2).sqrt_().add_(curve.read)
    return (2 * above / rise + (x - above) / curve.read).add_(_PEDESTAL).mul_(1 / _height(curve))


def undo_curve(v: Tensor, curve: Curve) -> Tensor:
    """The inverse of :func:`apply_curve`: light is read u + gain u^2 / 4 above zero, of sigmas u
    above the pedestal."""
    return ENCODINGS[curve.encoding].samples(_light(v, curve))


def straight_correction(v: Tensor, correction: Tensor, curve: Curve) -> Tensor:
    """What a correction of samples behind the curve is in front of it, with the mean light kept.

    The curve bends down: noise lowers the mean behind it, and what is cleaned there would come out
    too dark, most in the darks (Makitalo and Foi 2011). The light that each removed deviation cost
    by the bend alone is added again, as its mean over a small window.

    Args:
        v: (H, W) samples behind the curve.
        correction: of them; samples of which it is 0 stay as they are.
        curve: the curve.
    """
    after = v + correction
    before_light, after_light = _light(v, curve), _light(after, curve)
    slope = _sigmas(after, curve).clamp_(min=0).mul_(curve.gain / 2).add_(curve.read)
    slope.mul_(_height(curve))
    lost = before_light - after_light + slope.mul_(correction)
    mean = functional.avg_pool2d(
        lost[None], _MEAN_LIGHT, 1, _MEAN_LIGHT // 2, count_include_pad=False
    )
    after_light.add_(torch.where(correction == 0, 0.0, mean[0]))
    samples = ENCODINGS[curve.encoding].samples
    return samples(after_light).sub_(samples(before_light))


def _light(v: Tensor, curve: Curve) -> Tensor:
    above = _sigmas(v, curve)
    return above * curve.read + above.clamp(min=0).square_().mul_(curve.gain / 4)


def _sigmas(v: Tensor, curve: Curve) -> Tensor:
    """Samples behind the curve in sigmas of their noise, from black."""
    return v.mul(_height(curve)).sub_(_PEDESTAL)


def _height(curve: Curve) -> float:
    """Sigmas from 0 to 1 behind the curve."""
    rise = math.sqrt(curve.gain * curve.white + curve.read**2) + curve.read
    return 2 * curve.white / rise + _PEDESTAL


def lift(frame: SourceFrame, info: ClipInfo, device: torch.device | str = "cpu") -> Picture[Tensor]:
    """A decoded frame to float32 working planes, as every stage and measurement has them.

    Args:
        frame: of the clip.
        info: says how its samples are meant: layout, range, and the curve they are bent by.
        device: where the result is wanted.

    Returns:
        As :func:`lift_planes`.
    """
    planes = [plane.to(device) for plane in frame.planes]
    return lift_planes(planes, info.format, info.full_range, info.curve)


def lift_planes(
    planes: Sequence[Tensor], fmt: PixelFormat, full_range: bool, curve: Curve | None
) -> Picture[Tensor]:
    """Planes that belong to no decoded frame, to float32 working planes; else see :func:`lift`.

    Args:
        planes: one (H, W) tensor for each plane of ``fmt``, color planes first; RGB in FFmpeg's
            order G, B, R.
        fmt: their layout.
        full_range: whether codes fill the whole range.
        curve: bends each sample first; of RGB and gray of known encoding, None for all else.

    NaN and infinity become the mean of the finite samples around them.

    Returns:
        Luma (1, H, W), nominally in [0, 1], and chroma (2, h, w) at its own resolution, nominally
        in [-0.5, 0.5], or None for gray. Nothing is clipped.
    """
    if fmt.family == "rgb":
        scale, zero = quantisation(fmt, full_range, chroma=False)
        g, b, r = (_bent_unit(p, fmt, scale, zero, curve) for p in planes[:3])
        luma = g.mul_(KG).add_(b, alpha=KB).add_(r, alpha=KR)
        cb = b.sub_(luma).mul_(1 / CB_SCALE)
        cr = r.sub_(luma).mul_(1 / CR_SCALE)
        return Picture(luma.unsqueeze(0), torch.stack((cb, cr)))
    scale, zero = quantisation(fmt, full_range, chroma=False)
    luma = _bent_unit(planes[0], fmt, scale, zero, curve).unsqueeze(0)
    if fmt.family == "gray":
        return Picture(luma)
    scale, zero = quantisation(fmt, full_range, chroma=True)
    chroma = torch.empty((2, *planes[1].shape), dtype=torch.float32, device=planes[1].device)
    for target, plane in zip(chroma, planes[1:3], strict=True):
        target.copy_(_quick(plane, fmt))
    return Picture(luma, chroma.sub_(zero).mul_(1 / scale))


def _quick(plane: Tensor, fmt: PixelFormat) -> Tensor:
    """uint16 seen as int16 where no code reaches 2^15: torch converts that eight times faster."""
    return plane.view(torch.int16) if 8 < fmt.bits < 16 else plane


def to_float(plane: Tensor, fmt: PixelFormat) -> Tensor:
    """A float32 copy, in codes."""
    return _quick(plane, fmt).to(torch.float32, copy=True)


def to_unit(plane: Tensor, fmt: PixelFormat, scale: float, zero: float) -> Tensor:
    """Samples in working units, by the numbers of :func:`quantisation`; each a finite number."""
    unit = to_float(plane, fmt)
    return fill_gaps(unit) if fmt.floating else unit.sub_(zero).mul_(1 / scale)


def _bent_unit(
    plane: Tensor, fmt: PixelFormat, scale: float, zero: float, curve: Curve | None
) -> Tensor:
    unit = to_unit(plane, fmt, scale, zero)
    return unit if curve is None else apply_curve(unit, curve)


def is_light(plane: Tensor) -> Tensor:
    """Which samples can be light, (H, W): not NaN and infinity, nor numbers that are damage or
    data, whose squares no float32 holds."""
    return plane.to(torch.float32).abs() <= _LARGEST


def fill_gaps(plane: Tensor) -> Tensor:
    """What is no light replaced by the mean of the samples around it (0 without any)."""
    finite = is_light(plane)
    if bool(finite.all()):
        return plane
    known = torch.where(finite, plane, 0.0)[None, None]
    there = finite.to(plane.dtype)[None, None]
    total = functional.avg_pool2d(known, _FILL, 1, _FILL // 2)
    share = functional.avg_pool2d(there, _FILL, 1, _FILL // 2)
    return torch.where(finite, plane, (total / share.clamp(min=1e-6))[0, 0])
