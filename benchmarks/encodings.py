"""Whether log curves need to be named: ``python -m benchmarks.encodings``.

Fourteen patches of gray, a stop apart around 18 %, with soft texture and the noise of a sensor in
linear light (variance 2e-4 x + 0.002^2), are encoded by each curve as 10-bit R'G'B' in full range
and denoised by what is measured of them, with nothing said of the curve and with its name; a last
clip is scene-linear float. For every stop: sigma
before in 10-bit codes, sigma after over before, and the shift of the mean in percent of the range,
or of the patch's light: against the noisy mean, of named codes against the true one.
Writes ``results/encodings.json``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import clips, results
from vdenoise import denoise_frames

RESULTS = results.FOLDER / "encodings.json"
STOPS = tuple(range(-7, 7))
SHOT, READ = 2e-4, 2e-3
CODES = 1023
SIZE, PATCH = 128, 16  # height, and width of a patch, pixels
LINEAR = "linear"
MARGIN = 3  # px between patches that no patch answers for
Values = NDArray[np.float64]


def slog3(x: Values) -> Values:
    """Sony S-Log3 (Technical Summary for S-Gamut3.Cine/S-Log3)."""
    bright = (420 + np.log10((np.maximum(x, 0) + 0.01) / 0.19) * 261.5) / 1023
    return np.where(x >= 0.01125, bright, (x * (171.2102946929 - 95) / 0.01125 + 95) / 1023)


def vlog(x: Values) -> Values:
    """Panasonic V-Log (V-Log/V-Gamut Reference Manual)."""
    return np.where(x < 0.01, 5.6 * x + 0.125, 0.241514 * _log10(x + 0.00873) + 0.598206)


def logc3(x: Values) -> Values:
    """ARRI LogC3 at EI 800."""
    bright = 0.247190 * _log10(5.555556 * x + 0.052272) + 0.385537
    return np.where(x > 0.010591, bright, 5.367655 * x + 0.092809)


def logc4(x: Values) -> Values:
    """ARRI LogC4."""
    a, b, c = (2**18 - 16) / 117.45, (1023 - 95) / 1023, 95 / 1023
    s = 7 * math.log(2) * 2 ** (7 - 14 * c / b) / (a * b)
    t = (2 ** (14 * (-c / b) + 6) - 64) / a
    bright = (np.log2(np.maximum(a * x + 64, 1e-9)) - 6) / 14 * b + c
    return np.where(x < t, (x - t) / s, bright)


def clog(x: Values) -> Values:
    """Canon Log."""
    height = 0.529136 * np.log10(10.1596 * np.abs(x) / 0.9 + 1)
    return np.sign(x) * height + 0.0730597


def cineon(x: Values) -> Values:
    """Kodak Cineon: 0.002 density a code, white at 685, black at 95."""
    return (685 + 300 * _log10(x * (1 - 0.0108) + 0.0108)) / 1023


def acescct(x: Values) -> Values:
    """ACEScct (S-2016-001)."""
    bright = (np.log2(np.maximum(x, 1e-9)) + 9.72) / 17.52
    return np.where(x <= 0.0078125, 10.5402377416545 * x + 0.0729055341958355, bright)


def _log10(x: Values) -> Values:
    return np.log10(np.maximum(x, 1e-9))


CURVES: dict[str, Callable[[Values], Values]] = {
    "S-Log3": slog3,
    "V-Log": vlog,
    "LogC3": logc3,
    "LogC4": logc4,
    "C-Log": clog,
    "Cineon": cineon,
    "ACEScct": acescct,
}


def main() -> None:
    """Run every curve and write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encodings", description=__doc__)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--speed", default="base")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    rows = []
    for name in (*CURVES, LINEAR):
        for named in (False, True) if name != LINEAR else (True,):
            for row in by_stop(name, chosen.frames, chosen.speed, named=named):
                rows.append({"encoding": name, "named": named, "speed": chosen.speed} | row)
            print(name, named, [row["left"] for row in rows[-len(STOPS) :]], flush=True)
    content = {"schema": results.SCHEMA, "machine": results.machine(), "seed": clips.SEED}
    results.save(RESULTS, content | {"rows": rows})


def by_stop(name: str, frames: int, speed: str, *, named: bool) -> list[dict[str, Any]]:
    """A row for each stop of a curve, of which the name is said or not."""
    noisy, truth = encoded(name, frames)
    linear = name == LINEAR
    samples = (noisy / CODES).astype(np.float32) if linear else (noisy * 64).astype(np.uint16)
    encoding = name.lower().replace("-", "") if named else None
    clean = denoise_frames(samples, speed=speed, cuts=(), device="cpu", encoding=encoding)
    clean = clean.astype(np.float64) * CODES if linear else clean / 64
    rows = []
    for n, stop in enumerate(STOPS):
        part = np.s_[:, 8:-8, n * PATCH + MARGIN : (n + 1) * PATCH - MARGIN]
        before, after = ((x - truth[None])[part] for x in (noisy, clean))
        sigma = float(before.std())
        # Behind a named curve light keeps its mean, not the codes, which noise lowers
        mean = truth[part[1:]].mean() if named and not linear else noisy[part].mean()
        shift = float(clean[part].mean() - mean)
        row = {"stop": stop, "sigma": sigma, "left": float(after.std()) / sigma}
        whole = truth[part[1:]].mean() if linear else CODES  # light has no full range
        rows.append(row | {"shift": 100 * shift / whole})
    return [{key: round(value, 4) for key, value in row.items()} for row in rows]


def encoded(name: str, frames: int) -> tuple[Values, Values]:
    """Noisy codes (T, H, W, 3), whole numbers, and the codes without noise (H, W, 3); of light
    neither rounded nor limited."""
    rng = np.random.default_rng(clips.SEED)
    y, x = np.mgrid[0:SIZE, 0 : PATCH * len(STOPS)]
    light = 0.18 * 2.0 ** np.repeat(STOPS, PATCH)[None] * (1 + 0.06 * np.sin(x / 11 + y / 17))
    truth = np.repeat(light[..., None], 3, axis=2)
    sigma = np.sqrt(SHOT * truth + READ**2)
    shots = [truth + sigma * rng.normal(size=truth.shape) for _ in range(frames)]
    if name == LINEAR:
        return CODES * np.stack(shots), CODES * truth
    curve = CURVES[name]
    noisy = [np.clip(np.rint(CODES * curve(shot)), 0, CODES) for shot in shots]
    return np.stack(noisy), CODES * curve(truth)


if __name__ == "__main__":
    main()
