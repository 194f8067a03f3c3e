"""``vdenoise preview``: what is on the sheet is what a run writes."""

from __future__ import annotations

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
    assert len(frames) == 3 and frames[0] == (SIZE[0] if view == "wipe" else 2 * SIZE[0] + 14)


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
