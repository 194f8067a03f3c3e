"""What following motion to the pixel is worth: ``python -m benchmarks.motion --data FOLDER``.

The chain of ``--speed slow`` with ``temporal.motion_est`` better (every second pixel is matched)
and best (every one), everything else equal, on the same noisy frames of the clips of
``benchmarks/clips.py`` and of our own sample. Writes ``results/motion.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch

from benchmarks import clips, results
from vdenoise.chain.presets import load as preset
from vdenoise.chain.resolve import Chain, Layer, resolve
from vdenoise.evaluation.measure import run_chain
from vdenoise.evaluation.protocol import Noise, given

RESULTS = results.FOLDER / "motion.json"
NOISES = (
    Noise("gaussian", 10),
    Noise("gaussian", 30),
    Noise("gaussian", 50),
    Noise("sensor", 0.01),
    Noise("sensor", 0.04),
    Noise("film", 12),
)
ACCURACIES = ("better", "best")


def main() -> None:
    """Run every case and write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.motion", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the clean clips")
    parser.add_argument("--frames", type=int, default=6, help="first frames of each clip")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    rows = []
    for name in (*clips.CLEAN, clips.SAMPLE):
        clean = clips.load_clean(chosen.data, name, chosen.frames)
        for noise in NOISES:
            made = given(clean, noise, clips.SEED, "8bit" if noise.kind == "gaussian" else "420")
            for accuracy in ACCURACIES:
                done = run_chain(made, partial(chain, accuracy), None, "cpu")
                row = {"clip": name, "noise": str(noise), "motion_est": accuracy}
                row |= {"frames": len(clean), "size": [clean.shape[-1], clean.shape[-2]]}
                rows.append(row | results.scores(made.reference, done.rgb))
                print(rows[-1], flush=True)
    content = {"schema": results.SCHEMA, "machine": results.machine(), "seed": clips.SEED}
    results.save(RESULTS, content | {"rows": rows})


def chain(accuracy: str, proposed: Mapping[str, str]) -> Chain:
    """The default chain at ``--speed slow``, with motion of this accuracy."""
    asked = Layer("benchmark", {"temporal.motion_est": accuracy})
    return resolve(preset("auto"), [Layer("measurement", proposed), asked], speed="slow")


if __name__ == "__main__":
    main()
