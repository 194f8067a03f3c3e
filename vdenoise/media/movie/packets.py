"""One pass over every packet of a movie: what the picture's index and the ledger are made of."""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vdenoise.media.memory import see_memory
from vdenoise.media.movie.demuxers import joined_in
from vdenoise.media.movie.headers import PacketWatch

TEXTS = frozenset(("subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"))  # subtitles
_PGS_BEGINS = b"\x16"  # a composition: the first of the segments of a picture on the screen
Heard = Callable[[int, int], None]  # is told how many bytes of how many have been read


class Onward:
    """The times of a stream whose packets jump back, as where files were joined: there it goes on
    where the packet before ended. What that moved it by is taken back where it pauses later."""

    def __init__(self) -> None:
        self._last: int | None = None  # decoding time of the packet before, as it was told
        self._end = 0  # when that ended, as it was told
        self.moved = 0  # ticks

    def move(self, ticks: int | None, duration: int | None) -> int:
        """Ticks to add to the times of the next packet, which says that it is decoded at
        ``ticks``."""
        if ticks is None:
            return self.moved
        if self._last is not None and ticks < self._last:
            self.moved += self._end - ticks
        elif self._last is not None and self.moved and ticks > self._end:
            self.moved = max(self.moved - (ticks - self._end), 0)
        self._last, self._end = ticks, ticks + (duration or 0)
        return self.moved


@dataclass
class PicturePackets:
    """The packets of the picture in the order of the file, those left out that are hidden."""

    pts: list[int | None] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)
    checks: list[int] = field(default_factory=list)  # CRC-32
    hidden: int = 0
    broken: int = 0
    end: float = 0.0  # seconds, over all streams
    until: int = 0  # byte where the last packet of any stream ends, as far as it is known
    ends_empty: bool = False  # the last packet has only what stands beside it, however long
    length: int = 0  # bytes of the first packet
    cut: bool = False  # the last packet of any stream is shorter than the file says
    delayed: bool = False  # packets are decoded at another time than they are shown
    # The packets that told of each item of the ledger, by their number.
    told: dict[str, array[int]] = field(default_factory=dict)
    turns: list[int] = field(default_factory=list)  # packets with another header than before
    onward: Onward = field(default_factory=Onward)


@dataclass
class StreamPackets:
    """The packets of a stream beside the picture; those that an edit list hides do not count."""

    index: int
    kind: str  # "audio", "video", "subtitle" or "data"
    codec: str  # FFmpeg's name of the coded format, not of a decoder
    time_base: Fraction
    times: array[int] = field(default_factory=lambda: array("q"))  # ticks, in the file's order
    durations: array[int] = field(default_factory=lambda: array("q"))
    checks: array[int] = field(default_factory=lambda: array("L"))  # CRC-32 of what is coded
    hidden: int = 0
    whole: int = 0  # CRC-32 over all of it: PCM may be cut into other packets
    onward: Onward = field(default_factory=Onward)  # of sound
    # Samples of a packet that are not to be heard, at its beginning and its end, by its number.
    cuts: dict[int, tuple[int, int]] = field(default_factory=dict)
    rate: int = 0  # samples a second

    def seconds(self, number: int) -> float:
        """When packet ``number`` is shown or heard."""
        return float(self.times[number] * self.time_base)

    @property
    def end(self) -> float:
        """When the last packet ends."""
        return float((self.times[-1] + self.durations[-1]) * self.time_base)


def heard(packets: StreamPackets) -> StreamPackets:
    """Sound without the packets at its beginning of which nothing is to be heard."""
    hidden = packets.cuts.get(0, (0, 0))[0]
    if not hidden:
        return packets
    base, times = packets.time_base, packets.times
    cut = Fraction(hidden, packets.rate or 1) + base
    first = 0
    while first + 1 < len(times) and (times[first + 1] - times[0]) * base <= cut:
        first += 1
    fields = {name: getattr(packets, name)[first:] for name in ("times", "durations", "checks")}
    return replace(packets, **fields)


def codec_of(stream: Any) -> str:
    """FFmpeg's name of what a stream holds; empty where it knows none."""
    if stream.type == "attachment":
        return ""
    context = stream.codec_context
    # Streams of which FFmpeg knows neither kind nor codec have no name at all.
    return (
        (getattr(stream, "name", "") or "")
        if context is None
        else str(context.codec.canonical_name)
    )


def same_codec(one: str, other: str) -> bool:
    """Whether two names of `codec_of` are those of one codec: MPEG-TS has one name for MP2 and
    MP3."""
    return one == other or {one, other} == {"mp2", "mp3"}


def is_empty_core(stream: Any) -> bool:
    """Whether FFmpeg shows a stream of AC-3 in a transport stream only because Blu-ray's TrueHD may
    come with one under the same PID: here it does not."""
    if stream.type != "audio" or codec_of(stream) != "ac3" or stream.codec_context.sample_rate:
        return False
    beside = (s for s in stream.container.streams if s.index != stream.index)
    return any(s.id == stream.id and codec_of(s) == "truehd" for s in beside)


def read_packets(
    container: InputContainer, picture: VideoStream, size: int, heard: Heard | None
) -> tuple[PicturePackets, dict[int, StreamPackets]]:
    """Every packet of a movie.

    Args:
        container: opened for this alone.
        picture: the stream that is denoised.
        size: bytes of the file.
        heard: is told how much has been read.
    """
    found = PicturePackets()
    others = {
        stream.index: StreamPackets(
            stream.index,
            stream.type,
            codec_of(stream),
            stream.time_base or Fraction(1, 1000),
            rate=getattr(stream.codec_context, "sample_rate", 0) or 0,
        )
        for stream in container.streams
        if stream.index != picture.index
        and stream.type != "attachment"
        and not stream.disposition & Disposition.attached_pic
    }
    read, joined = 0, joined_in(container) is not None
    watch = PacketWatch(picture)
    found.told = watch.told
    packets = container.demux()
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return found, others
        except av.FFmpegError as error:  # damage between packets: what can be read is there
            see_memory(error)
            found.broken += 1
            return found, others
        if not packet.size:
            found.ends_empty |= packet.pos is not None
            continue
        found.ends_empty = False
        read += packet.size
        if heard is not None and packet.pos is not None:
            heard(min(read, size) if joined else packet.pos, size)  # places are those in each part
        found.cut = packet.is_corrupt
        if packet.pos is not None:
            found.until = max(found.until, packet.pos + packet.size)
        if packet.pts is not None and packet.time_base:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            found.end = max(found.end, end)
        if packet.stream_index == picture.index:
            _note_picture(found, packet, watch)
        elif packet.stream_index in others:
            _note_other(others[packet.stream_index], packet)


def read_times(container: InputContainer, picture: VideoStream) -> PicturePackets:
    """When the packets of the picture are shown, and nothing else: an eighth of the work.

    Args:
        container: opened for this alone.
        picture: the stream that is denoised.
    """
    found = PicturePackets()
    try:
        for packet in container.demux(picture):
            if not packet.size:
                continue
            if packet.is_discard:
                found.hidden += 1
                continue
            pts, dts, duration = packet.pts, packet.dts, packet.duration or 0
            found.pts.append(pts)
            found.durations.append(duration)
            found.keys.append(packet.is_keyframe)
            found.onward.move(dts, duration)
            found.delayed |= None not in (pts, dts) and pts != dts
    except av.FFmpegError as error:  # what can be read is what there is; a run tells of it
        see_memory(error)
        found.broken += 1
    return found


def _note_picture(found: PicturePackets, packet: Any, watch: PacketWatch) -> None:
    if packet.is_discard:
        found.hidden += 1
        return
    found.broken += packet.is_corrupt
    found.length = found.length or packet.size
    found.pts.append(packet.pts)
    found.durations.append(packet.duration or 0)
    found.keys.append(packet.is_keyframe)
    found.checks.append(zlib.crc32(packet))
    pts = packet.pts
    found.onward.move(packet.dts, packet.duration)
    found.delayed |= None not in (pts, packet.dts) and pts != packet.dts
    if watch.see(packet, len(found.pts) - 1):
        found.turns.append(len(found.pts) - 1)


def _note_other(found: StreamPackets, packet: Any) -> None:
    time = packet.pts if packet.pts is not None else packet.dts
    if packet.is_discard:
        found.hidden += 1
        return
    data = bytes(packet)
    data = data[adts_header(found.codec, data) :]
    if found.codec == "mov_text" and data == b"\0\0":
        return  # QuickTime fills the time between two subtitles with an empty one
    found.whole = zlib.crc32(data, found.whole)
    if found.codec == "hdmv_pgs_subtitle" and data[:1] != _PGS_BEGINS and found.checks:
        found.checks[-1] = zlib.crc32(data, found.checks[-1])
        return  # of one picture on the screen: Matroska holds its parts in one packet
    moved = 0
    if found.kind == "audio":
        moved = found.onward.move(packet.dts, packet.duration)
        if packet.has_sidedata("skip_samples"):
            cut = struct.unpack_from("<2I", bytes(packet.get_sidedata("skip_samples")))
            found.cuts[len(found.times)] = cut
    found.times.append(time + moved if time is not None else 0)
    found.durations.append(packet.duration or 0)
    found.checks.append(zlib.crc32(data))


def adts_header(codec: str, data: bytes) -> int:
    """Length of the ADTS header that MPEG-TS puts before each AAC packet, 0 where there is none."""
    if codec != "aac" or len(data) < 7 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        return 0
    return 7 if data[1] & 1 else 9
