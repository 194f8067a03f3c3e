"""What a start costs, in seconds of CPU, by phase: ``python -m benchmarks.startup``.

On a quiet machine; half a minute. ``--base REVISION`` runs the same commands with another state of
this repository, in turn with this one, for a comparison of before and after on one machine.

Commands are run as often as ``--repeat`` says, one after the other on one thread, and the least is
taken: what is above it is the machine's. Phases are those of one ``vdenoise run`` on a clip of one
frame, read from the clock of its process as it goes along.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import results

TARGET = results.FOLDER / "startup.json"
ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "samples" / "scene_sensor.mp4"

# What is run, by name; CLIP and OUTPUT stand for files of the run. The first is Python alone.
COMMANDS: dict[str, tuple[str, ...]] = {
    "python": ("-c", "pass"),
    "import vdenoise": ("-c", "import vdenoise"),
    "vdenoise --help": ("-m", "vdenoise", "--help"),
    "vdenoise run --help": ("-m", "vdenoise", "run", "--help"),
    "vdenoise run, one frame": ("-m", "vdenoise", "run", "CLIP", "-o", "OUTPUT", "--overwrite"),
}

# Run in a process of its own: says what CPU seconds it has taken at the end of each phase.
PHASES = """
import json, sys, time
marks = [("python", time.process_time())]
def mark(name):
    marks.append((name, time.process_time()))
from vdenoise import cli
mark("import of the command line")
import numpy, torch
mark("import of torch")
import av, cv2
mark("import of av and cv2")
from vdenoise.workflows import denoise_clip, prepare
from vdenoise.review import inspect
mark("import of the rest")
whole = prepare.prepare
def timed(*given, **named):
    mark("options, probe and plan")
    made = whole(*given, **named)
    mark("measuring")
    return made
denoise_clip.prepare = timed
carried_out = denoise_clip.run
def ran(*given, **named):
    done = carried_out(*given, **named)
    mark("denoising, encoding and checks")
    return done
denoise_clip.run = ran
code = cli.status(sys.argv[1:])
mark("recipe and messages")
print(json.dumps({"code": code, "marks": marks}))
"""


def cpu_seconds(command: list[str], root: Path) -> float:
    """CPU seconds of a command that is run with the package of ``root``.

    Raises:
        SystemExit: the command failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_with(root, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def phases(words: list[str]) -> dict[str, float]:
    """CPU seconds of each phase of a ``vdenoise run``."""
    told = json.loads(run_with(ROOT, [sys.executable, "-c", PHASES, *words]).splitlines()[-1])
    if told["code"] != 0:
        raise SystemExit(f"vdenoise {' '.join(words)} ended with {told['code']}")
    found, last = {}, 0.0
    for name, now in told["marks"]:
        found[name], last = now - last, now
    return found


def run_with(root: Path, command: list[str]) -> str:
    """Run a command with the package of ``root``, on one thread; what it printed.

    Raises:
        SystemExit: the command failed.
    """
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


@contextmanager
def checked_out(revision: str, folder: Path) -> Iterator[Path]:
    """Another state of this repository, with its C code built where it has any."""
    target, git = folder / "base", ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "-q", "--detach", str(target), revision], check=True)
    try:
        if (target / "hatch_build.py").exists():
            run_with(target, [sys.executable, "hatch_build.py"])
        yield target
    finally:
        subprocess.run([*git, "remove", "--force", str(target)], check=True)


def measure(roots: dict[str, Path], clip: Path, repeat: int) -> list[dict[str, Any]]:
    """The least CPU seconds of each command in each state of the repository."""
    least: dict[tuple[str, str], float] = {}
    places = {"CLIP": str(clip), "OUTPUT": str(clip.with_name("out.mkv"))}
    for _ in range(repeat):
        for name, words in COMMANDS.items():
            command = [sys.executable, *(places.get(word, word) for word in words)]
            for state, root in roots.items():
                seconds = cpu_seconds(command, root)
                least[state, name] = min(seconds, least.get((state, name), seconds))
    return [
        {"state": state, "command": name, "cpu_seconds": round(seconds, 3)}
        for (state, name), seconds in least.items()
    ]


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", metavar="REVISION", help="another state to compare with")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vdenoise-startup-") as name:
        folder = Path(name)
        clip = folder / "one.mkv"
        cut = ["ffmpeg", "-v", "error", "-i", str(SAMPLE), "-frames:v", "1", "-c:v", "ffv1"]
        subprocess.run([*cut, str(clip)], check=True)
        words = ["run", str(clip), "-o", str(folder / "out.mkv"), "--overwrite"]
        runs = [phases(words) for _ in range(given.repeat)]
        by_phase = {name: round(min(run[name] for run in runs), 3) for name in runs[0]}
        content: dict[str, Any] = {"schema": 1, "machine": results.machine()}
        if given.base is None:
            rows = measure({"now": ROOT}, clip, given.repeat)
        else:
            with checked_out(given.base, folder) as base:
                rows = measure({given.base: base, "now": ROOT}, clip, given.repeat)
        content |= {"repeat": given.repeat, "phases_of_run": by_phase, "rows": rows}
    print(json.dumps(content, indent=1))
    results.save(given.output, content)


if __name__ == "__main__":
    main()
