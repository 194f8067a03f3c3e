"""What it takes to look at two hours of 1080p: ``python -m benchmarks.long_movies``.

A noisy clip of ten seconds, scaled up from ``samples/``, is looped to two hours without encoding it
again (some 10 GB in the folder for temporary files; ``--clip FILE`` takes a movie that is there).
``vdenoise preview`` and ``vdenoise tune`` are started on it on one thread, and seconds of CPU, user
and system, are read from their processes: until ``preview`` computes its first picture and until it
ends; until ``tune`` says its address, until the page is there, and until the first part of 960x540
pixels is shown. Beside it stands what importing torch takes at the time, as on a busy machine all
takes longer. Peak memory is the high-water mark of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks import results

TARGET = results.FOLDER / "long_movies.json"
ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "samples" / "scene_sensor.mp4"
HOURS, SHORT, ROUNDS = 2, 10, 4  # of the movie; seconds of what is looped; samples in that
LARGE = "scale=1920:1080,noise=alls=10:allf=t"
ENCODED = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "28")
BOX = {"left": 480, "top": 270, "width": 960, "height": 540}
TICKS = os.sysconf("SC_CLK_TCK")


def looped(folder: Path) -> Path:
    """The movie of two hours."""
    part, movie = folder / "part.mp4", folder / "two_hours.mp4"
    base = ["ffmpeg", "-v", "error", "-y"]
    once = [*base, "-stream_loop", str(ROUNDS), "-i", str(SAMPLE), "-an", "-vf", LARGE, *ENCODED]
    subprocess.run([*once, str(part)], check=True)
    times = HOURS * 3600 // SHORT - 1
    again = [*base, "-stream_loop", str(times), "-i", str(part), "-c", "copy", str(movie)]
    subprocess.run(again, check=True)
    return movie


def started(words: list[str], folder: Path) -> subprocess.Popen[str]:
    """A command of ours, its output to be read line by line."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "vdenoise", *words, "--threads", "1", "--device", "cpu"]
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=-1, stderr=-1, encoding="utf-8"
    )


def spent(process: subprocess.Popen[str]) -> float:
    """CPU seconds, user and system, of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(process: subprocess.Popen[str]) -> int:
    """Most memory that a process had."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) // 1024


def preview(clip: Path, folder: Path) -> dict[str, Any]:
    """Run ``vdenoise preview`` once; its events say when it begins to compute pictures."""
    words = ["preview", str(clip), "-o", "look.png", "--overwrite", "--progress", "json"]
    first, spots, total, peak = 0.0, 0, 0.0, 0
    with started(words, folder) as process:
        assert process.stderr is not None
        for line in process.stderr:
            event = json.loads(line)
            total, peak = spent(process), peak_mib(process)
            if event.get("phase") == "render" and not first:
                first, spots = total, event["frames"]
    if process.returncode:
        raise SystemExit(f"vdenoise preview ended with {process.returncode}")
    return {
        "command": "preview",
        "until_first_picture_cpu_s": round(first, 2),
        "whole_cpu_s": round(total, 2),
        "spots": spots,
        "peak_mib": peak,
    }


def tune(clip: Path, folder: Path) -> dict[str, Any]:
    """Open ``vdenoise tune``, load its page and ask for a first part, as the page does."""
    words = ["tune", str(clip), "--no-browser", "--progress", "none"]
    with started(words, folder) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        opened = spent(process)
        page = urllib.request.urlopen(address).read().decode()
        shown = spent(process)
        began = time.perf_counter()
        data = page.partition('id="data">')[2].partition("</script>")[0]
        known = json.loads(data)
        question = {"settings": known["start"], "frame": known["spots"][known["first"]]["frame"]}
        asked = urllib.request.Request(
            f"{address}look",
            json.dumps(question | BOX).encode(),
            {"Content-Type": "application/json", "Origin": address.rsplit("/", 2)[0]},
        )
        urllib.request.urlopen(asked).read()
        wall = time.perf_counter() - began
        looked, peak = spent(process), peak_mib(process)
        process.terminate()  # a background job may not hear Ctrl-C
    return {
        "command": "tune",
        "until_address_cpu_s": round(opened, 2),
        "until_page_cpu_s": round(shown, 2),
        "until_first_part_cpu_s": round(looked, 2),
        "first_part_wall_s": round(wall, 2),
        "peak_mib": peak,
    }


def torch_seconds() -> float:
    """CPU seconds that importing torch takes now."""
    before = os.times()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    after = os.times()
    return after.children_user + after.children_system - before[2] - before[3]


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path, help="a movie of two hours that is there already")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--note", default="", help="what else the machine was doing")
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vdenoise-long-") as name:
        folder = Path(name)
        clip = (given.clip or looped(folder)).resolve()
        torch = [torch_seconds() for _ in range(3)]
        rows = [measure(clip, folder) for _ in range(given.repeat) for measure in (preview, tune)]
        torch += [torch_seconds() for _ in range(3)]
        size = clip.stat().st_size
    content = {"schema": 1, "machine": results.machine(), "note": given.note, "bytes": size}
    content |= {"import_torch_cpu_s": round(sorted(torch)[len(torch) // 2], 2), "rows": rows}
    print(json.dumps(content, indent=1))
    results.save(given.output, content)


if __name__ == "__main__":
    main()
