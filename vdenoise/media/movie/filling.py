"""Sound in containers that tell no times of it: silence fills what lacks, or it would move.

MXF's begins and ends with the picture, and what goes beyond is left out: its muxer writes sound
frame by frame and forgets when it began; where sound ends first, it would drop the frames that are
left. AVI and QuickTime tell when PCM begins, and count its samples from there.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

from av.container import InputContainer

from vdenoise.media.inputs import open_input
from vdenoise.media.movie.clock import Clock
from vdenoise.media.movie.packets import StreamPackets, codec_of
from vdenoise.media.movie.sound import SoundCoder, encoder_for

CONTAINER = "mxf"
_COUNTED = ("avi", "mov", "mp4")
_SILENCE = {"pcm_u8": 0x80, "pcm_mulaw": 0xFF, "pcm_alaw": 0xD5}
_SLACK = Fraction(1, 400)  # seconds: times in milliseconds are no gaps


def filled_kind(container: str, stream: Any) -> bool:
    """Whether a stream as it is written is sound that is filled."""
    return (
        container in (CONTAINER, *_COUNTED)
        and stream.type == "audio"
        and codec_of(stream).startswith("pcm_")
    )


def has_holes(sound: StreamPackets) -> bool:
    """Whether there is nothing between two packets of sound, for longer than rounding makes it."""
    ends = (t + d for t, d in zip(sound.times, sound.durations, strict=True) if d)
    gaps = zip(ends, islice(sound.times, 1, None), strict=False)
    return any((then - end) * sound.time_base > _SLACK for end, then in gaps)


@dataclass
class Filler:
    """Sound without a gap: from time 0 to the end of the picture, or from its own first sample to
    its last.

    Args:
        rate: samples a second.
        block: bytes of a sample, all channels together.
        seconds: how long the picture is; None where sound has its own begin and end.
        silence: value of each byte where nothing is heard.
    """

    rate: int
    block: int
    seconds: Fraction | None
    silence: int = 0
    done: int = 0  # samples
    begin: Fraction = Fraction(0)  # seconds

    @property
    def total(self) -> int | None:
        """Samples in all, where the picture decides it."""
        return None if self.seconds is None else int(self.seconds * self.rate + Fraction(1, 2))

    def take(self, data: bytes, time: Fraction) -> bytes:
        """What to write, given the samples that are heard from ``time`` (seconds) on."""
        if self.total is None and not self.done:
            self.begin = time
        at = round((time - self.begin) * self.rate)
        if abs(at - self.done) <= _SLACK * self.rate and self.done:
            at = self.done
        if self.total is None:  # nothing is dropped
            at = max(at, self.done)
        ready = bytes((self.silence,)) * (max(at - self.done, 0) * self.block)
        ready += data[max(self.done - at, 0) * self.block :]
        if self.total is not None:
            ready = ready[: (self.total - self.done) * self.block]
        self.done += len(ready) // self.block
        return ready

    def rest(self) -> bytes:
        """Silence to the end."""
        if self.total is None:
            return b""
        silence = bytes((self.total - self.done) * self.block)
        self.done = self.total
        return silence


def filler(sound: Any, clock: Clock, container: str) -> Filler:
    """What fills PCM beside the frames of a clock.

    Args:
        sound: the stream, or the encoder that makes it.
        clock: of the picture.
        container: that it is written into.
    """
    context = getattr(sound, "codec_context", sound)
    told = re.search(r"\d+", context.name)
    block = context.layout.nb_channels * (int(told[0]) if told else 8) // 8  # A-law, mu-law
    ticks = clock.pts[-1] + clock.durations[-1] - clock.pts[0]
    seconds = ticks * clock.time_base if container == CONTAINER else None
    return Filler(context.sample_rate, block, seconds, _SILENCE.get(context.name, 0))


def checksum(
    path: Path, number: int, clock: Clock, container: str, encoder: str | None = None
) -> int:
    """CRC-32 of all samples that stream ``number`` of a clip comes to beside a picture.

    Args:
        path: the clip.
        number: the stream's.
        clock: of the picture.
        container: that it is written into.
        encoder: what makes it, where it is encoded anew.
    """
    with open_input(path) as source:
        stream = source.streams[number]
        made = stream if encoder is None else encoder_for(stream, encoder, container)
        filled = filler(made, clock, container)
        coder = None if encoder is None else SoundCoder(stream.codec_context, made)
        whole = 0
        for packet in _held(source, stream, clock, coder is not None):
            for coded in [packet] if coder is None else coder.code(packet):
                if coded is not None:
                    time = coded.pts * coded.time_base - clock.shift - clock.begin
                    whole = zlib.crc32(filled.take(bytes(coded), time), whole)
        return zlib.crc32(filled.rest(), whole)


def _held(source: InputContainer, stream: Any, clock: Clock, hidden: bool) -> Iterator[Any]:
    """The packets of the part that is written, with those that are hidden or without, and None for
    their end."""
    for packet in source.demux(stream):
        wanted = packet.size and (hidden or not packet.is_discard) and packet.pts is not None
        if wanted and clock.holds(packet.pts * packet.time_base):
            yield packet
    yield None


def told(name: str, sound: StreamPackets, begin: Fraction, end: Fraction) -> Iterator[str]:
    """What is filled and what goes, for people.

    Args:
        name: of the stream.
        sound: its packets.
        begin: when the picture begins, in the file's seconds.
        end: when it ends.
    """
    if not sound.times:
        return
    first = sound.times[0] * sound.time_base
    last = (sound.times[-1] + sound.durations[-1]) * sound.time_base
    lacks = max(first - begin, Fraction(0)) + max(end - last, Fraction(0))
    beyond = max(begin - first, Fraction(0)) + max(last - end, Fraction(0))
    frame = Fraction(1, 20)  # sound seldom ends with a frame to the sample
    if lacks > frame:
        yield f"{CONTAINER} fills {float(lacks):.2f} s of {name} with silence, beside the picture"
    if beyond > frame:
        yield f"{CONTAINER} cannot keep {float(beyond):.2f} s of {name}, which has no picture"
