"""A clip of images behind the same values as a movie: probed, read, and its output chosen."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import torch

from vdenoise.codes import has_rgb
from vdenoise.errors import ConflictError, InputError, UsageError
from vdenoise.frame import ClipInfo, Curve, ImageSequence, SourceFrame
from vdenoise.media import image, sequence
from vdenoise.media.encoder import IMAGES, EncodeSettings
from vdenoise.media.image import read_planes
from vdenoise.media.index import COMMON_RATES, index_of
from vdenoise.media.layout import Layout, read_header
from vdenoise.media.linear import fit_curve
from vdenoise.media.pixels import planar_format
from vdenoise.media.place import reading
from vdenoise.media.sequence import KINDS, OnMissing

DEFAULT_RATE = Fraction(24)
FIT_FRAMES = 3  # that the curve of scene-linear samples is fitted to
_DISPLAY = ("srgb", "rec709", "rec1886", "gamma")  # in the names of spaces that are not linear
_DEPTHS = {"exr": (16, 32), "tiff": (8, 16, 32), "png": (8, 16), "dpx": (8, 10, 12, 16)}


@dataclass(frozen=True)
class Picture:
    """The image a frame comes from."""

    path: Path
    layout: Layout


def probe_images(
    path: Path, *, on_missing: OnMissing = "refuse", rate: Fraction | None = None
) -> ClipInfo:
    """What there is to know of an image, or of a sequence given as a pattern.

    Scene-linear samples (half and float, unless tagged with a display's space) get the curve they
    are denoised behind: it is fitted to the first, middle and last frame.

    Raises:
        InputError: there is no such file, numbers are missing, or it cannot be denoised.
        UsageError: the pattern cannot be understood.
    """
    found = sequence.find(path, on_missing)
    info = describe(path, found, rate=rate)
    return replace(info, curve=_curve(found)) if info.transfer == "linear" else info


def describe(path: Path, found: ImageSequence, *, rate: Fraction | None = None) -> ClipInfo:
    """What the header of a sequence's first image tells of a clip.

    Raises:
        InputError: it is missing, or cannot be denoised.
    """
    header = read_header(found.source(0))
    layout = header.layout
    linear = layout.format.floating and not any(
        word in header.color_space.lower() for word in _DISPLAY
    )
    if "lin" in header.color_space.lower():
        linear = layout.format.floating
    told = rate or _common(header.rate)
    count = len(found.numbers)
    return ClipInfo(
        path=path,
        container=IMAGES,
        codec=layout.kind,
        width=layout.width,
        height=layout.height,
        format=layout.format,
        source_format=layout.format.name,
        time_base=1 / (told or DEFAULT_RATE),
        rate=told or DEFAULT_RATE,
        frames=count,
        duration=count / float(told or DEFAULT_RATE),
        start_pts=0,
        variable_rate=False,
        full_range=True,
        matrix="rgb" if layout.format.family == "rgb" else "bt709",
        matrix_guessed=layout.format.family != "rgb",
        primaries="unknown",
        transfer="linear" if linear else "unknown",
        chroma_location="unspecified",
        field_order="progressive",
        sample_aspect_ratio=Fraction(header.aspect).limit_denominator(1000) or Fraction(1),
        timecode=header.timecode,
        streams=(_streams(layout),),
        metadata={"compression": header.compression} if header.compression else {},
        warnings=sequence.notes(found),
        sequence=found,
    )


def pictures(
    info: ClipInfo, first: int, last: int, bad: list[int], *, repeat: bool
) -> Iterator[SourceFrame]:
    """The frames at the positions ``first`` to ``last``, each under its position.

    Args:
        info: the probed sequence.
        first, last: positions, both included.
        bad: positions of unreadable frames are added, where they are replaced.
        repeat: put the frame before in the place of one that cannot be read.

    Raises:
        InputError: a frame cannot be read, or is not like the first.
        ConflictError: a file is not the one whose checksum the sequence holds.
    """
    assert info.sequence is not None
    index = index_of(info)
    layout = read_header(info.sequence.source(0)).layout
    sound: SourceFrame | None = None
    waiting: list[int] = []
    for position in range(first, last + 1):
        path = info.sequence.source(position)
        try:
            if info.sequence.checks and checksum(path) != info.sequence.checks[position]:
                raise changed(str(path), "it")
            _, planes = read_planes(path, layout)
        except InputError as error:
            if not repeat or error.number == 12:
                raise
            bad.append(position)
            if sound is None:
                waiting.append(position)
                if position == last:
                    raise
                continue
            sound = replace(sound, index=position, pts=index.pts[position], corrupt=True)
            yield sound
            continue
        sound = SourceFrame(
            index=position,
            pts=index.pts[position],
            time_base=index.time_base,
            duration=1,
            planes=planes,
            handle=Picture(path, layout),
            corrupt=info.sequence.numbers[position] in info.sequence.held,
        )
        for earlier in waiting:
            yield replace(sound, index=earlier, pts=index.pts[earlier], corrupt=True)
        waiting.clear()
        yield sound


def checksum(path: Path) -> int:
    """CRC-32 of an image's file.

    Raises:
        InputError: it cannot be read.
    """
    found = 0
    with reading(str(path)), path.open("rb") as file:
        while block := file.read(1 << 20):
            found = zlib.crc32(block, found)
    return found


def with_checks(info: ClipInfo) -> ClipInfo:
    """A clip of images with the checksum of each file: whoever reads it notices another one.

    Raises:
        InputError: a file cannot be read.
    """
    found = info.sequence
    assert found is not None
    known = dict.fromkeys(map(found.source, range(len(found.numbers))), 0)
    known = {path: checksum(path) for path in known}
    checks = tuple(known[found.source(n)] for n in range(len(found.numbers)))
    return replace(info, sequence=replace(found, checks=checks))


def changed(name: str, what: str) -> ConflictError:
    """The error for a source that is not the one that was looked at first."""
    return ConflictError(
        f"{name} is not the clip that was looked at first: {what} has changed since.",
        "Bring the right file back, or begin anew (with a new plan, if there was one).",
        number=4,
    )


def choose_images(info: ClipInfo, target: Path, *, bit_depth: int | None = None) -> EncodeSettings:
    """How a clip is written as images: by default with the source's own samples and compression.

    A lossy compression becomes zip: what was denoised is not to lose again. YUV becomes RGB, with
    16 bits (DPX 10) unless told otherwise.

    Raises:
        UsageError: this kind of image does not hold such samples.
    """
    sequence.target_of(info, target)
    kind = KINDS[target.suffix.lower()]
    fmt = info.format
    if fmt.floating and kind not in ("exr", "tiff"):
        raise UsageError(
            f"{fmt.label} cannot be written as {kind}: its values have no end.",
            "Write .exr or .tif; a picture for display needs a color transform first.",
            number=72,
        )
    if bit_depth is not None and bit_depth not in _DEPTHS[kind]:
        raise UsageError(
            f"{kind} is not written with {bit_depth} bits.",
            f"Use --bit-depth with one of: {', '.join(map(str, _DEPTHS[kind]))}.",
            number=73,
        )
    yuv = fmt.family == "yuv"
    if yuv and not has_rgb(info.matrix):
        raise UsageError(
            f"Video of the matrix {info.matrix} cannot be turned into RGB images.",
            "Write a movie.",
            number=87,
        )
    floating = fmt.floating or kind == "exr" or (kind == "tiff" and bit_depth == 32)
    if floating and kind == "tiff":
        bits = 32  # OpenImageIO writes no half there
    elif floating:
        bits = bit_depth or (fmt.bits if fmt.floating else 16 if fmt.bits <= 10 else 32)
    else:
        wanted = bit_depth or (16 if yuv and kind != "dpx" else max(fmt.bits, 10 if yuv else 8))
        bits = next(b for b in _DEPTHS[kind] if b >= wanted) if wanted <= 16 else 16
    coded = _named(gray=fmt.family == "gray", alpha=fmt.alpha, floating=floating, bits=bits)
    given = coded
    if yuv:
        given = f"yuv{'a' if fmt.alpha else ''}444p16le"
    elif floating and not fmt.floating:
        given = fmt.name
    pixel_format = planar_format(given)
    assert pixel_format is not None and planar_format(coded) is not None, (given, coded)
    compression, notes = _compression(info, kind, bits)
    if yuv:
        notes += (f"{fmt.label} is written as RGB: its chroma is interpolated",)
    elif given == coded and pixel_format.bits < fmt.bits:
        how = "rounded" if fmt.floating else "dithered"
        notes += (f"{fmt.label} is written with {bits} bits, {how}",)
    if info.codec != kind and info.sequence is not None and not _only_color(info):
        notes += (f"only color is written as {kind}: other layers stay behind",)
    return EncodeSettings(
        container=IMAGES,
        codec=kind,
        encoder="OpenImageIO",
        pixel_format=pixel_format,
        coded_format=coded,
        lossless=True,
        options={"compression": compression} if compression else {},
        notes=notes,
    )


def _named(*, gray: bool, alpha: bool, floating: bool, bits: int) -> str:
    base = "gray" if gray else "gbrap" if alpha else "gbrp"
    if floating:
        return f"{base}f{bits}le"
    return base if bits == 8 else f"{base}{bits}le"


def _compression(info: ClipInfo, kind: str, bits: int) -> tuple[str, tuple[str, ...]]:
    """The compression to write with, and what there is to say about it."""
    if kind not in image.LOSSLESS:
        return "", ()
    own = info.metadata.get("compression", "") if info.codec == kind else ""
    name = own.partition(":")[0]
    if name in image.LOSSLESS[kind] and not (name == "pxr24" and bits == 32):
        return own, ()
    return "zip", (f"the lossy compression {own} is written as zip",) if own else ()


def _only_color(info: ClipInfo) -> bool:
    assert info.sequence is not None
    return not read_header(info.sequence.source(0)).layout.kept_apart


def _common(rate: float | None) -> Fraction | None:
    if rate is None:
        return None
    near = min(COMMON_RATES, key=lambda common: abs(float(common) - rate))
    return near if abs(float(near) - rate) < 2e-3 else Fraction(rate).limit_denominator(1000)


def _curve(found: ImageSequence) -> Curve | None:
    layout = read_header(found.source(0)).layout
    last = len(found.numbers) - 1
    places = sorted({round(last * n / (FIT_FRAMES - 1)) for n in range(FIT_FRAMES)})
    frames = []
    with torch.inference_mode():
        for place in places:
            try:
                planes = read_planes(found.source(place), layout)[1]
            except InputError:
                continue  # whether a damaged frame matters is decided by the reader
            frames.append(planes[: layout.format.color_planes])
        return fit_curve(frames) if frames else None


def _streams(layout: Layout) -> str:
    parts = "; ".join(",".join(names) for names in layout.names)
    return f"images {layout.kind}, channels {parts}"
