"""Whether two states of this repository write the same bits: ``benchmarks.same_bits --base REV``.

Run it beside a change that is to move code and nothing else; a minute or two. Bits are those of
one machine (another processor rounds elsewhere), so nothing is stored: both states run here.

Parts of samples are denoised at each ``--speed`` by both. Then a farm plan is made by the base, its
segments are run and joined by this state, and the film is compared with what the base writes in
one go. Needs ffmpeg.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

import av

from benchmarks.startup import ROOT, checked_out, run_with

SAMPLES = ("scene_sensor.mp4", "zoo.mov")  # 8-bit 4:2:0 and 10-bit 4:2:2
SPEEDS = ("veryfast", "fast", "base", "slow", "veryslow")
PART = "crop=192:108:220:120"  # of a picture
FRAMES = "4-5"  # their neighbors are read as well
FARM_FRAMES, SEGMENT = "0-5", "2"


def bits(movie: Path) -> str:
    """SHA-256 of all samples of a movie, and of when they are shown."""
    found = hashlib.sha256()
    with av.open(str(movie)) as film:
        for frame in film.decode(video=0):
            found.update(f"{frame.pts} {frame.format.name}".encode())
            found.update(frame.to_ndarray().tobytes())
    return found.hexdigest()


def cut(sample: str, folder: Path) -> Path:
    """The part of a sample that is denoised, without loss."""
    target = folder / f"{Path(sample).stem}.mkv"
    command = ["ffmpeg", "-v", "error", "-i", str(ROOT / "samples" / sample), "-map", "0:v"]
    subprocess.run(
        [*command, "-vf", PART, "-frames:v", "12", "-c:v", "ffv1", str(target)], check=True
    )
    return target


def vdenoise(root: Path, *words: object) -> None:
    """Run a command with the package of ``root``."""
    run_with(root, [sys.executable, "-m", "vdenoise", *map(str, words)])


def denoised(root: Path, clip: Path, speed: str, frames: str) -> str:
    """`bits` of a clip denoised."""
    output = clip.with_name("denoised.mkv")
    given = ("--speed", speed, "--frames", frames, "--codec", "ffv1", "--overwrite")
    vdenoise(root, "run", clip, "-o", output, *given)
    return bits(output)


def farmed(base: Path, clip: Path) -> str:
    """`bits` of a clip planned by ``base``, denoised in segments and joined by this state."""
    plan, output = clip.with_name("plan.json"), clip.with_name("farm.mkv")
    given = ("--frames", FARM_FRAMES, "--segment-frames", SEGMENT, "--codec", "ffv1")
    vdenoise(base, "plan", clip, "--to", output, "-o", plan, *given)
    vdenoise(ROOT, "run", "--plan", plan, "--segments", "0-2")
    vdenoise(ROOT, "farm", "assemble", "--plan", plan)
    return bits(output)


def main() -> None:
    """Compare, say what differs, and end with 1 if anything does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", metavar="REVISION", required=True, help="state to compare with")
    given, different = parser.parse_args(), 0
    with (
        tempfile.TemporaryDirectory(prefix="vdenoise-bits-") as name,
        checked_out(given.base, Path(name)) as base,
    ):
        clips = [cut(sample, Path(name)) for sample in SAMPLES]
        for clip, speed in itertools.product(clips, SPEEDS):
            before, now = (denoised(root, clip, speed, FRAMES) for root in (base, ROOT))
            different += _tell(f"{clip.stem} {speed}", before, now)
        before = denoised(base, clips[0], "base", FARM_FRAMES)
        different += _tell("planned before, assembled after", before, farmed(base, clips[0]))
    raise SystemExit(1 if different else 0)


def _tell(case: str, before: str, now: str) -> bool:
    different = before != now
    print(f"{case}: {'DIFFERENT' if different else 'equal'} {before[:12]} {now[:12]}", flush=True)
    return different


if __name__ == "__main__":
    main()
