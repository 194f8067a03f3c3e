"""What image files hold that must be kept, said to be lost, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers import image_files as files
from vdenoise import cli
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader

GIVEN = ("--speed", "veryfast", "--temporal-radius", "0", "--spatial", "gaussian")
GIVEN = (*GIVEN, "--sigma", "5", "--cuts", "off")
ZERO = (*GIVEN, "--luma", "0", "--chroma", "0")


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


# -- several pictures ------------------------------------------------------------------------


def apng(path: Path, frames: int) -> Path:
    with av.open(str(path), "w", format="apng") as out:
        stream = out.add_stream("apng", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        for n in range(frames):
            pixels = files.codes(number=n)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def test_an_animated_png_is_read_whole(tmp_path: Path) -> None:
    source = apng(tmp_path / "a.png", 5)
    info = probe(source)
    assert (info.frames, info.sequence, info.rate) == (5, None, 25)
    assert call("run", source, "-o", tmp_path / "b.mkv", "--codec", "ffv1", *ZERO) == 0
    for n, frame in enumerate(Reader(probe(tmp_path / "b.mkv"))):
        green, blue, red = (plane.numpy() for plane in frame.planes)
        assert np.array_equal(np.stack([red, green, blue], -1), files.codes(number=n))
    assert n == 4
    assert call("run", source, "-o", tmp_path / "one.png", *ZERO) == 2


def test_a_png_that_says_it_is_animated_and_has_one_frame_is_a_still(tmp_path: Path) -> None:
    source = files.png(tmp_path / "a.png", (b"acTL", bytes((0, 0, 0, 1, 0, 0, 0, 0))))
    assert probe(source).sequence is not None


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("pages.tif", lambda p: files.tiff(p, files.codes(), pictures=3)),
        ("pages.tif", lambda p: files.tiff(p, files.codes("uint16"), pictures=2, order=">")),
        ("pair.jpg", lambda p: files.jpeg(p, files.multi_picture((0x030000, 0x020002)))),
        ("angles.jpg", lambda p: files.jpeg(p, files.multi_picture((0x030000, 0, 0)))),
    ],
)
def test_several_pictures_in_one_file_are_refused(
    name: str, make: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make(tmp_path / name)
    assert call("run", source, "-o", tmp_path / "out.png", *GIVEN) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error E0340 [exit 3]" in last and "pictures" in last
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_animation_in_a_sequence_is_refused(tmp_path: Path) -> None:
    apng(tmp_path / "a.1.png", 2)
    assert call("run", tmp_path / "a.#.png", "-o", tmp_path / "b.#.png", *GIVEN) == 3


@pytest.mark.parametrize("kinds", [(0x030000,), (0x030000, 0x010001, 0x010002)])
def test_previews_beside_a_picture_are_no_pictures(kinds: tuple[int, ...], tmp_path: Path) -> None:
    source = files.jpeg(tmp_path / "a.jpg", files.multi_picture(kinds))
    assert call("run", source, "-o", tmp_path / "b.png", *ZERO) == 0


def test_a_gain_map_is_no_further_picture(tmp_path: Path) -> None:
    xmp = (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x hdrgm:Version='1.0'/>")
    source = files.jpeg(tmp_path / "a.jpg", files.multi_picture((0x030000, 0)), xmp)
    assert call("run", source, "-o", tmp_path / "b.png", *ZERO) == 0


def test_a_gif_is_read_whole_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe(files.gif(tmp_path / "timed.gif", 4, timed=True)).frames == 4
    assert probe(files.gif(tmp_path / "still.gif", 1, timed=False)).frames == 1
    lost = files.gif(tmp_path / "lost.gif", 4, timed=False)
    assert call("run", lost, "-o", tmp_path / "b.mkv", *GIVEN) == 3
    assert "error E0342 [exit 3]" in capsys.readouterr().err.splitlines()[-1]


def test_an_animated_webp_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = files.animated_webp(tmp_path / "a.webp")
    assert call("run", source, "-o", tmp_path / "b.mkv", *GIVEN) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error E0341 [exit 3]" in last and "animated WebP" in last


# -- color that is no RGB and no gray --------------------------------------------------------


@pytest.mark.parametrize(
    ("photometric", "channels", "dtype", "words"),
    [
        (5, 4, "uint8", "CMYK"),
        (5, 4, "uint16", "CMYK"),
        (5, 5, "uint8", "other inks"),
        (5, 3, "uint8", "other inks"),
        (8, 3, "uint8", "L*a*b*"),
        (8, 3, "uint16", "L*a*b*"),
        (9, 3, "uint8", "PhotometricInterpretation=9"),
        (32803, 1, "uint16", "raw"),
        (34892, 3, "uint16", "raw"),
    ],
)
@pytest.mark.parametrize("target", ["b.tif", "b.png"])
def test_other_color_models_are_refused_by_name(
    photometric: int,
    channels: int,
    dtype: str,
    words: str,
    target: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = files.tiff(tmp_path / "a.tif", files.codes(dtype, channels), photometric)
    assert call("run", source, "-o", tmp_path / target, *GIVEN) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error E0306 [exit 3]" in last and words in last
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_inks_in_a_jpeg_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = files.cmyk_jpeg(tmp_path / "a.jpg")
    assert call("run", source, "-o", tmp_path / "b.png", *GIVEN) == 3
    assert "CMYK" in capsys.readouterr().err.splitlines()[-1]
