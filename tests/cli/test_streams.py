"""Standard streams that are closed, full or pipes, and files that other editors wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import image_files as files
from vdenoise.batch.lists import tables
from vdenoise.chain.presets import load
from vdenoise.errors import UsageError
from vdenoise.motion.cuts import read_cuts
from vdenoise.picture.noise import NoiseProfile

GIVEN = ("--speed", "veryfast", "--temporal-radius", "0", "--spatial", "gaussian")
GIVEN = (*GIVEN, "--sigma", "5", "--cuts", "off")


@pytest.mark.parametrize(
    ("redirected", "code", "words"),
    [
        ("run - -o out.mkv <&-", 3, "error E0335 [exit 3] Standard input is closed."),
        ("run a.gif -o - >&-", 4, "error E0414 [exit 4] Standard output is closed."),
        ("presets >/dev/full", 4, "error E0405 [exit 4] Standard output"),
        ("run a.png -o out.png 2>&-", 0, ""),
    ],
)
def test_a_closed_or_full_stream_ends_in_a_sentence(
    redirected: str, code: int, words: str, tmp_path: Path
) -> None:
    files.png(tmp_path / "a.png")
    files.gif(tmp_path / "a.gif", 2, timed=True)
    options = " ".join(GIVEN) if redirected.startswith("run") else ""
    verb, _, rest = redirected.partition(" ")
    line = f"{sys.executable} -m vdenoise {verb} {options} {rest}"
    done = subprocess.run(line, shell=True, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert done.returncode == code
    assert words in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "out.png").exists() == (code == 0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_mark_of_the_byte_order_is_no_content(encoding: str, tmp_path: Path) -> None:
    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_bytes(("\ufeff" + text).encode(encoding))
        return tmp_path / name

    preset = 'schema = 1\r\nabout = "ein stilles Stück"\r\ninherit = "auto"\r\n'
    assert load(str(write("mine.toml", preset))).about == "ein stilles Stück"
    assert read_cuts(write("cuts.txt", "12\r\n40\r\n")) == (12, 40)
    white = NoiseProfile.white(0.02)
    assert NoiseProfile.load(write("noise.json", white.model_dump_json())) == white
    jobs = write("jobs.toml", '[[job]]\ninput = "a.mov"\n')
    assert [job["input"] for job in tables(jobs, (), {})] == ["a.mov"]


def _shape(data: dict) -> None:
    data["shots"][0]["y"]["spectrum"] = [[1.0] * 8] * 8


def _ragged(data: dict) -> None:
    data["shots"][0]["y"]["spectrum"][3] = [1.0] * 15


def _number(value: float):
    def change(data: dict) -> None:
        data["shots"][0]["y"]["spectrum"][2][2] = value

    return change


def _zeros(data: dict) -> None:
    data["shots"][0]["y"]["spectrum"] = [[0.0] * 16] * 16


def _sigma(value: float):
    def change(data: dict) -> None:
        data["shots"][0]["y"]["sigma"][2] = value

    return change


def _shots(*ranges: tuple[int, int]):
    def change(data: dict) -> None:
        data["shots"] = [{**data["shots"][0], "first": a, "last": b} for a, b in ranges]

    return change


def _half_a_pair(data: dict) -> None:
    data["shots"][0]["cb"] = data["shots"][0]["y"]


def _places(*rows: list[float]):
    def change(data: dict) -> None:
        data["shots"][0]["places"] = rows

    return change


def _moments(*frames: int):
    def change(data: dict) -> None:
        data["shots"][0]["moments"] = [(frame, 0.5) for frame in frames]

    return change


def _of_fields(change):
    """The same of the bottom fields."""

    def both(data: dict) -> None:
        bottom = {"shots": json.loads(json.dumps(data["shots"]))}
        change(bottom)
        data["bottom"] = bottom["shots"]

    return both


@pytest.mark.parametrize(
    "change",
    [
        *map(_of_fields, (_half_a_pair, _shots((5, 3)), _shots((0, 9), (2, 4)))),
        *(_shape, _ragged, _zeros, _half_a_pair),
        *(_places([1, 0.5], [1]), _places([]), _moments(5, 2), _moments(3, 3)),
        *(_number(v) for v in (float("nan"), float("inf"), -0.1)),
        *(_sigma(v) for v in (float("nan"), float("inf"), -0.1)),
        *(_shots(*r) for r in (((5, 3),), ((0, 9), (9, 20)), ((10, 20), (0, 9)), ((0, 9), (2, 4)))),
    ],
)
def test_a_profile_that_cannot_be_is_refused_with_the_place(change, tmp_path: Path) -> None:
    data = json.loads(NoiseProfile.white(0.02).model_dump_json())
    change(data)
    path = tmp_path / "noise.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match="not a noise profile"):
        NoiseProfile.load(path)


def test_a_profile_nested_beyond_reason_is_refused(tmp_path: Path) -> None:
    (tmp_path / "noise.json").write_text("[" * 200_000)
    with pytest.raises(UsageError, match="nested too deeply"):
        NoiseProfile.load(tmp_path / "noise.json")


def test_shots_that_follow_each_other_are_a_profile(tmp_path: Path) -> None:
    data = json.loads(NoiseProfile.white(0.02).model_dump_json())
    _shots((0, 9), (10, 20), (25, 30))(data)
    (tmp_path / "noise.json").write_text(json.dumps(data))
    assert len(NoiseProfile.load(tmp_path / "noise.json").shots) == 3


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """``vdenoise stages | head -1`` ended with 1, the status of a bug, and without a word."""
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", "vdenoise", "stages"],
        stdout=writes,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (0, b"")
