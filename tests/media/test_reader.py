"""Frames come under their own number, whichever way they are reached."""

from __future__ import annotations

import io
import os
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from av.bitstream import BitStreamFilterContext

from tests.helpers.clips import MATRIX, Clip, picture, write
from vdenoise.media import inputs as source_module
from vdenoise.media.movie.clock import advanced_timecode
from vdenoise.media.movie.index import scan
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.picture.frame import SourceFrame

GOP = {"g": "8", "keyint_min": "8", "sc_threshold": "0", "bf": "2", "preset": "ultrafast"}
CLIPS = (
    Clip("closed.mp4", frames=40, options=GOP),
    Clip("open.mp4", frames=40, options={**GOP, "x264-params": "open-gop=1"}),
    Clip(
        "open-hevc.mkv",
        codec="libx265",
        frames=40,
        time_base=Fraction(1, 1000),
        options={"preset": "ultrafast", "x265-params": "log-level=none:keyint=8:min-keyint=8"
                 ":open-gop=1:bframes=2:scenecut=0"},
    ),
    Clip("stream.ts", frames=40, options=GOP, time_base=Fraction(1, 90000)),
    Clip("vfr.mp4", frames=40, options=GOP, pts=lambda n: 500 * n + 90 * (n % 3)),
    Clip("intra.mov", codec="prores_ks", format="yuv422p10le", frames=40),
    Clip("mpeg2.mpg", codec="mpeg2video", frames=40, options={"g": "8", "bf": "2"},
         time_base=Fraction(1, 25)),
)  # fmt: skip


def read(path: Path, **options: object) -> list[SourceFrame]:
    with Reader(probe(path), **options) as reader:  # type: ignore[arg-type]
        return list(reader)


def same(a: SourceFrame, b: SourceFrame) -> bool:
    return (a.index, a.pts, a.duration) == (b.index, b.pts, b.duration) and all(
        torch.equal(p, q) for p, q in zip(a.planes, b.planes, strict=True)
    )


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
def test_parts_are_those_of_the_whole(clip: Clip, tmp_path: Path) -> None:
    path = write(clip, tmp_path)
    whole = read(path)
    assert [frame.index for frame in whole] == list(range(40))
    assert len({frame.pts for frame in whole}) == 40
    for first, last in ((0, 0), (5, 9), (8, 8), (15, 17), (23, 25), (24, 32), (39, 39)):
        part = read(path, first=first, last=last)
        assert [frame.index for frame in part] == list(range(first, last + 1))
        assert all(same(a, whole[a.index]) for a in part)


def test_one_thread_reads_what_many_read(tmp_path: Path) -> None:
    path = write(CLIPS[0], tmp_path)
    for a, b in zip(read(path), read(path, threads=1), strict=True):
        assert same(a, b)


def test_timestamps_that_are_missing_are_counted(tmp_path: Path) -> None:
    """A bare H.264 stream has none."""
    path = write(Clip("raw.h264", frames=10, options=GOP), tmp_path)
    info = probe(path)
    assert any("timestamps" in warning for warning in info.warnings)
    frames = read(path)
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.pts * frame.time_base * info.rate for frame in frames] == list(range(10))


def test_an_avi_whose_frames_depend_on_later_ones(tmp_path: Path) -> None:
    """It tells no times; those that FFmpeg makes up are those of decoding, and out of order."""
    path = tmp_path / "b.avi"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=25, options={"bf": "2", "qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([40 + 10 * number]) * plane.buffer_size)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    frames = read(path)
    assert [int(frame.planes[0][0, 0]) for frame in frames] == [40 + 10 * n for n in range(12)]
    assert [frame.pts for frame in frames] == list(range(12))
    assert probe(path).warnings == ()


def test_hidden_frames_of_an_edit_list_do_not_count(tmp_path: Path) -> None:
    """Frames before the first one shown are decoded, not delivered and not numbered."""
    clip = Clip("trimmed.mp4", frames=24, options=GOP, pts=lambda n: 512 * (n - 5))
    path = write(clip, tmp_path)
    index = scan(path)
    frames = read(path)
    assert len(index) == len(frames) < 24 or index.pts[0] < 0
    assert [frame.index for frame in frames] == list(range(len(index)))
    assert [frame.pts for frame in frames] == list(index.pts)


@pytest.mark.parametrize("name", ["interlaced.mov", "interlaced.mkv"])
def test_interlaced_clips_are_known_and_deinterlaced(name: str, tmp_path: Path) -> None:
    path = write(MATRIX[name], tmp_path)
    info = probe(path)
    assert info.interlaced
    whole = read(path)
    with Reader(info, deinterlace=True) as reader:
        assert not reader.info.interlaced
        frames = list(reader)
    assert [(f.index, f.pts, f.duration) for f in frames] == [
        (f.index, f.pts, f.duration) for f in whole
    ]
    kept = 0 if info.field_order[0] == "t" else 1
    for a, b in zip(frames, whole, strict=True):
        assert torch.equal(a.planes[0][kept::2], b.planes[0][kept::2])
        assert not torch.equal(a.planes[0], b.planes[0])
        assert not a.handle.interlaced_frame
    part = list(Reader(info, first=4, last=6, deinterlace=True))
    assert all(same(a, frames[a.index]) for a in part)


def test_full_range_jpeg_formats_keep_their_samples(tmp_path: Path) -> None:
    clip = Clip(
        "motion.mov", codec="mjpeg", format="yuvj422p", tags=(1, 1, 5, 2), options={"qscale": "1"}
    )
    info = probe(write(clip, tmp_path))
    assert (info.source_format, info.format.name) == ("yuvj422p", "yuv422p")
    assert info.full_range
    frames = read(tmp_path / clip.name)
    wanted = picture(clip, 0)[0].astype(float)
    error = frames[0].planes[0].to(torch.float64) - torch.from_numpy(wanted)
    assert error.abs().mean() < 3  # JPEG at its best; another range would be off by 10 and more


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = Clip("clip.y4m", codec="wrapped_avframe", time_base=Fraction(1, 25))
    y4m = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420mpeg2\n" + b"".join(
        b"FRAME\n" + b"".join(plane.tobytes() for plane in picture(clip, n)) for n in range(5)
    )

    class Stdin:
        buffer = io.BytesIO(y4m)

    monkeypatch.setattr(source_module.sys, "stdin", Stdin())
    source_module._spooled.cache_clear()
    info = probe(Path("-"))
    assert (info.container, info.width, info.height, info.frames) == ("yuv4mpegpipe", 64, 48, 5)
    frames = read(Path("-"))
    for frame in frames:
        for plane, wanted in zip(frame.planes, picture(clip, frame.index), strict=True):
            assert torch.equal(plane, torch.from_numpy(wanted))
    source_module._spooled.cache_clear()


def test_who_waits_for_an_index_hears_how_far_it_is(tmp_path: Path) -> None:
    path = write(Clip("in.mkv", codec="ffv1", frames=5), tmp_path)
    size = path.stat().st_size
    heard: list[tuple[int, int]] = []
    probe(path, heard=lambda *read: heard.append(read))
    places = [place for place, _ in heard]
    assert len(heard) == 6 and places == sorted(places) and places[-1] == size
    assert {total for _, total in heard} == {size}
    probe(path, heard=lambda *read: heard.append(read))
    assert len(heard) == 6  # it is known


def test_a_file_that_changes_is_scanned_again(tmp_path: Path) -> None:
    path = write(replace(CLIPS[0], frames=5), tmp_path)
    assert len(scan(path)) == 5
    write(replace(CLIPS[0], frames=7), tmp_path)
    assert len(scan(path)) == 7


@pytest.mark.parametrize(
    ("start", "frames", "rate", "wanted"),
    [
        ("00:00:00:00", 0, Fraction(25), "00:00:00:00"),
        ("01:02:03:04", 25, Fraction(25), "01:02:04:04"),
        ("00:00:59:23", 1, Fraction(24000, 1001), "00:01:00:00"),
        ("00:00:59;29", 1, Fraction(30000, 1001), "00:01:00;02"),
        ("00:09:59;29", 1, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:00;00", 17982, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
        ("00:01:00;02", 1798, Fraction(30000, 1001), "00:02:00;02"),
        ("23:59:59:24", 1, Fraction(25), "00:00:00:00"),
    ],
)
def test_timecode_goes_on(start: str, frames: int, rate: Fraction, wanted: str) -> None:
    assert advanced_timecode(start, frames, rate) == wanted


def test_what_a_shell_makes_of_a_command_is_read(tmp_path: Path) -> None:
    """``<(cat clip)`` is a pipe with a name: it is kept, because a clip is read more than once."""
    source = write(Clip("plain.mkv", options={"preset": "ultrafast"}), tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    feed = threading.Thread(target=lambda: pipe.write_bytes(source.read_bytes()))
    feed.start()
    frames = read(pipe)
    feed.join()
    assert len(frames) == len(read(source))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_what_is_cropped_at_the_left_is_not_shown(codec: str, tmp_path: Path) -> None:
    """FFmpeg shows it unless it is told that frames may begin anywhere in memory."""
    name = {"libx264": "h264", "libx265": "hevc"}[codec]
    quiet = {"preset": "ultrafast"} | ({"x265-params": "log-level=none"} if name == "hevc" else {})
    clip = Clip(f"plain.{name}", codec=codec, frames=8, size=(128, 96), options=quiet)
    path, found = tmp_path / f"in.{name}", b""
    with av.open(str(write(clip, tmp_path))) as source:
        stream = source.streams.video[0]
        crop = BitStreamFilterContext(f"{name}_metadata=crop_left=6:crop_top=2", stream)
        for packet in source.demux(stream):
            if packet.size:
                found += b"".join(map(bytes, crop.filter(packet)))
    path.write_bytes(found)
    whole, cropped = probe(tmp_path / clip.name), probe(path)
    assert (cropped.width, cropped.height) == (122, 94)
    with Reader(whole) as before, Reader(cropped) as after:
        for a, b in zip(before, after, strict=True):
            assert torch.equal(a.planes[0][2:, 6:], b.planes[0])
            assert torch.equal(a.planes[1][1:, 3:], b.planes[1])
