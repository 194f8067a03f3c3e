"""An encoder and a muxer set up as settings say and as the source's tags need."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
from av.codec.context import Flags, ThreadType
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from pydantic import BaseModel, ConfigDict

from vdenoise.media.movie import hdr
from vdenoise.media.movie.added import MP4_STRICT
from vdenoise.media.movie.clock import CONSTANT_RATE_CONTAINERS
from vdenoise.media.movie.hdr_template import template
from vdenoise.media.movie.ledger import BOXED, keeps
from vdenoise.media.movie.opening import open_encoder
from vdenoise.media.movie.pixels import planar_format
from vdenoise.picture.frame import ClipInfo, PixelFormat

IMAGES = "images"  # the container of a clip kept as image files
_DNXHR_COLOR = 0x2C  # byte of the frame header whose bits 1 and 2 tell the matrix


class EncodeSettings(BaseModel):
    """How an output is encoded. Part of a plan and of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    container: str  # FFmpeg muxer
    codec: str  # our name, e.g. "prores"
    encoder: str  # FFmpeg's name
    pixel_format: PixelFormat  # planar layout the writer is given
    # FFmpeg pixel format the encoder gets: the same samples, perhaps packed, or RGB as YUV (images:
    # YUV as RGB).
    coded_format: str
    crf: int | None = None
    lossless: bool = False
    options: dict[str, str] = {}
    m2ts: bool = False  # MPEG-TS with a time of 4 bytes before each packet
    notes: tuple[str, ...] = ()  # what the user must know before the start

    def dithers(self, info: ClipInfo) -> bool:
        """Whether bits are dropped, and the writer's caller should dither."""
        narrower = self.pixel_format.bits < info.format.bits
        return narrower and not self.pixel_format.floating

    @property
    def written(self) -> PixelFormat:
        """What a decoder gives again: ``pixel_format``, but for RGB that is written as YUV."""
        return planar_format(self.coded_format) or self.pixel_format

    @property
    def becomes_yuv(self) -> bool:
        """Whether the writer turns RGB into YUV."""
        return self.pixel_format.family == "rgb" and self.written.family == "yuv"

    def shown(self, info: ClipInfo) -> ClipInfo:
        """The clip as it is written: RGB becomes YUV with the matrix of BT.709, in limited range.

        PNG and JPEG that say nothing hold sRGB; of other images nobody can know it.
        """
        if not self.becomes_yuv:
            return info
        silent = (info.primaries, info.transfer) == ("unknown", "unknown")
        display = silent and info.codec in ("png", "jpeg") and "color" not in info.metadata
        return replace(
            info,
            format=self.written,
            full_range=False,
            matrix="bt709",
            chroma_location="left" if self.written.sub_w else "unspecified",
            primaries="bt709" if display else info.primaries,
            transfer="iec61966-2-1" if display else info.transfer,
        )

    @property
    def label(self) -> str:
        """The encoder and its layout, for people: ``x264 crf 14, 8-bit 4:2:0, mp4``."""
        quality = "" if self.crf is None else f" crf {self.crf}"
        if "profile" in self.options:
            quality += f" {self.options['profile']}"
        if "compression" in self.options:
            quality += f" {self.options['compression']}"
        if self.container == IMAGES:
            return f"{self.codec}{quality} images, {self.written.label}"
        return f"{self.codec}{quality}, {self.written.label}, {self.container}"


def open_output(target: Any, settings: EncodeSettings, **options: str) -> OutputContainer:
    """Open a muxer on a path or file; ``options`` are its own."""
    if settings.container == "yuv4mpegpipe":
        options["strict"] = "-1"  # above 8 bits y4m is an extension, if a common one
    if settings.container == "avi":
        # AVI has no timestamps: moving all by the audio's priming would round each frame away.
        options["avoid_negative_ts"] = "disabled"
    if settings.container == "mp4":
        options["strict"] = MP4_STRICT
    return av.open(
        target,
        "w",
        format=settings.container,
        container_options=options,
        metadata_errors="surrogateescape",
    )


def add_video(
    output: OutputContainer,
    info: ClipInfo,
    settings: EncodeSettings,
    tags: av.VideoFrame | None = None,
) -> VideoStream:
    """Add the video stream with everything set but the time base.

    Args:
        output: the container.
        info: the source.
        settings: what was chosen.
        tags: a source frame to take the color tags from.

    Raises:
        ValueError: the container does not hold this codec.
    """
    stream = output.add_stream(
        settings.encoder, rate=info.rate, options=encoder_options(info, settings)
    )
    assert isinstance(stream, VideoStream)
    configure(stream.codec_context, info, settings, tags)
    return stream


def full_gray(info: ClipInfo) -> bool:
    """Whether this is gray in full range, which is said even where the source said nothing: a map
    of a limited-range clip is written from its frames."""
    return info.format.family == "gray" and info.full_range


def configure(
    context: VideoCodecContext,
    info: ClipInfo,
    settings: EncodeSettings,
    tags: av.VideoFrame | None,
) -> None:
    """Set everything on an encoder but its options."""
    context.width, context.height = info.width, info.height
    context.pix_fmt = settings.coded_format
    if context.is_encoder:
        context.time_base = time_base(info, settings.container)
    context.sample_aspect_ratio = info.sample_aspect_ratio
    if tags is not None:
        context.color_primaries = tags.color_primaries
        context.color_trc = tags.color_trc
        context.colorspace = tags.colorspace
        context.color_range = 2 if full_gray(info) else tags.color_range
    context.flags |= Flags.frame_duration
    if info.interlaced:
        context.field_order = {"tt": 2, "bb": 3, "tb": 4, "bt": 5}[info.field_order]
    if settings.codec == "x265" and settings.container in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # Apple's players know no other
    if settings.codec == "prores":
        context.thread_type = ThreadType.AUTO


def add_video_with_beside(
    output: OutputContainer,
    info: ClipInfo,
    settings: EncodeSettings,
    tags: av.VideoFrame,
    ticks: Fraction,
) -> tuple[VideoStream, VideoCodecContext]:
    """Add a video stream with what is told beside its codec, and the encoder to feed it.

    The stream is a copy of a template's, so its packets come from an encoder of our own.
    """
    encoder = av.CodecContext.create(settings.encoder, "w")
    assert isinstance(encoder, VideoCodecContext)
    configure(encoder, info, settings, tags)
    encoder.framerate, encoder.time_base = info.rate, ticks
    encoder.options = encoder_options(info, settings)
    encoder.flags |= Flags.global_header
    open_encoder(encoder)
    beside = info.hdr if hdr.beside(settings.container, settings.encoder) else {}
    source = template(settings.encoder, (info.width, info.height), beside, _boxes(info, settings))
    stream = output.add_stream_from_template(source.streams.video[0], opaque=True)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    configure(context, info, settings, tags)
    context.framerate = info.rate
    context.codec_tag = encoder.codec_tag
    context.extradata = encoder.extradata
    return stream, encoder


def told_beside(info: ClipInfo, settings: EncodeSettings) -> bool:
    """Whether the container tells something of the picture that its codec does not."""
    light = bool(info.hdr) and hdr.beside(settings.container, settings.encoder)
    return light or bool(_boxes(info, settings))


def _boxes(info: ClipInfo, settings: EncodeSettings) -> bytes:
    """The boxes of what this output keeps."""
    kept = (
        box for item, box in info.boxes.items() if keeps(settings.container, settings.codec, item)
    )
    return b"".join(kept) if settings.container in BOXED else b""


def time_base(info: ClipInfo, container: str) -> Fraction:
    """Ticks of the output: the source's, or one for each frame where only a rate is stored."""
    return 1 / info.rate if container in CONSTANT_RATE_CONTAINERS else info.time_base


def encoder_options(info: ClipInfo, settings: EncodeSettings) -> dict[str, str]:
    """All options for the encoder: what was chosen plus what the source's tags need."""
    options = dict(settings.options)
    if info.chroma_location != "unspecified" and info.format.sub_w:
        options["chroma_sample_location"] = info.chroma_location
    if settings.encoder == "libx264" and "user data of single frames" in info.holds:
        options["udu_sei"] = "1"
    if settings.encoder == "libx265" and "closed captions (CEA-608/708)" in info.holds:
        options["a53cc"] = "1"
    if info.interlaced:
        options["flags"] = "+ildct+ilme"
    extra = hdr.encoder_parameters(settings.encoder, info.hdr)
    if settings.encoder == "libx265":
        extra["x265-params"] = ":".join(filter(None, ["log-level=none", extra.get("x265-params")]))
    if settings.encoder == "libx264":
        said = ["bff=1"] if info.interlaced and info.field_order[-1] == "b" else []
        said += [] if info.variable_rate else ["force-cfr=1"]  # or it tells ticks as frame rate
        extra["x264-params"] = ":".join(filter(None, [*said, extra.get("x264-params")]))
    for key, value in extra.items():
        options[key] = ":".join(filter(None, [value, options.get(key)]))
    return options


def tag_dnxhr(packet: Any, info: ClipInfo) -> None:
    """Write the matrix into a DNxHR frame header (SMPTE ST 2019-1), where FFmpeg leaves BT.709.

    Decoders believe the header, not the container. It has codes for BT.709, BT.2020 with and
    without constant luminance, and for "see elsewhere".
    """
    matrix = "unknown" if info.matrix_guessed else info.matrix
    code = {"bt709": 0, "bt2020nc": 1, "bt2020c": 2}.get(matrix, 3)
    data = bytearray(packet)
    data[_DNXHR_COLOR] = data[_DNXHR_COLOR] & ~0b110 | code << 1
    packet.update(bytes(data))
