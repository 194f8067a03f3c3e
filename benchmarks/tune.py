"""How soon the page of ``vdenoise tune`` answers: ``python -m benchmarks.tune``.

A noisy 1080p clip is drawn by ``samples/scene.py`` and opened as the command opens it, with all
its options as they are (speed ``base``). Then a region of 960x540 pixels is asked for as the page
asks: first as it is, which is not counted, then after a turn of each of some dials, each to a value
that was not seen before. Counted is the time until the first of it, the middle of the view that the
page asks for where a whole region takes longer than a glance, and then until the whole is there,
without the page's own drawing. Beside the seconds on the clock stand those of CPU, of all threads:
on a machine that does other work the clock says little.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import results
from benchmarks.speed import noisy_clip
from vdenoise.cli.switches import with_strengths
from vdenoise.cli.tune import session_of, tune
from vdenoise.review.tune.session import WINDOW, Session
from vdenoise.review.tune.settings import Settings
from vdenoise.ui import Reporter

RESULTS = results.FOLDER / "tune.json"
FRAMES = 16
GLANCE = (480, 270)  # width and height of the middle that the page asks for first
TURNS: dict[str, tuple[str, ...]] = {  # values of a dial, each asked for once
    "output.luma": ("80", "60", "40"),
    "spatial.strength": ("0.9", "0.8", "0.7"),
    "net.strength": ("0.9", "0.8", "0.7"),
    "temporal.motion_threshold": ("45", "40", "35"),
    "temporal.radius": ("2", "1", "4"),
}


def main() -> None:
    """Measure, print and store every row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--note", help="what else the machine was doing")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vdenoise-tune-") as folder:
        clip = noisy_clip(Path(folder), 1920, 1080, FRAMES)
        began = time.perf_counter()
        session = _opened(clip, given.threads)
        opened = time.perf_counter() - began
        rows = _rows(session)
    for row in rows:
        first, rest, cpu = row["first_s"], row["then_whole_s"], row["first_cpu_s"]
        print(f"{row['dial']:28} {first:6.2f} s first ({cpu:.2f} CPU), {rest:6.2f} s for the whole")
    found = {"machine": results.machine(), "threads": given.threads, "note": given.note or ""}
    results.save(given.output, found | {"opened_s": round(opened, 2), "rows": rows})


def _opened(clip: Path, threads: int) -> Session:
    words = with_strengths(["--device", "cpu", "--threads", str(threads), "--progress", "none"])
    context = tune.make_context("vdenoise tune", [str(clip), *words])
    with context, Reporter("none") as reporter:
        return session_of(context, reporter)


def _rows(session: Session) -> list[dict[str, str | float]]:
    height, width = WINDOW
    info, start = session.info, session.base.start
    whole = ((info.width - width) // 2, (info.height - height) // 2, width, height)
    middle = ((info.width - GLANCE[0]) // 2, (info.height - GLANCE[1]) // 2, *GLANCE)
    frame = info.readable // 2
    session.look(start, frame, whole)
    rows: list[dict[str, str | float]] = []
    for dial, values in TURNS.items():
        asked = [_turned(start, dial, value) for value in values]
        looks = [[_look(session, one, frame, box) for box in (middle, whole)] for one in asked]
        row: dict[str, str | float] = {"dial": dial}
        for n, name in enumerate(("first", "then_whole")):
            for which, unit in enumerate(("s", "cpu_s")):
                found = statistics.median(one[n][which] for one in looks)
                row[f"{name}_{unit}"] = round(found, 3)
        rows.append(row)
    return rows


def _turned(start: Settings, dial: str, value: str) -> Settings:
    return start.model_copy(update={"values": {**start.values, dial: value}})


def _look(
    session: Session, settings: Settings, frame: int, box: tuple[int, int, int, int]
) -> tuple[float, float]:
    """Seconds on the clock and of CPU."""
    began, worked = time.perf_counter(), time.process_time()
    session.look(settings, frame, box)
    return time.perf_counter() - began, time.process_time() - worked


if __name__ == "__main__":
    main()
