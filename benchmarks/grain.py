"""How near grain comes to what was asked for: matched, synthetic, and drawn by AV1 decoders.

    python -m benchmarks.grain --data FOLDER

Clips with noise of one kind go through the default chain (network included), from the noisy files
alone, as a user would do it. Sigma by level, and correlation with the next pixel, are measured

* of ``--grain match:CLIP`` against the noise that was truly put into the other clip;
* of ``--grain synth:AMOUNT,SIZE`` against amount and size;
* of ``--codec svt-av1 --grain av1``, as dav1d draws it, against what the run removed.

For the first two, two runs are compared whose source noise and grain have other seeds: what differs
is what looks like grain, drawn or left over; what both have lost of the picture is none. Two more
runs without grain say how much of it is left over: grain that is put on top cannot make that less.
Writes ``results/grain.json`` and the tables of docs/finishing.md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import clips, results
from vdenoise import cli
from vdenoise.degrade import synth
from vdenoise.picture.noise import NoiseProfile
from vdenoise.stages.grain.field import correlation

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "grain.json"
PAGE = ROOT / "docs" / "finishing.md"
PARTS = ("match", "synth", "av1")

NOISES = {
    "film": partial(synth.film_grain, sigma=12 / 255, size=0.8),
    "fine film": partial(synth.film_grain, sigma=4 / 255, size=0.5),
    "sensor": partial(synth.sensor, shot=0.01, read=4e-4),
}
CASES = (  # part, source and its noise, and the target: a clip and its noise, or amount and size
    ("match", "car-shadow", "sensor", clips.SAMPLE, "film"),
    ("match", clips.SAMPLE, "sensor", "tennis", "film"),
    ("match", clips.SAMPLE, "film", "tennis", "sensor"),
    ("match", "tennis", "film", clips.SAMPLE, "fine film"),
    ("synth", clips.SAMPLE, "sensor", "8", "0.8"),
    ("synth", "tennis", "film", "8", "0.5"),
    ("synth", "car-shadow", "sensor", "5", "1.2"),
    ("av1", clips.SAMPLE, "film", "", ""),
    ("av1", clips.SAMPLE, "sensor", "", ""),
    ("av1", "tennis", "film", "", ""),
    ("av1", "tennis", "sensor", "", ""),
    ("av1", "car-shadow", "film", "", ""),
    ("av1", "car-shadow", "sensor", "", ""),
)
SEEDS = (clips.SEED, clips.SEED + 1)
STEP, HALF = 16, 8  # codes between two levels, and around each
HALF_LEFT = 0.5**0.5  # times the sigma wanted: half of its variance
LEAST = 0.02  # of the pixels of both clips, for a level to count
PLANES = ("Y", "Cb", "Cr")
SCALES = (219, 224, 224)  # codes of a full-scale unit, limited range
CRF = 2  # of AV1: what coding loses is no grain

Samples = list[NDArray[np.float32]]  # Y, Cb, Cr: (T, h, w), codes
Row = dict[str, Any]
Case = tuple[str, str, str, str, str]


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
    for n in chosen.cases:
        with tempfile.TemporaryDirectory() as folder:
            row = MEASURES[CASES[n][0]](CASES[n], chosen, Path(folder))
        print(_line(row), flush=True)
        if not chosen.dry:
            results.merge(RESULTS, row, _key, clips.SEED)
    if not chosen.dry:
        write_page()


def _key(row: Row) -> tuple[str, ...]:
    names = "source", "noise", "target", "grain"
    return str(PARTS.index(row["part"])), *(row[name] for name in names)


def _match(case: Case, chosen: argparse.Namespace, folder: Path) -> Row:
    source = _stored(case[1], case[2], chosen, folder)
    target = _stored(case[3], case[4], chosen, folder)
    made = _made(source, f"match:{target.noisy[0]}", chosen, folder)
    table = NoiseProfile.load(Path(f"{made[0]}.grain.json")).shots[0].table()
    aim, noisy = _read(target.clean), _read(target.noisy[0])
    there = [_levels(aim, k) for k in range(3)]
    true = [noisy[k] - aim[k] for k in range(3)]

    def wanted(level: int, k: int) -> dict[str, float] | None:
        of_target = np.abs(there[k] - level) <= HALF
        if of_target.mean() < LEAST:
            return None
        unit = torch.full((1, 1, 1, 1), (level - 16) / 219)
        told = float(table.sigma_at(unit)[0, k]) * SCALES[k]
        return {"target": _rms(true[k][of_target]), "profile": round(told, 2)}

    left = _left(case[1], case[2], chosen.data, chosen.frames, chosen.speed)
    planes = _drawn(source, made, left, wanted, [_lags(field) for field in true])
    for name, spectrum in zip(PLANES, table.spectrum, strict=True):
        alike = correlation(spectrum)
        planes[name]["lag_profile"] = [round(float(x), 3) for x in (alike[0, 1], alike[1, 0])]
    return _row(case, chosen, planes)


def _synth(case: Case, chosen: argparse.Namespace, folder: Path) -> Row:
    source = _stored(case[1], case[2], chosen, folder)
    amount, size = float(case[3]), float(case[4])
    made = _made(source, f"synth:{amount},{size}", chosen, folder)

    def wanted(level: int, k: int) -> dict[str, float]:
        # What grain.synth promises: all of it at mid-gray, a third at the ends, in chroma 0.3
        unit = (level - 16) / 219
        share = (1 / 3 + 2 / 3 * 4 * unit * (1 - unit)) * (0.3 if k else 1)
        return {"target": round(share * amount / 255 * SCALES[k], 2)}

    x = np.arange(-8, 9)
    bell = np.exp(-0.5 * (x / size) ** 2)
    lag = round(float(bell[1:] @ bell[:-1] / (bell @ bell)), 3)
    left = _left(case[1], case[2], chosen.data, chosen.frames, chosen.speed)
    return _row(case, chosen, _drawn(source, made, left, wanted, [[lag, lag]] * 3))


def _made(source: Stored, grain: str, chosen: argparse.Namespace, folder: Path) -> list[Path]:
    """Both noises, each with its own grain."""
    made = [folder / f"made{n}.mkv" for n in range(2)]
    for n, (noisy, path) in enumerate(zip(source.noisy, made, strict=True)):
        _run(noisy, path, chosen.speed, "--grain", grain, "--seed", n, "--codec", "ffv1")
    return made


@cache
def _left(name: str, noise: str, data: Path, frames: int, speed: str) -> Samples:
    """What of the noise is left without any grain."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = argparse.Namespace(data=data, frames=frames)
        source = _stored(name, noise, chosen, Path(folder))
        made = [Path(folder) / f"left{n}.mkv" for n in range(2)]
        for noisy, path in zip(source.noisy, made, strict=True):
            _run(noisy, path, speed, "--codec", "ffv1")
        return _halved(*map(_read, made))


def _halved(first: Samples, second: Samples) -> Samples:
    """What differs by chance, as strong as in one of both."""
    return [(a - b) / np.float32(2**0.5) for a, b in zip(first, second, strict=True)]


def _run(noisy: Path, path: Path, speed: str, *more: object) -> None:
    words = ["run", noisy, "-o", path, "--speed", speed, "--cuts", "off", *more]
    assert cli.status([str(word) for word in (*words, "--progress", "none")]) == 0


def _drawn(
    source: Stored,
    made: list[Path],
    left: Samples,
    wanted: Callable[[int, int], dict[str, float] | None],
    lags: list[list[float]],
) -> Row:
    """What looks like grain, by plane and level, beside what is wanted there."""
    clean, grains = _read(source.clean), _halved(*map(_read, made))
    planes = {}
    for k, name in enumerate(PLANES):
        grain, at = grains[k], _levels(clean, k)
        levels = {}
        for level in range(16 + HALF, 236, STEP):
            here, target = np.abs(at - level) <= HALF, wanted(level, k)
            if here.mean() >= LEAST and target is not None:
                found = {"left": _rms(left[k][here]), "result": _rms(grain[here])}
                levels[str(level)] = target | found
        planes[name] = {"levels": levels, "lag_target": lags[k], "lag_result": _lags(grain)}
    return planes


def _av1(case: Case, chosen: argparse.Namespace, folder: Path) -> Row:
    source, made = _stored(case[1], case[2], chosen, folder), folder / "made.mkv"
    _run(source.noisy[0], made, chosen.speed, "--codec", "svt-av1", "--crf", CRF, "--grain", "av1")
    noisy, clean = _read(source.noisy[0]), _read(made, {"export_side_data": "film_grain"})
    grainy = _read(made)
    planes = {}
    for k, name in enumerate(PLANES):
        removed, drawn = noisy[k] - clean[k], grainy[k] - clean[k]
        at, levels = _levels(clean, k), {}
        for level in range(16 + HALF, 236, STEP):
            here = np.abs(at - level) <= HALF
            if here.mean() >= LEAST:
                levels[str(level)] = {"target": _rms(removed[here]), "result": _rms(drawn[here])}
        planes[name] = {
            "levels": levels, "lag_target": _lags(removed), "lag_result": _lags(drawn)
        }  # fmt: skip
    return _row(case, chosen, planes)


MEASURES = {"match": _match, "synth": _synth, "av1": _av1}


def _row(case: Case, chosen: argparse.Namespace, planes: Row) -> Row:
    names = ("part", "source", "noise", "target", "grain")
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


def _read(path: Path, options: dict[str, str] | None = None) -> Samples:
    planes: list[list[NDArray[np.float32]]] = [[], [], []]
    with av.open(str(path)) as source:
        source.streams.video[0].codec_context.options = options or {}
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


def _off(levels: Iterable[Row], what: str = "result") -> str:
    """Percent by which sigma is off, from level to level."""
    off = [100 * (level[what] / level["target"] - 1) for level in levels]
    return f"{min(off):+.0f} to {max(off):+.0f}" if off else "none"


def _line(row: Row) -> str:
    """A row of its table."""
    cells = [f"{row['source']}, {row['noise']}"]
    if row["part"] != "av1":
        cells.append(f"{row['target']}, {row['grain']}")
    for plane in PLANES:
        levels = row["planes"][plane]["levels"].values()
        much = [x for x in levels if x.get("left", 0) > HALF_LEFT * x["target"]]
        cells.append(_off(x for x in levels if x not in much))
        if much:
            cells[-1] += f"; {_off(much)}"
        if row["part"] == "match":
            cells[-1] += f" ({_off(levels, 'profile')})"
    for plane in PLANES:
        of = row["planes"][plane]
        pairs = zip(of["lag_target"], of["lag_result"], strict=True)
        cells.append(", ".join(f"{a:.2f} > {b:.2f}" for a, b in pairs))
        if row["part"] == "match":
            cells[-1] += " ({:.2f}, {:.2f})".format(*of["lag_profile"])
    return f"| {' | '.join(cells)} |"


def grain_table(part: str) -> str:
    """A table of docs/finishing.md, from the results on file."""
    second = {"match": ["grain of"], "synth": ["amount, size"], "av1": []}[part]
    head = ["source", *second, *(f"{plane}, %" for plane in PLANES)]
    head += [f"lag 1, {plane}" for plane in PLANES]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    rows = [row for row in results.load(RESULTS)["rows"] if row["part"] == part]
    return "\n".join([*lines, *map(_line, rows)])


def write_page() -> None:
    """Put the tables between their marks."""
    for part in PARTS:
        results.write_between(PAGE, f"grain {part}", grain_table(part))


if __name__ == "__main__":
    main()
