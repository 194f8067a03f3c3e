"""What an image file says of itself, by OpenImageIO: what is where in it, and its properties."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vdenoise.errors import InputError
from vdenoise.media.images import inputs
from vdenoise.media.images.dpx import has_television_header
from vdenoise.media.images.inputs import LARGEST, damaged, opened, specs_of, too_large
from vdenoise.media.images.supported import check_supported, is_gray, unsupported, white_is_zero
from vdenoise.media.movie.clock import timecode_of
from vdenoise.media.movie.pixels import planar_format
from vdenoise.picture.frame import PixelFormat

# Kinds of samples that are read, by OpenImageIO's name for them.
NATIVE = {"uint8": np.uint8, "uint16": np.uint16, "half": np.float16, "float": np.float32}


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
    inverted: bool = False  # whether 0 is white, and OpenImageIO leaves it so


@dataclass(frozen=True)
class ImageHeader:
    """An image's layout and its properties."""

    layout: Layout
    compression: str  # empty where the kind has none
    rate: float | None  # frames per second
    timecode: str | None
    aspect: float
    color_space: str
    orientation: int  # how the picture is to be turned to be seen, as Exif counts; 1 is not at all
    has_copies: bool  # whether there are smaller copies of it (mipmap levels)


def read_header(path: Path) -> ImageHeader:
    """Read what an image says of itself.

    Raises:
        InputError: it is missing, unreadable, damaged, or of a kind that cannot be denoised.
    """
    file = opened(path)
    try:
        specs = specs_of(file)
        layout = layout_of(path, file.format_name(), specs)
        spec = specs[layout.part]
        try:
            timed = layout.kind != "dpx" or has_television_header(path)
        except OSError as error:
            raise damaged(path, str(error)) from error
        return ImageHeader(
            layout=layout,
            compression=str(spec.getattribute("compression") or ""),
            rate=_rate(spec) if timed else None,
            timecode=_timecode(spec) if timed else None,
            aspect=_aspect(spec),
            orientation=_orientation(spec, layout.kind),
            color_space=str(spec.getattribute("oiio:ColorSpace") or ""),
            has_copies=inputs.has_level(file, layout.part, 1),
        )
    finally:
        file.close()


def changed(path: Path, found: Layout, first: Layout) -> InputError:
    """The error for a frame that is not laid out like the first of its sequence."""

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


def kind_of(reader: str) -> str:
    """The kind of an image by OpenImageIO's name for it."""
    return {"openexr": "exr", "OpenEXR": "exr"}.get(reader, reader)


def layout_of(path: Path, reader: str, specs: Sequence[Any]) -> Layout:
    """What is to be denoised in an image, and where it is.

    Args:
        path: the image.
        reader: OpenImageIO's name for its kind.
        specs: the headers of all parts.

    Raises:
        InputError: it is of a kind that cannot be denoised.
    """
    kind = kind_of(reader)
    for spec in specs:
        if max(spec.width, spec.height) > LARGEST:
            raise too_large(path, f"{spec.width}x{spec.height}")
    check_supported(path, kind, specs)
    part, channels = (0, (0,)) if is_gray(specs[0], kind) else _colors(path, specs)
    spec = specs[part]
    formats = spec.channelformats or (spec.format,) * spec.nchannels
    kinds = {str(formats[c]) for c in channels}
    if len(kinds) > 1 or not kinds <= set(NATIVE):
        raise unsupported(path, f"holds {' and '.join(sorted(kinds))} samples")
    integers = kinds <= {"uint8", "uint16"}
    if not integers and (kind == "dpx" or white_is_zero(spec, kind)):
        raise unsupported(path, f"holds {kinds.pop()} samples")
    fmt = _format(kinds.pop(), spec, channels)
    if fmt is None:
        raise unsupported(path, "holds samples of a depth that is not known")
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
        inverted=white_is_zero(spec, kind) and fmt.bits > 8,
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
    raise unsupported(path, f"holds neither RGB nor gray ({listed})")


def other_pictures(layout: Layout) -> tuple[str, ...]:
    """Names of the layers and views that are pictures in RGB and are not the one denoised."""
    own = {layout.names[layout.part][c] for c in layout.channels}
    found = []
    for part, names in enumerate(layout.names):
        known = {name.casefold() for name in names}
        for name in names:
            before = re.fullmatch(r"(.*\.)?r(ed)?", name, re.IGNORECASE)
            if before is None or (part == layout.part and name in own):
                continue
            layer = before[1] or ""
            long = "red" if before[2] else "r"
            others = ("green", "blue") if long == "red" else ("g", "b")
            if all(f"{layer}{other}".casefold() in known for other in others):
                found.append(layer.removesuffix(".") or f"part {part}")
    return tuple(found)


def _format(native: str, spec: Any, channels: tuple[int, ...]) -> PixelFormat | None:
    base = {1: "gray", 3: "gbr", 4: "gbra"}[len(channels)]
    planar = base if base == "gray" else f"{base}p"
    if native in ("half", "float"):
        return planar_format(f"{planar}f{16 if native == 'half' else 32}le")
    bits = 8 if native == "uint8" else 16
    told = spec.get_int_attribute("oiio:BitsPerSample", bits)
    if 8 < told < bits:
        bits = told
    return planar_format(planar if bits == 8 else f"{planar}{bits}le")


def stored_type(fmt: PixelFormat) -> str:
    """OpenImageIO's name for the samples of a format in a file: a key of `NATIVE`."""
    if fmt.floating:
        return "half" if fmt.bits == 16 else "float"
    return "uint8" if fmt.bits == 8 else "uint16"


def _aspect(spec: Any) -> float:
    """Width of a pixel by its height; 1 where the file says what cannot be."""
    told = float(spec.get_float_attribute("PixelAspectRatio", 1.0))
    return told if 0.01 <= told <= 100 else 1.0


def _orientation(spec: Any, kind: str) -> int:
    told = spec.get_int_attribute("Orientation", 1) if kind != "exr" else 1
    return told if 1 <= told <= 8 else 1


def _rate(spec: Any) -> float | None:
    for name in ("FramesPerSecond", "dpx:FrameRate", "dpx:TemporalFrameRate"):
        value = spec.getattribute(name)
        if isinstance(value, tuple | list) and len(value) == 2 and value[1]:
            value = value[0] / value[1]
        if isinstance(value, int | float) and 0 < value < 1000:
            return float(value)
    return None


def _timecode(spec: Any) -> str | None:
    value = spec.getattribute("smpte:TimeCode")  # the two words of SMPTE ST 12-1
    return timecode_of(value[0]) if isinstance(value, tuple) and len(value) == 2 else None
