"""Variables of the environment that look like ours are read, or it is said that they are not."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.fuzz.situations import call
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.chain.preset_files import FOLDER_VARIABLE
from vdenoise.cli.variables import take_strangers
from vdenoise.compiled import SWITCH, TORCH_PATHS
from vdenoise.machine.path_map import VARIABLE
from vdenoise.machine.process import EXIT_VARIABLE, PARENT_VARIABLE

QUICK = ("--speed", "veryfast", "--temporal", "none", "--sigma", 5, "--cuts", "off")
Patch, Capture = pytest.MonkeyPatch, pytest.CaptureFixture[str]


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: Patch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write(Clip("a.mkv", "ffv1", frames=2), tmp_path)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("VDENOISE_LUMMA", " Did you mean VDENOISE_LUMA?"),
        ("VDENOISE_TEMPORAL_RADUIS", " Did you mean VDENOISE_TEMPORAL_RADIUS?"),
        ("VDENOISE_PATHMAP", " Did you mean VDENOISE_PATH_MAP?"),
        ("VDENOISE_XYZZY", ""),
    ],
)
def test_a_mistyped_variable_is_said_with_the_one_that_is_meant(
    name: str, meant: str, clip: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    """It was passed over without a word, and the clip made with what it should have changed."""
    monkeypatch.setenv(name, "1")
    assert call("run", clip, "-o", "z.mkv", *QUICK) == 0
    said = capsys.readouterr().err
    assert said.count(f"warning: {name} is set in the environment, and nothing reads it.{meant}\n")


def test_a_batch_says_it_once_and_as_programs_want_it(
    clip: Path, tmp_path: Path, monkeypatch: Patch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VDENOISE_LUMMA", "1")
    assert call("batch", clip, "-o", "out", *QUICK, "--progress", "json") == 0
    events = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [e["text"] for e in events if "LUMMA" in str(e)] == [
        "VDENOISE_LUMMA is set in the environment, and nothing reads it. "
        "Did you mean VDENOISE_LUMA?"
    ]


@pytest.mark.parametrize("name", ["VDENOISE_ROOT", "VDENOISE_VERSION", "VDENOISE_SERVICE_HOST"])
def test_what_a_site_calls_its_places_is_no_mistake(name: str, monkeypatch: Patch) -> None:
    monkeypatch.setenv(name, "/opt/vdenoise")
    assert not take_strangers(cli.cli) and name in os.environ


def test_everything_that_is_read_is_known(monkeypatch: Patch) -> None:
    others = (SWITCH, TORCH_PATHS, FOLDER_VARIABLE, VARIABLE, EXIT_VARIABLE, PARENT_VARIABLE)
    options = (option.envvar for option in cli.run.params if option.envvar)
    for name in (*others, *options):
        monkeypatch.setenv(str(name), "1")
    assert not take_strangers(cli.cli)
    source = Path(cli.__file__).parents[1]
    for path in source.rglob("*.py"):
        for name in re.findall(r'"(VDENOISE_[A-Z_]+)"', path.read_text(encoding="utf-8")):
            assert name in others, path


def test_variables_of_tests_are_left_to_them(monkeypatch: Patch, capsys: Capture) -> None:
    """They were said, and taken away from the tests that came later."""
    for name in ("VDENOISE_SLURM", "VDENOISE_REQUIRE_CUDA", "VDENOISE_BENCH_VAPOURSYNTH"):
        monkeypatch.setenv(name, "1")
    assert call("presets") == 0
    assert "nothing reads it" not in capsys.readouterr().err
    assert os.environ["VDENOISE_REQUIRE_CUDA"] == "1"
