"""Whether the structure gate ranks denoisers as eyes do: ``python -m benchmarks.structure``.

Five denoisers work on eight frames of ``samples/scene_film.mp4``: FFmpeg's hqdn3d, nlmeans, a
Gaussian blur and a median, and ``vdenoise`` as it is. ``qc`` judges each result; crops at 200 %, in
the order of the gate's figure, go to ``docs/structure.png`` for whoever wants to disagree. With
``--data FOLDER`` a real street at night, which is not ours to show, is ranked as well.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import results
from benchmarks.gates import said
from vdenoise.engine.tiles import Area
from vdenoise.media.images.drawing import Canvas, draw_text, save_picture
from vdenoise.review.display import Picture, rgb_float, shown
from vdenoise.review.sheet import FAINT, INK, PAPER, enlarged
from vdenoise.workflows.reading import Reading

TARGET = results.FOLDER / "structure.json"
ROOT = Path(__file__).parents[1]
SHEET = ROOT / "docs" / "structure.png"
STREET = "realnoise_street_360p"
FRAMES, SHOWN = 8, 6
FILTERS = {
    "hqdn3d": "hqdn3d",
    "nlmeans": "nlmeans=s=6:p=7:r=11",
    "blur": "gblur=sigma=2",
    "median": "median=radius=4",
}
OURS = "vdenoise"
CROPS = {  # where the figures are greatest
    "bricks and paving": Area(250, 360, 380, 520),
    "leaves": Area(20, 130, 500, 640),
}
_TEXT, _GAP = 17, 8  # pixels


def clips(data: Path | None, folder: Path) -> dict[str, Path]:
    """The noisy clips by name, without losses."""
    sample = ["-ss", "0.75", "-i", str(ROOT / "samples" / "scene_film.mp4")]
    found = {"film": sample}
    if data is not None:
        found["street"] = ["-framerate", "24", "-i", str(data / STREET / "%08d.png")]
    made = {}
    for name, source in found.items():
        made[name] = folder / f"{name}.mkv"
        command = ["ffmpeg", "-v", "error", *source, "-an", "-frames:v", str(FRAMES)]
        command += ["-pix_fmt", "yuv420p", "-c:v", "ffv1", str(made[name])]
        subprocess.run(command, check=True)
    return made


def cleaned(name: str, source: Path) -> Path:
    """A clip without its noise, by one of the five."""
    target = source.with_name(f"{source.stem}-{name}.mkv")
    if name == OURS:
        words = ["run", str(source), "-o", str(target), "--codec", "ffv1", "--device", "cpu"]
        said([*words, "--threads", "1", "--progress", "none"])
        return target
    command = ["ffmpeg", "-v", "error", "-i", str(source), "-vf", FILTERS[name]]
    subprocess.run([*command, "-c:v", "ffv1", "-threads", "1", str(target)], check=True)
    return target


def lost(source: Path, result: Path) -> float:
    """Per cent of the picture's detail that went along, as the structure gate has it."""
    words = ["qc", str(source), str(result), "--json", "--threads", "1", "--progress", "none"]
    gates = json.loads(said(words, (0, 7)))["gates"]
    return float(next(g["figure"] for g in gates if g["gate"] == "structure"))


def picture(path: Path) -> Picture:
    """One frame."""
    reading = Reading(path, threads=1)
    info = reading.probe()
    with reading.reader(info, SHOWN, SHOWN) as reader:
        (frame,) = reader
    return shown(rgb_float(frame.planes, info.format, info))


def sheet(columns: list[tuple[str, str, Picture]]) -> Canvas:
    """Crops at 200 %: a column for each picture, a row for each crop."""
    parts = [
        [enlarged(p[a.top : a.bottom, a.left : a.right], 2) for a in CROPS.values()]
        for _, _, p in columns
    ]
    high, wide = parts[0][0].shape[:2]
    head = 2 * (_TEXT + 8) + _GAP
    size = head + len(CROPS) * (high + _GAP), len(columns) * (wide + _GAP) + _GAP, 3
    canvas = np.empty(size, np.uint8)
    canvas[:] = PAPER
    for n, ((title, said_, _), crops) in enumerate(zip(columns, parts, strict=True)):
        left = _GAP + n * (wide + _GAP)
        draw_text(canvas, (left, _TEXT + 6), title, _TEXT, INK, bold=True)
        draw_text(canvas, (left, 2 * (_TEXT + 6)), said_, _TEXT, FAINT)
        for row, crop in enumerate(crops):
            top = head + row * (high + _GAP)
            canvas[top : top + high, left : left + wide] = crop
    return canvas


def main() -> None:
    """Rank, draw and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help=f"a folder with {STREET}")
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="vdenoise-structure-") as folder:
        for clip, source in clips(given.data, Path(folder)).items():
            made = {name: cleaned(name, source) for name in (*FILTERS, OURS)}
            figures = {name: round(lost(source, made[name]), 1) for name in made}
            order = sorted(figures, key=lambda name: figures[name])
            rows += [{"clip": clip, "denoiser": n, "lost_percent": figures[n]} for n in order]
            if clip == "film":
                columns = [("source", "", picture(source))]
                columns += [(n, f"{figures[n]:.0f} % lost", picture(made[n])) for n in order]
                save_picture(SHEET, sheet(columns))
    found = {"schema": 1, "machine": results.machine(), "filters": FILTERS, "rows": rows}
    print(json.dumps(found, indent=1))
    results.save(given.output, found)


if __name__ == "__main__":
    main()
