"""One rule of what ``auto`` is and one way to read a clip, whoever asks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch

from tests.helpers import images
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.chain.preset_files import shipped_folder
from vdenoise.chain.presets import load
from vdenoise.chain.request import ChainRequest
from vdenoise.chain.resolve import Layer
from vdenoise.cli.chain import chain_request
from vdenoise.cli.evaluate import _competitors
from vdenoise.errors import UsageError
from vdenoise.farm.chain_record import Request
from vdenoise.picture.color import lift
from vdenoise.training.adapting import adapt as adapting
from vdenoise.training.adapting.views import read
from vdenoise.workflows.measure import measure
from vdenoise.workflows.reading import Reading

IMPULSES = {"spatial.method": "median"}  # what a measurement may propose
NET = ("--model", "S", "--temporal-radius", "1", "--threads", "1")


class Silent:
    def start(self, phase: str, frames: int, *, unit: str = "fps") -> None:
        pass

    def advance(self, busy: dict[str, float]) -> None:
        pass


def context(name: str, *words: str) -> click.Context:
    return cli.cli.commands[name].make_context(name, list(words))


@pytest.mark.parametrize("preset", ["auto", "auto+light", "auto+strong", "high-iso", "anime"])
def test_run_farm_and_evaluation_follow_a_measurement_alike(preset: str) -> None:
    words = ("--preset", preset, "--speed", "fast")
    asked = chain_request(context("run", "in.mkv", "-o", "out.mkv", *words))
    run = asked.after(IMPULSES)
    assert ("spatial.median" in run.text) is preset.startswith("auto")
    assert Request.of(asked).asked().after(IMPULSES) == run
    (competitor,) = _competitors(context("evaluate", "clips", *words), ())
    assert competitor.chain(IMPULSES) == run
    assert asked.after({}) == asked.chain()


def test_a_file_that_is_called_auto_is_not_auto(tmp_path: Path) -> None:
    mine = tmp_path / "auto.toml"
    mine.write_bytes((shipped_folder() / "auto.toml").read_bytes())
    asked = ChainRequest(load(str(mine)))
    assert not asked.is_auto and not Request.of(asked).asked().is_auto
    assert ChainRequest(load("auto")).is_auto


def test_what_was_typed_wins_over_the_measurement() -> None:
    asked = ChainRequest(load("auto"), (Layer("command line", {"spatial.method": "nlm"}),), "fast")
    assert "spatial.nlm" in asked.after(IMPULSES).text


def test_another_model_takes_the_place_of_the_one_that_was_typed() -> None:
    """And changes nothing else: the preset still decides whether a measurement counts."""
    typed = context("evaluate", "clips", "--preset", "high-iso", "--model", "S")
    _, other = _competitors(typed, ("M",))
    assert other.chain(IMPULSES) == other.chain({})
    assert other.chain({}).parameters()["net.model"] == "M"
    without = context("evaluate", "clips", "--model", "none", "--speed", "fast")
    assert _competitors(without, ("S",))[1].chain({}).parameters()["net.model"] == "S"


def adapted_to(monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, Any]:
    """What ``adapt`` would learn from."""
    seen: dict[str, Any] = {}

    def stop(
        info: Any, reading: Any, asked: Any, net: Any, profile: Any, *_: Any, **__: Any
    ) -> Any:
        seen.update(info=info, reading=reading, asked=asked, profile=profile)
        raise UsageError("seen", "", number=1)

    monkeypatch.setattr(adapting, "adapt", stop)
    assert cli.status(["adapt", *words, *NET, "--progress", "none"]) == 2
    return seen


def test_adapt_reads_a_sequence_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = images.sequence(tmp_path, "png-8", frames=6)
    (tmp_path / "plate.1003.png").unlink()
    target = str(tmp_path / "clip.safetensors")
    assert cli.status(["adapt", str(pattern), "-o", target, *NET, "--progress", "none"]) == 3
    how = ("--on-missing", "hold", "--fps", "23.976")
    seen = adapted_to(monkeypatch, str(pattern), "-o", target, *how)
    assert seen["info"].frames == 6 and seen["info"].sequence.held
    assert seen["info"].rate == Fraction(24000, 1001)


def test_adapt_measures_and_learns_from_frames_without_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Clip("in.mkv", codec="ffv1", frames=4, size=(96, 96), field_order="tff")
    path = write(clip, tmp_path)
    words = (str(path), "-o", str(tmp_path / "clip.safetensors"))
    seen = adapted_to(monkeypatch, *words, "--interlaced", "deinterlace")
    reading = Reading(path, interlaced="deinterlace")
    info = reading.probe()
    assert seen["profile"] == measure(info, reading, Silent()).profile
    assert seen["profile"] != measure(info, Reading(path, interlaced="ignore"), Silent()).profile
    luma, _ = read(info, seen["reading"], 0, 4, np.random.default_rng(0))
    with reading.reader(info) as frames:
        assert torch.equal(luma, torch.stack([lift(frame, info)[0] for frame in frames]))


def test_adapt_takes_the_chain_that_the_run_will_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(Clip("in.mkv", codec="ffv1", frames=3), tmp_path)
    words = (str(path), "-o", str(tmp_path / "clip.safetensors"), "--sigma-scale", "1.5")
    monkeypatch.setattr("vdenoise.workflows.prepare.propose", impulses)
    assert adapted_to(monkeypatch, *words)["asked"].text.startswith(
        "temporal.mean > spatial.median"
    )
    seen = adapted_to(monkeypatch, *words, "--preset", "high-iso")
    assert "median" not in seen["asked"].text and seen["asked"].noise.sigma_scale == 1.5


def impulses(*_: object) -> Any:
    from vdenoise.workflows.propose import Proposal

    return Proposal("auto", ("impulses",), IMPULSES)


def test_a_region_is_measured_without_fields_too(tmp_path: Path) -> None:
    clip = Clip("in.mkv", codec="ffv1", frames=4, field_order="tff")
    path, found = write(clip, tmp_path), []
    for how in ("ignore", "deinterlace"):
        target = tmp_path / f"{how}.json"
        words = ["profile", "build", str(path), "-o", str(target), "--region", "0,0,48,48@0"]
        assert cli.status([*words, "--interlaced", how, "--progress", "none"]) == 0
        found.append(target.read_text())
    assert found[0] != found[1]
