"""Covers, words and the picture's own rate, shape and gaps: kept, or named before the start."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.stream import Disposition

from tests.helpers.clips import Clip, frame_of, write
from tests.media.test_roundtrip import pass_through
from vdenoise.media.movie.index import scan
from vdenoise.media.movie.rehearsal import rehearse
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe

H264 = Clip("in.mkv", frames=4, options={"preset": "ultrafast", "bf": "0"})
FFV1 = Clip("in.mkv", codec="ffv1", frames=4)


def said(source: Path, target: str) -> tuple[str, ...]:
    """What is said before the start."""
    info = probe(source)
    settings = choose(info, Path(target))
    return (*settings.notes, *rehearse(info, settings, 0, (info.frames or 1) - 1))


# -- covers ----------------------------------------------------------------------------------------


def cover_file(codec: str, layout: str) -> bytes:
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = 32, 32, layout
    context.time_base = Fraction(1, 25)
    frame = av.VideoFrame(32, 32, layout)
    for plane in frame.planes:
        plane.update(bytes(range(256)) * (plane.buffer_size // 256))
    return b"".join(bytes(p) for p in [*context.encode(frame), *context.encode(None)])


def with_cover(folder: Path, suffix: str, codec: str, layout: str) -> tuple[Path, bytes]:
    path, cover = folder / f"in.{suffix}", cover_file(codec, layout)
    kind = {"mjpeg": "jpeg", "png": "png"}[codec]
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream("libx264", rate=25, options=H264.options)
        video.width, video.height, video.pix_fmt = *H264.size, "yuv420p"
        picture: Any = None
        if suffix == "mkv":
            output.add_attachment(f"cover.{kind}", f"image/{kind}", cover)
        else:
            picture = output.add_stream(codec)
            picture.width, picture.height, picture.pix_fmt = 32, 32, layout
            picture.disposition = Disposition.attached_pic
        for number in range(H264.frames):
            frame = frame_of(H264, number)
            frame.pts = number
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if picture is not None:
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts, packet.time_base = picture, 0, 0, Fraction(1, 25)
            output.mux(packet)
    return path, cover


def covers(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        marked = [s for s in container.streams if s.disposition & Disposition.attached_pic]
        assert len(container.streams) == 1 + len(marked), "a cover is no further movie"
        return [bytes(p) for p in container.demux(marked) if p.size] if marked else []


@pytest.mark.parametrize(("codec", "layout"), [("mjpeg", "yuvj420p"), ("png", "rgb24")])
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_cover_stays_one_or_is_named(
    suffix: str, codec: str, layout: str, tmp_path: Path
) -> None:
    source, cover = with_cover(tmp_path, suffix, codec, layout)
    assert covers(source) == [cover]
    for target in ("out.mkv", "out.mp4"):
        assert not any("left out" in note for note in said(source, target))
        pass_through(source, tmp_path / target)
        assert covers(tmp_path / target) == [cover]
    for target in ("out.mov", "out.webm", "out.ts", "out.avi"):
        assert any(f"({codec}), which is left out" in note for note in said(source, target)), target
    pass_through(source, tmp_path / "out.mov")
    assert covers(tmp_path / "out.mov") == []


# -- words -----------------------------------------------------------------------------------------


def described(folder: Path) -> Path:
    clip = replace(H264, metadata={"title": "Füße", "SCENE": "14B"}, audio=("ger",))
    source, path = write(clip, folder), folder / "described.mkv"
    with av.open(str(source)) as plain, av.open(str(path), "w") as output:
        copies = [output.add_stream_from_template(stream) for stream in plain.streams]
        output.metadata.update(plain.metadata)
        copies[0].metadata["ROLL"] = "A012"
        copies[1].metadata["language"] = "ger"
        copies[1].disposition = Disposition.default | Disposition.comment
        for packet in plain.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    return path


@pytest.mark.parametrize(
    ("target", "lost"),
    [
        ("out.mkv", ()),
        ("out.mp4", ("ROLL of video stream 0 (h264)",)),
        ("out.ts", ("SCENE", "ROLL of video", "mark 'comment' of audio stream 1")),
    ],
)
def test_words_that_a_container_has_no_place_for_are_named(
    target: str, lost: tuple[str, ...], tmp_path: Path
) -> None:
    told = [note for note in said(described(tmp_path), target) if "cannot keep the" in note]
    assert len(told) == bool(lost)
    assert all(word in told[0] for word in lost)


def test_words_longer_than_quicktime_has_room_for_are_kept(tmp_path: Path) -> None:
    source = write(replace(H264, metadata={"comment": "ü" * 40000}), tmp_path)
    pass_through(source, tmp_path / "out.mov")
    with av.open(str(tmp_path / "out.mov")) as container:
        assert container.metadata["comment"] == "ü" * 40000


# -- the picture's own -----------------------------------------------------------------------------


def test_alpha_that_stands_beside_a_picture_goes_only_where_there_is_a_place(
    tmp_path: Path,
) -> None:
    info = probe(write(replace(FFV1, format="yuva420p"), tmp_path))
    assert choose(info, Path("out.webm")).codec == "vp9"
    assert choose(replace(info, codec="vp9"), Path("out.mp4"), codec="ffv1").codec == "ffv1"
    with pytest.raises(Exception, match="vp9: it does not hold"):
        choose(info, Path("out.mp4"), codec="vp9")


@pytest.mark.parametrize("target", ["out.mkv", "out.avi", "out.nut"])
def test_ffv1_tells_the_shape_of_pixels_that_only_a_container_told(
    target: str, tmp_path: Path
) -> None:
    clip = Clip("in.mov", codec="prores_ks", format="yuv422p10le", frames=2)
    source = write(replace(clip, aspect=Fraction(64, 45)), tmp_path)
    assert pass_through(source, tmp_path / target, codec="ffv1").sample_aspect_ratio == (
        Fraction(64, 45)
    )


def test_h264_tells_the_rate_of_its_frames_and_not_of_its_ticks(tmp_path: Path) -> None:
    source = write(replace(H264, rate=Fraction(30000, 1001)), tmp_path)
    pass_through(source, tmp_path / "out.mp4")
    bare = io.BytesIO()
    with av.open(str(tmp_path / "out.mp4")) as movie, av.open(bare, "w", format="h264") as output:
        copy = output.add_stream_from_template(movie.streams.video[0])
        for packet in movie.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                output.mux(packet)
    bare.seek(0)
    with av.open(bare, "r", format="h264") as raw:
        next(raw.decode(video=0))
        assert raw.streams.video[0].codec_context.framerate == Fraction(30000, 1001)


def test_what_says_that_its_frames_are_whole_says_it_again(tmp_path: Path) -> None:
    clip = Clip("in.mov", codec="prores_ks", format="yuv422p10le", frames=2)
    source, orders = write(clip, tmp_path), []
    pass_through(source, tmp_path / "silent.mov")
    pass_through(write(H264, tmp_path), tmp_path / "said.mov", codec="prores")
    for name in ("in.mov", "silent.mov", "said.mov"):
        with av.open(str(tmp_path / name)) as container:
            orders.append(int(container.streams.video[0].codec_context.field_order))
    assert orders[:2] == [orders[0]] * 2
    assert orders[2] == 1


def test_frames_that_an_avi_left_out_stay_left_out(tmp_path: Path) -> None:
    source, gone = tmp_path / "in.avi", {1, 5, 6}
    clip = replace(FFV1, frames=12)
    with av.open(str(source), "w") as output:
        video: Any = output.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = *clip.size, "yuv420p"
        for number in sorted(set(range(clip.frames)) - gone):
            frame = frame_of(clip, number)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    shown = scan(source)
    assert shown.pts == tuple(n for n in range(12) if n not in gone)
    assert (shown.rate, shown.variable_rate) == (Fraction(25), True)
    pass_through(source, tmp_path / "out.avi")
    assert scan(tmp_path / "out.avi").pts == shown.pts
    pass_through(source, tmp_path / "out.mkv")
    assert [pts / 40 for pts in scan(tmp_path / "out.mkv").pts] == list(shown.pts)
    pass_through(source, tmp_path / "part.avi", first=2, last=4)  # at 3, 4 and 7
    assert scan(tmp_path / "part.avi").pts == (0, 1, 4)
    for target in ("out.mxf", "out.y4m"):  # they hold every frame
        with pytest.raises(Exception, match="variable frame rate"):
            choose(probe(source), Path(target))


@pytest.mark.parametrize(("target", "lost"), [("out.avi", True), ("out.mov", False)])
def test_a_language_without_a_place_is_named(target: str, lost: bool, tmp_path: Path) -> None:
    source = write(replace(H264, audio=("deu",)), tmp_path)
    found = [note for note in said(source, target) if "language of audio stream 1" in note]
    assert bool(found) == lost
