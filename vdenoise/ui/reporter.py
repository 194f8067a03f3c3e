"""Notes, warnings and progress.

Progress is a bar on a terminal, plain lines elsewhere (at most one in 2 seconds and in 1 percent),
the lines of Open Job Description under it, or one JSON object a line.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Self

from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from vdenoise.errors import Interrupted, VdenoiseError
from vdenoise.settings.choices import ProgressStyle
from vdenoise.ui.output import event, one_line, stderr

_LINE_SECONDS = 2.0
_LINE_SHARE = 0.01
_OTHERS_SECONDS = 10.0  # between two lines about processes at work at the same time
_PATIENCE_SECONDS = 2.0  # that reading a file may take in silence
_MIB = 1 << 20
_READ = "read"
_OPENJD = "OPENJD_SESSION_WORKING_DIR"  # set by the runtime of Open Job Description


class Reporter:
    """Notes, warnings and progress of one command. A context manager."""

    def __init__(self, style: ProgressStyle = "auto") -> None:
        if style == "auto" and _OPENJD in os.environ:
            style = "openjd"
        elif style == "auto":
            style = "bar" if sys.stderr.isatty() else "plain"
        self.style = style
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._phase, self._frames, self._done, self._unit = "", 0, 0, "fps"
        self._name, self._whole, self._earlier = "", 0, 0
        self._others: dict[str, TaskID] = {}
        self._share = _LINE_SHARE
        self._started = self._last_time = 0.0
        self._last_done = self._begun = 0
        self._opened: float | None = None  # when the file that is being read was opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, problem: BaseException | None, _trace: object) -> None:
        self._stop_bar()
        if isinstance(problem, VdenoiseError):
            self._fail(problem)

    def _fail(self, problem: VdenoiseError) -> None:
        code = problem.status if isinstance(problem, Interrupted) else problem.exit_code
        if self.style == "openjd":
            self._line(f"openjd_fail: {problem.code} [exit {code}] {one_line(problem.what)}")

    def expect(self, frames: int, lines: int = round(1 / _LINE_SHARE)) -> None:
        """Several passes over ``frames`` frames in all follow: they count as one, with at most so
        many lines of progress."""
        self._whole, self._earlier, self._done = frames, 0, 0
        self._share = 1 / lines
        self._started = self._last_time = time.monotonic()
        self._last_done = 0

    def name(self, text: str) -> None:
        """What the next passes are about, such as ``segment 3``."""
        self._name = text

    def note(self, text: str) -> None:
        """Something good to know."""
        self._say("note", text, "")

    def warn(self, text: str) -> None:
        """Something the user should act on or accept."""
        self._say("warning", text, "[yellow]warning:[/yellow] ")

    def event(self, name: str, **values: Any) -> None:
        """An event for programs; people do not see it."""
        if self.style == "json":
            event(name, **values)

    def start(self, phase: str, frames: int, *, done: int = 0, unit: str = "fps") -> None:
        """A pass over ``frames`` frames (or steps) begins, or goes on after ``done`` of them."""
        self._stop_bar()
        if self._whole:
            self._earlier += self._done
        else:
            self._started = self._last_time = time.monotonic()
            self._last_done = self._begun = done
        self._phase = f"{self._name}: {phase}" if self._name else phase
        self._frames, self._done, self._unit = frames, done, unit
        self.event("start", phase=self._phase, frames=frames)
        if self.style == "openjd":
            self._line(f"openjd_status: {self._phase}, {frames} frames")
        if self.style == "bar":
            self._bar = _bar(TimeRemainingColumn())
            self._task = self._bar.add_task(self._phase, total=frames, completed=done, extra="")
            self._bar.start()

    def read(self, done: int, total: int) -> None:
        """So many of the bytes of a file have been read. Said where it takes longer than a moment:
        a movie of a hundred gigabytes is read from end to end before anything else begins."""
        now = time.monotonic()
        if self._opened is None:
            self._opened = now
        if now - self._opened < _PATIENCE_SECONDS:
            return
        begun, whole = -(-done // _MIB), -(-total // _MIB)  # begun ones count: the last is one
        if self._phase != _READ:
            self.start(_READ, whole, done=begun, unit="MiB/s")
        if begun > self._done:
            self._advance(begun - self._done, {}, {})

    def advance(self, busy: Mapping[str, float], numbers: Mapping[str, float] = {}) -> None:
        """One frame more is done.

        Args:
            busy: seconds of work so far, by kind.
            numbers: others worth showing, by name.
        """
        self._advance(1, busy, numbers)

    def _advance(self, more: int, busy: Mapping[str, float], numbers: Mapping[str, float]) -> None:
        self._done += more
        if self.style == "none":
            return
        done, total = self._earlier + self._done, self._whole or self._frames
        now = time.monotonic()
        elapsed = max(now - self._started, 1e-6)
        fps = (done - self._begun) / elapsed
        shares = {} if self._whole else {kind: value / elapsed for kind, value in busy.items()}
        pace = _pace(fps, self._unit, shares, numbers)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, extra=pace)
            return
        steps = done - self._last_done
        if done != total and (now - self._last_time < _LINE_SECONDS or steps < self._share * total):
            return
        self._last_time, self._last_done = now, done
        eta = (total - done) / fps
        self.event(
            "progress",
            phase=self._phase,
            done=done,
            total=total,
            fps=round(fps, 2),
            eta_s=round(eta, 1),
            busy={kind: round(share, 2) for kind, share in shares.items()},
            **numbers,
        )
        percent = 100 * done / total
        if self.style == "openjd":
            self._line(f"openjd_progress: {percent:.1f}")
            self._line(f"openjd_status: {self._phase}, {pace}, {eta:.0f} s left")
        if self.style == "plain":
            self._line(f"{self._phase}: {percent:.0f}% ({done}/{total}), {pace}, {eta:.0f} s left")

    def other(self, name: str, phase: str, done: int, total: int, pace: str) -> None:
        """How far a process is, of several at work at the same time: a bar for each, elsewhere a
        line now and then. Programs get the processes' own events."""
        if self.style == "bar":
            if self._bar is None:
                self._bar = _bar()
                self._bar.start()
            if name not in self._others:
                self._others[name] = self._bar.add_task("", total=total, extra="")
            text = escape(one_line(f"{name}: {phase}"))
            self._bar.update(
                self._others[name], description=text, completed=done, total=total, extra=pace
            )
        elif self.style in ("plain", "openjd"):
            now = time.monotonic()
            if now - self._last_time >= _OTHERS_SECONDS:
                self._last_time = now
                mark = "openjd_status: " if self.style == "openjd" else ""
                share = f"{100 * done / max(total, 1):.0f}% ({done}/{total})"
                self._line(f"{mark}{one_line(name)}: {phase}: {share}, {pace}")

    def other_ended(self, name: str) -> None:
        """One of these processes has ended."""
        task = self._others.pop(name, None)
        if self._bar is not None and task is not None:
            self._bar.remove_task(task)

    def _line(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def finish(self, text: str, **values: Any) -> None:
        """The last words of a command that went well."""
        self._stop_bar()
        self.event("done", **values)
        if self.style not in ("json", "none"):
            stderr().print(self._mark + escape(one_line(text)))

    def _say(self, event: str, text: str, mark: str) -> None:
        self.event(event, text=text)
        if self.style == "json" or (self.style == "none" and event == "note"):
            return
        console = self._bar.console if self._bar is not None else stderr()
        console.print(self._mark + mark + escape(one_line(text)))

    @property
    def _mark(self) -> str:
        """Keeps a text from being taken for a command of Open Job Description."""
        return "vdenoise: " if self.style == "openjd" else ""

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar(*more: ProgressColumn) -> Progress:
    """A bar that is not shown yet; its tasks have the field ``extra``."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        *more,
        TextColumn("{task.fields[extra]}"),
        console=stderr(),
    )


def _pace(fps: float, unit: str, shares: Mapping[str, float], numbers: Mapping[str, float]) -> str:
    """``4.2 fps, decode 3 % denoise 95 % encode 4 %``: who is busy how much of the time."""
    busy = " ".join(f"{kind} {100 * share:.0f}%" for kind, share in shares.items())
    shown = [f"{name} {value:.4g}" for name, value in numbers.items()]
    return ", ".join([f"{fps:.3g} {unit}", *filter(None, [busy]), *shown])
