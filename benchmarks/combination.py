"""What combining is worth: ``python -m benchmarks.combination --data FOLDER``.

Temporal stage, spatial stage and network in every combination - each alone, each left out, all
together - on strong and on moderate noise, measured as in a run, at every speed asked for. Clips
are those of ``benchmarks/clips.py`` and our own sample; all read the same noisy frames. Writes
``results/combination.json``, a section of ``docs/quality.md``, and ``docs/combination.png``, drawn
from the sample. ``--missing`` goes on where an earlier run was stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import clips, results
from vdenoise.chain.presets import load as preset
from vdenoise.chain.resolve import Chain, Layer, resolve
from vdenoise.evaluation.measure import run_chain
from vdenoise.evaluation.protocol import Given, Noise, given
from vdenoise.stages import OFF

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "combination.png"
PARTS = ("temporal", "spatial", "net")
SWITCHES = {"temporal": "temporal.method", "spatial": "spatial.method", "net": "net.method"}
HEAVY = (Noise("gaussian", 50), Noise("sensor", 0.04), Noise("compressed-film", 28))
MODERATE = (Noise("gaussian", 10), Noise("sensor", 0.01), Noise("film", 12))
SPEEDS = ("base", "slow", "veryslow")
CROP = (slice(130, 250), slice(250, 410))  # bricks, a door, a post that moves past them
SHOWN = (("temporal",), ("spatial",), ("net",), PARTS)

Row = dict[str, Any]
Key = tuple[str, str, str, str]
Picture = NDArray[np.uint8]


def main() -> None:
    """Run what is asked for, merge each row into the results, and write page and picture again."""
    chosen = _arguments()
    torch.set_num_threads(chosen.threads)
    known = set(results.known(results.COMBINATION, key)) if chosen.missing else set()
    for name in chosen.clips:
        clean = clips.load_clean(chosen.data, name, chosen.frames)
        for row in _rows(name, clean, chosen, known):
            print(row, flush=True)
            results.merge(results.COMBINATION, row, key, clips.SEED)
    results.write_quality_page()
    if chosen.picture:
        cv2.imwrite(str(PICTURE), _picture(chosen.frames, chosen.device))


def sets_of_parts() -> list[tuple[str, ...]]:
    """Each part alone, each pair, and all."""
    return [found for n in range(1, len(PARTS) + 1) for found in combinations(PARTS, n)]


def label(parts: tuple[str, ...]) -> str:
    """As in the results: ``temporal + net``."""
    return " + ".join(parts)


def chain(parts: tuple[str, ...], speed: str, proposed: Mapping[str, str]) -> Chain:
    """The default chain at a speed with only these parts of it."""
    off = {SWITCHES[part]: OFF for part in PARTS if part not in parts}
    layers = [Layer("measurement", proposed), Layer("benchmark", off)]
    return resolve(preset("auto"), layers, speed=speed)


def key(row: Mapping[str, Any]) -> Key:
    """What makes a row the same row."""
    return row["clip"], row["noise"], row["speed"], row["parts"]


def _rows(name: str, clean: Tensor, chosen: argparse.Namespace, known: set[Key]) -> Iterator[Row]:
    for noise in HEAVY if chosen.heavy else (*HEAVY, *MODERATE):
        made = _noisy(clean, noise)
        for speed in chosen.speeds:
            for parts in sets_of_parts():
                if (name, str(noise), speed, label(parts)) not in known:
                    yield _row(name, made, noise, speed, parts, chosen.device)


def _noisy(clean: Tensor, noise: Noise) -> Given:
    return given(clean, noise, clips.SEED, "8bit" if noise.kind == "gaussian" else "420")


def _row(
    name: str, made: Given, noise: Noise, speed: str, parts: tuple[str, ...], device: str
) -> Row:
    done = run_chain(made, partial(chain, parts, speed), None, device)
    clean = made.reference
    return {
        "clip": name,
        "noise": str(noise),
        "speed": speed,
        "parts": label(parts),
        "frames": len(clean),
        "size": [clean.shape[-1], clean.shape[-2]],
        **results.scores(clean, done.rgb),
    }


def _picture(frames: int, device: str) -> Picture:
    """The middle frame of the sample with the strongest camera noise: crops at 200 %."""
    clean = clips.load_clean(None, clips.SAMPLE, frames)
    made = _noisy(clean, HEAVY[1])
    shown = {"noisy": made.answer(made.planes)}
    for parts in SHOWN:
        done = run_chain(made, partial(chain, parts, "base"), None, device)
        shown["all together" if parts == PARTS else f"{label(parts)} alone"] = done.rgb
    tiles = [tile(rgb[frames // 2], title) for title, rgb in (shown | {"clean": clean}).items()]
    return np.vstack([np.hstack(tiles[:3]), np.hstack(tiles[3:])])


def tile(rgb: Tensor, title: str, crop: tuple[slice, slice] = CROP) -> Picture:
    """A part of a frame (3, H, W) at 200 % under a title, in OpenCV's order of channels."""
    part = (255 * rgb.permute(1, 2, 0)).round().byte().numpy()[crop][..., ::-1]
    large = cv2.resize(part, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    cv2.rectangle(large, (0, 0), (180, 20), (0, 0, 0), -1)
    cv2.putText(
        large, title, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA
    )
    return large.astype(np.uint8)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.combination",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    known = [*clips.CLEAN, clips.SAMPLE]
    parser.add_argument("--data", type=Path, required=True, help="folder of the clean clips")
    parser.add_argument("--clips", nargs="+", choices=known, default=known)
    parser.add_argument("--speeds", nargs="+", default=SPEEDS)
    parser.add_argument("--heavy", action="store_true", help="strong noise only")
    parser.add_argument("--frames", type=int, default=6, help="first frames of each clip")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--missing", action="store_true", help="only rows that are not on file")
    parser.add_argument("--no-picture", dest="picture", action="store_false")
    return parser.parse_args()


if __name__ == "__main__":
    main()
