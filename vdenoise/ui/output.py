"""Results on stdout; errors, as their last words, on stderr."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vdenoise.errors import VdenoiseError

_BUG = "E0100"
_PIPE_COLUMNS = 120  # width of tables where no terminal tells its own


def _stdout() -> Console:
    return Console(file=sys.stdout, highlight=False, soft_wrap=True)


def stderr() -> Console:
    """Where messages go."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def result(text: str) -> None:
    """A result, as it is, on stdout; on a terminal no name commands it."""
    if sys.stdout.isatty():
        text = "\n".join(map(seen, text.split("\n")))
    # A name that is no text (old archives) is shown with its bytes as escapes.
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
        grid.add_row(*(escape(seen(cell)) for cell in row))
    width = None if sys.stdout.isatty() else _PIPE_COLUMNS
    Console(file=sys.stdout, highlight=False, width=width).print(grid)


def facts(title: str, values: Mapping[str, str]) -> None:
    """Names and values, one a line, on stdout."""
    if title:
        _stdout().print(f"[bold]{escape(one_line(title))}[/bold]")
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        result(f"  {name.ljust(width)}  {value}")


def event(name: str, **values: Any) -> None:
    """An event for programs, one JSON object a line."""
    line = {"v": 1, "ts": round(time.time(), 3), "event": name, **values}
    sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stderr.flush()


def error(problem: VdenoiseError, status: int, *, as_json: bool = False) -> None:
    """Say what happened and what to do; the last line is stable for log searches, or an event."""
    what, hint = (one_line(text) for text in (problem.what, problem.hint))
    if as_json:
        event("error", code=problem.code, exit=status, what=what, hint=hint)
        return
    console = stderr()
    if hint:
        console.print(f"[dim]hint:[/dim] {escape(hint)}")
    console.print(
        f"[bold red]vdenoise: error[/bold red] {problem.code} {escape(f'[exit {status}]')} "
        f"{escape(what)}"
    )


def one_line(text: str) -> str:
    """A text that cannot begin another line: farms read commands from what stands at its start."""
    spaced = " ".join(text.split())
    return seen(spaced)


def seen(text: str) -> str:
    """A text as it is to be seen: what none can show, or what would command a terminal or turn a
    line around, as Python writes it; a byte of a name that is no text as that byte."""
    return text if text.isprintable() else "".join(map(_letter, text))


def _letter(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def bug(problem: BaseException, *, as_json: bool = False) -> None:
    """A bug of ours: the traceback, and a last line like any other error's, or all as an event."""
    trace = "".join(traceback.format_exception(problem))
    what = one_line(f"{type(problem).__name__}: {problem}")
    hint = "This is a bug of vdenoise: please report it"
    if as_json:
        event("error", code=_BUG, exit=1, what=what, hint=f"{hint}.", traceback=trace)
        return
    sys.stderr.write(trace)
    sys.stderr.write(f"hint: {hint} with the lines above.\n")
    sys.stderr.write(f"vdenoise: error {_BUG} [exit 1] {what}\n")
