"""Whatever is wrong with the input or the output: one sentence, a hint, an exit code, no file."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import pytest
import torch

from tests.helpers.clips import MATRIX, Clip, picture, write
from tests.helpers.copies import copied
from vdenoise.errors import InputError, OutputError, UsageError, VdenoiseError
from vdenoise.media.movie import output as output_module
from vdenoise.media.movie.settings import choose
from vdenoise.media.movie.writer import MovieWriter
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.media.writer import check_target

LONG = Clip("long.mkv", codec="ffv1", frames=24, time_base=MATRIX["vfr.mkv"].time_base)


def assert_clear(error: VdenoiseError, exit_code: int) -> None:
    """One sentence of what happened, one of what to do."""
    assert error.exit_code == exit_code
    assert error.what.endswith(".") and "\n" not in error.what
    assert len(error.hint) > 10 and "\n" not in error.hint


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("not a video\n" * 50)


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 40)


def zero_byte_moov(path: Path) -> None:
    path.write_bytes(b"\0\0\0\x14ftypisom\0\0\2\0isom" + b"\0\0\0\x08moov" + b"\0\0\0\x08mdat")


def cut_before_moov(path: Path) -> None:
    whole = write(MATRIX["plain.mp4"], path.parent)
    path.write_bytes(whole.read_bytes()[:2000])


def audio_only(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts = 48000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def folder(path: Path) -> None:
    path.mkdir()


def missing(path: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "number"),
    [
        (missing, 1),
        (folder, 2),
        (empty, 3),
        (text, 4),
        (noise, 4),
        (zero_byte_moov, 4),
        (cut_before_moov, 4),
        (audio_only, 5),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_is_no_clip_is_refused(
    make: Callable[[Path], None], number: int, tmp_path: Path
) -> None:
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(InputError) as caught:
        probe(path)
    assert_clear(caught.value, 3)
    assert caught.value.number == number
    assert str(path) in caught.value.what


def test_unknown_pixel_formats_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(MATRIX["plain.mp4"], tmp_path)
    monkeypatch.setattr("vdenoise.media.probe.planar_format", lambda name: None)
    with pytest.raises(InputError, match="yuv420p") as caught:
        probe(path)
    assert_clear(caught.value, 3)


def truncated_mkv(path: Path) -> Path:
    whole = write(LONG, path)
    data = whole.read_bytes()
    target = path / "cut.mkv"
    target.write_bytes(data[: len(data) * 2 // 3])
    return target


def mkv_without_its_last_frames(path: Path) -> Path:
    """Less than a quarter of a second is missing: durations alone do not tell."""
    whole = write(LONG, path)
    target = path / "cut.mkv"
    with av.open(str(whole)) as container:
        places = [p.pos for p in container.demux(video=0) if p.size and p.pos]
    target.write_bytes(whole.read_bytes()[: places[-3]])
    return target


def mkv_damaged_inside(path: Path) -> Path:
    """FFmpeg passes over the damage to the next cluster, and says nothing."""
    whole = write(LONG, path)
    target = path / "cut.mkv"
    data = bytearray(whole.read_bytes())
    block = data.index(b"\xa3", data.index(b"\x1f\x43\xb6\x75") + 12)
    data[block : block + 2] = bytes(2)
    target.write_bytes(data)
    return target


def fragmented_mp4(path: Path) -> Path:
    clip = replace(MATRIX["plain.mp4"], container_options={"movflags": "frag_keyframe+empty_moov"})
    whole = write(clip, path)
    target = path / "cut.mp4"
    target.write_bytes(whole.read_bytes()[:-200])
    return target


def truncated_mp4(path: Path) -> Path:
    clip = replace(MATRIX["plain.mp4"], container_options={"movflags": "faststart"})
    whole = write(clip, path)
    data = whole.read_bytes()
    target = path / "cut.mp4"
    target.write_bytes(data[: len(data) * 2 // 3])
    return target


def truncated_ts(path: Path) -> Path:
    whole = write(MATRIX["stream.ts"], path)
    target = path / "cut.ts"
    target.write_bytes(whole.read_bytes()[: 188 * 20 + 77])
    return target


def truncated_avi(path: Path) -> Path:
    whole = write(replace(LONG, name="long.avi", time_base=1 / LONG.rate), path)
    data = whole.read_bytes()
    target = path / "cut.avi"
    target.write_bytes(data[: len(data) // 3])
    return target


@pytest.mark.parametrize(
    "make",
    [
        truncated_mkv,
        mkv_without_its_last_frames,
        mkv_damaged_inside,
        truncated_mp4,
        fragmented_mp4,
        truncated_ts,
        truncated_avi,
    ],
)
def test_truncated_files_are_noticed(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    info = probe(path)
    assert any("cut short" in warning for warning in info.warnings)
    target = tmp_path / f"out{path.suffix}"
    with pytest.raises(InputError, match="cut short") as caught:
        copied(path, target)
    assert_clear(caught.value, 3)
    assert list(tmp_path.glob("*out*")) == [] and list(tmp_path.glob(".*")) == []


def damaged(folder: Path, clip: Clip, packet: int) -> Path:
    """A clip with the payload of one video packet overwritten."""
    whole = write(clip, folder)
    data = bytearray(whole.read_bytes())
    with av.open(str(whole)) as container:
        video = container.streams.video[0]
        packets = [p for p in container.demux(video) if p.size]
        chosen = packets[packet]
        assert chosen.pos is not None
        where = data.index(bytes(chosen)[-min(chosen.size, 64) :], chosen.pos)
    start = where - chosen.size // 2
    for n in range(start, where + 32):
        data[n] ^= 0x5A
    target = folder / f"damaged{whole.suffix}"
    target.write_bytes(data)
    return target


CHECKED = {"level": "3", "slicecrc": "1", "slices": "4"}
INTRA = {"g": "1", "bf": "0"}


@pytest.mark.parametrize(
    "clip",
    [
        replace(LONG, options={**CHECKED, "g": "1"}),
        Clip("prores.mov", codec="prores_ks", format="yuv422p10le", frames=24),
        Clip("intra.mp4", frames=24, options=INTRA),
    ],
    ids=lambda clip: clip.codec,
)
def test_damaged_frames_fail_or_are_replaced(clip: Clip, tmp_path: Path) -> None:
    path = damaged(tmp_path, clip, 10)
    info = probe(path)
    assert info.frames == 24
    with pytest.raises(InputError, match="Frame 10 of") as caught, Reader(info) as reader:
        for _ in reader:
            pass
    assert_clear(caught.value, 3)
    with Reader(info, on_bad_frame="repeat") as reader:
        frames = list(reader)
        assert reader.bad == [10]
    assert [f.index for f in frames] == list(range(24))
    assert [f.corrupt for f in frames] == [n == 10 for n in range(24)]
    with Reader(probe(tmp_path / clip.name)) as reader:
        whole = list(reader)
    for frame, wanted in zip(frames, whole, strict=True):
        for plane, right in zip(frame.planes, wanted.planes, strict=True):
            assert frame.corrupt or torch.equal(plane, right)
    for plane, before in zip(frames[10].planes, frames[9].planes, strict=True):
        assert torch.equal(plane, before)
    assert frames[10].pts == frames[9].pts + (frames[1].pts - frames[0].pts)


def test_frames_that_depend_on_a_damaged_one_are_replaced_too(tmp_path: Path) -> None:
    path = damaged(tmp_path, replace(LONG, options={**CHECKED, "g": "6"}), 8)
    with Reader(probe(path), on_bad_frame="repeat") as reader:
        frames = list(reader)
    assert reader.bad == [8, 9, 10, 11]
    for frame in frames:
        if not frame.corrupt:
            for plane, wanted in zip(frame.planes, picture(LONG, frame.index), strict=True):
                assert torch.equal(plane, torch.from_numpy(wanted))


def test_a_bad_first_frame_takes_the_next_one(tmp_path: Path) -> None:
    path = damaged(tmp_path, replace(LONG, options={**CHECKED, "g": "1"}), 0)
    with Reader(probe(path), on_bad_frame="repeat") as reader:
        frames = list(reader)
    assert [f.index for f in frames] == list(range(24))
    assert reader.bad == [0]
    assert torch.equal(frames[0].planes[0], frames[1].planes[0])


def test_frames_outside_the_clip_are_refused(tmp_path: Path) -> None:
    info = probe(write(MATRIX["plain.mp4"], tmp_path))
    for first, last in ((0, 12), (-1, 3), (5, 4)):
        with pytest.raises(UsageError) as caught:
            Reader(info, first=first, last=last)
        assert_clear(caught.value, 2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(MATRIX["plain.mp4"], tmp_path)


def test_existing_output_is_not_touched(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists") as caught:
        copied(source, target)
    assert_clear(caught.value, 4)
    assert target.read_bytes() == b"precious"
    copied(source, target, overwrite=True)
    assert probe(target).frames == 12


def test_missing_folder(source: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist") as caught:
        copied(source, tmp_path / "nowhere" / "out.mp4")
    assert_clear(caught.value, 4)
    assert not (tmp_path / "nowhere").exists()


def test_output_over_input(source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()
    link = tmp_path / "link.mp4"
    link.symlink_to(source)
    for target in (source, link):
        with pytest.raises(UsageError, match="input itself") as caught:
            check_target(probe(source), target, overwrite=True)
        assert_clear(caught.value, 2)
    assert source.read_bytes() == before


def test_full_disk(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(output_module.Output, "encode", full)
    with pytest.raises(OutputError, match="disk is full") as caught:
        copied(source, tmp_path / "out.mp4")
    assert_clear(caught.value, 4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plain.mp4"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_device(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = output_module.open_output

    def to_full_device(place: str, *rest: object, **options: str) -> object:
        return real("/dev/full", *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(output_module, "open_output", to_full_device)
    with pytest.raises(OutputError, match="disk is full") as caught:
        copied(source, tmp_path / "out.mkv")
    assert_clear(caught.value, 4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plain.mp4"]


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt()])
def test_nothing_is_left_after_an_interruption(
    error: BaseException, source: Path, tmp_path: Path
) -> None:
    info = probe(source)
    target = tmp_path / "out.mp4"
    with (
        pytest.raises(type(error)),
        Reader(info) as reader,
        MovieWriter(info, target, choose(info, target), source=source) as writer,
    ):
        for frame in reader:
            writer.write(frame, frame.planes)
            if frame.index == 5:
                assert writer.temporary is not None and writer.temporary.exists()
                raise error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plain.mp4"]


def test_a_size_that_changes_is_refused(tmp_path: Path) -> None:
    small = write(Clip("a.ts", frames=5, time_base=MATRIX["stream.ts"].time_base), tmp_path)
    large = write(
        Clip("b.ts", frames=5, size=(96, 64), time_base=MATRIX["stream.ts"].time_base,
             pts=lambda n: 18000 + 3600 * n),
        tmp_path,
    )  # fmt: skip
    both = tmp_path / "both.ts"
    with both.open("wb") as file:
        for part in (small, large):
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, file)
    with pytest.raises(InputError, match="96x64"), Reader(probe(both)) as reader:
        for _ in reader:
            pass


def test_reading_never_changes_the_planes_it_gave(tmp_path: Path) -> None:
    """Frames stay as they were while later ones are decoded and encoded from the same buffers."""
    clip = Clip("refs.mp4", frames=24, options={"preset": "fast", "qp": "0", "bf": "3"})
    path = write(clip, tmp_path)
    info = probe(path)
    target = tmp_path / "out.mp4"
    kept = []
    with Reader(info) as reader, MovieWriter(info, target, choose(info, target)) as writer:
        for frame in reader:
            kept.append(frame)
            writer.write(frame, [torch.zeros_like(plane) for plane in frame.planes])
    for frame in kept:
        for plane, wanted in zip(frame.planes, picture(clip, frame.index), strict=True):
            assert torch.equal(plane, torch.from_numpy(wanted))


def test_a_short_clip_without_checksums_is_sound(tmp_path: Path) -> None:
    """FFmpeg's FFV1 of level 1 has none; the empty packet at its end is no packet with one."""
    options = {"level": "1"}
    path = write(Clip("old.mkv", codec="ffv1", frames=4, options=options), tmp_path)
    with Reader(probe(path)) as reader:
        assert len(list(reader)) == 4


@pytest.mark.parametrize("name", ["a.tga", "a.%04d.tga", "a.####.tga"])
def test_an_image_of_a_kind_that_is_not_read_is_refused_by_that(name: str, tmp_path: Path) -> None:
    """It was said to be missing, or to be a clip with a damaged header."""
    for file in ("a.tga", "a.0001.tga"):
        (tmp_path / file).write_bytes(bytes(2) + b"\2" + bytes(9) + b"\1\0\1\0\x18\0" + bytes(3))
    with pytest.raises(InputError, match=r"of the kind \.tga, which is not read"):
        probe(tmp_path / name)
