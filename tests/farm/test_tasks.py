"""Tasks as processes: what ends one from outside is said by its parent, and a request to end is one
request, whoever hands it on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.cli.task import is_task, style_of

FAST = ("--speed", "veryfast", "--spatial", "gaussian", "--sigma", "5", "--cuts", "off")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    clip = write(Clip("in.mkv", "ffv1", frames=60), tmp_path)
    path = tmp_path / "plan.json"
    words = ("plan", clip, "-o", path, "--segment-frames", 8, *FAST)
    assert cli.status([str(word) for word in words]) == 0
    return path


def _begun(*words: object, **more: str) -> tuple[subprocess.Popen[str], int]:
    """A task at work, and its child."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vdenoise", *map(str, words)],
        stderr=subprocess.PIPE,
        env={**os.environ, **more},
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (told := children.read_text().split()):
        time.sleep(0.01)
    return process, int(told[0])


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGSEGV, 3, "vdenoise: error E0385 [exit 3] reading or writing {clip} ended"),
        (signal.SIGABRT, 3, "vdenoise: error E0385 [exit 3] reading or writing {clip} ended"),
        (signal.SIGKILL, -9, "vdenoise: error E0604 [exit 137] {clip} was being worked on"),
    ],
)
@pytest.mark.parametrize("words", [("run",), ("farm", "assemble")])
def test_a_task_that_crashes_is_said_by_its_parent(
    words: tuple[str, ...], number: signal.Signals, status: int, said: str, plan: Path
) -> None:
    process, child = _begun(*words, "--plan", plan)
    os.kill(child, number)
    last = process.communicate()[1].splitlines()[-1]
    assert process.returncode == status
    assert last.startswith(said.format(clip=plan.parent / "in.mkv"))


_FULL = """
import os
from vdenoise.cli.task import status_of_task
print("exit", status_of_task(["run", "--plan=p", "--source=a.mov"], lambda: 127, os._exit))
"""


def test_a_task_that_the_loader_ended_for_want_of_memory_says_so() -> None:
    """glibc can then do nothing else, and its status is what shells have for a missing command."""
    done = subprocess.run([sys.executable, "-c", _FULL], capture_output=True, text=True, check=True)
    assert done.stdout == "exit 6\n"
    assert "error E0605 [exit 6] The memory was full while a.mov" in done.stderr.splitlines()[-1]


def test_a_crash_is_said_as_the_farm_wants_it(plan: Path) -> None:
    process, child = _begun("run", f"--plan={plan}", "--progress=json", VDENOISE_EXIT_AS="3=99")
    os.kill(child, signal.SIGBUS)
    last = json.loads(process.communicate()[1].splitlines()[-1])
    assert (last["event"], last["code"], process.returncode) == ("error", "E0385", 99)
    process, child = _begun("run", "--plan", plan, OPENJD_SESSION_WORKING_DIR="/")
    os.kill(child, signal.SIGBUS)
    assert "\nopenjd_fail: E0385 [exit 3]" in "\n" + process.communicate()[1]


@pytest.mark.parametrize(
    ("to_all", "number"),
    [(False, signal.SIGTERM), (True, signal.SIGTERM), (True, signal.SIGUSR1)],
)
def test_asking_a_task_to_end_is_one_request(
    to_all: bool, number: signal.Signals, plan: Path
) -> None:
    """The parent hands it on to a child that the scheduler may have asked too."""
    process, child = _begun("run", "--plan", plan)
    status = Path(f"/proc/{child}/status")
    while not _handled(status.read_text()) & 1 << (number - 1):
        time.sleep(0.01)
    (os.killpg if to_all else os.kill)(process.pid, number)
    last = process.communicate()[1].splitlines()[-1]
    ended = 128 + number
    assert process.returncode == ended and f"error E13001 [exit {ended}]" in last
    assert not list(plan.parent.rglob("*.partial"))


def test_a_task_ends_with_its_parent(plan: Path) -> None:
    process, _ = _begun("run", "--plan", plan)
    process.kill()
    process.communicate()  # until nobody holds the other end of the pipe
    assert not list(plan.parent.rglob("seg_*")), "the child went on"


def _handled(status: str) -> int:
    """The signals that a process handles."""
    (line,) = (line for line in status.splitlines() if line.startswith("SigCgt:"))
    return int(line.split()[1], 16)


def test_what_a_task_is() -> None:
    assert is_task(["run", "--segments", "0", "--plan=p.json"])
    assert is_task(["farm", "assemble", "--plan", "p.json"])
    assert not is_task(["run", "in.mov", "out.mov"])
    assert not is_task(["farm", "status", "--plan", "p.json"])
    assert not is_task(["plan", "in.mov", "-o", "p.json"])


def test_how_it_is_told_is_what_was_typed_last(monkeypatch: pytest.MonkeyPatch) -> None:
    assert style_of(["run"]) == "auto"
    monkeypatch.setenv("VDENOISE_PROGRESS", "json")
    assert style_of(["run"]) == "json"
    assert style_of(["run", "--progress=json", "--progress", "none"]) == "none"
