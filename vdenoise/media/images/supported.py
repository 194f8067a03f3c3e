"""Whether an image file holds one picture of a kind that can be denoised; else why not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vdenoise.errors import InputError
from vdenoise.media.access import reading
from vdenoise.media.images import tiff
from vdenoise.media.images.pictures import jpeg_pictures, png_frames

# Photometric interpretations of TIFF that are no RGB and no gray; as RGB they would be converted
# by a formula that knows nothing of inks, whites or profiles, and could not be brought back.
_OTHER_COLOR = {
    4: "a transparency mask",
    5: "CMYK or other inks",
    8: "CIE L*a*b* samples",
    9: "ICC L*a*b* samples",
    10: "ITU L*a*b* samples",
    32803: "a camera's raw samples",
    32844: "LogL samples",
    32845: "LogLuv samples",
    34892: "a camera's linear raw samples",
}


def check_supported(path: Path, kind: str, specs: Sequence[Any]) -> None:
    """See that an image can be denoised, and written again with what else it holds.

    Args:
        path: the image.
        kind: "exr", "dpx", "tiff", "png", "jpeg" or another one, which is refused.
        specs: OpenImageIO's headers of all parts.

    Raises:
        InputError: it cannot.
    """
    if kind not in ("exr", "dpx", "tiff", "png", "jpeg"):
        raise unsupported(path, f"is of the kind {kind}")
    _check_one_picture(path, kind, specs)
    _check_color_model(path, kind, specs[0])
    for spec in specs:
        if spec.deep:
            raise unsupported(path, "holds deep samples")
        if spec.depth > 1:
            raise unsupported(path, "is a volume")
        if kind == "exr" and {"RY", "BY"} & {n.rpartition(".")[2] for n in spec.channelnames}:
            raise unsupported(path, "holds luminance and chroma (Y, RY, BY)")
        if kind == "exr" and any(str(f) == "uint" for f in spec.channelformats or (spec.format,)):
            raise unsupported(path, "holds integer channels, which cannot be copied exactly yet")
        descriptor = str(spec.getattribute("dpx:ImageDescriptor") or "RGB")
        if not descriptor.upper().startswith(("RGB", "LUMA", "ABGR")):
            raise unsupported(path, f"holds {descriptor} samples")


def unsupported(path: Path, why: str) -> InputError:
    """The error for an image of a kind that cannot be denoised, for a reason."""
    return InputError(
        f"{path} {why}: it cannot be denoised.", "Convert it to RGB or gray images first.", number=6
    )


def _ycbcr_not_read(spec: Any) -> str | None:
    """Kinds of YCbCr that OpenImageIO turns into RGB wrongly or not at all, in words."""
    if spec.get_int_attribute("Orientation", 1) != 1:
        return "YCbCr samples of a turned picture"
    more = spec.get_int_attribute("oiio:BitsPerSample", 8) > 8
    return "YCbCr samples of more than 8 bits" if more else None


def is_gray(spec: Any, kind: str) -> bool:
    """Whether the first sample of a TIFF is gray, and further ones are not color."""
    return kind == "tiff" and _photometric(spec) in tiff.GRAYS


def white_is_zero(spec: Any, kind: str) -> bool:
    """Whether the samples of a gray TIFF say how dark it is."""
    return kind == "tiff" and _photometric(spec) == 0


def _photometric(spec: Any) -> int | None:
    """What the samples of a TIFF stand for; None where OpenImageIO does not say it."""
    told = spec.getattribute("tiff:PhotometricInterpretation")
    return None if told is None else int(told)


def _check_one_picture(path: Path, kind: str, specs: Sequence[Any]) -> None:
    """See that a file holds one picture: of several the first would be denoised, others lost.

    Raises:
        InputError: it holds more.
    """
    found = 1
    if kind in ("png", "jpeg"):
        with reading(str(path)), path.open("rb") as file:
            data = file.read(1 << 16 if kind == "png" else -1)
        found = png_frames(data) if kind == "png" else jpeg_pictures(data)[0]
    elif kind in ("tiff", "dpx"):
        found = len(specs)
    if found > 1:
        raise InputError(
            f"{path} holds {found} pictures, and an image is denoised as one.",
            "Bring each into a file of its own, numbered as a sequence, or make a movie of them.",
            number=40,
        )


def _check_color_model(path: Path, kind: str, spec: Any) -> None:
    """See that the samples are RGB or gray, or YCbCr that is turned into RGB rightly: OpenImageIO
    turns all into RGB by itself, and YCbCr it turns about as well.

    Raises:
        InputError: they are not.
    """
    other = None
    if kind == "tiff":
        told = _photometric(spec)
        if told == tiff.YCBCR:
            other = _ycbcr_not_read(spec)
        elif told not in (None, *tiff.GRAYS, tiff.RGB, tiff.PALETTE, tiff.YCBCR):
            other = _OTHER_COLOR.get(told, f"samples of a meaning that is not known ({told})")
    elif kind == "jpeg" and str(spec.getattribute("jpeg:ColorSpace") or "") in ("CMYK", "YCCK"):
        other = "CMYK or other inks"
    if other is not None:
        raise unsupported(path, f"holds {other}")
