"""What a command does when it is asked to end: people, terminals and farms ask differently."""

from __future__ import annotations

import os
import signal
import sys
import time
import weakref

import pytest

from vdenoise import cli
from vdenoise.cli import signals


def test_the_end_of_a_terminal_stops_a_command_but_under_nohup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_status", lambda _: os.kill(os.getpid(), signal.SIGHUP) or 0)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert cli.status([]) == 0
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        assert cli.status([]) == 129
        assert "[exit 129]" in capsys.readouterr().err
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGUSR1, "Terminated by SIGUSR1"),
        (signal.SIGUSR2, "Terminated by SIGUSR2"),
        (signal.SIGXCPU, "Out of the processor time"),
    ],
)
def test_what_farms_send_before_they_kill_ends_a_command_with_a_word(
    number: signal.Signals,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They ended it without one, and left what was unfinished."""
    monkeypatch.setattr(cli, "_status", lambda _: os.kill(os.getpid(), number) or 0)
    assert cli.status([]) == 128 + number
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"[exit {128 + number}] {said}" in last
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_request_to_end_that_python_drops_is_made_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A task went on to its end, and whoever had stopped it waited."""

    class Thing:
        """Somebody wants to know when it goes."""

    def work(_args: object) -> int:
        thing = Thing()
        kept = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
        del thing
        time.sleep(60)
        return 0 if kept else 1

    monkeypatch.setattr(cli, "_status", work)
    before = sys.unraisablehook
    assert cli.status([]) == 143
    assert "E13001 [exit 143] Terminated" in capsys.readouterr().err
    assert sys.unraisablehook is before


def test_processor_time_that_goes_on_running_out_is_one_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system says so once a second, until it kills."""
    ended = []

    def work(_args: object) -> int:
        try:
            os.kill(os.getpid(), signal.SIGXCPU)
        finally:
            monkeypatch.setattr(signals, "_ONE_REQUEST_SECONDS", -1.0)
            os.kill(os.getpid(), signal.SIGXCPU)
            ended.append(True)
        return 0

    monkeypatch.setattr(cli, "_status", work)
    assert cli.status([]) == 152 and ended
