"""Subtitles that are no text: Blu-ray's (PGS), and those of broadcasts (DVB, teletext)."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.helpers.clips import Clip, frame_of
from tests.media.test_roundtrip import pass_through
from tests.media.test_words_and_covers import said

_CLIP = Clip("x", frames=12)
_TIMES = (Fraction(2, 25), Fraction(5, 25), Fraction(7, 25), Fraction(10, 25))


def _segment(kind: int, body: bytes) -> bytes:
    return struct.pack(">BH", kind, len(body)) + body


def _screen(number: int, *, shown: bool) -> list[bytes]:
    """The segments of one picture on the screen, or of none."""
    size = struct.pack(">HHBHBBBB", 1920, 1080, 0x10, number, 0x80 * shown, 0, 0, shown)
    place = struct.pack(">HBBHH", 0, 0, 0, 100, 900) if shown else b""
    window = _segment(0x17, struct.pack(">BBHHHH", 1, 0, 100, 900, 8, 4))
    lines = (b"\1" * 8 + b"\0\0") * 4
    drawn = b"\0\0\0\xc0" + (len(lines) + 4).to_bytes(3, "big") + struct.pack(">HH", 8, 4) + lines
    palette = _segment(0x14, bytes((0, 0, 1, 235, 128, 128, 255)))
    inside = [palette, _segment(0x15, drawn)] if shown else []
    return [_segment(0x16, size + place), window, *inside, _segment(0x80, b"")]


def _template(folder: Path, name: str, codec: str) -> Any:
    """A stream of a codec that FFmpeg has no encoder for: a file of its own kind tells it."""
    path = folder / name
    rows = [
        (round(t * 90000), s) for n, t in enumerate(_TIMES) for s in _screen(n, shown=not n % 2)
    ]
    path.write_bytes(b"".join(b"PG" + struct.pack(">II", t, 0) + s for t, s in rows))
    stream = av.open(str(path)).streams[0]
    assert stream.codec_context.codec.canonical_name == codec
    return stream


def with_pgs(folder: Path, name: str) -> Path:
    path = folder / name
    options = {"mpegts_m2ts_mode": "1"} if path.suffix == ".m2ts" else {}
    with av.open(str(path), "w", container_options=options) as output:
        video: Any = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = *_CLIP.size, "yuv420p"
        text = output.add_stream_from_template(_template(folder, "in.sup", "hdmv_pgs_subtitle"))
        output.start_encoding()
        times = list(enumerate(_TIMES))
        for number in range(_CLIP.frames):
            frame = frame_of(_CLIP, number)
            frame.pts = number
            output.mux(video.encode(frame))
            while times and times[0][1] <= Fraction(number, 25):
                n, time = times.pop(0)
                for at, segment in enumerate(_screen(n, shown=not n % 2)):
                    packet = av.Packet(segment)
                    packet.stream, packet.time_base = text, Fraction(1, 90000)
                    packet.pts = packet.dts = round(time * 90000) + at
                    output.mux(packet)
        output.mux(video.encode(None))
    return path


def texts(path: Path) -> tuple[str, bytes]:
    with av.open(str(path)) as container:
        stream = container.streams[1]
        data = b"".join(bytes(p) for p in container.demux(stream) if p.size)
        return stream.codec_context.codec.canonical_name, data


@pytest.mark.parametrize("target", ["out.m2ts", "out.mkv"])
@pytest.mark.parametrize("source", ["in.m2ts", "in.mkv"])
def test_pgs_goes_where_it_has_a_place(source: str, target: str, tmp_path: Path) -> None:
    """Matroska holds what belongs to one screen in one packet, M2TS each part in one of its own."""
    clip = with_pgs(tmp_path, source)
    pass_through(clip, tmp_path / target)
    whole = b"".join(b"".join(_screen(n, shown=not n % 2)) for n in range(4))
    assert texts(tmp_path / target) == ("hdmv_pgs_subtitle", whole)
    assert not any("subtitle" in note for note in said(clip, target))


@pytest.mark.parametrize("target", ["out.ts", "out.mp4", "out.mov"])
def test_pgs_is_named_where_it_has_none(target: str, tmp_path: Path) -> None:
    clip = with_pgs(tmp_path, "in.mkv")
    assert "subtitle stream 1 (hdmv_pgs_subtitle), which is left out" in " ".join(
        said(clip, target)
    )


def of_a_broadcast(folder: Path, *, teletext: bool) -> Path:
    """A transport stream with DVB subtitles, or with what says that it is teletext."""
    path = folder / "in.ts"
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = *_CLIP.size, "yuv420p"
        text: Any = output.add_stream("dvbsub")
        text.metadata["language"] = "deu"
        for number in range(_CLIP.frames):
            frame = frame_of(_CLIP, number)
            frame.pts = number
            output.mux(video.encode(frame))
            if Fraction(number, 25) in _TIMES:
                page = b"\x0f\x10\0\1\0\2" + bytes((5, number % 16 << 4)) + b"\x0f\x80\0\1\0\0"
                packet = av.Packet(page)
                packet.stream, packet.time_base = text, Fraction(1, 25)
                packet.pts = packet.dts = number
                output.mux(packet)
        output.mux(video.encode(None))
    if teletext:
        path.write_bytes(b"".join(map(_told_as_teletext, _packets(path.read_bytes()))))
    return path


def _packets(data: bytes) -> list[bytes]:
    return [data[at : at + 188] for at in range(0, len(data), 188)]


def _told_as_teletext(packet: bytes) -> bytes:
    """A packet whose table of streams has the descriptor of teletext in the place of DVB's."""
    at = packet.find(b"\x59\x08")
    if at < 0 or packet[5] != 2:
        return packet
    told = packet[:at] + b"\x56\x05deu\x10\0\xfe\1\0" + packet[at + 10 :]
    end = 5 + 3 + (int.from_bytes(told[6:8], "big") & 0xFFF) - 4
    return told[:end] + _crc(told[5:end]).to_bytes(4, "big") + told[end + 4 :]


def _crc(data: bytes) -> int:
    """CRC-32/MPEG-2."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value >> 31 else value << 1) & 0xFFFFFFFF
    return value


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_subtitles_of_a_broadcast_go_over(suffix: str, tmp_path: Path) -> None:
    clip = of_a_broadcast(tmp_path, teletext=False)
    target = tmp_path / f"out.{suffix}"
    pass_through(clip, target)
    assert texts(target) == texts(clip)
    assert texts(target)[0] == "dvb_subtitle"
    with av.open(str(target)) as container:
        assert container.streams[1].metadata["language"] == "deu"


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_what_has_no_decoder_is_left_out_for_that(suffix: str, tmp_path: Path) -> None:
    """Teletext's decoder is not in this FFmpeg, and without one PyAV copies nothing."""
    clip = of_a_broadcast(tmp_path, teletext=True)
    words = "subtitle stream 1 is of a kind that is not read, and is left out"
    assert words in said(clip, f"out.{suffix}")
