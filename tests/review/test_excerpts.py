"""What is shown is what is written: the same bits, whatever was looked at before."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tests.engine.test_run import Quiet, planes
from tests.helpers.clips import Clip, write
from vdenoise.chain.presets import load
from vdenoise.chain.request import ChainRequest
from vdenoise.chain.resolve import Layer
from vdenoise.engine.tiles import Area
from vdenoise.picture.noise import NoiseProfile
from vdenoise.review import survey as surveying
from vdenoise.review.decoded import Decoded
from vdenoise.review.excerpts import Excerpts, excerpt_plan
from vdenoise.review.survey import Survey, survey
from vdenoise.workflows.denoise_clip import denoise_clip
from vdenoise.workflows.reading import Reading
from vdenoise.workflows.request import ClipRequest, Knowledge

SIZE, FRAMES = (96, 64), 20


class Listener(Quiet):
    def note(self, text: str) -> None:
        pass


def asked(source: Path, target: Path, **values: str) -> ClipRequest:
    layer = Layer("test", {key.replace("__", "."): value for key, value in values.items()})
    chain = ChainRequest(load("auto"), (layer,), "fast")
    return ClipRequest(Reading(source), chain, target, codec="ffv1", device="cpu", seed=3)


def looked_at(request: ClipRequest, known: Knowledge, *wanted: int) -> Excerpts:
    info = request.reading.probe()
    decoded = Decoded(request.reading, info)
    found = survey(decoded, known, (32, 32), Quiet(), wanted=wanted)
    return Excerpts(decoded, found)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = Clip("in.mkv", codec="ffv1", size=SIZE, frames=FRAMES)
    return write(clip, tmp_path_factory.mktemp("excerpts"))


CHAINS = {
    "auto": {},
    "all": {"grain.method": "synth", "sharpen.strength": "1", "output.luma": "60"},
    "net": {"net.model": "S", "temporal.radius": "1"},
}


@pytest.mark.parametrize("name", CHAINS)
def test_what_is_shown_is_what_a_run_writes(source: Path, tmp_path: Path, name: str) -> None:
    request = asked(source, tmp_path / "out.mkv", **CHAINS[name])
    denoise_clip(request, Listener(), command=())
    written = planes(request.output)
    excerpts = looked_at(request, request.known)
    survey = excerpts.survey
    plan = excerpt_plan(request, excerpts.decoded.info, survey.chain(request.chain))
    shown = {look.index: look for look in excerpts.looks(plan, (0, 9, 10, 19), stages=True)}
    assert list(shown) == [0, 9, 10, 19] and survey.whole
    for index, look in shown.items():
        assert all(map(torch.equal, look.planes, written[index]))
        assert look.stages[-1][0] == plan.steps[-1].stage.name
        assert all(map(torch.equal, look.stages[-1][1], look.planes))
    area = Area(20, 45, 30, 71)
    for look in excerpts.looks(plan, (9,), only=area):
        whole = shown[9].planes
        assert torch.equal(area.of(look.planes[0]), area.of(whole[0]))
        coarse = Area(10, 22, 15, 35)
        assert all(
            torch.equal(coarse.of(a), coarse.of(b))
            for a, b in zip(look.planes[1:], whole[1:], strict=True)
        )


def test_a_region_costs_less_and_is_the_same(source: Path, tmp_path: Path) -> None:
    """Only what the region needs is computed by stages that work on tiles."""
    request = asked(source, tmp_path / "out.mkv", temporal__method="none")
    excerpts = looked_at(request, replace(request.known, sigma=(12.0,)))
    plan = excerpt_plan(request, excerpts.decoded.info, request.chain.chain())
    (whole,) = excerpts.looks(plan, (4,))
    (part,) = excerpts.looks(plan, (4,), only=Area(0, 8, 0, 8))
    assert torch.equal(part.planes[0][:8, :8], whole.planes[0][:8, :8])
    assert torch.equal(part.planes[0][-16:, -16:], whole.source.planes[0][-16:, -16:])
    assert not torch.equal(whole.planes[0][-16:, -16:], whole.source.planes[0][-16:, -16:])


def test_of_a_long_clip_a_few_stretches_are_read(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with the noise given, what is shown still is what a run writes."""
    for name, value in (("WHOLE_PIXELS", 0), ("STRETCHES", 3), ("LENGTH", 4)):
        monkeypatch.setattr(surveying, name, value)
    request = asked(source, tmp_path / "out.mkv")
    excerpts = looked_at(request, request.known)
    found = excerpts.survey
    assert not found.whole and excerpts.decoded.read <= FRAMES
    shots = found.profile.shots
    assert len(shots) >= 2 and (shots[0].first, shots[-1].last) == (0, FRAMES - 1)
    assert all(a.last + 1 == b.first for a, b in pairwise(shots))
    assert found.profile.at(10).y.codes > 3
    request = replace(request, known=Knowledge(sigma=(12.0,)))
    denoise_clip(request, Listener(), command=())
    excerpts = looked_at(request, request.known, 10)
    plan = excerpt_plan(request, excerpts.decoded.info, request.chain.chain())
    (look,) = excerpts.looks(plan, (10,))
    assert all(map(torch.equal, look.planes, planes(request.output)[10]))


def test_far_into_a_long_clip_the_noise_is_that_of_the_place(source: Path, tmp_path: Path) -> None:
    """Not that of the clip's first frames, though no cut between them and the place is known."""
    request = asked(source, tmp_path / "out.mkv")
    decoded = Decoded(request.reading, request.reading.probe())
    calm, rough = (NoiseProfile.white(sigma, sigma, sigma).shots[0] for sigma in (0.002, 0.08))
    calm = calm.model_copy(update={"last": FRAMES // 2 - 1})
    rough = rough.model_copy(update={"first": FRAMES // 2})
    both, alone = NoiseProfile(shots=(calm, rough)), NoiseProfile.white(0.08, 0.08, 0.08)
    shown = []
    for profile in (both, alone):
        excerpts = Excerpts(decoded, Survey(profile, None, (), whole=False))
        plan = excerpt_plan(request, decoded.info, request.chain.chain())
        (look,) = excerpts.looks(plan, (FRAMES - 1,))
        shown.append(look.planes)
    assert all(map(torch.equal, *shown))
    assert not torch.equal(shown[0][0], look.source.planes[0])


def test_frames_are_decoded_once_while_there_is_room(source: Path) -> None:
    reading = Reading(source)
    info = reading.probe()
    decoded = Decoded(reading, info)
    numbers = [frame.index for frame in decoded.frames(3, 8)]
    assert numbers == [3, 4, 5, 6, 7, 8] and decoded.read == 6
    assert [frame.index for frame in decoded.frames(2, 9)] == list(range(2, 10))
    assert decoded.read == 8
    small = Decoded(reading, info, room=1)
    assert [f.index for f in small.frames(0, 3)] == [0, 1, 2, 3]
    assert [f.index for f in small.frames(0, 3)] == [0, 1, 2, 3] and small.read == 8


def test_what_was_given_is_not_looked_for(source: Path) -> None:
    decoded = Decoded(Reading(source), Reading(source).probe())
    known = Knowledge(sigma=(5.0,), cuts="off")
    found: Survey = survey(decoded, known, (32, 32), Quiet(), wanted=(7,), spots=False)
    assert decoded.read == 0
    assert found.whole and found.cuts == () and [s.frame for s in found.spots] == [7]
