"""Copying packets beside the picture: where they stand in time is kept, in every container."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition

from vdenoise.media.movie.clock import CONSTANT_RATE_CONTAINERS, Clock
from vdenoise.media.movie.demuxers import joined_in
from vdenoise.media.movie.filling import Filler, filled_kind, filler
from vdenoise.media.movie.packets import Onward
from vdenoise.media.movie.rising import STRICT, Rising
from vdenoise.media.movie.sound import SoundCoder

HIDES = ("mov", "mp4")  # they have edit lists: what is hidden there stays hidden


class StreamCopier:
    """Hands the other streams' packets to the output, in step with the picture.

    Args:
        source: opened for us alone.
        output: the container, its header written.
        streams: output stream by source stream index.
        rewritten: indices of subtitles that are encoded anew.
        clock: the range of the source that is written, and where it is moved to.
        container: FFmpeg muxer.
        begins: of streams whose beginning is hidden in the output as well: the first tick of it.
    """

    def __init__(
        self,
        source: InputContainer,
        output: OutputContainer,
        streams: dict[int, Any],
        rewritten: Collection[int],
        clock: Clock,
        container: str,
        begins: Mapping[int, int],
    ) -> None:
        self._output, self._begins = output, dict(begins)
        self._streams = streams
        self._rewritten = rewritten
        self._clock = clock
        self._container = container
        self._coders: dict[int, SoundCoder] = {}  # of sound that is encoded anew
        self._fillers: dict[int, Filler] = {
            s.index: filler(streams[s.index], clock, container)
            for s in source.streams
            if s.index in streams and filled_kind(container, streams[s.index])
        }
        self._rising: dict[int, Rising] = {}
        self._held: dict[int, Any] = {}  # packets of sound that do not say how long they last
        self.firsts: dict[int, Fraction] = {}  # AVI: when each stream begins, the picture at 0
        for stream in source.streams:
            if stream.index not in streams:
                stream.discard = av.stream.Discard.all
        wanted = [
            s
            for s in source.streams
            if s.index in streams and streams[s.index].type != "attachment"  # which headers hold
        ]
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
        if until is None:
            self._write_held()
            for number in self._coders:
                self._code(None, number)
            for number, filled in self._fillers.items():
                self._write_samples(number, filled.done, filled.rest())

    def _packets(self, source: InputContainer, wanted: list[Any]) -> Iterator[tuple[Fraction, Any]]:
        """(time in the output, packet) of every packet inside the range."""
        if not wanted:
            return
        # Where only a rate is stored the picture begins at 0, and everything else goes with it.
        shift = self._clock.shift
        if self._container in CONSTANT_RATE_CONTAINERS:
            shift += self._clock.begin
        onward = {s.index: Onward() for s in wanted if s.type == "audio"}
        joined, begun = joined_in(source) is not None, set[int]()
        for packet in source.demux(wanted):
            # What is decoded anew needs what is hidden, to get going.
            anew = packet.stream_index in self._rewritten and packet.stream.type == "audio"
            if not packet.size:
                continue
            if packet.is_discard and packet.stream_index in begun and (joined or not anew):
                continue  # a later part's: the one before it gets it going
            if packet.is_discard:
                if self._container not in HIDES and not anew and not self._primes(packet):
                    continue
            else:
                self._begins.pop(packet.stream_index, None)
                begun.add(packet.stream_index)
            ticks = packet.dts if packet.dts is not None else packet.pts
            base = packet.time_base
            if ticks is None or packet.stream.disposition & Disposition.attached_pic:
                yield Fraction(0), packet
                continue
            index = packet.stream_index
            if index in onward and (ahead := onward[index].move(packet.dts, packet.duration)):
                packet.dts = None if packet.dts is None else packet.dts + ahead
                packet.pts = None if packet.pts is None else packet.pts + ahead
                ticks += ahead
            if not self._clock.holds(ticks * base):
                continue
            if self._container == "avi":
                # Its muxer knows no start: each stream begins at 0, the header is told afterwards.
                self.firsts.setdefault(index, ticks * base - shift)
                moved = round((shift + self.firsts[index]) / base)
            else:
                moved = round(shift / base)
            packet.dts = None if packet.dts is None else packet.dts - moved
            packet.pts = None if packet.pts is None else packet.pts - moved
            yield (ticks - moved) * base, packet

    def _primes(self, packet: Any) -> bool:
        """Whether a hidden packet is needed by the first that is heard."""
        begin = self._begins.get(packet.stream_index)
        return begin is not None and packet.dts is not None and packet.dts >= begin

    def _write(self, packet: Any) -> None:
        target = self._streams[packet.stream_index]
        if packet.stream_index in self._rewritten:
            if packet.stream.type == "audio":
                self._code(packet, packet.stream_index)
            else:
                self._rewrite(packet, target)
            return
        if packet.stream_index in self._fillers:
            self._fill(packet.stream_index, packet)
            return
        if self._container in HIDES and target.type == "audio":
            self._write_lasting(packet)
        else:
            self._mux(packet)

    def _write_lasting(self, packet: Any) -> None:
        """Sound whose packets do not say how long they last is written when the next is known: MP4
        forgets a last one that lasts no time."""
        number = packet.stream_index
        held = self._held.pop(number, None)
        if held is not None:
            held.duration = max((packet.dts or 0) - (held.dts or 0), 0)
            self._mux(held)
        if packet.duration:
            self._mux(packet)
        else:
            self._held[number] = packet

    def _write_held(self) -> None:
        """The last packets of such sound, as long as what they decode to."""
        for held in self._held.values():
            with contextlib.suppress(av.FFmpegError):
                frames: list[Any] = [*held.decode(), *held.stream.decode(None)]
                samples = sum(Fraction(frame.samples, frame.sample_rate) for frame in frames)
                held.duration = round(samples / held.time_base)
            self._mux(held)
        self._held.clear()

    def _mux(self, packet: Any) -> None:
        target = self._streams[packet.stream_index]
        if self._container in STRICT and target.type == "audio":
            self._rising.setdefault(packet.stream_index, Rising()).move(packet, target)
        packet.stream = target
        self._output.mux(packet)

    def _fill(self, number: int, packet: Any) -> None:
        filled = self._fillers[number]
        time = packet.pts if packet.pts is not None else packet.dts
        data = filled.take(bytes(packet), time * packet.time_base)
        if filled.seconds is None and len(data) == packet.size:  # there was nothing to fill
            packet.stream = self._streams[number]
            self._output.mux(packet)
            return
        self._write_samples(number, filled.done - len(data) // filled.block, data)

    def _write_samples(self, number: int, place: int, data: bytes) -> None:
        """PCM, second by second: a muxer takes no packet of any length."""
        filled = self._fillers[number]
        step = filled.rate * filled.block
        place += round(filled.begin * filled.rate)
        for start in range(0, len(data), step):
            packet = av.Packet(data[start : start + step])
            packet.stream, packet.time_base = self._streams[number], Fraction(1, filled.rate)
            packet.pts = packet.dts = place + start // filled.block
            packet.duration = packet.size // filled.block
            self._output.mux(packet)

    def _code(self, packet: Any, number: int) -> None:
        """Sound that the container does not take as it is, encoded anew; None at the end."""
        target = self._streams[number]
        if number not in self._coders:
            self._coders[number] = SoundCoder(packet.stream.codec_context, target.codec_context)
        coder = self._coders[number]
        begun = coder.begins is not None
        for coded in coder.code(packet):
            if number in self._fillers:
                self._fill(number, coded)
            else:
                coded.stream = target
                self._output.mux(coded)
        if self._container == "avi" and not begun and coder.begins is not None:
            self.firsts[number] += coder.begins  # the decoder gives less than the packets

    def _rewrite(self, packet: Any, target: Any) -> None:
        subtitle = packet.stream.codec_context.decode2(packet)
        if subtitle is None:
            return
        coded = target.codec_context.encode_subtitle(subtitle)
        coded.stream = target
        coded.pts, coded.dts, coded.duration = packet.pts, packet.dts, packet.duration
        coded.time_base = packet.time_base
        self._output.mux(coded)
