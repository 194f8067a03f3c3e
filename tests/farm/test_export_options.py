"""What farms are told beside the commands: priority, tries, cards, how many at once."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.farm.test_farm_engines import EXPORT
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.cli.farm import ENGINES
from vdenoise.errors import UsageError
from vdenoise.farm.export import Export, files_of
from vdenoise.farm.export.places import WITHOUT, check_places
from vdenoise.farm.job import open_job
from vdenoise.machine import process

TOLD = replace(EXPORT, priority=70, retries=4, devices=("cuda:0",))


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    clip, path = write(Clip("in.mkv", "ffv1", frames=4), folder), folder / "plan.json"
    known = ("--sigma", 5, "--cuts", "off", "--segment-frames", 2, "--speed", "veryfast")
    assert call("plan", clip, "-o", path, *known) == 0
    return path


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("option", ["priority", "retries", "at-once", "cpus", "gpus", "memory"])
def test_an_option_reaches_the_farm_or_is_refused(
    engine: str, option: str, plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("farm", "export", "--plan", plan, "--engine", engine, "-o")
    assert call(*words, tmp_path / "plain") == 0
    capsys.readouterr()
    code = call(*words, tmp_path / "said", f"--{option}", 7000 if option == "memory" else 7)
    if option in WITHOUT[engine]:
        assert code == 2 and f"--{option}: the farm" in capsys.readouterr().err
        assert not (tmp_path / "said").exists()
        return
    texts = [
        {path.name: path.read_text() for path in (tmp_path / name).iterdir()}
        for name in ("plain", "said")
    ]
    assert code == 0 and texts[0] != texts[1]


def test_every_farm_says_what_it_has_no_place_for() -> None:
    assert set(WITHOUT) == set(ENGINES)
    for engine, options in WITHOUT.items():
        for option in options:
            with pytest.raises(UsageError):
                check_places(engine, {option})


def test_farms_are_told_in_their_own_words() -> None:
    values = json.loads(files_of("openjd", TOLD)["parameter_values.json"])["parameterValues"]
    told = {each["name"]: each["value"] for each in values}
    assert told["deadline:priority"] == 70 and told["deadline:maxRetriesPerTask"] == 4
    assert told["deadline:maxWorkerCount"] == 8
    assert "deadline:" not in files_of("openjd", TOLD)["parameters.json"]
    made = files_of("deadline10", TOLD)["segments.job"]
    assert "\nPriority=70\n" in made and "\nFailureDetectionTaskErrors=5\n" in made
    assert json.loads(files_of("flamenco", TOLD)["job.json"])["priority"] == 70
    assert "-lt 4 ] &&" in files_of("slurm", TOLD)["task.sh"]
    script = files_of("opencue", TOLD)["launch.py"]
    assert "OutlineLauncher(job, priority=70, maxretries=4)" in script
    assert "job.set_maxcores(32)" in script and script.count("'VDENOISE_EXIT_AS', '6=33'") == 3


@pytest.mark.parametrize("engine", ENGINES)
def test_tasks_compute_where_they_were_asked_to(engine: str, plan: Path) -> None:
    text = "".join(files_of(engine, TOLD).values())
    assert text.count("--device=cuda:0") in (1, 42) and "--devices" not in text
    two = Export.of(open_job(plan), gpus=2)
    assert two.per_task == 2 and "--devices=cuda:0,cuda:1" in "".join(
        files_of(engine, two).values()
    )
    assert Export.of(open_job(plan)).compute_arguments() == []
    assert Export.of(open_job(plan), device="cpu").compute_arguments() == ["--device=cpu"]
    with pytest.raises(UsageError, match="no device"):
        Export.of(open_job(plan), device="gpu")


def ran(folder: Path, job: Export, program: str, **more: str) -> tuple[int, list[str]]:
    """What a list's commands write into ``said``, with sleeping left out."""
    (folder / "vdenoise").write_text(f"#!/bin/sh\n{program}\n")
    (folder / "vdenoise").chmod(0o755)
    for name, text in files_of("cmdlist", job).items():
        (folder / name).write_text(text.replace("sleep 30", "true"))
    path = f"{folder}:{os.environ['PATH']}"
    gone = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run(
        ["sh", "submit.sh"], cwd=folder, env={**gone, "PATH": path, **more}, check=False, timeout=60
    )
    said = folder / "said"
    return done.returncode, said.read_text().splitlines() if said.exists() else []


def test_a_list_tries_again_what_may_pass_and_nothing_else(tmp_path: Path) -> None:
    job = replace(EXPORT, segments=1, analyze=False, gpus=0, retries=2)
    code, said = ran(tmp_path, job, 'echo "$1" >> said; exit 75')
    assert code != 0 and said == ["run"] * 3  # and then no assemble
    (tmp_path / "said").unlink()
    code, said = ran(tmp_path, job, 'echo "$1" >> said; exit 10')
    assert code != 0 and said == ["run"]
    (tmp_path / "said").unlink()
    code, said = ran(tmp_path, job, 'echo "$1" >> said; [ "$(wc -l < said)" -ne 1 ] || exit 75')
    assert code == 0 and said == ["run", "run", "farm"]


def test_commands_side_by_side_have_cards_of_their_own(tmp_path: Path) -> None:
    job = replace(EXPORT, segments=8, analyze=False, gpus=2, at_once=3)
    program = '[ "$1" = farm ] || echo "$CUDA_VISIBLE_DEVICES" >> said; sleep 0.1'
    code, said = ran(tmp_path, job, program)
    assert code == 0 and len(said) == 8 and set(said) <= {"0,1", "2,3", "4,5"} and "0,1" in said
    (tmp_path / "said").unlink()
    assert set(ran(tmp_path, job, program, CUDA_VISIBLE_DEVICES="7")[1]) == {"7"}


def test_a_job_written_anew_leaves_no_step_of_the_old_one(tmp_path: Path) -> None:
    clip, job = write(Clip("in.mkv", "ffv1", frames=4), tmp_path), tmp_path / "job"
    plan, known = tmp_path / "plan.json", ("--sigma", 5, "--cuts", "off", "--speed", "veryfast")
    words = ("farm", "export", "--plan", plan, "--engine", "slurm", "-o", job)
    assert call("plan", clip, "-o", plan, *known, "--analyze", "later") == 0
    assert call(*words) == 0 and (job / "analyze.sbatch").exists()
    (job / "site.conf").touch()
    assert call("plan", clip, "-o", plan, *known, "--overwrite") == 0
    assert call(*words) == 4 and (job / "analyze.sbatch").exists()
    assert call(*words, "--overwrite") == 0
    assert not (job / "analyze.sbatch").exists() and (job / "site.conf").exists()


@pytest.mark.parametrize(
    ("told", "args", "code"),
    [
        ("3=33,75=99", ["run", "none.mov", "-o", "x.mov"], 33),
        ("6=33", ["run", "none.mov", "-o", "x.mov"], 3),
        ("", ["run", "none.mov", "-o", "x.mov"], 3),
        ("3=0", ["--version"], 2),
        ("3:33", ["--version"], 2),
    ],
)
def test_a_farm_may_want_other_exit_codes(
    told: str, args: list[str], code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(process.EXIT_VARIABLE, told)
    monkeypatch.setattr(sys, "argv", ["vdenoise", *args])
    for unwanted in ("fill_closed_streams", "end_with_parent", "prepare"):
        monkeypatch.setattr(process, unwanted, lambda: None)
    monkeypatch.setattr("vdenoise.machine.messages.keep_talking", lambda: None)
    monkeypatch.setattr(atexit, "_run_exitfuncs", lambda: None)
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert process.EXIT_VARIABLE not in os.environ  # of this process alone
