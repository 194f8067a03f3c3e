"""Whether a muxer takes a stream: it is tried, with its first packets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from fractions import Fraction
from itertools import islice
from typing import Any

import av

from vdenoise.media.movie.added import MP4_STRICT, add_copy
from vdenoise.media.movie.covers import COVERS, is_cover
from vdenoise.media.movie.demuxers import kinds_of, open_demuxer
from vdenoise.media.movie.memory_files import MemoryFile
from vdenoise.media.movie.packets import TEXTS, codec_of, is_empty_core, same_codec
from vdenoise.media.movie.rising import STRICT, Rising
from vdenoise.media.movie.transport import filling

_READ_BACK = ("mpegts", "mov", "mp4", "avi", "nut")  # they have places for what has no name there
_TRIED = 8  # packets
_SHORT = {"truehd": 1200}  # of a second: MPEG-TS has no name for it, and few are not recognized
_OFF = Fraction(1, 100)  # seconds: more is no rounding


def takes(container: str, stream: Any, *, m2ts: bool) -> bool:
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
        options |= {"strict": MP4_STRICT} if container == "mp4" else {}
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
            rising = Rising()
            for packet in tried:
                if container in STRICT:
                    rising.move(packet, copy)
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
            found = [codec_of(s) for s in again.streams if not is_empty_core(s)]
            if len(found) != 1 or not same_codec(codec_of(stream), found[0]):
                return False
            if stream.type != "audio":
                return codec_of(stream) not in TEXTS or _keeps_lengths(again, tried)
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
        return any(
            packet.decode()
            for packet in islice(container.demux(stream), _SHORT.get(codec_of(stream), _TRIED))
        )
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
        count = _SHORT.get(codec_of(stream), _TRIED)
        for packet in islice(source.demux(source.streams[stream.index]), count):
            if packet.size and packet.dts is not None:
                found.append(packet)
    return found


def has_places(stream: Any) -> bool:
    """Whether subtitles of WebVTT say where they stand on the screen."""
    with open_demuxer(stream.container.name) as source:
        packets = source.demux(source.streams[stream.index])
        return any(packet.has_sidedata("webvtt_settings") for packet in packets)
