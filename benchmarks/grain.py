"""How near ``--grain match:CLIP`` comes to the grain of another clip.

    python -m benchmarks.grain --data FOLDER

Clips with noise of one kind get the grain of clips with another, through the default chain (network
included), from the noisy files alone, as a user would do it. Everything is measured against the
noise that was truly put into the target: sigma by level, and correlation with the next pixel. Of
the result two runs are compared whose source noise and grain have other seeds: what differs is what
looks like grain, drawn or left over; what both have lost of the picture is none. Writes
``results/grain.json`` and the table of docs/finishing.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import clips, results
from vdenoise import cli
from vdenoise.noise import synth
from vdenoise.noise.profile import NoiseProfile

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "grain.json"
PAGE = ROOT / "docs" / "finishing.md"
MARK = "grain"

NOISES = {
    "film": partial(synth.film_grain, sigma=12 / 255, size=0.8),
    "fine film": partial(synth.film_grain, sigma=4 / 255, size=0.5),
    "sensor": partial(synth.sensor, shot=0.01, read=4e-4),
}
CASES = (  # source and its noise, target and its noise
    ("car-shadow", "sensor", clips.SAMPLE, "film"),
    (clips.SAMPLE, "sensor", "tennis", "film"),
    (clips.SAMPLE, "film", "tennis", "sensor"),
    ("tennis", "film", clips.SAMPLE, "fine film"),
)
SEEDS = (clips.SEED, clips.SEED + 1)
STEP, HALF = 16, 8  # codes between two levels, and around each
LEAST = 0.02  # of the pixels of both clips, for a level to count
PLANES = ("Y", "Cb", "Cr")
SCALES = (219, 224, 224)  # codes of a full-scale unit, limited range

Samples = list[NDArray[np.float32]]  # Y, Cb, Cr: (T, h, w), codes
Row = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """A clip with noise, twice with other seeds, and without."""

    noisy: tuple[Path, Path]
    clean: Path


def main() -> None:
    """Run what is asked for; a minute or two a case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grain", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the clips")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--speed", default="base")
    parser.add_argument("--cases", type=int, nargs="*", default=range(len(CASES)))
    parser.add_argument("--dry", action="store_true", help="print, and keep nothing")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    for n in chosen.cases:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(_row(CASES[n], chosen, Path(folder)))
        print(_line(rows[-1]), flush=True)
    if not chosen.dry:
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        write_page()


def _row(case: tuple[str, str, str, str], chosen: argparse.Namespace, folder: Path) -> Row:
    source = _stored(case[0], case[1], chosen, folder)
    target = _stored(case[2], case[3], chosen, folder)
    made = [folder / f"made{n}.mkv" for n in range(2)]
    for n, (noisy, path) in enumerate(zip(source.noisy, made, strict=True)):
        words = ["run", noisy, "-o", path, "--grain", f"match:{target.noisy[0]}", "--seed", n,
                 "--codec", "ffv1", "--speed", chosen.speed, "--cuts", "off"]  # fmt: skip
        assert cli.status([str(word) for word in (*words, "--progress", "none")]) == 0
    table = NoiseProfile.load(Path(f"{made[0]}.grain.json")).shots[0].table()
    planes = {}
    clean, aim = _read(source.clean), _read(target.clean)
    pair, noisy = [_read(path) for path in made], _read(target.noisy[0])
    for k, name in enumerate(PLANES):
        grain = (pair[0][k] - pair[1][k]) / np.float32(2**0.5)
        true = noisy[k] - aim[k]
        at, there = _levels(clean, k), _levels(aim, k)
        levels = {}
        for level in range(16 + HALF, 236, STEP):
            here, of_target = (np.abs(x - level) <= HALF for x in (at, there))
            if min(here.mean(), of_target.mean()) >= LEAST:
                unit = torch.full((1, 1, 1, 1), (level - 16) / 219)
                levels[level] = {
                    "target": _rms(true[of_target]),
                    "profile": round(float(table.sigma_at(unit)[0, k]) * SCALES[k], 2),
                    "result": _rms(grain[here]),
                }
        planes[name] = {
            "levels": levels, "lag_target": _lags(true), "lag_result": _lags(grain)
        }  # fmt: skip
    names = ("source", "noise", "target", "grain")
    head = dict(zip(names, case, strict=True))
    return {**head, "speed": chosen.speed, "frames": chosen.frames, "planes": planes}


def _stored(name: str, noise: str, chosen: argparse.Namespace, folder: Path) -> Stored:
    clean = clips.load_clean(chosen.data, name, chosen.frames)
    noisy = [
        clips.store(
            NOISES[noise](clean, seed=seed).clamp(0, 1),
            "yuv420p",
            folder / f"{name}-{noise}-{seed}.mkv",
        )
        for seed in SEEDS
    ]
    return Stored((noisy[0], noisy[1]), clips.store(clean, "yuv420p", folder / f"{name}-clean.mkv"))


def _read(path: Path) -> Samples:
    planes: list[list[NDArray[np.float32]]] = [[], [], []]
    with av.open(str(path)) as source:
        for frame in source.decode(video=0):
            for n, plane in enumerate(frame.planes):
                codes = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                planes[n].append(codes[:, : plane.width].astype(np.float32))
    return [np.stack(plane) for plane in planes]


def _levels(clean: Samples, plane: int) -> NDArray[np.float32]:
    """Luma at the size of a plane."""
    luma: Tensor = torch.from_numpy(clean[0])[:, None]
    if plane:
        luma = torch.nn.functional.avg_pool2d(luma, 2)
    return luma[:, 0].numpy()


def _rms(values: NDArray[np.float32]) -> float:
    return round(float(np.sqrt(np.mean(values.astype(np.float64) ** 2))), 2)


def _lags(field: NDArray[np.float32]) -> list[float]:
    """Correlation with the pixel to the right and with the one below."""
    x = field.astype(np.float64) - field.mean()
    power = np.mean(x * x)
    across, down = np.mean(x[:, :, 1:] * x[:, :, :-1]), np.mean(x[:, 1:] * x[:, :-1])
    return [round(float(across / power), 3), round(float(down / power), 3)]


def _off(row: Row, plane: str, what: str) -> list[float]:
    """Percent by which sigma is off at each level."""
    levels = row["planes"][plane]["levels"].values()
    return [100 * (level[what] / level["target"] - 1) for level in levels]


def _line(row: Row) -> str:
    """A row of the table."""
    cells = [f"{row['source']}, {row['noise']}", f"{row['target']}, {row['grain']}"]
    for plane in PLANES:
        off = _off(row, plane, "result")
        told = _off(row, plane, "profile")
        cells.append(f"{min(off):+.0f} to {max(off):+.0f} ({min(told):+.0f} to {max(told):+.0f})")
    for plane in PLANES[:2]:
        of = row["planes"][plane]
        pairs = zip(of["lag_target"], of["lag_result"], strict=True)
        cells.append(", ".join(f"{a:.2f} > {b:.2f}" for a, b in pairs))
    return f"| {' | '.join(cells)} |"


def grain_table() -> str:
    """The table of docs/finishing.md, from the results on file."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))
    head = ["source", "grain of", *(f"{plane}, %" for plane in PLANES), "lag 1, Y", "lag 1, Cb"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *map(_line, rows)])


def write_page() -> None:
    """Put the table between its marks."""
    results.write_between(PAGE, MARK, grain_table())


if __name__ == "__main__":
    main()
