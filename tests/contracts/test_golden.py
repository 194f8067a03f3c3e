"""Small stored results of every stage: a change of what comes out is seen and meant.

``pytest tests/contracts/test_golden.py --update-golden`` stores what they do now. The input is
stored too, so that no random number generator stands between two machines.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.helpers.pictures import block, noisy, removed_by, scene
from vdenoise.picture.block import Block
from vdenoise.picture.luma_chroma import Picture
from vdenoise.stages import FINISHING, STAGES, stage_class

GOLDEN = Path(__file__).parent / "golden"
FRAMES, HEIGHT, WIDTH = 3, 32, 44

# The same arithmetic on another processor rounds elsewhere. Where that tips a decision (an
# outlier or none, a coefficient kept or not), a pixel may differ more: one in two hundred may.
TYPICAL = 2e-5
RARE = 0.005


def store(name: str, arrays: dict[str, Tensor]) -> None:
    GOLDEN.mkdir(exist_ok=True)
    np.savez_compressed(
        GOLDEN / f"{name}.npz", **{key: value.numpy() for key, value in arrays.items()}
    )


def load(name: str) -> dict[str, Tensor]:
    path = GOLDEN / f"{name}.npz"
    assert path.exists(), f"{path.name} is missing: run pytest {__file__} --update-golden"
    with np.load(path) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


@pytest.fixture(scope="session")
def update(request: pytest.FixtureRequest) -> bool:
    chosen: bool = request.config.getoption("--update-golden")
    if chosen:
        torch.manual_seed(0)
        for kind in ("noise", "outliers"):
            source = noisy(*scene(FRAMES, HEIGHT, WIDTH), kind, density=0.01)
            assert source.chroma is not None
            store(f"input-{kind}", {"luma": source.luma.pixels, "chroma": source.chroma.pixels})
    return chosen


def compute(name: str) -> dict[str, Tensor]:
    """Middle frame of the stage at its defaults."""
    cls = stage_class(name)
    kind = removed_by(cls)
    pictures = load(f"input-{kind}")
    sigma = 12 / 255 if kind == "noise" else 3 / 255
    source = block(pictures["luma"], pictures["chroma"], sigma=sigma, core=slice(1, 2))
    if cls.slot in FINISHING:  # most of the noise gone, and the source beside it
        noisy_planes = pictures["luma"], pictures["chroma"]
        soft = tuple(functional.avg_pool2d(plane, 3, 1, 1) for plane in noisy_planes)
        source = block(soft[0], soft[1], sigma=sigma / 4, core=slice(1, 2))
        source = replace(source, kept_original=Picture(*noisy_planes), clean=Picture(*soft))
    result: Block = cls().apply(source)
    assert result.chroma is not None
    return {
        "luma": result.luma.pixels[0],
        "chroma": result.chroma.pixels[0],
        "luma_left": result.luma.residual[0],
    }


def distribution(error: Tensor) -> str:
    """Error at some quantiles, in full-scale units, and how many samples differ at all."""
    marks = torch.tensor([0.5, 0.9, 0.99, 0.999, 1.0])
    values = torch.quantile(error.flatten().float(), marks)
    quantiles = ", ".join(f"{100 * m:g} %: {v:.2e}" for m, v in zip(marks, values, strict=True))
    return f"{quantiles}; {(error > 0).float().mean():.1%} differ"


@pytest.mark.parametrize("name", STAGES)
def test_golden(name: str, update: bool) -> None:
    result = compute(name)
    if update:
        store(name, result)
    golden = load(name)
    assert golden.keys() == result.keys()
    errors = {key: (result[key] - golden[key]).abs() for key in golden}
    report = "\n".join(f"{name} {key}: {distribution(error)}" for key, error in errors.items())
    print(report)  # noqa: T201 - pytest shows it for a failure, or under -s
    far = {key: (error > TYPICAL).float().mean().item() for key, error in errors.items()}
    assert max(far.values()) <= RARE, f"{report}\nmeant? pytest {__file__} --update-golden"


def test_no_golden_without_a_stage() -> None:
    stored = {path.stem for path in GOLDEN.glob("*.npz")}
    assert stored == {*STAGES, "input-noise", "input-outliers"}
