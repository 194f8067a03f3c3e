"""A map of a camera's hot pixels: found in one clip, used on another that cannot tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samples import damage
from tests.cli.test_repair import FAST, read, written
from vdenoise import cli
from vdenoise.stages.hot.known import bad_pixels

HEIGHT, WIDTH = 96, 128
OFF = ("--luma", "0", "--chroma", "0")


def panned(frames: int) -> np.ndarray:
    """(T, H, W, 3): shapes that a camera passes, with a little noise."""
    rng = np.random.default_rng(4)
    ys, xs = np.mgrid[0:HEIGHT, 0 : WIDTH + 3 * frames].astype(np.float32)
    wide = 0.45 + 0.15 * np.sin(xs / 6) * np.cos(ys / 8) + 0.1 * np.sign(np.sin(xs / 23 + ys / 31))
    clean = np.stack([wide[:, 3 * t : 3 * t + WIDTH] for t in range(frames)])[..., None]
    clean = clean.repeat(3, -1) + rng.normal(0, 1 / 255, (frames, HEIGHT, WIDTH, 1))
    return clean.astype(np.float32)


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """The map that ``analyze`` made of a clip, and where its pixels are bad."""
    folder = tmp_path_factory.mktemp("camera")
    bad, where = damage.hot_pixels(panned(20), 6, count=15)
    clip, found = written(folder / "long.mkv", bad), folder / "camera.png"
    words = ["analyze", str(clip), "--hot-map-out", str(found), "--progress", "none"]
    assert cli.status(words) == 0
    strong = where & ((bad - panned(20)).mean((0, 3)) > 0.06)
    return found, strong


def test_it_holds_what_shines_and_nothing_else(camera: tuple[Path, np.ndarray]) -> None:
    marked = bad_pixels(str(camera[0]))
    assert marked.shape == (HEIGHT, WIDTH)
    assert marked[camera[1]].mean() > 0.8
    assert marked.sum() < 25


def test_a_single_frame_is_repaired_by_it(camera: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    found, strong = camera
    clean = panned(1)
    bad, _ = damage.hot_pixels(clean, 6, count=15)
    source, target = written(tmp_path / "still.mkv", bad), tmp_path / "done.mkv"
    words = ["run", str(source), "-o", str(target), "--hot-map", str(found), *FAST, *OFF]
    assert cli.status(words) == 0
    truth = read(written(tmp_path / "clean.mkv", clean))
    before, after = read(source), read(target)
    assert np.array_equal(before[:, ~bad_pixels(str(found))], after[:, ~bad_pixels(str(found))])
    there = strong & bad_pixels(str(found))
    error = [np.sqrt(((x - truth)[:, there] ** 2).mean()) for x in (before, after)]
    assert error[1] < 0.3 * error[0]


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (["--hot-map", "gone.png"], "E0361"),
        (["--hot-map", "words.png"], "E0362"),
        (["--hot-map", "small.png"], "E02224"),
        (["--hot-map", "right.png", "--interlaced", "fields"], "E02225"),
    ],
)
def test_what_is_no_map_of_it_is_said_before_the_start(
    typed: list[str],
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import cv2

    monkeypatch.chdir(tmp_path)
    source = written(Path("clip.mkv"), panned(2))
    Path("words.png").write_text("no picture")
    cv2.imwrite("small.png", np.zeros((8, 8), np.uint8))
    cv2.imwrite("right.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    assert cli.status(["run", str(source), "-o", "out.mkv", *FAST, *typed]) in (2, 3)
    assert code in capsys.readouterr().err
    assert not Path("out.mkv").exists()


@pytest.mark.parametrize(
    ("name", "more", "code"),
    [
        ("map.tif", (), "E02226"),
        ("map.png", ("--interlaced", "fields"), "E02227"),
        ("away/map.png", (), "E0402"),
        ("map.png", (), "E02228"),
    ],
)
def test_what_cannot_become_a_map_is_said_first(
    name: str,
    more: tuple[str, ...],
    code: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = written(tmp_path / "clip.mkv", panned(2))
    words = ["analyze", str(source), "--hot-map-out", str(tmp_path / name), *more]
    assert cli.status([*words, "--progress", "none"]) == int(code[1:3])
    assert code in capsys.readouterr().err
    assert not (tmp_path / name).exists()
