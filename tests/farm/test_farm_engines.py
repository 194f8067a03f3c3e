"""The jobs that farms get: carried out where the farm is here, else read as texts."""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tests.helpers import images, slurm_node
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.cli.farm import ENGINES
from vdenoise.farm.export import Export, files_of, plain
from vdenoise.farm.job import open_job
from vdenoise.farm.segments import frame_hashes

FAST = ("--speed", "veryfast", "--spatial", "gaussian")
EXPORT = Export(
    name="sh010",
    plan="/a b/plan.json",
    source="/a b/50%.mov",
    work="/a b/plan.work",
    output="/a b/out.mov",
    direct=False,
    segments=42,
    analyze=True,
    executable="vdenoise",
    cpus=4,
    gpus=1,
    memory_mib=3072,
    at_once=8,
    per_task=1,
)


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    clip = write(Clip("in.mkv", "ffv1", frames=12, time_base=Fraction(1, 1000)), tmp_path)
    path = tmp_path / "plan.json"
    options = ("--segment-frames", 6, "--analyze", "later", *FAST)
    assert call("plan", clip, "-o", path, *options) == 0
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """``vdenoise`` as one executable file, as a node has it."""
    path = tmp_path / "vdenoise"
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m vdenoise "$@"\n')
    path.chmod(0o755)
    return path


def exported(engine: str, plan: Path, program: Path) -> Path:
    folder = plan.with_name(engine)
    options = ("--executable", program, "--cpus", 1, "--memory", 64)
    assert call("farm", "export", "--plan", plan, "--engine", engine, "-o", folder, *options) == 0
    return folder


def test_more_cores_ask_for_more_memory_and_a_short_segment_for_no_more(tmp_path: Path) -> None:
    clip = write(Clip("in.mkv", "ffv1", frames=12, size=(960, 540)), tmp_path)
    plan, asked = tmp_path / "plan.json", []
    options = ("--segment-frames", 12, "--sigma", 5, "--cuts", "off")
    assert call("plan", clip, "-o", plan, *options) == 0
    for cores in (1, 4, 12, 64):
        words = ("--plan", plan, "--engine", "slurm", "--cpus", cores, "-o", tmp_path / str(cores))
        assert call("farm", "export", *words) == 0
        text = (tmp_path / str(cores) / "segments.sbatch").read_text()
        asked.append(int(text.partition("--mem=")[2].partition("M")[0]))
    assert asked[0] <= asked[1] < asked[2] == asked[3]  # a task has no more frames than its segment


def assert_like_a_single_pass(plan: Path) -> None:
    single = plan.with_name("single.mkv")
    assert call("run", plan.with_name("in.mkv"), "-o", single, *FAST) == 0
    assert list(frame_hashes([plan.with_name("in_dn.mkv")])) == list(frame_hashes([single]))


def run_by_openjd(folder: Path) -> str:
    """What a job says that the reference runner carries out."""
    openjd = Path(sys.executable).with_name("openjd")
    if not openjd.exists():
        pytest.skip("openjd-cli is not installed")
    done = subprocess.run(
        ["sh", str(folder / "submit.sh")],
        env={**os.environ, "PATH": f"{openjd.parent}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_openjd_runs_the_three_steps(plan: Path, program: Path) -> None:
    folder = exported("openjd", plan, program)
    said = run_by_openjd(folder)
    assert "All actions completed successfully" in said
    assert "openjd_progress: 100.0" in said
    assert_like_a_single_pass(plan)


def test_openjd_runs_a_sequence(tmp_path: Path, program: Path) -> None:
    """Images are given by their folders, and written by the tasks."""
    source = images.sequence(tmp_path / "in", "exr-half", frames=4)
    (tmp_path / "out").mkdir()
    target, plan = tmp_path / "out" / "a.####.exr", tmp_path / "plan.json"
    options = ("--to", target, "--segment-frames", 2, "--analyze", "later", *FAST)
    assert call("plan", source, "-o", plan, *options) == 0
    folder = exported("openjd", plan, program)
    values = json.loads((folder / "parameters.json").read_text())
    assert values["JobName"] == "plate"
    assert (values["Source"], values["Output"]) == (str(tmp_path / "in"), str(tmp_path / "out"))
    template = json.loads((folder / "template.json").read_text())
    kinds = {p["name"]: p.get("objectType") for p in template["parameterDefinitions"]}
    assert kinds["Source"] == kinds["Output"] == "DIRECTORY"
    run_by_openjd(folder)
    assert call("run", source, "-o", tmp_path / "one.####.exr", *FAST) == 0
    for n in range(1001, 1005):
        one, many = (tmp_path / name for name in (f"one.{n}.exr", f"out/a.{n}.exr"))
        assert one.read_bytes() == many.read_bytes()


def test_slurm_runs_the_three_steps(plan: Path, program: Path) -> None:
    if not slurm_node.installed():
        pytest.skip("Slurm is not here: .ci/slurm FOLDER, then VDENOISE_SLURM=FOLDER")
    folder = exported("slurm", plan, program)
    short = Path(tempfile.mkdtemp(prefix="slurm", dir="/tmp"))  # sockets have short names
    try:
        with slurm_node.node(short) as node:
            jobs = node.call("sh", "submit.sh", folder=folder).split()
            states = node.wait(jobs)
        logs = "".join(path.read_text() for path in sorted((folder / "logs").iterdir()))
        assert states == dict.fromkeys(jobs, "COMPLETED") and len(jobs) == 3, logs
    finally:
        shutil.rmtree(short)
    assert_like_a_single_pass(plan)


def test_a_list_of_commands_runs_in_a_shell(plan: Path, program: Path) -> None:
    folder = plan.with_name("lists")
    options = ("--executable", program, "--at-once", 2, "--submit")
    named = ("--plan", plan, "--engine", "cmdlist", "-o", folder)
    assert call("farm", "export", *named, *options) == 0
    assert_like_a_single_pass(plan)


def test_a_farm_that_is_not_here_is_said(
    plan: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    folder = plan.with_name("deadline")
    named = ("--plan", plan, "--engine", "deadline10", "-o", folder)
    assert call("farm", "export", *named, "--submit") == 5
    assert "not on this machine" in capsys.readouterr().err


def test_an_executable_is_one_program(
    plan: Path, program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command line would be taken for a name with blanks by every task; a path may have some."""
    folder = plan.with_name("job")
    named = ("farm", "export", "--plan", plan, "--engine", "cmdlist", "-o", folder)
    assert call(*named, "--executable", "apptainer exec vd.sif vdenoise") == 2
    hint, last = capsys.readouterr().err.splitlines()[-2:]
    assert "E02139" in last and 'exec apptainer exec vd.sif vdenoise "$@"' in hint
    assert not folder.exists()
    (plan.parent / "a b").mkdir()
    there = program.rename(plan.parent / "a b" / "vdenoise")
    assert call(*named, "--executable", there, "--submit") == 0
    assert_like_a_single_pass(plan)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("analyze", [True, False])
def test_every_export_has_the_steps_and_all_segments(engine: str, analyze: bool) -> None:
    made = files_of(engine, replace(EXPORT, analyze=analyze))
    assert made["submit.sh"].startswith("#!/bin/sh\n")
    text = "".join(made.values())
    assert ("analyze" in text.lower().replace('"analyze", type', "")) or not analyze
    assert "--resume" in text and "assemble" in text and "--verify" in text
    for name, content in made.items():
        if name.endswith(".json"):
            json.loads(content)
        elif name.endswith(".py"):
            ast.parse(content)
        elif name.endswith((".sh", ".sbatch")):
            subprocess.run(["sh", "-n"], input=content, text=True, check=True)


def test_the_template_of_open_job_description_is_valid(tmp_path: Path) -> None:
    model = pytest.importorskip("openjd.model")
    for job in (EXPORT, replace(EXPORT, analyze=False, gpus=0), replace(EXPORT, per_task=5)):
        made = files_of("openjd", job)
        template = model.decode_job_template(template=json.loads(made["template.json"]))
        steps = [step.name for step in template.steps]
        assert steps == (["Analyze"] if job.analyze else []) + ["Denoise", "Assemble"]
        values = json.loads(made["parameters.json"])
        assert {p.name for p in template.parameterDefinitions} == set(values)
        assert values["LastTask"] == job.tasks - 1


def test_slurm_arrays_stay_below_the_limit_of_sites() -> None:
    text = files_of("slurm", replace(EXPORT, segments=2500))["segments.sbatch"]
    assert "--array=0-833%8" in text and '--segments="$first-$last"' in text
    script = "\n".join(line for line in text.splitlines() if not line.startswith("exec"))
    said = subprocess.run(
        ["bash", "-c", script + "\necho $first-$last"],
        env={"SLURM_ARRAY_TASK_ID": "833"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "2499-2499\n"
    assert "'--source=/a b/50%.mov'" in text  # as it is, for the shell


def test_segments_of_one_task_cover_all_once() -> None:
    job = replace(EXPORT, per_task=5)
    assert [job.of_task(n) for n in range(job.tasks)] == [
        "0-4", "5-9", "10-14", "15-19", "20-24", "25-29", "30-34", "35-39", "40-41",
    ]  # fmt: skip


def test_an_export_takes_its_facts_from_the_plan(plan: Path) -> None:
    made = Export.of(open_job(plan))
    assert (made.name, made.segments, made.analyze) == ("in", 2, True)
    assert made.memory_mib % 1024 == 0 and made.memory_mib >= 550
    assert plain("a b/ä:1") == "a_b___1"


@pytest.mark.parametrize(
    ("clip", "name"), [("s/shot.mov", "shot"), ("s/shot.####.exr", "shot"), ("s/####.exr", "s")]
)
def test_a_job_is_called_as_its_clip(plan: Path, clip: str, name: str) -> None:
    job = open_job(plan)
    moved = replace(job, info=replace(job.info, path=Path(clip)))
    assert Export.of(moved).name == name
