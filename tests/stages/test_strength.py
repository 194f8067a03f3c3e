"""Dials, guards and what they do to a correction."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.test_run import chain, denoised, planes, planned, same
from tests.helpers.clips import Clip, write
from tests.helpers.pictures import SIGMA, SUBSAMPLING, block, finished, noisy, psnr, scene
from vdenoise.chain.presets import load
from vdenoise.chain.resolve import Layer, resolve
from vdenoise.engine.steps import stages_of
from vdenoise.engine.streams import Shots
from vdenoise.engine.tiles import apply_tiled
from vdenoise.errors import UsageError
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.luma_chroma import Picture
from vdenoise.settings.groups import SETTINGS, OutputSettings
from vdenoise.stages import stage_class
from vdenoise.stages.control.guards import DRIFT, GhostGuard, Tally
from vdenoise.stages.control.strength import Settle, _weighted_bands


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(Clip("in.mkv", codec="ffv1", frames=4), tmp_path)


def result(source: Path, **values: Any) -> list[Tensor]:
    """Luma, then chroma of all frames, in codes."""
    what = chain(**{f"output__{name}": value for name, value in values.items()})
    found = denoised(planned(source, source.with_name("out.mkv"), what), Shots(4))
    return [torch.stack([found[n][p] for n in range(4)]).float() for p in range(3)]


def moved(source: Path, **values: Any) -> list[Tensor]:
    before = [torch.stack([p[n] for p in planes(source)]).float() for n in range(3)]
    return [now - old for now, old in zip(result(source, **values), before, strict=True)]


def test_the_defaults_add_nothing_to_the_chain() -> None:
    plain = resolve(load("auto"))
    assert stages_of(plain) == plain.stages
    for name, dial in SETTINGS.items():
        if name.startswith("output.") and name not in ("output.limit", "output.mask_fit"):
            other = {"output.guards": "color", "output.bands": "100,100,100,0"}.get(name, "50")
            changed = resolve(load("auto"), [Layer("test", {name: other})])
            assert isinstance(stages_of(changed)[-1], Settle), name
            assert dial.check(name, dial.text(dial.default)) == dial.default


def test_blend_gives_back_a_share_of_the_noise(source: Path) -> None:
    full, half = moved(source), moved(source, blend=50)
    for a, b in zip(full, half, strict=True):
        assert (b - a / 2).abs().max() <= 1 and b.abs().sum() > 0  # each is rounded once
    assert all(float(plane.abs().max()) == 0 for plane in moved(source, blend=100))
    assert all(torch.equal(a, b) for a, b in zip(full, moved(source, blend=0), strict=True))


@pytest.mark.parametrize("format", ["yuv420p", "yuv422p10le", "gbrp10le", "gray"])
def test_no_sample_moves_by_more_than_the_limit(format: str, tmp_path: Path) -> None:
    source = write(Clip("in.mkv", codec="ffv1", format=format, frames=3), tmp_path)
    codes = 4 if "10" in format else 1
    free = planned(source, tmp_path / "o.mkv", chain())
    for limit, most in ((3, 3 * codes), (2.5, int(2.5 * codes))):
        made = planned(source, tmp_path / "o.mkv", chain(output__limit=limit))
        found, without = denoised(made, Shots(3)), denoised(free, Shots(3))
        for n, before in enumerate(planes(source)):
            for a, b, c in zip(before, found[n], without[n], strict=True):
                change, other = b.int() - a.int(), c.int() - a.int()
                assert int(change.abs().max()) == most < int(other.abs().max())
                assert torch.equal(change, other.clamp(-most, most))


@pytest.mark.parametrize("layout", ["gray", "420", "422"])
def test_dials_may_be_applied_in_tiles(layout: str) -> None:
    """To the bit, as far around as is said; masks and guards look at the whole picture."""
    dials = OutputSettings(luma=70, chroma=40, highlights=50, bands=(100, 80, 60, 40))
    stage, factors = Settle(output=dials), SUBSAMPLING[layout] or (1, 1)
    assert not stage.footprint.whole
    source = finished(*scene(1, 67, 91, layout))
    whole = stage.apply(source)
    tiled = apply_tiled(stage, source, 16 * max(factors), factors)
    for a, b in zip(tiled.signals, whole.signals, strict=True):
        assert a.pixels.equal(b.pixels) and a.residual.equal(b.residual)
    assert Settle(output=replace(dials, guards=("color",))).footprint.whole


def test_the_limit_of_zero_is_none(source: Path) -> None:
    assert all(
        torch.equal(a, b) for a, b in zip(moved(source), moved(source, limit=0), strict=True)
    )


def waves(height: int = 64, width: int = 256) -> dict[str, Tensor]:
    """Corrections of one frequency each, across: cycles a pixel in the middle of each band."""
    x = torch.arange(width, dtype=torch.float32).expand(height, width)
    frequencies = {"low": 1 / 64, "midlow": 1 / 14, "midhigh": 1 / 6, "high": 1 / 2.2}
    return {n: torch.sin(2 * math.pi * f * x)[None, None] for n, f in frequencies.items()}


def test_each_band_weighs_its_own_frequencies() -> None:
    names = ("low", "midlow", "midhigh", "high")
    for n, name in enumerate(names):
        percents = [100.0] * 4
        percents[n] = 0.0
        kept = {
            other: float(
                _weighted_bands(wave, tuple(percents)).square().mean() / wave.square().mean()
            )
            for other, wave in waves().items()
        }
        assert kept[name] < 0.35, (name, kept)
        assert min(kept, key=lambda other: kept[other]) == name
        assert all(kept[far] > 0.7 for far in names if abs(names.index(far) - n) > 1)
    wave = torch.rand(2, 2, 40, 50)
    assert _weighted_bands(wave, (100.0,) * 4) is wave
    assert torch.allclose(_weighted_bands(wave, (50.0,) * 4), wave / 2, atol=1e-6)


def test_bands_of_zero_take_nothing(source: Path) -> None:
    assert all(float(p.abs().max()) == 0 for p in moved(source, bands="0,0,0,0"))
    fine, full = moved(source, bands=[100, 100, 100, 0])[0], moved(source)[0]
    rough = (fine[..., 1:] - fine[..., :-1]).square().mean()
    assert rough < 0.5 * (full[..., 1:] - full[..., :-1]).square().mean()


def settled(stage: Settle, removed: float = 0.02) -> tuple[Tensor, Tensor]:
    """What a constant correction on a ramp of luma comes to, and what noise is left: (64,)."""
    ramp = torch.linspace(0, 1, 64)[None, None, None].repeat(1, 1, 8, 1)
    before = block(ramp, None)
    now = Signal(ramp + removed, torch.full_like(ramp, 0.2))
    done = stage.apply(replace(before, luma=now, kept_original=Picture(ramp)))
    return (done.luma.pixels - ramp)[0, 0, 4] / removed, done.luma.residual[0, 0, 4]


def test_shadows_and_highlights_work_in_their_own_parts() -> None:
    amount, residual = settled(Settle(output=OutputSettings(shadows=30)))
    assert torch.allclose(amount[:7], torch.tensor(0.3), atol=1e-3)
    assert torch.allclose(amount[27:], torch.tensor(1.0), atol=1e-3)
    assert bool((amount.diff() > -1e-3).all()) and torch.allclose(
        residual, 1 - 0.8 * amount, atol=1e-3
    )
    amount, _ = settled(Settle(output=OutputSettings(highlights=0)))
    assert torch.allclose(amount[:36], torch.tensor(1.0), atol=1e-3)
    assert torch.allclose(amount[54:], torch.tensor(0.0), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("output.blend", "101", "a number from 0 to 100"),
        ("output.limit", -1, "a number from 0 to 255"),
        ("output.bands", "1,2,3", "4 numbers from 0 to 100"),
        ("output.bands", [1, 2, 3, 400], "4 numbers from 0 to 100"),
        ("output.bands", 50, "4 numbers from 0 to 100"),
        ("output.shadows", "dark", "a number from 0 to 100"),
        ("output.highlights", math.nan, "a number from 0 to 100"),
        ("output.guards", "colour", "none, or some of color, structure, ghost"),
        ("output.guards", 1, "none, or some of color, structure, ghost"),
        ("output.mask_fit", "crop", "one of exact, scale"),
    ],
)
def test_wrong_dials_give_one_sentence(name: str, value: object, rule: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(load("auto"), [Layer("command line", {name: value})])
    assert caught.value.number == 17 and caught.value.what == f"{name} = {value}: want {rule}."


def test_the_color_guard_keeps_the_levels_of_flats() -> None:
    """Patches of several levels, each shifted by its own share of up to 2 codes."""
    steps = torch.tensor([0.1, 0.3, 0.52, 0.9]).repeat_interleave(64)
    luma = steps.expand(1, 1, 192, 256).contiguous()
    chroma = torch.zeros(1, 2, 96, 128)
    before = Picture(
        luma + 3 / 255 * torch.randn_like(luma),
        chroma + 2 / 255 * torch.randn(1, 2, 96, 128),
    )
    shift = (luma - 0.5) * 4 / 255
    changed = replace(
        block(luma, chroma),
        luma=Signal(luma + shift, torch.ones_like(luma)),
        chroma=Signal(chroma + 2 / 255, torch.ones_like(chroma[:, :1])),
        kept_original=before,
    )
    done = Settle(output=OutputSettings(guards=("color",))).apply(changed)
    for signal, truth in zip(done.signals, (luma, chroma), strict=True):
        for patch in range(4):
            width = truth.shape[-1] // 4
            part = (..., slice(8, -8), slice(patch * width + 4, (patch + 1) * width - 4))
            drift = float((signal.pixels[part] - truth[part]).mean().abs())
            assert drift < DRIFT + 0.25 / 255  # and what a frame's noise leaves unsure
    tally = Tally()
    tally.add(done.findings.map(lambda shown: shown[0]), 7)
    assert 1.5 < tally.guards()["drift"] < 2.2 and tally.guards()["drift_frame"] == 7
    shown = (
        Settle(output=OutputSettings(guards=("color",)), show=("color",))
        .apply(changed)
        .findings.color
    )
    assert shown.shape == luma.shape
    # the chroma is 2 codes off everywhere, the map's white is one
    assert float(shown.clamp(0, 1).mean()) > 0.95
    still = replace(changed, luma=Signal(before.luma, changed.luma.residual))
    still = replace(still, chroma=Signal(before[1], torch.ones_like(before[1][:, :1])))
    black = (
        Settle(output=OutputSettings(guards=("color",)), show=("color",))
        .apply(still)
        .findings.color
    )
    assert float(black.max()) == 0


def test_the_color_guard_lets_a_sound_correction_be() -> None:
    luma, chroma = scene(1, 96, 128)
    dirty = noisy(luma, chroma, "noise")
    stage = stage_class("spatial.wiener")()
    clean = stage.apply(dirty)
    given = replace(clean, kept_original=dirty.original)
    done = Settle(output=OutputSettings(guards=("color",))).apply(given)
    assert float((done.luma.pixels - clean.luma.pixels).abs().max()) < 0.1 / 255


def loss() -> tuple[Block, Tensor, Tensor]:
    """A denoised scene in which a patch was lost altogether: block, truth, where."""
    luma, _ = scene(1, 64, 96)
    luma[..., 16:48, 32:64] += 0.2 * torch.sin(torch.arange(32) * 1.2)
    dirty = luma + SIGMA * torch.randn_like(luma)
    clean = luma.clone()
    clean[..., 16:48, 32:64] = float(luma[..., 16:48, 32:64].mean())
    lost = torch.zeros_like(luma, dtype=torch.bool)
    lost[..., 20:44, 36:60] = True
    residual = torch.full_like(luma, 0.1)
    return (
        replace(block(dirty, None), luma=Signal(clean, residual), kept_original=Picture(dirty)),
        luma,
        lost,
    )


def test_the_structure_guard_gives_picture_back_where_it_was_lost() -> None:
    given, truth, lost = loss()
    done = Settle(output=OutputSettings(guards=("structure",)), show=("structure",)).apply(given)
    picture = done.findings.structure
    assert float(picture[lost].mean()) > 0.5 and float(picture[..., :8, :20].mean()) < 0.02
    assert (
        psnr(done.luma.pixels[lost], truth[lost]) > psnr(given.luma.pixels[lost], truth[lost]) + 3
    )
    assert float(done.luma.residual[lost].mean()) > 0.5  # and says that noise came back with it


def test_the_ghost_guard_takes_a_false_average_back() -> None:
    given, _, lost = loss()
    done = GhostGuard().apply(given)
    before = given.original[0]
    nearer = (done.luma.pixels - before)[lost].abs().mean()
    assert nearer < 0.5 * (given.luma.pixels - before)[lost].abs().mean()
    assert float(done.luma.residual[lost].mean()) > 0.5
    assert torch.allclose(
        done.luma.pixels[..., :8, :20], given.luma.pixels[..., :8, :20], atol=2e-3
    )
    assert float(done.findings.ghost_share) == pytest.approx(float(done.findings.ghost.mean()))


def test_guards_stand_where_they_are_asked_for(source: Path) -> None:
    guarded = chain(output__guards="ghost,color")
    names = [stage.name for stage in stages_of(guarded)]
    assert names == ["temporal.mean", "guard.ghost", "spatial.wiener", "output.settle"]
    assert resolve(load("auto"), [Layer("x", {"output.guards": "none"})]).output.guards == ()
    assert same(result(source, guards="none"), result(source))


def test_strengths_below_full_leave_noise_and_say_so() -> None:
    amount, residual = settled(Settle(output=OutputSettings(luma=25)))
    assert torch.allclose(amount, torch.tensor(0.25), atol=1e-3)
    assert torch.allclose(residual, torch.tensor(0.8), atol=1e-3)  # 1 - 0.25 * (1 - 0.2)
