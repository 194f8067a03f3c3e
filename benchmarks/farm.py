"""What segments cost beside a single pass, in seconds of CPU; and whether processes share cores.

::

    python -m benchmarks.farm CLIP --frames 0-95 --segment-frames 24 -o benchmarks/results/farm.json

Start-up is the CPU time of a task that finds its segment done. Handles are what the segments take
beyond that and beyond the single pass. At a plan's own segment length a task has ten minutes of
work: the share there is computed from the seconds measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vdenoise.farm.split import TARGET_SECONDS

VDENOISE = (sys.executable, "-m", "vdenoise")


def timed(*words: str, cwd: Path) -> tuple[float, float]:
    """(CPU seconds, wall seconds) of a command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([*VDENOISE, *words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    after, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, end - start


def measure(clip: Path, frames: str, length: int, speed: str) -> dict[str, Any]:
    """All figures for one clip."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = (str(clip.absolute()), "--frames", frames, "--speed", speed, "--codec", "ffv1")
        for plan, size in (("one.json", 10**6), ("many.json", length)):
            options = (*given, "-o", plan, "--to", "out.mkv", "--segment-frames", str(size))
            timed("plan", *options, cwd=folder)
        single, wall_one = timed("run", "--plan", "one.json", "--threads", "1", cwd=folder)
        segments = len(json.loads((folder / "many.json").read_text())["segments"])
        parts = [
            timed("run", "--plan", "many.json", f"--segments={n}", "--threads", "1", cwd=folder)
            for n in range(segments)
        ]
        idle = [
            timed("run", "--plan", "many.json", "--segments=0", "--resume", cwd=folder)[0]
            for _ in range(3)
        ]
        start = min(idle)
        cores = len(os.sched_getaffinity(0))
        devices = ",".join(["cpu"] * cores)
        _, wall_all = timed(
            *("run", "--plan", "many.json", "--overwrite", "--threads", "1"),
            *("--devices", devices),
            cwd=folder,
        )
        work = single - start
        handles = sum(cpu for cpu, _ in parts) - segments * start - work
        each = handles / segments
        return {
            "clip": clip.name,
            "frames": frames,
            "speed": speed,
            "segments": segments,
            "segment_frames": length,
            "single_pass_cpu_s": round(single, 2),
            "start_up_cpu_s": round(start, 2),
            "handles_cpu_s_each": round(each, 2),
            "overhead_percent": round(100 * (handles + segments * start) / work, 1),
            "overhead_percent_at_default_length": round(100 * (start + each) / TARGET_SECONDS, 2),
            "processes": cores,
            "speed_up": round(wall_one / wall_all, 2),
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Write what was measured as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", default="0-95")
    parser.add_argument("--segment-frames", type=int, default=24)
    parser.add_argument("--speed", default="base")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args(arguments)
    found = measure(options.clip, options.frames, options.segment_frames, options.speed)
    text = json.dumps({"schema": 1, "load": os.getloadavg()[0], "rows": [found]}, indent=1) + "\n"
    if options.output is None:
        print(text, end="")
    else:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
