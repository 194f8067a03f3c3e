"""Names that something has already, for every kind of file that is written: what is locked, what a
link leads to and what is no file stays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fuzz import GIVEN
from tests.fuzz.situations import call, last
from vdenoise.workflows.contents import FrameChecks

RUN = ("run", "a.mkv", "-o", "z.mkv", *GIVEN)
# What writes a file of this name.
WRITERS = {
    "x.png": ("preview", "a.mkv", "--at", "0f", *GIVEN, "-o"),
    "x.mp4": ("preview", "a.mkv", "--seconds", "0.1", *GIVEN, "-o"),
    "y.png": ("compare", "a.mkv", "a.mkv", "-o"),
    "x.csv": ("evaluate", "a.mkv", "--model", "none", "--noise", "clean", "--csv"),
    "x.json": ("profile", "build", "a.mkv", "-o"),
    "x.txt": (*RUN, "--write-cuts"),
    "x.mkv": (*RUN, "--noise-out"),
    "p.json": ("plan", "a.mkv", "--to", "z.mkv", *GIVEN, "-o"),
    "q.png": ("analyze", "a.mkv", "--hot-map-out"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_locked_or_not_mounted_is_not_replaced(
    name: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*WRITERS[name], name)
    Path(name).write_bytes(b"locked")
    Path(name).chmod(0o444)
    for more, said in ((), "E0401"), (("--overwrite",), "E0430"):
        assert call(*words, *more) == 4 and said in last(capsys)
        assert Path(name).read_bytes() == b"locked"
    Path(name).unlink()
    Path(name).symlink_to(f"/not/mounted/{name}")
    assert call(*words) == 4 and "E0401" in last(capsys)
    assert Path(name).is_symlink() and not Path("z.mkv").exists()


@pytest.mark.parametrize("name", ["x.png", "x.mp4", "y.png", "q.png"])
def test_a_pipe_in_the_place_of_a_picture_stays(
    name: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(name)
    for more in ((), ("--overwrite",)):
        assert call(*WRITERS[name], name, *more) == 4
        assert "E0426" in last(capsys) and Path(name).is_fifo()


def test_the_recipe_of_what_a_link_leads_to_stays(clip: Path) -> None:
    """The clip that the link leads to stays, and so does what tells of it."""
    Path("v1").mkdir()
    assert call("run", "a.mkv", "-o", "v1/z.mkv", *GIVEN) == 0
    ends = ("z.mkv", "z.mkv.vdenoise.json")
    before = [Path("v1", end).read_bytes() for end in ends]
    for end in ends:
        Path(end).symlink_to(Path("v1", end))
    assert call(*RUN, "--luma", "30", "--overwrite") == 0
    assert [Path("v1", end).read_bytes() for end in ends] == before
    assert not any(Path(end).is_symlink() for end in ends)


def test_a_run_in_parts_takes_no_strangers_recipe(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("z.mkv.vdenoise.json").write_text("{}", "utf-8")
    assert call(*RUN, "--resume") == 4 and "E0401" in last(capsys)
    assert Path("z.mkv.vdenoise.json").read_text("utf-8") == "{}"


def test_a_clip_has_no_name_before_what_is_beside_it(clip: Path) -> None:
    assert call(*RUN, "--grain-table", "/dev/full") == 4
    assert not list(Path().glob("*z.mkv*"))


@pytest.mark.parametrize("name", ["z.mkv", "z.####.png"])
def test_what_another_run_has_made_meanwhile_stays(
    name: str, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Images of two runs were mixed, each with exit 0."""
    watch, made = FrameChecks.watch, Path(name.replace("####", "0001"))

    def watched(self: FrameChecks, done: Any) -> None:
        if done[0].index == 1:
            made.write_bytes(b"another's")
        watch(self, done)

    monkeypatch.setattr(FrameChecks, "watch", watched)
    assert call("run", "a.mkv", "-o", name, *GIVEN) == 4
    assert f"E0401 [exit 4] {made} exists already" in last(capsys)
    assert made.read_bytes() == b"another's" and not list(Path().glob("*.json"))


def test_a_pipe_where_a_recipe_may_lie_is_none(clip: Path) -> None:
    """It was waited for, though nobody had named it."""
    assert call(*RUN) == 0
    Path("z.mkv.vdenoise.json").unlink()
    os.mkfifo("z.mkv.vdenoise.json")
    os.mkfifo("other.mkv.vdenoise.json")
    assert call("verify", "a.mkv", "z.mkv") == 0
    assert call("qc", "a.mkv", "z.mkv") == 0


def test_maps_are_movies(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The hint was to leave options away that nobody had typed."""
    assert call(*RUN, "--matte-out", "m.####.png") == 2
    assert "E02231" in last(capsys) and not Path("z.mkv").exists()
