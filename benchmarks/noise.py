"""How near is the measured noise to the noise that was added?

    python -m benchmarks.noise FOLDER_OR_VIDEO... --stills PICTURE... --out results/noise.json

Each clip (a folder of pictures, a video file, or a still set in motion) gets each kind of noise and
is stored as 8-bit 4:2:0, x264 where the kind says so. ``vdenoise.noise.estimate`` reads it.

Stills are the clips whose truth is exact: one picture, halved, that drifts, turns and grows by
fractions of a pixel has no noise in time but what is added (and rounding to 8 bits). Footage has
noise of its own, and things that move in ways no estimate follows. Sigmas in 8-bit codes:

* ``true``: RMS difference of the stored noisy planes from the stored clean ones, clipping
  included;
* ``true_flat``: the same over the half of the 16x16 blocks with the least gradient in the clean
  luma. After x264, textured blocks have lost detail too, which is no noise: there the reading is
  judged against this;
* ``own``: what the same clip reads with no noise added. Footage has noise of its own (the DAVIS
  clips are JPEG video); ``error`` is of the whole reading, ``error_added`` of
  sqrt(reading^2 - own^2). Own is a reading too: where it is texture that changes from frame to
  frame and no noise (water, fur), error_added forgives it; ``error`` does not.
* ``bands``: the root of measured over true energy of luma in the profile's six radial bands of
  the spectrum, from coarse to fine.
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
from vdenoise.degrade import synth
from vdenoise.media.roundtrip import compress_planes, to_planes
from vdenoise.noise.bands import BANDS, by_band
from vdenoise.noise.estimate import Analyzer
from vdenoise.picture.block_passes import dct_matrix
from vdenoise.picture.color import lift_planes
from vdenoise.picture.frame import PixelFormat
from vdenoise.picture.noise import ShotNoise
from vdenoise.picture.noise_table import SPECTRUM

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


def set_in_motion(path: Path, frames: int, seed: int) -> Tensor:
    """A still that drifts, turns and grows a little: (T, 3, H, W) R'G'B' of half its size."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR).astype(np.float32) / 255
    rng = np.random.default_rng(seed)
    drift = rng.uniform(-5, 5, 2)  # all of it before halving
    turn = np.deg2rad(rng.uniform(-0.15, 0.15))
    growth = 1 + rng.uniform(-0.003, 0.003)
    rows, columns = (2 * size for size in CROP)
    middle = np.array([picture.shape[1] / 2, picture.shape[0] / 2])
    result = []
    for t in range(frames):
        since = t - frames / 2
        cos, sin = (growth**since * f(turn * since) for f in (np.cos, np.sin))
        linear = np.array([[cos, -sin], [sin, cos]])
        origin = middle + drift * since - linear @ np.array([columns / 2, rows / 2])
        moved = cv2.warpAffine(
            picture,
            np.column_stack([linear, origin]),
            (columns, rows),
            flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        result.append(cv2.resize(moved, CROP[::-1], interpolation=cv2.INTER_AREA)[..., ::-1].copy())
    return torch.from_numpy(np.stack(result)).permute(0, 3, 1, 2).clamp(0, 1)


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
    lifted = [
        lift_planes([torch.from_numpy(p) for p in frame], FORMAT, False, None) for frame in planes
    ]
    return [(luma, chroma) for luma, chroma in lifted if chroma is not None]


def read(frames: Planes) -> tuple[list[float], ShotNoise]:
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


def true_bands(noisy: Planes, clean: Planes) -> Tensor:
    """(BANDS,) variance of the luma noise in each band, codes squared."""
    difference = torch.stack([a[0][0] - b[0][0] for a, b in zip(noisy, clean, strict=True)])
    rows, columns = (size // SPECTRUM * SPECTRUM for size in difference.shape[-2:])
    blocks = difference[:, :rows, :columns]
    for axis in (1, 2):
        blocks = blocks.unfold(axis, SPECTRUM, SPECTRUM)
    basis = dct_matrix(SPECTRUM)
    return by_band((basis @ blocks @ basis.T).square().flatten(0, 2).mean(0)) * 255**2


def bands_read(shot: ShotNoise, true: Tensor) -> list[float]:
    """Measured over true amplitude of luma noise in each band."""
    read = by_band(torch.tensor(shot.y.spectrum)) * shot.y.codes**2
    return [round(ratio, 3) for ratio in (read / true).sqrt().tolist()]


def measure(name: str, clean_rgb: Tensor) -> list[dict[str, Any]]:
    """All kinds of noise on one clip of (T, 3, H, W)."""
    clean = stored(clean_rgb, None)
    size = [clean_rgb.shape[-1], clean_rgb.shape[-2]]
    own, _ = read(clean)
    rows = [_row(name, size, "none", own, [0.0] * 3, [0.0] * 3, own)]
    for kind, (make, crf) in KINDS.items():
        noisy = stored(make(clean_rgb), crf)
        measured, shot = read(noisy)
        rows.append(
            _row(
                name,
                size,
                kind,
                measured,
                true_sigma(noisy, clean, False),
                true_sigma(noisy, clean, True),
                own,
            )
        )
        rows[-1]["bands"] = bands_read(shot, true_bands(noisy, clean))
        rows[-1]["temporal_correlation"] = round(shot.temporal_correlation, 3)
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
    """Per kind: median absolute error, clips within 10 and 20 percent, median of each band.

    ``none``: the highest reading of a clip without added noise.
    """
    result: dict[str, Any] = {}
    clean = [r for r in rows if r["kind"] == "none"]
    result["none"] = {p: max(r[p]["measured"] for r in clean) for p in ("y", "cb", "cr")}
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
        by_clip = [r["bands"] for r in here]
        result[kind]["bands"] = [round(median(b[i] for b in by_clip), 3) for i in range(BANDS)]
    return result


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--stills", type=Path, nargs="*", default=[], help="set in motion")
    parser.add_argument("--halved", type=Path, nargs="*", default=[], help="averaged 2x2 first")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    stills = [
        r
        for seed, path in enumerate(given.stills)
        for r in measure(f"still {path.stem[:8]}", set_in_motion(path, given.frames, seed))
    ]
    rows = [r for path in given.clips for r in measure(path.stem, load(path, given.frames, False))]
    for path in given.halved:
        rows += measure(f"{path.stem} halved", load(path, given.frames, True))
    content = {
        "benchmark": "noise",
        "machine": machine(),
        "seed": SEED,
        "frames": given.frames,
        "summary": {name: summary(r) for name, r in (("stills", stills), ("footage", rows)) if r},
        "rows": stills + rows,
    }
    save(given.out, json.loads(json.dumps(content)))


if __name__ == "__main__":
    main()
