"""Training: examples are reproducible and true, runs resume to the bit and leave what they say."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vdenoise import cli
from vdenoise.degrade import synth
from vdenoise.errors import ConflictError, InputError, OutputError, UsageError
from vdenoise.machine.files import leftovers
from vdenoise.nets import build
from vdenoise.nets.models import find as find_model
from vdenoise.nets.models import shipped
from vdenoise.picture.color import to_rgb
from vdenoise.sampling.schedules import Schedule
from vdenoise.training import log, losses
from vdenoise.training.ablate import Ablation, ablate
from vdenoise.training.card import digest, licences
from vdenoise.training.checkpoint import CHECKPOINT
from vdenoise.training.config import Config, overridden, recipes
from vdenoise.training.export import export_weights
from vdenoise.training.loop import Trained, rate, train
from vdenoise.training.material.batches import BLIND, batch
from vdenoise.training.material.degrade import degraded, graded, patterned, true_noise, unshifted
from vdenoise.training.material.examples import Recipe, make
from vdenoise.training.material.fresh import Frames
from vdenoise.training.material.loading import draw
from vdenoise.training.material.pack import make_pack
from vdenoise.training.material.pool import Crop, Pool, crop
from vdenoise.training.material.sources import (
    decoded,
    find,
    joined_rgb,
    sequence,
    set_in_motion,
    split_rgb,
)
from vdenoise.training.validation import Score, pools


class Silent:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.scores: list[Score] = []

    def step(self, step: int, steps: int, loss: float, seconds: float) -> None:
        self.losses.append(loss)

    def validated(self, step: int, score: Score) -> None:
        self.scores.append(score)

    def start(self, phase: str, frames: int, *, unit: str = "fps") -> None:
        pass

    def advance(self, busy: Mapping[str, float]) -> None:
        pass


def texture(seed: int, height: int = 96, width: int = 112) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(rng.random((height, width, 3), np.float32), (0, 0), 2.5)
    low, high = picture.min(), picture.max()
    return ((picture - low) / (high - low) * 255).astype(np.uint8)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four stills and a clip of eight frames that moves two pixels a frame."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "stills").mkdir()
    (folder / "video" / "pan").mkdir(parents=True)
    for n in range(4):
        cv2.imwrite(str(folder / "stills" / f"still{n}.png"), texture(n))
    wide = texture(9, width=140)
    for t in range(8):
        cv2.imwrite(str(folder / "video" / "pan" / f"{t}.png"), wide[:, 2 * t : 2 * t + 112])
    rows = "| folder | from | licence |\n|---|---|---|\n| stills | drawn | CC0 |\n"
    (folder / "LICENCES.md").write_text(f"# Where from\n{rows}| video/pan | drawn | same |\n")
    return folder


def tiny(data: Path, pool: Path, **changes: Any) -> dict[str, Any]:
    """A run of seconds: the network is given the noisy frame, so there is much to learn."""
    return {
        "network": "guided-s",
        "steps": 200,
        "batch": 4,
        "crop": 32,
        "loss": "psnr",
        "check_every": 100,
        "threads": 1,
        "precision": "float32",
        "jitter": {"blind": 0.0, "alone": 0.0, "unfiltered": 0.0},
        "optimiser": {"rate": 2e-3, "warm_up": 10, "decay": 100, "average": 0.98},
        "data": {
            "folder": data,
            "pool": pool,
            "held_out": ["still3"],
            "examples": 5,
            "first": 5,
            "validation": 1,
            "workers": 0,
            "recipe": {
                "size": 64,
                "frames": 2,
                "kinds": {"gaussian": 1.0},
                "radii": {"0": 1.0},
                "efforts": {"0": 1.0},
            },
        },
    } | changes


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pool")


def short(data: Path, pool: Path, *changes: str) -> Config:
    """A few steps only."""
    few = ("steps=6", "check_every=3", *changes)
    return Config.of(overridden(tiny(data, pool), few), "test")


def checkpoint(folder: Path) -> dict[str, Any]:
    held: dict[str, Any] = torch.load(folder / CHECKPOINT, weights_only=True)
    return held


def same(a: Any, b: Any) -> bool:
    """Equal to the bit, whatever is nested in what."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def test_two_hundred_steps_lower_the_loss_and_resume_to_the_same_bits(
    data: Path, pool: Path, tmp_path: Path
) -> None:
    config = Config.of(tiny(data, pool), "test")
    whole, parts = Silent(), Silent()
    done = train(config, tmp_path / "whole", "cpu", whole)
    assert done.ended == "done" and done.step == 200
    examples = pools(config)[0]
    pictures = Frames(examples.sources)
    batches = [draw(config, examples, pictures, step) for step in range(150, 200)]
    untrained = [losses.minus_psnr(to_rgb(b.given.average), to_rgb(b.wanted)) for b in batches]
    assert np.mean(whole.losses[-50:]) < np.mean(untrained) - 0.005  # half a decibel
    assert whole.scores[-1].psnr > whole.scores[-1].average + 0.5
    stopped = train(config, tmp_path / "parts", "cpu", parts, stop=lambda: len(parts.losses) == 137)
    assert stopped.ended == "asked" and stopped.step == 137
    assert train(config, tmp_path / "parts", "cpu", parts).ended == "done"
    assert parts.losses == whole.losses
    a, b = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "parts")
    for key in ("net", "mean", "optimiser", "scaler"):
        assert same(a[key], b[key]), key
    weights = [load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts")]
    assert same(weights[0], weights[1])
    rows = [log.read(tmp_path / name) for name in ("whole", "parts")]
    assert [(r.step, r.loss, r.validation_db) for r in rows[0]] == [
        (r.step, r.loss, r.validation_db) for r in rows[1]
    ]
    again = Silent()
    assert train(config, tmp_path / "whole", "cpu", again).ended == "done" and not again.losses


def test_an_adversary_takes_part_and_goes_on_to_the_same_bits(
    data: Path, pool: Path, tmp_path: Path
) -> None:
    """Also where the first steps were made without it."""
    given = short(data, pool, "adversarial.share=0.01", "adversarial.width=8")
    whole, parts, plain = Silent(), Silent(), Silent()
    train(given, tmp_path / "whole", "cpu", whole)
    train(given, tmp_path / "parts", "cpu", parts, stop=lambda: len(parts.losses) == 3)
    train(given, tmp_path / "parts", "cpu", parts)
    assert parts.losses == whole.losses
    a, b = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "parts")
    assert same(a["adversary"], b["adversary"]) and same(a["net"], b["net"])
    without = short(data, pool)
    train(without, tmp_path / "plain", "cpu", plain, stop=lambda: len(plain.losses) == 3)
    train(given, tmp_path / "plain", "cpu", plain)
    assert len(plain.losses) == len(whole.losses) and plain.losses != whole.losses


def test_worker_processes_change_no_bit(data: Path, pool: Path, tmp_path: Path) -> None:
    a, b = Silent(), Silent()
    train(short(data, pool), tmp_path / "a", "cpu", a)
    elsewhere = short(data, tmp_path / "pool", "data.workers=1", "data.loaders=1")
    train(elsewhere, tmp_path / "b", "cpu", b)
    assert a.losses == b.losses and a.scores == b.scores
    made = sorted(path.name for path in (tmp_path / "pool" / "train").iterdir())
    assert made and not [name for name in made if name.startswith(".")]


def test_a_log_forgets_what_the_checkpoint_did_not_keep(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        log.append(tmp_path, log.Line(step, 1 / step, 1e-3, step, 30 + step, 1, {"film": 30.0}))
    log.forget_after(tmp_path, 20)
    assert [line.step for line in log.read(tmp_path)] == [10, 20]
    assert log.read(tmp_path)[0].by_kind == {"film": 30.0}
    curves = cv2.imread(str(tmp_path / log.CURVES))
    assert curves is not None and curves.std() > 5
    with (tmp_path / log.CSV).open() as file:
        assert [row["validation_db"] for row in csv.DictReader(file)] == ["40.000", "50.000"]


def test_training_stops_when_it_gets_no_better(data: Path, pool: Path, tmp_path: Path) -> None:
    config = short(data, pool, "steps=30", "patience=2", "optimiser.rate=1e-30")
    found = train(config, tmp_path, "cpu", Silent())
    assert found.ended == "no better" and found.step == 9


def test_another_network_is_not_resumed(data: Path, pool: Path, tmp_path: Path) -> None:
    train(short(data, pool), tmp_path, "cpu", Silent())
    with pytest.raises(ConflictError):
        train(short(data, pool, "network=guided-m"), tmp_path, "cpu", Silent())


def test_a_folder_without_material_leaves_nothing(pool: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no clips and no pictures"):
        train(short(tmp_path / "empty", pool), tmp_path / "out", "cpu", Silent())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors", "log.csv"])
def test_what_is_of_no_training_stays(name: str, data: Path, pool: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_text("nobody has another copy of this", encoding="utf-8")
    with pytest.raises(OutputError, match=f"{name} exists"):
        train(short(data, pool), tmp_path, "cpu", Silent())
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_was_stopped_before_its_first_checkpoint_begins_again(
    data: Path, pool: Path, tmp_path: Path
) -> None:
    config = short(data, pool)
    train(config, tmp_path, "cpu", Silent())
    (tmp_path / CHECKPOINT).unlink()
    assert train(config, tmp_path, "cpu", Silent()).step == config.steps


def test_what_a_killed_run_left_is_removed(data: Path, pool: Path, tmp_path: Path) -> None:
    (tmp_path / f".{CHECKPOINT}.4194305.abcdef.partial").write_bytes(b"half")
    train(short(data, pool), tmp_path, "cpu", Silent())
    assert checkpoint(tmp_path) and not list(leftovers(tmp_path))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_trains(data: Path, pool: Path, tmp_path: Path, precision: str) -> None:
    seen = Silent()
    train(short(data, pool, f"precision={precision}"), tmp_path, "cpu", seen)
    exact = Silent()
    train(short(data, pool), tmp_path / "exact", "cpu", exact)
    assert seen.losses == pytest.approx(exact.losses, abs=0.02)
    half, full = (checkpoint(at)["net"]["tail.weight"] for at in (tmp_path, tmp_path / "exact"))
    assert half.abs().max() > 0  # it was 0
    assert not half.equal(full)
    assert bool(checkpoint(tmp_path)["scaler"]) == (precision == "float16")


def test_training_starts_from_a_smaller_network(data: Path, pool: Path, tmp_path: Path) -> None:
    small = train(short(data, pool), tmp_path / "small", "cpu", Silent())
    start = f"start={small.weights}"
    grown, again = Silent(), Silent()
    train(short(data, pool, "network=guided-m", start), tmp_path / "m", "cpu", grown)
    train(short(data, pool, start), tmp_path / "s", "cpu", again)
    assert abs(grown.losses[0] - again.losses[0]) < 1e-3
    with pytest.raises(UsageError, match="cannot start"):
        train(short(data, pool, "network=dncnn", start), tmp_path / "d", "cpu", Silent())


def test_a_network_that_cannot_learn_any_more_is_noticed(
    data: Path, pool: Path, tmp_path: Path
) -> None:
    """Too large a first step drives the bounded answer to its bound: no gradient leads back."""
    wild = short(
        data,
        pool,
        "steps=20",
        "check_every=5",
        "optimiser.rate=30",
        "optimiser.warm_up=0",
        "optimiser.average=0",
    )
    with pytest.raises(UsageError, match="does not change any more") as raised:
        train(wild, tmp_path / "wild", "cpu", Silent())
    assert "optimiser.rate" in str(raised.value.hint)
    assert len(log.read(tmp_path / "wild")) < 4


def test_what_batches_are_normalised_by_is_kept(data: Path, pool: Path, tmp_path: Path) -> None:
    """Validation and weights use what was seen in training, and do not change it."""
    done = train(short(data, pool, "network=dncnn", "steps=2"), tmp_path / "d", "cpu", Silent())
    seen, kept = checkpoint(tmp_path / "d"), load_file(done.weights)
    name = "model.3.running_var"
    assert not torch.equal(kept[name], torch.ones_like(kept[name]))
    assert any(same(held.get(name), kept[name]) for held in seen.values() if isinstance(held, dict))


def test_a_student_learns_from_its_teacher(data: Path, pool: Path, tmp_path: Path) -> None:
    train(short(data, pool), tmp_path / "teacher", "cpu", Silent())
    weights = tmp_path / "teacher" / "weights.safetensors"
    changes = (f"teacher='{weights}'", "teacher_share=1.0", f"start='{weights}'", "loss=l1")
    seen = Silent()
    train(short(data, pool, *changes, "optimiser.rate=1e-30"), tmp_path / "student", "cpu", seen)
    assert max(seen.losses) < 1e-6  # it is its teacher
    card = json.loads((tmp_path / "student" / "weights.json").read_text())
    assert card["training"]["recipe"]["teacher"]["sha256"] == digest(weights)


def test_old_examples_are_let_go(data: Path, tmp_path: Path) -> None:
    config = short(data, tmp_path / "pool", "data.newest=2", "data.first=2")
    train(config, tmp_path / "run", "cpu", Silent())
    kept = {int(p.stem) for p in (tmp_path / "pool" / "train").glob("*.safetensors")}
    assert kept and min(kept) >= 3 and config.data.drawn_from(6, 6) == range(3, 5)


def test_the_learning_rate_rises_stays_and_falls(data: Path, pool: Path) -> None:
    config = short(data, pool, "steps=1000")
    assert rate(config, 0) == pytest.approx(2e-4) and rate(config, 9) == rate(config, 899) == 2e-3
    assert rate(config, 950) == pytest.approx(1e-3) and 0 < rate(config, 999) < 2e-6


# Examples


def parts(data: Path) -> tuple[list[Any], list[Any]]:
    found = find(data)
    return [s for s in found if not s.is_still], [s for s in found if s.is_still]


def test_an_example_is_a_function_of_seed_and_number(data: Path) -> None:
    clips, stills = parts(data)
    # x264 does not always encode the same frames to the same bits, so no codec here.
    recipe = Recipe(size=64, frames=2, kinds={"sensor": 1.0, "film": 1.0, "impulses": 1.0})
    first = make(recipe, clips, stills, 5, 3)
    make(recipe, clips, stills, 5, 4)
    again = make(recipe, clips, stills, 5, 3)
    noises = [[getattr(x.noise, f.name) for f in fields(x.noise)] for x in (first, again)]
    assert same(*noises) and torch.equal(first.planes, again.planes)
    assert first.planes.shape == (2, 14, 64, 64)
    others = [make(recipe, clips, stills, seed, number) for seed, number in ((5, 4), (6, 3))]
    assert not any(torch.equal(first.planes, other.planes) for other in others)


@pytest.mark.parametrize("number", range(4))
def test_without_noise_every_stage_shows_the_truth(data: Path, number: int) -> None:
    """So the truth lies where the temporal and the spatial stage put the picture."""
    clips, stills = parts(data)
    recipe = Recipe(size=64, frames=3, kinds={"clean": 1.0}, radii={2: 1.0})
    planes = make(recipe, clips, stills, 1, number).planes
    clean = planes[:, :3]
    for name, at in (("noisy", 3), ("average", 6), ("estimate", 11)):
        assert (planes[:, at : at + 3] - clean).abs().max() < 2 / 219, name


def test_noise_is_cut_where_the_recipe_says(data: Path) -> None:
    """As R'G'B' files cut it; nothing else about the example changes."""
    clips, stills = parts(data)
    common = {"size": 64, "frames": 2, "kinds": {"gaussian": 1.0}, "radii": {0: 1.0}}
    for number in range(8):
        free, cut = (
            make(Recipe.model_validate({**common, "clipped": share}), clips, stills, 2, number)
            for share in (0.0, 1.0)
        )
        seen, noisy = (joined_rgb(p[0, 3:4], p[0, 4:6]) for p in (cut.planes, free.planes))
        if not free.subsampled and noisy.amin() < -0.1 and noisy.amax() > 1.1:
            break
    else:
        raise AssertionError("no strong noise in 8 examples")
    rounding = 2 / 219
    assert seen.amin() > -rounding and seen.amax() < 1 + rounding
    inside = ((noisy > 0) & (noisy < 1)).all(0)
    assert torch.allclose(seen[:, inside], noisy[:, inside], atol=rounding)
    assert torch.equal(free.planes[:, :3], cut.planes[:, :3])


def test_crops_turn_everything_together(tmp_path: Path, data: Path) -> None:
    clips, stills = parts(data)
    recipe = Recipe(size=64, frames=2, kinds={"clean": 1.0}, radii={0: 1.0}, efforts={0: 1.0})
    pool = Pool(tmp_path, recipe, (*clips, *stills), 1)
    path = pool.wait(0, producing=False)
    rng = np.random.default_rng(0)
    crops = [crop(path, 32, rng) for _ in range(12)]
    for found in crops:
        assert found.planes.shape == (14, 32, 32)
        assert (found.planes[3:6] - found.planes[:3]).abs().max() < 2 / 219
    assert len({found.planes[0].numpy().tobytes() for found in crops}) == 12


def flat(level: float) -> torch.Tensor:
    return torch.full((3, 3, 128, 128), level)


def test_the_true_profile_is_the_noise_that_was_added() -> None:
    sigma = 12 / 255
    clean = torch.linspace(0.1, 0.9, 128).expand(4, 3, 128, 128)
    noisy = synth.gaussian(clean, sigma, seed=3)
    table = true_noise(*split_rgb(noisy, False), *split_rgb(clean, False))
    weights = torch.tensor([0.2126, 0.7152, 0.0722])
    luma = sigma * float(weights.norm())
    assert torch.allclose(table.sigma[0, 2:15], torch.tensor(luma), rtol=0.05)
    # Cb = (B - Y) / 1.8556, Cr = (R - Y) / 1.5748 of independent channels
    for plane, (at, scale) in enumerate(((2, 1.8556), (0, 1.5748)), start=1):
        mix = -weights
        mix[at] += 1
        expected = sigma * float(mix.norm()) / scale
        assert table.sigma[plane, 8] == pytest.approx(expected, rel=0.05)
    assert table.spectrum.mean((1, 2)) == pytest.approx([1, 1, 1], rel=1e-3)
    assert 0.8 < table.spectrum[0, :4, :4].mean() < 1.2
    assert abs(table.temporal_correlation) < 0.02


def test_the_true_profile_knows_levels_color_and_repetition() -> None:
    clean = torch.cat([flat(0.2), flat(0.8)], 3)
    speckled = synth.speckle(clean, 0.1, seed=1)
    table = true_noise(*split_rgb(speckled, True), *split_rgb(clean, True))
    assert table.sigma[0, 13] / table.sigma[0, 3] == pytest.approx(4, rel=0.1)
    grain = synth.film_grain(flat(0.5), 0.05, size=1.5, seed=1)
    table = true_noise(*split_rgb(grain, False), *split_rgb(flat(0.5), False))
    assert table.spectrum[0, :4, :4].mean() > 5 * table.spectrum[0, 8:, 8:].mean()
    frozen = grain[:1].expand(3, -1, -1, -1)
    table = true_noise(*split_rgb(frozen, False), *split_rgb(flat(0.5), False))
    assert table.temporal_correlation == pytest.approx(1, abs=1e-3)


def test_gratings_and_fences_lie_over_a_part_of_the_picture() -> None:
    clean = torch.tensor([0.2, 0.5, 0.3])[:, None, None].expand(2, 3, 96, 96)
    fine = tinted = 0
    for seed in range(20):
        found = patterned(clean, np.random.default_rng(seed))
        assert found.amin() >= 0 and found.amax() <= 1
        change = found - clean
        fine += bool(change.diff(dim=-1).abs().amax() > 0.02)
        chroma = split_rgb(found, False)[1] - split_rgb(clean, False)[1]
        tinted += bool(chroma.abs().amax() > 0.02)
        assert change.abs().amin() < 0.01
    assert fine >= 12 and tinted >= 8


def test_what_clipping_does_to_a_level_is_no_noise() -> None:
    clean = torch.cat([flat(0.0), flat(0.5), flat(1.0)], 3)
    noisy = synth.gaussian(clean, 0.1, seed=4).clamp(0, 1)
    assert noisy[..., :128].mean() == pytest.approx(0.1 / np.sqrt(2 * np.pi), rel=0.02)
    assert unshifted(noisy, clean)[..., :128].mean() == pytest.approx(0, abs=1e-3)
    shifted, table = (
        true_noise(*split_rgb(rgb, False), *split_rgb(clean, False))
        for rgb in (noisy, unshifted(noisy, clean))
    )
    # Half a normal distribution: variance 1/2 - 1/(2 pi) of the whole one's
    assert table.sigma[0, 0] / table.sigma[0, 8] == pytest.approx(
        np.sqrt(0.5 - 0.5 / np.pi), rel=0.03
    )
    assert table.spectrum[0, 0, 0] < 1.1 < 10 < shifted.spectrum[0, 0, 0]
    assert abs(table.temporal_correlation) < 0.02 < shifted.temporal_correlation


def test_noise_is_told_at_the_level_that_clipping_leaves() -> None:
    """A black that noise has lifted is measured, and looked up, where it lies by then."""
    dark, sigma = torch.cat([flat(0.0), flat(0.13)], 3), 0.3
    noisy = synth.gaussian(dark, sigma, seed=4).clamp(0, 1)
    centered = unshifted(noisy, dark)
    seen = split_rgb(dark + noisy - centered, False)[0]
    black = float(noisy[..., :128].mean())
    assert black == pytest.approx(sigma / np.sqrt(2 * np.pi), rel=0.05)
    truth = float(split_rgb(noisy, False)[0][..., :128].std())
    found, at_clean_levels = (
        float(table.sigma_at(torch.full((1, 1, 1, 1), black))[0, 0])
        for table in (
            true_noise(*split_rgb(centered, False), *split_rgb(dark, False), levels)
            for levels in (seen, None)
        )
    )
    assert abs(found - truth) < 0.5 * abs(at_clean_levels - truth)


def test_grades_crush_blacks_and_blow_out_whites_now_and_then() -> None:
    ramp = torch.linspace(0.02, 0.9, 96).expand(1, 3, 96, 96)
    found = [graded(ramp, np.random.default_rng(seed)) for seed in range(60)]
    assert all(x.amin() >= 0 and x.amax() <= 1 for x in found)
    assert sum(torch.equal(x, ramp) for x in found) > 20
    assert sum(float((x == 0).float().mean()) > 0.01 for x in found) > 5
    assert sum(float((x == 1).float().mean()) > 0.01 for x in found) > 2
    assert sum(float(x.amin()) > 0.03 for x in found) > 2


def test_stills_move_steadily() -> None:
    image = torch.from_numpy(texture(2, 240, 240)).permute(2, 0, 1).float() / 255
    fastest = 0.0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        clip = set_in_motion(image, 4, 96, rng)
        assert clip.shape == (4, 3, 96, 96) and clip.min() >= 0 and clip.max() <= 1
        gray = clip.mean(1).numpy()
        shifts = [cv2.phaseCorrelate(gray[t], gray[t + 1]) for t in range(3)]
        if min(response for _, response in shifts) > 0.4:
            found = np.array([shift for shift, _ in shifts])
            assert np.abs(found - found.mean(0)).max() < 2
            fastest = max(fastest, float(np.abs(found).max()))
    assert fastest > 2


def test_hard_motion_is_faster_and_bends_the_picture() -> None:
    image = torch.from_numpy(texture(2, 240, 240)).permute(2, 0, 1).float() / 255
    change, rigid = {}, {}
    for hard in (False, True):
        clips = [
            set_in_motion(image, 4, 96, np.random.default_rng(seed), hard=hard)
            for seed in range(12)
        ]
        assert all(clip.shape == (4, 3, 96, 96) for clip in clips)
        assert all(clip.min() >= 0 and clip.max() <= 1 for clip in clips)
        change[hard] = np.mean([float((c[1:] - c[:-1]).abs().mean()) for c in clips])
        grays = [clip.mean(1).numpy() for clip in clips]
        rigid[hard] = np.mean([cv2.phaseCorrelate(g[1], g[2])[1] for g in grays])
    assert change[True] > 1.5 * change[False]
    assert rigid[True] < 0.8 * rigid[False]  # no shift explains what a bent picture does


def test_a_clip_plays_to_and_fro_where_it_is_short(data: Path) -> None:
    (clip,), _ = parts(data)
    found = sequence(clip, 13, 64, np.random.default_rng(0))
    assert found.shape == (13, 3, 64, 64)
    assert len(torch.unique(found, dim=0)) <= 8


def test_color_comes_back() -> None:
    rgb = torch.rand(2, 3, 8, 8)
    luma, chroma = split_rgb(rgb, False)
    assert torch.allclose(joined_rgb(luma[0], chroma[0]), rgb[0], atol=1e-6)


# What a network is told


def made(sigma: float = 0.05) -> Crop:
    planes = torch.rand(14, 32, 32)
    table = true_noise(
        torch.rand(1, 1, 32, 32), torch.rand(1, 2, 32, 32), *map(torch.zeros, ((1, 1, 32, 32),) * 2)
    )
    return Crop(planes, table, True, "gaussian")


def test_jitter_and_blindness(data: Path, pool: Path) -> None:
    jitter = short(data, pool).jitter
    rng = np.random.default_rng(0)
    crops = [made()] * 200
    told = batch(crops, jitter.model_copy(update={"blind": 0.25}), rng).given.sigma
    true = batch(crops[:1], None, rng).given.sigma[0]
    blind = (told == BLIND).all(3).all(2).all(1)
    assert 0.15 < blind.float().mean() < 0.35
    errors = (told[~blind] / true).log()[:, :, 0, 0]
    assert errors.std(0)[:2] == pytest.approx([jitter.sigma, jitter.sigma], rel=0.25)
    assert torch.allclose(errors[:, 1], errors[:, 2], atol=1e-5)  # Cb and Cr together


def test_a_batch_is_a_function_of_its_step(data: Path, pool: Path) -> None:
    config = short(data, pool)
    examples = pools(config)[0]
    pictures = Frames(examples.sources)
    a, b, c = (draw(config, examples, pictures, step).given.noisy for step in (2, 2, 3))
    assert torch.equal(a, b) and not torch.equal(a, c)


@pytest.mark.parametrize(
    ("schedule", "median"), [("linear", 27.5), ("cosine", 22.8), ("karras", 8)]
)
def test_strengths_are_spread_as_a_schedule_says(schedule: Schedule, median: float) -> None:
    rng, gray = np.random.default_rng(1), torch.full((1, 3, 16, 16), 0.5)
    drawn = [
        255 * float((degraded(gray, "gaussian", rng, schedule)[0] - gray).std()) for _ in range(300)
    ]
    assert np.median(drawn) == pytest.approx(median, rel=0.2) and max(drawn) < 60


# Losses


def test_losses_are_what_they_are_called() -> None:
    zero, tenth = torch.zeros(2, 3, 16, 16), torch.full((2, 3, 16, 16), 0.1)
    assert losses.l1(tenth, zero) == pytest.approx(0.1)
    assert losses.mse(tenth, zero) == pytest.approx(0.01)
    assert losses.charbonnier(tenth, zero) == pytest.approx(math.hypot(0.1, 1e-3), rel=1e-5)
    assert losses.minus_psnr(tenth, zero) == pytest.approx(-0.2, rel=1e-3)  # 20 dB
    assert losses.ssim_mixed(tenth, tenth) == pytest.approx(0, abs=1e-6)
    picture = torch.rand(1, 3, 32, 32)
    shuffled = picture.flip(3)
    brighter = picture + (picture - shuffled).abs().mean()
    assert losses.ssim_mixed(shuffled, picture) > losses.ssim_mixed(brighter, picture)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_losses_fall_towards_the_truth(name: str) -> None:
    measure = losses.LOSSES[name]
    truth = torch.rand(2, 3, 32, 32)
    error = 0.1 * torch.randn_like(truth)
    far = (truth + error).requires_grad_()
    measure(far, truth).backward()
    assert far.grad is not None and torch.isfinite(far.grad).all()
    assert float((far.grad * error).sum()) > 0
    assert measure(truth + 0.5 * error, truth) < measure(truth + error, truth)
    exact = truth.clone().requires_grad_()
    measure(exact, truth).backward()
    assert exact.grad is not None and torch.isfinite(exact.grad).all()


# Configurations


def test_overrides_reach_nested_keys_and_are_checked(data: Path, pool: Path) -> None:
    config = short(data, pool, "optimiser.rate=5e-4", "loss=mse", "data.recipe.kinds={film = 1.0}")
    assert config.optimiser.rate == 5e-4 and config.loss == "mse"
    assert config.data.recipe.kinds == {"film": 1.0} and config.data.recipe.size == 64
    for wrong in ("loss=huber", "optimiser.rte=1", "steps=0", "data.recipe.size=65"):
        with pytest.raises(UsageError, match=wrong.partition("=")[0].replace(".", "[.]")):
            short(data, pool, wrong)
    with pytest.raises(UsageError, match="key=value"):
        overridden({}, ["steps"])


@pytest.mark.parametrize("name", recipes())
def test_recipes_are_configurations(name: str) -> None:
    config = Config.load(name)
    assert not config.data.folder.is_absolute() and not config.data.pool.is_absolute()


# What a run leaves


def test_ablations_give_mean_and_deviation(data: Path, pool: Path, tmp_path: Path) -> None:
    fast = ("steps=8", "check_every=4", "optimiser.average=0.0", "optimiser.warm_up=0")
    common = overridden(tiny(data, pool), fast)
    file = tmp_path / "list.toml"
    file.write_text(
        'seeds = [1, 2]\n[[ablation]]\nname = "base"\n'
        '[[ablation]]\nname = "slow"\nset = ["optimiser.rate=1e-30"]\n'
    )
    ran: list[str] = []

    def run(name: str, config: Config, folder: Path) -> Trained:
        ran.append(name)
        return train(config, folder, "cpu", Silent())

    rows, ended = ablate(common, Ablation.load(file), tmp_path, run)
    assert ended == "done" and ran == [f"{n}, seed {s}" for n in ("base", "slow") for s in (1, 2)]
    base, slow = rows
    best = [max(r.validation_db for r in log.read(tmp_path / f"base-{seed}")) for seed in (1, 2)]
    assert base.psnr_db == pytest.approx(np.mean(best))
    assert base.psnr_std > 0 == slow.psnr_std and base.psnr_std == pytest.approx(
        np.std(best, ddof=1)
    )
    assert slow.gain_db == pytest.approx(0, abs=0.05)  # an untrained network changes nothing
    told = json.loads((tmp_path / "ablation.json").read_text())
    assert [row["name"] for row in told] == ["base", "slow"]
    for name in ("ablation.csv", "ablation.md"):
        assert "optimiser.rate=1e-30" in (tmp_path / name).read_text()


def test_weights_are_exported_with_a_card(
    data: Path, pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = short(data, pool, "steps=8", "check_every=4")
    train(config, tmp_path / "run", "cpu", Silent())
    target = tmp_path / "net.safetensors"
    left = tmp_path / ".net.safetensors.1.partial"  # of one that was killed
    monkeypatch.setattr("vdenoise.machine.files.is_orphaned", lambda mark: "1" in mark)
    left.touch()
    card = export_weights(tmp_path / "run", target)
    assert not list(tmp_path.glob(".*"))
    model = find_model(str(target))
    assert model.card == card and model.sha256 == card["sha256"]
    assert card["weights"] == "float16" and card["training"]["steps"] in (4, 8)
    assert {t.dtype for t in load_file(target).values()} == {torch.float16}
    assert card["training"]["supervised_pixels"] == 8 * 4 * 32**2
    assert {row["folder"]: row["licence"] for row in card["data"]} == {
        "stills": "CC0",
        "video/pan": "CC0",
    }
    assert str(data) not in target.with_suffix(".json").read_text()
    seen = card["validation"]
    assert seen["in_float32"] - seen["network"] <= 0.02 and set(seen["by_kind"]) == {"gaussian"}


def test_weights_of_unknown_licence_are_not_exported(
    data: Path, pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(short(data, pool), tmp_path / "run", "cpu", Silent())
    monkeypatch.setattr("vdenoise.training.card.licences", lambda folder: {})
    with pytest.raises(UsageError, match="licence"):
        export_weights(tmp_path / "run", tmp_path / "net.safetensors")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


@pytest.mark.parametrize("name", shipped())
def test_shipped_weights_are_those_of_their_cards(name: str) -> None:
    model = find_model(name)
    card = model.card
    assert card["sha256"] == model.sha256 and card["architecture"] == model.architecture
    assert all(row["licence"] != "not stated" for row in card["data"])
    net = build(model.architecture)
    net.load_state_dict(load_file(model.path))
    assert card["parameters"] == sum(p.numel() for p in net.parameters())
    assert card["validation"]["network"] > card["validation"]["given"]


def test_a_pack_holds_the_same_sources_in_little_room(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "pack"
    packed = make_pack(data, target, 1 << 20, Silent(), threads=1)
    assert (packed.clips, packed.stills) == (1, 4) and packed.bytes < 1 << 20
    before, after = find(data), find(target)
    assert [source.name for source in after] == [source.name for source in before]
    assert licences(target) == licences(data)
    for a, b in zip(before, after, strict=True):
        error = decoded(a).astype(float) - decoded(b)
        assert 10 * np.log10(255**2 / np.square(error).mean()) > 34, a.name
    with pytest.raises(OutputError):
        make_pack(data, target, 1 << 20, Silent())
    with pytest.raises(UsageError, match="MiB"):
        make_pack(data, tmp_path / "less", 100, Silent(), threads=1)


# The command


def configuration(folder: Path, data: Path, pool: Path) -> Path:
    """The tiny run as a file."""
    path = folder / "config.json"
    path.write_text(json.dumps(tiny(data, pool), default=str))
    return path


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_goes_on(
    data: Path,
    pool: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    status: int,
) -> None:
    from vdenoise.cli.train import _Watcher

    told = _Watcher.step

    def step(self: _Watcher, step: int, steps: int, loss: float, seconds: float) -> None:
        told(self, step, steps, loss, seconds)
        if step == 3:
            os.kill(os.getpid(), number)

    config = configuration(tmp_path, data, pool)
    command = ("train", config, "-o", tmp_path / "run", "--steps", 6, "--override", "check_every=6")
    with monkeypatch.context() as patch:
        patch.setattr(_Watcher, "step", step)
        assert call(*command) == status
    assert "checkpoint" in capsys.readouterr().err
    assert checkpoint(tmp_path / "run")["state"]["step"] == 3
    assert call(*command) == 0
    whole = Silent()
    train(short(data, pool, "check_every=6"), tmp_path / "whole", "cpu", whole)
    assert same(checkpoint(tmp_path / "run")["net"], checkpoint(tmp_path / "whole")["net"])


def events(text: str) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_the_command_tells_programs(
    data: Path, pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configuration(tmp_path, data, pool)
    command = ("train", config, "-o", tmp_path / "run", "--steps", 4, "--progress", "json")
    assert call(*command, "--override", "check_every=2") == 0
    told = events(capsys.readouterr().err)
    kinds = [event["event"] for event in told]
    assert kinds.count("validated") == 2 and kinds[-1] == "done"
    assert told[-1]["ended"] == "done" and told[-1]["step"] == 4
    assert call(*command, "--max-minutes", 0, "--steps", 9) == 0
    assert events(capsys.readouterr().err)[-1]["ended"] == "time"
    assert call("train", "export", tmp_path / "run", "-o", tmp_path / "w.safetensors") == 0
    assert "float16" in capsys.readouterr().out
    assert call("train", "export", tmp_path / "run", "-o", tmp_path / "w.safetensors") == 4
    assert call("train", tmp_path / "none.toml", "-o", tmp_path / "x") == 2


def test_the_script_for_gpus_goes_on_from_its_own_parts(
    data: Path, pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import train_on_gpu

    monkeypatch.setattr(train_on_gpu, "PART_BYTES", 1 << 20)
    config = configuration(tmp_path, data, pool)
    state, scratch = tmp_path / "state", tmp_path / "scratch"
    command = [str(config), "--out", str(state), "--device", "cpu"]
    command += ["--override", "steps=3", "--override", "check_every=3"]
    first = [*command, "--scratch", str(scratch), "--pack", str(data)]
    assert train_on_gpu.main(first) == 0
    assert len(list(state.glob("state.*"))) >= 3 and (state / "curves.png").exists()
    elsewhere = tmp_path / "elsewhere"
    again = [*command, "--scratch", str(elsewhere), "--state", str(state), "--minutes", "0"]
    assert train_on_gpu.main(again) == 0
    assert checkpoint(elsewhere / "run")["state"]["step"] == 3
    assert same(checkpoint(elsewhere / "run"), checkpoint(scratch / "run"))
    words = train_on_gpu.overrides("cuda:0", scratch, 16)
    assert "data.workers=10" in words and "data.loaders=4" in words and "compile=true" in words
