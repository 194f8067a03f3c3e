"""The gates on a picture with texture, faces, occlusion and a codec's noise: the clean scene is the
best result there can be, and must fire none; what is planted in it is found, and only that."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
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
DESK = 36, 43  # by lamplight: much of it is dark, and its noise went through a camera's curve
Planes = tuple[Tensor, ...]
Clip = Sequence[Planes]
Fault = Callable[[int, Clip], Planes]


Scene = tuple[ClipInfo, list[SourceFrame], Clip]


def scene_of(noisy: str, first: int, last: int) -> Scene:
    def frames(name: str) -> tuple[ClipInfo, list[SourceFrame]]:
        reading = Reading(SAMPLES / name, threads=1)
        info = reading.probe()
        with reading.reader(info, first, last) as reader:
            return info, list(reader)

    return *frames(noisy), [frame.planes for frame in frames("scene_clean.mp4")[1]]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return scene_of("scene_film.mp4", FIRST, LAST)


@pytest.fixture(scope="module")
def desk() -> Scene:
    return scene_of("scene_sensor.mp4", *DESK)


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


def in_a_corner(n: int, clip: Clip) -> Planes:
    now, before = (clip[k][0].float() for k in (n, max(n - 1, 0)))
    now[240:, :213] = 0.6 * now[240:, :213] + 0.4 * before[240:, :213]
    return rounded(now), *clip[n][1:]


def small(n: int, clip: Clip) -> Planes:
    def both_ways(plane: Tensor) -> Tensor:
        half = functional.avg_pool2d(plane.float()[None, None], 2)
        return rounded(functional.interpolate(half, plane.shape, mode="bicubic")[0, 0])

    y, cb, cr = clip[n]
    return both_ways(y), both_ways(cb), both_ways(cr)


def black(n: int, clip: Clip) -> Planes:
    y, cb, cr = clip[n]
    return (y * 0 + 16, cb * 0 + 128, cr * 0 + 128) if n == 4 else clip[n]


def half_a_pixel(n: int, clip: Clip) -> Planes:
    luma = clip[n][0].numpy().astype(np.float32)
    by = np.array([[1, 0, 0.5], [0, 1, 0]], np.float32)
    size = luma.shape[::-1]
    moved = cv2.warpAffine(luma, by, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return rounded(torch.from_numpy(np.asarray(moved))), *clip[n][1:]


def median(n: int, clip: Clip) -> Planes:
    return torch.from_numpy(np.asarray(cv2.medianBlur(clip[n][0].numpy(), 5))), *clip[n][1:]


def cut_off(n: int, clip: Clip) -> Planes:
    """A brick wall at two fifths of the band, which rings at edges."""
    spectrum = torch.fft.rfft2(clip[n][0].float())
    rows, columns = (torch.fft.fftfreq(size).abs() for size in clip[n][0].shape)
    keep = (rows[:, None] < 0.2) & (columns[None, : spectrum.shape[1]] < 0.2)
    return rounded(torch.fft.irfft2(spectrum * keep, s=clip[n][0].shape)), *clip[n][1:]


def turned_colors(n: int, clip: Clip) -> Planes:
    cb, cr = (plane.float() - 128 for plane in clip[n][1:])
    turn = math.radians(8)
    turned = cb * math.cos(turn) - cr * math.sin(turn), cb * math.sin(turn) + cr * math.cos(turn)
    return clip[n][0], *(rounded(128 + plane) for plane in turned)


def power(n: int, clip: Clip) -> Planes:
    light = ((clip[n][0].float() - 16) / 219).clamp(0, 1)
    return rounded(16 + 219 * light**0.95), *clip[n][1:]


def crushed(n: int, clip: Clip) -> Planes:
    y = clip[n][0]
    return torch.where(y < 40, torch.full_like(y, 16), y), *clip[n][1:]


FAULTS: dict[str, tuple[GateName | None, Fault]] = {
    "none": (None, lambda n, clip: clip[n]),
    "ghost trail": ("ghosting", trail),
    "blurred texture": ("structure", blurred),
    "pulsing level": ("flicker", pulsing),
    "two frames late": ("frames", lambda n, clip: clip[max(n - 2, 0)]),
    "a ghost in a corner": ("ghosting", in_a_corner),
    "blur that begins in the middle": (
        "structure",
        lambda n, clip: clip[n] if n < 4 else blurred(n, clip),
    ),
    "half the size, scaled up": ("structure", small),
    "two frames in each other's place": ("frames", lambda n, clip: clip[{3: 4, 4: 3}.get(n, n)]),
    "the same four frames again": ("frames", lambda n, clip: clip[n % 4]),
    "a black frame": ("frames", black),
    "Cb and Cr in each other's place": (
        "color",
        lambda n, clip: (clip[n][0], clip[n][2], clip[n][1]),
    ),
    "moved by a pixel to the right": (
        "shift",
        lambda n, clip: (torch.roll(clip[n][0], 1, -1), *clip[n][1:]),
    ),
    "chroma moved up by one of its samples": (
        "shift",
        lambda n, clip: (clip[n][0], *(torch.roll(plane, -1, -2) for plane in clip[n][1:])),
    ),
    "moved by half a pixel": ("shift", half_a_pixel),
    "a median of 5x5": ("structure", median),
    "fine bands cut off": ("structure", cut_off),
    "colors turned by 8 degrees": ("color", turned_colors),
    "another gamma": ("color", power),
    "crushed blacks": ("clipping", crushed),
    "one frame darker": (
        "flicker",
        lambda n, clip: (rounded(clip[n][0].float() - 1.5 * (n == 4)), *clip[n][1:]),
    ),
    "2 % brighter": ("color", lambda n, clip: (rounded(clip[n][0].float() * 1.02), *clip[n][1:])),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_perfect_result_fires_none_and_a_fault_its_own(
    name: str, scene: tuple[ClipInfo, list[SourceFrame], Clip]
) -> None:
    gate, fault = FAULTS[name]
    failed = judged(scene, fault)
    assert failed == ([] if gate is None else [gate])


def test_a_range_that_was_mistaken_shifts_levels(scene: Scene) -> None:
    """Nor is it only that: edges are steeper by a sixth, beside what moves too."""
    found = judged(
        scene, lambda n, clip: (rounded((clip[n][0].float() - 16) * 255 / 219), *clip[n][1:])
    )
    assert "color" in found and "structure" not in found


def judged(scene: Scene, fault: Fault) -> list[GateName]:
    """The gates that do not hold."""
    info, noisy, clean = scene
    inspector = Inspector(info, info.format)
    for n, source in enumerate(noisy):
        with torch.inference_mode():
            inspector.push(source, fault(n, clean))
    return [verdict.gate.name for verdict in inspector.finish(cuts=()).failed]


def brighter(codes: int, plane: int, darks: bool) -> Fault:
    def fault(n: int, clip: Clip) -> Planes:
        where = clip[n][0].int() < (80 if darks else 256)
        where = where if plane == 0 else where[::2, ::2]
        moved = rounded(clip[n][plane].float() + codes * where)
        return *clip[n][:plane], moved, *clip[n][plane + 1 :]

    return fault


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (lambda n, clip: clip[n], []),
        (brighter(1, 0, darks=True), ["color"]),
        (brighter(1, 0, darks=False), ["color"]),
        (brighter(-1, 0, darks=False), ["color"]),
        (brighter(1, 1, darks=False), ["color"]),
        (brighter(-1, 2, darks=False), ["color"]),
    ],
)
def test_what_a_curve_did_to_noise_in_the_darks_is_no_shift(
    desk: Scene, fault: Fault, expected: list[GateName]
) -> None:
    """There the noisy picture is two codes darker than the true one; a shift is found all the
    same, where the curve is not what explains it."""
    assert judged(desk, fault) == expected


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_faded_detail_is_read_as_faded_as_it_is(scene: Scene, share: float) -> None:
    """On all of the street, of which a codec's frozen noise hides most from the source's figure."""
    info, noisy, clean = scene
    inspector = Inspector(info, info.format)
    for source, planes in zip(noisy[:4], clean[:4], strict=True):
        luma = planes[0].float()[None, None]
        padded = functional.pad(luma, (4,) * 4, mode="replicate")
        faded = luma + share * (functional.avg_pool2d(padded, 9, 1) - luma)
        inspector.push(source, (rounded(faded[0, 0]), *planes[1:]))
    (found,) = (v for v in inspector.finish(cuts=()).verdicts if v.gate.name == "structure")
    assert found.amount == pytest.approx(100 * share + 2, abs=5)  # the worst of 380 areas
