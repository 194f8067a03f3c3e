"""How near is the measured noise to the noise that was added?

    python -m benchmarks.noise FOLDER_OR_VIDEO... --out benchmarks/results/noise.json

Each clip (a folder of pictures, or a video file) gets each kind of noise and is stored as 8-bit
4:2:0, x264 where the kind says so. ``vdenoise.noise.estimate`` reads it. Sigmas in 8-bit codes:

* ``true``: RMS difference of the stored noisy planes from the stored clean ones, clipping
  included;
* ``true_flat``: the same over the half of the 16x16 blocks with the least gradient in the clean
  luma. After x264, textured blocks have lost detail too, which is no noise: there the reading is
  judged against this;
* ``own``: what the same clip reads with no noise added. Footage has noise of its own (the DAVIS
  clips are JPEG video); ``error`` is of the whole reading, ``error_added`` of
  sqrt(reading^2 - own^2).
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.results import machine, save
from vdenoise.color import lift
from vdenoise.frame import PixelFormat
from vdenoise.media.roundtrip import compress_planes, to_planes
from vdenoise.noise import synth
from vdenoise.noise.estimate import Analyzer

SEED = 20261121
CROP = (216, 384)  # rows and columns
FORMAT = PixelFormat("yuv420p", "yuv", 8, sub_w=1, sub_h=1)
Planes = list[tuple[Tensor, Tensor]]

GAUSSIAN = (3, 5, 10, 20, 50)
KINDS: dict[str, tuple[Callable[[Tensor], Tensor], int | None]] = {
    **{
        f"gaussian-{s}": (lambda x, s=s: synth.gaussian(x, s / 255, seed=SEED), None)
        for s in GAUSSIAN
    },
    **{
        f"sensor-{shot:g}": (
            lambda x, shot=shot: synth.sensor(x, shot, 0.3 * shot**1.2, seed=SEED),
            None,
        )
        for shot in (1e-4, 1e-3, 5e-3)
    },
    "film-10": (lambda x: synth.film_grain(x, 10 / 255, size=1.0, seed=SEED), None),
    **{
        f"gaussian-{s} x264 crf 18": (lambda x, s=s: synth.gaussian(x, s / 255, seed=SEED), 18)
        for s in (5, 10, 20)
    },
}


def load(path: Path, frames: int, half: bool) -> Tensor:
    """The middle of the first frames of a folder or a video: (T, 3, H, W) R'G'B', even sizes."""
    pictures = list(_pictures(path, frames))
    stack = torch.from_numpy(np.stack(pictures)[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255
    if half:
        stack = functional.avg_pool2d(stack, 2)
    top, left = (
        max(0, (size - most) // 4 * 2) for size, most in zip(stack.shape[-2:], CROP, strict=True)
    )
    stack = stack[..., top : top + CROP[0], left : left + CROP[1]]
    return stack[..., : stack.shape[-2] // 2 * 2, : stack.shape[-1] // 2 * 2]


def _pictures(path: Path, frames: int) -> Iterator[Any]:
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix in (".jpg", ".png"))
        yield from (cv2.imread(str(f), cv2.IMREAD_COLOR) for f in files[:frames])
        return
    video = cv2.VideoCapture(str(path))
    for _ in range(frames):
        found, picture = video.read()
        if not found:
            break
        yield picture
    video.release()


def stored(rgb: Tensor, crf: int | None) -> Planes:
    """As an 8-bit 4:2:0 file gives it back: luma and chroma in working units."""
    planes = [to_planes(x.clamp(0, 1)) for x in rgb]
    if crf is not None:
        planes = compress_planes(planes, "x264", crf)
    lifted = [lift([torch.from_numpy(p) for p in frame], FORMAT, False) for frame in planes]
    return [(luma, chroma) for luma, chroma in lifted if chroma is not None]


def read(frames: Planes) -> tuple[list[float], Any]:
    """Measured sigma of Y, Cb, Cr in codes, and the profile's first shot."""
    analyzer = Analyzer(cuts=())
    for index, (luma, chroma) in enumerate(frames):
        analyzer.push(index, luma, chroma)
    shot = analyzer.finish().profile.shots[0]
    return [p.codes for p in shot.planes], shot


def true_sigma(noisy: Planes, clean: Planes, flat: bool) -> list[float]:
    """RMS differences of Y, Cb, Cr in codes, over all blocks or over the flatter half."""
    result = []
    for plane in range(3):
        squares, weights = [], []
        for a, b in zip(noisy, clean, strict=True):
            x, y = (p[0][0] if plane == 0 else p[1][plane - 1] for p in (a, b))
            size = 16 if plane == 0 else 8
            difference = functional.avg_pool2d((x - y).square()[None], size)[0]
            luma = b[0]
            texture = functional.pad((luma[:, 1:] - luma[:, :-1]).abs(), (0, 0, 0, 1))
            texture += functional.pad((luma[..., 1:] - luma[..., :-1]).abs(), (0, 1))
            busy = functional.avg_pool2d(texture, 16)[0]
            rows, columns = min(busy.shape[0], difference.shape[0]), busy.shape[1]
            squares.append(difference[:rows, :columns])
            weights.append((busy <= busy.median())[:rows, :columns] | (not flat))
        error = torch.stack(squares)[torch.stack(weights)].mean()
        result.append(255 * math.sqrt(error.item()))
    return result


def measure(path: Path, frames: int, half: bool) -> list[dict[str, Any]]:
    """All kinds of noise on one clip."""
    clean_rgb = load(path, frames, half)
    clean = stored(clean_rgb, None)
    name = path.stem + (" halved" if half else "")
    size = [clean_rgb.shape[-1], clean_rgb.shape[-2]]
    own, _ = read(clean)
    rows = [_row(name, size, "none", own, [0.0] * 3, [0.0] * 3, own)]
    for kind, (make, crf) in KINDS.items():
        noisy = stored(make(clean_rgb), crf)
        rows.append(
            _row(
                name,
                size,
                kind,
                read(noisy)[0],
                true_sigma(noisy, clean, False),
                true_sigma(noisy, clean, True),
                own,
            )
        )
        print(rows[-1], flush=True)
    return rows


def _row(
    clip: str,
    size: list[int],
    kind: str,
    measured: list[float],
    true: list[float],
    flat: list[float],
    own: list[float],
) -> dict[str, Any]:
    row: dict[str, Any] = {"clip": clip, "size": size, "kind": kind}
    judge = flat if "x264" in kind else true
    for i, plane in enumerate(("y", "cb", "cr")):
        row[plane] = {"measured": round(measured[i], 2), "own": round(own[i], 2)}
        if judge[i] > 0:
            added = math.sqrt(max(measured[i] ** 2 - own[i] ** 2, 0))
            row[plane] |= {
                "true": round(true[i], 2),
                "true_flat": round(flat[i], 2),
                "error": round(measured[i] / judge[i] - 1, 3),
                "error_added": round(added / judge[i] - 1, 3),
            }
    return row


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Median of the absolute errors and share within 10 and 20 percent, per kind."""
    result: dict[str, Any] = {}
    for kind in KINDS:
        here = [r for r in rows if r["kind"] == kind]
        result[kind] = {
            plane: {
                key: {
                    "median": round(median(abs(r[plane][key]) for r in here), 3),
                    "within_10_percent": sum(abs(r[plane][key]) <= 0.1 for r in here),
                    "within_20_percent": sum(abs(r[plane][key]) <= 0.2 for r in here),
                    "clips": len(here),
                }
                for key in ("error", "error_added")
            }
            for plane in ("y", "cb", "cr")
        }
    return result


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--halved", type=Path, nargs="*", default=[], help="averaged 2x2 first")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows = [r for path in given.clips for r in measure(path, given.frames, False)]
    rows += [r for path in given.halved for r in measure(path, given.frames, True)]
    content = {
        "benchmark": "noise",
        "machine": machine(),
        "seed": SEED,
        "frames": given.frames,
        "summary": summary(rows),
        "rows": rows,
    }
    save(given.out, json.loads(json.dumps(content)))


if __name__ == "__main__":
    main()
