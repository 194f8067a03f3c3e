"""Help that a person can read, ``run IN OUT``, and what shells offer when Tab is pressed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import click
import numpy as np
import pytest

from tests.cli.test_claims import COMMANDS, FAST
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.cli.chain import OWN_NETWORKS
from vdenoise.cli.help import FEW, FIRST, GROUPS, option_name
from vdenoise.nets.models import FOLDER, SHIPPED

IN_GROUPS = {name for names in GROUPS.values() for name in names.split()}
OPTIONS = {
    name: [p for p in command.params if isinstance(p, click.Option)]
    for name, command in COMMANDS.items()
}
LARGE = [name for name, options in OPTIONS.items() if len(options) > FEW]


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert call(*args) == 0
    return capsys.readouterr().out


def options_in(text: str) -> list[str]:
    return re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, flags=re.MULTILINE)


# -- groups ----------------------------------------------------------------------------------


def test_each_option_has_its_place_and_each_place_an_option() -> None:
    there = {option_name(option) for options in OPTIONS.values() for option in options}
    large = {
        option_name(o) for options in OPTIONS.values() if len(options) > FEW // 2 for o in options
    }
    assert large <= IN_GROUPS
    assert there | {"--help", "--help-all"} >= IN_GROUPS
    assert IN_GROUPS >= FIRST
    assert sum(len(names.split()) for names in GROUPS.values()) == len(IN_GROUPS)


@pytest.mark.parametrize("name", LARGE)
def test_help_shows_what_matters_first_and_all_on_request(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = shown(capsys, *name.split(), "--help")
    whole = shown(capsys, *name.split(), "--help-all")
    expected = {option_name(option) for option in OPTIONS[name]} | {"--help", "--help-all"}
    assert set(options_in(whole)) == expected
    assert 6 <= len(options_in(first)) <= 20
    assert set(options_in(first)) < expected
    required = {option_name(option) for option in OPTIONS[name] if option.required}
    assert required <= set(options_in(first))
    more = len(expected) - len(options_in(first))
    assert f"{more} more options: vdenoise {name} --help-all" in first
    assert "more options" not in whole


def test_the_help_of_run_is_grouped_in_the_order_of_the_work(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = shown(capsys, "run", "--help-all")
    titles = re.findall(r"^([A-Z][a-z]+):$", whole, flags=re.MULTILINE)
    wanted = "Input Strength Where Repair Stages Finishing Output Farm Messages"
    assert " ".join(titles) == wanted
    assert {"--preset", "--luma", "--grain", "--overwrite"} <= set(
        options_in(shown(capsys, "run", "--help"))
    )
    assert "RANGE" not in whole and "x>=" not in whole and "<=" not in whole


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in LARGE])
def test_small_commands_show_everything(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, *name.split(), "--help")
    assert set(options_in(text)) == {option_name(option) for option in OPTIONS[name]} | {"--help"}


def test_help_stays_within_the_width_of_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in LARGE:
        assert max(map(len, shown(capsys, *name.split(), "--help-all").splitlines())) <= 80


# -- run IN OUT ------------------------------------------------------------------------------


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(Clip("in.mkv", codec="ffv1", frames=2, size=(64, 48)), tmp_path)


def test_the_output_may_stand_behind_the_input(clip: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.mkv", tmp_path / "other.mkv"
    assert call("run", clip, one, *FAST) == 0
    assert call("run", clip, "-o", other, *FAST) == 0
    with av.open(one) as made, av.open(other) as wanted:
        pairs = zip(made.decode(video=0), wanted.decode(video=0), strict=True)
        assert all(np.array_equal(a.to_ndarray(), b.to_ndarray()) for a, b in pairs)


def test_an_output_behind_the_input_is_not_replaced_without_asking(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mkv"
    out.write_bytes(b"precious")
    assert call("run", clip, out, *FAST) == 4
    assert "--overwrite" in capsys.readouterr().err and out.read_bytes() == b"precious"
    assert call("run", clip, clip, "--overwrite", *FAST) == 2
    assert call("run", clip, out, "--overwrite", *FAST) == 0
    assert out.read_bytes() != b"precious"


def test_two_outputs_are_one_too_many(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "one.mkv", tmp_path / "other.mkv"
    assert call("run", clip, one, "-o", other, *FAST) == 2
    said = capsys.readouterr().err
    assert str(one) in said and str(other) in said
    assert not one.exists() and not other.exists()


def test_the_command_line_wins_over_the_variable(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VDENOISE_OUTPUT", str(tmp_path / "other.mkv"))
    assert call("run", clip, tmp_path / "one.mkv", *FAST) == 0
    assert (tmp_path / "one.mkv").exists() and not (tmp_path / "other.mkv").exists()


def test_without_an_output_it_is_asked_for(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", clip) == 2
    assert "OUTPUT" in capsys.readouterr().err


# -- completion ------------------------------------------------------------------------------

SHELLS = {
    "bash": """
        eval "$(_VDENOISE_COMPLETE=bash_source vdenoise)"
        COMP_WORDS=({words}) COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
        compopt() {{ echo "files"; }}
        _vdenoise_completion vdenoise
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """,
    "zsh": """
        compdef() {{ }}
        compadd() {{ print -l -- ${{(P)@[-1]}} }}
        _describe() {{ print -l -- ${{${{(P)@[-2]}}%%:*}} }}
        _path_files() {{ print files }}
        eval "$(_VDENOISE_COMPLETE=zsh_source vdenoise)"
        words=({words}) CURRENT=${{#words}}
        _vdenoise_completion
    """,
    "fish": """
        _VDENOISE_COMPLETE=fish_source vdenoise | source
        complete -C '{line}' | string replace -r '\\t.*' ''
    """,
}
Offered = Callable[[str, str], list[str]]


@pytest.fixture
def offered(tmp_path: Path) -> Offered:
    """What a shell offers at the end of a line; skips where the shell is not installed."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "vdenoise"
    root = Path(__file__).resolve().parents[2]
    program.write_text(
        f"#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} -c "
        '"import sys; sys.argv[0] = \'vdenoise\'; from vdenoise.cli import main; main()" "$@"\n'
    )
    program.chmod(0o755)
    (tmp_path / "noisy.mov").touch()

    def ask(shell: str, line: str) -> list[str]:
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        script = SHELLS[shell].replace("{{", "{").replace("}}", "}")
        script = script.replace("{words}", line).replace("{line}", line)
        done = subprocess.run(
            [shell, "-c", script],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": "/none"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.split()

    return ask


@pytest.mark.parametrize("shell", SHELLS)
def test_shells_complete(shell: str, offered: Offered) -> None:
    assert set(offered(shell, "vdenoise ba")) == {"batch"}
    assert set(offered(shell, "vdenoise run --temporal")) == {"--temporal", "--temporal-radius"}
    assert set(offered(shell, "vdenoise run --preset fi")) == {"film-scan"}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_offer_files_where_a_clip_is_wanted(shell: str, offered: Offered) -> None:
    assert offered(shell, "vdenoise run noi") == ["files"]


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("run --spatial wa", ["wavelet"]),
        ("run --speed very", ["veryfast", "veryslow"]),
        ("run --set net.ens", ["net.ensemble="]),
        ("run --model M", ["M"]),
        ("run --cuts a", ["auto"]),
        ("farm export --engine sl", ["slurm"]),
        ("batch --preset ani", ["anime"]),
    ],
)
def test_values_are_completed(line: str, there: list[str]) -> None:
    *words, begun = line.split()
    from click.shell_completion import ShellComplete

    found = ShellComplete(cli.cli, {}, "vdenoise", "_X").get_completions(words, begun)
    assert [item.value for item in found] == there


def test_the_networks_offered_are_those_that_come_along() -> None:
    assert (
        tuple(name for name, file in SHIPPED.items() if (FOLDER / f"{file}.safetensors").exists())
        == OWN_NETWORKS
    )
