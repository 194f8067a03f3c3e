"""Invented detail is asked for and said: refused as evidence, named in what is printed and kept."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from vdenoise import cli
from vdenoise.chain.option_values import parse_regrow
from vdenoise.chain.preset_files import shipped
from vdenoise.chain.presets import SPEEDS, load
from vdenoise.chain.resolve import Chain, Layer, idle, resolve
from vdenoise.errors import UsageError

FAST = ("--sigma", "10", "--cuts", "off", "--speed", "veryfast", "--temporal-radius", "1")
ASKED = ("--regrow", "60", "--seed", "7", "--set", "regrow.steps=2", "--set", "regrow.sampler=ddpm")


def regrown(chain: Chain) -> bool:
    return any(stage.slot == "regrow" for stage in chain.stages)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(1)
    ys, xs = np.mgrid[0:48, 0:64].astype(np.float32)
    picture = 128 + 50 * np.sin(xs / 7) * np.cos(ys / 9)
    path = tmp_path_factory.mktemp("regrow") / "noisy.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "gray"
        for _ in range(4):
            noisy = (picture + rng.normal(0, 10, picture.shape)).round().clip(0, 255)
            frame = av.VideoFrame.from_ndarray(noisy.astype(np.uint8), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="gray") for f in container.decode(video=0)])


def run(clip: Path, target: Path, *words: str) -> int:
    return cli.status(["run", str(clip), "-o", str(target), *FAST, *words])


def test_it_is_said_and_kept_and_the_same_in_a_part(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, part, map_ = (tmp_path / name for name in ("whole.mkv", "part.mkv", "map.mkv"))
    shown = ("--matte", "invented", "--matte-out", str(map_), "--mask", "left=rect:0,0,32,48")
    assert run(clip, whole, *ASKED, *shown) == 0
    said = "invented detail: 60 % of what regrow drew (ddpm, 2 steps, seed 7, model S)"
    assert said in " ".join(capsys.readouterr().err.split())
    recipe = json.loads((tmp_path / "whole.mkv.vdenoise.json").read_text())
    assert recipe["plan"]["invented"] == said
    assert recipe["parameters"]["regrow.sampler"] == "ddpm"
    assert run(clip, part, *ASKED, "--frames", "2-3", "--mask", "left=rect:0,0,32,48") == 0
    assert np.array_equal(read(part), read(whole)[2:])
    assert np.array_equal(read(whole)[..., 32:], read(clip)[..., 32:])  # outside of the mask
    amount = read(map_)
    assert amount[..., 32:].max() == 0 and amount[..., :32].mean() > 0


def test_qc_says_what_is_invented(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of a renamed clip, by its tag; and nothing of one that has no such detail."""
    made, plain = tmp_path / "made.mkv", tmp_path / "plain.mkv"
    assert run(clip, made, *ASKED) == 0 and run(clip, plain) == 0
    renamed = made.rename(tmp_path / "renamed.mkv")
    for result, said in ((renamed, "invented detail: 60 % of what regrow drew"), (plain, None)):
        capsys.readouterr()
        cli.status(["qc", str(clip), str(result), "--json", "--cuts", "off"])
        told = capsys.readouterr()
        found = json.loads(told.out)["invented"]
        assert found is None if said is None else found.startswith(said)
        assert ("it is likely, it is not known" in told.err) == (said is not None)
    (tmp_path / "plain.mkv.vdenoise.json").write_text("[]")
    cli.status(["qc", str(clip), str(plain), "--json", "--cuts", "off"])
    assert json.loads(capsys.readouterr().out)["invented"] is None


def test_a_mask_has_a_share_of_its_own(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """More inside than outside, or inside alone, and the same in a part."""
    how = ("--seed", "7", "--set", "regrow.steps=2", "--set", "regrow.sampler=ddpm")
    made = {}
    for name, words in {
        "none": (),
        "half": ("--regrow", "50"),
        "all": ("--regrow", "100"),
        "inside": ("--mask", "left=rect:0,0,32,48,regrow=100"),
        "more": ("--regrow", "50", "--mask", "left=rect:0,0,32,48,regrow=100"),
        "less": ("--regrow", "100", "--mask", "left=rect:0,0,32,48,regrow=50"),
    }.items():
        target = tmp_path / f"{name}.mkv"
        assert run(clip, target, *words, *(how if words else ())) == 0
        made[name] = read(target).astype(int)
        left, right = made[name][..., :32], made[name][..., 32:]
        for part, like in {
            "inside": ("all", "none"),
            "more": ("all", "half"),
            "less": ("half", "all"),
        }.items():
            if part == name:
                assert np.abs(left - made[like[0]][..., :32]).max() <= 1
                assert np.abs(right - made[like[1]][..., 32:]).max() <= 1
        said = " ".join(capsys.readouterr().err.split())
        if name == "more":
            assert "invented detail: 50 %, 100 % in mask left of what regrow drew" in said
    assert np.abs(made["all"] - made["none"]).max() > 3
    again = tmp_path / "again.mkv"
    assert (
        run(clip, again, "--mask", "left=rect:0,0,32,48,regrow=100", *how, "--frames", "2-3") == 0
    )
    assert np.array_equal(read(again), made["inside"][2:])


def test_a_share_inside_a_mask_is_refused_as_evidence_too(clip: Path, tmp_path: Path) -> None:
    words = ("--preset", "surveillance", "--mask", "left=rect:0,0,32,48,regrow=100")
    assert run(clip, tmp_path / "out.mkv", *words) == 2


def test_evidence_is_not_invented(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.toml"
    own.write_text('schema = 1\nabout = "Mine."\ninherit = "surveillance"\nevidence = false\n')
    for preset in ("surveillance", "surveillance+light", str(own)):
        assert run(clip, tmp_path / "out.mkv", "--preset", preset, "--regrow", "50") == 2
        told = capsys.readouterr().err
        assert "is for evidence, and regrow invents detail" in told and "E02195" in told
    assert not (tmp_path / "out.mkv").exists()
    assert not regrown(resolve(load("surveillance"), [Layer("", parse_regrow("0"))]))


def test_no_preset_of_ours_and_no_other_parameter_switches_it_on() -> None:
    for name in shipped():
        assert not any(regrown(resolve(load(name), speed=speed)) for speed in SPEEDS)
    asked = {"regrow.steps": "12", "regrow.method": "posterior"}
    chain = resolve(load("auto"), [Layer("", asked)])
    assert not regrown(chain)
    assert idle(chain, asked) == ("regrow.steps = 12 does nothing: regrow is off",)
    assert regrown(resolve(load("auto"), [Layer("", parse_regrow("100"))]))


@pytest.mark.parametrize("typed", ["101", "-1", "much", "nan", ""])
def test_a_share_is_a_percentage(typed: str) -> None:
    with pytest.raises(UsageError, match="want a number from 0 to 100") as caught:
        parse_regrow(typed)
    assert "percentage of the invented detail" in caught.value.hint


def test_a_map_of_what_is_invented_needs_something_invented(clip: Path, tmp_path: Path) -> None:
    words = ("--matte", "invented", "--matte-out", str(tmp_path / "map.mkv"))
    assert run(clip, tmp_path / "out.mkv", *words) == 2


@pytest.mark.parametrize(
    "words", [(), ASKED, ("--regrow", "60", "--set", "regrow.samples=3", "--seed", "7")]
)
def test_uncertainty_takes_several_pictures_that_are_drawn(
    words: tuple[str, ...], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = ("--matte", "uncertainty", "--matte-out", str(tmp_path / "map.mkv"))
    assert run(clip, tmp_path / "out.mkv", *words, *shown) == 2
    assert "has nothing to show" in capsys.readouterr().err
    if words == ASKED:
        assert run(clip, tmp_path / "out.mkv", *words, "--set", "regrow.samples=2", *shown) == 0
        assert read(tmp_path / "map.mkv").mean() > 0
