"""The encoding of a clip's samples (`vdenoise.picture.encodings`): as tags say, or as named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch

from vdenoise.errors import InputError, UsageError
from vdenoise.media.images.linear import fit_curve
from vdenoise.media.reader import Reader
from vdenoise.picture.color import quantisation, to_unit
from vdenoise.picture.encodings import ENCODINGS, LINEAR
from vdenoise.picture.frame import ClipInfo, SourceFrame

# What the transfers of H.273 say that are no display's: cameras tag log curves as one of those.
_TOLD = {"smpte2084": "pq", "arib-std-b67": "hlg", "linear": LINEAR}
_OTHER_LOGS = ("log100", "log316")
FIT_FRAMES = 3  # that the curve is fitted to


def named(info: ClipInfo, encoding: str | None) -> ClipInfo:
    """The clip, of an encoding that somebody named.

    R'G'B' and gray samples get the curve that they are denoised behind: it is fitted to their light
    in the first, middle and last frame. Y'CbCr mixes samples of several levels, and is denoised in
    the curve it is in, by the noise that is measured at each level.

    Args:
        info: the clip.
        encoding: its name; None leaves the clip as it is.

    Raises:
        UsageError: the clip's tags say another one.
        InputError: it cannot be read.
    """
    if encoding is None:
        return info
    told = None if _only_assumed(info) else _TOLD.get(info.transfer)
    if (told is not None and told != encoding) or info.transfer in _OTHER_LOGS:
        title = info.transfer if told is None else ENCODINGS[told].title
        hint = f" or name {told}" if told is not None else ""
        raise UsageError(
            f"{info.path} is tagged as {title}, not as {ENCODINGS[encoding].title}.",
            f"Leave --encoding away{hint}; if the tag is wrong, correct it in the file first.",
            number=210,
        )
    last = info.readable - 1
    places = sorted({round(last * n / (FIT_FRAMES - 1)) for n in range(FIT_FRAMES)})
    return behind_its_curve(info, encoding, (p for n in places for p in _frame(info, n)))


def behind_its_curve(info: ClipInfo, encoding: str, frames: Iterable[SourceFrame]) -> ClipInfo:
    """The clip, of an encoding that is named, with the curve it is denoised behind where it has
    one, as for `named`; ``frames`` are those that the curve is fitted to."""
    info = replace(info, encoding=encoding)
    if info.format.family == "yuv" or (info.curve is not None and encoding == LINEAR):
        return info
    scale, zero = quantisation(info.format, info.full_range, chroma=False)
    lights = []
    with torch.inference_mode():
        for frame in frames:
            planes = frame.planes[: info.format.color_planes]
            units = (to_unit(plane, info.format, scale, zero) for plane in planes)
            lights.append([ENCODINGS[encoding].light(unit) for unit in units])
        curve = fit_curve(lights) if lights else None
    return info if curve is None else replace(info, curve=replace(curve, encoding=encoding))


def _frame(info: ClipInfo, place: int) -> list[SourceFrame]:
    """The frame at a place; none where it is damaged, which matters to who reads all of them."""
    try:
        with Reader(info, first=place, last=place) as reader:
            return list(reader)
    except InputError:
        return []


def _only_assumed(info: ClipInfo) -> bool:
    """Floating-point images are taken for scene-linear unless they say that they are not."""
    return info.sequence is not None and info.format.floating


def meaning(info: ClipInfo) -> str:
    """What samples stand for and who says so, for people."""
    if info.encoding is not None:
        return f"{ENCODINGS[info.encoding].title}, as named"
    told = _TOLD.get(info.transfer)
    if told is not None:
        how = "as floating-point images are" if _only_assumed(info) else "by its tag"
        return f"{ENCODINGS[told].title}, {how}"
    return "not said" if info.transfer == "unknown" else f"{info.transfer}, by its tag"
