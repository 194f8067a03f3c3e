"""Which block positions should the Wiener filter average? Lattices against square grids.

    python benchmarks/wiener.py FOLDER_OF_FRAMES... --out benchmarks/results/wiener.json

Adds white noise to the middle frame of each folder, denoises its luma and writes the PSNR of
each choice. Both sides see the same noise.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import torch
from torch import Tensor

from vdenoise.picture import dct
from vdenoise.picture.quality import psnr

SIGMAS = (5, 10, 20, 40)  # 8-bit codes


def grid(step: int) -> tuple[tuple[int, int], ...]:
    """All offsets of a square grid on 8x8 blocks."""
    return tuple((y, x) for y in range(0, 8, step) for x in range(0, 8, step))


CHOICES = {
    "grid of 4": grid(4),
    "lattice of 4": dct.lattice(8, 4),
    "lattice of 8": dct.lattice(8, 8),
    "grid of 16": grid(2),
    "lattice of 16": dct.lattice(8, 16),
    "grid of 64": grid(1),
}


def middle_luma(folder: Path) -> Tensor:
    """BT.709 luma of a folder's middle frame, (1, H, W) in [0, 1]."""
    files = sorted(p for p in folder.iterdir() if p.suffix in {".png", ".jpg"})
    image = cv2.imread(str(files[len(files) // 2]))
    assert image is not None, f"cannot read a frame of {folder}"
    luma = (image.astype(np.float32) / 255) @ np.array([0.0722, 0.7152, 0.2126], np.float32)
    return torch.from_numpy(luma)[None]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rows = []
    for folder in arguments.folders:
        clean = middle_luma(folder)
        for codes in SIGMAS:
            noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(codes))
            noisy = clean + codes / 255 * noise
            variance = torch.full_like(clean, (codes / 255) ** 2)
            for name, offsets in CHOICES.items():
                with mock.patch.object(dct, "lattice", lambda *_, o=offsets: o):
                    result, _ = dct.dct_denoise(noisy, variance, torch.ones(1, 64))
                rows.append(
                    {
                        "clip": folder.name,
                        "sigma_codes": codes,
                        "offsets": name,
                        "psnr_y": round(psnr(clean[None], result[None]), 3),
                    }
                )
    means = {
        name: round(float(np.mean([r["psnr_y"] for r in rows if r["offsets"] == name])), 3)
        for name in CHOICES
    }
    record = {
        "benchmark": "wiener",
        "torch": torch.__version__,
        "sigmas_codes": SIGMAS,
        "mean_psnr_y": means,
        "rows": rows,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    for name, value in means.items():
        print(f"{name:15} {value:.3f} dB")


if __name__ == "__main__":
    main()
