"""Whether good results pass the gates of ``vdenoise qc``: ``python -m benchmarks.gates``.

Every preset that is shipped denoises a small part of every clip in ``samples/``, and qc judges the
result, whose worst figure of each gate is stored as a share of its limit: above 1 it fires. Parts
are cut out, not scaled, so that noise, codec and picture stay what they are; of the street with
camera noise the part goes over its cut. ``--missing`` goes on where it was ended.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import results
from vdenoise import cli
from vdenoise.chain.preset_files import shipped

TARGET = results.FOLDER / "gates.json"
SAMPLES = Path(__file__).parents[1] / "samples"
PARTS = {  # filters of FFmpeg that cut the part out
    "scene_sensor.mp4": "trim=start_frame=28:end_frame=36,crop=320:192:160:112",
    "scene_film.mp4": "trim=start_frame=18:end_frame=26,crop=320:192:160:112",
    "scene_clean.mp4": "trim=start_frame=28:end_frame=36,crop=320:192:160:112",
    "zoo.mov": "trim=start_frame=0:end_frame=8",
}


def part_of(sample: str, folder: Path) -> Path:
    """The part of a sample, without losses."""
    target = folder / f"{Path(sample).stem}.mkv"
    if not target.exists():
        command = ["ffmpeg", "-v", "error", "-i", str(SAMPLES / sample), "-an", "-dn", "-vf"]
        command += [f"{PARTS[sample]},setpts=PTS-STARTPTS", "-c:v", "ffv1", str(target)]
        subprocess.run(command, check=True)
    return target


def said(words: list[str], allowed: tuple[int, ...] = (0,)) -> str:
    """What a command of ours prints.

    Raises:
        SystemExit: it failed.
    """
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard):
        status = cli.status(words)
    if status not in allowed:
        raise SystemExit(f"vdenoise {' '.join(words)} ended with {status}")
    return heard.getvalue()


def judged(preset: str, sample: str, folder: Path) -> dict[str, Any]:
    """One preset on one sample: each gate's worst figure as a share of its limit."""
    source, result = part_of(sample, folder), folder / "result.mkv"
    run = ["run", str(source), "-o", str(result), "--overwrite", "--preset", preset]
    said([*run, "--codec", "ffv1", "--threads", "1", "--device", "cpu", "--progress", "none"])
    words = ["qc", str(source), str(result), "--json", "--threads", "1", "--progress", "none"]
    found = json.loads(said(words, (0, 7)))
    gates = {g["gate"]: round(g["figure"] / max(g["limit"], 1), 2) for g in found["gates"]}
    fired = [g["gate"] for g in found["gates"] if not g["ok"]]
    return {"preset": preset, "sample": sample, "fired": fired, **gates}


def main() -> None:
    """Judge, print and store after each result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--missing", action="store_true", help="only what is not stored yet")
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    given = parser.parse_args()
    before = json.loads(given.output.read_text()) if given.missing and given.output.exists() else {}
    rows: list[dict[str, Any]] = before.get("rows", [])
    there = {(row["preset"], row["sample"]) for row in rows}
    with tempfile.TemporaryDirectory(prefix="vdenoise-gates-") as folder:
        for sample in PARTS:
            for preset in shipped():
                if (preset, sample) in there:
                    continue
                rows.append(judged(preset, sample, Path(folder)))
                print(json.dumps(rows[-1]), flush=True)
                results.save(
                    given.output, {"schema": 1, "machine": results.machine(), "rows": rows}
                )


if __name__ == "__main__":
    main()
