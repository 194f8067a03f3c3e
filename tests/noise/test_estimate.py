import math

import pytest
import torch
from torch.nn import functional

from vdenoise.degrade import synth
from vdenoise.noise.bands import BANDS
from vdenoise.noise.estimate import Analysis, Analyzer, measure_region
from vdenoise.noise.pairs import _without_drift
from vdenoise.noise.shots import cadence
from vdenoise.picture.color import KB, KG, KR
from vdenoise.picture.noise import NoiseProfile

WIDTH, HEIGHT = 192, 128


def clean(frames: int = 8, *, seed: int = 0, pan: tuple[float, float] = (1.3, 0.6)) -> torch.Tensor:
    """Textured scene, panned below a pixel: (T, 3, H, W) R'G'B' with soft and busy regions."""
    rng = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(HEIGHT) * 1.0, torch.arange(WIDTH) * 1.0, indexing="ij")
    waves = torch.rand(24, 4, generator=rng)
    pictures = []
    for t in range(frames):
        u, v = x + pan[0] * t, y + pan[1] * t
        luma = 0.5 + 0.2 * torch.sin(u / 40 + seed) * torch.sin(v / 33)
        busy = torch.sigmoid((torch.sin(u / 37) + torch.sin(v / 29)) * 6 - 4)
        for a, b, c, d in waves.tolist():
            luma += (
                0.03 * busy * torch.sin(u * (0.1 + a) + v * (b - 0.5) * 2 + 6.28 * c) * (d + 0.5)
            )
        pictures.append(torch.stack([luma, 0.9 * luma + 0.03, 0.8 * luma + 0.05]))
    return torch.stack(pictures).clamp(0.02, 0.98)


def working(rgb: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """As an 8-bit 4:2:0 file holds it: luma (1, H, W), chroma (2, H/2, W/2) in working units."""
    luma = torch.einsum("c,tchw->thw", torch.tensor((KR, KG, KB)), rgb.clamp(0, 1))[:, None]
    chroma = torch.cat([(rgb[:, 2:] - luma) / 1.8556, (rgb[:, :1] - luma) / 1.5748], 1)
    chroma = functional.avg_pool2d(chroma, 2)
    luma, chroma = (luma * 219).round() / 219, (chroma * 224).round() / 224
    return list(zip(luma, chroma, strict=True))


def analyze(frames: list[tuple[torch.Tensor, torch.Tensor]], **options) -> Analysis:
    analyzer = Analyzer(**options)
    for i, (luma, chroma) in enumerate(frames):
        analyzer.push(i, luma, chroma)
    return analyzer.finish()


def truth(noisy, exact) -> list[float]:
    """RMS difference of each plane, full-scale units."""
    luma = torch.stack([a[0] - b[0] for a, b in zip(noisy, exact, strict=True)])
    chroma = torch.stack([a[1] - b[1] for a, b in zip(noisy, exact, strict=True)])
    return [x.square().mean().sqrt().item() for x in (luma, chroma[:, 0], chroma[:, 1])]


@pytest.mark.parametrize("sigma", [3, 10, 40])
def test_gaussian_noise_is_read_within_a_tenth_on_every_plane(sigma):
    rgb = clean()
    noisy, exact = working(synth.gaussian(rgb, sigma / 255, seed=1)), working(rgb)
    shot = analyze(noisy).profile.shots[0]
    for plane, true in zip(shot.planes, truth(noisy, exact), strict=True):
        assert plane.mean_sigma == pytest.approx(true, rel=0.1)
        assert torch.tensor(plane.spectrum).mean() == pytest.approx(1, abs=1e-3)
    coarse = torch.tensor(shot.y.spectrum)[:4, :4].mean()
    assert coarse == pytest.approx(1, abs=0.3)
    assert shot.confidence > 0.9
    assert shot.impulse_rate < 1e-3


def test_sensor_noise_is_read_level_by_level():
    rgb = clean()
    noisy, exact = working(synth.sensor(rgb, 2e-3, 1e-4, seed=1)), working(rgb)
    shot = analyze(noisy).profile.shots[0]
    for plane, true in zip(shot.planes, truth(noisy, exact), strict=True):
        assert plane.mean_sigma == pytest.approx(true, rel=0.12)
    luma = torch.stack([a[0] for a in exact])
    error = torch.stack([a[0] for a in noisy]) - luma
    for level in (5, 8, 10):
        here = (luma * 16).round() == level
        true = error[here].square().mean().sqrt().item()
        assert shot.y.sigma[level] == pytest.approx(true, rel=0.15)


def test_film_grain_is_read_with_its_spectrum():
    rgb = clean()
    noisy, exact = working(synth.film_grain(rgb, 0.05, size=1.2, seed=1)), working(rgb)
    shot = analyze(noisy).profile.shots[0]
    assert shot.y.mean_sigma == pytest.approx(truth(noisy, exact)[0], rel=0.15)
    spectrum = torch.tensor(shot.y.spectrum)
    frequency = math.pi / 16 * 4
    expected = math.exp(-(1.2**2) * frequency**2)  # of a Gaussian blur, at coefficient 4
    measured = (spectrum[4, 0] + spectrum[0, 4]) / (spectrum[1, 0] + spectrum[0, 1])
    assert measured == pytest.approx(expected, rel=0.35)
    assert spectrum[10:, 10:].max() < 0.05 * spectrum[:3, :3].mean()


@pytest.mark.parametrize("pan", [(0.0, 0.0), (1.3, 0.6)])
def test_clean_clip_reads_as_clean(pan):
    shot = analyze(working(clean(pan=pan))).profile.shots[0]
    assert all(plane.codes < 0.7 for plane in shot.planes)


def test_repeated_frames_are_found_and_left_out():
    noisy = working(synth.gaussian(clean(), 8 / 255, seed=1))
    twice = [noisy[i // 2] for i in range(16)]
    analysis = analyze(twice)
    assert analysis.repeats == tuple(range(1, 16, 2))
    shot = analysis.profile.shots[0]
    assert shot.repeat_share == pytest.approx(8 / 15)
    once = analyze(noisy).profile.shots[0]
    assert shot.y.mean_sigma == pytest.approx(once.y.mean_sigma, rel=0.1)


def test_noise_that_stands_still_is_found_where_the_picture_is_flat():
    still = torch.full((8, 3, HEIGHT, WIDTH), 0.5)
    rng = torch.Generator().manual_seed(3)
    frozen = 0.03 * torch.randn(1, 3, HEIGHT, WIDTH, generator=rng)
    frames = working(synth.gaussian(still + frozen, 0.015, seed=1))
    shot = analyze(frames).profile.shots[0]
    assert shot.temporal_correlation == pytest.approx(0.8, abs=0.08)
    assert shot.y.mean_sigma == pytest.approx(truth(frames, working(still))[0], rel=0.1)
    assert shot.confidence < 1
    assert "stands still" in shot.reasons[0]


def test_fresh_noise_on_a_still_camera_is_not_called_standing():
    frames = working(synth.gaussian(clean(pan=(0, 0)), 8 / 255, seed=1))
    assert analyze(frames).profile.shots[0].temporal_correlation == 0


def test_impulses_are_counted_and_do_not_count_as_noise():
    rgb = clean()
    base = synth.gaussian(rgb, 5 / 255, seed=1)
    hit = working(synth.salt_and_pepper(base, 0.01, seed=2))
    shot = analyze(hit).profile.shots[0]
    assert shot.impulse_rate == pytest.approx(0.01, rel=0.4)
    assert shot.y.mean_sigma == pytest.approx(truth(working(base), working(rgb))[0], rel=0.15)


def test_each_shot_has_its_own_noise():
    quiet = synth.gaussian(clean(), 3 / 255, seed=1)
    loud = synth.gaussian(clean(seed=5), 20 / 255, seed=1, first=8)
    frames = working(torch.cat([quiet, loud]))
    analysis = analyze(frames)
    assert analysis.cuts == (8,)
    first, second = analysis.profile.shots
    assert (first.first, first.last, second.first, second.last) == (0, 7, 8, 15)
    assert second.y.mean_sigma / first.y.mean_sigma == pytest.approx(20 / 3, rel=0.2)
    assert analyze(frames, cuts=()).cuts == ()
    assert analyze(frames, cuts=(4, 8, 99)).cuts == (4, 8)


def test_shot_of_one_frame_takes_its_noise_from_a_neighbor_or_from_itself():
    noisy = working(synth.gaussian(clean(9), 10 / 255, seed=1))
    shots = analyze(noisy, cuts=(8,)).profile.shots
    assert shots[1].y.mean_sigma == pytest.approx(shots[0].y.mean_sigma, rel=0.4)
    assert shots[1].confidence < shots[0].confidence
    assert shots[1].reasons


def test_a_single_still_is_measured_with_less_confidence():
    rgb = clean(1)
    noisy = working(synth.gaussian(rgb, 12 / 255, seed=1))
    shot = analyze(noisy).profile.shots[0]
    assert shot.y.mean_sigma == pytest.approx(truth(noisy, working(rgb))[0], rel=0.3)
    assert shot.confidence < 0.8
    assert "single frames" in " ".join(shot.reasons)


def test_gray_clip_has_one_plane():
    analyzer = Analyzer()
    for i, (luma, _) in enumerate(working(synth.gaussian(clean(), 10 / 255, seed=1))):
        analyzer.push(i, luma)
    shot = analyzer.finish().profile.shots[0]
    assert len(shot.planes) == 1
    assert shot.y.codes == pytest.approx(7.5, rel=0.1)


@pytest.mark.parametrize("size", [(1, 1), (9, 15), (16, 16), (33, 47)])
def test_tiny_and_odd_pictures_give_a_valid_profile(size):
    rng = torch.Generator().manual_seed(0)
    height, width = size
    analyzer = Analyzer()
    for i in range(5):
        luma = 0.5 + 0.02 * torch.randn(1, height, width, generator=rng)
        chroma = 0.02 * torch.randn(2, -(-height // 2), -(-width // 2), generator=rng)
        analyzer.push(i, luma, chroma)
    profile = analyzer.finish().profile
    assert NoiseProfile.model_validate_json(profile.model_dump_json()) == profile
    shot = profile.shots[0]
    assert all(torch.tensor(p.spectrum).isfinite().all() for p in shot.planes)
    if min(size) < 16:
        assert shot.confidence == 0
    else:
        assert shot.y.mean_sigma == pytest.approx(0.02, rel=0.35)


def test_black_and_constant_clips_have_no_noise():
    frames = [(torch.zeros(1, 64, 96), torch.zeros(2, 32, 48))] * 6
    shot = analyze(frames).profile.shots[0]
    assert all(plane.mean_sigma < 1e-5 for plane in shot.planes)


def test_a_region_is_measured_alone():
    rgb = torch.full((3, 3, 128, 192), 0.5)
    rgb[..., 96:] = torch.rand(3, 3, 128, 96, generator=torch.Generator().manual_seed(1))
    frames = working(synth.gaussian(rgb, 10 / 255, seed=1))
    true = truth(
        [(a[:, :, :96], c[:, :, :48]) for a, c in frames],
        [(a[:, :, :96], c[:, :, :48]) for a, c in working(rgb)],
    )
    for count in (1, 3):
        profile = measure_region(frames[:count], (8, 8, 80, 112))
        shot = profile.at(10_000)
        for plane, expected in zip(shot.planes, true, strict=True):
            assert plane.mean_sigma == pytest.approx(expected, rel=0.15)


def test_an_absolute_first_frame_does_not_change_the_reading():
    frames = working(synth.gaussian(clean(), 10 / 255, seed=1))
    analyzer = Analyzer()
    for i, (luma, chroma) in enumerate(frames, 100):
        analyzer.push(i, luma, chroma)
    shot = analyzer.finish().profile.shots[0]
    base = analyze(frames).profile.shots[0]
    assert (shot.first, shot.last) == (100, 107)
    assert shot.planes == base.planes


def test_the_profile_does_not_depend_on_the_number_of_threads():
    frames = working(synth.gaussian(clean(4), 10 / 255, seed=1))
    before = torch.get_num_threads()
    profiles = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            profiles.append(analyze(frames).profile)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert profiles[0] == profiles[1]


def wobbling(frames: int = 8) -> torch.Tensor:
    """A picture full of texture that turns, grows and drifts by fractions of a pixel.

    Half of it is dark and textured all over, so that no flat block tells the noise there.
    """
    rng = torch.Generator().manual_seed(4)
    y, x = torch.meshgrid(
        torch.arange(HEIGHT) - HEIGHT / 2, torch.arange(WIDTH) - WIDTH / 2, indexing="ij"
    )
    waves = torch.rand(40, 4, generator=rng)
    pictures = []
    for t in range(frames):
        turn, zoom = 0.004 * t, 1 + 0.003 * t
        u = zoom * (x * math.cos(turn) - y * math.sin(turn)) + 0.9 * t
        v = zoom * (x * math.sin(turn) + y * math.cos(turn)) + 0.55 * t
        dark = torch.sigmoid((u + 20) / 4)
        strength = 0.2 + 0.8 * dark
        luma = 0.75 - 0.45 * dark
        for a, b, c, d in waves.tolist():
            luma += (
                0.035
                * strength
                * torch.sin(u * (0.2 + a) + v * (b - 0.5) * 2 + 6.28 * c)
                * (d + 0.3)
            )
        pictures.append(luma.expand(3, -1, -1))
    return torch.stack(pictures).clamp(0.02, 0.98)


@pytest.mark.parametrize("sigma", [3, 8])
def test_texture_that_motion_does_not_quite_hold_is_not_read_as_noise(sigma):
    rgb = wobbling()
    noisy, exact = working(synth.gaussian(rgb, sigma / 255, seed=1)), working(rgb)
    shot = analyze(noisy).profile.shots[0]
    true = truth(noisy, exact)[0]
    assert shot.y.mean_sigma == pytest.approx(true, rel=0.1)
    for level in (5, 12):  # as much noise where all is texture as where it is not
        assert shot.y.sigma[level] == pytest.approx(true, rel=0.12)


@pytest.mark.parametrize("sigma", [4, 10])
def test_texture_that_no_motion_follows_is_not_read_as_noise_or_as_noisier_places(sigma):
    """Foliage before a fast camera: its frames have nothing in common."""
    rng = torch.Generator().manual_seed(6)
    leaves = torch.randn(8, 1, HEIGHT, WIDTH, generator=rng)
    leaves = sum(
        functional.interpolate(functional.avg_pool2d(leaves, n), (HEIGHT, WIDTH), mode="bicubic")
        for n in (2, 4, 8, 16)
    )
    sky = torch.sigmoid((torch.arange(HEIGHT)[:, None] - 0.28 * HEIGHT) / 2)
    rgb = (0.45 + 0.12 * sky * leaves / leaves.std()).clamp(0.03, 0.97).expand(-1, 3, -1, -1)
    frames = working(synth.gaussian(rgb, sigma / 255, seed=1))
    shot = analyze(frames, cuts=()).profile.shots[0]
    assert shot.y.mean_sigma == pytest.approx(truth(frames, working(rgb))[0], rel=0.12)
    assert shot.places == ()


def test_texture_that_is_alike_everywhere_is_not_called_standing_noise():
    rng = torch.Generator().manual_seed(2)
    ground = torch.randn(1, 1, HEIGHT, WIDTH + 32, generator=rng)
    ground = functional.avg_pool2d(functional.avg_pool2d(ground, 3, 1, 1), 3, 1, 1)
    ground = 0.5 + 0.05 * ground / ground.std()
    rgb = torch.cat([ground[..., 2 * t : 2 * t + WIDTH] for t in range(8)]).expand(-1, 3, -1, -1)
    frames = working(synth.gaussian(rgb, 10 / 255, seed=1))
    shot = analyze(frames).profile.shots[0]
    assert shot.temporal_correlation == 0
    assert shot.y.mean_sigma == pytest.approx(truth(frames, working(rgb))[0], rel=0.1)


def test_steep_changes_of_noise_over_levels_are_followed():
    ramp = torch.linspace(0.04, 0.9, WIDTH).expand(3, HEIGHT, WIDTH)
    rgb = torch.stack([ramp] * 8)
    exact, noisy = working(rgb), working(synth.sensor(rgb, 1e-3, 1e-5, seed=1))
    shot = analyze(noisy).profile.shots[0]
    luma = torch.stack([a[0] for a in exact])
    error = torch.stack([a[0] for a in noisy]) - luma
    for level in range(2, 14):
        true = error[(luma * 16).round() == level].square().mean().sqrt().item()
        assert shot.y.sigma[level] == pytest.approx(true, rel=0.1)


def test_a_small_shift_is_taken_out_of_a_difference_and_none_of_the_noise():
    rng = torch.Generator().manual_seed(1)
    picture, across = torch.randn(2, 600, 16, 16, generator=rng)
    noise = 0.1 * torch.randn(600, 16, 16, generator=rng)
    energy = _without_drift(noise + 0.3 * picture - 0.2 * across, picture, across)
    assert energy.mean(0).tolist() == pytest.approx([0.01] * BANDS, rel=0.05)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ([2] * 12, "each picture is shown for 2 frames"),
        ([3] * 3 + [4] + [3] * 6, "each picture is shown for 3 frames"),
        ([2, 3] * 6, "2 and 3 frames in turn"),
        ([1, 1, 1, 2] * 6, "one frame in 5 is a repeat"),
        ([1] * 24, ""),
        ([1, 1, 4, 1, 2, 1, 1, 1, 3, 1, 1, 1, 1, 2], ""),
        ([2, 2], ""),
    ],
)
def test_the_cadence_of_repeats_is_said(shown, said):
    again, frame = [], 0
    for count in shown:
        again += range(frame + 1, frame + count)
        frame += count
    found = cadence(again, frame)
    assert said in found and bool(said) == bool(found)


def test_a_profile_of_another_clip_tells_nothing_of_places_and_moments():
    shot = NoiseProfile.white(0.02, 0.01, 0.01).shots[0]
    here = {"bars": (4, 0, 0, 0), "places": ((0.5, 1.0),), "still": "1x2:eNprAAAAgQCB"}
    there = NoiseProfile(
        source="a.mov",
        shots=(shot.model_copy(update={**here, "moments": ((0, 0.5), (9, 1.0))}),),
    ).elsewhere()
    assert there.shots[0] == shot
