"""``vdenoise preview``: hard spots of a clip before and after, on one sheet or in a short movie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vdenoise.engine.tiles import Area
from vdenoise.errors import UsageError
from vdenoise.media.images.drawing import Canvas, save_picture
from vdenoise.media.movie.screen import write_screen_movie
from vdenoise.picture.frame import ClipInfo
from vdenoise.review.decoded import Decoded
from vdenoise.review.display import Picture, around, noise_gain, rgb_float, shown
from vdenoise.review.excerpts import Excerpt, Excerpts, excerpt_plan
from vdenoise.review.positions import place_text
from vdenoise.review.sheet import SHEET_WIDTH, Row, enlarged, overview_of, sheet, strip
from vdenoise.review.spots import Spot
from vdenoise.review.survey import Survey, survey
from vdenoise.review.turning import upright
from vdenoise.review.views import Cell, Variant, cells
from vdenoise.settings.choices import PreviewView
from vdenoise.workflows.prepare import Listener
from vdenoise.workflows.propose import overall
from vdenoise.workflows.request import ClipRequest

MOST_VARIANTS = 8
_CELL = (240, 640)  # least and most pixels across of a picture
_SHAPE = 3 / 4  # height of a picture on a sheet, against its width
_MOVIE_WIDTH = 4096  # pixels, the most that players of H.264 are sure to show


@dataclass(frozen=True)
class PreviewRequest:
    """What is to be seen.

    Attributes:
        variants: ways to denoise one clip by name; all read it in the same way.
        view: how they are shown.
        frames: numbers of the frames to show; empty finds hard spots.
        area: the part of the picture to show; None is the hardest part of each frame.
        zoom: screen pixels for each pixel of the clip.
        seconds: length of a movie; None makes a sheet.
        output: a picture, or an .mp4 for a movie.
    """

    variants: tuple[tuple[str, ClipRequest], ...]
    view: PreviewView
    frames: tuple[int, ...]
    output: Path
    area: Area | None = None
    zoom: int = 2
    seconds: float | None = None


def preview(request: PreviewRequest, info: ClipInfo, listener: Listener) -> Survey:
    """Make the sheet or the movie that was asked for.

    Args:
        request: what is to be seen.
        info: the clip.
        listener: told of every frame, and what was found.

    Returns:
        What was found of the clip.

    Raises:
        UsageError: something that was said cannot be done.
        InputError: the clip cannot be read.
        OutputError: the picture cannot be written.
        DeviceError: there is no such device.
    """
    asked = request.variants[0][1]
    decoded = Decoded(asked.reading, info)
    found = survey(
        decoded,
        asked.known,
        _window(request, info),
        listener,
        wanted=request.frames,
        spots=not request.frames,
    )
    for note in found.notes:
        listener.note(note)
    excerpts = Excerpts(decoded, found)
    variants = [_variant(name, one, info, found, request.view) for name, one in request.variants]
    if request.seconds is None:
        save_picture(request.output, _sheet(request, info, variants, excerpts, listener))
    else:
        pictures = _movie(request, info, variants, excerpts, listener)
        write_screen_movie(request.output, pictures, info.rate)
    return found


def _window(request: PreviewRequest, info: ClipInfo) -> tuple[int, int]:
    """Height and width, in pixels of the clip, of what a cell shows."""
    if request.area is not None:
        area = request.area
        return area.bottom - area.top, area.right - area.left
    count = len(request.variants) + (request.view not in ("split", "wipe"))
    if request.view == "stages":
        count = 6
    least, most = _CELL
    wide = max(least, min(most, SHEET_WIDTH // count)) // request.zoom
    return min(round(wide * _SHAPE), info.height), min(wide, info.width)


def _variant(
    name: str, request: ClipRequest, info: ClipInfo, found: Survey, view: PreviewView
) -> Variant:
    chain = found.chain(request.chain)
    if view == "mask" and not chain.masks:
        raise UsageError(
            "--view mask has nothing to show: there is no mask.",
            "For example: --mask sky=luma:70-100,luma=30.",
            number=67,
        )
    return Variant(name, excerpt_plan(request, info, chain, mask=view == "mask"))


def _sheet(
    request: PreviewRequest,
    info: ClipInfo,
    variants: Sequence[Variant],
    excerpts: Excerpts,
    listener: Listener,
) -> Canvas:
    spots, gain = excerpts.survey.spots, _gain(excerpts.survey, info)
    listener.start("render", len(spots) * len(variants))
    rows = []
    for spot in spots:
        area = request.area or spot.area
        looks: list[Excerpt] = []
        for variant in variants:
            one, stages = (spot.frame,), request.view == "stages"
            only = around(area, variant.plan.encode.pixel_format, info)
            looks += excerpts.looks(variant.plan, one, only=only, stages=stages)
            listener.advance({})
        rows.append(_row(request, info, spot, variants, looks, gain))
    return sheet(info.path.name, _lines(info, variants, excerpts.survey, request), rows)


def _row(
    request: PreviewRequest,
    info: ClipInfo,
    spot: Spot,
    variants: Sequence[Variant],
    looks: Sequence[Excerpt],
    gain: float,
) -> Row:
    area = request.area or spot.area
    whole = shown(rgb_float(looks[0].source.planes, info.format, info))
    detail = ", ".join(filter(None, (place_text(info, spot.frame), spot.amount)))
    found = cells(request.view, variants, looks, info, area, gain=gain)
    big = [Cell(enlarged(upright(c.picture, info), request.zoom), c.caption) for c in found]
    title = spot.reason[0].upper() + spot.reason[1:]
    return Row(title, detail, upright(overview_of(whole, area), info), big)


def _lines(
    info: ClipInfo, variants: Sequence[Variant], found: Survey, request: PreviewRequest
) -> list[str]:
    """What the sheet says below its title."""
    noise = overall(found.profile, info.frames or 1)
    clip = f"{info.width}x{info.height}, {float(info.rate):.6g} fps, {info.format.label}"
    level = f"noise: {noise.luma_codes:.1f} in luma"
    if info.format.color_planes == 3:
        level += f", {noise.chroma_codes:.1f} in chroma (sigma, 8-bit codes)"
    where = "" if found.whole else ", from a few stretches of the clip"
    aspect = info.sample_aspect_ratio
    square = (
        f", shown square (they are {aspect.numerator}:{aspect.denominator})"
        if aspect not in (0, 1)
        else ""
    )
    chains = [f"{v.name}: {v.plan.chain.text}" for v in variants]
    return [f"{clip}; {level}{where}; pixels at {100 * request.zoom} %{square}", *chains]


def _movie(
    request: PreviewRequest,
    info: ClipInfo,
    variants: Sequence[Variant],
    excerpts: Excerpts,
    listener: Listener,
) -> Iterator[Picture]:
    """The pictures of a movie, from the first frame asked for, or the hardest spot there is."""
    spots = excerpts.survey.spots
    spot = next((s for s in spots if "asked" in s.kinds or "motion" in s.kinds), spots[0])
    assert request.seconds is not None
    count = max(1, round(Fraction(request.seconds) * info.rate))
    last = min(spot.frame + count, info.readable) - 1
    first = max(0, min(spot.frame, last - count + 1))
    gain = _gain(excerpts.survey, info)
    area, times = _movie_area(request, info, spot, len(variants))
    listener.start("render", last - first + 1)
    streams = [
        excerpts.looks(v.plan, range(first, last + 1), stages=request.view == "stages")
        for v in variants
    ]
    for looks in zip(*streams, strict=True):
        done = (looks[0].index - first) / max(last - first, 1)
        wiped = 1 - abs(2 * done - 1)
        found = cells(request.view, variants, looks, info, area, wiped=wiped, gain=gain)
        big = [Cell(enlarged(upright(c.picture, info), times), c.caption) for c in found]
        yield strip(big)
        listener.advance({})


def _gain(found: Survey, info: ClipInfo) -> float:
    return noise_gain(overall(found.profile, info.frames or 1).luma_codes / 255)


def _movie_area(
    request: PreviewRequest, info: ClipInfo, spot: Spot, variants: int
) -> tuple[Area, int]:
    """The part that is shown, and how much enlarged: the whole picture where it fits."""
    if request.area is not None:
        return request.area, request.zoom
    across = variants + (request.view not in ("split", "wipe"))
    if request.view != "stages" and across * info.width <= _MOVIE_WIDTH:
        return Area(0, info.height, 0, info.width), 1
    return spot.area, request.zoom
