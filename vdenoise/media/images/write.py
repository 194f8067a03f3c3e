"""Writing image files through OpenImageIO, to the bit: copies with other samples, and new ones.

What is not denoised - other channels and parts, attributes, data window - is copied as it is.
"""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 (its own documentation calls it so)
import torch
from torch import Tensor

from vdenoise.media.images import alpha, carry, dpx, exr, png
from vdenoise.media.images.belongings import COLOR_SPACES, NOTHING, Belongings, put
from vdenoise.media.images.inputs import damaged, opened, reason_of, specs_of
from vdenoise.media.images.layout import NATIVE, Layout, kind_of, stored_type
from vdenoise.media.movie.clock import timecode_word
from vdenoise.picture.frame import PixelFormat

_WRITERS = {"exr": "openexr", "dpx": "dpx", "tiff": "tiff", "png": "png"}
# Attributes that belong to a kind of file or to how it is stored, not to the picture.
_STORAGE = re.compile(
    r"(?i)^(oiio:(?!colorspace|unassociatedalpha)|tiff:|dpx:|exr:|openexr:|png:|jpeg:|jfif:|"
    r"pixelaspectratio$|compression$|planarconfig$|orientation$|datetime$|software$|resolution|"
    r"(x|y)resolution$|iccprofile|chunk)"
)


def write_copy(
    target: Path, source: Path, layout: Layout, planes: Sequence[Tensor], compression: str
) -> None:
    """Write an image like another one, with other samples in the planes that are denoised.

    Args:
        target: where to; its name need not have the extension.
        source: the image whose other channels, parts and attributes are kept.
        layout: of ``source``.
        planes: as :func:`read_planes` gives them.
        compression: for the part written, empty where the kind has none.

    Raises:
        OSError: it cannot be written.
        InputError: ``source`` cannot be read any more.
    """
    file = opened(source)
    try:
        specs = specs_of(file)
        parts = []
        for number, spec in enumerate(specs):
            if number == layout.part and not layout.kept_apart:
                parts.append(_interleaved(planes, layout))
                continue
            kind = _common_type(spec)
            pixels = file.read_image(number, 0, 0, spec.nchannels, kind)
            if pixels is None or file.has_error:
                raise damaged(source, reason_of(file))
            pixels = pixels.reshape(spec.height, spec.width, spec.nchannels)
            if number == layout.part:
                for plane, channel in zip(planes, layout.channels, strict=True):
                    pixels[..., channel] = _stored(plane, layout)
            parts.append(pixels)
    finally:
        file.close()
    kind = layout.kind
    parts[layout.part] = _as_stored(parts[layout.part], source, layout)
    carry.prepare(specs[layout.part], source, kind)
    if compression:
        specs[layout.part].attribute("compression", compression)
    for spec in specs:
        if not spec.get_string_attribute("DateTime"):  # or the time of writing: no two files alike
            changed = datetime.fromtimestamp(source.stat().st_mtime, UTC)
            spec.attribute("DateTime", changed.strftime("%Y:%m:%d %H:%M:%S"))
    _write(target, kind, specs, parts)
    carry.carry(target, source, kind)


def write_new(
    target: Path,
    kind: str,
    fmt: PixelFormat,
    planes: Sequence[Tensor],
    compression: str,
    *,
    like: Path | None = None,
    rate: Fraction | None = None,
    timecode: str | None = None,
    aspect: float = 1.0,
    own: Belongings = NOTHING,
) -> None:
    """Write an image of another kind than its source, or with samples of another depth.

    Args:
        target: where to.
        kind: "exr", "dpx", "tiff" or "png".
        fmt: RGB or gray, as the file stores it.
        planes: one (H, W) tensor for each plane, RGB as G, B, R.
        compression: empty where the kind has none.
        like: image whose attributes are taken over, as far as they tell of the picture.
        rate: frames per second.
        timecode: of this frame; that of ``like`` goes before.
        aspect: of a pixel.
        own: what belongs to the picture, where ``like`` is of another kind or None.

    Raises:
        OSError: it cannot be written.
        InputError: ``like`` cannot be read any more.
    """
    height, width = planes[0].shape
    count = len(planes)
    spec = oiio.ImageSpec(width, height, count, stored_type(fmt))
    spec.attribute("oiio:UnassociatedAlpha", 1)
    if fmt.bits not in (8, 16, 32):
        spec.attribute("oiio:BitsPerSample", fmt.bits)
    if compression:
        spec.attribute("compression", compression)
    if aspect != 1:
        spec.attribute("PixelAspectRatio", aspect)
    if rate is not None and kind == "exr":
        spec.attribute("FramesPerSecond", oiio.TypeRational, rate.as_integer_ratio())
    elif rate is not None:
        spec.attribute("dpx:FrameRate" if kind == "dpx" else "FramesPerSecond", float(rate))
    if timecode is not None and kind in ("exr", "dpx"):
        spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, (timecode_word(timecode), 0))
    spec.attribute("DateTime", "1970:01:01 00:00:00")  # or no two files would be alike
    if kind == "tiff" and fmt.floating:
        spec.attribute("tiff:half", 1)
    if own.chromaticities is not None and kind == "exr":
        spec.attribute("chromaticities", "float[8]", own.chromaticities)
    of_kind, dated = "", False
    if like is not None:
        file = opened(like)
        of_kind = kind_of(file.format_name())
        pixels = read_from_pixels(like, of_kind)
        first = file.spec()
        if dated := bool(date := first.get_string_attribute("DateTime")):
            spec.attribute("DateTime", date)
        if kind == "tiff" and alpha.is_multiplied(like, of_kind):
            spec.attribute("oiio:UnassociatedAlpha", 0)
        if of_kind == kind == "exr" and (first.width, first.height) == (width, height):
            spec.x, spec.y, spec.full_x, spec.full_y = first.x, first.y, first.full_x, first.full_y
            spec.full_width, spec.full_height = first.full_width, first.full_height
        for found in file.spec().extra_attribs:
            if not _STORAGE.search(found.name) and not pixels.match(found.name):
                _give(spec, found)
        file.close()
    if of_kind in ("png", "jpeg", "tiff") and spec.getattribute("oiio:ColorSpace"):
        # What is read there is a guess: that of sRGB, whatever the profile.
        color = own.primaries_and_transfer(display=of_kind != "tiff")
        spec.attribute("oiio:ColorSpace", COLOR_SPACES.get(color, "unknown"))
    order = (0,) if fmt.family == "gray" else (1, 2, 0, 3)[:count]  # from R, G, B, A
    names = (
        (("Y",) if kind in ("exr", "dpx") else ("R",))
        if count == 1
        else ("R", "G", "B", "A")[:count]
    )
    spec.channelnames = names
    layout = Layout(kind, width, height, (0, 0), fmt, 0, order, (names,), kept_apart=False)
    _write(target, kind, [spec], [_interleaved(planes, layout)])
    if of_kind != kind:
        put(target, kind, own)
    elif like is not None and (kind != "exr" or len(exr.headers(like)) == 1):
        carry.carry(target, like, kind, copied=False)
    if kind == "exr" and not dated:
        exr.set_headers(target, [_undated(header) for header in exr.headers(target)])


def _give(spec: Any, found: Any) -> None:
    """Set an attribute that another file has; one of bytes that are no text cannot be said."""
    text = isinstance(found.value, str)
    value = found.value.encode("utf-8", "surrogateescape") if text else found.value
    with contextlib.suppress(RuntimeError):  # lists of text, which only the same kind holds
        spec.attribute(found.name, found.type, value.decode("utf-8", "replace") if text else value)


def _undated(header: exr.Header) -> exr.Header:
    """Attributes without the date that OpenImageIO adds."""
    return {name: value for name, value in header.items() if name != b"capDate"}


def see_room(path: Path, size: int) -> None:
    """Fill a file that was not written well with ``size`` zeros: OpenImageIO keeps no error number
    and PNG not even the error, but what kept it from writing will do the same here.

    Raises:
        OSError: it cannot be written.
    """
    path.write_bytes(bytes(size))


def _common_type(spec: Any) -> str:
    """The type that holds every channel exactly: half and float fit in float."""
    kinds = {str(f) for f in spec.channelformats} or {str(spec.format)}
    return kinds.pop() if len(kinds) == 1 else "float"


def _stored(plane: Tensor, layout: Layout) -> np.ndarray:
    """The reverse of :func:`_plane`."""
    bits = layout.format.bits
    if 8 < bits < 16:
        code = plane.to(torch.int32)
        plane = ((code << (16 - bits)) | (code >> (2 * bits - 16))).to(torch.uint16)
    return plane.contiguous().numpy()


def _interleaved(planes: Sequence[Tensor], layout: Layout) -> np.ndarray:
    pixels = np.empty(
        (layout.height, layout.width, len(planes)), NATIVE[stored_type(layout.format)]
    )
    for plane, channel in zip(planes, layout.channels, strict=True):
        pixels[..., channel] = _stored(plane, layout)
    return pixels


def read_from_pixels(path: Path, kind: str) -> re.Pattern[str]:
    """Names of attributes that OpenImageIO reads where a DPX has pixels, and no header."""
    short = kind == "dpx" and not dpx.has_television_header(path)
    return re.compile("smpte:" if short else "(?!)")


def _as_stored(pixels: np.ndarray, source: Path, layout: Layout) -> np.ndarray:
    """Samples for a copy of a file that stores them in another way than OpenImageIO writes."""
    if pixels.dtype.kind == "u" and carry.stored_inverted(source, layout.kind):
        # Alpha beside them was read inverted as well, or it was not.
        which = list(layout.channels) if layout.inverted else slice(None)
        pixels[..., which] = np.iinfo(pixels.dtype).max - pixels[..., which]
    return pixels.byteswap() if carry.stored_swapped(source, layout.kind) else pixels


def _write(target: Path, kind: str, specs: Sequence[Any], parts: Sequence[np.ndarray]) -> None:
    file = oiio.ImageOutput.create(_WRITERS[kind])
    assert file is not None, f"OpenImageIO writes {kind}"
    several = len(specs) > 1
    sound = file.open(str(target), tuple(specs)) if several else file.open(str(target), specs[0])
    for number, pixels in enumerate(parts):
        if number and sound:
            sound = file.open(str(target), specs[number], "AppendSubimage")
        sound = sound and file.write_image(pixels)
    reason = reason_of(file)
    sound = file.close() and sound
    if not sound or (kind == "png" and not png.is_whole(target)):
        see_room(target, sum(pixels.nbytes for pixels in parts))
        reason = " ".join((reason or reason_of(file)).split())
        code = errno.EINVAL if reason else errno.EIO  # a write was lost, and the next one was not
        raise OSError(code, reason or "a part of it was not taken")
