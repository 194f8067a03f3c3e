"""How what is written beside the clip is coded: the noise that was removed, and maps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vdenoise.errors import UsageError
from vdenoise.media.images.sequence import is_image
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.media.movie.settings import choose
from vdenoise.picture.frame import ClipInfo, PixelFormat

GRAY = PixelFormat("gray16le", "gray", 16)  # what maps are written in
_FLOATS = ("f16le", "f32le")  # how FFmpeg's names of floating-point formats end


def noise_settings(info: ClipInfo, encode: EncodeSettings, target: Path) -> EncodeSettings:
    """How the removed noise is written: lossless FFV1 with a bit more than the source has, or
    images with 16; floating point with 32.

    Raises:
        UsageError: clean + noise = source cannot hold, or the target does not hold such samples.
    """
    fmt = info.format
    if (
        encode.becomes_yuv
        or encode.pixel_format != fmt
        or fmt.floating != encode.coded_format.endswith(_FLOATS)
    ):
        raise UsageError(
            f"clean + noise = source cannot hold when {fmt.label} is written as "
            f"{encode.written.label}.",
            "Leave --noise-out away, or keep the source's own samples (--bit-depth, --codec ffv1).",
            number=54,
        )
    found = _deeper(info, target)
    if replace(found.written, name="", bits=0) != replace(fmt, name="", bits=0):
        raise UsageError(
            f"{target} would hold the noise of {fmt.label} as {found.written.label}, and clean + "
            "noise = source would not hold.",
            "Name a movie, such as noise.mkv.",
            number=229,
        )
    return found


def _deeper(info: ClipInfo, target: Path) -> EncodeSettings:
    """How samples like a clip's are written without loss, with a bit more than it has."""
    fmt, images = info.format, is_image(target)
    if fmt.floating:
        return choose(info, target, codec=None if images else "ffv1", bit_depth=32)
    if images:
        return choose(info, target, bit_depth=16)
    deeper = [bits for bits in (9, 10, 12, 14, 16) if bits > fmt.bits] or [16]
    for bits in deeper[:-1]:
        try:
            return choose(info, target, codec="ffv1", bit_depth=bits)
        except UsageError:
            continue  # not every layout exists at every depth
    return choose(info, target, codec="ffv1", bit_depth=deeper[-1])


def view_settings(info: ClipInfo, target: Path) -> EncodeSettings:
    """How a map is written: 16-bit gray without loss, black for none and white for all.

    Raises:
        UsageError: the target is images, or FFV1 does not fit it.
    """
    if is_image(target):
        raise UsageError(
            f"{target} is a name of images, and a map is written as a movie.",
            "Name one, such as matte.mkv.",
            number=231,
        )
    return choose(gray(info), target, codec="ffv1", bit_depth=16)


def gray(info: ClipInfo) -> ClipInfo:
    """The clip as a map of it is written."""
    return replace(info, format=GRAY, full_range=True)
