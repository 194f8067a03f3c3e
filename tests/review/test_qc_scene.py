"""The gates on a picture with texture, faces, occlusion and a codec's noise: the clean scene is the
best result there can be, and must fire none; what is planted in it is found, and only that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.picture.frame import ClipInfo, SourceFrame
from vdenoise.review.gates import GateName
from vdenoise.review.inspect import Inspector
from vdenoise.workflows.reading import Reading

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
FIRST, LAST = 18, 25  # a face comes from behind a lamp post, a codec's noise flickers on leaves
Planes = tuple[Tensor, ...]
Clip = Sequence[Planes]
Fault = Callable[[int, Clip], Planes]


def frames(name: str) -> tuple[ClipInfo, list[SourceFrame]]:
    reading = Reading(SAMPLES / name, threads=1)
    info = reading.probe()
    with reading.reader(info, FIRST, LAST) as reader:
        return info, list(reader)


@pytest.fixture(scope="module")
def scene() -> tuple[ClipInfo, list[SourceFrame], Clip]:
    info, noisy = frames("scene_film.mp4")
    return info, noisy, [frame.planes for frame in frames("scene_clean.mp4")[1]]


def rounded(luma: Tensor) -> Tensor:
    return luma.round().clamp(0, 255).byte()


def trail(n: int, clip: Clip) -> Planes:
    now, before = (clip[k][0].float() for k in (n, max(n - 1, 0)))
    return rounded(0.65 * now + 0.35 * before), *clip[n][1:]


def blurred(n: int, clip: Clip) -> Planes:
    padded = functional.pad(clip[n][0].float()[None, None], (4,) * 4, mode="replicate")
    return rounded(functional.avg_pool2d(padded, 9, 1)[0, 0]), *clip[n][1:]


def pulsing(n: int, clip: Clip) -> Planes:
    return rounded(clip[n][0].float() + 1.5 * (-1) ** n), *clip[n][1:]


FAULTS: dict[str, tuple[GateName | None, Fault]] = {
    "none": (None, lambda n, clip: clip[n]),
    "ghost trail": ("ghosting", trail),
    "blurred texture": ("structure", blurred),
    "pulsing level": ("flicker", pulsing),
    "two frames late": ("frames", lambda n, clip: clip[max(n - 2, 0)]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_perfect_result_fires_none_and_a_fault_its_own(
    name: str, scene: tuple[ClipInfo, list[SourceFrame], Clip]
) -> None:
    info, noisy, clean = scene
    gate, fault = FAULTS[name]
    inspector = Inspector(info, info.format)
    for n, source in enumerate(noisy):
        with torch.inference_mode():
            inspector.push(source, fault(n, clean))
    found = inspector.finish(cuts=())
    expected = [] if gate is None else [gate]
    assert [v.gate.name for v in found.failed] == expected, [v.text() for v in found.verdicts]
