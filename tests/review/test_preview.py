"""``vdenoise preview``: what is on the sheet is what a run writes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import av
import cv2
import numpy as np
import pytest

from tests.engine.test_run import planes
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.media.probe import probe
from vdenoise.review.display import rgb_float, shown
from vdenoise.review.sheet import Row, lines_of_cells, sheet, strip
from vdenoise.review.turning import upright
from vdenoise.review.views import Cell
from vdenoise.settings.choices import PreviewView

FAST = ("--speed", "veryfast", "--device", "cpu", "--progress", "none", "--sigma", "9")
SIZE = (96, 64)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = Clip("in.mkv", codec="ffv1", size=SIZE, frames=8)
    return write(clip, tmp_path_factory.mktemp("preview"))


def picture(path: Path) -> np.ndarray[Any, Any]:
    found = cv2.imread(str(path))
    assert found is not None, path
    return np.asarray(found[:, :, ::-1])


def holds(sheet: np.ndarray[Any, Any], part: np.ndarray[Any, Any]) -> bool:
    """Whether a picture is on a sheet, to the bit."""
    rows = np.lib.stride_tricks.sliding_window_view(sheet[:, :, 0], part.shape[1], axis=1)
    places = np.argwhere((rows == part[0, :, 0]).all(-1))
    return any(
        np.array_equal(sheet[y : y + part.shape[0], x : x + part.shape[1]], part) for y, x in places
    )


def test_the_sheet_holds_what_a_run_writes(source: Path, tmp_path: Path) -> None:
    clean, look = tmp_path / "clean.mkv", tmp_path / "look.png"
    variant = ("--temporal-radius", "1", "--grain", "synth:0.5")
    assert cli.status(["run", str(source), "-o", str(clean), *FAST, *variant]) == 0
    asked = ("--at", "5f", "--region", "0,0,96,64", "--zoom", "1")
    args = ["preview", str(source), "-o", str(look), *FAST, *variant, *asked]
    assert cli.status([*args, "-p", "auto", "-p", "auto luma=0"]) == 0
    sheet, info = picture(look), probe(clean)
    before, after = (
        shown(rgb_float(planes(path)[5], info.format, info)) for path in (source, clean)
    )
    assert holds(sheet, before) and holds(sheet, after)
    assert not holds(sheet, shown(rgb_float(planes(clean)[4], info.format, info)))


ODD: dict[str, Clip] = {
    "one frame": Clip("one.mkv", codec="ffv1", frames=1),
    "two frames of two pixels": Clip("dots.mkv", codec="ffv1", size=(2, 2), frames=2),
    "odd sizes": Clip("odd.mkv", codec="ffv1", size=(61, 47), frames=3),
    "wide": Clip("wide.mkv", codec="ffv1", size=(300, 10), frames=2),
    "tall": Clip("tall.mkv", codec="ffv1", size=(16, 300), frames=2),
    "turned and anamorphic": Clip("turned.mov", rotation=90, aspect=Fraction(64, 45), frames=3),
    "no constant rate": Clip(
        "vfr.mkv", codec="ffv1", pts=lambda n: 512 * n + 99 * (n % 2), frames=4
    ),
    "HDR in 10 bits": Clip(
        "hdr.mkv", codec="ffv1", format="yuv420p10le", tags=(9, 16, 9, 1), frames=3
    ),
    "fields": Clip("fields.mkv", codec="ffv1", format="yuv422p", field_order="tff", frames=3),
    "alpha": Clip("alpha.mkv", codec="ffv1", format="yuva444p10le", frames=3),
    "gray": Clip("gray.mkv", codec="ffv1", format="gray10le", frames=3),
}


@pytest.mark.parametrize("name", ODD)
def test_of_every_kind_of_clip_the_sheet_holds_what_a_run_writes(name: str, tmp_path: Path) -> None:
    clip = ODD[name]
    source, look = write(clip, tmp_path), tmp_path / "look.png"
    clean = tmp_path / f"clean{source.suffix}"
    same = ("--codec", "rawvideo" if source.suffix == ".mov" else "ffv1", *FAST)
    assert cli.status(["run", str(source), "-o", str(clean), *same]) == 0
    frame, (width, height) = clip.frames - 1, clip.size
    asked = ("--at", f"{frame}f", "--region", f"0,0,{width},{height}", "--zoom", "1")
    assert cli.status(["preview", str(source), "-o", str(look), *same, *asked]) == 0
    for path in (source, clean):
        info = probe(path)
        whole = upright(shown(rgb_float(planes(path)[frame], info.format, info)), info)
        assert holds(picture(look), whole)


def test_hard_spots_of_the_smallest_clips_are_found(tmp_path: Path) -> None:
    """And of those that are far higher than wide more than a strip is shown."""
    shapes = {}
    for name in ("two frames of two pixels", "tall", "one frame"):
        source, look = write(ODD[name], tmp_path), tmp_path / f"{name}.png"
        args = ["preview", str(source), "-o", str(look), *FAST[:-2], "--zoom", "1"]
        assert cli.status(args) == 0
        shapes[name] = picture(look).shape
    assert shapes["tall"][0] > 300


def test_pictures_that_do_not_fit_beside_each_other_go_on_below() -> None:
    wide = [Cell(np.full((9, 700, 3), (n, 255, 0), np.uint8), "a caption") for n in range(7)]
    assert [len(line) for line in lines_of_cells(wide)] == [3, 3, 1]
    found = sheet("title", ["line"], [Row("here", "", np.zeros((10, 10, 3), np.uint8), wide)])
    assert found.shape[1] <= 2800
    assert all((found == cell.picture[0, 0]).all(-1).sum() == 9 * 700 for cell in wide)


def test_captions_of_small_pictures_are_whole() -> None:
    small = Cell(np.zeros((8, 8, 3), np.uint8), "source")
    larger = Cell(np.zeros((8, 200, 3), np.uint8), "source")
    letters = [np.argwhere((strip([cell])[8:] > 60).any(0).any(-1)) for cell in (small, larger)]
    assert np.array_equal(*letters)


@pytest.mark.parametrize("view", get_args(PreviewView))
def test_every_view_shows_something_of_its_own(source: Path, tmp_path: Path, view: str) -> None:
    look = tmp_path / f"{view}.webp"
    args = ["preview", str(source), "-o", str(look), *FAST, "--at", "3f", "--view", view]
    mask = ("--mask", "left=rect:0%,0%,50%,100%")
    assert cli.status([*args, *(mask if view == "mask" else ())]) == 0
    sheet = picture(look)
    assert sheet[100:, 380:].std() > 10


def test_hard_spots_are_found_and_the_name_is_free(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in.preview.png", "in.preview-2.png"):
        assert cli.status(["preview", str(source), *FAST, "--temporal", "none"]) == 0
        assert capsys.readouterr().out.strip() == name
        assert (tmp_path / name).exists()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("view", ["wipe", "side"])
def test_a_movie_has_the_length_that_was_asked_for(source: Path, tmp_path: Path, view: str) -> None:
    look = tmp_path / "look.mp4"
    args = ["preview", str(source), "-o", str(look), *FAST, "--at", "0.04", "--seconds", "0.12"]
    assert cli.status([*args, "--view", view, "--temporal", "none"]) == 0
    with av.open(str(look)) as movie:
        frames = [frame.width for frame in movie.decode(video=0)]
    side_by_side = 2 * SIZE[0] + 14
    assert len(frames) == 3 and (frames[0] == side_by_side) == (view == "side")
    assert SIZE[0] <= frames[0] <= side_by_side


MISUSED = {
    "past the end": (("--at", "12.5"), 2, "E02162"),
    "no such frame": (("--at", "8f"), 2, "E0220"),
    "no place": (("--at", "noon"), 2, "E02161"),
    "no mask": (("--at", "0", "--view", "mask"), 2, "E0267"),
    "no picture": (("-o", "look.gif"), 2, "E02160"),
    "a movie without a length": (("-o", "look.mp4"), 2, "E02165"),
    "no movie": (("-o", "look.png", "--seconds", "1"), 2, "E02165"),
    "nine presets": (("-p", "auto") * 9, 2, "E02164"),
    "beside the picture": (("--at", "0", "--region", "90,0,20,20"), 2, "E02166"),
    "an unknown preset": (("-p", "aut"), 2, "E0210"),
    "a setting of another form": (("-p", "auto 'luma=5"), 2, "E02163"),
    "no such folder": (("-o", "none/look.png"), 4, "E0402"),
    "it exists": (("-o", "there.png"), 4, "E0401"),
}


@pytest.mark.parametrize("name", MISUSED)
def test_what_cannot_be_shown_is_said(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.png").write_bytes(b"kept")
    args, status, code = MISUSED[name]
    assert cli.status(["preview", str(source), *FAST, *args]) == status
    assert f"{code} [exit {status}]" in capsys.readouterr().err.splitlines()[-1]
    assert [p.name for p in tmp_path.iterdir()] == ["there.png"]
    assert (tmp_path / "there.png").read_bytes() == b"kept"
