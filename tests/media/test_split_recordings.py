"""A recording in several files: joined as docs/long.md says it is one clip; unjoined it is refused
with the way there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.errors import InputError
from vdenoise.media.probe import probe

OFF = ("--luma", "0", "--chroma", "0", "--codec", "ffv1", "--threads", "1")


def pictures(path: Path) -> list[NDArray[Any]]:
    with av.open(str(path)) as opened:
        return [frame.to_ndarray() for frame in opened.decode(video=0)]


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    return [
        write(Clip(f"part{n}.mkv", codec="ffv1", frames=5 + 2 * n, audio=("eng",)), tmp_path)
        for n in range(2)
    ]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")
def test_joined_by_ffmpeg_it_is_one_clip(parts: list[Path], tmp_path: Path) -> None:
    listed, joined, clean = (tmp_path / n for n in ("parts.txt", "joined.mkv", "clean.mkv"))
    listed.write_text("".join(f"file '{part}'\n" for part in parts))
    join = ["-f", "concat", "-safe", "0", "-i", str(listed), "-map", "0:v", "-map", "0:a"]
    subprocess.run(["ffmpeg", "-v", "error", *join, "-c", "copy", str(joined)], check=True)
    assert not cli.status(["run", str(joined), "-o", str(clean), *OFF])
    truth = [picture for part in parts for picture in pictures(part)]
    found = pictures(clean)
    assert len(found) == len(truth) == 12
    assert all(np.array_equal(a, b) for a, b in zip(found, truth, strict=True))


@pytest.mark.parametrize("first", ["", "ffconcat version 1.0\n"])
def test_a_list_of_parts_is_refused_with_the_way_there(
    parts: list[Path], first: str, tmp_path: Path
) -> None:
    listed = tmp_path / "parts.txt"
    listed.write_text(first + "".join(f"file '{part}'\n" for part in parts))
    with pytest.raises(InputError) as caught:
        probe(listed)
    assert "list of files" in str(caught.value) and "docs/long.md" in caught.value.hint


def test_parts_with_a_plus_are_refused_with_the_way_there(parts: list[Path]) -> None:
    with pytest.raises(InputError) as caught:
        probe(Path("+".join(map(str, parts))))
    assert "docs/long.md" in caught.value.hint


def test_a_file_that_is_missing_is_not_told_to_be_joined(parts: list[Path]) -> None:
    with pytest.raises(InputError) as caught:
        probe(Path(f"{parts[0]}+nothing.mkv"))
    assert caught.value.hint == "Check the path."
