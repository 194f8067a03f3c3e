"""What was asked for and cannot be, or does nothing, is said; and what masks and guards did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.clips import Clip, write
from vdenoise import cli

FAST = ("--speed", "veryfast", "--sigma", "9", "--cuts", "off")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(Clip("in.mkv", codec="ffv1", frames=4), tmp_path)


def said(
    capsys: pytest.CaptureFixture[str], clip: Path, *words: str, status: int = 0
) -> tuple[str, dict[str, dict[str, float]]]:
    """Everything on stderr, in one line; and the recipe's result."""
    target = clip.with_name("out.mkv")
    args = ["run", str(clip), "-o", str(target), *FAST, *words, "--overwrite"]
    assert cli.status(args) == status
    recipe = target.with_name("out.mkv.vdenoise.json")
    found = json.loads(recipe.read_text())["result"] if status == 0 else {}
    return " ".join(capsys.readouterr().err.split()), found


REFUSED = {
    "a shape beside the picture": (
        ["--mask", "logo=rect:1640,40,220,90,mode=protect"],
        "mask.logo covers nothing of a picture of 64x48",
    ),
    "a shape without width": (["--mask", "logo=rect:10,10,0,20"], "mask.logo covers nothing"),
    "inverted too": (["--mask", "l=ellipse:-9,-9,3,3,invert=yes"], "mask.l covers nothing"),
    "a range backwards": (["--mask", "sky=luma:70-20"], "Say luma:20-70"),
    "a mask taken away that is not there": (
        ["-p", "interview", "--mask", "skn=none"],
        "There is no mask skn to take away. Did you mean skin?",
    ),
    "no masks at all": (["--mask", "skin=none"], "Masks so far: none."),
    "set twice": (
        ["--temporal-radius", "1", "--set", "temporal.radius=3"],
        "temporal.radius is set twice, by its own option and by --set.",
    ),
    "grain set twice": (["--grain", "keep:40", "--set", "grain.strength=1"], "grain.strength is"),
    "a matte without a file": (["--matte", "confidence", "--matte", "ghost"], "no --matte-out"),
    "a matte of a guard that is off": (
        ["--matte", "color", "--matte-out", "m.mkv", "--guards", "ghost"],
        "Switch it on with --guards ghost,color.",
    ),
}


@pytest.mark.parametrize(("words", "answer"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(
    words: list[str], answer: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer in said(capsys, clip, *words, status=2)[0]
    assert not clip.with_name("out.mkv").exists()


IDLE = {
    "a weight of no network": (
        ["--model", "none", "--model-weight", "0.5"],
        "net.weight = 0.5 does nothing: net is off",
    ),
    "a radius of nothing": (
        ["--temporal", "none", "--temporal-radius", "3"],
        "temporal.radius = 3 does nothing: temporal is off",
    ),
    "the ghost guard alone": (
        ["--temporal", "none", "--guards", "ghost,color"],
        "the ghost guard does nothing: temporal is off",
    ),
    "a share of no sharpening": (
        ["--mask", "m=rect:0,0,9,9,sharpen=20"],
        "mask.m: sharpen= does nothing, sharpen is off",
    ),
    "a mask without a picture": (
        ["--mask", "m=rect:0,0,9,9", "--mask", "n=rect:30,30,9,9,combine=multiply"],
        "the mask m covers nothing of these frames",
    ),
}


@pytest.mark.parametrize(("words", "answer"), IDLE.values(), ids=IDLE)
def test_what_does_nothing_is_said_and_the_run_goes_on(
    words: list[str], answer: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"warning: {answer}" in said(capsys, clip, *words)[0]


@pytest.mark.parametrize(
    "words",
    [
        ["--temporal-radius", "0", "--model", "none"],
        ["--model-weight", "0"],
        ["--sharpen", "1", "--mask", "m=rect:0,0,9,9,sharpen=20"],
        ["-p", "interview", "--mask", "skin=none"],
        ["--grain", "keep:0", "--detail", "0"],
        ["-p", "surveillance", "--guards", "ghost"],
    ],
)
def test_nothing_is_said_of_what_is_as_asked(
    words: list[str], clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "warning" not in said(capsys, clip, *words)[0]


def test_a_run_says_what_masks_cover_and_what_guards_did(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = ("--mask", "logo=rect:0,0,32,24,mode=protect", "--mask", "low=rect:0,50%,100%,50%")
    guards = ("--guards", "color,structure,ghost", "--sigma-scale", "3")
    text, result = said(capsys, clip, *masks, *guards)
    assert "masks cover: logo 25 %, low 50 % of the picture" in text
    assert result["masks"] == {"logo": 25, "low": 50}
    found = result["guards"]
    assert set(found) == {
        *("drift", "drift_frame", "structure_share", "structure_share_frame"),
        *("structure_share_most", "ghost_share", "ghost_share_frame", "ghost_share_most"),
    }
    for name in ("structure_share", "ghost_share"):
        assert 0 <= found[name] <= found[f"{name}_most"] <= 100
        assert 0 <= found[f"{name}_frame"] < 4
    assert f"levels drifted by up to {found['drift']:.2f} of an 8-bit code (most: in" in text
    plain, result = said(capsys, clip)
    assert "guards:" not in plain and "masks cover" not in plain
    assert result["guards"] == {} == result["masks"]
