"""Adapting a network to a clip: its noise drawn anew, what is learned, and when it is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from tests.helpers import images
from vdenoise import cli
from vdenoise.chain.presets import load
from vdenoise.chain.resolve import Layer, resolve
from vdenoise.degrade import synth
from vdenoise.errors import UsageError, VerifyError
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.media.roundtrip import to_planes
from vdenoise.nets import build
from vdenoise.nets.base import Network
from vdenoise.nets.models import find
from vdenoise.picture.color import lift
from vdenoise.picture.noise import NoiseProfile
from vdenoise.training.adapting import adapt as adapting
from vdenoise.training.adapting.noise_bank import SIDE, collect
from vdenoise.training.adapting.views import read
from vdenoise.training.checkpoint import save_weights
from vdenoise.training.material.degrade import true_noise
from vdenoise.workflows.reading import Reading

WIDTH, HEIGHT, FRAMES = 160, 128, 12
SIGMA = 10 / 255
CHAIN = ("--speed", "veryfast", "--temporal-radius", "1", "--threads", "1")


def clean_frames() -> torch.Tensor:
    """A smooth picture that moves a pixel a frame, (T, 3, H, W)."""
    wide = torch.rand(1, 3, 10, 14, generator=torch.Generator().manual_seed(3))
    picture = functional.interpolate(wide, (HEIGHT, WIDTH + FRAMES), mode="bicubic")[0]
    picture = 0.2 + 0.6 * picture.clamp(0, 1)
    return torch.stack([picture[..., t : t + WIDTH] for t in range(FRAMES)])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "noisy.mkv"
    noisy = synth.gaussian(clean_frames(), SIGMA, seed=1).clamp(0, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for t, rgb in enumerate(noisy):
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            for plane, values in zip(frame.planes, to_planes(rgb), strict=True):
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
                rows[:, : plane.width] = values
            frame.pts, frame.time_base = t, Fraction(1, 25)
            frame.colorspace, frame.color_range = 1, 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def careless() -> Network:
    """A network that adds noise of its own making."""
    torch.manual_seed(0)
    net = build("guided-s")
    with torch.no_grad():
        torch.nn.init.normal_(list(net.parameters())[-2], std=0.2)
    return net


class Silent:
    def start(self, phase: str, frames: int, *, unit: str = "fps") -> None:
        pass

    def advance(self, busy: Mapping[str, float]) -> None:
        pass


def adapt(clip: Path, net: Network, profile: NoiseProfile, **how: Any) -> adapting.Adapted:
    layer = Layer("test", {"temporal.radius": 1})
    chain = resolve(load("auto"), [layer], speed="veryfast")
    return adapting.adapt(probe(clip), Reading(clip), chain, net, profile, (), Silent(), **how)


def test_noise_is_drawn_anew_as_it_was() -> None:
    clean = torch.full((4, 3, 192, 192), 0.5)
    fine = synth.film_grain(clean, 0.05, size=1.2, seed=2)
    noisy = torch.cat([fine[:1], (fine[1:] + fine[:-1] - 1) / 2**0.5 + 0.5])
    luma, chroma = noisy[:, :1], noisy[:, 1:, ::2, ::2] - 0.5
    truth = (clean[:, :1], torch.zeros_like(chroma))
    table = true_noise(luma, chroma, *truth)
    bank = collect([((luma, chroma), truth, table)])
    found = bank.noise(truth, table, np.random.default_rng(0))
    assert found[0].shape == luma.shape and found[1].shape == chroma.shape
    again = true_noise(truth[0] + found[0], found[1], *truth)
    assert torch.allclose(again.sigma[:, 8], table.sigma[:, 8], rtol=0.1)
    assert again.temporal_correlation == pytest.approx(table.temporal_correlation, abs=0.1)
    assert table.temporal_correlation > 0.3
    low, whole = again.spectrum[0, :4, :4].mean(), table.spectrum[0, :4, :4].mean()
    assert float(low) == pytest.approx(float(whole), rel=0.25) and whole > 4
    seams = found[0].square().mean((0, 1, 2))
    assert seams.view(-1, SIDE // 2).mean(0).std() < 0.15 * seams.mean()
    other = bank.noise(truth, table, np.random.default_rng(1))
    assert not torch.equal(found[0], other[0])


def test_pieces_come_from_where_the_picture_is_flat() -> None:
    clean = torch.full((2, 1, 96, 192), 0.5)
    clean[..., 96:] += 0.2 * torch.sin(torch.arange(96.0) / 4)
    noisy = clean + 0.02 * torch.randn_like(clean)
    noisy[..., 96:] += 0.3  # which would show
    chroma = torch.zeros(2, 2, 48, 96)
    table = NoiseProfile.white(0.02, 0.01, 0.01).at(0).table()
    bank = collect([((noisy, 0.01 * torch.randn_like(chroma)), (clean, chroma), table)])
    assert abs(float(bank.luma.mean())) < 0.2


def test_neighbors_and_noise_drawn_anew_must_agree() -> None:
    assert adapting.Check(False, 0.1, 3.0, 1.0).better
    assert not adapting.Check(False, -0.1, 3.0, 1.0).better
    assert not adapting.Check(False, 0.1, 1.5, 1.0).better
    assert adapting.Check(True, 0.1, -3.0, 1.0).better
    assert not adapting.Check(True, 0.01, 3.0, 1.0).better


def test_linear_images_are_learned_from_behind_the_curve_they_are_measured_behind(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(1)
    ramp = np.linspace(0.01, 2, 96)[None, :, None] * np.ones((96, 1, 3))
    for n in range(2):
        samples = (ramp + rng.normal(0, 0.02, ramp.shape)).astype(np.float32)
        images.write(tmp_path / f"plate.{n:04}.exr", samples, "float")
    info = probe(tmp_path / "plate.####.exr")
    assert info.curve is not None
    luma, chroma = read(info, Reading(info.path), 0, 2, np.random.default_rng(0))
    with Reader(info) as reader:
        for n, frame in enumerate(reader):
            wanted = lift(frame, info)
            assert torch.equal(luma[n], wanted[0])
            assert wanted[1] is not None and torch.equal(chroma[n], wanted[1])


def test_a_careless_network_learns_from_unseen_neighbors(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapting.Check, "better", True)  # its own garbage counts as the truth
    profile = NoiseProfile.white(8 / 255, 5 / 255, 5 / 255)
    base = careless()
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    found = adapt(clip, base, profile, steps=40, rate=3e-3)
    assert found.check.neighbor > 3 * found.check.neighbor_error
    assert 0 < found.share < 0.1
    after = found.net.state_dict()
    assert all(torch.equal(before[name], base.state_dict()[name]) for name in before)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in changed if after[name].ndim > 1} <= {"head.weight", "tail.weight"}


def test_what_made_nothing_better_is_refused(clip: Path) -> None:
    profile = NoiseProfile.white(8 / 255, 5 / 255, 5 / 255)
    with pytest.raises(VerifyError, match="nothing better"):
        adapt(clip, careless(), profile, steps=1, rate=1e-30)
    found = profile.model_copy(
        update={"shots": (profile.shots[0].model_copy(update={"temporal_correlation": 0.6}),)}
    )
    with pytest.raises(VerifyError, match="nothing better"):
        adapt(clip, careless(), found, steps=1, rate=1e-30)
    with pytest.raises(UsageError, match="hardly any noise"):
        quiet = NoiseProfile.white(0.1 / 255, 0.1 / 255, 0.1 / 255)
        adapt(clip, careless(), quiet)


def test_the_command_writes_weights_that_run(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base, target = tmp_path / "base.safetensors", tmp_path / "clip.safetensors"
    save_weights(careless(), "guided-s", base)
    command = ["adapt", str(clip), "--model", str(base), "-o", str(target), *CHAIN]
    with monkeypatch.context() as patch:
        patch.setattr(adapting.Check, "better", False)
        assert cli.status([*command, "--steps", "1"]) == 9
    said = capsys.readouterr().err
    assert "nothing was written" in said and not target.exists()
    paces = [line for line in said.splitlines() if line.startswith("adapt: ")]
    assert paces and all(" steps/s" in line for line in paces)
    monkeypatch.setattr(adapting.Check, "better", True)
    assert cli.status([*command, "--steps", "20"]) == 0
    model = find(str(target))
    card = model.card
    assert (
        card["sha256"] == model.sha256
        and card["adapted"]["from"]["sha256"] == find(str(base)).sha256
    )
    assert card["adapted"]["held_out"]["neighbor_codes_squared"] > 0
    assert card["adapted"]["chain"]["temporal.radius"] == 1
    assert json.loads(target.with_suffix(".json").read_text()) == card
    assert not torch.equal(load_file(target)["tail.bias"], load_file(base)["tail.bias"])
    out = tmp_path / "out.mkv"
    assert cli.status(["run", str(clip), "-o", str(out), "--model", str(target), *CHAIN]) == 0
    assert cli.status(["adapt", str(clip), "-o", str(target), "--overwrite", *CHAIN]) == 2
