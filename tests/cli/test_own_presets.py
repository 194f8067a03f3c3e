"""A preset of one's own that is broken takes nothing else along; and where others are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vdenoise import cli
from vdenoise.chain.presets import load
from vdenoise.errors import TryAgain, UsageError
from vdenoise.farm import collect

ABOUT = 'schema = 1\nabout = "mine"\n'


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VDENOISE_PRESETS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "text", ["not toml [", ABOUT + "[output]\nluma = 999\n", "\0", "a=" + "[" * 9999, "schema = 9"]
)
def test_a_broken_preset_is_left_out_with_a_word(
    own: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "broken.toml").write_text(text)
    (own / "mine.toml").write_text(ABOUT)
    for command in ("presets", "doctor"):
        assert cli.status([command]) == 0, command
        said = capsys.readouterr()
        assert "mine" in said.out and "high-iso" in said.out
    assert "broken" in said.out + said.err or "luma = 999" in said.out
    assert cli.status(["presets", "show", "broken"]) == 2


def test_a_preset_that_is_a_pipe_is_left_out(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It was waited for; and what a preset inherits from was named without the preset."""
    os.mkfifo(own / "pipe.toml")
    (own / "lost.toml").write_text(ABOUT + 'inherit = "nothing-like-it"\n')
    assert cli.status(["presets"]) == 0
    said = capsys.readouterr().err
    assert "pipe.toml: It is a pipe. It is left out" in said
    assert "lost.toml: There is no preset 'nothing-like-it'" in said


def test_what_a_preset_inherits_from_lies_beside_it(
    own: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own / "deep").mkdir()
    (own / "base.toml").write_text(ABOUT + "[output]\nluma = 11\n")
    (own / "deep" / "one.toml").write_text(ABOUT + 'inherit = "../base.toml"\n')
    (own / "two.toml").write_text(ABOUT + 'inherit = "deep/one.toml"\n')
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "base.toml").write_text(ABOUT + "[output]\nluma = 99\n")
    monkeypatch.chdir(elsewhere)
    assert load(str(own / "two.toml")).values["output.luma"] == 11
    assert [path.name for path in load("two").files] == ["two.toml", "one.toml", "base.toml"]


@pytest.mark.parametrize("parent", ["a.toml", "./a.toml", "x/../a.toml", "b.toml"])
def test_a_preset_is_not_its_own_ancestor(own: Path, parent: str) -> None:
    (own / "x").mkdir()
    (own / "a.toml").write_text(ABOUT + f'inherit = "{parent}"\n')
    (own / "b.toml").write_text(ABOUT + 'inherit = "x/../a.toml"\n')
    with pytest.raises(UsageError, match="cannot inherit"):
        load(str(own / "a.toml"))


def test_a_measurement_that_is_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [TryAgain("not yet", "", number=1), TryAgain("not yet", "", number=1), "analysis"]

    def analysis_of(_: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, TryAgain):
            raise answer
        return answer

    monkeypatch.setattr(collect, "analysis_of", analysis_of)
    monkeypatch.setattr(collect, "POLL_SECONDS", 0.001)
    with pytest.raises(TryAgain) as caught:
        collect._awaited(object(), 0)  # type: ignore[arg-type]
    assert caught.value.exit_code == 75
    assert collect._awaited(object(), float("inf")) == "analysis"  # type: ignore[arg-type, comparison-overlap]
