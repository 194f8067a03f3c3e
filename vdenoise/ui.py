"""Everything printed: results on stdout, messages on stderr.

Progress is a bar on a terminal, plain lines elsewhere (at most one in 2 seconds and in 1 percent),
the lines of Open Job Description under it, or one JSON object a line. ``NO_COLOR`` and
``TERM=dumb`` are honored by rich.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from vdenoise.errors import Interrupted, VdenoiseError

Style = Literal["auto", "bar", "plain", "json", "openjd", "none"]

_PIPE_COLUMNS = 120  # width of tables where no terminal tells its own
_LINE_SECONDS = 2.0
_LINE_SHARE = 0.01
_OTHERS_SECONDS = 10.0  # between two lines about processes at work at the same time
_OPENJD = "OPENJD_SESSION_WORKING_DIR"  # set by the runtime of Open Job Description


def _stdout() -> Console:
    return Console(file=sys.stdout, highlight=False, soft_wrap=True)


def _stderr() -> Console:
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def result(text: str) -> None:
    """A result, as it is, on stdout; letters of names that are no UTF-8 as on stderr."""
    sys.stdout.write(text.encode(errors="backslashreplace").decode() + "\n")
    sys.stdout.flush()


def result_json(value: Any) -> None:
    """A result as JSON on stdout."""
    result(json.dumps(value, indent=1, ensure_ascii=False))


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A result as a table on stdout."""
    grid = Table(
        title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2)
    )
    for name in head:
        grid.add_column(name, overflow="fold")
    for row in rows:
        grid.add_row(*(escape(cell) for cell in row))
    width = None if sys.stdout.isatty() else _PIPE_COLUMNS
    Console(file=sys.stdout, highlight=False, width=width).print(grid)


def facts(title: str, values: Mapping[str, str]) -> None:
    """Names and values, one a line, on stdout."""
    if title:
        _stdout().print(f"[bold]{escape(title)}[/bold]")
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        result(f"  {name.ljust(width)}  {value}")


def error(problem: VdenoiseError, status: int, *, as_json: bool = False) -> None:
    """Say what happened and what to do; the last line is stable for log searches."""
    what, hint = (_one_line(text) for text in (problem.what, problem.hint))
    if as_json:
        event = {"event": "error", "code": problem.code, "exit": status, "what": what, "hint": hint}
        sys.stderr.write(json.dumps(event, ensure_ascii=False) + "\n")
    console = _stderr()
    if hint:
        console.print(f"[dim]hint:[/dim] {escape(hint)}")
    console.print(
        f"[bold red]vdenoise: error[/bold red] {problem.code} {escape(f'[exit {status}]')} "
        f"{escape(what)}"
    )


def _one_line(text: str) -> str:
    """A text that cannot begin another line: farms read commands from what stands at its start."""
    spaced = " ".join(text.split())
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in spaced)


def bug(problem: BaseException) -> None:
    """A bug of ours: the traceback, and a last line like any other error's."""
    sys.stderr.write("".join(traceback.format_exception(problem)))
    name = type(problem).__name__
    sys.stderr.write("hint: This is a bug of vdenoise: please report it with the lines above.\n")
    sys.stderr.write(f"vdenoise: error E0100 [exit 1] {name}: {' '.join(str(problem).split())}\n")


class Reporter:
    """Notes, warnings and progress of one command. A context manager."""

    def __init__(self, style: Style = "auto") -> None:
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, problem: BaseException | None, _trace: object) -> None:
        self._stop_bar()
        if isinstance(problem, VdenoiseError):
            self._fail(problem)

    def _fail(self, problem: VdenoiseError) -> None:
        what, hint = (_one_line(text) for text in (problem.what, problem.hint))
        code = problem.status if isinstance(problem, Interrupted) else problem.exit_code
        self.event("error", code=problem.code, exit=code, what=what, hint=hint)
        if self.style == "openjd":
            sys.stderr.write(f"openjd_fail: {problem.code} [exit {code}] {what}\n")
            sys.stderr.flush()

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
            line = {"v": 1, "ts": round(time.time(), 3), "event": name, **values}
            sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")
            sys.stderr.flush()

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

    def advance(self, busy: Mapping[str, float], numbers: Mapping[str, float] = {}) -> None:
        """One frame more is done.

        Args:
            busy: seconds of work so far, by kind.
            numbers: others worth showing, by name.
        """
        self._done += 1
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
            text = escape(_one_line(f"{name}: {phase}"))
            self._bar.update(
                self._others[name], description=text, completed=done, total=total, extra=pace
            )
        elif self.style in ("plain", "openjd"):
            now = time.monotonic()
            if now - self._last_time >= _OTHERS_SECONDS:
                self._last_time = now
                mark = "openjd_status: " if self.style == "openjd" else ""
                share = f"{100 * done / max(total, 1):.0f}% ({done}/{total})"
                self._line(f"{mark}{_one_line(name)}: {phase}: {share}, {pace}")

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
            _stderr().print(self._mark + escape(_one_line(text)))

    def _say(self, event: str, text: str, mark: str) -> None:
        self.event(event, text=text)
        if self.style == "json" or (self.style == "none" and event == "note"):
            return
        console = self._bar.console if self._bar is not None else _stderr()
        console.print(self._mark + mark + escape(_one_line(text)))

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
        console=_stderr(),
    )


def _pace(fps: float, unit: str, shares: Mapping[str, float], numbers: Mapping[str, float]) -> str:
    """``4.2 fps, decode 3 % denoise 95 % encode 4 %``: who is busy how much of the time."""
    busy = " ".join(f"{kind} {100 * share:.0f}%" for kind, share in shares.items())
    shown = [f"{name} {value:.4g}" for name, value in numbers.items()]
    return ", ".join([f"{fps:.3g} {unit}", *filter(None, [busy]), *shown])
