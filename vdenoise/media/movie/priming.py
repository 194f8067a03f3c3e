"""What a coder of sound needs to get going: packets that are decoded and not heard.

Each packet of AAC and its like is decoded with the one before: without what a QuickTime edit list
hides in front of the first that is heard, that one fades in. Matroska tells such packets by its
CodecDelay (RFC 9559, 5.1.4.1.25), which FFmpeg writes for sound that it coded itself.
"""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from vdenoise.media.movie.demuxers import kinds_of, open_demuxer
from vdenoise.media.movie.memory_files import MemoryFile
from vdenoise.media.movie.packets import codec_of

_OVERLAPPING = ("aac", "mp3", "ac3", "eac3")
_ENCODERS = {"aac": "aac", "mp3": "libmp3lame"}  # that tell a CodecDelay of four bytes
_NEEDED = 2  # packets in front of the first one that is heard
_DELAY = b"\x56\xaa\x84"  # CodecDelay, of four bytes: nanoseconds
_TYPES = {"flt": np.float32, "s16": np.int16, "s32": np.int32}


@dataclass(frozen=True)
class Priming:
    """The hidden packets in front of the first that is heard, as far as they are needed.

    Args:
        begin: decoding time of the first of them, in ticks.
        seconds: from there to the first sample that is heard.
    """

    begin: int
    seconds: Fraction


def priming(stream: Any) -> Priming | None:
    """The packets that a QuickTime edit list hides at the beginning of a sound stream; None where
    it hides none, or where packets need no others.

    Raises:
        av.FFmpegError: the movie cannot be read again.
    """
    context = stream.codec_context
    kinds = kinds_of(stream.container)
    if "mov" not in kinds or context is None or codec_of(stream) not in _OVERLAPPING:
        return None
    hidden: list[int] = []
    heard: int | None = None  # when the first sample is
    with open_demuxer(stream.container.name) as again:
        for packet in again.demux(again.streams[stream.index]):
            if packet.dts is None:
                continue
            if not packet.is_discard:
                break
            hidden.append(packet.dts)
            if len(hidden) == 1 and packet.has_sidedata("skip_samples"):
                told = bytes(packet.get_sidedata("skip_samples"))
                cut = Fraction(struct.unpack_from("<I", told)[0], context.sample_rate)
                heard = packet.dts + round(cut / packet.time_base)
        else:
            return None
    if not hidden:
        return None
    begin = hidden[-_NEEDED:][0]
    heard = packet.dts if heard is None else heard
    return Priming(begin, (heard - begin) * packet.time_base)


def delayed(stream: Any, seconds: Fraction) -> Any | None:
    """A stream of the same codec whose first ``seconds`` are not to be heard, as a template for
    Matroska; None where there is no encoder for such."""
    context, memory = stream.codec_context, MemoryFile()
    name = _ENCODERS.get(codec_of(stream))
    if name is None:
        return None
    with contextlib.suppress(av.FFmpegError, ValueError):
        with av.open(memory, "w", format="matroska") as made:
            sound: Any = made.add_stream(name, rate=context.sample_rate, layout=context.layout.name)
            coder = sound.codec_context
            coder.open()
            kind, channels = coder.format.name, coder.layout.nb_channels
            rows = channels if coder.format.is_planar else 1
            shape = (rows, channels * coder.frame_size // rows)
            silent = np.zeros(shape, _TYPES[kind.removesuffix("p")])
            frame = av.AudioFrame.from_ndarray(silent, kind, context.layout.name)
            frame.sample_rate, frame.pts = context.sample_rate, 0
            made.mux([*sound.encode(frame), *sound.encode(None)])
        data = memory.getvalue()
        at = data.find(_DELAY)
        if at < 0:
            return None
        memory.seek(at + len(_DELAY))
        memory.write(struct.pack(">I", round(seconds * 10**9)))
        memory.seek(0)
        return av.open(memory).streams.audio[0]
    return None
