"""Small clips with every property that must survive, made with PyAV alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags

MASTERING = (
    "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"  # ST 2086, BT.2020-ish
)


@dataclass(frozen=True)
class Clip:
    """What a test clip is made of."""

    name: str  # its extension decides the container
    codec: str = "libx264"
    format: str = "yuv420p"
    size: tuple[int, int] = (64, 48)
    frames: int = 12
    rate: Fraction = Fraction(25)
    time_base: Fraction = Fraction(1, 12800)
    options: dict[str, str] = field(default_factory=dict)
    pts: Callable[[int], int] | None = None  # frame number -> ticks; constant rate by default
    tags: tuple[int, int, int, int] = (1, 1, 1, 1)  # primaries, transfer, matrix, range
    aspect: Fraction = Fraction(1)
    rotation: int = 0
    timecode: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    audio: tuple[str, ...] = ()  # languages
    audio_begins: float = 0.0  # seconds
    subtitles: bool = False
    attachment: bool = False
    chapters: bool = False
    field_order: str = ""  # "tff" or "bff"
    container_options: dict[str, str] = field(default_factory=dict)


def picture(clip: Clip, number: int) -> list[np.ndarray[Any, Any]]:
    """Planes of a frame: a moving gradient plus seeded noise, codes over the whole range."""
    shape = av.VideoFormat(clip.format, *clip.size)
    rng = np.random.default_rng((7, number))
    planes = []
    for part in shape.components:
        top = (1 << part.bits) - 1
        y, x = np.mgrid[0 : part.height, 0 : part.width]
        base = 0.5 + 0.35 * np.sin((x + 2 * number) / 9.0) * np.cos(y / 7.0 + part.plane)
        noisy = base + rng.normal(0, 0.06, base.shape)
        noisy.flat[:2] = (0.0, 1.0)  # the extreme codes must survive too
        codes = np.clip(np.rint(noisy * top), 0, top)
        planes.append(codes.astype(np.uint8 if part.bits == 8 else np.uint16))
    order = [part.plane for part in shape.components]
    return [planes[order.index(n)] for n in range(len(planes))]


def frame_of(clip: Clip, number: int) -> av.VideoFrame:
    """The frame as PyAV has it (planar formats only)."""
    frame = av.VideoFrame(*clip.size, clip.format)
    for plane, values in zip(frame.planes, picture(clip, number), strict=True):
        row = plane.line_size // values.itemsize
        padded = np.zeros((plane.height, row), values.dtype)
        padded[:, : values.shape[1]] = values
        plane.update(padded.tobytes()[: plane.buffer_size])
    frame.colorspace, frame.color_range = clip.tags[2], clip.tags[3]
    return frame


def write(clip: Clip, folder: Path) -> Path:
    """Make the clip in a folder and return its path."""
    path = folder / clip.name
    with av.open(str(path), "w", container_options=clip.container_options) as output:
        video = _video(output, clip)
        others = [_audio(output, language) for language in clip.audio]
        text = (
            output.add_stream("srt" if path.suffix == ".mkv" else "mov_text")
            if (clip.subtitles)
            else None
        )
        if text is not None:
            text.codec_context.subtitle_header = b"[Script Info]\r\n"
            text.metadata["language"] = "eng"
        if clip.attachment:
            font = output.add_attachment("font.ttf", "application/x-truetype-font", b"\0\1" * 40)
            font.metadata["title"] = "a font"
        if clip.chapters:
            step = round(clip.frames / clip.rate * 500)
            output.set_chapters(
                [
                    {
                        "id": n,
                        "start": n * step,
                        "end": (n + 1) * step,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": f"part {n}"},
                    }
                    for n in range(2)
                ]
            )
        output.metadata.update(clip.metadata)
        setter = _property_setter(clip)
        for number in range(clip.frames):
            frame = frame_of(clip, number)
            step = 1 / (clip.rate * clip.time_base)
            frame.pts = clip.pts(number) if clip.pts else round(number * step)
            frame.time_base = clip.time_base
            frame.duration = round(step)
            setter.vpush(frame)
            output.mux(video.encode(setter.vpull()))
        output.mux(video.encode(None))
        seconds = clip.frames / clip.rate
        for stream in others:
            _write_audio(output, stream, seconds, round(48000 * clip.audio_begins))
        if text is not None:
            _write_text(output, text)
    return path


def _video(output: Any, clip: Clip) -> Any:
    options = dict(clip.options)
    if clip.field_order:
        options["flags"] = "+ildct+ilme"
    stream = output.add_stream(clip.codec, rate=clip.rate, options=options)
    context = stream.codec_context
    context.width, context.height = clip.size
    context.pix_fmt = clip.format
    context.time_base = stream.time_base = clip.time_base
    context.color_primaries, context.color_trc = clip.tags[:2]
    context.colorspace, context.color_range = clip.tags[2:]
    context.sample_aspect_ratio = clip.aspect
    context.flags |= Flags.frame_duration
    if clip.field_order:
        context.field_order = {"tff": 2, "bff": 3}[clip.field_order]
    if clip.rotation:
        stream.set_display_rotation(clip.rotation)
    if clip.timecode:
        stream.metadata["timecode"] = clip.timecode
    return stream


def _audio(output: Any, language: str) -> Any:
    stream = output.add_stream("aac", rate=48000)
    stream.codec_context.layout = "stereo"
    stream.metadata["language"] = language
    return stream


def _write_audio(output: Any, stream: Any, seconds: Fraction, begins: int) -> None:
    rng = np.random.default_rng(len(stream.metadata["language"]))
    samples = int(48000 * seconds)
    for start in range(0, samples, 1024):
        block = rng.normal(0, 0.1, (2, min(1024, samples - start))).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48000, begins + start
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def _write_text(output: Any, stream: Any) -> None:
    for number, words in enumerate((b"one", b"two")):
        packet = av.Packet(_coded_text(stream, words))
        packet.stream = stream
        packet.time_base = Fraction(1, 1000)
        packet.pts = packet.dts = number * 200
        packet.duration = 150
        output.mux(packet)


def _coded_text(stream: Any, words: bytes) -> bytes:
    """One event as the codec stores it: SRT is the bare text, mov_text has a length before it."""
    if stream.codec_context.name == "mov_text":
        return len(words).to_bytes(2, "big") + words
    return words


def _property_setter(clip: Clip) -> av.filter.Graph:
    """Gives frames what PyAV cannot set: fields and sample aspect ratio."""
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add(
            "buffer",
            f"video_size={clip.size[0]}x{clip.size[1]}:pix_fmt={clip.format}"
            f":time_base={clip.time_base.numerator}/{clip.time_base.denominator}:colorspace={clip.tags[2]}:range={clip.tags[3]}",
        ),
        graph.add("setfield", clip.field_order or "prog"),
        graph.add("setsar", f"{clip.aspect.numerator}/{clip.aspect.denominator}"),
        graph.add("buffersink"),
    )
    graph.configure()
    return graph


LOSSLESS = {"qp": "0"}
HDR_OPTIONS = {
    "x265-params": f"log-level=none:master-display={MASTERING}:max-cll=1000,400:hdr10=1"
    ":repeat-headers=1",
    "preset": "ultrafast",
}

# Container and stream properties, each with what a camera or an editor would write.
MATRIX: dict[str, Clip] = {
    clip.name: clip
    for clip in (
        Clip("plain.mp4", options={"preset": "ultrafast"}, audio=("eng",)),
        Clip("bframes.mp4", options={"bf": "3", "preset": "fast"}, audio=("eng", "deu")),
        Clip(
            "vfr.mp4",
            pts=lambda n: n * 512 + 37 * (n % 4) + (1000 if n > 6 else 0),
            options={"bf": "2"},
        ),
        Clip("vfr.mkv", time_base=Fraction(1, 1000), pts=lambda n: 40 * n + (n % 3) * 7),
        Clip("start.mp4", pts=lambda n: 6400 + 512 * n, audio=("eng",)),
        Clip("ntsc.mkv", rate=Fraction(24000, 1001), time_base=Fraction(1, 1000)),
        Clip(
            "ntsc.mov",
            rate=Fraction(24000, 1001),
            time_base=Fraction(1, 24000),
            timecode="01:02:03:04",
            audio=("eng",),
            chapters=True,
            metadata={"title": "a title", "comment": "kept"},
        ),
        Clip(
            "dropframe.mov",
            codec="prores_ks",
            format="yuv422p10le",
            rate=Fraction(30000, 1001),
            time_base=Fraction(1, 30000),
            timecode="00:00:59;20",
            options={"profile": "standard"},
        ),
        Clip("rotated.mp4", rotation=90, aspect=Fraction(64, 45)),
        Clip("rotated.mov", rotation=180),
        Clip(
            "everything.mkv",
            codec="ffv1",
            format="yuv422p10le",
            options={"level": "3"},
            time_base=Fraction(1, 1000),
            audio=("eng", "deu"),
            subtitles=True,
            attachment=True,
            chapters=True,
            timecode="10:00:00:00",
            metadata={"title": "all of it"},
            aspect=Fraction(4, 3),
        ),
        Clip("subtitles.mp4", subtitles=True, audio=("eng",)),
        Clip("bt2020.mp4", codec="libx265", format="yuv420p10le", tags=(9, 16, 9, 1),
             options=HDR_OPTIONS),
        Clip("hdr.mov", codec="libx265", format="yuv420p10le", tags=(9, 16, 9, 1),
             options=HDR_OPTIONS),
        Clip("hdr.mkv", codec="libx265", format="yuv420p10le", tags=(9, 16, 9, 1),
             time_base=Fraction(1, 1000), options=HDR_OPTIONS),
        Clip("full.mp4", tags=(1, 1, 1, 2)),
        Clip("interlaced.mov", codec="prores_ks", format="yuv422p10le", field_order="tff"),
        Clip("interlaced.mkv", field_order="bff", time_base=Fraction(1, 1000)),
        Clip("alpha.mov", codec="prores_ks", format="yuva444p10le", options={"alpha_bits": "16"}),
        Clip("stream.ts", time_base=Fraction(1, 90000), audio=("eng",)),
    )
}  # fmt: skip

# Sample layouts, coded without loss.
LAYOUTS: tuple[Clip, ...] = tuple(
    Clip(
        f"{name}-{width}.mkv",
        codec="ffv1",
        format=name,
        size=(width, 47 if width % 2 else 48),
        frames=3,
        time_base=Fraction(1, 1000),
        tags=(1, 1, 0 if name.startswith("gbr") else 1, full),
    )
    for name, width, full in (
        ("yuv420p", 64, 1),
        ("yuv420p", 61, 1),
        ("yuv422p", 64, 2),
        ("yuv444p", 61, 1),
        ("yuv420p9le", 64, 1),
        ("yuv420p10le", 64, 1),
        ("yuv420p10le", 61, 2),
        ("yuv422p10le", 64, 1),
        ("yuv422p12le", 61, 1),
        ("yuv444p12le", 64, 1),
        ("yuv420p14le", 64, 1),
        ("yuv444p16le", 64, 2),
        ("gray", 64, 2),
        ("gray10le", 61, 1),
        ("gray16le", 64, 2),
        ("gbrp10le", 64, 2),
        ("gbrp16le", 61, 2),
        ("gbrap12le", 64, 2),
        ("yuva420p", 64, 1),
        ("yuva444p10le", 64, 1),
    )
)
