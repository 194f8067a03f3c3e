"""What clipping does to blacks and whites, and what `levels.unclip` takes back of it.

    python -m benchmarks.clipping --data FOLDER

The same noisy frames through the default chain, with and without the stage: noise clipped at the
ends of 8-bit R'G'B' or Y'CbCr, and the same noise not clipped (float), where nothing may change.
Clips are the middle of those of ``benchmarks/clips.py`` and of our own sample. Writes
``results/clipping.json``, the table of docs/finishing.md and its picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks import clips, results
from benchmarks.combination import tile
from vdenoise.chain.presets import load as preset
from vdenoise.chain.resolve import Chain, Layer, resolve
from vdenoise.evaluation.measure import run_chain
from vdenoise.evaluation.protocol import Noise, given
from vdenoise.settings.choices import EvaluationForm

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "clipping.json"
PICTURE = ROOT / "docs" / "clipping.png"
PAGE = ROOT / "docs" / "finishing.md"
MARK = "clipping"

NOISES: tuple[tuple[Noise, EvaluationForm], ...] = (
    (Noise("gaussian", 10), "8bit"),
    (Noise("gaussian", 30), "8bit"),
    (Noise("gaussian", 50), "8bit"),
    (Noise("gaussian", 50), "420"),
    (Noise("gaussian", 75), "420"),
    (Noise("sensor", 0.04), "420"),
    (Noise("film", 12), "420"),
    (Noise("gaussian", 30), "float"),
)
METHODS = ("none", "unclip")
DARK, BRIGHT = 10 / 255, 245 / 255  # R', G' or B' of the clean clip that counts as black, white
SIZE = (240, 400)
SHOWN, CROP = clips.SAMPLE, (slice(0, 120), slice(120, 280))
Row = dict[str, Any]


def main() -> None:
    """Run what is asked for, merge each row into the results, and write page and picture again."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clipping", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the clips (not for our own sample)")
    parser.add_argument("--clips", nargs="*", default=("car-shadow", "tennis", clips.SAMPLE))
    parser.add_argument("--frames", type=int, default=4)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for name in chosen.clips:
        clean = clips.middle(clips.load_clean(chosen.data, name, chosen.frames), SIZE)
        for noise, form in NOISES:
            shown = name == SHOWN and (noise, form) == NOISES[2]
            for row in _rows(name, clean, noise, form, draw=shown):
                print(row, flush=True)
                results.merge(RESULTS, row, key, clips.SEED)
    write_page()


def chain(method: str, proposed: Mapping[str, str]) -> Chain:
    """The defaults of ``run``, with this method for levels."""
    asked = Layer("benchmark", {"levels.method": method})
    return resolve(preset("auto"), [Layer("measurement", proposed), asked], speed="base")


def _rows(name: str, clean: Tensor, noise: Noise, form: EvaluationForm, *, draw: bool) -> list[Row]:
    made = given(clean, noise, clips.SEED, form)
    truth, rows = made.reference, []
    pictures = {"noisy": made.answer(made.planes)}
    for method in METHODS:
        rgb = run_chain(made, partial(chain, method), None, "cpu").rgb
        pictures["levels.unclip" if method == "unclip" else "denoised"] = rgb
        rows.append(
            {
                "clip": name,
                "noise": str(noise),
                "form": form,
                "levels": method,
                "frames": len(truth),
                "size": [truth.shape[-1], truth.shape[-2]],
                **results.scores(truth, rgb),
                "black_codes": _bias(rgb, truth, truth < DARK),
                "white_codes": _bias(rgb, truth, truth > BRIGHT),
            }
        )
    if draw:
        tiles = [tile(x[len(x) // 2], title, CROP) for title, x in pictures.items()]
        tiles.append(tile(truth[len(truth) // 2], "clean", CROP))
        cv2.imwrite(str(PICTURE), np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])]))
    return rows


def _bias(rgb: Tensor, truth: Tensor, where: Tensor) -> float | None:
    """Mean error in 8-bit codes, None where a clip has hardly such levels."""
    if where.float().mean() < 1e-3:
        return None
    return round(255 * (rgb - truth)[where].mean().item(), 2)


def key(row: Row) -> tuple[str, str, str, str]:
    """What makes a row the same row."""
    return row["clip"], row["noise"], row["form"], row["levels"]


def table() -> str:
    """Means over the clips, from the results on file: without and with the stage."""
    rows = results.load(RESULTS)["rows"]
    lines = [
        "| noise | in | PSNR, dB | flicker, codes | blacks are off by, codes | whites |",
        "|---|---|---|---|---|---|",
    ]
    for noise, form in NOISES:
        pair = [
            [r for r in rows if (r["noise"], r["form"], r["levels"]) == (str(noise), form, m)]
            for m in METHODS
        ]
        cells = []
        for name, digits in (("psnr", 2), ("flicker", 2), ("black_codes", 1), ("white_codes", 1)):
            found = [results.mean(r[name] for r in group if r[name] is not None) for group in pair]
            cells.append(" -> ".join(f"{value:.{digits}f}" for value in found))
        lines.append(f"| {noise} | {form} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write_page() -> None:
    """Put the table between its marks."""
    results.write_between(PAGE, MARK, table())


if __name__ == "__main__":
    main()
