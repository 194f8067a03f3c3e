"""What a clip is: everything that must be kept, read before anything is changed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.video.stream import VideoStream

from vdenoise.errors import InputError, UsageError
from vdenoise.media.h273 import MATRICES, PRIMARIES, TRANSFERS, UNKNOWN, usual_matrix
from vdenoise.media.images.pictures import gif_frames, is_animated_png, is_animated_webp
from vdenoise.media.images.reader import probe_images
from vdenoise.media.images.sequence import is_image
from vdenoise.media.inputs import display, is_still, local, open_input, video_of
from vdenoise.media.movie import hdr
from vdenoise.media.movie.covers import is_cover
from vdenoise.media.movie.demuxers import joined_in, kinds_of
from vdenoise.media.movie.edit_lists import check_edits
from vdenoise.media.movie.encrypted import is_encrypted
from vdenoise.media.movie.first_frames import Peek, no_frames, peek_at
from vdenoise.media.movie.holdings import held
from vdenoise.media.movie.index import scan, scanned
from vdenoise.media.movie.joined import timecode_of
from vdenoise.media.movie.matrix import degrees, matrix_in
from vdenoise.media.movie.ordering import FrameIndex
from vdenoise.media.movie.packets import Heard
from vdenoise.media.movie.pixels import planar_format
from vdenoise.media.parts import parts_of
from vdenoise.picture.frame import ClipInfo, PixelFormat
from vdenoise.settings.choices import OnMissing
from vdenoise.settings.text import counted

_LARGEST, _FINE = 0xFFFF, 4096


def probe(
    path: Path,
    *,
    on_missing: OnMissing = "refuse",
    rate: Fraction | None = None,
    heard: Heard | None = None,
) -> ClipInfo:
    """Read what there is to know of a clip, or of standard input for ``-``.

    Args:
        path: a movie, an image, or a pattern of images (``plate.####.exr``); or several of them,
            with ``+`` between them, that are one clip.
        on_missing: what to do about gaps in a sequence of images.
        rate: frames per second of a sequence of images; None takes what they say, else 24.
        heard: is told how much of a movie has been read.

    Raises:
        InputError: it is missing, empty, damaged, holds no video or samples we cannot treat.
        UsageError: a rate was given for a movie, or a pattern cannot be understood.
    """
    path = Path(path)
    parts = parts_of(path)
    if all(is_image(part) and not part.is_dir() and not is_animated_png(part) for part in parts):
        return probe_images(path, on_missing=on_missing, rate=rate)
    if rate is not None:
        raise UsageError(
            f"{display(path)} has a frame rate of its own.",
            "--fps is for sequences of images.",
            number=85,
        )
    with open_input(path) as container:
        stream = video_of(container, path)
        if is_encrypted(stream):
            raise InputError(
                f"The picture of {display(path)} is encrypted.",
                "Decrypt it first, with a program that has its keys.",
                number=44,
            )
        check_edits(path, container)
        index = scan(path, heard)
        if not index.pts:
            raise no_frames(path)
        _check_whole(path, kinds_of(container)[0], len(index))
        peek = peek_at(path)
        fmt = planar_format(peek.source_format)
        if fmt is None:
            raise InputError(
                f"{display(path)} has samples of the kind {peek.source_format}, which cannot be "
                "denoised.",
                "Convert it to a YUV, RGB or gray format of 8 to 16 bits first.",
                number=6,
            )
        info = _info(path, container, stream, index, peek, fmt)
        found = held(container, stream, path, index, peek)
        return replace(
            info,
            holds=found.holds,
            boxes=found.boxes,
            alike=found.alike,
            changes_at=found.changes_at,
        )


def _check_whole(path: Path, container: str, frames: int) -> None:
    """See that FFmpeg reads every picture of an animated image.

    Raises:
        InputError: it does not.
    """
    file = local(path)[0]  # pictures are never joined
    if container == "webp_pipe" and is_animated_webp(file):
        raise InputError(
            f"{display(path)} is an animated WebP, which this FFmpeg cannot decode.",
            "Turn it into a movie or a sequence of images first.",
            number=41,
        )
    if container == "gif" and (held := gif_frames(file.read_bytes())) != frames:
        raise InputError(
            f"{display(path)} holds {held} pictures, and FFmpeg shows {frames} of them: the others "
            "have no time of their own.",
            "Turn it into a sequence of images first.",
            number=42,
        )


def _info(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    index: FrameIndex,
    peek: Peek,
    fmt: PixelFormat,
) -> ClipInfo:
    matrix, guessed = _matrix(peek, fmt)
    warnings = _warnings(path, container, stream, index)
    span = index.end - index.pts[0]
    return ClipInfo(
        path=path,
        container=",".join(kinds_of(container)),
        codec=stream.codec_context.codec.canonical_name,
        width=peek.width,
        height=peek.height,
        format=fmt,
        source_format=peek.source_format,
        time_base=index.time_base,
        rate=index.rate,
        frames=len(index),
        duration=float(span * index.time_base),
        start_pts=index.pts[0],
        variable_rate=index.variable_rate,
        full_range=_full_range(peek, fmt),
        matrix=matrix,
        matrix_guessed=guessed,
        primaries=PRIMARIES.get(peek.primaries, UNKNOWN),
        transfer=TRANSFERS.get(peek.transfer, UNKNOWN),
        chroma_location=peek.chroma_location,
        field_order=_field_order(stream, peek),
        sample_aspect_ratio=_aspect(Fraction(stream.sample_aspect_ratio or peek.aspect or 1)),
        frames_aspect=peek.aspect,
        rotation=degrees(matrix_in(peek.side_data)),
        timecode=timecode_of(container, stream),
        hdr=hdr.read(peek.side_data),
        streams=tuple(_line(other) for other in container.streams),
        metadata=dict(container.metadata),
        warnings=tuple(warnings),
    )


def _aspect(told: Fraction) -> Fraction:
    """The shape of pixels in numbers that codecs have room for."""
    return told if max(told.as_integer_ratio()) <= _LARGEST else told.limit_denominator(_FINE)


def _full_range(peek: Peek, fmt: PixelFormat) -> bool:
    """Tagged; otherwise YUV is limited, RGB and gray full, as FFmpeg takes them."""
    if peek.source_format.startswith("yuvj") or fmt.floating:
        return True
    if peek.range in (1, 2):
        return peek.range == 2
    return fmt.family != "yuv"


def _matrix(peek: Peek, fmt: PixelFormat) -> tuple[str, bool]:
    """The tagged matrix, or a guess by size as players make it."""
    if fmt.family == "rgb":
        return "rgb", False
    if peek.matrix in MATRICES and peek.matrix != 0:
        return MATRICES[peek.matrix], False
    return usual_matrix(peek.width, peek.height), True


def _field_order(stream: VideoStream, peek: Peek) -> str:
    """What the frames say; the stream only tells which field is shown first of the coded ones.

    Of QuickTime's codes for fields that are stored line by line, 9 and 14, it is written both that
    the second letter of ``tb`` is shown first (FFmpeg) and that the first line is (Apple's TN2162,
    and what FFmpeg and cameras write): where the frames say otherwise, they count.
    """
    if peek.field_order == "progressive":
        return "progressive"
    coded = {2: "tt", 3: "bb", 4: "tb", 5: "bt"}.get(int(stream.codec_context.field_order))
    if coded in ("tb", "bt") and coded[-1] != peek.field_order[0]:
        return peek.field_order
    return coded or peek.field_order


def _line(stream: Any) -> str:
    """A stream in one line, for people."""
    name = stream.codec_context.name if stream.codec_context is not None else "unknown codec"
    parts = [f"#{stream.index} {stream.type} {name if stream.type != 'attachment' else ''}".strip()]
    language = stream.metadata.get("language")
    if language and language != "und":
        parts.append(language)
    title = stream.metadata.get("title") or stream.metadata.get("filename")
    if title:
        parts.append(repr(title))
    return ", ".join(parts)


def _warnings(
    path: Path, container: InputContainer, stream: VideoStream, index: FrameIndex
) -> list[str]:
    warnings = []
    packets = scanned(path)
    if packets is not None and packets.jumps:
        warnings.append(
            f"its packets do not follow each other at {counted(packets.jumps, 'place')}: it was "
            "joined there, or some are missing"
        )
    if packets is not None and joined_in(container) is not None:
        moved = [(o.onward.moved * o.time_base, o) for o in packets.others.values()]
        late, sound = max(moved, key=lambda found: found[0], default=(Fraction(0), None))
        if sound is not None and late > Fraction(sound.durations[0]) * sound.time_base:
            warnings.append(
                f"the sound of its parts is longer than their picture: it comes up to "
                f"{float(late) * 1000:.0f} ms late"
            )
    if index.truncated:
        warnings.append(f"the file was cut short: {index.truncated}")
    if index.counted and "avi" not in kinds_of(container):  # an AVI has no times but its rate
        warnings.append(
            f"timestamps are missing or out of order; frames are shown at {float(index.rate):g} fps"
        )
    others = [s for s in container.streams.video if s.index != stream.index and not is_cover(s)]
    if others and not is_still(container):  # of which the ledger names them
        warnings.append(f"{counted(len(others), 'further video stream')} will not be denoised")
    return warnings
