"""Choosing how an output is encoded.

``choose`` decides everything before the first frame and proves it by opening the very encoder
and container that will be used, so that what cannot work is said at once and in plain words.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import av

from vdenoise.errors import UsageError
from vdenoise.media.images.sequence import KINDS, is_image
from vdenoise.media.images.settings import choose_images, named_losses, packed_notes
from vdenoise.media.inputs import is_pipe, open_input, video_of
from vdenoise.media.memory import see_memory
from vdenoise.media.movie.chapters import chapters_of, told_otherwise
from vdenoise.media.movie.clock import CONSTANT_RATE_CONTAINERS, DROPS
from vdenoise.media.movie.codecs import (
    CODECS,
    CONTAINERS,
    FALLBACK,
    M2TS,
    NAMED,
    Codec,
    profile_options,
)
from vdenoise.media.movie.encoder import EncodeSettings, add_video, open_output
from vdenoise.media.movie.filling import CONTAINER as FILLED
from vdenoise.media.movie.filling import told
from vdenoise.media.movie.formats import format_notes, formats_of, yuv_formats_of
from vdenoise.media.movie.index import index_of, streams_beside
from vdenoise.media.movie.ledger import contents, lost
from vdenoise.media.movie.memory_files import NullFile
from vdenoise.media.movie.opening import open_encoder
from vdenoise.media.movie.streams import plan_copies, stream_name
from vdenoise.picture.frame import ClipInfo


class _Unfit(Exception):
    """Why a codec, format and container do not go together (a clause without a full stop)."""


def container_of(target: Path, info: ClipInfo, container: str | None = None) -> str:
    """The muxer for a target, by its extension; for ``-`` y4m where the source is y4m, else NUT.

    Raises:
        UsageError: the extension is none we write.
    """
    if container is not None:
        if container not in FALLBACK:
            raise UsageError(
                f"There is no container {container!r} to write.",
                f"Use one of: {', '.join(FALLBACK)}.",
                number=104,
            )
        return container
    if is_pipe(target):
        return "yuv4mpegpipe" if info.container == "yuv4mpegpipe" else "nut"
    found = CONTAINERS.get(target.suffix.lower())
    if found is None:
        raise UsageError(
            f"{target.name} has no extension that vdenoise writes.",
            f"Use one of: {', '.join((*CONTAINERS, *KINDS))}.",
            number=21,
        )
    return found


def choose(
    info: ClipInfo,
    target: Path,
    *,
    codec: str | None = None,
    crf: int | None = None,
    bit_depth: int | None = None,
    options: Mapping[str, str] | None = None,
    container: str | None = None,
) -> EncodeSettings:
    """Decide codec, pixel format and quality for an output; by default those of the source.

    Args:
        info: the source.
        target: where the output goes; its extension decides the container. ``-`` is stdout.
        codec: one of prores, dnxhr, ffv1, x264, x265, svt-av1 (or another kept kind); None keeps
            the source's own.
        crf: quality for codecs that have this dial; less is better.
        bit_depth: bits per sample; None keeps the source's.
        options: further options for FFmpeg's encoder.
        container: FFmpeg muxer, where the extension does not tell.

    Raises:
        UsageError: this cannot work; the hint names what would.
    """
    if is_image(target):
        if codec is not None or crf is not None:
            raise UsageError(
                f"{target.name} is an image: it has no codec and no CRF to choose.",
                "Leave --codec and --crf away, or name a movie.",
                number=86,
            )
        return choose_images(info, target, bit_depth=bit_depth)
    kind = container_of(target, info, container)
    if codec is not None and codec not in CODECS:
        raise UsageError(
            f"There is no codec {codec!r}.", f"Use one of: {', '.join(NAMED)}.", number=22
        )
    own = next((c.name for c in CODECS.values() if c.source == info.codec), None)
    if info.sequence is not None and kind == "mp4":
        own = None  # MP4 takes PNG frames, and hardly a player plays them
    if codec is not None:
        names = [codec]
    elif is_pipe(target):
        names = list(FALLBACK[kind])  # to another program: without loss
    else:
        names = list(dict.fromkeys(([own] if own is not None else []) + list(FALLBACK[kind])))
    m2ts = kind == "mpegts" and target.suffix.lower() in M2TS
    profile, copy_notes = _source_facts(info, kind, m2ts=m2ts)
    reasons = []
    for name in names:
        try:
            settings = _settled(
                info, CODECS[name], kind, crf, bit_depth, options or {}, profile, codec is not None
            )
        except _Unfit as reason:
            reasons.append(f"{name}: {reason}")
            continue
        notes = [*copy_notes, *lost(info, settings.container, settings.codec)]
        if (kind, name, info.interlaced) == ("mxf", "prores", True):
            notes.append("mxf says of prores that it holds whole frames; its frames say fields")
        if kind == "nut" and CODECS[name].b_frames and "chapters" in contents(info):
            notes.append(
                f"nut cannot keep the chapters where they are: with {name} they begin frames early"
            )
        if codec is None and name != own and not is_pipe(target):
            notes.append(f"{info.codec} is written as {settings.label}")
        return settings.model_copy(update={"notes": (*settings.notes, *notes), "m2ts": m2ts})
    asked = f"{kind} with {codec}" if codec else kind
    raise UsageError(
        f"{info.format.label} video cannot be written as {asked}: {'; '.join(reasons)}.",
        _what_works(info, kind),
        number=23,
    )


def _source_facts(info: ClipInfo, kind: str, *, m2ts: bool) -> tuple[str | None, tuple[str, ...]]:
    """The source's codec profile, and which streams cannot be kept."""
    if info.sequence is not None:
        return None, (*named_losses(info, "movie"), *packed_notes(info, "8-bit samples"))
    with open_input(info.path) as container:
        stream = video_of(container, info.path)
        plan = plan_copies(container, stream, kind, m2ts=m2ts)
        if plan.silent:
            others = ("matroska", "mov", "mpegts", "avi")
            able = [c for c in others if not plan_copies(container, stream, c).silent]
            names = [s for s, c in CONTAINERS.items() if c in able]
            raise UsageError(
                f"{kind} cannot hold {plan.silent}: {info.path.name} would lose its sound.",
                f"Name an output that holds it: {', '.join(names[:4]) or 'none is known'}.",
                number=26,
            )
        notes = [*plan.notes, *told_otherwise(chapters_of(container), kind)]
        for other in container.streams:
            written = other.index in (*plan.copied, *plan.rewritten)
            if written and kind == FILLED and other.type == "audio":
                sound = streams_beside(info.path)[other.index]
                index = index_of(info)
                begin, end = (tick * index.time_base for tick in (index.pts[0], index.end))
                notes += told(stream_name(other), sound, begin, end)
        return stream.codec_context.profile, tuple(notes)


def fits(info: ClipInfo, codec: Codec, container: str) -> bool:
    """Whether a clip can be written with a codec into a container."""
    try:
        _settled(info, codec, container, None, None, {}, None, True)
    except _Unfit:
        return False
    return True


def _what_works(info: ClipInfo, kind: str) -> str:
    """A hint: other codecs for the same container, else other containers."""
    for containers in ((kind,), ("matroska", "mov", "nut")):
        working = []
        for container in containers:
            for name in dict.fromkeys((*NAMED, *FALLBACK[container])):
                if fits(info, CODECS[name], container):
                    working.append(f"--codec {name} in {container}")
        if working:
            shown = " To be looked at it needs a color transform first."
            linear = shown if info.format.floating else ""
            return f"What works: {', '.join(working[:4])}.{linear}"
    return "Convert the clip to a common format first."


def _settled(
    info: ClipInfo,
    codec: Codec,
    kind: str,
    crf: int | None,
    bit_depth: int | None,
    options: Mapping[str, str],
    profile: str | None,
    asked: bool,
) -> EncodeSettings:
    """Settings that were proven to open, for one codec."""
    if crf is not None and codec.crf is None:
        raise _Unfit("it has no CRF")
    if crf is not None and not codec.crf_range[0] <= crf <= codec.crf_range[1]:
        raise _Unfit(f"its CRF goes from {codec.crf_range[0]} to {codec.crf_range[1]}")
    if info.interlaced and not codec.interlaced:
        raise _Unfit("it cannot hold interlaced video")
    if kind == "mxf" and codec.name == "x264" and info.interlaced and info.field_order[-1] == "b":
        raise _Unfit("mxf says of it that the top field comes first")
    drops = kind == DROPS and info.variable_rate and index_of(info).places is not None
    if info.variable_rate and kind in CONSTANT_RATE_CONTAINERS and not drops:
        raise _Unfit(f"{kind} cannot hold a variable frame rate")
    if codec.b_frames and kind == "avi":
        raise _Unfit("avi cannot hold its frame order")
    if kind == "mpegts" and codec.name not in ("x264", "x265"):
        raise _Unfit("mpegts holds it as data that nothing plays")
    square = info.sample_aspect_ratio in (0, 1)
    if not square and not codec.carries_aspect and kind not in ("mov", "mp4", "mxf"):
        raise _Unfit(f"{kind} cannot be told the sample aspect ratio {info.sample_aspect_ratio}")
    reason: _Unfit | None = None
    quality = codec.crf if crf is None else crf
    found = list(formats_of(codec, kind, info.format, bit_depth, asked))
    if info.sequence is not None and (asked or not codec.lossless):
        as_yuv = list(yuv_formats_of(codec, info.format, bit_depth))
        # What is delivered has to play, and hardly anything plays RGB.
        found = [*as_yuv, *found] if codec.crf is not None else [*found, *as_yuv]
    for fmt, coded in found:
        settings = EncodeSettings(
            container=kind,
            codec=codec.name,
            encoder=codec.encoder,
            pixel_format=fmt,
            coded_format=coded,
            crf=quality,
            lossless=codec.lossless,
            options={
                **codec.options,
                **({"crf": str(quality)} if quality is not None else {}),
                **profile_options(codec, fmt, profile),
                **options,
            },
        )
        try:
            _try(settings.shown(info), settings)
        except _Unfit as unfit:
            reason = reason or unfit
            continue
        return settings.model_copy(update={"notes": format_notes(info.format, settings)})
    raise reason or _Unfit(
        f"it does not hold {info.format.label}"
        if bit_depth is None
        else f"it does not hold this at {bit_depth} bits"
    )


def _try(info: ClipInfo, settings: EncodeSettings) -> None:
    """Open encoder and container as the writer will, into nothing."""
    output = open_output(NullFile(), settings)
    try:
        stream = add_video(output, info, settings)
    except ValueError as error:  # add_stream: the container does not know the codec
        raise _Unfit(f"{settings.container} does not hold it") from error
    context = stream.codec_context
    try:
        open_encoder(context)
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, av.FFmpegError):
            see_memory(error)
        raise _Unfit(
            f"its encoder refuses {info.width}x{info.height} {settings.pixel_format.label} "
            "with these options"
        ) from error
    if context.options:
        unknown = ", ".join(sorted(context.options))
        raise UsageError(
            f"The encoder {settings.encoder} knows no option {unknown}.",
            f"See its options with: ffmpeg -h encoder={settings.encoder}",
            number=24,
        )
    try:
        output.start_encoding()
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, av.FFmpegError):
            see_memory(error)
        raise _Unfit(f"{settings.container} refuses it with {info.format.label}") from error
    with contextlib.suppress(av.FFmpegError):
        output.close()  # MXF cannot end without a frame
