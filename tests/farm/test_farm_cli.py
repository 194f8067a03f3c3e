"""The commands as a farm starts them: exit codes, last lines, resuming, dying."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest

from benchmarks.segment_kills import Killing
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.cli.segments import progress_lines
from vdenoise.farm.planfile import PlanFile
from vdenoise.farm.record import digest
from vdenoise.farm.segments import frame_hashes
from vdenoise.farm.split import segment_length, split
from vdenoise.machine import process
from vdenoise.media.probe import probe
from vdenoise.ui import Reporter

FAST = ("--speed", "veryfast", "--spatial", "gaussian")


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(Clip("in.mkv", "ffv1", frames=16, time_base=Fraction(1, 1000)), tmp_path)


@pytest.fixture
def plan(clip: Path, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    assert call("plan", clip, "-o", path, "--segment-frames", 8, *FAST) == 0
    return path


def test_plan_run_assemble_make_what_run_makes(clip: Path, plan: Path, tmp_path: Path) -> None:
    assert call("run", "--plan", plan, "--segments", "1") == 0
    assert call("run", "--plan", plan, "--resume") == 0
    assert call("farm", "assemble", "--plan", plan, "--verify") == 0
    assert call("run", clip, "-o", tmp_path / "single.mkv", *FAST) == 0
    joined = tmp_path / "in_dn.mkv"
    assert list(frame_hashes([joined])) == list(frame_hashes([tmp_path / "single.mkv"]))
    recipe = json.loads((tmp_path / "in_dn.mkv.vdenoise.json").read_text())
    assert [part["frames"] for part in recipe["farm"]["segments"]] == [[0, 7], [8, 15]]
    assert call("farm", "assemble", "--plan", plan) == 4  # it exists
    assert call("farm", "assemble", "--plan", plan, "--resume") == 0  # it is this job's


def test_a_name_that_is_not_text_works_but_on_a_farm(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As old archives have them, in Latin-1."""
    folder = tmp_path / "in"
    folder.mkdir()
    odd = clip.rename(folder / os.fsdecode(b"lat\xe9in.mkv"))
    batch = ("batch", folder, "-o", tmp_path / "out", *FAST, "--progress", "plain")
    assert call(*batch) == 0 and call(*batch) == 0
    assert "1 done already" in capsys.readouterr().err
    single = tmp_path / "out" / os.fsdecode(b"lat\xe9in_dn.mkv")
    plan = tmp_path / "plan.json"
    assert call("plan", odd, "-o", plan, *FAST) == 0
    assert call("run", "--plan", plan) == call("farm", "assemble", "--plan", plan) == 0
    joined = tmp_path / single.name
    assert list(frame_hashes([joined])) == list(frame_hashes([single]))
    job = ("farm", "export", "--plan", plan, "--engine", "slurm", "-o", tmp_path / "job")
    assert call(*job) == 2 and "UTF-8" in capsys.readouterr().err


def test_measuring_later_gives_the_same_as_measuring_now(
    clip: Path, plan: Path, tmp_path: Path
) -> None:
    later = tmp_path / "later.json"
    options = ("--segment-frames", 8, "--analyze", "later", *FAST)
    assert call("plan", clip, "-o", later, *options) == 0
    assert call("run", "--plan", later) == 75  # not measured yet
    for _ in range(2):  # the second finds it there
        assert call("farm", "analyze", "--plan", later) == 0
    for path in (plan, later):
        assert call("run", "--plan", path, "--segments", "1") == 0
    now, then = PlanFile.load(plan), PlanFile.load(later)
    assert now.analysis is not None and then.analysis is None
    reports = [next((tmp_path / f"{n}.work").glob("seg*.json")) for n in ("plan", "later")]
    hashes = [json.loads(path.read_text())["parts"][0]["frame_hashes"] for path in reports]
    assert hashes[0] == hashes[1]


def test_what_is_done_is_kept_or_refused_or_done_again(
    plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", "--plan", plan) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "plan.work").iterdir()}
    assert call("run", "--plan", plan, "--segments", "0") == 4
    assert call("run", "--plan", plan, "--resume") == 0
    assert "already done: segment 0-1" in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert call("run", "--plan", plan, "--segments", "0", "--overwrite") == 0
    changed = {path.suffix for path in before if path.stat().st_mtime_ns != before[path]}
    assert changed == {".mkv", ".json"}
    clips = [path.read_bytes() for path in sorted(before) if path.suffix == ".mkv"]
    assert call("run", "--plan", plan, "--overwrite") == 0
    assert clips == [path.read_bytes() for path in sorted(before) if path.suffix == ".mkv"]


def test_leftovers_are_said_with_the_way_on_and_status_says_what_is_missing(
    plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", "--plan", plan, "--segments", "0") == 0
    capsys.readouterr()
    assert call("farm", "status", "--plan", plan, "--json") == 75
    assert json.loads(capsys.readouterr().out)["missing"] == [1]
    next((tmp_path / "plan.work").glob("seg_000000*.json")).unlink()
    assert call("run", "--plan", plan, "--segments", "0") == 4
    said = capsys.readouterr().err
    assert "--resume" in said and "segment 0 is done" in said
    assert call("run", "--plan", plan, "--resume") == 0
    assert call("farm", "status", "--plan", plan) == 0


def test_a_hint_can_be_typed(
    plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blanks in names, and a work folder that is not the plan's own."""
    place = ("--plan", plan.rename(tmp_path / "p l.json"), "--work", tmp_path / "w #1")
    assert call("farm", "status", *place) == 75
    hint = capsys.readouterr().err.splitlines()[-2]
    assert call(*shlex.split(hint.partition("vdenoise ")[2])) == 0
    assert call("farm", "status", *place) == 0


def test_a_hint_can_be_typed_where_folders_are_elsewhere(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan was found by it and its clip was not."""
    (there := tmp_path / "there").mkdir()
    shutil.copy(clip, there / "a.mkv")
    words = ("--to", there / "z.mkv", "--segment-frames", 8, *FAST)
    assert call("plan", there / "a.mkv", "-o", there / "p.json", *words) == 0
    here = there.rename(tmp_path / "vol b")
    place = ("--plan", there / "p.json", "--map", f"{there}={here}")
    assert call("farm", "status", *place) == 75
    hint = capsys.readouterr().err.splitlines()[-2]
    assert call(*shlex.split(hint.partition("vdenoise ")[2])) == 0
    assert call("farm", "status", *place) == 0


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--segments", "7"), 2, "has the segments 0-1"),
        (("--segments", "x"), 2, "does not name segments"),
        (("--luma", "50"), 2, "luma cannot be said with --plan"),
        (("--source", "none.mkv"), 3, "does not exist"),
    ],
)
def test_mistakes_have_their_exit_codes(
    args: tuple[str, ...], code: int, words: str, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", "--plan", plan, *args) == code
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"vdenoise: error E{code:02d}") and words in last


def test_folders_of_outputs_are_made_with_the_plan_and_none_where_it_is_refused(
    clip: Path, tmp_path: Path
) -> None:
    known = ("--sigma", 8, "--cuts", "off", *FAST)
    made, plan = tmp_path / "made", tmp_path / "plans" / "a.json"
    words = ("plan", clip, "-o", plan, "--noise-out", made / "n" / "noise.mkv", *known)
    assert call(*words, "--to", made / "a.mp4", "--codec", "prores") == 2
    assert call(*words, "--to", clip / "a.mkv") == 4  # a file is in its way
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv"}
    assert call(*words, "--to", made / "clean" / "a.mkv") == 0
    assert plan.exists() and (made / "clean").is_dir() and (made / "n").is_dir()


@pytest.mark.parametrize(
    "option",
    [
        *(("--segments", 1), ("--devices", "cpu,cpu"), ("--work", "x")),
        *(("--source", "x"), ("--allow-version-skew",)),
    ],
)
def test_what_is_about_a_plan_is_not_passed_over_without_one(
    option: tuple[object, ...], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", clip, "-o", tmp_path / "out.mkv", *FAST, *option) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"vdenoise: error E0295 [exit 2] {option[0]} ")
    assert not (tmp_path / "out.mkv").exists()


def test_a_plan_is_not_called_as_a_clip(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("plan", clip, "-o", tmp_path / "clean.mov", *FAST) == 2
    hint, last = capsys.readouterr().err.splitlines()
    assert "clean.json" in hint and "--to" in hint and "E0296" in last
    assert not (tmp_path / "clean.mov").exists()


@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a"])
def test_a_clip_that_goes_elsewhere_is_called_as_what_it_is(
    name: str, plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", "--plan", plan) == 0
    assert call("farm", "assemble", "--plan", plan, "-o", tmp_path / name) == 2
    hint, last = capsys.readouterr().err.splitlines()[-2:]
    assert "E0298" in last and "matroska" in last and ".mkv" in hint
    assert not (tmp_path / name).exists()
    assert call("farm", "assemble", "--plan", plan, "-o", tmp_path / "A.MKV") == 0


def test_an_assemble_that_was_killed_at_its_end_is_done_again(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clip has its name, and no recipe tells of it: a farm's second try is not to fail."""
    output = tmp_path / "in_dn.mkv"
    assert call("run", "--plan", plan) == 0
    output.write_bytes(b"of someone else")
    assert call("farm", "assemble", "--plan", plan, "--resume") == 4
    output.unlink()

    def killed(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("vdenoise.farm.recipe.save", killed)
        assert call("farm", "assemble", "--plan", plan, "--resume") == 1
    before = list(frame_hashes([output]))
    assert call("farm", "assemble", "--plan", plan) == 4
    assert call("farm", "assemble", "--plan", plan, "--resume") == 0
    assert list(frame_hashes([output])) == before and len(before) == 16
    assert {path.suffix for path in (tmp_path / "plan.work").iterdir()} == {".mkv", ".json"}
    output.write_bytes(b"of someone else")
    assert call("farm", "assemble", "--plan", plan, "--resume") == 4


def test_the_group_alone_shows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("farm") == 0
    said = capsys.readouterr()
    assert "assemble" in said.out and said.err == ""


def test_an_export_says_how_to_start_it(
    plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "job"
    assert call("farm", "export", "--plan", plan, "--engine", "slurm", "-o", folder) == 0
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"sh {folder / 'submit.sh'}")


def test_conflicts_and_missing_segments_have_codes_of_their_own(plan: Path, clip: Path) -> None:
    assert call("farm", "assemble", "--plan", plan) == 75
    clip.write_bytes(clip.read_bytes() + b"x")
    assert call("run", "--plan", plan) == 10


def resealed(plan: Path, *place: str | int, value: object) -> None:
    """Change a plan at a place and give it the id that fits."""
    told = json.loads(plan.read_text())
    within = told
    for key in place[:-1]:
        within = within[key]
    within[place[-1]] = value
    told["plan_id"] = digest({name: told[name] for name in told if name != "plan_id"})
    plan.write_text(json.dumps(told))


@pytest.mark.parametrize("which", ["encode", "segment_encode"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("options", {"x264-params": "pass=1:stats=made"}),
        ("options", {"level": "3", "passlogfile": "made"}),
        ("options", {"level": "made"}),
        ("options", {"crf": "14"}),
        ("encoder", "libx264"),
        ("codec", "h264"),
        ("container", "segment"),
        ("container", "images"),
    ],
)
def test_a_plan_encodes_as_we_do_or_not_at_all(
    plan: Path, tmp_path: Path, which: str, key: str, value: object
) -> None:
    resealed(plan, "parts", 0, which, key, value=value)
    before = sorted(tmp_path.iterdir())
    assert call("run", "--plan", plan) == 2
    assert call("farm", "assemble", "--plan", plan) == 2
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("segments", []),
        ("segments", [[8, 15], [0, 7]]),
        ("segments", [[0, 8], [8, 15]]),
        ("segments", [[7, 0], [8, 15]]),
        ("segments", [[-8, 7], [8, 15]]),
        ("segments", [[0, 7], [8, 99]]),
        ("frames", [15, 0]),
        ("parts", []),
    ],
)
def test_a_plan_of_segments_that_cannot_be_is_refused(
    plan: Path, capsys: pytest.CaptureFixture[str], key: str, value: object
) -> None:
    resealed(plan, key, value=value)
    assert call("run", "--plan", plan) == 2
    assert "is no plan" in capsys.readouterr().err
    assert call("farm", "assemble", "--plan", plan) == 2


def test_a_plan_sealed_anew_without_a_change_is_as_it_was(plan: Path) -> None:
    before = plan.read_text()
    resealed(plan, "segments", value=json.loads(before)["segments"])
    assert json.loads(plan.read_text()) == json.loads(before)


def test_variables_do_not_reach_a_plan(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("run", "--plan", plan, "--segments", "1") == 0
    segment = next((tmp_path / "plan.work").glob("seg*.mkv"))
    before = segment.read_bytes()
    monkeypatch.setenv("VDENOISE_LUMA", "10")
    monkeypatch.setenv("VDENOISE_SEED", "7")
    assert call("run", "--plan", plan, "--segments", "1", "--overwrite") == 0
    assert segment.read_bytes() == before


def test_lines_of_open_job_description(
    plan: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENJD_SESSION_WORKING_DIR", "/somewhere")
    assert call("run", "--plan", plan) == 0
    lines = capsys.readouterr().err.splitlines()
    progress = [float(line.split()[1]) for line in lines if line.startswith("openjd_progress: ")]
    assert progress[-1] == 100 and progress == sorted(progress)
    assert any(line.startswith("openjd_status: segment 1: denoise") for line in lines)
    assert all(line.startswith(("openjd_", "vdenoise: ")) for line in lines)
    assert call("run", "--plan", plan) == 4
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("openjd_fail: E0413 [exit 4] Segment 0") for line in lines)
    assert lines[-1].startswith("vdenoise: error E0413 [exit 4] Segment 0")


def test_a_name_cannot_speak_to_the_farm(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENJD_SESSION_WORKING_DIR", "/somewhere")
    name = tmp_path / "x\nopenjd_env: A=B\x1b.mkv"
    assert call("run", "--plan", plan, "--source", name) == 3
    lines = capsys.readouterr().err.splitlines()
    assert not any(line.startswith("openjd_env") for line in lines)
    assert "\x1b" not in "".join(lines)


def test_events_tell_of_every_segment(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "--plan", plan, "--progress", "json") == 0
    assert call("run", "--plan", plan, "--progress", "json") == 4
    lines = capsys.readouterr().err.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["segment"] for event in events if event["event"] == "segment"] == [0, 1]
    error = events[-1]
    assert (error["event"], error["code"], error["exit"]) == ("error", "E0413", 4)


@pytest.mark.parametrize("style", ["plain", "json", "openjd"])
@pytest.mark.parametrize("speed", ["base", "veryslow"])
def test_the_logs_of_a_feature_film_in_4k_stay_small(
    style: str,
    speed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What one task really prints, when every frame takes long, as often as there are tasks."""
    frames, reach = 150_000, 4
    length = segment_length(3840 * 2160, speed, reach)
    tasks = len(split(0, frames - 1, length))
    size = (32, 32)
    clip = write(
        Clip("in.mkv", "ffv1", size=size, frames=2 * length, time_base=Fraction(1, 1000)), tmp_path
    )
    plan, seconds = tmp_path / "plan.json", itertools.count(0, 6.0)
    given = ("--segment-frames", length, "--sigma", 5, "--cuts", "off", *FAST)
    assert call("plan", clip, "-o", plan, *given) == 0
    lines = progress_lines(1, tasks)
    monkeypatch.setattr("vdenoise.cli.segments.PLAN_LINES", 2 * lines)  # of a plan of 2 segments
    monkeypatch.setattr("vdenoise.ui.reporter.time.monotonic", lambda: next(seconds))
    capsys.readouterr()
    assert call("run", "--plan", plan, "--segments", 1, "--resume", "--progress", style) == 0
    said = capsys.readouterr().err
    progress = sum("%" in line or "progress" in line for line in said.splitlines())
    assert 2 <= progress <= lines
    assert len(said) * tasks < 5e6


def test_the_log_of_a_whole_feature_film_stays_small(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = itertools.count(0, 6.0)
    monkeypatch.setattr("vdenoise.ui.reporter.time.monotonic", lambda: next(seconds))
    reporter = Reporter("json")
    for phase in ("measure", "denoise"):
        reporter.start(phase, 150_000)
        for _ in range(150_000):
            reporter.advance({"decode": 1.0, "denoise": 100.0, "encode": 1.0})
    said = capsys.readouterr().err
    assert said.count("\n") <= 2 * 101 and len(said) < 100_000


def test_two_processes_share_a_list_of_segments(plan: Path, tmp_path: Path) -> None:
    assert call("run", "--plan", plan, "--devices", "cpu,cpu", "--threads", 1) == 0
    assert call("farm", "assemble", "--plan", plan, "--verify") == 0
    assert probe(tmp_path / "in_dn.mkv").frames == 16
    assert call("run", "--plan", plan, "--devices", "cpu,cpu") == 8  # they are done


def test_a_bare_environment_is_enough(plan: Path) -> None:
    """No HOME, no PATH, no terminal, nothing on standard input."""
    done = subprocess.run(
        [sys.executable, "-m", "vdenoise", "run", "--plan", plan, "--segments=0"],
        env={"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "TERM": "unknown"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "\r" not in done.stderr and "\x1b" not in done.stderr


def test_schedulers_say_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUE_THREADS", "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "NSLOTS", "NCPUS"):
        monkeypatch.delenv(name, raising=False)
    assert process.granted_threads() is None
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1")
    assert process.granted_threads() == 1
    monkeypatch.setenv("CUE_THREADS", "4096")
    assert process.granted_threads() == len(os.sched_getaffinity(0))
    monkeypatch.setenv("CUE_THREADS", "many")
    assert process.granted_threads() == 1


def test_opencue_says_which_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as granted:
        for name in ("CUE_GPU_CORES", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
            granted.setenv(name, "")
            granted.delenv(name)
        process.keep_to_granted_gpus()
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
        granted.setenv("CUE_GPU_CORES", "1, 3")
        process.keep_to_granted_gpus()
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1,3"
        assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"  # as OpenCue counts them
        granted.setenv("CUDA_VISIBLE_DEVICES", "0")  # somebody chose already
        process.keep_to_granted_gpus()
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"


def test_old_temporaries_go_and_new_ones_stay(plan: Path, tmp_path: Path) -> None:
    work = tmp_path / "plan.work"
    assert call("run", "--plan", plan) == 0
    old, new = work / ".seg_000000.mkv.1.abc.partial", work / ".seg_000001.mkv.2.def.partial"
    for path in (old, new):
        path.touch()
    day_before = time.time() - 25 * 3600
    os.utime(old, (day_before, day_before))
    assert call("farm", "assemble", "--plan", plan) == 0
    assert new.exists() and not old.exists()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_killed_at_any_time_it_goes_on_where_it_was(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    """Once each here; benchmarks/segment_kills.py does it as often as one likes."""
    killing = Killing.prepare(tmp_path, frames=24)
    killed = killing.kill(number, seed=1)
    assert killed.status == status
    if number != signal.SIGKILL:
        last = json.loads(killed.last)
        assert last["event"] == "error" and last["exit"] == status and "--resume" in last["hint"]
    found = killing.finish()
    assert found.identical and found.broken == [] and found.strangers == []
