"""Names in the jobs of farms: every one arrives as it is, or is refused. The scripts are run."""

from __future__ import annotations

import ast
import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vdenoise import cli
from vdenoise.chain.presets import Preset
from vdenoise.chain.request import ChainRequest
from vdenoise.chain.resolve import Layer
from vdenoise.cli.farm import ENGINES
from vdenoise.errors import UsageError
from vdenoise.farm.chain_record import Request
from vdenoise.farm.export import Export, files_of

HOSTILE = (
    "with blanks  two",
    'it\'s "quoted"',
    "$(touch made)",
    "`touch made`",
    "a;touch made;",
    "a&touch made&",
    "a|touch made",
    "> made",
    "-x",
    "--overwrite",
    "100%d %x %%",
    "#FRAME# #x",
    "a#FRAME_START#b",
    "{{Param.Plan}}",
    "{blender}",
    "<STARTFRAME>",
    "<QUOTE>",
    "a\\",
    "a\\n",
    "$HOME ~ * ? [a]",
    "!history",
    "SEGMENTS-OF-THIS-TASK",
    "ünï\N{SNOWMAN}",
)
LINES = ("a\nShellExecute=True", "a\rb", "a\0b", "a\tb", "a\x1b[0m", "a\u2028b", "a\x7fb")


def job_of(name: str) -> Export:
    return Export(
        name="sh010",
        plan=f"/p/{name}/plan.json",
        source=f"/s/{name}.mov",
        work=f"/w/{name}",
        output=f"/o/{name}.mov",
        direct=False,
        segments=2,
        analyze=True,
        executable="vdenoise",
        cpus=4,
        gpus=0,
        memory_mib=1024,
        at_once=None,
        per_task=1,
    )


def named(name: str) -> set[str]:
    return {f"--plan=/p/{name}/plan.json", f"--source=/s/{name}.mov", f"--work=/w/{name}"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", LINES)
def test_control_characters_are_refused(engine: str, name: str) -> None:
    for place in ("plan", "source", "work", "output", "executable"):
        with pytest.raises(UsageError, match="control character") as caught:
            files_of(engine, replace(job_of("a"), **{place: f"/x/{name}"}))
        assert caught.value.number == 35


@pytest.mark.parametrize(
    ("engine", "name"),
    [
        ("deadline10", "<STARTFRAME>"),
        ("deadline10", 'a"b'),
        ("deadline10", "a\\"),
        ("openjd", "{{Param.Plan}}"),
        ("opencue", "a#IFRAME#"),
        ("flamenco", "{blender}"),
    ],
)
def test_what_a_farm_takes_for_its_own_is_refused(engine: str, name: str) -> None:
    with pytest.raises(UsageError, match="takes for its own"):
        files_of(engine, job_of(name))


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Says what it was called with, a line for each call."""
    path = tmp_path / "bin" / "vdenoise $(touch made)"
    path.parent.mkdir()
    path.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "with open(os.environ['SAID'], 'a') as file:\n"
        "    print(json.dumps(sys.argv[1:]), file=file)\n"
    )
    path.chmod(0o755)
    return path


def run_in(folder: Path, words: list[str], **more: str) -> list[list[str]]:
    """What the program was called with; nothing else may have been made."""
    said = folder.with_name("said")
    said.unlink(missing_ok=True)
    before = {path.name for path in folder.iterdir()}
    environment = {**os.environ, "SAID": str(said), **more}
    subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True)
    after = {path.name for path in folder.iterdir()} - {"logs"}
    assert after == before and not (folder.parent / "made").exists()
    return [json.loads(line) for line in said.read_text().splitlines()]


@pytest.mark.parametrize("name", HOSTILE)
def test_scripts_hand_every_name_on_as_it_is(name: str, tmp_path: Path, program: Path) -> None:
    job = replace(job_of(name), executable=str(program))
    folder = tmp_path / "job"
    folder.mkdir()
    for file, text in files_of("cmdlist", job).items():
        (folder / file).write_text(text)
    calls = run_in(folder, ["sh", "submit.sh"])
    assert len(calls) == 4 and all(named(name) <= set(call) for call in calls)
    assert [call[-2] for call in calls if call[0] == "run"] == ["--segments=0", "--segments=1"]
    assert f"--output=/o/{name}.mov" in calls[-1]

    (slurm := tmp_path / "slurm").mkdir()
    for file, text in files_of("slurm", job).items():
        (slurm / file).write_text(text)
    for script in ("analyze", "segments", "assemble"):
        (call,) = run_in(slurm, ["bash", f"{script}.sbatch"], SLURM_ARRAY_TASK_ID="1")
        assert named(name) <= set(call)
        assert (script == "segments") == ("--segments=1" in call)


@pytest.mark.parametrize("name", HOSTILE)
def test_texts_hand_every_name_on_as_it_is(name: str) -> None:
    for engine in ("opencue", "flamenco", "openjd", "deadline10"):
        try:
            made = files_of(engine, job_of(name))
        except UsageError as error:
            assert error.number == 36
            continue
        calls = globals()[f"_calls_of_{engine}"](made)
        assert len(calls) >= 3, engine
        assert all(named(name) <= set(call) for call in calls), (engine, calls)


def _calls_of_opencue(made: dict[str, str]) -> list[list[str]]:
    """As a node runs them: joined by blanks, in a shell."""
    lists = [
        keyword.value
        for node in ast.walk(ast.parse(made["launch.py"]))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "command"
    ]
    lines = [" ".join(ast.literal_eval(each)) for each in lists]
    head = "vdenoise() { printf '%s\\0' \"$@\"; }; "
    shown = [
        subprocess.run(
            ["bash", "-c", head + line], capture_output=True, text=True, check=True
        ).stdout
        for line in lines
    ]
    assert [shlex.split(line)[1:] for line in lines] == [text.split("\0")[:-1] for text in shown]
    return [text.split("\0")[:-1] for text in shown]


def _calls_of_flamenco(made: dict[str, str]) -> list[list[str]]:
    settings = json.loads(made["job.json"])["settings"]
    tasks: list[list[str]] = json.loads(settings["segments"])
    return [json.loads(settings["analyze"]), *tasks, json.loads(settings["assemble"])]


def _calls_of_openjd(made: dict[str, str]) -> list[list[str]]:
    """With every place filled, once."""
    values = json.loads(made["parameters.json"])
    calls = []
    for step in json.loads(made["template.json"])["steps"]:
        words = step["script"]["actions"]["onRun"]["args"]
        for key, value in values.items():
            words = [w.replace(f"{{{{Param.{key}}}}}", str(value)) for w in words]
        calls.append(words)
    return calls


def _calls_of_deadline10(made: dict[str, str]) -> list[list[str]]:
    """Quotes around each argument, nothing escaped."""
    calls = []
    for name in (name for name in made if name.endswith(".plugin")):
        keys = dict(line.split("=", 1) for line in made[name].splitlines())
        assert set(keys) == {"Executable", "Arguments", "ShellExecute"}
        calls.append(keys["Arguments"].split("<QUOTE>")[1::2])
    return calls


def test_a_program_is_no_option() -> None:
    with pytest.raises(UsageError, match="is no program"):
        files_of("slurm", replace(job_of("a"), executable="-c"))


@pytest.mark.parametrize("program", ["", " ", "vdenoise run"])
def test_a_program_is_one_word(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any, the scripts began with an option."""
    words = ("farm", "export", "--plan", "p.json", "-o", "x", "--engine", "slurm")
    assert cli.status([*words, "--executable", program]) == 2
    assert "E02139" in capsys.readouterr().err


def test_what_a_farm_has_no_place_for_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    job = ("farm", "export", "--plan", "p.json", "-o", "x")
    for engine in ("flamenco", "deadline10"):
        for option in ("--cpus", "--gpus", "--memory"):
            assert cli.status([*job, "--engine", engine, option, "1"]) == 2
            assert f"{option}: the farm" in capsys.readouterr().err


def test_lines_of_the_farms_own(tmp_path: Path) -> None:
    from vdenoise.farm.export import parse_options

    own = parse_options("slurm", ["partition=gpu", "time=2:00:00", "comment=a b"])
    text = files_of("slurm", replace(job_of("a"), options=own))["segments.sbatch"]
    assert "#SBATCH --partition=gpu\n#SBATCH --time=2:00:00\n#SBATCH --comment='a b'\n" in text
    own = parse_options("deadline10", ["Pool=gpu", "Priority=60"])
    assert (
        "Pool=gpu\nPriority=60\n"
        in files_of("deadline10", replace(job_of("a"), options=own))["segments.job"]
    )
    for engine, wrong in (
        ("slurm", "x"),
        ("slurm", "a\nb=c"),
        ("slurm", "a=b\nc"),
        ("openjd", "a=b"),
    ):
        with pytest.raises(UsageError):
            parse_options(engine, [wrong])


@pytest.mark.parametrize(
    ("ends", "state", "restarts", "requeued"),
    [
        ("exit 75", "RUNNING", "0", True),
        ("kill -TERM $parent; sleep 9", "RUNNING", "", True),
        ("kill -USR1 $parent; sleep 9", "RUNNING", "", True),  # --farm-option signal=B:USR1@60
        ("exit 138", "RUNNING", "0", True),
        ("kill -TERM $parent; sleep 9", "COMPLETING", "", False),  # somebody cancelled it
        ("exit 75", "RUNNING", "5", False),
        ("exit 3", "RUNNING", "0", False),
        ("exit 0", "RUNNING", "0", False),
    ],
)
def test_slurm_queues_again_what_was_stopped(
    tmp_path: Path, ends: str, state: str, restarts: str, requeued: bool
) -> None:
    programs = {
        "vdenoise": f"parent=$PPID; trap 'exit 143' TERM\n({ends}) & wait $!",
        "squeue": f"echo {state}",
        "scontrol": "echo $* > requeued",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    for name, text in files_of("slurm", job_of("a")).items():
        (tmp_path / name).write_text(text.replace("sleep 60", "true"))
    done = subprocess.run(
        ["bash", "segments.sbatch"],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SLURM_JOB_ID": "7",
            "SLURM_RESTART_COUNT": restarts,
            "SLURM_ARRAY_TASK_ID": "0",
        },
        check=False,
        timeout=60,
    )
    wanted = {"exit 75": 75, "exit 138": 138, "exit 3": 3, "exit 0": 0}.get(ends, 143)
    assert done.returncode == wanted
    assert (tmp_path / "requeued").exists() == requeued


def test_a_plan_names_the_files_of_stages_so_that_all_nodes_find_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = {"net.model": "w.safetensors", "grain.file": "sub/../p.json", "output.luma": "50"}
    preset = Preset("auto", "", {"net.model": "w.pth"})
    asked = Request.of(ChainRequest(preset, (Layer("command line", values),)))
    assert asked.preset_values == {"net.model": str(tmp_path / "w.pth")}
    assert asked.layers[0][1] == {
        "net.model": str(tmp_path / "w.safetensors"),
        "grain.file": str(tmp_path / "p.json"),
        "output.luma": "50",
    }
    asked = Request.of(ChainRequest(Preset("auto", "", {"net.model": "M"}), ()))
    assert asked.preset_values == {"net.model": "M"}
