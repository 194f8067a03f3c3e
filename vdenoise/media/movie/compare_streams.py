"""Whether the streams beside the picture are in an output as they were in its source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vdenoise.media.movie.clock import CONSTANT_RATE_CONTAINERS, Clock
from vdenoise.media.movie.copier import HIDES
from vdenoise.media.movie.demuxers import open_demuxer
from vdenoise.media.movie.packets import StreamPackets, heard, same_codec

_HEARD_MS = 1  # less is rounding


@dataclass(frozen=True)
class Begin:
    """When a file shows its first frame, and how finely it tells the time of frames."""

    seconds: Fraction
    tick: Fraction


def decoder_lag(path: Path, number: int, clock: Clock) -> Fraction:
    """Seconds from the first packet of a sound stream to the first sample that is decoded: what
    some codecs, such as Windows Media's, need to get going is not heard.

    Args:
        path: of the movie.
        number: the stream's.
        clock: the part that is written.
    """
    begin: Fraction | None = None
    with open_demuxer(path) as container:
        for packet in container.demux(container.streams[number]):
            time = packet.dts if packet.dts is not None else packet.pts
            if packet.size and time is None:
                continue
            if time is not None and packet.size:
                seconds = time * packet.time_base
                if not clock.holds(seconds):
                    continue
                begin = seconds if begin is None and not packet.is_discard else begin
            frame: Any
            for frame in packet.decode():
                if frame.pts is None or frame.time_base is None or begin is None:
                    return Fraction(0)
                return max(Fraction(frame.pts * frame.time_base) - begin, Fraction(0))
    return Fraction(0)


def lost_cut(source: StreamPackets, output: StreamPackets, clock: Clock, rate: int) -> str:
    """What a copy of sound no longer says is not to be heard, for people: ``cut of 23 ms at the
    beginning and 7 ms at the end``. Encoders fill their first and last packets, and not every
    container can tell where the sound itself begins and ends.

    Args:
        source: the sound.
        output: its copy.
        clock: the part that was written.
        rate: samples a second.
    """
    part = [n for n, time in enumerate(source.times) if clock.holds(time * source.time_base)]
    told = [source.cuts.get(n, (0, 0)) for n in part]
    kept = list(output.cuts.values())
    lost = [
        max(sum(cut[end] for cut in told) - sum(cut[end] for cut in kept), 0) * 1000 / rate
        for end in (0, 1)
    ]
    places = zip(lost, ("beginning", "end"), strict=True)
    words = [f"{ms:.0f} ms at the {place}" for ms, place in places if ms > _HEARD_MS]
    return f"cut of {' and '.join(words)}" if words else ""


def differences(
    name: str,
    source: StreamPackets,
    output: StreamPackets,
    clock: Clock,
    shown: Begin,
    container: str,
    *,
    rewritten: bool,
    lag: Fraction = Fraction(0),
) -> Iterator[str]:
    """What differs between a stream and its copy, each a clause without a full stop.

    Times are compared with the picture's: a container may move a whole file.

    Args:
        name: of the stream, for people.
        source: its packets.
        output: those of its copy.
        clock: the part that was written, and its times.
        shown: when the output's picture begins.
        container: FFmpeg muxer.
        rewritten: the packets are coded anew; only their times are compared.
        lag: of rewritten sound, see `decoder_lag`.
    """
    base = source.time_base
    part = [n for n in range(len(source.times)) if clock.holds(source.times[n] * base)]
    whole = len(part) == len(source.times)
    if container == "matroska" and source.hidden and len(output.times) > len(part):
        output = heard(output)  # what gets the first packet going
    if container in HIDES and output.hidden > source.hidden:
        # What is to be heard before time 0 is what a decoder needs to get going: an edit list
        # hides it there.
        ready = [n for n in part if source.times[n] + source.durations[n] > 0]
        if len(part) - len(ready) == output.hidden - source.hidden:
            part, whole = ready, False
    if not part or not output.times:
        if bool(part) != bool(output.times):
            yield f"{name}: {len(part)} packets became {len(output.times)}"
        return
    told = source.kind in ("audio", "subtitle", "video") and source.codec
    if told and not rewritten and not same_codec(source.codec, output.codec):
        yield f"{name}: its codec is read as {output.codec or 'an unknown one'}"
    same_cuts = len(part) == len(output.times)
    if source.codec.startswith("pcm_"):  # as many packets need not be the same ones
        lengths = [source.durations[n] * base for n in part]
        same_cuts &= lengths == [ticks * output.time_base for ticks in output.durations]
    if not rewritten:
        if same_cuts:
            wrong = sum(source.checks[n] != output.checks[k] for k, n in enumerate(part))
            framed = source.codec in ("h264", "hevc")  # start codes or lengths, as containers want
            if wrong and not framed and not (whole and source.whole == output.whole):
                yield f"{name}: {wrong} of its {len(part)} packets changed"
        elif not source.codec.startswith("pcm_"):
            yield f"{name}: {len(part)} packets became {len(output.times)}"
        elif whole and source.whole != output.whole:
            yield f"{name}: its samples changed"
    elif not same_cuts and source.kind != "audio":
        yield f"{name}: {len(part)} packets became {len(output.times)}"
        return
    allowed = float(base + output.time_base)
    if container not in CONSTANT_RATE_CONTAINERS:
        allowed += float(shown.tick + clock.time_base)
    longest = max(float(max(of.durations) * of.time_base) for of in (source, output))
    if rewritten and source.kind == "audio":
        # Some decoders give nothing for the first packet, and what an encoder such as Opus needs
        # to get going stands before the first sample.
        allowed += longest
    zero = float(clock.begin + clock.shift), float(shown.seconds)
    pairs = enumerate(part) if same_cuts else [(0, part[0])]
    off = max(
        abs((output.seconds(k) - zero[1]) - (source.seconds(n) + float(lag) - zero[0]))
        for k, n in pairs
    )
    if off > allowed:
        yield f"{name}: its times are off by up to {off * 1000:.1f} ms"
    elif source.kind == "audio" and not same_cuts:  # a hole that was closed shows at the end
        last = part[-1]
        end = source.seconds(last) + float(source.durations[last] * base) - zero[0]
        early = end - (output.end - zero[1])
        if early > allowed + longest:
            yield f"{name}: it ends {early * 1000:.1f} ms early"
