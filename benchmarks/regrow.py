"""What regrowing gives and costs: bands, PSNR, flicker, residual; networks, samplers, steps.

    python -m benchmarks.regrow --data FOLDER [--yardstick ffdnet_color.pth] [--page]

Small crops and few frames of clips with noise, measured as in a run, through whole runs. `--page`
writes the tables of docs/regrow.md from what is on file, and measures nothing.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import clips, results
from vdenoise import cli
from vdenoise.degrade import synth
from vdenoise.evaluation.metrics import flicker, luma
from vdenoise.picture.quality import psnr
from vdenoise.sampling.samplers import Sampler, draws, sample
from vdenoise.sampling.schedules import noise_levels

RESULTS = results.FOLDER / "regrow.json"
PAGE = Path(__file__).parent.parent / "docs" / "regrow.md"
PICTURE = PAGE.with_name("regrow.jpg")
SHOWN = (slice(60, 180), slice(150, 300))  # rows and columns of our own scene: a sign, bricks, hair
SIZE, FRAMES = (160, 192), 4
NOISE: dict[str, Callable[[Tensor], Tensor]] = {
    "white 30": lambda x: synth.gaussian(x, 30 / 255, seed=clips.SEED),
    "white 50": lambda x: synth.gaussian(x, 50 / 255, seed=clips.SEED),
    "sensor": lambda x: synth.sensor(x, 5e-3, 0.3 * 5e-3**1.2, seed=clips.SEED),
    "film": lambda x: synth.film_grain(x, 20 / 255, size=1.0, seed=clips.SEED),
}
CASES = (
    ("car-shadow", "white 30"),
    ("tennis", "white 30"),
    ("motorbike", "white 30"),
    ("car-shadow", "white 50"),
    ("car-shadow", "sensor"),
    ("tennis", "sensor"),
    ("tennis", "film"),
    ("motorbike", "film"),
)
BANDS = ((0.0, 0.15), (0.15, 0.25), (0.25, 0.35), (0.35, 0.71))  # cycles a pixel
Settings = dict[str, str]
# Percent and settings of the runs of every case; the first is the chain without regrowing
RUNS: tuple[tuple[int, Settings], ...] = (
    (0, {}),
    (60, {}),
    (100, {}),
    (60, {"sampler": "ddpm", "steps": "8"}),
)
# Of two cases only: samplers by steps, and networks
FEW = (("car-shadow", "white 30"), ("motorbike", "white 30"))
STEPS = {"euler": (2, 4, 8), "dpm++2m": (2, 8), "heun": (2, 4), "ddpm": (4, 8, 16)}
FURTHER: tuple[tuple[int, Settings], ...] = (
    *((60, {"sampler": s, "steps": str(n)}) for s, counts in STEPS.items() for n in counts),
    (60, {"sampler": "ddim", "steps": "8", "eta": "0.5"}),
    (60, {"sampler": "langevin", "steps": "8"}),
    *((60, {"model": model}) for model in ("M", "L")),
)
TOY_STEPS = (2, 4, 8, 16, 50)
TOY_PRIOR = 0.5  # variance of what is possible, that of the noise being 1


def main() -> None:
    """Measure what is asked for and put it on file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="Folder of the clips.")
    parser.add_argument("--yardstick", type=Path, help="A published FFDNet, as a prior by file.")
    parser.add_argument("--keep", type=Path, help="Folder for the clips, to look at them.")
    parser.add_argument("--page", action="store_true", help="Only write the tables.")
    parser.add_argument("--picture", action="store_true", help="Only make the picture.")
    given = parser.parse_args()
    if given.picture:
        cv2.imwrite(str(PICTURE), picture(), [cv2.IMWRITE_JPEG_QUALITY, 90])
        return
    if not given.page:
        for row in toy():
            results.merge(RESULTS, row, key, clips.SEED)
        with tempfile.TemporaryDirectory() as folder:
            place = given.keep or Path(folder)
            place.mkdir(exist_ok=True)
            for case in CASES:
                more = FURTHER if case in FEW else ()
                if given.yardstick and case in FEW:
                    more = (*more, (60, {"model": str(given.yardstick)}))
                measure(given.data, *case, (*RUNS, *more), place)
    rows = results.load(RESULTS)["rows"]
    for name, text in (
        ("kinds", by_kind(rows)),
        ("settings", by_setting(rows)),
        ("toy", toy_table(rows)),
    ):
        results.write_between(PAGE, name, text)


def measure(
    data: Path, name: str, noise: str, runs: tuple[tuple[int, Settings], ...], folder: Path
) -> None:
    """All runs of a case."""
    clean = clips.middle(clips.load_clean(data, name, FRAMES), SIZE)
    stem = f"{name}-{noise.replace(' ', '-')}"
    source = clips.store(NOISE[noise](clean).clamp(0, 1), "gbrp", folder / f"{stem}.mkv")
    clips.store(clean, "gbrp", folder / f"{name}-clean.mkv")
    stored = clips.decode(source, "gbrp")
    for percent, settings in runs:
        named = {k: "FFDNet" if "/" in v else v for k, v in settings.items()}
        target = folder / ("_".join([stem, str(percent), *named.values()]) + ".mkv")
        typed = [w for k, v in settings.items() for w in ("--set", f"regrow.{k}={v}")]
        asked = ["--regrow", str(percent), "--cuts", "off", "--seed", "7"]
        where = ["--codec", "ffv1", "--overwrite", "--progress", "none"]
        _run(source, target, *asked, *typed, *where)
        row = {"clip": name, "noise": noise, "percent": percent, **named}
        row |= figures(clean, stored, clips.decode(target, "gbrp"))
        results.merge(RESULTS, row, key, clips.SEED)


def _run(source: Path, target: Path, *words: str) -> None:
    command = ["run", str(source), "-o", str(target), *words]
    if cli.status(command):
        raise SystemExit(f"{' '.join(command)} failed")


def picture() -> NDArray[np.uint8]:
    """Of our own scene under 30 codes, at 200 %: noisy, denoised, 60 and 100 %, clean; B, G, R."""
    clean = clips.load_clean(None, clips.SAMPLE, FRAMES)[..., *SHOWN]
    with tempfile.TemporaryDirectory() as folder:
        source = clips.store(
            NOISE["white 30"](clean).clamp(0, 1), "gbrp", Path(folder) / "noisy.mkv"
        )
        shown = [clips.decode(source, "gbrp")]
        for percent in (0, 60, 100):
            target = Path(folder) / f"{percent}.mkv"
            _run(source, target, "--regrow", str(percent), "--codec", "ffv1", "--progress", "none")
            shown.append(clips.decode(target, "gbrp"))
    tiles = [
        cv2.resize(
            (255 * x[1].permute(1, 2, 0).flip(-1)).byte().numpy(),
            None,
            fx=2,
            fy=2,
            interpolation=cv2.INTER_NEAREST,
        )
        for x in (*shown, clean)
    ]
    return np.hstack(tiles)


def figures(clean: Tensor, noisy: Tensor, done: Tensor) -> dict[str, Any]:
    """Of a result, (T, 3, H, W) R'G'B' each: PSNR in dB; luma power by band relative to the clean
    picture's; flicker in codes; and, relative to the noise, the deviation of what was removed in
    all and by band."""
    y, before, now = (luma(x).squeeze(1) for x in (clean, noisy, done))
    removed, noise = before - now, before - y
    return {
        "psnr": round(psnr(done, clean), 2),
        "bands": [round(energy(now, *band) / energy(y, *band), 2) for band in BANDS],
        "flicker": round(float(flicker(clean, done) or 0), 2),
        "residual": round((removed.std() / noise.std()).item(), 3),
        "residual_bands": [
            round(math.sqrt(energy(removed, *band) / energy(noise, *band)), 2) for band in BANDS
        ],
    }


def energy(pictures: Tensor, low: float, high: float) -> float:
    """Mean power of (T, H, W) in a band of radial frequency, in cycles a pixel."""
    height, width = pictures.shape[-2:]
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)
    power = torch.fft.fft2((pictures - pictures.mean()) * window).abs().square().mean(0)
    radius = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width))
    return power[(radius >= low) & (radius < high)].mean().item()


def toy() -> list[dict[str, Any]]:
    """Samplers where all is known: a Gaussian prior, of which every sampler is linear in the noisy
    value and in its draws. Errors of what is kept of it (against the posterior's mean where a
    sampler draws, against the probability flow's map elsewhere) and of the spread."""
    return [
        {"clip": "toy", "sampler": sampler, "steps": str(steps), **_toy_errors(sampler, steps)}
        for sampler in get_args(Sampler)
        for steps in TOY_STEPS
    ]


def _toy_errors(sampler: Sampler, steps: int) -> dict[str, float]:
    start = torch.zeros(1 + 2 * steps, dtype=torch.float64)
    start[0] = 1

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return x * (TOY_PRIOR / (TOY_PRIOR + sigma**2))

    def noise(draw: int) -> Tensor:
        return torch.nn.functional.one_hot(torch.tensor(1 + draw), len(start)).to(start)

    found = sample(sampler, denoise, start, noise_levels("cosine", steps), noise)
    share = TOY_PRIOR / (TOY_PRIOR + 1)  # the mean's, and the variance of the posterior
    if not draws(sampler, 0.0):
        return {"mean": round(abs(found[0].item() / math.sqrt(share) - 1), 5)}
    spread = found[1:].square().sum().item()
    return {
        "mean": round(abs(found[0].item() / share - 1), 5),
        "variance": round(abs(spread / share - 1), 5),
    }


def key(row: dict[str, Any]) -> tuple[str, ...]:
    """What makes a row the same row."""
    names = ("clip", "noise", "percent", "sampler", "steps", "eta", "model")
    return tuple(f"{row.get(name, ''):>3}" for name in names)


_SETTINGS = ("sampler", "steps", "eta", "model")
Row = dict[str, Any]


def _asked(row: Row) -> tuple[int, Settings]:
    return row["percent"], {k: row[k] for k in _SETTINGS if k in row}


def _cells(row: Row, plain: Row) -> str:
    bands = " ".join(f"{v:.2f}" for v in row["bands"][2:])
    left = " ".join(f"{v:.2f}" for v in row["residual_bands"])
    return (
        f"{row['psnr']:.2f} | {bands} | {row['flicker'] / plain['flicker']:.2f} "
        f"| {row['residual']:.2f} ({left})"
    )


def by_kind(rows: list[Row]) -> str:
    """Every case, plain and at 60 and 100 percent."""
    lines = [
        "| clip | noise | percent | PSNR | bands | flicker | residual (by band) |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for clip, noise in CASES:
        mine = [r for r in rows if (r["clip"], r.get("noise")) == (clip, noise)]
        plain = next(r for r in mine if r["percent"] == 0)
        for percent in (0, 60, 100):
            row = next(r for r in mine if _asked(r) == (percent, {}))
            head = f"| {clip} | {noise} " if percent == 0 else "| | "
            lines.append(f"{head}| {percent} | {_cells(row, plain)} |")
    return "\n".join(lines)


def by_setting(rows: list[Row]) -> str:
    """Samplers, steps and networks at 60 percent: means over the few cases."""
    lines = [
        "| sampler | steps | further | PSNR | bands | flicker | residual (by band) |",
        "|---|--:|---|--:|--:|--:|--:|",
    ]
    of_few = [r for r in rows if (r["clip"], r.get("noise")) in FEW]
    plain = _mean([r for r in of_few if r["percent"] == 0])
    asked = {tuple(sorted(_asked(r)[1].items())) for r in of_few if r["percent"] == 60}
    for settings in sorted(asked, key=lambda a: (len(dict(a).get("model", "")), a)):
        said = dict(settings)
        row = _mean([r for r in of_few if _asked(r) == (60, said)])
        further = " ".join(f"{k} {said[k]}" for k in ("eta", "model") if k in said)
        sampler, steps = said.get("sampler", "dpm++2m"), said.get("steps", "4")
        lines.append(f"| {sampler} | {steps} | {further} | {_cells(row, plain)} |")
    return "\n".join(lines)


def _mean(rows: list[Row]) -> Row:
    def over(name: str) -> float:
        return results.mean(r[name] for r in rows)

    def each(name: str) -> list[float]:
        return [results.mean(values) for values in zip(*(r[name] for r in rows), strict=True)]

    single = {name: over(name) for name in ("psnr", "flicker", "residual")}
    return single | {name: each(name) for name in ("bands", "residual_bands")}


def toy_table(rows: list[Row]) -> str:
    """Errors on the Gaussian prior, by steps."""
    lines = [
        f"| sampler | {' | '.join(f'{n} steps' for n in TOY_STEPS)} |",
        f"|---|{'--:|' * len(TOY_STEPS)}",
    ]
    for sampler in get_args(Sampler):
        cells = []
        for steps in TOY_STEPS:
            wanted = ("toy", sampler, str(steps))
            row = next(r for r in rows if (r["clip"], r.get("sampler"), r.get("steps")) == wanted)
            errors = [row[name] for name in ("mean", "variance") if name in row]
            cells.append(", ".join(f"{error:.1%}" for error in errors))
        lines.append(f"| `{sampler}` | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
