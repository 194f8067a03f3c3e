"""Stills of phones and cameras: one picture is read, and no tile is taken for the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers import image_files as files
from tests.helpers import images
from tests.helpers.heif import SIZE, still
from vdenoise import cli

ZERO = ("--sigma", "5", "--cuts", "off", "--spatial", "gaussian", "--luma", "0", "--chroma", "0")


@pytest.mark.parametrize("name", ["a.heic", "a.hif", "a.mp4"])
def test_a_picture_in_tiles_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = still(tmp_path / name, (0, 1), grid=True)
    assert cli.status(["run", str(source), "-o", str(tmp_path / "b.png"), *ZERO]) == 3
    assert "is a picture in tiles (a HEIF grid)" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("primary", [1, 2])
def test_the_picture_of_a_still_is_the_one_it_is_about(primary: int, tmp_path: Path) -> None:
    source = still(tmp_path / "a.heic", (3, 7), primary=primary)
    assert cli.status(["run", str(source), "-o", str(tmp_path / "b.png"), *ZERO]) == 0
    found = images.read(tmp_path / "b.png")[1] / 257
    assert found.shape == (SIZE[1], SIZE[0], 3)
    wrong, right = (
        np.abs(found - files.codes(number=n)).mean() for n in ((7, 3), (3, 7))[primary - 1]
    )
    assert right < wrong / 2


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("urn:mpeg:hevc:2015:auxid:1", "alpha"),
        ("urn:mpeg:hevc:2015:auxid:2", "a depth map"),
        ("urn:mpeg:mpegB:cicp:systems:auxiliary:depth", "a depth map"),
        ("urn:com:apple:photo:2020:aux:hdrgainmap", "a gain map"),
        ("urn:somebody:else", "a picture of the kind urn:somebody:else"),
        ("", "a further picture"),
    ],
)
@pytest.mark.parametrize("target", ["b.png", "b.mkv"])
def test_what_is_beside_a_still_is_called_what_it_is(
    kind: str, named: str, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = still(tmp_path / "a.heic", (3, 7), beside=kind)
    line = ["run", str(source), "-o", str(tmp_path / target), *ZERO, "--dry-run"]
    assert cli.status(line) == 0
    told = capsys.readouterr().err
    assert f"pictures and data beside a still ({named})" in told
    assert "video stream" not in told
    assert cli.status([*line, "--strict"]) == 4
