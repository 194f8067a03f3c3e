"""A clip of images behind the same values as a movie: probed and read."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import torch

from vdenoise.errors import ConflictError, InputError
from vdenoise.media.access import reading
from vdenoise.media.h273 import UNKNOWN
from vdenoise.media.images import sequence, turn
from vdenoise.media.images.belongings import Belongings, belongings
from vdenoise.media.images.files import places, read_planes
from vdenoise.media.images.layout import ImageHeader, Layout, other_pictures, read_header
from vdenoise.media.images.linear import fit_curve
from vdenoise.media.movie.clock import advanced_timecode
from vdenoise.media.movie.encoder import IMAGES
from vdenoise.media.movie.index import index_of
from vdenoise.media.movie.ordering import COMMON_RATES
from vdenoise.picture.frame import ClipInfo, Curve, ImageSequence, SourceFrame
from vdenoise.settings.choices import OnMissing

DEFAULT_RATE = Fraction(24)
_DISPLAY = (
    "srgb",
    "rec709",
    "rec1886",
    "gamma",
    "unknown",
)  # in the names of spaces that are not linear


@dataclass(frozen=True)
class ImageFile:
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
    if _starts_anew(info):
        info = replace(info, holds={"timecode that starts anew": ""})
    return replace(info, curve=_curve(found)) if _is_linear(info) else info


def _starts_anew(info: ClipInfo) -> bool:
    """Whether the timecode in the middle or at the end is not the first one, counted on."""
    assert info.sequence is not None
    numbers = info.sequence.numbers
    for place in places(len(numbers))[1:]:
        if info.timecode is None or numbers[place] in info.sequence.held:
            continue
        with contextlib.suppress(InputError):  # whether a damaged frame matters is the reader's
            now = read_header(info.sequence.source(place)).timecode
            passed = (place, numbers[place] - numbers[0])  # others where images are held for two
            counted = [advanced_timecode(info.timecode, frames, info.rate) for frames in passed]
            if now is not None and now not in counted:
                return True
    return False


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
    with reading(str(found.source(0))):
        own = belongings(found.source(0), layout.kind)
    primaries, transfer = own.primaries_and_transfer(display=False)
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
        primaries=primaries,
        transfer="linear" if linear else transfer,
        chroma_location="unspecified",
        field_order="progressive",
        sample_aspect_ratio=Fraction(header.aspect).limit_denominator(1000) or Fraction(1),
        rotation=turn.rotation(header.orientation),
        timecode=header.timecode,
        streams=(_streams(layout),),
        metadata=_told(header, own),
        warnings=(*sequence.notes(found), *_left_as_they_are(layout), *_left_out(header)),
        sequence=found,
    )


def _left_as_they_are(layout: Layout) -> tuple[str, ...]:
    """A warning about pictures in other layers or views, which keep their noise."""
    others = other_pictures(layout)
    shown = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
    return (f"other pictures in the file keep their noise: {shown}",) if others else ()


def _left_out(header: ImageHeader) -> tuple[str, ...]:
    """A warning about smaller copies of the picture, which would show its noise."""
    return ("smaller copies of the picture in the file are left out",) if header.has_copies else ()


def _is_linear(info: ClipInfo) -> bool:
    return info.transfer == "linear" and info.format.floating


def _told(header: ImageHeader, own: Belongings) -> dict[str, str]:
    """What else is said of the clip: compression, how it is turned, that it is no sRGB."""
    told = {"compression": header.compression} if header.compression else {}
    if header.orientation != 1:
        told["orientation"] = str(header.orientation)
    if own.primaries_and_transfer(display=True) == (UNKNOWN, UNKNOWN):
        told["color"] = "its own"
    return told


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
            handle=ImageFile(path, layout),
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


def with_checks(info: ClipInfo, seen: Callable[[], None]) -> ClipInfo:
    """A clip of images with the checksum of each file: whoever reads it notices another one.

    Args:
        info: the clip.
        seen: called after every file.

    Raises:
        InputError: a file cannot be read.
    """
    found = info.sequence
    assert found is not None
    known: dict[Path, int] = {}
    for path in map(found.source, range(len(found.numbers))):
        if path not in known:
            known[path] = checksum(path)
            seen()
    checks = tuple(known[found.source(n)] for n in range(len(found.numbers)))
    return replace(info, sequence=replace(found, checks=checks))


def changed(name: str, what: str) -> ConflictError:
    """The error for a source that is not the one that was looked at first."""
    return ConflictError(
        f"{name} is not the clip that was looked at first: {what} has changed since.",
        "Bring the right file back, or begin anew (with a new plan, if there was one).",
        number=4,
    )


def _common(rate: float | None) -> Fraction | None:
    if rate is None:
        return None
    near = min(COMMON_RATES, key=lambda common: abs(float(common) - rate))
    return near if abs(float(near) - rate) < 2e-3 else Fraction(rate).limit_denominator(1000)


def _curve(found: ImageSequence) -> Curve | None:
    layout = read_header(found.source(0)).layout
    frames = []
    with torch.inference_mode():
        for place in places(len(found.numbers)):
            try:
                planes = read_planes(found.source(place), layout)[1]
            except InputError:
                continue  # whether a damaged frame matters is decided by the reader
            frames.append(planes[: layout.format.color_planes])
        return fit_curve(frames) if frames else None


def _streams(layout: Layout) -> str:
    parts = "; ".join(",".join(names) for names in layout.names)
    return f"images {layout.kind}, channels {parts}"
