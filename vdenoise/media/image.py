"""One image file in and out through OpenImageIO, to the bit.

What is not denoised - other channels and parts, attributes, data window - is copied as it is.
Samples never pass through a conversion of OpenImageIO: alpha stays as stored, half and float are
read as such, 10- and 12-bit DPX codes are taken out of the 16 bits that it gives them in.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 (its own documentation calls it so)
import torch
from torch import Tensor

from vdenoise.errors import InputError
from vdenoise.frame import PixelFormat
from vdenoise.media.pixels import planar_format
from vdenoise.media.place import reading

LARGEST = 65535  # pixels each way; more is taken for damage
# Compressions that give every sample back; pxr24 does for half only.
LOSSLESS = {
    "exr": ("none", "rle", "zip", "zips", "piz", "pxr24", "htj2k", "htj2k256", "htj2k32"),
    "tiff": ("none", "lzw", "zip", "packbits", "deflate", "adobedeflate"),
}
_WRITERS = {"exr": "openexr", "dpx": "dpx", "tiff": "tiff", "png": "png"}
_NATIVE = {"uint8": np.uint8, "uint16": np.uint16, "half": np.float16, "float": np.float32}
# Attributes that belong to a kind of file or to how it is stored, not to the picture.
_STORAGE = re.compile(
    r"(?i)^(oiio:(?!colorspace|unassociatedalpha)|tiff:|dpx:|exr:|openexr:|png:|jpeg:|jfif:|"
    r"compression$|planarconfig$|orientation$|datetime$|software$|resolution|"
    r"(x|y)resolution$|iccprofile|chunk)"
)


@dataclass(frozen=True)
class Layout:
    """What is where in an image file. Equal layouts make a sequence."""

    kind: str  # "exr", "dpx", "tiff", "png", "jpeg"
    width: int
    height: int
    origin: tuple[int, int]  # of the data window
    format: PixelFormat
    part: int
    channels: tuple[int, ...]  # of the part, in the order of the format's planes
    names: tuple[tuple[str, ...], ...]  # of the channels of every part
    kept_apart: bool  # whether there are channels or parts beyond ``channels``


@dataclass(frozen=True)
class Header:
    """An image's layout and its properties."""

    layout: Layout
    compression: str  # empty where the kind has none
    rate: float | None  # frames per second
    timecode: str | None
    aspect: float
    color_space: str


def read_header(path: Path) -> Header:
    """Read what an image says of itself.

    Raises:
        InputError: it is missing, unreadable, damaged, or of a kind that cannot be denoised.
    """
    file = _open(path)
    try:
        specs = _specs(file)
        layout = _layout(path, file.format_name(), specs)
        spec = specs[layout.part]
        return Header(
            layout=layout,
            compression=str(spec.getattribute("compression") or ""),
            rate=_rate(spec),
            timecode=_timecode(spec),
            aspect=float(spec.getattribute("PixelAspectRatio") or 1.0),
            color_space=str(spec.getattribute("oiio:ColorSpace") or ""),
        )
    finally:
        file.close()


def read_planes(path: Path, expected: Layout | None = None) -> tuple[Layout, tuple[Tensor, ...]]:
    """Decode the planes that are denoised, and alpha.

    Args:
        path: the image.
        expected: the layout the image must have.

    Returns:
        The layout, and one (H, W) tensor for each plane of its format: RGB as G, B, R.

    Raises:
        InputError: as :func:`read_header`; it is cut short; its layout is another.
    """
    file = _open(path)
    try:
        layout = _layout(path, file.format_name(), _specs(file))
        if expected is not None and layout != expected:
            raise _changed(path, layout, expected)
        low, high = min(layout.channels), max(layout.channels) + 1
        pixels = file.read_image(layout.part, 0, low, high, _oiio_type(layout.format))
        if pixels is None or file.has_error:
            raise _damaged(path, file.geterror())
    finally:
        file.close()
    return layout, tuple(_plane(pixels[..., c - low], layout) for c in layout.channels)


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
    file = _open(source)
    try:
        specs = _specs(file)
        parts = []
        for number, spec in enumerate(specs):
            if number == layout.part and not layout.kept_apart:
                parts.append(_interleaved(planes, layout))
                continue
            kind = _common_type(spec)
            pixels = file.read_image(number, 0, 0, spec.nchannels, kind)
            if pixels is None or file.has_error:
                raise _damaged(source, file.geterror())
            pixels = pixels.reshape(spec.height, spec.width, spec.nchannels)
            if number == layout.part:
                for plane, channel in zip(planes, layout.channels, strict=True):
                    pixels[..., channel] = _stored(plane, layout)
            parts.append(pixels)
    finally:
        file.close()
    if compression:
        specs[layout.part].attribute("compression", compression)
    for spec in specs:
        if not spec.getattribute("DateTime"):  # or the time of writing: no two files alike
            changed = datetime.fromtimestamp(source.stat().st_mtime, UTC)
            spec.attribute("DateTime", changed.strftime("%Y:%m:%d %H:%M:%S"))
    _write(target, layout.kind, specs, parts)


def write_new(
    target: Path,
    kind: str,
    fmt: PixelFormat,
    planes: Sequence[Tensor],
    compression: str,
    *,
    like: Path | None = None,
    rate: float | None = None,
    aspect: float = 1.0,
) -> None:
    """Write an image of a kind that its source is not.

    Args:
        target: where to.
        kind: "exr", "dpx", "tiff" or "png".
        fmt: RGB or gray, as the file stores it.
        planes: one (H, W) tensor for each plane, RGB as G, B, R.
        compression: empty where the kind has none.
        like: image whose attributes are taken over, as far as they tell of the picture.
        rate: frames per second.
        aspect: of a pixel.

    Raises:
        OSError: it cannot be written.
        InputError: ``like`` cannot be read any more.
    """
    height, width = planes[0].shape
    count = len(planes)
    spec = oiio.ImageSpec(width, height, count, _oiio_type(fmt))
    spec.attribute("oiio:UnassociatedAlpha", 1)
    if fmt.bits not in (8, 16, 32):
        spec.attribute("oiio:BitsPerSample", fmt.bits)
    if compression:
        spec.attribute("compression", compression)
    if aspect != 1:
        spec.attribute("PixelAspectRatio", aspect)
    if rate is not None:
        spec.attribute("FramesPerSecond", rate)
    spec.attribute("DateTime", "1970:01:01 00:00:00")  # or no two files would be alike
    if like is not None:
        file = _open(like)
        for found in file.spec().extra_attribs:
            if not _STORAGE.search(found.name):
                spec.attribute(found.name, found.type, found.value)
        file.close()
    order = (0,) if fmt.family == "gray" else (1, 2, 0, 3)[:count]  # from R, G, B, A
    names = (("Y",) if kind == "exr" else ("R",)) if count == 1 else ("R", "G", "B", "A")[:count]
    spec.channelnames = names
    layout = Layout(kind, width, height, (0, 0), fmt, 0, order, (names,), kept_apart=False)
    _write(target, kind, [spec], [_interleaved(planes, layout)])


def attributes(path: Path) -> dict[str, Any]:
    """The attributes of every part by ``part:name``, without those every writer makes anew."""
    file = _open(path)
    found = {}
    for number, spec in enumerate(_specs(file)):
        for each in spec.extra_attribs:
            if each.name not in ("compression", "DateTime", "Software", "oiio:RowsPerChunk"):
                found[f"{number}:{each.name}"] = _comparable(each.value)
    file.close()
    return found


def set_threads(threads: int | None) -> None:
    """Threads that OpenImageIO decodes and encodes with; None for one per core."""
    oiio.attribute("threads", threads or 0)
    oiio.attribute("exr_threads", -1 if threads == 1 else threads or 0)


def _comparable(value: Any) -> Any:
    return value.tobytes() if isinstance(value, np.ndarray) else value


def _open(path: Path) -> Any:
    with reading(str(path)), path.open("rb") as file:
        empty = not file.read(1)
    if empty:
        raise InputError(f"{path} is empty.", "Copy or render it again.", number=3)
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)  # alpha and color as stored
    config.attribute("oiio:reorient", 0)
    image = oiio.ImageInput.open(str(path), config)
    if image is None:
        reason = oiio.geterror()
        size = re.search(r"claimed to be (\d+x\d+)", reason)
        if size is not None:
            raise _too_large(path, size[1])
        raise _damaged(path, reason)
    return image


def _damaged(path: Path, reason: str) -> InputError:
    words = " ".join(reason.replace(f"({path}):", "").replace(str(path), "").split())
    return InputError(
        f"{path} is damaged or cut short{f': {words}' if words else ''}.",
        "Copy or render it again, or put the frame before in its place with --on-bad-frame repeat.",
        number=8,
    )


def _too_large(path: Path, size: str) -> InputError:
    return InputError(
        f"{path} says that it is {size}: that is damage, or more than can be held at once.",
        f"Render it again, or cut it into parts (of at most {LARGEST} pixels each way) first.",
        number=16,
    )


def _changed(path: Path, found: Layout, first: Layout) -> InputError:
    def words(layout: Layout) -> str:
        x, y = layout.origin
        window = f"{layout.width}x{layout.height}" + (f"{x:+d}{y:+d}" if x or y else "")
        channels = "; ".join(",".join(names) for names in layout.names)
        return f"{window} {layout.format.label} ({channels})"

    return InputError(
        f"{path} is {words(found)}, the first frame {words(first)}.",
        "Denoise the frames before and after it changes as clips of their own: --frames A-B of a "
        "copy, or bring all frames to one size first.",
        number=12,
    )


def _specs(file: Any) -> list[Any]:
    """The headers of all parts."""
    specs: list[Any] = []
    while file.seek_subimage(len(specs), 0):
        specs.append(file.spec(len(specs), 0))
    file.geterror()  # that there is no further part
    return specs


def _layout(path: Path, reader: str, specs: Sequence[Any]) -> Layout:
    kind = {"openexr": "exr", "OpenEXR": "exr"}.get(reader, reader)
    if kind not in ("exr", "dpx", "tiff", "png", "jpeg"):
        raise _unsupported(path, f"is of the kind {reader}")
    for spec in specs:
        if max(spec.width, spec.height) > LARGEST:
            raise _too_large(path, f"{spec.width}x{spec.height}")
        if spec.deep:
            raise _unsupported(path, "holds deep samples")
        if spec.depth > 1:
            raise _unsupported(path, "is a volume")
        if kind == "exr" and any(str(f) == "uint" for f in spec.channelformats or (spec.format,)):
            raise _unsupported(path, "holds integer channels, which cannot be copied exactly yet")
        descriptor = str(spec.getattribute("dpx:ImageDescriptor") or "RGB")
        if not descriptor.upper().startswith(("RGB", "LUMA", "ABGR")):
            raise _unsupported(path, f"holds {descriptor} samples")
    part, channels = _colors(path, specs)
    spec = specs[part]
    formats = spec.channelformats or (spec.format,) * spec.nchannels
    kinds = {str(formats[c]) for c in channels}
    if len(kinds) > 1 or not kinds <= set(_NATIVE):
        raise _unsupported(path, f"holds {' and '.join(sorted(kinds))} samples")
    fmt = _format(kinds.pop(), spec, channels)
    if fmt is None:
        raise _unsupported(path, "holds samples of a depth that is not known")
    return Layout(
        kind=kind,
        width=spec.width,
        height=spec.height,
        origin=(spec.x, spec.y),
        format=fmt,
        part=part,
        channels=channels,
        names=tuple(tuple(s.channelnames) for s in specs),
        kept_apart=len(channels) < spec.nchannels or len(specs) > 1,
    )


def _unsupported(path: Path, why: str) -> InputError:
    return InputError(
        f"{path} {why}: it cannot be denoised.", "Convert it to RGB or gray images first.", number=6
    )


def _colors(path: Path, specs: Sequence[Any]) -> tuple[int, tuple[int, ...]]:
    """The part and channels to denoise: the first plain RGB, else the first layer's, else Y."""
    for prefix in (r"", r"(.*\.)"):
        for part, spec in enumerate(specs):
            names = [name.casefold() for name in spec.channelnames]
            for name in names:
                layer = re.fullmatch(rf"{prefix}r(ed)?", name)
                if layer is None:
                    continue
                before = layer[1] or "" if prefix else ""
                for red, green, blue, alpha in (("r", "g", "b", "a"), ("red", "green", "blue", "")):
                    wanted = [before + green, before + blue, before + red]
                    if all(w in names for w in wanted):
                        opaque = [before + alpha] if alpha and before + alpha in names else []
                        return part, tuple(names.index(w) for w in (*wanted, *opaque))
    for part, spec in enumerate(specs):
        names = [name.casefold() for name in spec.channelnames]
        gray = [n for n, name in enumerate(names) if name.rpartition(".")[2] in ("y", "i")]
        if gray or spec.nchannels == 1:
            return part, (gray[0] if gray else 0,)
    listed = "; ".join(",".join(spec.channelnames) for spec in specs)
    raise _unsupported(path, f"holds neither RGB nor gray ({listed})")


def _format(native: str, spec: Any, channels: tuple[int, ...]) -> PixelFormat | None:
    base = {1: "gray", 3: "gbr", 4: "gbra"}[len(channels)]
    planar = base if base == "gray" else f"{base}p"
    if native in ("half", "float"):
        return planar_format(f"{planar}f{16 if native == 'half' else 32}le")
    bits = 8 if native == "uint8" else 16
    told = int(spec.getattribute("oiio:BitsPerSample") or bits)
    if 8 < told < bits:
        bits = told
    return planar_format(planar if bits == 8 else f"{planar}{bits}le")


def _oiio_type(fmt: PixelFormat) -> str:
    if fmt.floating:
        return "half" if fmt.bits == 16 else "float"
    return "uint8" if fmt.bits == 8 else "uint16"


def _common_type(spec: Any) -> str:
    """The type that holds every channel exactly: half and float fit in float."""
    kinds = {str(f) for f in spec.channelformats} or {str(spec.format)}
    return kinds.pop() if len(kinds) == 1 else "float"


def _plane(samples: np.ndarray, layout: Layout) -> Tensor:
    """One channel as a contiguous tensor of codes."""
    plane = torch.from_numpy(np.ascontiguousarray(samples))
    bits = layout.format.bits
    if 8 < bits < 16:  # the codes fill 16 bits, their upper bits repeated below
        plane = (plane.to(torch.int32) >> (16 - bits)).to(torch.uint16)
    return plane


def _stored(plane: Tensor, layout: Layout) -> np.ndarray:
    """The reverse of :func:`_plane`."""
    bits = layout.format.bits
    if 8 < bits < 16:
        code = plane.to(torch.int32)
        plane = ((code << (16 - bits)) | (code >> (2 * bits - 16))).to(torch.uint16)
    return plane.contiguous().numpy()


def _interleaved(planes: Sequence[Tensor], layout: Layout) -> np.ndarray:
    pixels = np.empty(
        (layout.height, layout.width, len(planes)), _NATIVE[_oiio_type(layout.format)]
    )
    for plane, channel in zip(planes, layout.channels, strict=True):
        pixels[..., channel] = _stored(plane, layout)
    return pixels


def _write(target: Path, kind: str, specs: Sequence[Any], parts: Sequence[np.ndarray]) -> None:
    file = oiio.ImageOutput.create(_WRITERS[kind])
    assert file is not None, f"OpenImageIO writes {kind}"
    several = len(specs) > 1
    sound = file.open(str(target), tuple(specs)) if several else file.open(str(target), specs[0])
    for number, pixels in enumerate(parts):
        if number and sound:
            sound = file.open(str(target), specs[number], "AppendSubimage")
        sound = sound and file.write_image(pixels)
    reason = file.geterror()
    if not file.close() or not sound:
        size = sum(pixels.nbytes for pixels in parts)  # OpenImageIO keeps no error number
        full = shutil.disk_usage(target.parent).free < size
        words = " ".join((reason or file.geterror()).split())
        raise OSError(errno.ENOSPC if full else errno.EIO, words)


def _rate(spec: Any) -> float | None:
    for name in ("FramesPerSecond", "dpx:FrameRate", "dpx:TemporalFrameRate"):
        value = spec.getattribute(name)
        if isinstance(value, tuple | list) and len(value) == 2 and value[1]:
            value = value[0] / value[1]
        if isinstance(value, int | float) and 0 < value < 1000:
            return float(value)
    return None


def _timecode(spec: Any) -> str | None:
    value = spec.getattribute("smpte:TimeCode") or spec.getattribute("dpx:TimeCode")
    return (
        value if isinstance(value, str) and re.fullmatch(r"\d\d:\d\d:\d\d[:;]\d\d", value) else None
    )
