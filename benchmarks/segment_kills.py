"""Kill tasks of a plan at random times, resume, and compare the result with a single pass: of a
plan whose segments are joined to a movie, and of one whose segments write images.

::

    python -m benchmarks.segment_kills -o benchmarks/results/segment_kills.json

A signal counts where it stopped a task at work. A plan whose segments are done is joined and
compared, and begun anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.results import machine, save

VDENOISE = (sys.executable, "-m", "vdenoise")
FAST = ("--speed", "veryfast", "--spatial", "gaussian")
LONGEST_SECONDS = 1.5  # from the first sign of work to the kill


@dataclass(frozen=True)
class Killed:
    """How a task ended."""

    status: int
    last: str  # what it said last


@dataclass(frozen=True)
class Found:
    """What was there in the end."""

    identical: bool  # every packet is the single pass's
    broken: list[str]  # segments that are there under their names and are not whole
    strangers: list[str]  # files that are no segment, report or ignorable temporary
    temporaries: int


@dataclass(frozen=True)
class Killing:
    """A plan in a folder, and its single pass."""

    folder: Path
    name: str  # of the output, in the folder ``made``; of the single pass in ``single``

    @classmethod
    def prepare(cls, folder: Path, frames: int = 48, name: str = "clean.mkv") -> Killing:
        """Make clip, plan and single pass."""
        for place in ("made", "single"):
            (folder / place).mkdir(parents=True)
        _clip(folder / "in.mkv", frames)
        _run("run", "in.mkv", "-o", f"single/{name}", *FAST, cwd=folder)
        plan = ("plan", "in.mkv", "-o", "plan.json", "--to", f"made/{name}")
        _run(*plan, "--segment-frames", "6", *FAST, cwd=folder)
        return cls(folder, name)

    def kill(self, number: signal.Signals, seed: int) -> Killed:
        """Start a task and end it at a random time after its first sign of work."""
        command = [*VDENOISE, "run", "--plan", "plan.json", "--resume", "--progress", "json"]
        with subprocess.Popen(command, cwd=self.folder, stderr=subprocess.PIPE, text=True) as task:
            assert task.stderr is not None
            first = task.stderr.readline()
            time.sleep(random.Random(seed).uniform(0, LONGEST_SECONDS) if first else 0)
            task.send_signal(number)
            lines = [first, *task.stderr.read().splitlines()]
        return Killed(task.returncode, lines[-1])

    def look(self) -> Found:
        """What lies in the work folder now; ``identical`` is not known yet."""
        work = self.folder / "plan.work"
        names = [path.name for path in work.iterdir()] if work.exists() else []
        names += [path.name for path in (self.folder / "made").iterdir()]
        hidden = [name for name in names if name.startswith(".") and name.endswith(".partial")]
        known = [name for name in names if name.startswith(("seg_", "clean."))]
        broken = [
            name for name in known if name.startswith("seg_") and not self._whole(work / name)
        ]
        if "#" in self.name:  # an image that is there is whole, whatever became of its segment
            single = self.folder / "single"
            images = (self.folder / "made").glob("clean.*.exr")
            broken += [p.name for p in images if p.read_bytes() != (single / p.name).read_bytes()]
        return Found(False, broken, sorted(set(names) - set(hidden) - set(known)), len(hidden))

    def _whole(self, path: Path) -> bool:
        """Whether a segment's report tells what is there; its clip alone tells nothing."""
        if path.suffix != ".json" or "#" in self.name:
            return True
        wanted, clip = json.loads(path.read_text()), path.with_suffix(".mkv")
        found = clip.exists() and hashlib.sha256(clip.read_bytes()).hexdigest()
        return bool(found == wanted["parts"][0]["sha256"])

    def finish(self) -> Found:
        """Look, do the rest, join, compare."""
        found = self.look()
        _run("run", "--plan", "plan.json", "--resume", cwd=self.folder)
        _run("farm", "assemble", "--plan", "plan.json", "--verify", cwd=self.folder)
        made, single = self.folder / "made", self.folder / "single"
        same = _content(made) == _content(single)
        return replace(found, identical=same)

    def forget(self) -> None:
        """Begin anew."""
        shutil.rmtree(self.folder / "plan.work", ignore_errors=True)
        for path in (self.folder / "made").iterdir():
            path.unlink()


def _run(*words: str, cwd: Path) -> None:
    done = subprocess.run([*VDENOISE, *words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _content(folder: Path) -> dict[str, Any]:
    """The packets of the movie, or the bytes of the images, of a folder."""
    files = [path for path in folder.iterdir() if path.suffix in (".mkv", ".exr")]
    assert files
    return {p.name: _packets(p) if p.suffix == ".mkv" else p.read_bytes() for p in files}


def _packets(path: Path) -> list[tuple[int | None, str]]:
    with av.open(str(path)) as container:
        return [
            (packet.pts, hashlib.sha256(bytes(packet)).hexdigest())
            for packet in container.demux(video=0)
            if packet.size
        ]


def _clip(path: Path, frames: int) -> None:
    """A moving pattern with noise, 160x96."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:144, 0:160]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(frames):
            pattern = 120 + 70 * np.sin((x + 2 * number) / 9) * np.cos(y / 7)
            noisy = np.clip(pattern + rng.normal(0, 8, x.shape), 0, 255).astype(np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="yuv420p")))
        output.mux(stream.encode(None))


def disturb(killing: Killing, number: signal.Signals, count: int) -> dict[str, Any]:
    """Stop tasks ``count`` times and see that every plan comes to the single pass in the end."""
    row: dict[str, Any] = {"signal": number.name, "stopped": 0, "ended": 0, "same": True}
    row |= {"broken": [], "strangers": [], "temporaries": 0}
    seed = 0
    while row["stopped"] < count:
        status = killing.kill(number, seed).status
        assert status in (0, -number, 128 + number), status
        seed += 1
        found = killing.look()
        row["broken"] += found.broken
        row["strangers"] += found.strangers
        row["stopped"] += status != 0
        if status == 0 or row["stopped"] == count:
            row["temporaries"] += found.temporaries
            row["same"] &= killing.finish().identical
            row["ended"] += 1
            killing.forget()
    return row


def main(arguments: Sequence[str] | None = None) -> None:
    """Write what was found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--terms", type=int, default=20)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name in ("clean.mkv", "clean.####.exr"):
            killing = Killing.prepare(Path(folder) / name[-3:], frames=96, name=name)
            for number, count in ((signal.SIGKILL, options.kills), (signal.SIGTERM, options.terms)):
                rows.append({"output": name} | disturb(killing, number, count))
    print(json.dumps(rows, indent=1))
    if options.output is not None:
        save(options.output, {"schema": 1, "machine": machine(), "rows": rows})
    sys.exit(
        0 if all(row["same"] and not (row["broken"] or row["strangers"]) for row in rows) else 1
    )


if __name__ == "__main__":
    main()
