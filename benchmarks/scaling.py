"""How the cost of a run grows: ``python -m benchmarks.scaling``. On a quiet machine.

Parts (``--parts``):

* ``sizes``: seconds a frame from 480p to 2160p, over pixels;
* ``lengths``: seconds of a run from 100 to 5000 frames of 320x180, over frames, and peak memory;
* ``batch``: 100 clips of 24 frames at 320x180 in one ``vdenoise batch``, against one clip of 2400;
* ``8k``: peak memory at 7680x4320, three frames.

Of the first two the file has the line through the points, by least squares: its slope, where it
begins, and the largest residual as a share of the value there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import results
from benchmarks.speed import OURS, measure, noisy_clip

Row = dict[str, Any]

TARGET = results.FOLDER / "scaling.json"
SIZES = ((854, 480), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160))
SIZES_FRAMES = 24
LENGTHS = (100, 300, 1000, 2400, 5000)
SMALL = (320, 180)
CLIPS, SHORT = 100, 24
LARGEST, LARGEST_FRAMES = (7680, 4320), 3
VDENOISE = (sys.executable, "-m", "vdenoise")


def line_through(points: Sequence[tuple[float, float]]) -> Row:
    """The straight line nearest to some points, and how far they lie from it."""
    x, y = np.array(points, np.float64).T
    slope, start = np.polyfit(x, y, 1)
    apart = np.abs(slope * x + start - y) / np.maximum(y, 1e-9)
    return {
        "slope": float(f"{slope:.4g}"),
        "start": float(f"{start:.4g}"),
        "largest_residual_share": round(float(apart.max()), 3),
    }


def _run(clip: Path, speed: str) -> Row:
    output = clip.with_name("out.mp4")
    command = [*VDENOISE, "run", str(clip), "-o", str(output), *OURS, "--speed", speed]
    return measure("vdenoise", clip, command)


def sizes(folder: Path, speed: str) -> Row:
    """Seconds a frame, over millions of pixels; what a start costs counts along."""
    rows = [_run(noisy_clip(folder, *size, SIZES_FRAMES), speed) for size in SIZES]
    points = [(w * h / 1e6, row["seconds"] / row["frames"]) for (w, h), row in _sized(rows)]
    return {"rows": rows, "line": line_through(points)}


def _sized(rows: Sequence[Row]) -> list[tuple[tuple[int, int], Row]]:
    return [((row["size"][0], row["size"][1]), row) for row in rows]


def lengths(folder: Path, speed: str) -> Row:
    """Seconds of a run, over its frames; and how much more memory the longest one takes."""
    rows = [_run(noisy_clip(folder, *SMALL, count), speed) for count in LENGTHS]
    found = line_through([(row["frames"], row["seconds"]) for row in rows])
    growth = rows[-1]["peak_mb"] / rows[0]["peak_mb"]
    return {"rows": rows, "line": found, "memory_growth": round(growth, 3)}


def batch(folder: Path, speed: str) -> Row:
    """The time of many short clips as a share of that of one as long as all."""
    whole = _run(noisy_clip(folder, *SMALL, CLIPS * SHORT), speed)
    first = noisy_clip(folder, *SMALL, SHORT)
    clips = folder / "clips"
    clips.mkdir()
    for n in range(CLIPS):
        (clips / f"clip{n:03d}.mp4").write_bytes(first.read_bytes())
    command = [*VDENOISE, "batch", str(clips), "-o", str(folder / "done"), *OURS]
    many = measure("vdenoise batch", first, [*command, "--speed", speed])
    seconds = {"one_clip": whole["seconds"], "clips": many["seconds"]}
    return {"seconds": seconds, "factor": round(many["seconds"] / whole["seconds"], 3)}


def largest(folder: Path, speed: str) -> Row:
    """Peak memory at 8K."""
    return {"rows": [_run(noisy_clip(folder, *LARGEST, LARGEST_FRAMES), speed)]}


PARTS: dict[str, Callable[[Path, str], Row]] = {
    "sizes": sizes,
    "lengths": lengths,
    "batch": batch,
    "8k": largest,
}


def main() -> None:
    """Measure, print and store every part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--speed", default="base")
    parser.add_argument("--note", help="what else the machine was doing")
    given = parser.parse_args()
    for part in given.parts:
        with tempfile.TemporaryDirectory(prefix="vdenoise-scaling-") as folder:
            row = PARTS[part](Path(folder), given.speed)
        content = results.load(TARGET) | {"schema": results.SCHEMA, "machine": results.machine()}
        content |= {"note": given.note, part: {"speed": given.speed} | row}
        print(part, content[part], flush=True)
        results.save(TARGET, content)


if __name__ == "__main__":
    main()
