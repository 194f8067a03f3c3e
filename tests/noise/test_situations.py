"""Noise is read and removed in footage as it comes: samples/situations.py, each with its truth."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from samples import situations
from tests.noise.test_estimate import analyze, clean, working
from vdenoise.chain.presets import load as preset
from vdenoise.chain.resolve import Layer, resolve
from vdenoise.evaluation.measure import _info, run_chain
from vdenoise.evaluation.protocol import Given, decoded, encoded
from vdenoise.media.roundtrip import compress_planes
from vdenoise.noise.bars import NO_BARS, Bars, bars_of, without_bars
from vdenoise.noise.evidence import at_ends
from vdenoise.picture.areas import CELL, from_text, to_text
from vdenoise.picture.color import lift_planes
from vdenoise.picture.frame import PixelFormat
from vdenoise.workflows.propose import propose

FORMAT = PixelFormat("yuv420p", "yuv", 8, sub_w=1, sub_h=1)

SIGMA, FRAMES, SEED = 12 / 255, 14, 5


@cache
def made(name: str) -> situations.Situation:
    """Drawn frames in a situation, 192x128."""
    return situations.make(name, clean(FRAMES), SIGMA, SEED)


def given(name: str) -> Given:
    """As an 8-bit 4:2:0 file."""
    return Given("420", tuple(encoded(made(name).noisy, "420")), made(name).clean)


@cache
def measured(name: str):
    """What is read, and the sigma of luma that was there, in codes, where noise is."""
    situation = made(name)
    found = analyze(working(situation.noisy), cuts=())
    exact = working(situation.clean)
    off = torch.stack([a[0] - b[0] for a, b in zip(working(situation.noisy), exact, strict=True)])
    return found, 255 * off[situation.loud].square().mean().sqrt().item()


EVERYWHERE_ALIKE = (
    *("plain", "letterbox", "tinted bars", "soft bars", "ringing bars", "pillar box"),
    *("phone clip", "gray border", "lower third", "ticker and logo", "screen recording"),
    *("crushed blacks", "blown highlights", "still texture", "flickering light"),
)


@pytest.mark.parametrize("name", EVERYWHERE_ALIKE)
def test_noise_is_read_where_it_can_be_told(name):
    found, true = measured(name)
    assert found.profile.shots[0].y.codes == pytest.approx(true, rel=0.1)


@pytest.mark.parametrize("name", situations.SITUATIONS)
def test_noisy_footage_is_never_called_clean(name):
    found, _ = measured(name)
    reasons = propose(found.profile, _info(given(name))).reasons
    assert not any("clean" in reason for reason in reasons)


@pytest.mark.parametrize("count", [2, 3])
def test_pictures_that_are_held_are_found_and_measured_once(count):
    found, true = measured(f"held for {count}")
    assert found.repeats == tuple(i for i in range(FRAMES) if i % count)
    assert found.profile.shots[0].y.codes == pytest.approx(true, rel=0.1)
    assert found.profile.shots[0].temporal_correlation == 0


def test_a_pause_of_the_motion_is_no_repeat():
    moving = clean(FRAMES)
    paused = torch.cat([moving[:5], moving[4:5].expand(4, -1, -1, -1), moving[5:]])
    noisy = working(situations.make("plain", paused, SIGMA, SEED).noisy)
    assert analyze(noisy, cuts=()).repeats == ()


def test_it_is_said_what_the_measurement_could_use():
    found, _ = measured("phone clip")
    shot = found.profile.shots[0]
    assert shot.measured_share == pytest.approx(1 / 3, abs=0.03)
    assert shot.left_out == ("bars",)
    said = " ".join(propose(found.profile, _info(given("phone clip"))).reasons)
    assert f"measured in {100 * shot.measured_share:.0f} % of the picture (bars left out)" in said
    whole = " ".join(propose(measured("plain")[0].profile, _info(given("plain"))).reasons)
    assert "measured in" not in whole


def test_a_picture_that_cannot_tell_is_not_called_clean():
    frames = [(torch.full((1, 64, 96), 0.4), torch.zeros(2, 32, 48))] * 6
    profile = analyze(frames).profile
    reasons = " ".join(propose(profile, _info(given("plain"))).reasons)
    assert "too little of the picture can tell" in reasons
    assert "almost clean" not in reasons


BARS = EVERYWHERE_ALIKE[1:8]


def lines_of(situation: situations.Situation) -> Bars:
    """The bars that a situation was made with."""
    rows, columns = situation.bars.all(1).tolist(), situation.bars.all(0).tolist()

    def depth(lines: list[bool]) -> int:
        return lines.index(False) if not all(lines) else 0

    return Bars(depth(rows), depth(rows[::-1]), depth(columns), depth(columns[::-1]))


@pytest.mark.parametrize("name", situations.SITUATIONS)
def test_bars_are_found_and_nothing_else_is_called_one(name):
    bars = Bars(*measured(name)[0].profile.shots[0].bars)
    if name in BARS:
        assert bars == lines_of(made(name))
    height, width = made(name).bars.shape
    outside = made(name).loud.any(0)[0].clone()
    outside[bars.top : height - bars.bottom, bars.left : width - bars.right] = False
    assert not outside.any()


@pytest.mark.parametrize("name", ["letterbox", "soft bars", "gray border"])
def test_bars_stay_as_they_are_to_the_bit(name):
    asked = Layer("test", {"temporal.radius": "1", "net.model": "none", "spatial.effort": "1"})
    few = made(name)
    what = Given("420", given(name).planes[:4], few.clean[:4])
    done = run_chain(what, lambda values: resolve(preset("auto"), [asked]), None, "cpu")
    noisy = what.answer(what.planes)
    top, bottom, left, right = lines_of(made(name))
    kept = torch.ones(noisy.shape[-2:], dtype=torch.bool)
    # Samples of chroma that picture and bar share are the picture's, and colors lie between two.
    kept[max(top - 3, 0) : noisy.shape[-2] - max(bottom - 3, 0)] = False
    if left or right:
        kept[:, : left - 3] = True
        kept[:, noisy.shape[-1] - right + 3 :] = True
    assert torch.equal(done.rgb[..., kept], noisy[..., kept])
    loud, exact = few.loud[:4].expand_as(noisy), decoded(encoded(few.clean[:4], "420"), "420")
    before, after = ((x - exact)[loud].square().mean() for x in (noisy, done.rgb))
    assert after < 0.6 * before


@pytest.mark.parametrize("name", ["lower third", "screen recording", "still texture"])
def test_what_stands_still_without_noise_stays_and_noise_beside_it_goes(name):
    asked = Layer("test", {"temporal.radius": "1", "net.model": "none", "spatial.effort": "1"})
    few = made(name)
    what = Given("420", given(name).planes[:3], few.clean[:3])
    profile = measured(name)[0].profile
    done = run_chain(what, lambda values: resolve(preset("auto"), [asked]), profile, "cpu")
    noisy, exact = what.answer(what.planes), decoded(encoded(few.clean[:3], "420"), "420")
    quiet, loud = (x[:3].expand_as(noisy) for x in (few.quiet, few.loud))
    assert (done.rgb - noisy)[quiet].square().mean().sqrt() < 0.3 / 255
    before, after = ((x - exact)[loud].square().mean() for x in (noisy, done.rgb))
    assert after < 0.6 * before


@pytest.mark.parametrize("name", situations.SITUATIONS)
def test_nothing_noisy_is_taken_for_still_and_clean(name):
    still = measured(name)[0].profile.shots[0].still
    if still:
        cells = torch.from_numpy(from_text(still)).repeat_interleave(CELL, 0)
        loud = made(name).loud.any(0)[0]
        assert not (cells.repeat_interleave(CELL, 1)[: len(loud)] & loud).any()


@pytest.mark.parametrize("crf", [None, 18, 28, 36])
def test_noise_that_an_encoder_holds_still_is_noise(crf):
    """A tripod and a low bit rate: whole blocks are the same for seconds, noise and all."""
    resting = clean(1).expand(FRAMES, -1, -1, -1)
    noisy = encoded(situations.make("plain", resting, SIGMA, SEED).noisy, "420")
    planes = [tuple(p.numpy() for p in frame) for frame in noisy]
    if crf is not None:
        planes = compress_planes(planes, "x264", crf)
    seen = [
        lift_planes(tuple(map(torch.as_tensor, frame)), FORMAT, False, None) for frame in planes
    ]
    assert not analyze(seen, cuts=()).profile.shots[0].still


def test_an_area_is_text_and_comes_back():
    cells = np.random.default_rng(0).random((45, 81)) < 0.3
    assert np.array_equal(from_text(to_text(cells)), cells)
    assert to_text(np.zeros((4, 5), bool)) == ""
    whole = to_text(cells)
    for broken in (
        "4x5:",
        "0x5:eA==",
        whole[:-8],
        "45x81",
        "99999x2:AAAA",
        whole.replace("81", "82"),
    ):
        with pytest.raises(ValueError, match="it"):
            from_text(broken)


def test_an_area_of_a_picture_of_another_size_is_none_here():
    shot = measured("lower third")[0].profile.shots[0]
    assert shot.still and not shot.places
    assert shot.present(0, (128, 192)).min() == 0
    assert shot.present(0, (64, 96)).min() == 1


def test_bars_of_another_clip_are_no_bars_here():
    picture = torch.rand(1, 1, 64, 96, generator=torch.Generator().manual_seed(1))
    correction = torch.ones(1, 64, 96)
    without_bars(correction, picture, Bars(8, 8, 0, 0))
    assert correction.min() == 1
    picture[..., :6, :] = 0.1
    without_bars(correction, picture, Bars(8, 8, 0, 0))
    assert correction[:, :6].max() == 0
    assert correction[:, 6:].min() == 1


def test_a_frame_of_one_level_has_no_bars_and_a_noisy_edge_is_none():
    assert bars_of(torch.full((64, 96), 0.1)) is None
    rng = torch.Generator().manual_seed(2)
    dark = 0.05 + torch.rand(64, 96, generator=rng) * 0.4
    dark[:10] = 0.02 + 1.5 / 255 * torch.randn(10, 96, generator=rng)
    assert bars_of(dark) == NO_BARS


def test_levels_beyond_an_end_say_that_it_is_none():
    rng = torch.Generator().manual_seed(3)
    free = 0.02 * torch.randn(64, 96, generator=rng)
    assert at_ends(free).float().mean() < 0.01
    assert at_ends(free.clamp(min=0)).float().mean() > 0.45
    assert at_ends((1 + free).clamp(max=1)).float().mean() > 0.45
