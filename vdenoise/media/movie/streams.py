"""Everything in a clip that is not its picture: copied packet by packet, never re-encoded.

Audio, subtitles, attachments and cover art go over as they are. A text subtitle the new container
has no place for is rewritten in that container's own text format. What cannot go over is named
before the start.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from vdenoise.media.movie.demuxers import open_demuxer
from vdenoise.media.movie.metadata import stream_metadata

_TEXT_SUBTITLES = {"mov": "mov_text", "mp4": "mov_text", "matroska": "srt", "webm": "webvtt"}
_TEXT_CODECS = {"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"}
# MPEG-TS takes anything as private data that nobody can play: only what it has a type for.
_TS_CODECS = {"aac", "ac3", "eac3", "mp2", "mp3", "opus", "dvbsub", "dvb_subtitle", "dts"}
_PICTURE_ONLY = ("yuv4mpegpipe",)


class NullFile(io.RawIOBase):
    """A file that swallows what is written, to try a header."""

    def __init__(self) -> None:
        super().__init__()
        self._at = self._size = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Count the bytes."""
        self._at += len(data)
        self._size = max(self._size, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move as in a real file."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """The position."""
        return self._at


@dataclass(frozen=True)
class CopyPlan:
    """Which streams go over, by source index, and what to say about the others."""

    copied: tuple[int, ...] = ()
    rewritten: dict[int, str] = field(default_factory=dict)  # subtitles: index -> encoder
    notes: tuple[str, ...] = ()


def plan_copies(source: InputContainer, video: VideoStream, container: str) -> CopyPlan:
    """Decide for each stream beside ``video`` whether the new container can hold it."""
    copied, rewritten, notes = [], {}, []
    for stream in source.streams:
        if stream.index == video.index or _is_timecode(stream) or _is_chapter_text(stream, source):
            continue
        if container not in _PICTURE_ONLY and _accepts(container, stream):
            copied.append(stream.index)
        elif _codec(stream) in _TEXT_CODECS and container in _TEXT_SUBTITLES:
            rewritten[stream.index] = _TEXT_SUBTITLES[container]
        else:
            notes.append(f"{container} cannot hold {stream_name(stream)}, which is left out")
    return CopyPlan(tuple(copied), rewritten, tuple(notes))


def stream_name(stream: Any) -> str:
    """For people: ``subtitle stream 3 (hdmv_pgs_subtitle)``."""
    codec = _codec(stream)
    return f"{stream.type} stream {stream.index}{f' ({codec})' if codec else ''}"


def _codec(stream: Any) -> str:
    return stream.codec_context.name if stream.codec_context is not None else ""


def _is_timecode(stream: Any) -> bool:
    """A tmcd track: the muxer makes a new one from the timecode in the metadata."""
    return stream.type == "data" and any(key.lower() == "timecode" for key in stream.metadata)


def _is_chapter_text(stream: Any, source: InputContainer) -> bool:
    """The text track of QuickTime chapters: written anew with the chapters."""
    return (
        stream.type == "data"
        and "mov" in source.format.name.split(",")
        and stream.name in (None, "bin_data")
        and bool(source.chapters())
    )


def _accepts(container: str, stream: Any) -> bool:
    """Whether the muxer writes a header with this stream in it."""
    if container == "mpegts" and _codec(stream) not in _TS_CODECS:
        return False
    if stream.type == "data":
        return False  # no muxer but MPEG-TS takes them, and there they lose their meaning
    try:
        output = av.open(NullFile(), "w", format=container)
        if container == "mxf":  # its header needs a picture before anything else
            dummy = output.add_stream("mpeg2video", rate=25)
            dummy.width, dummy.height, dummy.pix_fmt = 64, 64, "yuv422p"
        add_copy(output, stream)
        output.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    with contextlib.suppress(av.FFmpegError):
        output.close()  # MXF cannot end without a frame
    return True


def _template(output: OutputContainer, stream: Any) -> Any:
    """What the header of a copy is made from: the stream itself, but for AVI to AVI.

    There a block size that AVI's demuxer reports for AC-3, AAC or MP3 makes the muxer count their
    packets as if they were all as long as that; Matroska takes such sound without one.
    """
    source = stream.container
    if output.format.name != "avi" or source.format.name != "avi" or stream.type != "audio":
        return stream
    memory = io.BytesIO()
    memory.close = lambda: None  # type: ignore[method-assign]  # PyAV closes what it wrote
    with contextlib.suppress(av.FFmpegError, ValueError), open_demuxer(source.name) as again:
        with av.open(memory, "w", format="matroska") as made:
            copy = made.add_stream_from_template(stream, opaque=True)
            for packet in islice(again.demux(again.streams[stream.index]), 4):
                packet.stream = copy
                made.mux(packet)
        memory.seek(0)
        return av.open(memory).streams.audio[0]
    return stream


def add_copy(output: OutputContainer, stream: Any) -> Any:
    """Add a stream like ``stream``, with its metadata and disposition."""
    if stream.type == "attachment":
        copy = output.add_attachment(
            stream.metadata.get("filename", "attachment"),
            stream.mimetype or "application/octet-stream",
            stream.data,
        )
    else:
        copy = output.add_stream_from_template(_template(output, stream), opaque=True)
    copy.metadata.update(stream_metadata(stream, output.format.name))
    copy.disposition = stream.disposition
    return copy


_ASS_HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\nPlayResX: 384\r\nPlayResY: 288\r\n\r\n"
    b"[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, "
    b"OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, "
    b"Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\r\n"
    b"Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1"
    b"\r\n\r\n[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, "
    b"Effect, Text\r\n"
)


def add_text(output: OutputContainer, stream: Any, encoder: str) -> Any:
    """Add a text subtitle stream that is encoded anew."""
    text: Any = output.add_stream(encoder)
    text.codec_context.subtitle_header = stream.codec_context.subtitle_header or _ASS_HEADER
    text.time_base = stream.time_base
    text.metadata.update(stream_metadata(stream, output.format.name))
    text.disposition = stream.disposition
    return text
