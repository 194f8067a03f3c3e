"""A file that was cut, or has lost something inside, is said to be so, whatever its container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.helpers.clips import Clip, frame_of, write
from tests.media.test_copied_streams import transport_stream
from vdenoise import cli
from vdenoise.errors import InputError
from vdenoise.media.movie.index import scan
from vdenoise.media.movie.transport import continuity
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader

PICTURE, SOUND = 256, 257
Packets = list[bytes]


def split(path: Path) -> Packets:
    data = path.read_bytes()
    return [data[at : at + 188] for at in range(0, len(data), 188)]


def places(packets: Packets, pid: int) -> list[int]:
    """Numbers of a stream's packets."""
    return [n for n, p in enumerate(packets) if (p[1] & 0x1F) << 8 | p[2] == pid]


def inside(packets: Packets, pid: int) -> int:
    """A packet in the middle of a stream whose next one begins nothing."""
    own = places(packets, pid)
    pairs = zip(own[len(own) // 2 :], own[len(own) // 2 + 1 :], strict=False)
    return next(a for a, b in pairs if not packets[b][1] & 0x40)


def without_one_of_the_picture(packets: Packets) -> Packets:
    lost = inside(packets, PICTURE)
    return packets[:lost] + packets[lost + 1 :]


def without_one_of_the_sound(packets: Packets) -> Packets:
    lost = inside(packets, SOUND)
    return packets[:lost] + packets[lost + 1 :]


def one_marked_as_damaged(packets: Packets) -> Packets:
    at = inside(packets, SOUND)
    marked = bytes([packets[at][0], packets[at][1] | 0x80]) + packets[at][2:]
    return [*packets[:at], marked, *packets[at + 1 :]]


def bytes_that_are_no_packet(packets: Packets) -> Packets:
    return [*packets[:60], bytes(300), *packets[60:]]


def no_end_of_the_sound(packets: Packets) -> Packets:
    return packets[: places(packets, SOUND)[-1]]


def a_part_of_a_packet(packets: Packets) -> Packets:
    return [*packets[:-1], packets[-1][:100]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return transport_stream(tmp_path_factory.mktemp("ts"), "mp2")


@pytest.mark.parametrize(
    "harm",
    [
        without_one_of_the_picture,
        without_one_of_the_sound,
        one_marked_as_damaged,
        bytes_that_are_no_packet,
        no_end_of_the_sound,
        a_part_of_a_packet,
    ],
)
def test_a_transport_stream_that_lost_packets_is_refused(
    harm: Callable[[Packets], Packets], whole: Path, tmp_path: Path
) -> None:
    path = tmp_path / "harmed.ts"
    path.write_bytes(b"".join(harm(split(whole))))
    info = probe(path)
    assert any("cut short" in warning for warning in info.warnings)
    with pytest.raises(InputError, match="cut short"), Reader(info):
        pass
    with Reader(info, on_bad_frame="repeat") as reader:
        assert len(list(reader)) == info.frames


def sent_twice(packets: Packets) -> Packets:
    """Which the standard allows."""
    at = inside(packets, PICTURE)
    return [*packets[:at], packets[at], *packets[at:]]


def with_times(packets: Packets) -> Packets:
    """As cameras of the AVCHD kind store it: four bytes before each packet."""
    return [b"\0\0\1\2" + packet for packet in packets]


@pytest.mark.parametrize("harmless", [lambda packets: packets, sent_twice, with_times])
def test_a_whole_transport_stream_is_not_said_to_be_cut(
    harmless: Callable[[Packets], Packets], whole: Path, tmp_path: Path
) -> None:
    path = tmp_path / "whole.ts"
    path.write_bytes(b"".join(harmless(split(whole))))
    assert continuity([path], {PICTURE, SOUND}) == continuity([whole], set())
    assert probe(path).warnings == ()


def test_two_streams_that_were_joined_are_read_and_named(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "joined.ts"
    path.write_bytes(whole.read_bytes() * 2)
    info = probe(path)
    assert any("joined there" in warning for warning in info.warnings)
    with Reader(info) as reader:
        assert len(list(reader)) == info.frames == 50


KINDS: dict[str, tuple[str, str]] = {
    "flv": ("flv1", "yuv420p"),
    "ivf": ("libvpx", "yuv420p"),
    "ogg": ("libtheora", "yuv420p"),
    "asf": ("wmv2", "yuv420p"),
    "nut": ("ffv1", "yuv420p"),
    "gif": ("gif", "gray"),
    "yuv4mpegpipe": ("rawvideo", "yuv420p"),
    "mxf": ("mpeg2video", "yuv420p"),
    "avi": ("mjpeg", "yuvj420p"),
}


def written(kind: str, folder: Path) -> Path:
    codec, layout = KINDS[kind]
    path = folder / f"in.{ {'yuv4mpegpipe': 'y4m'}.get(kind, kind) }"
    clip = Clip("x", format=layout.replace("yuvj", "yuv"), frames=30)
    with av.open(str(path), "w", format=kind) as output:
        stream: Any = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *clip.size, layout
        for number in range(clip.frames):
            frame = frame_of(clip, number)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if k != "ogg" or "libtheora" in av.codecs_available]
)
def test_a_clip_that_was_cut_ends_in_an_error(kind: str, tmp_path: Path) -> None:
    path = written(kind, tmp_path)
    info = probe(path)
    with Reader(info) as reader:
        assert len(list(reader)) == info.frames == 30
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 5])
    with pytest.raises(InputError), Reader(probe(path)) as reader:
        list(reader)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_nut_that_was_cut_anywhere_is_known_to_be(share: float, tmp_path: Path) -> None:
    """FFmpeg reads half a packet as if it were whole; what it writes ends with an index."""
    path = written("nut", tmp_path)
    data = path.read_bytes()
    assert not scan(path).truncated
    path.write_bytes(data[: int(len(data) * share)])
    assert scan(path).truncated == "its end is missing"
    path.write_bytes(data[:-1])
    assert scan(path).truncated == "its end is missing"


@pytest.mark.parametrize("known", [True, False])
def test_a_dry_run_says_of_a_clip_that_was_cut_short_what_a_run_does(
    known: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the noise is given, and nothing is read before the start."""
    whole = write(Clip("whole.mkv", frames=12), tmp_path)
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole.read_bytes()[:-300])
    said = []
    given = ("--sigma", "3", "--cuts", "off") if known else ()
    for more in (("--dry-run",), ()):
        command = ("run", str(path), "-o", str(tmp_path / "out.mkv"), *given, *more)
        assert cli.status(command) == 3
        said.append(" ".join(capsys.readouterr().err.split()))
        assert "was cut short" in said[-1] and "--on-bad-frame repeat" in said[-1]
    assert not (tmp_path / "out.mkv").exists()
    command = (*command, "--on-bad-frame", "repeat", "--dry-run")
    assert cli.status(command) == 0


def test_a_last_packet_that_only_tells_of_sound_cuts_nothing_short(tmp_path: Path) -> None:
    """FLAC's encoder tells the sum of all samples at its end, in a packet without any."""
    path = tmp_path / "in.nut"
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = output.add_stream("flac", rate=48000)
        sound.codec_context.layout, sound.codec_context.format = "mono", "s16"
        for number in range(5):
            frame = frame_of(Clip("x"), number)
            frame.pts = number
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        silence = np.zeros((1, 9600), np.int16)
        heard = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
        heard.sample_rate, heard.pts = 48000, 0
        packets = [*sound.encode(heard), *sound.encode(None)]
        assert not packets[-1].size
        output.mux(packets)
    assert probe(path).warnings == ()
