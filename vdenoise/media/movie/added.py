"""Streams of an output that are like one of its source, or are its text written anew."""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import Any

import av
from av.container import OutputContainer

from vdenoise.media.movie.covers import attached, is_cover
from vdenoise.media.movie.demuxers import kinds_of, open_demuxer
from vdenoise.media.movie.memory_files import MemoryFile
from vdenoise.media.movie.metadata import stream_metadata
from vdenoise.media.movie.packets import codec_of
from vdenoise.media.movie.services import is_m2ts, keeps_pids

# Of MP4: FFmpeg calls TrueHD experimental there; and st3d and sv3d are nobody's standard, and all
# write them.
MP4_STRICT = "experimental"


def _template(output: OutputContainer, stream: Any) -> Any:
    """What the header of a copy is made from: the stream itself, but for AVI to AVI.

    There a block size that AVI's demuxer reports for AC-3, AAC or MP3 makes the muxer count their
    packets as if they were all as long as that; Matroska takes such sound without one.
    """
    source = stream.container
    if output.format.name != "avi" or "avi" not in kinds_of(source) or stream.type != "audio":
        return stream
    memory = MemoryFile()
    with contextlib.suppress(av.FFmpegError, ValueError), open_demuxer(source.name) as again:
        with av.open(memory, "w", format="matroska") as made:
            copy = made.add_stream_from_template(stream, opaque=True)
            for packet in islice(again.demux(again.streams[stream.index]), 4):
                packet.stream = copy
                made.mux(packet)
        memory.seek(0)
        return av.open(memory).streams.audio[0]
    return stream


def add_copy(output: OutputContainer, stream: Any, delayed: Any | None = None) -> Any:
    """Add a stream like ``stream``, with its metadata and disposition.

    Args:
        output: the container.
        stream: of the source.
        delayed: a stream like it that tells what is not heard at its beginning.
    """
    if stream.type == "attachment" or (is_cover(stream) and output.format.name == "matroska"):
        copy = output.add_attachment(*attached(stream))
    elif delayed is not None:
        copy = output.add_stream_from_template(delayed, opaque=True)
        copy.codec_context.extradata = stream.codec_context.extradata
    else:
        copy = output.add_stream_from_template(_template(output, stream), opaque=True)
    copy.metadata.update(stream_metadata(stream, output.format.name))
    copy.disposition = stream.disposition
    if output.format.name == "mpegts" and keeps_pids(stream.container, m2ts=is_m2ts(output)):
        copy.id = stream.id
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


def _styles(stream: Any) -> bytes:
    """The ASS header whose styles a subtitle's events name. FFmpeg makes text of a style it does
    not find invisible."""
    context = stream.codec_context
    own = context.extradata if codec_of(stream) in ("ass", "ssa") else None
    return bytes(context.subtitle_header or own or _ASS_HEADER)


def add_text(output: OutputContainer, stream: Any, encoder: str) -> Any:
    """Add a text subtitle stream that is encoded anew."""
    text: Any = output.add_stream(encoder)
    text.codec_context.subtitle_header = _styles(stream)
    text.time_base = stream.time_base
    text.metadata.update(stream_metadata(stream, output.format.name))
    text.disposition = stream.disposition
    return text
