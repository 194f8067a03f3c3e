"""Kill ``run --resume`` at random moments, say the same again each time, and compare the frames
with those of a single pass.

::

    python -m benchmarks.resume_kills -o benchmarks/results/resume_kills.json

Every kill is SIGKILL, which nothing can answer, at a moment drawn over the whole way: while the
clip is indexed and measured, while a part is written, between parts, and while they are joined. The
run that is not killed in the end must give the single pass's frames and leave nothing else.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.kills import frames_of
from benchmarks.results import machine, save
from benchmarks.segment_kills import FAST, _clip, _run
from vdenoise.farm.resumable import PLAN, work_folder

FRAMES = 360
# Parts of the least length, 24 frames: of ten minutes' work this clip would be one.
START = (
    "from vdenoise.farm import split; split.TARGET_SECONDS = 0.001; import sys; "
    "from vdenoise import cli; sys.exit(cli.status(sys.argv[1:]))"
)


def parts_done(output: Path) -> int:
    """How many parts lie in the work folder with their report."""
    return len(list(work_folder(output).glob("seg*.json")))


def disturb(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Stop one run ``kills`` times, let it end, and see what came of it."""
    _clip(folder / "in.mkv", FRAMES)
    (folder / "single").mkdir()
    (folder / "made").mkdir()
    _run("run", "in.mkv", "-o", "single/clean.mkv", *FAST, cwd=folder)
    output, rng = folder / "made" / "clean.mkv", random.Random(seed)
    words = ("run", "in.mkv", "-o", str(output), *FAST, "--resume", "--progress", "json")
    stops: list[dict[str, Any]] = []
    lost = 0
    while len(stops) < kills:
        before = parts_done(output)
        wanted = before + rng.choice((0, 1, 1, 2))
        with subprocess.Popen(
            [sys.executable, "-c", START, *words],
            cwd=folder,
            stderr=subprocess.DEVNULL,
        ) as task:
            while task.poll() is None and parts_done(output) < wanted:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 3.0 if wanted == before else 0.4))
            task.kill()
        after = parts_done(output)
        lost += after < before
        if task.returncode == 0:
            break
        told = "measured" if (work_folder(output) / PLAN).exists() else "not yet measured"
        stops.append({"parts": after, "state": told})
    done = subprocess.run(
        [sys.executable, "-c", START, *words], cwd=folder, capture_output=True, check=False
    )
    made = sorted(path.name for path in (folder / "made").iterdir())
    return {
        "rows": stops,
        "killed": len(stops),
        "parts_lost": lost,
        "status": done.returncode,
        "same_frames": frames_of(folder / "made") == frames_of(folder / "single"),
        "left": [name for name in made if not name.startswith("clean.mkv")],
        "unfinished": work_folder(output).exists(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Write what was found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=19)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        row = disturb(Path(folder), options.kills, options.seed)
    if options.output is not None:
        save(
            options.output,
            {"schema": 1, "machine": machine(), "frames": FRAMES, "seed": options.seed} | row,
        )
    print(json.dumps(row, indent=1))
    assert row["killed"] == options.kills and row["status"] == 0, row
    assert row["same_frames"] and not row["parts_lost"], row
    assert not row["left"] and not row["unfinished"], row


if __name__ == "__main__":
    main()
