"""Networks alone, and the chain, on footage that moves fast.

``python -m benchmarks.hard_motion --data FOLDER [--also FOLDER] [--yardstick WEIGHTS]``

White noise of known strength in float, as the literature measures it, told to everyone. Single
frames: each network without and behind the spatial filter. Clips: the chain with S at ``base``,
with M and with L at ``slow``, and the yardstick, which is weights published by others, frame for
frame and behind our temporal stage. Writes ``results/hard_motion.json``; rows of an earlier run are
replaced.

The clips are those of ``benchmarks/clips.py``, its fast ones, and our own sample; ``--also`` names
further folders of clean frames, such as a fast clip that no training has seen.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import clips, results
from vdenoise.chain.presets import load as preset
from vdenoise.chain.resolve import Chain, Layer, resolve
from vdenoise.evaluation import material
from vdenoise.evaluation.measure import profile_told, run_chain
from vdenoise.evaluation.protocol import Noise, given

RESULTS = results.FOLDER / "hard_motion.json"
SIGMAS = (10, 30, 50)
# With this a neighbor of white noise may differ as much as one of coarse grain
# (`vdenoise.stages.temporal.mean.tolerance`), as it might in every kind of noise before.
TOLERANT = {"temporal.motion_threshold": "62.9"}
ALONE = {"temporal.method": "none"}
UNFILTERED = {"spatial.method": "none"}
UNGUARDED = {"net.structure_guard": "off"}

Case = tuple[str, str, dict[str, str], bool]  # competitor, speed, values, first frame only


def cases(yardstick: Path | None, unfiltered: list[Path]) -> list[Case]:
    """Everything that is compared; ``unfiltered``: weights of ours that want no other help."""
    found: list[Case] = []
    for model in ("S", "M", "L"):
        net = {"net.model": model, "net.ensemble": "1"} | ALONE
        found += [
            (f"{model}, one frame alone", "base", net | UNFILTERED, True),
            (f"{model} behind the spatial filter, one frame", "base", net, True),
        ]
    found += [
        ("chain with S at base", "base", {}, False),
        ("chain with S at base, tolerant", "base", TOLERANT, False),
        ("chain with M at slow", "slow", {"net.model": "M"}, False),
        ("chain with L at slow", "slow", {}, False),
    ]
    for weights in unfiltered:
        net = {"net.model": str(weights), "net.ensemble": "1"} | UNFILTERED | UNGUARDED
        found += [
            (f"{weights.stem}, one frame alone", "base", net | ALONE, True),
            (f"chain with {weights.stem} at slow, unfiltered", "slow", net, False),
        ]
    if yardstick is not None:
        net = {"net.model": str(yardstick)} | UNFILTERED
        found += [
            ("yardstick, one frame alone", "base", net | ALONE, True),
            ("yardstick, each frame for itself", "base", net | ALONE, False),
            ("yardstick behind the temporal stage", "slow", net, False),
        ]
    return found


def main() -> None:
    """Run every case and merge its row into the file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hard_motion",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the clean clips")
    parser.add_argument("--also", type=Path, action="append", help="another folder of clean frames")
    parser.add_argument("--yardstick", type=Path, help="published weights to compare with")
    parser.add_argument(
        "--unfiltered", type=Path, action="append", help="weights that take no spatial filter"
    )
    parser.add_argument("--frames", type=int, default=16, help="first frames of each clip")
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="the middle")
    parser.add_argument("--only", default="", help="competitors whose names hold this")
    parser.add_argument("--sigma", type=int, nargs="+", default=list(SIGMAS))
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    for name, clean in footage(chosen.data, chosen.also or [], chosen.frames):
        part = clean if chosen.size is None else clips.middle(clean, tuple(chosen.size))
        for sigma in chosen.sigma:
            asked = cases(chosen.yardstick, chosen.unfiltered or [])
            for case in (c for c in asked if chosen.only in c[0]):
                row = measured(name, part, Noise("gaussian", sigma), case)
                print(row, flush=True)
                results.merge(RESULTS, row, key, clips.SEED)


def footage(data: Path, also: list[Path], frames: int) -> Iterator[tuple[str, Tensor]]:
    """Names, and clean frames (T, 3, H, W)."""
    for name in (*clips.CLEAN, *clips.FAST, clips.SAMPLE):
        yield name, clips.load_clean(data, name, frames)
    for folder in also:
        for found in material.find([folder]):
            clean = found.read(frames)
            yield found.name, clean[..., : clean.shape[-2] // 2 * 2, : clean.shape[-1] // 2 * 2]


def key(row: Mapping[str, str]) -> tuple[str, ...]:
    """What makes a row the same row."""
    return row["clip"], row["noise"], row["competitor"]


def measured(name: str, clean: Tensor, noise: Noise, case: Case) -> results.Row:
    """One row: a competitor on noisy frames, compared with the clean ones."""
    competitor, speed, values, single = case
    made = given(clean[:1] if single else clean, noise, clips.SEED, "float")
    profile = profile_told("known", noise, made)
    done = run_chain(made, partial(chain, values, speed), profile, "cpu")
    return {
        "clip": name,
        "noise": str(noise),
        "competitor": competitor,
        "frames": len(made.reference),
        "size": [clean.shape[-1], clean.shape[-2]],
        **results.scores(made.reference, done.rgb),
    }


def chain(values: Mapping[str, str], speed: str, proposed: Mapping[str, str]) -> Chain:
    """The default chain at a speed, with some values set."""
    layers = [Layer("measurement", proposed), Layer("benchmark", values)]
    return resolve(preset("auto"), layers, speed=speed)


if __name__ == "__main__":
    main()
