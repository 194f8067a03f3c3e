"""How a picture is turned, mirrored, stretched and shaped: kept, or named before the start."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.helpers.clips import Clip, frame_of, write
from tests.media.test_roundtrip import pass_through
from tests.media.test_words_and_covers import said
from vdenoise.media.movie.first_frames import peek_at
from vdenoise.media.movie.matrix import SHAPED, apart, matrix_in
from vdenoise.media.probe import probe
from vdenoise.picture.frame import ClipInfo

CLIP = Clip("in.mp4", frames=2, options={"preset": "ultrafast", "bf": "0"})


def turned(degrees: float, *, mirrored: bool = False) -> tuple[float, ...]:
    """a, b, c, d of a turn clockwise, behind a mirror that stands upright."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (-cos, -sin, -sin, cos) if mirrored else (cos, sin, -sin, cos)


def with_matrix(
    folder: Path,
    matrix: tuple[float, ...],
    moved: tuple[int, int] = (0, 0),
    aspect: Fraction | None = None,
) -> Path:
    """A movie with a display matrix, in the words of `turned`."""
    path = folder / "in.mp4"
    a, b, c, d = (round(value * 65536) for value in matrix)
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream("libx264", rate=25, options=CLIP.options)
        video.width, video.height, video.pix_fmt = *CLIP.size, "yuv420p"
        if aspect is not None:
            video.codec_context.sample_aspect_ratio = aspect
        x, y = (value << 16 for value in moved)
        video.set_display_matrix((a, b, 0, c, d, 0, x, y, 1 << 30))
        for number in range(CLIP.frames):
            frame = frame_of(CLIP, number)
            frame.pts = number
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


def shown(info: ClipInfo) -> tuple[tuple[float, ...], bool]:
    """Where a picture that is seen has its first row and its first column, without its size."""
    matrix = matrix_in(peek_at(info.path).side_data) or (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    a, b, c, d = (matrix[n] / 65536 for n in (0, 1, 3, 4))
    across, down = math.hypot(a, c), math.hypot(b, d)
    return (a / across, b / down, c / across, d / down), bool(matrix[6] or matrix[7])


@pytest.mark.parametrize("suffix", ["mov", "mp4", "mkv", "webm"])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 7, 30, 90, 181.5])
def test_any_turn_is_kept(degrees: float, mirrored: bool, suffix: str, tmp_path: Path) -> None:
    source = with_matrix(tmp_path, turned(degrees, mirrored=mirrored))
    assert not any("cannot keep" in told for told in said(source, f"x.{suffix}"))
    out = pass_through(source, tmp_path / f"out.{suffix}")
    assert shown(out)[0] == pytest.approx(turned(degrees, mirrored=mirrored), abs=1e-4)


@pytest.mark.parametrize("suffix", ["avi", "ts", "nut", "mxf"])
@pytest.mark.parametrize(
    ("matrix", "item"),
    [
        (turned(30), "the rotation"),
        ((1.0, 0.0, 0.0, -1.0), "the mirroring"),
        ((1.0, 0.2, 0.0, 1.0), SHAPED),
    ],
)
def test_what_has_no_place_is_named(
    matrix: tuple[float, ...], item: str, suffix: str, tmp_path: Path
) -> None:
    source = with_matrix(tmp_path, matrix)
    assert any(
        f"cannot keep the {item.removeprefix('the ')}" in t for t in said(source, f"x.{suffix}")
    )
    pass_through(source, tmp_path / f"out.{suffix}")


@pytest.mark.parametrize(
    ("matrix", "moved"),
    [
        ((1.0, 0.2, 0.0, 1.0), (0, 0)),
        ((2.0, 0.0, 0.0, 2.0), (0, 0)),
        ((1.0, 0.0, 0.0, 1.0), (8, 4)),
    ],
)
def test_a_picture_that_is_slanted_scaled_or_moved_is_so_in_quicktime_alone(
    matrix: tuple[float, ...], moved: tuple[int, int], tmp_path: Path
) -> None:
    source = with_matrix(tmp_path, matrix, moved, Fraction(1))
    assert SHAPED in probe(source).holds
    for suffix in ("mov", "mp4"):
        out = pass_through(source, tmp_path / f"out.{suffix}")
        assert matrix_in(peek_at(out.path).side_data) == matrix_in(peek_at(source).side_data)
    assert any(SHAPED in told for told in said(source, "x.mkv"))
    pass_through(source, tmp_path / "out.mkv")


@pytest.mark.parametrize("suffix", ["mov", "mkv"])
def test_a_stretch_that_the_shape_of_pixels_tells_is_told_once(suffix: str, tmp_path: Path) -> None:
    source = with_matrix(tmp_path, (1.5, 0.0, 0.0, 1.0))
    data = source.read_bytes().replace(b"pasp", b"free")  # FFmpeg tells the matrix's stretch then
    source.write_bytes(data)
    assert probe(source).sample_aspect_ratio == Fraction(3, 2)
    out = pass_through(source, tmp_path / f"out.{suffix}")
    assert out.sample_aspect_ratio == Fraction(3, 2)
    assert shown(out)[0] == (1, 0, 0, 1) and SHAPED not in out.holds


@pytest.mark.parametrize("suffix", ["avi", "nut", "mkv", "mov"])
def test_the_shape_of_pixels_that_a_container_tells_counts(suffix: str, tmp_path: Path) -> None:
    """Tapes of DV that were brought into QuickTime as square pixels: frames say another shape."""
    source = write(replace(CLIP, name="in.mov", codec="libx264", aspect=Fraction(16, 15)), tmp_path)
    data = bytearray(source.read_bytes())
    at = data.index(b"pasp") + 4
    data[at : at + 8] = bytes((0, 0, 0, 1, 0, 0, 0, 1))
    source.write_bytes(bytes(data))
    info = probe(source)
    assert (info.sample_aspect_ratio, info.frames_aspect) == (1, Fraction(16, 15))
    assert pass_through(source, tmp_path / f"out.{suffix}").sample_aspect_ratio == 1


def test_angles_are_apart_as_on_a_circle() -> None:
    assert apart(359.999, 0.001) == pytest.approx(0.002)
    assert apart(10, 200) == pytest.approx(170)
