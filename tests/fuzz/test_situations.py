"""What a farm's operator comes upon that no list of faults has: it is said before any work, nothing
of other people is lost, and nothing waits for ever."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.fuzz import GIVEN
from tests.fuzz.situations import call, last
from tests.helpers import images
from vdenoise.machine import engine
from vdenoise.nets.models import find
from vdenoise.workflows.contents import hashes


@pytest.fixture
def plan(clip: Path, tmp_path: Path) -> Path:
    path = tmp_path / "p.json"
    words = ("plan", clip, "-o", path, "--to", "o.mkv", *GIVEN, "--segment-frames", 2)
    assert call(*words) == 0
    return path


def test_what_others_laid_into_the_folder_of_a_run_in_parts_stays(
    clip: Path, tmp_path: Path
) -> None:
    work = tmp_path / "z.mkv.vdenoise-work"
    work.mkdir()
    (work / "mine.txt").write_text("x")
    for more in ((), ("--overwrite",)):
        assert call("run", clip, "-o", "z.mkv", *GIVEN, "--resume", *more) == 0
        assert [path.name for path in work.iterdir()] == ["mine.txt"]
    (other := tmp_path / "other").mkdir()
    shutil.rmtree(work)
    work.symlink_to(other)
    assert call("run", clip, "-o", "z.mkv", *GIVEN, "--resume", "--overwrite") == 0
    assert not list(other.iterdir())


@pytest.mark.parametrize("content", ["", "[]", "{}", "\0" * 500])
def test_a_report_that_a_power_cut_took_is_a_segment_to_do_again(content: str, plan: Path) -> None:
    assert call("run", "--plan", plan) == 0
    report = next(plan.with_suffix(".work").glob("seg_000001*.json"))
    report.write_text(content)
    assert call("farm", "status", "--plan", plan) == 75
    assert call("farm", "assemble", "--plan", plan) == 75
    assert call("run", "--plan", plan, "--resume") == 0
    assert json.loads(report.read_text())["segment"] == 1
    assert call("farm", "assemble", "--plan", plan) == 0


def test_a_recipe_that_is_a_folder_is_said_before_the_work(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "z.mkv.vdenoise.json").mkdir()
    for more in ((), ("--overwrite",)):
        assert call("run", clip, "-o", "z.mkv", *GIVEN, *more) == 4
        assert "E0424" in last(capsys)
    assert not (tmp_path / "z.mkv").exists()


@pytest.mark.parametrize("option", ["--profile", "--preset", "--cuts", "--model", "--mask"])
def test_a_device_is_no_file_of_anything(
    option: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "m=file:/dev/zero" if option == "--mask" else "/dev/zero"
    assert call("run", clip, "-o", "z.mkv", *GIVEN, option, name) in (2, 3)
    assert "error E" in last(capsys)
    assert call("run", "/dev/zero", "-o", "z.mkv", *GIVEN) == 3
    assert "E0386" in last(capsys)


def test_a_pipe_is_no_clip_of_a_batch(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "p.mkv")
    assert call("batch", "p.mkv", "-o", "out", *GIVEN) == 3
    assert "E0387" in last(capsys)


@pytest.mark.parametrize("line", ["[" * 100_000, "null", "9" * 5000, '{"event": 3, "output": [1]}'])
def test_a_journal_that_somebody_broke_is_read_as_far_as_it_goes(
    line: str, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "vdenoise-batch.jsonl").write_text(f"{line}\n")
    assert call("batch", clip, "-o", "out", *GIVEN, "--dry-run") == 0


def test_a_journal_that_is_a_folder_is_said_before_the_work(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "vdenoise-batch.jsonl").mkdir(parents=True)
    assert call("batch", clip, "-o", "out", *GIVEN) == 4
    assert "E0424" in last(capsys)


@pytest.mark.parametrize("way", [os.link, os.symlink])
def test_no_lines_are_added_to_somebodys_file(
    way: Callable[[Path, Path], None],
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The journal was appended to a clip that has its name, or that a link of its name leads to."""
    kept, other = clip.read_bytes(), tmp_path / "other.mkv"
    other.write_bytes(kept)
    (tmp_path / "out").mkdir()
    way(other, tmp_path / "out" / "vdenoise-batch.jsonl")
    assert call("batch", clip, "-o", "out", *GIVEN) == 4
    assert "E0471" in last(capsys) and other.read_bytes() == kept
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_report_replaces_reports_alone(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "out" / "vdenoise-batch.json"
    report.parent.mkdir()
    report.write_text('{"mine": 1}', "utf-8")
    assert call("batch", clip, "-o", "out", *GIVEN) == 4 and "E0472" in last(capsys)
    assert report.read_text("utf-8") == '{"mine": 1}' and len(list(report.parent.iterdir())) == 1
    report.write_text('{"kind": "vdenoise-batch"}', "utf-8")
    assert call("batch", clip, "-o", "out", *GIVEN) == 0
    assert "done" in report.read_text("utf-8")


@pytest.mark.parametrize("missing", ["refuse", "hold"])
def test_a_number_far_away_is_no_billion_frames(
    missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plate = images.sequence(tmp_path, "png-8", frames=2)
    first = tmp_path / plate.name.replace("####", "1001")
    shutil.copy(first, tmp_path / plate.name.replace("####", "9" * 12))
    words = ("run", plate, "-o", tmp_path / "o.####.png", *GIVEN)
    assert call(*words, "--on-missing", missing) == 3
    said = capsys.readouterr().err
    assert "E0314" in said and "more between 1001 and 999999999999" in said
    assert "See whether the last number belongs there" in said
    assert call(*words, "--on-missing", "skip", "--frames", "1001-99999999999999") == 2
    assert "E0220" in last(capsys)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_no_image_of_a_sequence(
    make: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plate = images.sequence(tmp_path, "png-8", frames=3)
    second = tmp_path / plate.name.replace("####", "1002")
    second.unlink()
    make(second)  # type: ignore[operator]
    assert call("run", plate, "-o", tmp_path / "o.####.png", *GIVEN) == 3
    assert "lacks frame 1002" in last(capsys)


def test_no_library_is_asked_for_more_threads_than_it_can(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", clip, "-o", "z.mkv", *GIVEN, "--threads", "100000") == 2
    assert "1024" in last(capsys)


@pytest.mark.parametrize(
    ("variable", "value", "status"),
    [
        ("VDENOISE_LUMA", "abc", 2),
        ("VDENOISE_PROGRESS", "x", 2),
        ("VDENOISE_MASK", "m=file:none.png", 3),
        ("VDENOISE_NOISE_OUT", "none/n.mkv", 4),
        ("VDENOISE_DEVICE", "cuda:99", 5),
    ],
)
def test_what_only_the_environment_says_is_named(
    variable: str,
    value: str,
    status: int,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert call("run", clip, "-o", "z.mkv", *GIVEN) == status
    assert f"Set in the environment: {variable}." in capsys.readouterr().err


def test_a_recipe_that_somebody_broke_is_none(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", clip, "-o", "out/a_dn.mkv", *GIVEN) == 4  # no such folder
    (tmp_path / "out").mkdir()
    assert call("run", clip, "-o", "out/a_dn.mkv", *GIVEN) == 0
    recipe = tmp_path / "out" / "a_dn.mkv.vdenoise.json"
    good = json.loads(recipe.read_text())
    wrong = [{**good, key: value} for key in good for value in (None, [1], {}, "x\0")]
    for text in ("null", "[]", "{" * 5000, "\0", *map(json.dumps, wrong)):
        recipe.write_text(text)
        assert call("batch", clip, "-o", "out", *GIVEN, "--dry-run") in (0, 10), text[:200]
        assert "Traceback" not in capsys.readouterr().err


def test_a_recipe_says_which_weights_and_what_computed(clip: Path, tmp_path: Path) -> None:
    weights = find("S").path
    assert call("run", clip, "-o", "z.mkv", *GIVEN, "--model", "S", "--frames", "0-0") == 0
    told = json.loads((tmp_path / "z.mkv.vdenoise.json").read_text())
    assert told["files"] == hashes({"a file of net": [weights]})
    assert engine.fingerprint("cpu") == told["engine"]
