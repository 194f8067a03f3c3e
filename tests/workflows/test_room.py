"""What a run writes is estimated, and refused where the disk cannot hold it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers import images
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.media.writer import open_writer
from vdenoise.workflows.prepare import choose
from vdenoise.workflows.room import size_of

FAST = ("--speed", "veryfast", "--temporal-radius", "1", "--threads", "1")
KINDS = (
    ("in.mov", "prores_ks", "yuv422p10le"),
    ("in.mov", "dnxhd", "yuv422p"),
    ("in.mkv", "ffv1", "yuv420p"),
    ("in.avi", "rawvideo", "yuv420p"),
    ("in.mkv", "libx264", "yuv420p"),
)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how many bytes are free, everywhere."""

    def free(size: float) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, int(size)))

    return free


@pytest.mark.parametrize(("name", "codec", "layout"), KINDS)
def test_a_file_lies_between_what_is_said_least_and_twice_what_is_likely(
    name: str, codec: str, layout: str, tmp_path: Path
) -> None:
    """Of noise, which is the most that a codec is ever given."""
    options = {"profile": "dnxhr_hq"} if codec == "dnxhd" else {}
    clip = Clip(name, codec=codec, format=layout, size=(256, 144), frames=8, options=options)
    info = probe(write(clip, tmp_path))
    encode = choose(info, out := tmp_path / f"out{Path(name).suffix}")
    with Reader(info) as reader, open_writer(info, out, encode, positions=range(8)) as writer:
        for frame in reader:
            writer.write(frame, frame.planes)
    writer.commit()
    size = size_of(info, encode, 8)
    assert size.least <= out.stat().st_size
    assert encode.crf is not None or out.stat().st_size <= 2 * size.likely + 4096


@pytest.mark.parametrize("kind", ["dpx-10", "dpx-12"])
def test_images_without_compression_are_known_to_the_header(kind: str, tmp_path: Path) -> None:
    """But for what DPX fills up: three samples of ten bits are four bytes, twelve bits two."""
    info = probe(images.sequence(tmp_path / "in", kind, frames=2))
    assert info.sequence is not None
    encode = choose(info, tmp_path / f"out.####{info.path.suffix}")
    told = size_of(info, encode, 1)
    assert told.least == told.likely
    assert told.least <= info.sequence.source(0).stat().st_size <= 1.34 * told.least + 8192


@pytest.mark.parametrize("more", [(), ("--resume",)])
def test_a_disk_without_room_is_said_with_numbers(
    more: tuple[str, ...],
    tmp_path: Path,
    disk: Callable[[float], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = write(Clip("in.mkv", codec="ffv1"), tmp_path)
    words = ["run", str(source), "-o", str(tmp_path / "out.mkv"), *FAST, *more]
    size = size_of(probe(source), choose(probe(source), tmp_path / "out.mkv"), 12)
    disk(size.least / 2)
    assert cli.status(words) == 4
    said = capsys.readouterr().err
    assert "E0419" in said and f"{size.least / 2e6:.0f} MB" in said
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]
    disk(size.likely / 2)
    assert cli.status([*words, "--progress", "json"]) == 0
    assert "may take" in capsys.readouterr().err


def test_a_dry_run_says_how_much_room_is_needed(
    tmp_path: Path, disk: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(Clip("in.mkv"), tmp_path)
    disk(123e9)
    assert cli.status(["run", str(source), "-o", str(tmp_path / "o.mkv"), "--dry-run"]) == 0
    assert "123.0 GB free in" in capsys.readouterr().out
