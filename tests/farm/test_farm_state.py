"""How far a job is, and what is removed of one that is joined."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from tests.helpers import images
from tests.helpers.clips import Clip, write
from vdenoise import cli

KNOWN = ("--speed", "veryfast", "--spatial", "gaussian", "--sigma", 8, "--cuts", "off")


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(Clip("in.mkv", "ffv1", frames=8, time_base=Fraction(1, 1000)), tmp_path)


@pytest.fixture
def plan(clip: Path, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    assert call("plan", clip, "-o", path, "--segment-frames", 4, *KNOWN) == 0
    return path


@pytest.fixture
def joined(plan: Path) -> Path:
    assert call("run", "--plan", plan) == call("farm", "assemble", "--plan", plan) == 0
    return plan


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def told(plan: Path, capsys: pytest.CaptureFixture[str], code: int) -> dict[str, object]:
    capsys.readouterr()
    assert call("farm", "status", "--plan", plan, "--json") == code
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_status_tells_of_every_segment(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = plan.with_suffix(".work")
    assert told(plan, capsys, 75)["stage"] == "denoise"
    assert call("run", "--plan", plan, "--segments", 0) == 0
    (part := work / ".seg_000001_0000004-0000007.mkv.1.abcdef.partial").touch()
    first, second = told(plan, capsys, 75)["segments"]  # type: ignore[misc]
    assert (first["state"], first["frames"]) == ("done", [0, 3])
    assert first["bytes"] > 0 and first["host"] and first["engine"]["vdenoise"]
    assert second["state"] == "begun" and 0 <= second["idle_seconds"] < 600
    part.unlink()
    assert call("run", "--plan", plan, "--resume") == 0
    assert told(plan, capsys, 0)["stage"] == "join"
    clip = next(work.glob("seg_000001*.mkv"))
    data = bytearray(clip.read_bytes())
    data[-1] ^= 1
    clip.write_bytes(data)
    assert call("farm", "status", "--plan", plan, "--quick") == 0  # its size alone is as it was
    found = told(plan, capsys, 75)
    assert found["missing"] == [1] and found["segments"][1]["state"] == "damaged"  # type: ignore[index]
    assert call("farm", "status", "--plan", plan, "--each") == 75
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("segment")]
    assert "0-3  done     4 frames" in lines[0] and lines[1].endswith("damaged")


def test_segments_of_another_plan_are_told_beside_the_rest(
    plan: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, work = tmp_path / "other.json", tmp_path / "plan.work"
    to = ("-o", other, "--to", tmp_path / "other.mkv", "--segment-frames", 4, "--luma", 50)
    assert call("plan", clip, *to, *KNOWN) == 0
    assert call("run", "--plan", other, "--work", work, "--segments", 1) == 0
    found = told(plan, capsys, 10)
    assert [one["state"] for one in found["segments"]] == ["missing", "foreign"]  # type: ignore[attr-defined]
    before = names(work)
    assert call("farm", "clean", "--plan", plan, "--given-up", "--yes") == 0
    assert names(work) == before  # of the other plan


def test_what_a_joined_clip_needs_no_longer_is_removed(
    joined: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work, outputs = tmp_path / "plan.work", {"in_dn.mkv", "in_dn.mkv.vdenoise.json"}
    (work / ".seg_000001_0000004-0000007.mkv.1.abcdef.partial").touch()
    before = names(tmp_path)
    capsys.readouterr()
    assert call("farm", "clean", "--plan", joined, "--dry-run") == 0
    assert len(capsys.readouterr().out.splitlines()) == 5 and names(tmp_path) == before
    assert call("farm", "clean", "--plan", joined) == 2  # nobody to ask
    assert "--yes" in capsys.readouterr().err and names(tmp_path) == before
    assert call("farm", "clean", "--plan", joined, "--yes") == 0
    assert names(tmp_path) == {"in.mkv", "plan.json", *outputs} and not work.exists()
    # Whatever a farm sends again finds that all is done.
    assert told(joined, capsys, 0)["stage"] == "joined"
    for words in (("run",), ("run", "--segments", 1), ("farm", "assemble")):
        assert call(*words, "--plan", joined, "--resume") == 0
    assert call("farm", "clean", "--plan", joined, "--yes") == 0
    assert names(tmp_path) == {"in.mkv", "plan.json", *outputs}


def test_what_a_person_laid_there_stays(
    joined: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plan.work" / "notes.txt").touch()
    assert call("farm", "clean", "--plan", joined, "--yes") == 0
    assert names(tmp_path / "plan.work") == {"notes.txt"}
    assert "notes.txt" in capsys.readouterr().err


@pytest.mark.parametrize("lost", ["in_dn.mkv", "in_dn.mkv.vdenoise.json", "changed"])
def test_segments_stay_while_the_clip_is_not_there(
    joined: Path, tmp_path: Path, lost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if lost == "changed":
        (tmp_path / "in_dn.mkv").write_bytes(b"of someone else")
    else:
        (tmp_path / lost).unlink()
    before = names(tmp_path)
    assert call("farm", "clean", "--plan", joined, "--yes") == 10
    assert "--given-up" in capsys.readouterr().err and names(tmp_path) == before
    assert call("farm", "clean", "--plan", joined, "--yes", "--given-up") == 0
    assert not (tmp_path / "plan.work").exists()
    assert names(tmp_path) == {name for name in before if "plan.work" not in name}


def test_a_removed_noise_clip_keeps_the_segments(clip: Path, tmp_path: Path) -> None:
    plan, noise = tmp_path / "plan.json", tmp_path / "noise.mkv"
    assert call("plan", clip, "-o", plan, "--noise-out", noise, *KNOWN) == 0
    assert call("run", "--plan", plan) == call("farm", "assemble", "--plan", plan) == 0
    noise.unlink()
    assert call("farm", "clean", "--plan", plan, "--yes") == 10
    assert call("farm", "assemble", "--plan", plan, "--overwrite") == 0 and noise.exists()
    assert call("farm", "clean", "--plan", plan, "--yes") == 0


def test_a_measurement_made_later_goes_too_and_is_not_made_again(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, known = tmp_path / "plan.json", (*KNOWN, "--analyze", "later")
    assert call("plan", clip, "-o", plan, *known) == 0
    assert told(plan, capsys, 75)["stage"] == "measure"
    steps = (("farm", "analyze"), ("run",), ("farm", "assemble"))
    for step in steps:
        assert call(*step, "--plan", plan) == 0
    assert call("farm", "clean", "--plan", plan, "--yes") == 0
    for step in steps:
        assert call(*step, "--plan", plan, *(["--resume"] if step[-1] != "analyze" else [])) == 0
    assert not (tmp_path / "plan.work").exists()


def test_images_stay_and_their_reports_go(tmp_path: Path) -> None:
    source = images.sequence(tmp_path / "in", "exr-half", frames=4)
    plan, out = tmp_path / "plan.json", tmp_path / "out"
    words = ("-o", plan, "--to", out / "a.####.exr", "--segment-frames", 2)
    assert call("plan", source, *words, *KNOWN) == 0
    assert call("run", "--plan", plan) == call("farm", "assemble", "--plan", plan) == 0
    before = names(out)
    (out / ".a.1002.exr.7.abcdef.partial").touch()
    others = {f".a.{name}.exr.8.abcdef.partial" for name in ("9999", "b.1002")}  # of other jobs
    for name in others:
        (out / name).touch()
    assert call("farm", "clean", "--plan", plan, "--yes") == 0
    assert names(out) == before | others and len(before) == 5
    assert call("run", "--plan", plan, "--resume") == 0
    assert not (tmp_path / "plan.work").exists()
