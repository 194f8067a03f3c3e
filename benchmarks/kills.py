"""Kill a batch at random moments, again and again, and see that the result is the same.

    python -m benchmarks.kills --data FOLDER --kills 20

FOLDER holds a few short clips. Half of the kills are SIGTERM, half SIGKILL to the batch and its
jobs at once. Afterwards the batch runs to its end; its outputs must hold the frames of a batch that
nobody disturbed, and nothing may lie beside them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from vdenoise.batch import JOURNAL, REPORT
from vdenoise.media.codecs import CONTAINERS
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.media.sequence import in_folder


def command(clips: Path, output: Path, options: Sequence[str]) -> list[str]:
    """The batch."""
    return [sys.executable, "-m", "vdenoise", "batch", str(clips), "-o", str(output), *options]


def frames_of(folder: Path) -> dict[str, str]:
    """SHA-256 of the decoded frames of every clip below a folder."""
    found = {}
    for where in sorted({path.parent for path in folder.rglob("*") if path.is_file()}):
        movies = [path for path in sorted(where.iterdir()) if path.suffix.lower() in CONTAINERS]
        for clip in (*movies, *in_folder(where)):
            digest = hashlib.sha256()
            with Reader(probe(clip)) as reader:
                for frame in reader:
                    for plane in frame.planes:
                        digest.update(plane.contiguous().numpy().tobytes())
            found[str(clip.relative_to(folder))] = digest.hexdigest()
    return found


def unexpected(folder: Path) -> list[str]:
    """Files below a folder that are neither outputs, recipes, journal nor report."""
    own = (JOURNAL, REPORT)
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name not in own and path.name.startswith(".")
    ]


def disturb(
    clips: Path,
    output: Path,
    options: Sequence[str],
    moments: Sequence[float],
    chance: random.Random,
) -> list[int]:
    """Start the batch once for each moment (seconds) and kill it then; its exit statuses."""
    statuses = []
    for number, moment in enumerate(moments):
        hard = number % 2 == 1
        process = subprocess.Popen(
            command(clips, output, options),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(moment * chance.uniform(0.05, 1.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
            if hard:
                _kill_jobs(output)
        statuses.append(process.wait())
    return statuses


def _kill_jobs(output: Path) -> None:
    """SIGKILL to the jobs that were under way."""
    path = output / JOURNAL
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    under_way: dict[str, int] = {}
    for line in lines:
        entry = json.loads(line)
        if entry["event"] == "start":
            under_way[entry["output"]] = entry["pid"]
        else:
            under_way.pop(entry["output"], None)
    for pid in under_way.values():
        place = Path(f"/proc/{pid}/cmdline")
        if place.exists() and b"vdenoise" in place.read_bytes():
            os.kill(pid, signal.SIGKILL)


def check(
    clips: Path, folder: Path, kills: int, options: Sequence[str], seed: int = 0
) -> dict[str, object]:
    """Disturb a batch and compare it with one that was left alone.

    Args:
        clips: folder of clips.
        folder: empty place to work in.
        kills: how often.
        options: of the batch.
        seed: of the moments.

    Returns:
        What was found; ``same`` and ``clean`` are the verdict.
    """
    started = time.monotonic()
    subprocess.run(command(clips, folder / "calm", options), check=True, capture_output=True)
    seconds = time.monotonic() - started
    statuses = disturb(clips, folder / "killed", options, [seconds] * kills, random.Random(seed))
    last = subprocess.run(
        command(clips, folder / "killed", options), check=False, capture_output=True, text=True
    )
    return {
        "kills": kills,
        "statuses": statuses,
        "last": last.returncode,
        "said": last.stderr[-500:],
        "same": frames_of(folder / "calm") == frames_of(folder / "killed") != {},
        "clean": not unexpected(folder / "killed"),
        "left": unexpected(folder / "killed"),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("options", nargs="*", default=["--speed", "veryfast"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = check(given.data, Path(folder), given.kills, given.options, given.seed)
    print(json.dumps(found, indent=1))
    sys.exit(0 if found["same"] and found["clean"] and found["last"] == 0 else 1)


if __name__ == "__main__":
    main()
