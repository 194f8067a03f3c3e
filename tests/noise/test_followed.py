"""Texture whose motion is lost is not taken for noise, and noise is not taken for such texture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.noise.bands import BANDS, band_members
from vdenoise.noise.blocks import positions
from vdenoise.noise.estimate import Analyzer
from vdenoise.noise.followed import (
    LOST,
    Dependence,
    dependence,
    read_better_alone,
)
from vdenoise.noise.pairs import PlaneBlocks
from vdenoise.picture.noise import PlaneNoise, ShotNoise

SIZE, FRAMES, CODE = (144, 192), 8, 1 / 255


def smooth(radius: int, rng: torch.Generator) -> Tensor:
    """(H, W) of noise of variance 1 without detail finer than ``radius`` pixels."""
    h, w = SIZE
    field = torch.randn(1, 1, h + 2 * radius, w + 2 * radius, generator=rng)
    for _ in range(2):
        field = functional.avg_pool2d(field, 2 * (radius // 2) + 1, 1, radius // 2)
    field = field[0, 0, radius : radius + h, radius : radius + w]
    return (field - field.mean()) / field.std()


def foliage(rng: torch.Generator) -> list[Tensor]:
    """Frames of texture on all scales, here more and there less, none of which is the next one's:
    what leaves are before a camera that pans too fast to be followed."""
    frames = []
    for _ in range(FRAMES):
        texture = sum(scale * smooth(scale, rng) for scale in (2, 4, 8, 16)) / 20
        strength = (0.7 * smooth(16, rng)).exp()
        frames.append((0.45 + 0.12 * texture * strength).clamp(0.02, 0.98))
    return frames


def grainy(pictures: list[Tensor], sigma: float, radius: int, rng: torch.Generator) -> list[Tensor]:
    """``pictures`` with noise of so many codes, white or as coarse as film's."""

    def grain() -> Tensor:
        return smooth(radius, rng) if radius else torch.randn(SIZE, generator=rng)

    return [p + sigma * CODE * grain() for p in pictures]


def read(frames: list[Tensor]) -> ShotNoise:
    analyzer = Analyzer(cuts=())
    for index, frame in enumerate(frames):
        analyzer.push(index, frame[None])
    return analyzer.finish().profile.shots[0]


def test_texture_that_nothing_follows_is_not_read_as_noise_and_that_is_said():
    rng = torch.Generator().manual_seed(7)
    frames = foliage(rng)
    shot = read(grainy(frames, 1, 0, rng))
    # Of 40 codes of texture, 12 are left in the flattest places of pairs of frames
    assert shot.y.codes < 0.12 * 255 * float(torch.stack(frames).std())
    assert shot.confidence <= 0.7
    assert any("nothing could follow" in reason for reason in shot.reasons)


def test_white_noise_in_the_finest_bands_does_not_hide_that_motion_was_lost():
    rng = torch.Generator().manual_seed(11)
    shot = read(grainy(foliage(rng), 10, 0, rng))
    assert shot.y.codes < 1.5 * 10
    assert any("nothing could follow" in reason for reason in shot.reasons)


@pytest.mark.parametrize(
    ("finest", "codes", "times", "together", "alone"),
    [
        (1.0, 10, 1.6, Dependence(0.5, 0.1, 0.6), "yes"),  # white, texture in a middle band
        (1.0, 10, 1.3, Dependence(0.5, 0.1, 0.6), "no"),
        (0.1, 10, 1.6, Dependence(0.5, 0.1, 0.6), "no"),  # coarse: one frame holds less
        (0.1, 10, 1.9, Dependence(0.6, 0.6, 0.8), "no"),
        (0.1, 10, 2.1, Dependence(0.6, 0.6, 0.8), "perhaps"),  # lost, or coarse noise
        (0.1, 10, 2.1, Dependence(0.6, 0.5, 0.8), "no"),  # lost only in the finest
        (0.1, 20, 2.1, Dependence(0.6, 0.6, 0.8), "yes"),  # so much noise would show as noise
    ],
)
def test_when_single_frames_tell_more_than_pairs(finest, codes, times, together, alone):
    coarse = torch.full((16, 16), 1.0)
    coarse[band_members()[-1]] = finest
    spectrum = tuple(tuple(row) for row in (coarse / coarse.mean()).tolist())
    pairs = PlaneNoise.white(codes * CODE).model_copy(update={"spectrum": spectrum})
    single = PlaneNoise.white(codes * CODE / times)
    assert read_better_alone(pairs, pairs, single, together) == alone


def test_of_nearly_white_noise_the_quietest_may_say_less_than_single_frames():
    together = Dependence(0.5, 0.1, 0.6)
    pairs, alone = PlaneNoise.white(16 * CODE), PlaneNoise.white(10 * CODE)
    assert read_better_alone(pairs, PlaneNoise.white(9 * CODE), alone, together) == "no"
    assert read_better_alone(pairs, PlaneNoise.white(12 * CODE), alone, together) == "yes"


@pytest.mark.parametrize("radius", [0, 2])
@pytest.mark.parametrize("textured", [False, True])
def test_noise_on_what_can_be_followed_is_read_from_pairs(radius, textured):
    rng = torch.Generator().manual_seed(8)
    picture = foliage(rng)[0] if textured else torch.full(SIZE, 0.4)
    shot = read(grainy([picture] * FRAMES, 8, radius, rng))
    assert shot.y.codes == pytest.approx(8, rel=0.1)
    assert shot.reasons == ()


def blocks(even: Tensor, odd: Tensor) -> PlaneBlocks:
    y, x = positions(*SIZE)
    none = torch.zeros(len(y))
    return PlaneBlocks(
        place=torch.stack([y + 8, x + 8], 1),
        level=none,
        even=even,
        odd=odd,
        impulses=none,
        chosen=torch.zeros(0).long(),
        even_spectrum=torch.zeros(0, 16, 16),
        odd_spectrum=torch.zeros(0, 16, 16),
    )


def depend(pairs: list[PlaneBlocks], noisy: Tensor | None = None) -> float:
    """Of the fine and the middle bands, which are alike here, the one that says less."""
    everywhere = torch.ones(len(positions(*SIZE)[0]), dtype=torch.bool)
    found = dependence(pairs, [everywhere if noisy is None else noisy] * len(pairs), SIZE)
    assert found.fine == pytest.approx(found.middle, abs=0.3)
    return found.fine


def test_dependence_is_none_of_independent_energies_and_whole_of_equal_ones():
    rng = torch.Generator().manual_seed(9)
    count = len(positions(*SIZE)[0])
    some, others = (torch.randn(8, count, BANDS, generator=rng).exp() for _ in range(2))
    independent = [blocks(a, b) for a, b in zip(some, others, strict=True)]
    assert abs(depend(independent)) < 0.3 < LOST
    assert depend([blocks(a, a) for a in some]) == pytest.approx(1)
    # Light that changes raises both, and is no texture
    brighter = [blocks(a * k, b * k) for k, (a, b) in enumerate(zip(some, others, strict=True), 1)]
    assert depend(brighter) == pytest.approx(depend(independent), abs=1e-6)
    assert depend([]) == 0


def test_what_is_clean_does_not_say_that_motion_was_lost():
    rng = torch.Generator().manual_seed(10)
    y, x = positions(*SIZE)
    noisy = x < SIZE[1] // 3
    even, odd = (torch.randn(8, len(y), BANDS, generator=rng).exp() for _ in range(2))
    odd = torch.where(noisy[:, None], odd, even)
    pairs = [blocks(a, b) for a, b in zip(even, odd, strict=True)]
    assert depend(pairs) > LOST
    assert abs(depend(pairs, noisy)) < 0.3
    assert depend(pairs, torch.zeros_like(noisy)) == 0
