"""Noise that differs over the picture and over the shot is read, carried and removed as it is."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from torch.nn import functional

from samples import situations
from tests.noise.test_estimate import analyze, clean, working
from vdenoise.chain.presets import load as preset
from vdenoise.chain.resolve import Layer, resolve
from vdenoise.evaluation.measure import run_chain
from vdenoise.evaluation.protocol import Given, decoded, encoded
from vdenoise.noise.bands import BANDS
from vdenoise.noise.cells import Cells, placed
from vdenoise.noise.estimate import Analyzer
from vdenoise.noise.fit import _fit
from vdenoise.noise.moments import knots
from vdenoise.noise.pairs import PlaneBlocks
from vdenoise.picture.noise import NoiseProfile, ShotNoise, factor_at

SIGMA, FRAMES, SEED = 12 / 255, 12, 5
QUICK = Layer("test", {"temporal.radius": "1", "net.model": "none", "spatial.effort": "1"})


@cache
def made(name: str) -> situations.Situation:
    return situations.make(name, clean(FRAMES), SIGMA, SEED)


@cache
def shot_of(name: str) -> ShotNoise:
    return analyze(working(made(name).noisy), cuts=()).profile.shots[0]


def read(shot: ShotNoise, index: int, like: torch.Tensor) -> torch.Tensor:
    """Sigma of luma at each pixel of a frame, codes."""
    sigma = shot.table().luma.sigma_at(like[None])[0, 0]
    present = shot.present(index, (like.shape[-2], like.shape[-1]))
    return 255 * sigma * (1 if present is None else present[0, 0])


def true_sigma(name: str, t: int) -> torch.Tensor:
    """The same as it was made: white in R', G' and B' comes to 0.75 of it in luma."""
    return 255 * 0.7513 * made(name).sigma[t, 0]


@pytest.mark.parametrize("name", ["plain", "letterbox", "flickering light"])
def test_noise_that_is_alike_everywhere_needs_no_map(name):
    assert shot_of(name).places == ()
    assert shot_of(name).moments == ()
    assert shot_of(name).present(3, (8, 8)) is None


def turning_texture(sigma: float, frames: int) -> list[torch.Tensor]:
    """(H, W) of a plane that turns and grows, even at its left: sharp texture never fits itself."""
    rng = torch.Generator().manual_seed(3)
    height, width = 216, 384
    fine = torch.randn(1, 1, 2 * height, 2 * width, generator=rng)
    for _ in range(2):
        fine = functional.avg_pool2d(functional.pad(fine, (1, 1, 1, 1), mode="reflect"), 3, 1)
    plane, strength = 0.2 * fine.sign(), torch.linspace(-1, 2, width).clamp(0, 1)
    result = []
    for t in range(frames):
        angle, zoom = torch.tensor(0.004 * (t - 4)), 0.5 * (1 + 0.003 * (t - 4))
        cos, sin = zoom * angle.cos(), zoom * angle.sin()
        rows = [
            torch.stack([cos, -sin * height / width, torch.tensor(0.003 * t)]),
            torch.stack([sin * width / height, cos, torch.tensor(0.002 * t)]),
        ]
        grid = functional.affine_grid(torch.stack(rows)[None], list(plane.shape), False)
        seen = functional.avg_pool2d(functional.grid_sample(plane, grid, align_corners=False), 2)
        noisy = 0.5 + seen[0, 0] * strength + sigma * torch.randn(height, width, generator=rng)
        result.append((noisy.clamp(0, 1) * 255).round() / 255)
    return result


def test_texture_that_never_fits_itself_is_no_place_with_more_noise():
    analyzer = Analyzer(cuts=())
    for t, luma in enumerate(turning_texture(3 / 255, 8)):
        analyzer.push(t, luma[None])
    shot = analyzer.finish().profile.shots[0]
    assert shot.places == ()
    assert shot.y.codes == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("name", ["split screen", "moving inset"])
def test_places_are_told_apart(name):
    shot = shot_of(name)
    assert len(shot.places) >= 4
    frame = working(made(name).clean)[5][0]
    found, true = read(shot, 5, frame), true_sigma(name, 5)
    columns = made(name).sigma[5, 0].std(0) == 0
    edge = int((made(name).sigma[5, 0, 0].diff() != 0).nonzero()[0])
    inside = columns & ((torch.arange(len(columns)) - edge).abs() > 24)
    left, right = inside.clone(), inside.clone()
    left[edge:], right[:edge] = False, False
    assert found[:, right].mean() == pytest.approx(float(true[:, right].mean()), rel=0.12)
    assert found[:, left].mean() == pytest.approx(float(true[:, left].mean()), rel=0.25, abs=1.0)


def test_four_cameras_in_one_picture_are_told_apart():
    shot = shot_of("four cameras")
    frame = working(made("four cameras").clean)[5][0]
    found, true = read(shot, 5, frame), true_sigma("four cameras", 5)
    height, width = found.shape
    for rows in (slice(4, height // 2 - 24), slice(height // 2 + 24, height - 4)):
        for columns in (slice(4, width // 2 - 24), slice(width // 2 + 24, width - 4)):
            expected = float(true[rows, columns].mean())
            assert found[rows, columns].mean() == pytest.approx(expected, rel=0.3, abs=0.8)


@pytest.mark.parametrize("seed", [5, 6])
def test_quiet_sides_say_nothing_of_how_strong_the_noise_of_the_middle_is(seed):
    """Where a picture moves fast: a third of it, between its own blurred enlargement."""
    frames = torch.stack([f.roll(11 * t, -1) for t, f in enumerate(clean(FRAMES))])
    situation = situations.make("blurred sides", frames, SIGMA, seed)
    noisy = working(situation.noisy)
    shot = analyze(noisy, cuts=()).profile.shots[0]
    found = read(shot, 5, working(situation.clean)[5][0])
    columns = found.shape[1]
    middle = found[:, columns * 5 // 12 : columns * 7 // 12]
    assert middle.mean() == pytest.approx(255 * 0.7513 * SIGMA, rel=0.15)
    assert found[:, : columns // 4].mean() < 0.8


@pytest.mark.parametrize(("coarser", "told"), [(0.0, True), (1.5, False)])
def test_places_are_noisier_only_where_all_bands_of_the_noise_are(coarser, told):
    """Foliage before a fast camera, under film grain: its blocks agree, and hold as much in fine
    bands as noise that is twice as strong, but more in coarse ones."""
    noisier = torch.zeros(6, 8, dtype=torch.float64)
    noisier[:, 5:] = 2 * math.log(2)
    bands = torch.zeros(48, BANDS - 1, dtype=torch.float64) + noisier.view(-1, 1)
    bands[noisier.view(-1) > 0, :2] += coarser
    flat = torch.zeros(48, dtype=torch.float64)
    cells = Cells(noisier.view(-1), flat, flat + 0.3, bands)
    found = placed(cells.relative(), cells, flat + 30, flat, (6, 8), 2 * math.log(10 / 255))
    assert (found is not None) == told
    if found is not None:
        assert float(found[:, :4].mean()) == pytest.approx(float(found[:, 6:].mean()) / 2, rel=0.05)


def test_a_vignette_of_noise_is_followed():
    shot = shot_of("vignette")
    frame = working(made("vignette").clean)[5][0]
    found, true = read(shot, 5, frame), true_sigma("vignette", 5)
    middle, corner = (slice(52, 76), slice(80, 112)), (slice(0, 16), slice(0, 16))
    assert found[corner].mean() == pytest.approx(float(true[corner].mean()), rel=0.25)
    assert found[corner].mean() > 2 * found[middle].mean()


@pytest.mark.parametrize("name", ["gain down", "gain up", "fade in 6"])
def test_moments_are_told_apart(name):
    shot = shot_of(name)
    for t in (2, 3, 8, 11):
        frame = working(made(name).clean)[t][0]
        true = float(true_sigma(name, t).mean())
        assert read(shot, t, frame).mean() == pytest.approx(true, rel=0.2)


@pytest.mark.parametrize("name", ["split screen", "gain down"])
def test_each_part_is_cleaned_as_its_own_noise_asks(name):
    situation = made(name)
    what = Given("420", tuple(encoded(situation.noisy, "420")), situation.clean)
    done = run_chain(what, lambda values: resolve(preset("auto"), [QUICK]), None, "cpu").rgb
    exact = decoded(encoded(situation.clean, "420"), "420")
    noisy = what.answer(what.planes)
    loud = (situation.sigma > 0.5 * situation.sigma.max()).expand_as(noisy)
    before, after = (
        [(x - exact)[part].square().mean().sqrt().item() for part in (loud, ~loud)]
        for x in (noisy, done)
    )
    assert after[0] < 0.65 * before[0]
    assert after[1] < 0.95 * before[1]  # quiet parts are better than they came, too


def test_segments_of_a_clip_with_uneven_noise_equal_the_single_pass():
    shot = shot_of("gain down")
    profile = NoiseProfile(shots=(shot,))
    again = NoiseProfile.model_validate_json(profile.model_dump_json())
    assert again == profile
    assert torch.equal(again.at(7).present(7, (16, 24)), shot.present(7, (16, 24)))


def test_a_profile_without_places_is_read_as_alike_everywhere():
    data = NoiseProfile.white(0.1).model_dump(mode="json")
    for shot in data["shots"]:
        for key in ("places", "moments", "bars", "measured_share", "left_out"):
            del shot[key]
    shot = NoiseProfile.model_validate(data).shots[0]
    assert shot.present(0, (8, 8)) is None
    assert shot.bars == (0, 0, 0, 0)


def test_knots_tell_what_lies_between_them():
    values = [1.0] * 5 + [1 - 0.1 * i for i in range(8)] + [0.2] * 5
    found = knots(values, 100)
    assert len(found) <= 6
    for i, value in enumerate(values):
        assert factor_at(found, 100 + i) == pytest.approx(value, rel=0.04)
    assert factor_at(found, 0) == 1.0
    assert factor_at(found, 999) == pytest.approx(0.2)


@pytest.mark.parametrize("reading", ["pairs", "quietest", "single"])
def test_where_all_that_was_seen_is_graphics_there_is_no_noise(reading):
    single = reading == "single"
    energy = torch.full((9, BANDS), 1e-5)
    square = torch.full((4, 16, 16), 1e-5)
    blocks = PlaneBlocks(
        place=torch.zeros(9, 2),
        level=torch.linspace(0, 1, 9),
        even=energy,
        odd=None if single else energy,
        impulses=torch.zeros(9),
        chosen=torch.arange(4),
        even_spectrum=square,
        odd_spectrum=None if single else square,
    )
    here = [torch.ones(9, dtype=torch.bool)]
    assert max(_fit([blocks], [torch.ones(9)], here, reading).noise.sigma) > 1e-3
    assert max(_fit([blocks], [torch.zeros(9)], here, reading).noise.sigma) == 0
