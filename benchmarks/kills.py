"""Kill a batch at random moments, again and again, and see that the result is the same.

::

    python -m benchmarks.kills --data FOLDER --kills 20 --terms 20 -o benchmarks/results/kills.json

FOLDER holds a few short clips and image sequences. A signal counts where it stopped a batch that
was at work; a batch that came to its end is compared and another is begun. Every second SIGKILL is
for the batch alone, whose jobs then have to end by themselves. After every kill each file that is
there under a final name must hold the frames of a batch that nobody disturbed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.results import machine, save
from vdenoise.batch.journal import JOURNAL
from vdenoise.batch.outcome import REPORT
from vdenoise.media.images.sequence import is_image
from vdenoise.media.movie.codecs import CONTAINERS
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader

MARGIN = 1.2  # the latest kill, in durations of a batch: jobs of others slow it down


@dataclass
class Row:
    """What came of one kind of signal."""

    signal: str
    stopped: int = 0  # batches that it stopped at work
    ended: int = 0  # batches that came to their end, resumed or not
    same: bool = True  # these hold the frames of a calm one
    statuses: dict[str, int] = field(default_factory=dict)  # exit statuses, and how often
    broken: list[str] = field(default_factory=list)  # wrong under a final name, after a kill
    strangers: list[str] = field(default_factory=list)  # neither output nor temporary
    temporaries: int = 0  # hidden unfinished files that are left at ends
    said: str = ""  # by a batch that failed

    @property
    def sound(self) -> bool:
        """The verdict."""
        return self.same and not (self.broken or self.strangers or self.said)


def command(clips: Path, output: Path, options: Sequence[str]) -> list[str]:
    """The batch."""
    return [sys.executable, "-m", "vdenoise", "batch", str(clips), "-o", str(output), *options]


def frames_of(folder: Path) -> dict[str, str]:
    """SHA-256 of the decoded frames of every movie and of every image below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or not (path.suffix in CONTAINERS or is_image(path)):
            continue
        digest = hashlib.sha256()
        with Reader(probe(path)) as reader:
            for frame in reader:
                for plane in frame.planes:
                    digest.update(plane.contiguous().numpy().tobytes())
        found[str(path.relative_to(folder))] = digest.hexdigest()
    return found


def _others(folder: Path) -> tuple[list[str], list[str]]:
    """Temporary files, and files of no known kind, that lie below a folder."""
    own = (JOURNAL, REPORT)
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in own]
    hidden = [p for p in files if p.name.startswith(".") and p.name.endswith(".partial")]
    known = [p for p in files if p.suffix in CONTAINERS or is_image(p)]
    recipes = [p for p in files if p.name.endswith(".vdenoise.json")]
    strangers = set(files) - set(hidden) - set(known) - set(recipes)
    return [str(p) for p in hidden], sorted(str(p.relative_to(folder)) for p in strangers)


def check(
    clips: Path,
    folder: Path,
    wanted: dict[signal.Signals, int],
    options: Sequence[str],
    seed: int = 0,
) -> list[Row]:
    """Disturb batches and compare them with one that was left alone.

    Args:
        clips: folder of clips.
        folder: empty place to work in.
        wanted: how often each signal has to stop a batch.
        options: of the batch.
        seed: of the moments.
    """
    chance = random.Random(seed)
    started = time.monotonic()
    subprocess.run(command(clips, folder / "calm", options), check=True, capture_output=True)
    longest = MARGIN * (time.monotonic() - started)
    calm = frames_of(folder / "calm")
    assert calm, "there is no clip"
    return [
        _disturb(kind, count, clips, folder / kind.name, options, longest, chance, calm)
        for kind, count in wanted.items()
    ]


def _disturb(
    kind: signal.Signals,
    count: int,
    clips: Path,
    output: Path,
    options: Sequence[str],
    longest: float,
    chance: random.Random,
    calm: dict[str, str],
) -> Row:
    row = Row(kind.name)
    while row.stopped < count or output.exists() or not row.ended:
        moment = chance.uniform(0, longest) if row.stopped < count else None
        status, said = _run(clips, output, options, kind, moment, jobs_too=row.stopped % 2 == 0)
        row.statuses[str(status)] = row.statuses.get(str(status), 0) + 1
        there = frames_of(output)
        row.broken += [name for name, digest in there.items() if calm.get(name) != digest]
        if status in (-kind, 128 + kind):
            row.stopped += 1
            continue
        row.ended += 1
        row.same = row.same and there == calm
        hidden, strangers = _others(output)
        row.temporaries += len(hidden)
        row.strangers += strangers
        if status != 0:
            row.said = said[-500:]
            return row
        shutil.rmtree(output)
    return row


def _run(
    clips: Path,
    output: Path,
    options: Sequence[str],
    kind: signal.Signals,
    moment: float | None,
    *,
    jobs_too: bool,
) -> tuple[int, str]:
    """Start a batch and end it after ``moment`` seconds; its exit status and last words."""
    process = subprocess.Popen(
        command(clips, output, options),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, said = process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        process.send_signal(kind)
        if kind == signal.SIGKILL and jobs_too:
            _kill_jobs(output)
        _, said = process.communicate()
    return process.returncode, said


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


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--terms", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("options", nargs="*", default=["--speed", "veryfast", "--jobs", "2"])
    given = parser.parse_args()
    wanted = {signal.SIGKILL: given.kills, signal.SIGTERM: given.terms}
    with tempfile.TemporaryDirectory() as folder:
        rows = check(given.data, Path(folder), wanted, given.options, given.seed)
    print(json.dumps([asdict(row) for row in rows], indent=1))
    if given.output is not None:
        save(
            given.output, {"schema": 1, "machine": machine(), "rows": [asdict(row) for row in rows]}
        )
    sys.exit(0 if all(row.sound for row in rows) else 1)


if __name__ == "__main__":
    main()
