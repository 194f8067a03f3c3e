"""A log that nobody reads, or that is full, ends no work."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from tests.helpers.clips import Clip, write
from vdenoise import cli, ui
from vdenoise.machine.messages import Messages


def test_what_is_written_arrives_whole(tmp_path: Path) -> None:
    reads, writes = os.pipe()
    out = Messages(writes)
    assert out.write("é\udce9\n") == 3 and not out.isatty()
    assert os.read(reads, 99) == b"\xc3\xa9\\udce9\n"
    os.close(reads), os.close(writes)
    with (tmp_path / "log").open("wb") as file:
        Messages(file.fileno()).write("x" * 100_000)
    assert (tmp_path / "log").stat().st_size == 100_000


def test_where_the_reader_has_gone_it_goes_nowhere() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    Messages(writes).write("lost\n")
    assert os.write(writes, b"of a library") == 12  # no signal, no error
    os.close(writes)


def test_a_full_pipe_loses_lines_and_goes_on_when_it_is_read() -> None:
    reads, writes = os.pipe()
    out = Messages(writes, patience=0.01)
    out.write("x" * 1_000_000)
    assert 0 < len(os.read(reads, 1 << 20)) < 1_000_000
    out.write("again\n")
    assert os.read(reads, 99).endswith(b"\nagain\n")  # on a line of its own
    os.close(reads), os.close(writes)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_loses_lines() -> None:
    with open("/dev/full", "wb") as file:  # noqa: PTH123
        Messages(file.fileno()).write("lost\n")


@pytest.fixture
def quick_run(tmp_path: Path) -> list[str]:
    """The words of a run that measures nothing."""
    clip = write(Clip("in.mkv", "ffv1", frames=4, time_base=Fraction(1, 1000)), tmp_path)
    words = ["run", str(clip), "-o", str(tmp_path / "out.mkv"), "--sigma", "8", "--cuts", "off"]
    return [*words, "--speed", "veryfast", "--spatial", "gaussian", "--progress", "json"]


def test_a_run_whose_log_was_closed_makes_its_clip(quick_run: list[str], tmp_path: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "vdenoise", *quick_run]
    done = subprocess.run(command, stderr=writes, check=False, timeout=120)
    os.close(writes)
    assert done.returncode == 0 and (tmp_path / "out.mkv").exists()


class _HangsUp(io.StringIO):
    """A log whose terminal ends while a run is told of."""

    def write(self, text: str, /) -> int:
        if '"progress"' in text:
            signal.raise_signal(signal.SIGHUP)
        return super().write(text)


def test_a_run_that_is_hung_up_says_so_in_its_last_event_and_leaves_nothing(
    quick_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = _HangsUp()
    monkeypatch.setattr(sys, "stderr", log)
    assert cli.status(quick_run) == 129
    last = json.loads(log.getvalue().splitlines()[-1])
    assert last["event"] == "error" and last["exit"] == 129
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv"}


@pytest.mark.parametrize("words", [("run",), ("runn",), ("run", "gone.mov", "-o", "x.mov")])
def test_the_last_event_of_any_failure_is_json(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.status([*words, "--progress=json"])
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert event["event"] == "error" and event["exit"] == code and event["hint"]


CLOSED = """
import sys
from vdenoise.machine import messages, process
process.fill_closed_streams()
messages.keep_talking()
with open("own.txt", "w") as file:
    print("a message", file=sys.stderr)
    print("another")
    file.write("own")
"""


def test_results_are_utf8_in_any_locale(tmp_path: Path) -> None:
    say = "from vdenoise import ui; from vdenoise.machine.messages import keep_talking;"
    say += r"keep_talking(); ui.table('', ['a'], [['\xe9']]); ui.result('\xe9\udcff')"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", say], env={**os.environ, **plain}, capture_output=True, check=True
    )
    assert done.stdout.split() == [b"a", "é".encode(), "é".encode() + rb"\udcff"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a  \u00e9.mkv", "a  \u00e9.mkv"),
        ("\x1b]0;x\a\n", r"\x1b]0;x\x07\n"),
        ("\u202egpj.mkv", r"\u202egpj.mkv"),
        ("\udcff.mkv", r"\xff.mkv"),
    ],
)
def test_no_name_commands_a_terminal(
    text: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ui.seen(text) == shown
    ui.table("", ["name"], [[text]])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    ui.result(text)
    out = capsys.readouterr().out
    assert shown in out and (text == shown or text not in out)


def test_what_is_said_to_closed_streams_goes_into_no_file(tmp_path: Path) -> None:
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(CLOSED)} >&- 2>&-"
    assert subprocess.run(line, shell=True, cwd=tmp_path).returncode == 0
    assert (tmp_path / "own.txt").read_text() == "own"
