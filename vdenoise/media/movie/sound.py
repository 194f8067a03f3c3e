"""Sound that a container does not take as it is: decoded, and encoded anew."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.container import OutputContainer

from vdenoise.media.movie.clock import SampleClock
from vdenoise.media.movie.memory_files import NullFile
from vdenoise.media.movie.metadata import stream_metadata
from vdenoise.media.movie.packets import codec_of

OPUS = "libopus"
_NONE = ("mpegts", "yuv4mpegpipe")  # what they could be given is not rewritten
_RATE = {"webm": 48000, "mxf": 48000}  # samples a second, where only one will do
# What a decoder gives, and the PCM that holds it to the bit; in MXF, which has neither float nor
# 32 bits, to 24 of them.
_PCM = {"u8": "pcm_s16le", "s16": "pcm_s16le", "s32": "pcm_s32le", "flt": "pcm_f32le"}
_PCM_24 = "pcm_s24le"
_MORE_THAN_24 = ("pcm_f", "pcm_s32", "pcm_s64")
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
# Opus has one order of speakers for each count; those at the sides stand where those behind do.
_OPUS_LAYOUTS = {
    **{name: name for name in ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")},
    **{f"{name}(side)": name for name in ("quad", "5.0", "5.1")},
}


def sound_for(stream: Any, container: str) -> str | None:
    """The encoder for sound that a container does not take as it is: PCM that holds what it
    decodes to, in WebM Opus; None where neither goes."""
    context = stream.codec_context
    if container in _NONE or context is None:  # of no known codec
        return None
    if not context.sample_rate or context.format is None:
        return None
    if container == "webm":
        return OPUS if _layout(stream, OPUS) else None
    encoder = _PCM.get(context.format.packed.name)
    if container == "mxf":
        return _PCM_24 if encoder in ("pcm_s32le", "pcm_f32le") else encoder
    with av.open(NullFile(), "w", format=container) as output:
        return encoder if encoder in output.supported_codecs else None


def told_anew(stream: Any, encoder: str, container: str) -> str:
    """What is to be said of sound that is not the same when it is decoded, for people; empty where
    it is."""
    if encoder == OPUS:
        return "Opus, encoded anew"
    rate = stream.codec_context.sample_rate
    if rate != _RATE.get(container, rate):
        return f"PCM of {_RATE[container] // 1000} kHz, resampled"
    more = encoder == _PCM_24 and codec_of(stream).startswith(_MORE_THAN_24)
    return "PCM of 24 bits" if more else ""


def lost_speakers(source: Any, output: Any) -> str:
    """Where the channels of a sound stream are to be heard, by FFmpeg's name, if its copy no longer
    says that and means something else; empty where it does. Beside and behind are taken for one.

    Args:
        source: the stream.
        output: its copy.
    """
    told, there = (str(stream.codec_context.layout.name) for stream in (source, output))
    if there.endswith("channels"):
        there = _LAYOUTS.get(output.codec_context.layout.nb_channels, there)
    same = told.removesuffix("(side)") == there.removesuffix("(side)")
    return "" if same or told.endswith("channels") else told


def add_sound(output: OutputContainer, stream: Any, encoder: str) -> Any:
    """Add a sound stream that is decoded and encoded anew; see `sound_for`."""
    rate = _RATE.get(output.format.name, stream.codec_context.sample_rate)
    sound: Any = output.add_stream(encoder, rate=rate, layout=_layout(stream, encoder))
    sound.metadata.update(stream_metadata(stream, output.format.name))
    sound.disposition = stream.disposition
    return sound


def encoder_for(stream: Any, encoder: str, container: str) -> Any:
    """The encoder of `add_sound` alone, without an output."""
    context: Any = av.CodecContext.create(encoder, "w")
    context.sample_rate = _RATE.get(container, stream.codec_context.sample_rate)
    context.layout = _layout(stream, encoder)
    context.format = context.codec.audio_formats[0]
    return context


def _layout(stream: Any, encoder: str) -> str:
    """The speakers of what is written; empty where an encoder has no such."""
    layout = stream.codec_context.layout
    name = str(layout.name)
    if name.endswith("channels"):  # MP4 holds only named ones: FFmpeg's names for as many
        name = _LAYOUTS.get(layout.nb_channels, name)
    return _OPUS_LAYOUTS.get(name, "") if encoder == OPUS else name


class SoundCoder:
    """Decodes packets of sound and encodes what they hold.

    Args:
        decoder: of the packets.
        encoder: opened or not; its rate, layout and format are what is made.
    """

    def __init__(self, decoder: Any, encoder: Any) -> None:
        self._decoder, self._encoder = decoder, encoder
        self._packer = AudioResampler(encoder.format.name, encoder.layout.name, encoder.sample_rate)
        self._clock: SampleClock | None = None
        self.begins: Fraction | None = None  # seconds at which the first sample is heard

    def code(self, packet: Any | None) -> Iterator[Any]:
        """Packets of what a packet holds; None for the end."""
        for frame in self._decoder.decode(packet):
            if self._clock is None:
                self._clock = SampleClock(frame.time_base)
            told = None if frame.pts is None else frame.pts * frame.time_base
            rate = frame.sample_rate
            at = self._clock.place(told, Fraction(frame.samples, rate))
            self.begins = at if self.begins is None else self.begins
            frame.time_base, frame.pts = Fraction(1, rate), round(at * rate)
            for packed in self._packer.resample(frame):
                yield from self._encoder.encode(packed)
        if packet is None:
            for packed in self._packer.resample(None):  # what a change of the rate holds back
                yield from self._encoder.encode(packed)
            yield from self._encoder.encode(None)
