"""What is read is what was looked at first: where somebody changes a clip under the work, nothing
gets the final name, and the error says what happened."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fuzz import GIVEN
from tests.fuzz.situations import call, last
from tests.helpers import images
from tests.helpers.clips import Clip, write
from vdenoise.farm import assemble as joining
from vdenoise.media.images.sequence import find
from vdenoise.workflows import prepare
from vdenoise.workflows.contents import FrameChecks, sha256_of

FRAMES = 12
Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: Patch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write(Clip("a.mkv", "ffv1", frames=FRAMES, audio=("eng",)), tmp_path)


def in_mid_work(monkeypatch: Patch, change: Callable[[], object]) -> None:
    """Let somebody do something while the second frame is done."""
    watch, seen = FrameChecks.watch, []

    def watched(self: FrameChecks, done: Any) -> None:
        seen.append(done)
        if len(seen) == 2:
            change()
        watch(self, done)

    monkeypatch.setattr(FrameChecks, "watch", watched)


def other(folder: Path, frames: int, name: str = "other") -> Path:
    """Another clip of the same kind."""
    (folder / name).mkdir()
    return write(Clip("a.mkv", "ffv1", frames=frames, audio=("deu",)), folder / name)


def renamed_over(new: Path, old: Path) -> None:
    new.replace(old)


def written_over(new: Path, old: Path) -> None:
    old.write_bytes(new.read_bytes())


@pytest.mark.parametrize("frames", [FRAMES - 4, FRAMES, FRAMES + 4])
@pytest.mark.parametrize("put", [renamed_over, written_over])
def test_a_movie_that_is_replaced_while_it_is_denoised(
    put: Callable[[Path, Path], None],
    frames: int,
    clip: Path,
    tmp_path: Path,
    monkeypatch: Patch,
    capsys: Capture,
) -> None:
    new = other(tmp_path, frames)
    in_mid_work(monkeypatch, lambda: put(new, clip))
    status = call("run", clip, "-o", "z.mkv", *GIVEN)
    grown = put is written_over and frames > FRAMES
    assert status == (3 if grown else 10)
    assert ("E0319" if grown else "E1004") in last(capsys)
    assert not list(tmp_path.glob("*z.mkv*"))


@pytest.mark.parametrize("frames", [FRAMES - 4, FRAMES])
def test_a_movie_that_is_replaced_while_it_is_measured(
    frames: int, clip: Path, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    """It was frames that the clip has not, with a hint to name others (E0220)."""
    measure, new = prepare.measure, other(tmp_path, frames)

    def measured(*given: Any, **more: Any) -> Any:
        found = measure(*given, **more)
        renamed_over(new, clip)
        return found

    monkeypatch.setattr(prepare, "measure", measured)
    words = ("--speed", "veryfast", "--temporal-radius", 1)
    assert call("run", clip, "-o", "z.mkv", *words) == 10
    assert "E1004" in last(capsys)
    assert not list(tmp_path.glob("*z.mkv*"))


def touched(path: Path) -> None:
    os.utime(path)


def copied_over(path: Path) -> None:
    path.write_bytes(path.read_bytes())


def brought_again(path: Path) -> None:
    shutil.copy(path, new := path.with_suffix(".new"))
    new.replace(path)


def linked(path: Path) -> None:
    os.link(path, path.with_suffix(".link"))


@pytest.mark.parametrize("what", [touched, copied_over, brought_again, linked])
def test_a_movie_that_is_the_same_all_the_while(
    what: Callable[[Path], None], clip: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    in_mid_work(monkeypatch, lambda: what(clip))
    assert call("run", clip, "-o", "z.mkv", *GIVEN) == 0
    told = json.loads((tmp_path / "z.mkv.vdenoise.json").read_text())
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert told["input"]["bytes"] == clip.stat().st_size
    assert call("replay", "z.mkv", "-o", "y.mkv") == 0


def test_a_movie_that_is_taken_away(
    clip: Path, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    in_mid_work(monkeypatch, clip.unlink)
    assert call("run", clip, "-o", "z.mkv", *GIVEN) == 3
    assert "E0301" in last(capsys)
    assert not list(tmp_path.glob("*z.mkv*"))


@pytest.mark.parametrize("target", ["z.mkv", "z.####.png"])
@pytest.mark.parametrize("position", [0, FRAMES // 2])
def test_an_image_that_is_replaced_while_a_sequence_is_read(
    position: int, target: str, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    """Those that were written before it are whole, and stay; no recipe says that all is done."""
    plate = images.sequence(tmp_path / "in", "png-8", frames=FRAMES)
    found = find(plate)
    in_mid_work(
        monkeypatch, lambda: shutil.copy(found.source(position + 1), found.source(position))
    )
    assert call("run", plate, "-o", tmp_path / target, *GIVEN) == 10
    said = last(capsys)
    assert "E1004" in said and found.source(position).name in said
    made = sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("z"))
    if target.endswith("png"):
        before = [f"z.{n}.png" for n in found.numbers[: position or FRAMES]]
        assert made == before[: len(made)] and (position or made == before)
    else:
        assert not made
    assert not list(tmp_path.glob(".*"))


def test_a_mask_that_is_changed_while_it_is_used(
    clip: Path, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    mask = write(Clip("m.mkv", "ffv1", frames=FRAMES), tmp_path)
    in_mid_work(monkeypatch, lambda: other(tmp_path, FRAMES, "masks").replace(mask))
    assert call("run", clip, "-o", "z.mkv", *GIVEN, "--mask", f"m=file:{mask}") == 10
    said = last(capsys)
    assert "E1025" in said and "The mask m" in said
    assert not list(tmp_path.glob("*z.mkv*"))


def test_what_becomes_of_a_list_of_cuts_that_was_read_decides_nothing(
    clip: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    (cuts := tmp_path / "cuts.txt").write_text("5\n")
    digest = sha256_of(cuts)
    in_mid_work(monkeypatch, lambda: cuts.write_text("7\n"))
    assert call("run", clip, "-o", "z.mkv", *GIVEN[:-4], "--sigma", 5, "--cuts", cuts) == 0
    told = json.loads((tmp_path / "z.mkv.vdenoise.json").read_text())
    assert told["cuts"] == [5] and digest not in told["files"].values()
    assert list(told["files"]) == ["--cuts"]


def test_a_replay_of_a_clip_that_is_replaced(
    clip: Path, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    assert call("run", clip, "-o", "z.mkv", *GIVEN) == 0
    from vdenoise.workflows import replay

    check, new = replay.frame_check, other(tmp_path, FRAMES)

    def checked(planes: Any) -> str:
        if new.exists():
            renamed_over(new, clip)
        return check(planes)

    monkeypatch.setattr(replay, "frame_check", checked)
    assert call("replay", "z.mkv", "-o", "y.mkv") == 10
    assert "E1004" in last(capsys) and not list(tmp_path.glob("*y.mkv*"))


@pytest.mark.parametrize("which", ["clean.mkv", "noise.mkv"])
def test_what_is_put_together_again_and_is_replaced_meanwhile(
    which: str, clip: Path, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    words = ("run", clip, "-o", "clean.mkv", *GIVEN, "--noise-out", "noise.mkv")
    assert call(*words) == 0
    Path("other").mkdir()
    assert call("run", clip, "-o", "other/clean.mkv", *GIVEN, "--luma", 50, "--noise-out",
                "other/noise.mkv") == 0  # fmt: skip
    from vdenoise.workflows import restore

    add, new = restore.with_noise, Path("other", which)

    def added(*given: Any) -> Any:
        if new.exists():
            renamed_over(new, Path(which))
        return add(*given)

    monkeypatch.setattr(restore, "with_noise", added)
    assert call("restore", "clean.mkv", "noise.mkv", "-o", "y.mkv") == 10
    said = last(capsys)
    assert "E1004" in said and which in said and not list(tmp_path.glob("*y.mkv*"))


def planned(source: Path, target: str) -> Path:
    words = ("--to", target, "--segment-frames", 4, *GIVEN)
    assert call("plan", source, "-o", "p.json", *words) == 0
    assert call("run", "--plan", "p.json") == 0
    return Path("p.json")


def test_a_source_that_is_replaced_while_its_segments_are_joined(
    clip: Path, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    plan, new = planned(clip, "z.mkv"), other(tmp_path, FRAMES)
    write_record = joining.write_record

    def written(*given: Any) -> None:
        renamed_over(new, clip)
        write_record(*given)

    monkeypatch.setattr(joining, "write_record", written)
    assert call("farm", "assemble", "--plan", plan) == 10
    assert "E1004" in last(capsys) and not list(tmp_path.glob("*z.mkv*"))


def test_images_that_are_another_version_than_their_segments(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    """Joining images reads none of them: the recipe told of the new ones."""
    monkeypatch.chdir(tmp_path)
    plate = images.sequence(tmp_path / "in", "png-8", frames=4)
    plan, found = planned(plate, "z.####.png"), find(plate)
    shutil.copy(found.source(2), found.source(1))
    assert call("farm", "assemble", "--plan", plan) == 10
    said = last(capsys)
    assert "E1004" in said and found.source(1).name in said
    assert not list(tmp_path.glob("z.*json"))


def test_a_run_in_parts_of_a_clip_that_is_replaced(
    clip: Path, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    from vdenoise.farm import resumable

    collect, new = resumable.collect, other(tmp_path, FRAMES)

    def collected(job: Any) -> Any:
        renamed_over(new, clip)
        return collect(replace(job))

    monkeypatch.setattr(resumable, "collect", collected)
    assert call("run", clip, "-o", "z.mkv", *GIVEN, "--resume") == 10
    assert "E1004" in last(capsys) and not (tmp_path / "z.mkv").exists()
