"""Speed and memory, decode to encode: ``python -m benchmarks.speed``.

A noisy 1080p clip is drawn by ``samples/scene.py`` (enlarged, so that drawing it takes seconds),
stored as H.264, and denoised by vdenoise and by FFmpeg's nlmeans with the same encoder settings
and two threads. Then vdenoise's peak memory over 100 and 1000 frames and at 2160p.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import clips, results
from samples import scene
from vdenoise.degrade import synth

X264 = ("-c:v", "libx264", "-crf", "18", "-preset", "medium", "-threads", "2")
DRAWN = 8  # frames that are drawn; longer clips go back and forth through them

OURS = ("--codec", "x264", "--crf", "18", "--overwrite")
FFMPEG = ("ffmpeg", "-v", "error", "-y", "-filter_threads", "2", "-threads", "2")


def main() -> None:
    """Measure, print and store every row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100, help="of the 1080p clip")
    parser.add_argument("--long", type=int, default=1000, help="frames of the memory test; 0: none")
    parser.add_argument("--uhd", type=int, default=16, help="frames at 2160p; 0: none")
    parser.add_argument("--note", help="what else the machine was doing")
    parser.add_argument("--only", help="only competitors whose name has this in it")
    given = parser.parse_args()
    rows = {_key(r): r for r in results.load(results.SPEED).get("rows", [])}
    with tempfile.TemporaryDirectory(prefix="vdenoise-speed-") as folder:
        hd = noisy_clip(Path(folder), 1920, 1080, given.frames)
        output = Path(folder) / "out.mp4"
        jobs = [
            ("vdenoise", hd, _ours(hd, output)),
            ("vdenoise --model none", hd, _ours(hd, output, "--model", "none")),
            ("vdenoise --speed fast", hd, _ours(hd, output, "--speed", "fast")),
            ("ffmpeg nlmeans (default: p=7:r=15)", hd, _nlmeans(hd, output, "s=4")),
            ("ffmpeg nlmeans (p=5:r=11)", hd, _nlmeans(hd, output, "s=4:p=5:r=11")),
        ]
        if given.long:
            long = noisy_clip(Path(folder), 1920, 1080, given.long)
            jobs.append(("vdenoise --speed fast", long, _ours(long, output, "--speed", "fast")))
        if given.uhd:
            uhd = noisy_clip(Path(folder), 3840, 2160, given.uhd)
            jobs.append(("vdenoise", uhd, _ours(uhd, output)))
        for competitor, clip, command in jobs:
            if given.only and given.only not in competitor:
                continue
            row = measure(competitor, clip, command)
            rows[_key(row)] = row
            print(f"{row}", flush=True)
            content = {"schema": results.SCHEMA, "machine": results.machine(), "note": given.note}
            results.save(results.SPEED, content | {"rows": list(rows.values())})
    results.write_quality_page()


def noisy_clip(folder: Path, width: int, height: int, frames: int) -> Path:
    """An H.264 clip with sensor noise."""
    target = folder / f"noisy-{height}-{frames}.mp4"
    small = np.stack(list(scene.frames(width // 2, height // 2, DRAWN, cut=DRAWN)))
    picture = torch.from_numpy(small).permute(0, 3, 1, 2)
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", "24", "-i", "-", *X264]
    command += ["-preset", "ultrafast", "-pix_fmt", "yuv420p", *clips.BT709, str(target)]
    there_and_back = [*range(DRAWN), *range(DRAWN - 2, 0, -1)]
    raw = []
    for t, place in enumerate(there_and_back[:frames]):
        large = torch.nn.functional.interpolate(picture[place : place + 1], scale_factor=2.0)
        noisy = synth.sensor(large, 0.004, 1e-4, seed=clips.SEED, first=t)
        raw.append((noisy[0].permute(1, 2, 0) * 255).round().byte().numpy().tobytes())
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        for t in range(frames):
            encoder.stdin.write(raw[t % len(raw)])
    return target


def measure(competitor: str, clip: Path, command: list[str]) -> dict[str, Any]:
    """Run a command: seconds, and the peak memory of its process."""
    begin, peak_kib = time.perf_counter(), 0
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as process:
            while process.poll() is None:
                peak_kib = max(peak_kib, _high_water_kib(process.pid))
                time.sleep(0.05)
        errors.seek(0)
        said = errors.read().decode()
    seconds = time.perf_counter() - begin
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{said}")
    frames = int(clip.stem.split("-")[2])
    return {
        "competitor": competitor,
        "size": list(clips.size_of(clip)),
        "frames": frames,
        "seconds": round(seconds, 2),
        "fps": round(frames / seconds, 3),
        "peak_mb": round(peak_kib * 1024 / 1e6),
    }


def _high_water_kib(pid: int) -> int:
    """Peak resident memory of a running process. What the system reports at its end begins with
    the memory of this program, from which it was forked."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) if found else 0


def _ours(clip: Path, output: Path, *options: str) -> list[str]:
    command = [sys.executable, "-m", "vdenoise", "run", str(clip), "-o", str(output)]
    return [*command, *OURS, *options]


def _nlmeans(clip: Path, output: Path, options: str) -> list[str]:
    return [*FFMPEG, "-i", str(clip), "-vf", f"nlmeans={options}", *X264, str(output)]


def _key(row: dict[str, Any]) -> tuple[str, int, int]:
    return row["competitor"], row["size"][1], row["frames"]


if __name__ == "__main__":
    main()
