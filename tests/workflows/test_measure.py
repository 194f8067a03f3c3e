from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.test_plan import CLIP
from vdenoise.errors import UsageError
from vdenoise.picture.noise import NoiseProfile, PlaneNoise, ShotNoise
from vdenoise.workflows import measure
from vdenoise.workflows.propose import overall, propose
from vdenoise.workflows.request import Knowledge


def profile(luma: float, chroma: float, **facts: float) -> NoiseProfile:
    planes = [PlaneNoise.white(codes / 255) for codes in (luma, chroma, chroma)]
    coarse = facts.pop("coarse", None)
    if coarse:
        spectrum = tuple(
            tuple(16.0 if max(x, y) < 4 else 0.0 for x in range(16)) for y in range(16)
        )
        planes[0] = planes[0].model_copy(update={"spectrum": spectrum})
    shot = ShotNoise(first=0, last=99, y=planes[0], cb=planes[1], cr=planes[2], **facts)
    return NoiseProfile(shots=(shot,))


@pytest.mark.parametrize(
    ("measured", "preset", "because"),
    [
        (profile(0.3, 0.2), "auto", "almost clean"),
        (profile(5, 4), "auto", "5.0 in luma"),
        (profile(0.4, 5), "chroma", "luma is clean"),
        (profile(15, 12), "high-iso", "strong"),
        (profile(5, 4, temporal_correlation=0.6), "compression", "repeats"),
        (profile(8, 3, coarse=1), "film-scan", "film grain"),
        (profile(3, 3, impulse_rate=0.02), "auto", "2.0 % of the pixels are impulses"),
    ],
)
def test_proposals_say_why(measured: NoiseProfile, preset: str, because: str) -> None:
    found = propose(measured, CLIP)
    assert found.preset == preset
    assert because in "; ".join(found.reasons)


def test_auto_takes_the_median_for_impulses_only() -> None:
    values = propose(profile(3, 3, impulse_rate=0.02), CLIP).values
    assert values == {"spatial.method": "median"}
    assert not propose(profile(3, 3), CLIP).values
    assert not propose(profile(20, 20, impulse_rate=0.02), CLIP).values
    # what lettering and lamps of real footage (data/val street) read as
    assert not propose(profile(3, 3, impulse_rate=0.002), CLIP).values


def test_noise_that_black_and_white_cut_off_gets_its_levels_back() -> None:
    found = propose(profile(37, 20), CLIP)
    assert found.preset == "high-iso" and found.values == {"levels.method": "unclip"}
    assert "cut it off" in found.reasons[-1]
    assert not propose(profile(20, 12), CLIP).values
    shot = profile(37, 20).shots[0]
    of_a_camera = tuple(sigma * (1.5 - level / 17) for level, sigma in enumerate(shot.y.sigma))
    y = shot.y.model_copy(update={"sigma": of_a_camera})
    camera = NoiseProfile(shots=(shot.model_copy(update={"y": y}),))
    assert not propose(camera, CLIP).values


def test_shots_count_by_their_length() -> None:
    one, other = profile(2, 2).shots[0], profile(10, 10).shots[0]
    shots = (one.model_copy(update={"last": 74}), other.model_copy(update={"first": 75}))
    found = overall(NoiseProfile(shots=shots), 100)
    assert found.luma_codes == pytest.approx(4)
    assert found.coarseness == pytest.approx(1 / 16)


def test_sigma_by_hand() -> None:
    found = measure.profile_from_sigma((5,), CLIP).shots[0]
    assert [round(plane.codes) for plane in found.planes] == [5, 5, 5]
    found = measure.profile_from_sigma((5, 3, 2), CLIP).shots[0]
    assert [round(plane.codes) for plane in found.planes] == [5, 3, 2]
    with pytest.raises(UsageError):
        measure.profile_from_sigma((5, 3), CLIP)


def test_a_profile_of_another_kind_of_clip_is_refused() -> None:
    measure.check_profile(profile(1, 1), CLIP)
    with pytest.raises(UsageError, match="1 planes"):
        measure.check_profile(NoiseProfile.white(0.01), CLIP)


def test_cuts_of_another_clip_are_refused() -> None:
    measure.check_cuts((5, 99), CLIP)
    with pytest.raises(UsageError, match="100"):
        measure.check_cuts((5, 100), replace(CLIP, path=Path("other.mkv")))


def test_places_and_moments_are_a_clips_own(tmp_path: Path) -> None:
    shot = profile(5, 3).shots[0].model_copy(update={"places": ((0.5, 1.0),)})
    for source, kept in (("/mnt/a/clip.mkv", True), ("/mnt/a/other.mkv", False)):
        file = tmp_path / "noise.json"
        NoiseProfile(source=source, shots=(shot,)).save(file)
        found = Knowledge(profile=file).noise(replace(CLIP, path=Path("/x/clip.mkv")))
        assert found is not None and bool(found.shots[0].places) == kept
