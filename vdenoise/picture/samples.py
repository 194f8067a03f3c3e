"""Corrections and pictures as codes: added, limited, dithered and rounded once.

Quantisation is that of `vdenoise.picture.color`. Everything here is pure and works on any device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from vdenoise.picture.color import (
    CB_SCALE,
    CR_SCALE,
    KB,
    KG,
    KR,
    apply_curve,
    is_light,
    quantisation,
    straight_correction,
    to_float,
    to_unit,
)
from vdenoise.picture.frame import Curve, PixelFormat
from vdenoise.picture.random_at import random_bits, shift_right
from vdenoise.picture.subsampling import subsample, upsample


def apply_correction(
    planes: Sequence[Tensor],
    d_luma: Tensor | None,
    d_chroma: Tensor | None,
    fmt: PixelFormat,
    full_range: bool,
    *,
    out: PixelFormat | None = None,
    dither_seed: tuple[int, int] | None = None,
    chroma_location: str = "left",
    curve: Curve | None = None,
    limit: float = 0.0,
) -> tuple[Tensor, ...]:
    """Source samples plus a correction, rounded once and clamped to the codes that exist.

    Where the correction is 0 the source sample comes back exactly; a plane without a correction
    is handed on as it is. Alpha passes through, and so do NaN and infinity.

    Args:
        planes: the decoded planes, as for `picture.color.lift_planes`; never changed.
        d_luma: (1, H, W) in working units, or None for no change.
        d_chroma: (2, h, w) in working units, or None for no change.
        fmt: layout of ``planes``.
        full_range: whether codes fill the whole range, in the source and in the output.
        out: another depth of the same family, or one with denser chroma (4:2:0 to 4:2:2 or
            4:4:4), which is interpolated.
        dither_seed: (seed, frame index) of the dither before rounding; None rounds only.
        chroma_location: where 4:2:0 chroma sits ("left", "center" or "topleft"), for denser chroma.
        curve: as for `picture.color.lift_planes`; the correction is one of bent samples.
        limit: most that any sample may move, in 8-bit codes; 0 is no limit. Whole codes of the
            source's depth, so that rounding cannot pass it; of floating-point samples behind
            ``curve``.

    Returns:
        One tensor for each plane of ``out``.
    """
    out = out or fmt
    assert (out.family, out.alpha, out.floating) == (fmt.family, fmt.alpha, fmt.floating)
    if fmt.family == "rgb":
        wanted = _rgb_corrections(d_luma, d_chroma)
    else:
        wanted = [None if d_luma is None else d_luma[0]]
        if fmt.family == "yuv":
            wanted += [None, None] if d_chroma is None else [d_chroma[0], d_chroma[1]]
    result = []
    for number, (plane, correction) in enumerate(zip(planes, wanted, strict=False)):
        chroma = fmt.family == "yuv" and number > 0
        denser = chroma and (out.sub_w, out.sub_h) != (fmt.sub_w, fmt.sub_h)
        if correction is None and out.bits == fmt.bits and not denser:
            result.append(plane)
            continue
        most = _limit(limit, fmt, full_range, chroma=chroma) if limit else math.inf
        if correction is not None and fmt.floating:
            correction = correction.clamp(-most, most)
        if correction is not None and curve is not None:
            curved = apply_curve(
                to_unit(plane, fmt, *quantisation(fmt, full_range, chroma=False)), curve
            )
            correction = straight_correction(curved, correction, curve)
        if correction is not None and not fmt.floating:
            correction = correction.clamp(-most, most)
        exact = _corrected(plane, correction, fmt, out, full_range, chroma=chroma)
        if denser:
            like = planes[0].shape
            exact = upsample(exact, fmt, out, (like[0], like[1]), chroma_location)
        if dither_seed is not None:
            noise = tpdf(exact.shape, (*dither_seed, number), device=exact.device)
            if out.bits >= fmt.bits and correction is not None and not denser:
                noise.mul_(correction != 0)  # samples nobody changed come back exactly
            exact.add_(noise)
        result.append(_to_codes(exact, out, plane))
    if fmt.alpha:
        result.append(_rescaled_alpha(planes[-1], fmt, out))
    return tuple(result)


# Luma coefficients of red and blue (Rec. ITU-T H.273 table 4).
_MATRICES = {
    "bt709": (KR, KB),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "fcc": (0.30, 0.11),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
}


def has_rgb(matrix: str) -> bool:
    """Whether :func:`rgb_samples` knows a matrix."""
    return matrix in _MATRICES


def rgb_samples(
    planes: Sequence[Tensor], fmt: PixelFormat, full_range: bool, matrix: str, out: PixelFormat
) -> tuple[Tensor, ...]:
    """Planes as images hold them: RGB or gray, full range, integers or floating point.

    Args:
        planes: one (H, W) tensor for each plane of ``fmt``, chroma at full size.
        fmt: their layout.
        full_range: whether their codes fill the whole range.
        matrix: of YUV, by its name in H.273.
        out: RGB or gray, with alpha where ``fmt`` has it. Integers are rounded and clamped.
    """
    scale, zero = quantisation(fmt, full_range, chroma=False)
    color = [to_float(p, fmt).sub_(zero).mul_(1 / scale) for p in planes[: fmt.color_planes]]
    if fmt.family == "yuv":
        scale, zero = quantisation(fmt, full_range, chroma=True)
        cb, cr = (to_float(p, fmt).sub_(zero).mul_(1 / scale) for p in planes[1:3])
        r, g, b = rgb_of(color[0], cb, cr, matrix)
        color = [g, b, r]
    if fmt.alpha:
        color.append(to_float(planes[-1], fmt).mul_(1 / ((1 << fmt.bits) - 1)))
    most = 1 if out.floating else (1 << out.bits) - 1
    return tuple(_to_codes(plane.mul_(most), out, plane) for plane in color)


def rgb_of(y: Tensor, cb: Tensor, cr: Tensor, matrix: str) -> tuple[Tensor, Tensor, Tensor]:
    """R', G' and B' of Y'CbCr in working units, by a matrix that `has_rgb` knows."""
    kr, kb = _MATRICES[matrix]
    r, b = y + cr * (2 * (1 - kr)), y + cb * (2 * (1 - kb))
    return r, (y - kr * r - kb * b) / (1 - kr - kb), b


def yuv_samples(planes: Sequence[Tensor], fmt: PixelFormat, out: PixelFormat) -> tuple[Tensor, ...]:
    """RGB in full range as BT.709 YUV in limited range, rounded once.

    Thinner chroma sits where MPEG-2 has it ("left"): between two rows, at every second column.

    Args:
        planes: G, B, R and perhaps alpha, (H, W) each.
        fmt: their layout, integers.
        out: YUV, with alpha where ``fmt`` has it.
    """
    g, b, r = (to_float(p, fmt).mul_(1 / ((1 << fmt.bits) - 1)) for p in planes[:3])
    y = g * KG + b * KB + r * KR
    color = [y, (b - y) / CB_SCALE, (r - y) / CR_SCALE]
    made = []
    for number, exact in enumerate(color):
        if number:
            exact = subsample(exact, out)
        scale, zero = quantisation(out, full_range=False, chroma=number > 0)
        made.append(_to_codes(exact * scale + zero, out, exact))
    if fmt.alpha:
        made.append(_rescaled_alpha(planes[-1], fmt, out))
    return tuple(made)


def tpdf(
    shape: Sequence[int], seed: tuple[int, int, int], *, device: torch.device | str = "cpu"
) -> Tensor:
    """Triangular dither in (-1, 1) LSB: zero mean, and a noise floor that does not depend on the
    signal (Lipshitz, Wannamaker, Vanderkooy 1992).

    Each sample is a hash of (seed, frame, plane, position), so every device and every split of a
    clip draws the same values. ``seed`` is (seed, frame index, plane).
    """
    height, width = shape[-2:]
    x = torch.arange(height * width, dtype=torch.int32, device=device).view(height, width)
    x = random_bits(x, *seed)
    high, low = shift_right(x, 16), x & 0xFFFF
    return high.sub_(low).to(torch.float32).mul_(1 / 65536)


def _rgb_corrections(d_luma: Tensor | None, d_chroma: Tensor | None) -> list[Tensor | None]:
    """Corrections of G, B, R from those of luma and chroma (BT.709 inverse matrix)."""
    if d_chroma is None:
        same = None if d_luma is None else d_luma[0]
        return [same, same, same]
    cb, cr = d_chroma
    g = cb.mul(-KB * CB_SCALE / KG).add_(cr, alpha=-KR * CR_SCALE / KG)
    b, r = cb.mul(CB_SCALE), cr.mul(CR_SCALE)
    if d_luma is not None:
        for plane in (g, b, r):
            plane.add_(d_luma[0])
    return [g, b, r]


def _corrected(
    plane: Tensor,
    correction: Tensor | None,
    fmt: PixelFormat,
    out: PixelFormat,
    full_range: bool,
    *,
    chroma: bool,
) -> Tensor:
    """Source plus correction in codes of ``out``, not yet rounded."""
    exact = to_float(plane, fmt)
    out_scale, out_zero = quantisation(out, full_range, chroma=chroma)
    if out.bits != fmt.bits:
        scale, zero = quantisation(fmt, full_range, chroma=chroma)
        exact.sub_(zero).mul_(out_scale / scale).add_(out_zero)
    if correction is not None:
        assert correction.shape == plane.shape, "a correction has the size of its plane"
        exact.add_(correction, alpha=out_scale)
    return exact


def _limit(limit: float, fmt: PixelFormat, full_range: bool, *, chroma: bool) -> float:
    """8-bit codes as a correction in working units."""
    if fmt.floating:
        return limit / 255
    scale, _ = quantisation(fmt, full_range, chroma=chroma)
    per_code = ((1 << fmt.bits) - 1) / 255 if full_range else float(1 << (fmt.bits - 8))
    return math.floor(limit * per_code) / scale


def _to_codes(exact: Tensor, out: PixelFormat, source: Tensor) -> Tensor:
    """Round and clamp to existing codes. Floating-point samples round to their own precision;
    where ``source`` is no light it stays what it is."""
    if out.floating:
        dtype = torch.float16 if out.bits == 16 else torch.float32
        most = torch.finfo(dtype).max
        kept = is_light(source)
        assert bool(exact[kept].isfinite().all()), "a correction is not a finite number"
        return torch.where(kept, exact.clamp_(-most, most).to(dtype), source.to(dtype))
    assert bool(exact.sum().isfinite()), "a correction is not a finite number"
    exact.round_().clamp_(0, (1 << out.bits) - 1)
    if out.bits == 8:
        return exact.to(torch.int16).to(torch.uint8)  # several times faster than in one step
    return exact.to(torch.int32).to(torch.uint16) if out.bits == 16 else exact.to(torch.uint16)


def _rescaled_alpha(plane: Tensor, fmt: PixelFormat, out: PixelFormat) -> Tensor:
    """Alpha at another depth: always full range, never dithered (opaque must stay opaque)."""
    if out.bits == fmt.bits:
        return plane
    ratio = 1.0 if fmt.floating else ((1 << out.bits) - 1) / ((1 << fmt.bits) - 1)
    return _to_codes(to_float(plane, fmt).mul_(ratio), out, plane)
