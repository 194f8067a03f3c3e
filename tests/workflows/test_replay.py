"""A recipe makes the same frames again, or it is said why not and nothing is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tests.engine.test_run import planes, same
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.media.movie.tag import tag_in
from vdenoise.noise.removed import removed_noise
from vdenoise.picture.frame import PixelFormat
from vdenoise.workflows.restore import with_noise

FAST = ("--speed", "veryfast", "--device", "cpu", "--progress", "none")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A result with a mask from a file, grain, a part of the clip, and its recipe."""
    source = write(Clip("in.mkv", codec="ffv1", frames=6), tmp_path)
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((48, 64), 200, np.uint8))
    output = tmp_path / "out.mkv"
    chain = ("--grain", "synth:8", "--luma", "80", "--sigma", "6", "--seed", "5")
    mask = ("--mask", f"m=file:{tmp_path}/mask.png")
    args = ["run", str(source), "-o", str(output), *FAST, *chain, *mask, "--frames", "1-4"]
    assert cli.status(args) == 0
    return output


def changed(output: Path, change: Callable[[dict[str, Any]], object]) -> None:
    recipe = output.with_name(f"{output.name}.vdenoise.json")
    told = json.loads(recipe.read_text())
    change(told)
    recipe.write_text(json.dumps(told))


def test_the_same_frames_come_again_and_again(made: Path) -> None:
    recipe, again = made.with_name("out.mkv.vdenoise.json"), made.with_name("again.mkv")
    assert cli.status(["replay", str(recipe), "-o", str(again), "--progress", "none"]) == 0
    assert all(map(same, planes(made), planes(again)))
    third = made.with_name("third.mkv")
    assert cli.status(["replay", str(again), "-o", str(third), "--progress", "none"]) == 0
    assert all(map(same, planes(made), planes(third)))
    assert len(planes(third)) == 4


def test_a_clip_that_was_moved_can_be_named(made: Path) -> None:
    moved = made.with_name("moved.mkv")
    made.with_name("in.mkv").rename(moved)
    args = ["replay", str(made), "-o", str(made.with_name("again.mkv")), "--progress", "none"]
    assert cli.status(args) == 3
    assert cli.status([*args, "--input", str(moved)]) == 0


CHANGES: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "another input": (
        lambda out: write(Clip("in.mkv", codec="ffv1", frames=6, tags=(1, 1, 1, 2)), out.parent),
        10,
        "E1004",
    ),
    "another mask": (
        lambda out: cv2.imwrite(str(out.with_name("mask.png")), np.zeros((48, 64), np.uint8)),
        10,
        "E1022",
    ),
    "another version": (
        lambda out: changed(out, lambda told: told["versions"].update(vdenoise="0.0.1")),
        10,
        "E1020",
    ),
    "another schema": (
        lambda out: changed(out, lambda told: told.update(schema=2)),
        10,
        "E1024",
    ),
    "no checksums": (
        lambda out: changed(out, lambda told: told["result"].update(frames_crc32="")),
        10,
        "E1021",
    ),
    "another parameter": (
        lambda out: changed(out, lambda told: told["parameters"].update({"output.luma": 70.0})),
        9,
        "E0961",
    ),
    "another seed": (
        lambda out: changed(out, lambda told: told["plan"].update(seed=6)),
        9,
        "E0961",
    ),
    "no recipe": (lambda out: changed(out, lambda told: told.update(kind="else")), 2, "E02171"),
    "half a recipe": (lambda out: changed(out, lambda told: told.pop("profile")), 2, "E02171"),
    "nothing": (lambda out: out.with_name("out.mkv.vdenoise.json").unlink(), 3, "E0301"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_not_the_same_is_said_and_nothing_is_left(
    made: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    change, status, code = CHANGES[name]
    change(made)
    again = made.with_name("again.mkv")
    assert cli.status(["replay", str(made), "-o", str(again), "--progress", "none"]) == status
    assert code in capsys.readouterr().err.splitlines()[-1]
    assert not [p for p in made.parent.iterdir() if "again" in p.name]


def test_another_version_may_be_tried(made: Path) -> None:
    changed(made, lambda told: told["versions"].update(vdenoise="0.0.1"))
    again = made.with_name("again.mkv")
    args = ["replay", str(made), "-o", str(again), "--progress", "none", "--any-version"]
    assert cli.status(args) == 0 and again.exists()


@pytest.mark.parametrize("form", ["yuv420p", "yuv422p10le"])
def test_clean_and_noise_are_the_source_again(tmp_path: Path, form: str) -> None:
    source = write(Clip("in.mkv", codec="ffv1", format=form, frames=4, audio=("eng",)), tmp_path)
    clean, noise = tmp_path / "clean.mkv", tmp_path / "noise.mkv"
    args = ["run", str(source), "-o", str(clean), *FAST, "--sigma", "9", "--temporal", "none"]
    assert cli.status([*args, "--noise-out", str(noise)]) == 0
    files = [str(clean), str(noise)]
    for grain, wanted in (("100", source), ("0", clean)):
        again = tmp_path / f"again{grain}.mkv"
        more = ["-o", str(again), "--grain", grain, "--progress", "none"]
        assert cli.status(["restore", *files, *more]) == 0
        assert all(map(same, planes(again), planes(wanted)))
        assert cli.status(["verify", str(source), str(again)]) == 0
    half = tmp_path / "half.mkv"
    assert (
        cli.status(["restore", *files, "-o", str(half), "--grain", "50", "--progress", "none"]) == 0
    )
    for a, b, c in zip(planes(source), planes(clean), planes(half), strict=True):
        middle = (a[0].double() + b[0].double()) / 2
        assert float((c[0].double() - middle).abs().max()) <= 0.5
    assert cli.status(["restore", *files, "-o", str(half), "--progress", "none"]) == 4


@pytest.mark.parametrize(
    ("name", "more"), [("r.####.png", ()), ("r.mov", ("--codec", "prores")), ("r.####.exr", ())]
)
def test_what_is_put_together_again_is_written_as_a_run_writes_it(
    name: str, more: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As images and in other layouts, too: that was a traceback."""
    monkeypatch.chdir(tmp_path)
    write(Clip("in.mkv", codec="ffv1", frames=2), tmp_path)
    args = ["run", "in.mkv", *FAST, "--sigma", "9", "--temporal", "none", "-o"]
    assert cli.status([*args, "clean.mkv", "--noise-out", "noise.mkv"]) == 0
    assert cli.status(["restore", "clean.mkv", "noise.mkv", "-o", name, *more]) == 0
    assert cli.status([*args, f"plain_{name}", *more, "--luma", "0", "--chroma", "0"]) == 0
    assert all(map(same, planes(Path(name)), planes(Path(f"plain_{name}"))))


@pytest.mark.parametrize("form", ["yuv420p", "yuv444p"])
@pytest.mark.parametrize("name", ["n.####.png", "n.####.exr"])
def test_noise_is_kept_only_as_what_gives_the_source_again(
    name: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(Clip("in.mkv", codec="ffv1", format=form, frames=2), tmp_path)
    args = ["run", str(source), "-o", str(tmp_path / "clean.mkv"), *FAST, "--sigma", "9"]
    assert cli.status([*args, "--noise-out", str(tmp_path / name)]) == 2
    assert "E02229" in capsys.readouterr().err and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("unlike", ["the clean clip", "other frames", "another size"])
def test_what_is_no_noise_of_the_clip_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], unlike: str
) -> None:
    clean = write(Clip("clean.mkv", codec="ffv1", frames=3), tmp_path)
    other = {
        "the clean clip": Clip("n.mkv", codec="ffv1", frames=3),
        "other frames": Clip("n.mkv", codec="ffv1", format="yuv420p10le", frames=2),
        "another size": Clip("n.mkv", codec="ffv1", format="yuv420p10le", size=(32, 32), frames=3),
    }[unlike]
    noise, out = write(other, tmp_path), tmp_path / "out.mkv"
    assert cli.status(["restore", str(clean), str(noise), "-o", str(out)]) == 2
    assert "E02172" in capsys.readouterr().err and not out.exists()


def test_a_share_of_16_bit_noise_that_wraps_lies_between() -> None:
    fmt = PixelFormat("gray16le", "gray", 16)
    source = torch.tensor([[65535, 10, 30000]], dtype=torch.int32).to(torch.uint16)
    clean = torch.tensor([[20000, 50000, 30010]], dtype=torch.int32).to(torch.uint16)
    noise = removed_noise((source,), (clean,), fmt, fmt)
    (whole,) = with_noise((clean,), noise, fmt, fmt, 100)
    assert torch.equal(whole, source)
    (half,) = with_noise((clean,), noise, fmt, fmt, 50)
    assert half.to(torch.int32)[0, 2] == 30005
    plain = PixelFormat("grayf32le", "gray", 32, floating=True)
    bright, dark = torch.tensor([[2.0, float("nan")]]), torch.tensor([[1.0, float("nan")]])
    grains = removed_noise((bright,), (dark,), plain, plain)
    (mixed,) = with_noise((dark,), grains, plain, plain, 25)
    assert mixed[0, 0] == 1.25 and mixed[0, 1].isnan()


def told(output: Path) -> str:
    """The tag that a recipe says its clip has."""
    recipe = output.with_name(f"{output.name}.vdenoise.json")
    found: str = json.loads(recipe.read_text())["tag"]
    return found


def replayed(clip: Path, output: Path) -> int:
    return cli.status(["replay", str(clip), "-o", str(output), "--progress", "none"])


def test_clip_and_recipe_tell_of_each_other_and_a_replay_has_the_same_tag(made: Path) -> None:
    again = made.with_name("again.mkv")
    assert replayed(made, again) == 0
    found = tag_in(made)
    assert found is not None and found.text == told(made) == told(again)
    assert found.preset == "auto" and tag_in(again) == found


def test_a_clip_that_was_renamed_is_replayed_by_its_tag(made: Path) -> None:
    renamed, again = made.with_name("final.mkv"), made.with_name("again.mkv")
    made.rename(renamed)
    assert replayed(renamed, again) == 0
    assert all(map(same, planes(renamed), planes(again)))


def test_the_recipe_of_another_clip_is_not_replayed_for_this_one(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(made, lambda told: told.update(tag="vdenoise 0.1.0 auto 0123456789abcdef"))
    again = made.with_name("again.mkv")
    assert replayed(made, again) == 10
    message = capsys.readouterr().err
    found = tag_in(made)
    assert "E1023" in message.splitlines()[-1] and found is not None and found.recipe in message
    assert not [p for p in made.parent.iterdir() if "again" in p.name]


def test_what_decides_the_frames_decides_the_tag(made: Path) -> None:
    source = made.with_name("in.mkv")
    tags = {told(made)}
    for name, more in (("a", ("--seed", "6")), ("b", ("--luma", "0", "--chroma", "0"))):
        output = made.with_name(f"{name}.mkv")
        args = ["run", str(source), "-o", str(output), *FAST, "--sigma", "6", "--frames", "1-2"]
        assert cli.status([*args, *more]) == 0
        tags.add(told(output))
    assert len(tags) == 3


def test_a_parameter_that_is_none_is_named(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(made, lambda told: told["parameters"].update({"grain.strength2": 0.2}))
    args = ["replay", str(made), "-o", str(made.with_name("again.mkv")), "--progress", "none"]
    assert cli.status(args) == 2
    assert "'strength2'. Did you mean strength?" in capsys.readouterr().err


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "a clip that is none": lambda told: told["input"].update(path=5),
    "no clip": lambda told: told["input"].pop("path"),
    "a mask that is none": lambda told: told["parameters"].update({"mask.m": ["x"]}),
    "no such codec": lambda told: told["plan"]["encode"].update(codec="x"),
    "another's encoder": lambda told: told["plan"]["encode"].update(encoder="libx264"),
    "no such samples": lambda told: told["plan"]["encode"]["pixel_format"].update(bits=5),
    "samples of no name": lambda told: told["plan"]["encode"].update(coded_format="x"),
    "a file beside": lambda told: told["plan"]["encode"]["options"].update(stats="stolen"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_recipe_says_only_what_a_run_would(
    made: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made.parent)
    changed(made, WRONG[what])
    before = set(made.parent.iterdir())
    assert cli.status(["replay", str(made), "-o", "again.mkv", "--progress", "none"]) == 2
    assert set(made.parent.iterdir()) == before
