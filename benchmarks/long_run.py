"""Long material: does memory grow, and does a killed run go on to the same frames?

::

    python -m benchmarks.long_run --minutes 90 -o benchmarks/results/long_run.json

A minute of ten shots of 320x180, made from ``samples/``, is looped without encoding it again. It is
denoised in one go, its memory looked at twice a second, and once more with ``--resume``, killed
with SIGKILL at moments drawn over the whole way; then the frames of both are compared. Noise is
given and only a small spatial filter works, so that time goes to reading, queues and writing.
Seconds of CPU are those until the first frame was said to be done, user and system.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.kills import frames_of
from benchmarks.long_movies import spent
from benchmarks.results import machine, save
from benchmarks.resume_kills import parts_done
from benchmarks.soak import VDENOISE, look, row_of
from vdenoise.farm.resumable import work_folder

SAMPLE = Path(__file__).parents[1] / "samples" / "scene_sensor.mp4"
MINUTES, RATE, SIZE = 90, 24, (320, 180)
SHOTS = 10  # of six seconds each: the sample to and fro, as it is, mirrored, darker, nearer
LOOKS = ("null", "hflip", "eq=brightness=-0.15", "crop=iw/2:ih/2", "vflip")
ENCODED = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "48")
CHAIN = ("--speed", "veryfast", "--temporal", "none", "--spatial", "gaussian")
WORDS = (*CHAIN, "--sigma", "4", "--cuts", "off", "--codec", "ffv1", "--threads", "1")
# Parts of some twenty seconds of work: of ten minutes' it would be too few to kill between.
START = (
    "from vdenoise.farm import split; split.TARGET_SECONDS = 20.0; import sys; "
    "from vdenoise import cli; sys.exit(cli.status(sys.argv[1:]))"
)


def looped(folder: Path, minutes: int) -> Path:
    """The movie."""
    base, parts = ("ffmpeg", "-v", "error", "-y"), []
    for n in range(SHOTS):
        filters = f"{LOOKS[n % len(LOOKS)]},scale={SIZE[0]}:{SIZE[1]},noise=alls=8:allf=t"
        filters += f":all_seed={n},fps={RATE}" + (",reverse" if n >= len(LOOKS) else "")
        parts.append(folder / f"shot{n}.mp4")
        source = (*base, "-stream_loop", "9", "-t", "6", "-i", str(SAMPLE), "-an", "-vf", filters)
        end = ("-frames:v", str(6 * RATE), "-pix_fmt", "yuv420p", *ENCODED, str(parts[-1]))
        subprocess.run((*source, *end), check=True)
    listed = folder / "shots.txt"
    listed.write_text("".join(f"file '{part}'\n" for part in parts * minutes))
    movie = folder / "in.mkv"
    joined = (*base, "-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy", str(movie))
    subprocess.run(joined, check=True)
    return movie


def told(log: Path) -> int:
    """How many frames a run says are done."""
    lines = log.read_text().splitlines() if log.exists() else []
    of_frames = [x for x in lines if '"progress"' in x and '"denoise"' in x]
    return int(of_frames[-1].partition('"done":')[2].split(",")[0]) if of_frames else 0


def single(folder: Path, count: int) -> dict[str, Any]:
    """One go; its memory, and what it took until the first frame."""
    folder.joinpath("single").mkdir()
    log, seen, first = folder / "log", [], 0.0
    words = ("run", "in.mkv", "-o", "single/clean.mkv", *WORDS, "--progress", "json")
    with (
        log.open("w") as stream,
        subprocess.Popen([*VDENOISE, *words], cwd=folder, stderr=stream, stdout=stream) as process,
    ):
        while process.poll() is None:
            done = told(log)
            if done and not first:
                first = spent(process)
            if (one := look(process.pid, folder, done)) is not None:
                seen.append(one)
            time.sleep(0.5)
    assert process.returncode == 0, log.read_text()[-2000:]
    return row_of("single", count, seen) | {"first_frame_cpu_s": round(first, 1)}


def killed(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """The same with ``--resume``, stopped at moments drawn over the parts that it is split into."""
    output, rng = folder / "made" / "clean.mkv", random.Random(seed)
    output.parent.mkdir()
    words = ("run", "in.mkv", "-o", str(output), *WORDS, "--resume", "--progress", "json")
    stops: list[int] = []
    lost = 0
    while len(stops) < kills:
        before = parts_done(output)
        with subprocess.Popen(
            [sys.executable, "-c", START, *words], cwd=folder, stderr=subprocess.DEVNULL
        ) as process:
            wanted = before + rng.choice((0, 1, 1, 2))
            while process.poll() is None and parts_done(output) < wanted:
                time.sleep(0.05)
            time.sleep(rng.uniform(0, 20))
            process.kill()
        after = parts_done(output)
        lost += after < before
        if process.returncode == 0:
            break
        stops.append(after)
        print(f"killed with {after} parts done", flush=True)
    subprocess.run(
        [sys.executable, "-c", START, *words], cwd=folder, stderr=subprocess.DEVNULL, check=True
    )
    return {
        "what": "killed", "kills": len(stops), "parts_done_at_kills": stops, "parts_lost": lost,
        "unfinished": work_folder(output).exists(),
    }  # fmt: skip


def main() -> None:
    """Write what was found as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=int, default=MINUTES)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=19)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    count = options.minutes * 60 * RATE
    with tempfile.TemporaryDirectory(prefix="vdenoise-long-run-") as name:
        folder = Path(name)
        looped(folder, options.minutes)
        rows = [single(folder, count)]
        print(json.dumps(rows[0]), flush=True)
        of_single = frames_of(folder / "single")
        (folder / "single" / "clean.mkv").unlink()
        rows.append(killed(folder, options.kills, options.seed))
        rows[1]["same_frames"] = frames_of(folder / "made") == of_single
    print(json.dumps(rows[1]), flush=True)
    if options.output is not None:
        size = {"width": SIZE[0], "height": SIZE[1], "frames": count, "seed": options.seed}
        save(options.output, {"schema": 1, "machine": machine()} | size | {"rows": rows})
    sys.exit(not rows[1]["same_frames"] or rows[1]["parts_lost"])


if __name__ == "__main__":
    main()
