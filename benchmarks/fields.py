"""Fields denoised as fields: ``python -m benchmarks.fields [--data FOLDER]``.

Clean frames are taken for pictures at field rate; of each an interlaced frame has the lines of one
parity (top field first), and white noise is added. What is compared, luma, PSNR per field against
the truth and combing against the truth's own:

* ``by parity``: two clips, one of each parity's fields: what vdenoise does;
* ``in one``: one clip of all fields in their order, whose lines lie half a line apart;
* ``as frames``: the woven frames as if they were progressive;
* ``progressive``: the lines of the top field of *every* picture: twice the pictures that exist of a
  parity, which no denoiser of fields has; the bound.

Writes ``results/fields.json``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import clips, results
from vdenoise import denoise_frames
from vdenoise.evaluation.metrics import luma

RESULTS = results.FOLDER / "fields.json"
SIGMAS = (8, 25)  # 8-bit codes
SIZE = (240, 320)
Pictures = NDArray[Any]


def main() -> None:
    """Run every case and write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fields", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the clean clips; else our sample only")
    parser.add_argument("--frames", type=int, default=16, help="pictures of each clip")
    parser.add_argument("--speed", default="base")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    names = (clips.SAMPLE, *(clips.CLEAN if chosen.data else ()))
    rows = []
    for name in names:
        clean = clips.middle(clips.load_clean(chosen.data, name, chosen.frames), SIZE)
        for sigma in SIGMAS:
            for row in compared(255 * luma(clean)[:, 0].numpy(), sigma, chosen.speed):
                case = {"clip": name, "sigma": sigma, "pictures": len(clean), "size": SIZE[::-1]}
                rows.append(case | {"speed": chosen.speed} | row)
                print(rows[-1], flush=True)
    content = {"schema": results.SCHEMA, "machine": results.machine(), "seed": clips.SEED}
    results.save(RESULTS, content | {"rows": rows})


def compared(clean: Pictures, sigma: int, speed: str) -> list[dict[str, Any]]:
    """A row for each way.

    Args:
        clean: (T, H, W) pictures at field rate, in 8-bit codes, T and H even.
        sigma: of the noise.
        speed: as for a run.
    """
    rng = np.random.default_rng(clips.SEED)
    noisy = np.clip(np.rint(clean + rng.normal(0, sigma, clean.shape)), 0, 255).astype(np.uint8)

    def denoised(pictures: Pictures) -> Pictures:
        return denoise_frames(pictures, sigma=[sigma], cuts=(), speed=speed, device="cpu")

    truth, fields = fields_of(clean), fields_of(noisy)
    by_parity = np.empty_like(fields)
    for parity in (0, 1):
        by_parity[parity::2] = denoised(fields[parity::2])
    found = {
        "noisy": fields,
        "by parity": by_parity,
        "in one": denoised(fields),
        "as frames": unwoven(denoised(woven(fields))),
    }
    rows = [
        {"way": way, "psnr": psnr(made, truth), "psnr_top": psnr(made[0::2], truth[0::2]),
         "combing": round(combing(woven(made)) - combing(woven(truth)), 3)}
        for way, made in found.items()
    ]  # fmt: skip
    bound = denoised(noisy[:, 0::2])[0::2]
    return [*rows, {"way": "progressive", "psnr_top": psnr(bound, truth[0::2])}]


def fields_of(pictures: Pictures) -> Pictures:
    """(T, H/2, W): of each picture the lines of the parity that is its turn."""
    return np.stack([picture[t % 2 :: 2] for t, picture in enumerate(pictures)])


def woven(fields: Pictures) -> Pictures:
    """(T/2, H, W) frames of pairs of fields."""
    frames = np.empty((len(fields) // 2, 2 * fields.shape[1], fields.shape[2]), fields.dtype)
    frames[:, 0::2], frames[:, 1::2] = fields[0::2], fields[1::2]
    return frames


def unwoven(frames: Pictures) -> Pictures:
    """The reverse of `weave`."""
    fields = np.empty((2 * len(frames), frames.shape[1] // 2, frames.shape[2]), frames.dtype)
    fields[0::2], fields[1::2] = frames[:, 0::2], frames[:, 1::2]
    return fields


def psnr(found: Pictures, truth: Pictures) -> float:
    """In dB."""
    error = np.mean((found.astype(np.float64) - truth) ** 2)
    return round(float(10 * np.log10(255**2 / error)), 3)


def combing(frames: Pictures) -> float:
    """Deviation of lines from the mean of those above and below, 8-bit codes."""
    values = frames.astype(np.float64)
    return float(np.sqrt(np.mean((values[:, 1:-1] - (values[:, :-2] + values[:, 2:]) / 2) ** 2)))


if __name__ == "__main__":
    main()
