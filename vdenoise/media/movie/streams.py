"""Everything in a clip that is not its picture: copied packet by packet, never re-encoded.

Audio, subtitles, attachments and cover art go over as they are. A text subtitle the new container
has no place for is rewritten in that container's own text format. What cannot go over is named
before the start.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from vdenoise.media.movie.covers import COVERS, attached, is_cover
from vdenoise.media.movie.demuxers import joined_in, kinds_of, open_demuxer
from vdenoise.media.movie.encrypted import is_encrypted
from vdenoise.media.movie.memory_files import MemoryFile
from vdenoise.media.movie.metadata import stream_metadata
from vdenoise.media.movie.packets import codec_of, same_codec
from vdenoise.media.movie.services import is_m2ts, keeps_pids
from vdenoise.media.movie.sound import sound_for, told_anew
from vdenoise.media.movie.transport import filling

_TEXT_SUBTITLES = {"mov": "mov_text", "mp4": "mov_text", "matroska": "srt", "webm": "webvtt"}
_TEXT_CODECS = {"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"}
_READ_BACK = ("mpegts", "mov", "mp4", "avi", "nut")  # they have places for what has no name there
_READ = ("audio", "subtitle", "video")  # without a decoder PyAV copies other kinds alone
_TRIED = 8  # packets
_OFF = Fraction(1, 100)  # seconds: more is no rounding
_PICTURE_ONLY = ("yuv4mpegpipe",)


@dataclass(frozen=True)
class CopyPlan:
    """Which streams go over, by source index, and what to say about the others."""

    copied: tuple[int, ...] = ()
    rewritten: dict[int, str] = field(default_factory=dict)  # index -> encoder; sound as PCM
    notes: tuple[str, ...] = ()
    silent: str = ""  # what sound there is, where none of it goes over


def plan_copies(
    source: InputContainer, video: VideoStream, container: str, *, m2ts: bool = False
) -> CopyPlan:
    """Decide for each stream beside ``video`` whether the new container can hold it.

    Args:
        source: the clip.
        video: its picture.
        container: FFmpeg muxer.
        m2ts: whether MPEG-TS is written as M2TS, which has codes of its own for streams.
    """
    copied, rewritten, notes = [], {}, []
    for stream in source.streams:
        if stream.index == video.index or made_by_muxers(stream, source):
            continue
        if is_encrypted(stream):
            notes.append(f"{stream_name(stream)} is encrypted, and is left out")
        elif stream.type in _READ and stream.codec_context is None:
            notes.append(f"{stream_name(stream)} is of a kind that is not read, and is left out")
        elif container not in _PICTURE_ONLY and _takes(container, stream, m2ts=m2ts):
            copied.append(stream.index)
        elif codec_of(stream) in _TEXT_CODECS and container in _TEXT_SUBTITLES:
            rewritten[stream.index] = _TEXT_SUBTITLES[container]
        elif stream.type == "audio" and (encoder := sound_for(stream, container)) is not None:
            rewritten[stream.index] = encoder
            if told := told_anew(stream, encoder, container):
                notes.append(f"{container} holds {stream_name(stream)} as {told}")
        else:
            notes.append(f"{container} cannot hold {stream_name(stream)}, which is left out")
    known = [(s, s.codec_context) for s in source.streams.audio]
    sound = [s for s, c in known if c is None or c.sample_rate]  # 0: nothing is there
    none_left = sound and not any(s.index in (*copied, *rewritten) for s in sound)
    silent = stream_name(sound[0]) if none_left and container not in _PICTURE_ONLY else ""
    return CopyPlan(tuple(copied), rewritten, tuple(notes), silent)


def stream_name(stream: Any) -> str:
    """Name a stream for people: ``subtitle stream 3 (hdmv_pgs_subtitle)``."""
    codec = codec_of(stream)
    if stream.type == "data":
        codec = stream.metadata.get("handler_name") or (codec if codec != "bin_data" else "")
    return f"{stream.type} stream {stream.index}{f' ({codec})' if codec else ''}"


def made_by_muxers(stream: Any, source: InputContainer) -> bool:
    """Whether this is a track that a muxer makes anew from what else it is told."""
    told = joined_in(source)
    if told is not None and stream.index in told.timecode_tracks:
        return True
    return _is_timecode(stream) or _is_chapter_text(stream, source)


def _is_timecode(stream: Any) -> bool:
    """A tmcd track: the muxer makes a new one from the timecode in the metadata."""
    return stream.type == "data" and any(key.lower() == "timecode" for key in stream.metadata)


def _is_chapter_text(stream: Any, source: InputContainer) -> bool:
    """The text track of QuickTime chapters: written anew with the chapters."""
    return (
        stream.type == "data"
        and "mov" in kinds_of(source)
        and stream.name in (None, "bin_data")
        and bool(source.chapters())
    )


def _takes(container: str, stream: Any, *, m2ts: bool) -> bool:
    """Whether the muxer takes a stream, and what it writes is that stream again.

    It is tried with the first packets: some fail only there, and MPEG-TS takes anything, as data
    that nobody can read.
    """
    if stream.type == "attachment":  # WebM's muxer drops it without a word, MPEG-TS's makes it data
        return container == "matroska"
    if is_cover(stream) and container != "mp4":  # others make it a further movie of one frame
        return container == "matroska" and codec_of(stream) in COVERS
    memory = MemoryFile()
    tried: list[Any] = []
    try:
        options = {"mpegts_m2ts_mode": "1"} if m2ts else {}
        output = av.open(memory, "w", format=container, container_options=options)
        if container == "mxf":  # its header needs a picture before anything else
            dummy = output.add_stream("mpeg2video", rate=25)
            dummy.width, dummy.height, dummy.pix_fmt = 64, 64, "yuv422p"
        copy = add_copy(output, stream)
        output.start_encoding()
        if container != "mxf":  # it cannot end without a frame
            tried = _first_packets(stream)
            if container == "avi" and stream.type == "audio" and _miscounts(stream, copy, tried):
                return False
            for packet in tried:
                packet.stream = copy
                output.mux(packet)
            output.close()  # MP4 writes its header here, and may refuse it
        if container == "mpegts":
            memory.seek(0, 2)
            memory.write(filling(m2ts=m2ts))  # as a file of few packets gets it, to be read
    except (av.FFmpegError, ValueError):
        return False
    if container == "mxf":
        with contextlib.suppress(av.FFmpegError):
            output.close()
    if container not in _READ_BACK or not tried:
        return True
    memory.seek(0)
    try:
        with av.open(memory) as again:
            found = [codec_of(s) for s in again.streams]
            if len(found) != 1 or not same_codec(codec_of(stream), found[0]):
                return False
            if stream.type != "audio":
                return codec_of(stream) not in _TEXT_CODECS or _keeps_lengths(again, tried)
            if container == "avi" and not _keeps_times(again, tried):
                return False
        memory.seek(0)
        with open_demuxer(stream.container.name) as source, av.open(memory) as again:
            return _is_heard(again, 0) or not _is_heard(source, stream.index)
    except av.FFmpegError:
        return False


def _is_heard(container: Any, number: int) -> bool:
    """Whether the first packets of a sound stream can be decoded: NUT, for one, has no place for
    what decoders of Windows Media's need to know."""
    stream = container.streams[number]
    with contextlib.suppress(av.FFmpegError):
        return any(packet.decode() for packet in islice(container.demux(stream), _TRIED))
    return False


def _keeps_times(again: Any, packets: list[Any]) -> bool:
    """Whether sound that was written comes back at its times, counted from the first packet: AVI
    counts blocks or bytes, and of some codecs wrongly. PCM comes back in other packets."""
    if codec_of(again.streams[0]).startswith("pcm"):
        return True
    times, wanted = _times(again.demux()), _times(packets)
    return len(times) == len(wanted) and all(
        abs(a - b) < _OFF for a, b in zip(times, wanted, strict=True)
    )


def _keeps_lengths(again: Any, packets: list[Any]) -> bool:
    """Whether text that was written comes back with how long it is seen, which NUT cannot tell: it
    would stay for good. Subtitles that are pictures tell it themselves."""
    return any(p.duration for p in again.demux()) or not any(p.duration for p in packets)


def _times(packets: Iterable[Any]) -> list[Fraction]:
    """Seconds of each packet behind the first."""
    found = [p.pts * p.time_base for p in packets if p.size and p.pts is not None]
    return [time - found[0] for time in found]


def _miscounts(stream: Any, copy: Any, packets: list[Any]) -> bool:
    """Whether AVI's muxer would count the packets of a sound stream in a wrong unit: in another
    than an AVI had, or one that is longer than a packet lasts (roundings aside)."""
    if "avi" in kinds_of(stream.container):
        return bool(copy.time_base != stream.time_base)
    rounding = min(stream.time_base / 2, Fraction(1, 2000))
    lasting = [p.duration * p.time_base for p in packets if p.duration]
    return bool(lasting) and min(lasting) + rounding < copy.time_base


def _first_packets(stream: Any) -> list[Any]:
    """A few packets of a stream; none where it has none among the first of the file."""
    if stream.type == "attachment":
        return []
    found = []
    with open_demuxer(stream.container.name) as source:
        for packet in islice(source.demux(source.streams[stream.index]), _TRIED):
            if packet.size and packet.dts is not None:
                found.append(packet)
    return found


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
