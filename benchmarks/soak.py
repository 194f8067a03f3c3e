"""Run for long, and see that memory, handles, threads and temporary files do not grow.

::

    python -m benchmarks.soak --frames 5000 --clips 500 -o benchmarks/results/soak.json

One clip of many frames, and a batch of many clips, of 64x48 pixels. Twice a second the process,
and of a batch the one that its jobs divide from, is looked at from outside; a row holds the line
through what was seen, from a fifth of the way on. Rows of an earlier call stay where they are not
made anew.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import known, machine, save
from tests.helpers.clips import Clip, write
from vdenoise.media.movie.codecs import CONTAINERS

VDENOISE = (sys.executable, "-m", "vdenoise")
CHAIN = ("--sigma", "8", "--cuts", "off", "--speed", "veryfast", "--temporal-radius", "1")
WARM = 0.2  # of the work: what is made once is made by then
# The most that a line may rise over all of the work: what the system's own rounding of pages makes.
MOST = {"memory_mib": 8.0, "handles": 0.9, "threads": 0.9, "temporaries": 0.9}


@dataclass(frozen=True)
class Look:
    """A process and those that it started itself, at one moment."""

    done: int  # frames or clips
    memory_mib: float
    handles: int
    threads: int
    temporaries: int  # unfinished files where it writes, and what lies in its folder for such


def look(pid: int, folder: Path, done: int) -> Look | None:
    """None where the process has ended."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        parts = [_part(Path(f"/proc/{each}")) for each in (pid, *children)]
    except (OSError, KeyError):
        return None
    temporaries = sum(1 for _ in folder.rglob(".*.partial"))
    temporaries += sum(1 for path in (folder / "tmp").rglob("*") if path.is_file())
    memory, handles, threads = (sum(each) for each in zip(*parts, strict=True))
    return Look(done, memory, int(handles), int(threads), temporaries)


def _part(place: Path) -> tuple[float, int, int]:
    """Memory in MiB, handles and threads of a process, of what the system tells of it."""
    status = (place / "status").read_text()
    told = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    memory = int(told["VmRSS"].split()[0]) / 1024
    return memory, len(list((place / "fd").iterdir())), int(told["Threads"])


def watched(words: Sequence[str], folder: Path, progress: Callable[[], int]) -> list[Look]:
    """Everything that was seen of a command."""
    (folder / "tmp").mkdir()
    places = {**os.environ, "TMPDIR": str(folder / "tmp")}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*VDENOISE, *words], cwd=folder, stderr=log, stdout=log, env=places
        )
        seen = []
        while process.poll() is None:
            if (one := look(process.pid, folder, progress())) is not None:
                seen.append(one)
            time.sleep(0.5)
    assert process.returncode == 0, (folder / "log").read_text()[-2000:]
    return seen


def row_of(name: str, count: int, seen: Sequence[Look]) -> dict[str, Any]:
    """Lines through what was seen, as the rise over all of the work."""
    warm = [one for one in seen if one.done >= WARM * count]
    assert len(warm) > 20, "it was looked at too seldom"
    row: dict[str, Any] = {"what": name, "count": count, "looks": len(warm)}
    for kind, most in MOST.items():
        done, value = (np.array([getattr(one, k) for one in warm]) for k in ("done", kind))
        rise = float(np.polyfit(done, value, 1)[0]) * count
        row[kind] = {
            "least": round(float(value.min()), 1),
            "most": round(float(value.max()), 1),
            "rise": round(rise, 2),
            "sound": rise <= most,
        }
    return row


def frames_row(folder: Path, count: int) -> dict[str, Any]:
    """One clip of many frames."""
    write(Clip("in.mkv", "ffv1", frames=count), folder)
    log = folder / "log"

    def progress() -> int:
        lines = log.read_text().splitlines() if log.exists() else []
        told = [line for line in lines if '"progress"' in line]
        return int(told[-1].partition('"done":')[2].split(",")[0]) if told else 0

    words = ("run", "in.mkv", "-o", "out.mkv", *CHAIN, "--progress", "json")
    return row_of("frames", count, watched(words, folder, progress))


def clips_row(folder: Path, count: int) -> dict[str, Any]:
    """A batch of many clips."""
    (folder / "clips").mkdir()
    data = write(Clip("in.mkv", "ffv1", frames=2), folder).read_bytes()
    for number in range(count):
        (folder / "clips" / f"{number:04}.mkv").write_bytes(data)
    out = folder / "out"

    def progress() -> int:
        return sum(1 for path in out.glob("*") if path.suffix in CONTAINERS)

    words = ("batch", "clips", "-o", "out", *CHAIN, "--jobs", "1")
    return row_of("clips", count, watched(words, folder, progress))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    rows = {} if options.output is None else known(options.output, lambda row: (row["what"],))
    for make, count in ((frames_row, options.frames), (clips_row, options.clips)):
        if count:
            with tempfile.TemporaryDirectory(prefix="vdenoise-soak-") as folder:
                row = make(Path(folder), count)
            print(row, flush=True)
            rows[row["what"],] = row
    if options.output is not None:
        save(options.output, {"schema": 1, "machine": machine(), "rows": list(rows.values())})
    raise SystemExit(not all(row[kind]["sound"] for row in rows.values() for kind in MOST))


if __name__ == "__main__":
    main()
