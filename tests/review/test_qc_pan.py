"""Under a camera that pans, a ghost, a picture that is moved and one of another time look alike to
first order; each is told by what it leaves, and called by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vdenoise.picture.frame import ClipInfo, PixelFormat, SourceFrame
from vdenoise.review.inspect import Inspector

HEIGHT, WIDTH, FRAMES, PAN = 192, 320, 6, 1.5
FMT = PixelFormat("gray", "gray", 8)
INFO = ClipInfo(
    path=Path("clip.mkv"), container="", codec="", width=WIDTH, height=HEIGHT, format=FMT,
    source_format="gray", time_base=Fraction(1, 25), rate=Fraction(25), frames=FRAMES,
    duration=1.0, start_pts=0, variable_rate=False, full_range=True, matrix="bt709",
    matrix_guessed=False, primaries="bt709", transfer="bt709", chroma_location="left",
    field_order="progressive", sample_aspect_ratio=Fraction(1),
)  # fmt: skip
Clip = Sequence[np.ndarray]
Fault = Callable[[int, Clip], np.ndarray]


def drawn() -> np.ndarray:
    """Textures of several sizes, and boxes."""
    rng = np.random.default_rng(12)
    found = np.full((HEIGHT + 80, WIDTH + 80), 120.0)
    for size, codes in ((1.2, 10), (3, 14), (9, 18)):
        layer = cv2.GaussianBlur(rng.normal(0, 1, found.shape), (0, 0), size)
        found += codes * layer / layer.std()
    for _ in range(12):
        top, left = (int(rng.integers(0, size - 40)) for size in found.shape)
        found[top : top + 30, left : left + 40] += rng.normal(0, 35)
    return np.asarray(found.clip(12, 243))


WALL = drawn()


def seen(n: float, right: float = 0.0) -> np.ndarray:
    """Frame n of the wall, moved to the right."""
    to = np.array([[1, 0, 30 + PAN * n - right], [0, 1, 40]], np.float32)
    return np.asarray(
        cv2.warpAffine(WALL, to, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    )


def mixed(share: float, way: int) -> Fault:
    def fault(n: int, clip: Clip) -> np.ndarray:
        other = clip[min(max(n + way, 0), FRAMES - 1)]
        return np.asarray((1 - share) * clip[n] + share * other)

    return fault


def samples(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture.round().clip(0, 255).astype(np.uint8))


FAULTS: dict[str, tuple[list[str], Fault]] = {
    "none": ([], lambda n, clip: clip[n]),
    "a blur": ([], lambda n, clip: np.asarray(cv2.GaussianBlur(clip[n], (0, 0), 0.6))),
    "a fifth of the frame before": (["ghosting"], mixed(0.2, -1)),
    "a third of the frame before": (["ghosting"], mixed(0.35, -1)),
    "a third of the next frame": (["ghosting"], mixed(0.35, 1)),
    "moved with the pan": (["shift"], lambda n, clip: seen(n, 1.0)),
    "moved against it": (["shift"], lambda n, clip: seen(n, -1.0)),
    "moved by two pixels": (["shift"], lambda n, clip: seen(n, 2.0)),
    "two frames late": (["frames"], lambda n, clip: clip[max(n - 2, 0)]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_is_called_by_its_name(name: str) -> None:
    expected, fault = FAULTS[name]
    clip = [seen(n) for n in range(FRAMES)]
    rng = np.random.default_rng(4)
    inspector = Inspector(INFO, FMT)
    with torch.inference_mode():
        for n, clean in enumerate(clip):
            noisy = samples(clean + rng.normal(0, 6, clean.shape))
            source = SourceFrame(n, n, Fraction(1, 25), 1, (noisy,), None)
            inspector.push(source, (samples(fault(n, clip)),))
    found = inspector.finish(cuts=())
    assert [v.gate.name for v in found.failed] == expected, [v.text() for v in found.verdicts]
