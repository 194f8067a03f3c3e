"""A recording in several files, named with ``+``, is the clip that it was cut from."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.errors import InputError
from vdenoise.media.movie.index import scan
from vdenoise.media.parts import parts_of
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader

ZERO = ("--luma", "0", "--chroma", "0")
OFF = (*ZERO, "--codec", "ffv1", "--threads", "1")
RATE, FRAMES, CUT = 25, 20, 12
AUDIO = 48000


def pictures(path: Path) -> list[NDArray[Any]]:
    with av.open(str(path)) as opened:
        return [frame.to_ndarray() for frame in opened.decode(video=0)]


def sound(path: Path) -> NDArray[Any]:
    with av.open(str(path)) as opened:
        return np.concatenate([f.to_ndarray() for f in opened.decode(audio=0)], axis=1)


def joined(parts: list[Path]) -> Path:
    return Path("+".join(map(str, parts)))


def record(
    path: Path,
    first: int,
    last: int,
    *,
    codec: str = "mpeg4",
    timecode: str | None = None,
    rate: int = RATE,
    size: tuple[int, int] = (96, 64),
    audio: str | None = "pcm_s16le",
) -> Path:
    """Frames ``first`` to ``last - 1`` of a scene with its sound, as a camera would keep them."""
    with av.open(str(path), "w") as output:
        if timecode:
            output.metadata["timecode"] = timecode
        picture: Any = output.add_stream(codec, rate=rate)
        picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
        if codec == "libx264":
            picture.options = {"bf": "2", "g": "6", "crf": "10"}
        heard: Any = output.add_stream(audio, rate=AUDIO, layout="mono") if audio else None
        for number in range(first, last):
            noise = np.random.default_rng(number).integers(60, 200, (*size[::-1], 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
            frame.pts = number - first
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
        if heard is not None:
            begin, end = first * AUDIO // rate, last * AUDIO // rate
            samples = (8000 * np.sin(np.arange(begin, end) / 17)).astype(np.int16)[None]
            for at in range(0, samples.shape[1], 1000):
                piece = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(samples[:, at : at + 1000]), "s16", "mono"
                )
                piece.sample_rate, piece.pts = AUDIO, at
                output.mux(heard.encode(piece))
            output.mux(heard.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "kind"),
    [("libx264", "mov"), ("ffv1", "mkv"), ("mpeg4", "avi"), ("mpeg2video", "mxf")],
)
def test_parts_are_one_clip(codec: str, kind: str, tmp_path: Path) -> None:
    """All frames to the bit, counted through, at one rate, and all of the sound."""
    parts = [
        record(tmp_path / f"{n}.{kind}", *cut, codec=codec)
        for n, cut in enumerate([(0, CUT), (CUT, FRAMES)])
    ]
    info = probe(joined(parts))
    assert (info.frames, info.rate, info.variable_rate) == (FRAMES, RATE, False)
    assert info.container == probe(parts[0]).container
    truth = [picture for part in parts for picture in pictures(part)]
    with Reader(info, threads=1) as reader:
        read = [(frame.index, frame.planes) for frame in reader]
    assert [number for number, _ in read] == list(range(FRAMES))
    luma = [picture[: info.height, : info.width] for picture in truth]
    assert all(np.array_equal(a, p[0].numpy()) for a, (_, p) in zip(luma, read, strict=True))
    with Reader(info, first=CUT - 1, last=CUT + 1, threads=1) as reader:
        inside = {frame.index: frame.planes[0].numpy() for frame in reader}
    assert all(np.array_equal(inside[n], luma[n]) for n in range(CUT - 1, CUT + 2))
    clean = tmp_path / "clean.mov"
    argv = ["run", str(joined(parts)), "-o", str(clean), *ZERO, "--codec", "x264"]
    strict = [] if kind == "mxf" else ["--strict"]  # its timecode is that of each file
    assert not cli.status([*argv, *strict])
    whole = np.concatenate([sound(part) for part in parts], axis=1)
    assert np.array_equal(sound(clean), whole)
    assert probe(clean).frames == FRAMES and not probe(clean).variable_rate


def test_the_result_is_that_of_the_clip_in_one_file(tmp_path: Path) -> None:
    """Noise is measured over the seam and motion followed: nothing tells that there was one."""
    one = record(tmp_path / "one.mkv", 0, FRAMES, codec="ffv1")
    parts = [
        record(tmp_path / f"part{n}.mkv", *cut, codec="ffv1")
        for n, cut in enumerate([(0, CUT), (CUT, FRAMES)])
    ]
    found = []
    for source, name in ((one, "a.mkv"), (joined(parts), "b.mkv")):
        argv = ["run", str(source), "-o", str(tmp_path / name), "--codec", "ffv1"]
        assert not cli.status([*argv, "--threads", "1", "--speed", "veryfast", "--cuts", "off"])
        found.append(pictures(tmp_path / name))
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))
    recipe = json.loads((tmp_path / "b.mkv.vdenoise.json").read_text())
    assert recipe["input"]["bytes"] == sum(part.stat().st_size for part in parts)
    assert not cli.status(["replay", str(tmp_path / "b.mkv"), "-o", str(tmp_path / "c.mkv")])


@pytest.mark.parametrize("kind", ["vob", "ts", "dv"])
def test_streams_that_were_cut_anywhere_are_one(kind: str, tmp_path: Path) -> None:
    codec, size = ("dvvideo", (720, 576)) if kind == "dv" else ("mpeg2video", (96, 64))
    one = tmp_path / f"one.{kind}"
    record(one, 0, 6, codec=codec, size=size, audio=None if kind == "dv" else "mp2")
    data = one.read_bytes()
    unit = {"vob": 2048, "ts": 188, "dv": 144000}[kind]
    cut = len(data) // 2 // unit * unit
    parts = [tmp_path / f"{n}.{kind}" for n in (1, 2)]
    for part, content in zip(parts, (data[:cut], data[cut:]), strict=True):
        part.write_bytes(content)
    single, found = probe(one), probe(joined(parts))
    assert (found.frames, found.start_pts, found.container) == (
        single.frames, single.start_pts, single.container,
    )  # fmt: skip
    with Reader(single, threads=1) as a, Reader(found, threads=1) as b:
        for one_frame, other in zip(a, b, strict=True):
            assert np.array_equal(one_frame.planes[0].numpy(), other.planes[0].numpy())


def test_sound_that_was_coded_for_each_part_is_heard_once(tmp_path: Path) -> None:
    """What gets a decoder going at a later part's beginning is hidden there; it stays out."""
    parts = [
        record(tmp_path / f"{n}.mp4", *cut, audio="aac")
        for n, cut in enumerate([(0, CUT), (CUT, FRAMES)])
    ]
    clean = tmp_path / "clean.mp4"
    argv = ["run", str(joined(parts)), "-o", str(clean), "--luma", "0", "--chroma", "0"]
    assert not cli.status([*argv, "--threads", "1", "--codec", "x264"])
    told, kept = scan(joined(parts)), scan(clean)
    assert len(told) == len(kept) == FRAMES and not kept.variable_rate
    longest = Fraction(sound(clean).shape[1] - FRAMES * AUDIO // RATE, AUDIO)
    assert longest <= Fraction(2 * 1024, AUDIO)


def test_timecode_goes_on_or_is_said_to_start_anew(tmp_path: Path) -> None:
    codes = ("01:00:00:00", "01:00:00:12", "09:00:00:00")
    cuts = ((0, CUT), (CUT, FRAMES), (CUT, FRAMES))
    first, goes_on, other = (
        record(tmp_path / f"{n}.mov", *cut, timecode=code)
        for n, (code, cut) in enumerate(zip(codes, cuts, strict=True))
    )
    assert probe(joined([first, goes_on])).timecode == codes[0]
    assert "timecode that starts anew" not in probe(joined([first, goes_on])).holds
    assert "timecode that starts anew" in probe(joined([first, other])).holds
    out, strict = str(tmp_path / "x.mov"), (*ZERO, "--codec", "x264", "--strict")
    assert not cli.status(["run", str(joined([first, goes_on])), "-o", out, *strict])
    assert probe(Path(out)).timecode == codes[0]
    argv = ["run", str(joined([first, other])), "-o", str(tmp_path / "y.mov"), *strict]
    assert cli.status(argv) == 4 and not (tmp_path / "y.mov").exists()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"size": (64, 64)}, ("64x64", "96x64")),
        ({"rate": 50}, ("50", "25")),
        ({"codec": "ffv1"}, ("ffv1", "mpeg4")),
        ({"audio": None}, ("audio",)),
    ],
)
def test_parts_that_do_not_go_together_are_refused_with_both(
    other: dict[str, Any], words: tuple[str, ...], tmp_path: Path
) -> None:
    parts = [record(tmp_path / "a.mkv", 0, 4), record(tmp_path / "b.mkv", 4, 8, **other)]
    with pytest.raises(InputError) as caught:
        probe(joined(parts))
    assert caught.value.code == "E0345" and all(word in str(caught.value) for word in words)
    assert all(str(part) in str(caught.value) for part in parts)


def test_a_part_that_was_cut_short_is_named(tmp_path: Path) -> None:
    parts = [record(tmp_path / f"{n}.mov", 0, 6) for n in range(2)]
    data = parts[1].read_bytes()
    whole = data[: data.index(b"moov") - 4]
    moov = data[len(whole) :]
    parts[1].write_bytes(whole[:36] + moov)
    with contextlib.suppress(InputError):
        probe(joined(parts))
    out = tmp_path / "x.mkv"
    assert cli.status(["run", str(joined(parts)), "-o", str(out), *OFF]) == 3
    assert not out.exists()


def test_reels_of_images_are_one_clip(tmp_path: Path) -> None:
    source = record(tmp_path / "s.mkv", 0, 7, codec="ffv1", audio=None)
    reels = []
    for n, span in enumerate(("0-3", "4-6")):
        (folder := tmp_path / f"reel{n}").mkdir()
        out = str(folder / "a.####.png")
        assert not cli.status(["run", str(source), "-o", out, "--frames", span, *ZERO])
        reels.append(folder / "a.####.png")
    for number, file in enumerate(sorted((tmp_path / "reel1").glob("*.png"))):
        file.rename(file.with_name(f"a.{number:04d}.png"))  # each reel counts from 0
    clip = joined(reels)
    info = probe(clip)
    assert info.sequence is not None and info.sequence.numbers == tuple(range(7))
    out = tmp_path / "out"
    out.mkdir()
    assert not cli.status(["run", str(clip), "-o", str(out / "b.####.png"), *ZERO])
    for number in range(7):
        reel, own = divmod(number, 4)
        (a,), (b,) = (
            pictures(out / f"b.{number:04d}.png"),
            pictures(tmp_path / f"reel{reel}" / f"a.{own:04d}.png"),
        )
        assert np.array_equal(a, b)


def test_a_file_that_is_called_like_parts_is_that_file(tmp_path: Path) -> None:
    a, b = (record(tmp_path / f"{name}.mov", 0, 3) for name in "ab")
    own = record(tmp_path / "a.mov+b.mov", 0, 5)
    assert parts_of(own) == (own,) and probe(own).frames == 5
    plus = record(tmp_path / "x+y.mov", 0, 4)
    assert parts_of(joined([plus, a])) == (plus, a)
    assert parts_of(joined([a, plus, b, plus])) == (a, plus, b, plus)
    assert probe(joined([a, plus])).frames == 7


def test_many_parts_have_a_longer_name_than_a_file_may_have(tmp_path: Path) -> None:
    part = record(tmp_path / "part.mov", 0, 2)
    count = 4200 // len(str(part)) + 1
    clip = joined([part] * count)
    assert len(str(clip)) > 4096
    assert probe(clip).frames == 2 * count
    argv = ["run", str(clip), "-o", str(tmp_path / "x.mkv"), "--frames", "0-4", *OFF]
    assert not cli.status([*argv, "--sigma", "2", "--cuts", "off"])


@pytest.mark.parametrize("output", ["a.mov", "b.mov"])
def test_no_part_is_written_over(output: str, tmp_path: Path) -> None:
    parts = [record(tmp_path / f"{name}.mov", 0, 3) for name in "ab"]
    before = (tmp_path / output).read_bytes()
    argv = ["run", str(joined(parts)), "-o", str(tmp_path / output), *OFF, "--overwrite"]
    assert cli.status(argv) in (2, 4)
    assert (tmp_path / output).read_bytes() == before


def test_a_farm_reads_parts(tmp_path: Path) -> None:
    parts = [record(tmp_path / f"{name}.mov", 0, 4) for name in "ab"]
    plan, out = tmp_path / "plan.json", tmp_path / "x.mkv"
    argv = ["plan", str(joined(parts)), "-o", str(plan), "--to", str(out), *OFF]
    assert not cli.status(argv)
    assert not cli.status(["run", "--plan", str(plan), "--threads", "1"])
    assert not cli.status(["farm", "assemble", "--plan", str(plan)])
    truth = [picture for part in parts for picture in pictures(part)]
    assert all(np.array_equal(a, b) for a, b in zip(pictures(out), truth, strict=True))


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    return [
        write(Clip(f"part{n}.mkv", codec="ffv1", frames=5 + 2 * n, audio=("eng",)), tmp_path)
        for n in range(2)
    ]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")
def test_joined_by_ffmpeg_it_is_one_clip(two: list[Path], tmp_path: Path) -> None:
    listed, whole, clean = (tmp_path / n for n in ("parts.txt", "joined.mkv", "clean.mkv"))
    listed.write_text("".join(f"file '{part}'\n" for part in two))
    join = ["-f", "concat", "-safe", "0", "-i", str(listed), "-map", "0:v", "-map", "0:a"]
    subprocess.run(["ffmpeg", "-v", "error", *join, "-c", "copy", str(whole)], check=True)
    assert not cli.status(["run", str(whole), "-o", str(clean), *OFF])
    truth = [picture for part in two for picture in pictures(part)]
    found = pictures(clean)
    assert len(found) == len(truth) == 12
    assert all(np.array_equal(a, b) for a, b in zip(found, truth, strict=True))


@pytest.mark.parametrize("first", ["", "ffconcat version 1.0\n"])
def test_a_list_of_parts_is_refused_with_the_way_there(
    two: list[Path], first: str, tmp_path: Path
) -> None:
    listed = tmp_path / "parts.txt"
    listed.write_text(first + "".join(f"file '{part}'\n" for part in two))
    with pytest.raises(InputError) as caught:
        probe(listed)
    assert "list of files" in str(caught.value) and "docs/long.md" in caught.value.hint
    with pytest.raises(InputError) as caught:
        probe(joined([two[0], listed]))
    assert "list of files" in str(caught.value)


def test_a_text_that_was_typed_lists_the_parts(two: list[Path], tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    listed = tmp_path / "lists" / "parts.txt"
    lines = ["\ufeff# two reels", "", f"../{two[0].name}", str(two[1])]
    listed.write_text("\r\n".join(lines), encoding="utf-8")
    by_list, by_name = tmp_path / "list.mkv", tmp_path / "name.mkv"
    assert not cli.status(["run", f"@{listed}", "-o", str(by_list), *OFF])
    assert not cli.status(["run", str(joined(two)), "-o", str(by_name), *OFF])
    found, truth = pictures(by_list), pictures(by_name)
    assert len(found) == 12
    assert all(np.array_equal(a, b) for a, b in zip(found, truth, strict=True))
    assert "parts.txt" not in by_list.with_name("list.mkv.vdenoise.json").read_text()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "The list {} does not exist"),
        (b"# only a remark\n\n", "The list {} names no parts"),
        (b"\xff\xfe\0a", "The list {} names no parts"),
        (b"nothing.mov\n", "nothing.mov does not exist"),
    ],
)
def test_a_list_that_lists_nothing_is_refused(
    data: bytes | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "parts.txt"
    if data is not None:
        listed.write_bytes(data)
    assert cli.status(["run", f"@{listed}", "-o", str(tmp_path / "x.mkv")]) == 3
    assert says.format(listed) in capsys.readouterr().err
    assert not (tmp_path / "x.mkv").exists()


def test_parts_are_told_apart_where_there_are_thousands(tmp_path: Path) -> None:
    names = [tmp_path / f"{n}.mov" for n in range(3)] + [tmp_path / "a+b.mov"]
    for name in names:
        name.write_bytes(b"")
    assert parts_of(joined(names * 300)) == tuple(names * 300)


def test_a_part_that_is_missing_is_named(two: list[Path]) -> None:
    with pytest.raises(InputError) as caught:
        probe(Path(f"{two[0]}+nothing.mkv"))
    assert str(caught.value).startswith("nothing.mkv does not exist")
    assert caught.value.hint == "Check the path."


def test_kinds_that_are_not_joined_are_refused_with_the_way_there(tmp_path: Path) -> None:
    parts = [record(tmp_path / f"{n}.nut", 0, 3) for n in range(2)]
    with pytest.raises(InputError) as caught:
        probe(joined(parts))
    assert caught.value.code == "E0346" and "docs/long.md" in caught.value.hint
