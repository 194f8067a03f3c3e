"""Everything in a clip that is not its picture: copied packet by packet, never re-encoded.

Audio, subtitles, attachments and cover art go over as they are. A text subtitle the new container
has no place for is rewritten in that container's own text format. What cannot go over is named
before the start.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vdenoise.media.movie.clock import Clock
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


def add_copy(output: OutputContainer, stream: Any) -> Any:
    """Add a stream like ``stream``, with its metadata and disposition."""
    if stream.type == "attachment":
        copy = output.add_attachment(
            stream.metadata.get("filename", "attachment"),
            stream.mimetype or "application/octet-stream",
            stream.data,
        )
    else:
        copy = output.add_stream_from_template(stream, opaque=True)
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


class Copier:
    """Hands the other streams' packets to the output, in step with the picture."""

    def __init__(
        self,
        source: InputContainer,
        output: OutputContainer,
        streams: dict[int, Any],
        rewritten: Collection[int],
        clock: Clock,
    ) -> None:
        """Prepare to copy.

        Args:
            source: opened for us alone.
            output: the container, its header not yet written.
            streams: output stream by source stream index.
            rewritten: indices of subtitles that are encoded anew.
            clock: the range of the source that is written, and where it is moved to.
        """
        self._output = output
        self._streams = streams
        self._rewritten = rewritten
        self._begin, self._end = clock.shift, clock.end
        for stream in source.streams:
            if stream.index not in streams:
                stream.discard = av.stream.Discard.all
        wanted = [s for s in source.streams if s.index in streams and s.type != "attachment"]
        self._source = self._packets(source, wanted)
        self._next = next(self._source, None)

    def advance(self, until: Fraction | None) -> None:
        """Write every packet up to ``until`` seconds of output time; None writes the rest."""
        while self._next is not None:
            time, packet = self._next
            if until is not None and time > until:
                return
            self._write(packet)
            self._next = next(self._source, None)

    def _packets(self, source: InputContainer, wanted: list[Any]) -> Iterator[tuple[Fraction, Any]]:
        """(time in the output, packet) of every packet inside the range."""
        if not wanted:
            return
        for packet in source.demux(wanted):
            if not packet.size:
                continue
            ticks = packet.dts if packet.dts is not None else packet.pts
            base = packet.time_base
            cover = packet.stream.disposition & Disposition.attached_pic
            if ticks is None or cover:
                yield Fraction(0), packet
                continue
            if self._end is not None and ticks * base >= self._end:
                continue
            if self._begin:
                if ticks * base < self._begin:
                    continue
                shift = round(self._begin / base)
                packet.dts = None if packet.dts is None else packet.dts - shift
                packet.pts = None if packet.pts is None else packet.pts - shift
                ticks -= shift
            yield ticks * base, packet

    def _write(self, packet: Any) -> None:
        target = self._streams[packet.stream_index]
        if packet.stream_index in self._rewritten:
            self._rewrite(packet, target)
            return
        packet.stream = target
        self._output.mux(packet)

    def _rewrite(self, packet: Any, target: Any) -> None:
        subtitle = packet.stream.codec_context.decode2(packet)
        if subtitle is None:
            return
        coded = target.codec_context.encode_subtitle(subtitle)
        coded.stream = target
        coded.pts, coded.dts, coded.duration = packet.pts, packet.dts, packet.duration
        coded.time_base = packet.time_base
        self._output.mux(coded)
