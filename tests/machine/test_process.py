"""Process settings: made where nobody made them, and only there."""

import ctypes
import gc
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from vdenoise.machine.process import fill_memory, importing, prepare

Calls = list[tuple[int, int]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the C library is told, on a Linux with a clean environment."""
    told: Calls = []
    library = SimpleNamespace(mallopt=lambda name, value: told.append((name, value)))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr("sys.platform", "linux")
    for name in [k for k in os.environ if k.startswith("MALLOC_")] + ["OMP_WAIT_POLICY"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "unset")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    return told


def test_threads_sleep_while_they_wait_and_freed_memory_is_kept(calls: Calls) -> None:
    prepare()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert dict(calls)[-1] >= 32 << 20  # M_TRIM_THRESHOLD
    assert 1920 * 1080 * 4 < dict(calls)[-3] <= 32 << 20  # M_MMAP_THRESHOLD: glibc's most


@pytest.mark.parametrize("found", [True, False], ids=["anew", "again"])
def test_no_garbage_is_looked_for_in_what_is_imported(
    found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen: list[bool] = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(True))
    monkeypatch.setattr("sys.modules", dict(sys.modules))
    with pytest.raises(ImportError), importing():
        assert not gc.isenabled()
        if found:
            sys.modules["found"] = ModuleType("found")
        raise ImportError
    assert gc.isenabled() and frozen == ([True] if found else [])


WATCHED = """
import gc, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "av", "cv2", "pydantic"):
            print(name, gc.isenabled())

sys.meta_path.insert(0, Watch())
from vdenoise.cli import status
print(status(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["run", "analyze"])
def test_what_takes_long_to_import_is_imported_that_way(command: str, tmp_path: Path) -> None:
    words = [command, str(tmp_path / "missing.mkv")]
    words += ["-o", str(tmp_path / "out.mkv")] if command == "run" else []
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *words], capture_output=True, text=True, check=True
    )
    said = dict(line.split() for line in done.stdout.splitlines()[:-1])
    assert said["torch"] == said["av"] == "False", done.stdout


def test_memory_may_be_the_same_every_time(calls: Calls) -> None:
    fill_memory(same=True)
    fill_memory(same=False)
    assert calls == [(-6, 0xFF), (-6, 0)]  # M_PERTURB


def test_an_environment_that_says_otherwise_is_left_alone(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    prepare()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert not calls


def test_other_systems_are_left_alone(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    prepare()
    assert not calls


def test_after_a_signal_nothing_can_crash_on_the_way_out() -> None:
    """What libraries do while the interpreter is taken down: here it would be SIGABRT."""
    script = (
        "import atexit, os, sys\n"
        "from vdenoise import cli\n"
        "from vdenoise.errors import Interrupted\n"
        "def stopped(args): raise Interrupted('Stopped.', 'Again.', signal_number=15)\n"
        "cli._status = stopped\n"
        "atexit.register(os.abort)\n"
        "cli.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 143 and "[exit 143] Stopped." in ended.stderr


def test_at_the_end_threads_are_waited_for_and_nothing_is_looked_through() -> None:
    """Taking the interpreter down looks through all that was imported: half a second of a run."""
    script = (
        "import atexit, sys, threading, time\n"
        "from vdenoise import cli\n"
        "class Kept:\n"
        "    def __del__(self): print('taken down')\n"
        "kept = Kept()\n"
        "def late():\n"
        "    time.sleep(0.2)\n"
        "    print('thread done')\n"
        "def worked(args):\n"
        "    threading.Thread(target=late).start()\n"
        "    return 7\n"
        "cli._status = worked\n"
        "atexit.register(print, 'at exit')\n"
        "cli.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.split("\n")) == (7, ["thread done", "at exit", ""])
