"""What regrowing gives and costs: band energies, PSNR, flicker, residual; steps for each sampler.

    python -m benchmarks.regrow --data FOLDER

Small crops and few frames of clips with white noise of known strength, through whole runs.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import clips, results
from vdenoise import cli
from vdenoise.degrade import synth
from vdenoise.evaluation.metrics import flicker, luma
from vdenoise.picture.quality import psnr

RESULTS = results.FOLDER / "regrow.json"
SIZE, FRAMES = (160, 192), 4
CASES = (("car-shadow", 30), ("tennis", 30), ("car-shadow", 50))
BANDS = ((0.25, 0.35), (0.35, 0.71))  # cycles a pixel: the two highest
# Sampler, steps, percent, further settings
RUNS: tuple[tuple[str, int, int, dict[str, str]], ...] = (
    ("none", 0, 0, {}),
    *(("dpm++2m", 4, percent, {}) for percent in (60, 100)),
    ("euler", 4, 100, {}),
    ("ddim", 8, 60, {"eta": "0.5"}),
    *(("ddpm", 8, percent, {}) for percent in (60, 100)),
)


def main() -> None:
    """Measure what is asked for and put it on file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--keep", type=Path, help="Folder for the clips, to look at them.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = given.keep or Path(folder)
        place.mkdir(exist_ok=True)
        for name, sigma in CASES:
            measure(given.data, name, sigma, place)


def measure(data: Path, name: str, sigma: int, folder: Path) -> None:
    """All runs of a case."""
    clean = clips.middle(clips.load_clean(data, name, FRAMES), SIZE)
    noisy = synth.gaussian(clean, sigma / 255, seed=clips.SEED).clamp(0, 1)
    source = clips.store(noisy, "gbrp", folder / f"{name}-{sigma}.mkv")
    clips.store(clean, "gbrp", folder / f"{name}-clean.mkv")
    stored = clips.decode(source, "gbrp")
    for sampler, steps, percent, more in RUNS:
        settings = {"sampler": sampler, "steps": str(steps), **more} if percent else {}
        words = [f"{name}-{sigma}", sampler, str(steps), str(percent), *more.values()]
        target = folder / ("_".join(words) + ".mkv")
        typed = [w for k, v in settings.items() for w in ("--set", f"regrow.{k}={v}")]
        asked = ["--regrow", str(percent), "--cuts", "off", "--seed", "7"]
        where = ["--codec", "ffv1", "--overwrite", "--progress", "none"]
        command = ["run", str(source), "-o", str(target), *asked, *typed, *where]
        if cli.status(command):
            raise SystemExit(f"{' '.join(command)} failed")
        row = {"clip": name, "sigma": sigma, "percent": percent, **settings}
        row |= figures(clean, stored, clips.decode(target, "gbrp"), sigma / 255)
        results.merge(RESULTS, row, key, clips.SEED)


def figures(clean: Tensor, noisy: Tensor, done: Tensor, sigma: float) -> dict[str, Any]:
    """Of a result, (T, 3, H, W) R'G'B' each."""
    y, before, now = (luma(x).squeeze(1) for x in (clean, noisy, done))
    removed = before - now
    beside = (removed[..., 1:] * removed[..., :-1]).mean() / removed.square().mean()
    # Of white R'G'B' noise, BT.709 luma has this share of the sigma
    level = sigma * (0.2126**2 + 0.7152**2 + 0.0722**2) ** 0.5
    return {
        "psnr": round(psnr(done, clean), 2),
        "bands": [round(energy(now, *band) / energy(y, *band), 2) for band in BANDS],
        "flicker": round(float(flicker(clean, done) or 0), 2),
        "residual": round((removed.std() / level).item(), 3),
        "beside": round(beside.item(), 3),
    }


def energy(pictures: Tensor, low: float, high: float) -> float:
    """Mean power of (T, H, W) in a band of radial frequency, in cycles a pixel."""
    height, width = pictures.shape[-2:]
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)
    power = torch.fft.fft2((pictures - pictures.mean()) * window).abs().square().mean(0)
    radius = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width))
    return power[(radius >= low) & (radius < high)].mean().item()


def key(row: dict[str, Any]) -> tuple[str, ...]:
    """What makes a row the same row."""
    names = ("clip", "sigma", "sampler", "steps", "percent", "model", "guidance", "eta")
    return tuple(f"{row.get(name, ''):>3}" for name in (*names, "consistency"))


def table(rows: list[dict[str, Any]]) -> str:
    """For docs/regrow.md: the mean over the cases."""
    lines = [
        "| sampler | steps | percent | further | PSNR | bands | flicker | residual | beside |",
        "|---|--:|--:|---|--:|--:|--:|--:|--:|",
    ]
    for sampler, steps, percent, more in RUNS:
        wanted = {"sampler": sampler, "steps": str(steps), **more} if percent else {}
        mine = [
            row
            for row in rows
            if row["percent"] == percent and {k: row[k] for k in row if k in _SETTINGS} == wanted
        ]

        def mean(of: list[float]) -> float:
            return sum(of) / len(of)

        bands = " ".join(f"{mean([row['bands'][n] for row in mine]):.2f}" for n in (0, 1))
        said = ", ".join(f"{k} {v}" for k, v in more.items())
        head = f"| {sampler} | {steps or ''} | {percent} | {said} "
        figures = [("psnr", 2), ("flicker", 2), ("residual", 3), ("beside", 2)]
        found = [f"{mean([row[name] for row in mine]):.{digits}f}" for name, digits in figures]
        lines.append(f"{head}| {found[0]} | {bands} | {' | '.join(found[1:])} |")
    return "\n".join(lines)


_SETTINGS = ("sampler", "steps", "model", "guidance", "eta", "consistency")


if __name__ == "__main__":
    main()
