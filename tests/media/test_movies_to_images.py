"""What a movie holds, written as images: told by each of them, or named before the start."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers import image_files as files
from tests.helpers import images
from tests.helpers.clips import MATRIX, Clip, write
from tests.media.test_display_matrix import turned, with_matrix
from tests.media.test_image_kinds import ZERO, call
from vdenoise.media.images import turn
from vdenoise.media.movie.first_frames import peek_at
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe


def said(source: Path, target: str) -> tuple[str, ...]:
    return choose(probe(source), Path(target)).notes


def test_all_that_images_do_not_tell_is_named(tmp_path: Path) -> None:
    source = write(
        Clip(
            "in.mkv", audio=("deu",), subtitles=True, chapters=True, timecode="01:00:00:00",
            metadata={"title": "A title"}, frames=4, pts=lambda n: 512 * n + 256 * (n > 1),
        ),
        tmp_path,
    )  # fmt: skip
    found = said(source, "out.####.png")
    for word in (
        "audio stream 1",
        "subtitle stream 2",
        "title",
        "chapters",
        "timecode",
        "times of",
    ):
        assert any(f" {word}" in told and "png cannot" in told for told in found), word
    assert not any("timecode" in told for told in said(source, "out.####.exr"))
    assert call("run", source, "-o", tmp_path / "out.####.png", "--strict", *ZERO) == 4
    assert call("run", source, "-o", tmp_path / "out.####.png", *ZERO) == 0
    plain = write(Clip("plain.nut", frames=2, codec="rawvideo", format="gbrp"), tmp_path)
    assert call("run", plain, "-o", tmp_path / "plain.####.png", "--strict", *ZERO) == 0


def test_hdr10_metadata_goes_into_png(tmp_path: Path) -> None:
    source = write(MATRIX["hdr.mkv"], tmp_path)
    info = probe(source)
    assert not any("HDR10" in told for told in said(source, "out.####.png"))
    assert any("HDR10" in told for told in said(source, "out.####.tif"))
    assert call("run", source, "-o", tmp_path / "out.####.png", *ZERO) == 0
    chunks = dict(files.png_chunks(next(iter(sorted(tmp_path.glob("out.*.png"))))))
    light, display = info.hdr["content_light"], info.hdr["mastering_display"]
    assert struct.unpack(">2I", chunks[b"cLLI"]) == (
        light["max"] * 10000, light["average"] * 10000,
    )  # fmt: skip
    numbers = struct.unpack(">8H2I", chunks[b"mDCV"])
    assert numbers[:2] == tuple(Fraction(part) * 50000 for part in display["red"])
    assert numbers[6:8] == tuple(Fraction(part) * 50000 for part in display["white"])
    assert numbers[8] == Fraction(display["max_luminance"]) * 10000


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("suffix", ["png", "exr"])
def test_images_are_seen_as_the_movie_is(
    suffix: str, degrees: int, mirrored: bool, tmp_path: Path
) -> None:
    """By their orientation, or turned: by the matrix itself, corner by corner."""
    source = with_matrix(tmp_path, turned(degrees, mirrored=mirrored))
    info = probe(source)
    a, b, c, d = (round(value) for value in turned(degrees, mirrored=mirrored))
    assert turn.display_matrix(turn.orientation_of(info), 64, 48)[:5] == tuple(
        value << 16 for value in (a, b, 0, c, d)
    )
    assert not any("rotation" in told or "mirroring" in told for told in said(source, "o.png"))
    target = tmp_path / f"out.####.{suffix}"
    assert call("run", source, "-o", target, *ZERO) == 0
    spec, pixels = images.read(next(iter(sorted(tmp_path.glob(f"out.*.{suffix}")))))
    if suffix == "png":
        assert int(spec.getattribute("Orientation") or 1) == turn.orientation_of(info)
    assert pixels.shape[:2] == ((64, 48) if suffix == "exr" and degrees % 180 else (48, 64))


@pytest.mark.parametrize("degrees", [7, 45])
def test_an_angle_without_a_number_is_named(degrees: int, tmp_path: Path) -> None:
    source = with_matrix(tmp_path, turned(degrees))
    assert "png cannot keep the rotation" in said(source, "out.####.png")


def test_exif_hides_nothing_else_that_frames_tell(tmp_path: Path) -> None:
    """PyAV reads nothing beside it; FFmpeg tells an orientation as a display matrix."""
    still = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
    path = tmp_path / "in.webp"
    with av.open(str(path), "w", format="webp") as output:
        stream = output.add_stream("libwebp", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        output.mux([*stream.encode(still.reformat(format="yuv420p")), *stream.encode(None)])
    exif = b"II*\0\x08\0\0\0" + files.directory({274: (3, (6,))}, "<", 8)
    coded = path.read_bytes()[12:]
    head = b"VP8X\x0a\0\0\0\x08\0\0\0" + struct.pack("<I", 63)[:3] + struct.pack("<I", 47)[:3]
    body = b"WEBP" + head + coded + b"EXIF" + struct.pack("<I", len(exif)) + exif
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert {"EXIF", "DISPLAYMATRIX"} <= peek_at(path).side_data.keys()
    info = probe(path)
    assert (info.rotation, turn.orientation_of(info)) == (270, 6) and "Exif" in info.holds
    assert call("run", path, "-o", tmp_path / "out.png", *ZERO) == 0
    assert images.read(tmp_path / "out.png")[0].getattribute("Orientation") == 6
