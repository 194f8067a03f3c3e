"""What segments cost beside a single pass, in seconds of CPU; and whether processes share cores.

::

    python -m benchmarks.farm CLIP -o benchmarks/results/farm.json

On a quiet machine; about five minutes on two cores with a clip in 720p.

Start-up is the CPU time of a task that finds its segment done. Handles are what segments take
beyond that and beyond a single pass. Both are compared with the work of a segment of the length
that ``vdenoise plan`` chooses for such a clip, from the seconds measured here. All tasks run on one
thread; afterwards the same segments are shared out to as many processes as there are cores.
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

from benchmarks.results import machine, save
from vdenoise.farm.planfile import PlanFile
from vdenoise.farm.split import segment_length
from vdenoise.media.probe import probe

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
    """All figures for one clip.

    Args:
        clip: the clip.
        frames: which of its frames, as for ``--frames``.
        length: of a segment here.
        speed: the ``--speed`` word.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = (str(clip.absolute()), "--frames", frames, "--speed", speed, "--codec", "ffv1")
        for plan, size in (("one.json", 10**6), ("many.json", length)):
            options = (*given, "-o", plan, "--to", "out.mkv", "--segment-frames", str(size))
            timed("plan", *options, cwd=folder)
        one, many = (PlanFile.load(folder / plan) for plan in ("one.json", "many.json"))
        assert len(one.segments) == 1 and many.analysis is not None
        alone = ("--threads", "1")
        single, wall_one = timed("run", "--plan", "one.json", *alone, cwd=folder)
        parts = [
            timed("run", "--plan", "many.json", f"--segments={n}", *alone, cwd=folder)[0]
            for n in range(len(many.segments))
        ]
        idle = ("run", "--plan", "many.json", "--segments=0", "--resume", *alone)
        start = min(timed(*idle, cwd=folder)[0] for _ in range(3))
        cores = len(os.sched_getaffinity(0))
        devices = ("--devices", ",".join(["cpu"] * cores))
        shared = ("run", "--plan", "many.json", "--overwrite", *alone, *devices)
        wall_all = timed(*shared, cwd=folder)[1]
    info, chain = probe(clip), many.analysis.chain.chain()
    reach = sum(stage.reach for stage in chain.stages)
    work = (single - start) / (one.frames[1] - one.frames[0] + 1)
    inner = sum(last - first + 1 for first, last in many.segments) * work
    handles = (sum(parts) - len(parts) * start - inner) / len(parts)
    default = segment_length(info.width * info.height, speed, reach)
    return {
        "clip": clip.name,
        "size": [info.width, info.height],
        "frames": frames,
        "speed": speed,
        "reach": reach,
        "segments": len(parts),
        "segment_frames": length,
        "cpu_s_per_frame": round(work, 3),
        "start_up_cpu_s": round(start, 2),
        "handles_cpu_s_each": round(handles, 2),
        "overhead_percent_here": round(100 * (handles + start) * len(parts) / inner, 1),
        "default_segment_frames": default,
        "overhead_percent_at_default": round(100 * (start + handles) / (default * work), 2),
        "processes": cores,
        "speed_up": round(wall_one / wall_all, 2),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Write what was measured as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", default="0-35")
    parser.add_argument("--segment-frames", type=int, default=12)
    parser.add_argument("--speeds", default="fast,base")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args(arguments)
    rows = [
        measure(options.clip, options.frames, options.segment_frames, speed)
        for speed in options.speeds.split(",")
    ]
    print(json.dumps(rows, indent=1))
    if options.output is not None:
        load = round(os.getloadavg()[0], 2)
        save(options.output, {"schema": 1, "machine": machine(), "load": load, "rows": rows})


if __name__ == "__main__":
    main()
