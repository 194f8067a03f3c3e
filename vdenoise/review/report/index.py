"""The page of a batch: each clip with its picture and its worst gate, and the way to its report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from vdenoise.batch.outcome import Outcome
from vdenoise.machine.files import write_text
from vdenoise.media.access import writing
from vdenoise.review.report.html import render
from vdenoise.review.report.summary import Summary, report_path, summary_in
from vdenoise.settings.text import counted
from vdenoise.workflows.recipe import load_recipe

INDEX = "vdenoise-batch.html"
_NOT_DONE = ("failed", "conflict")
_LOOK_FIRST = 3  # clips at the head of the page, where there are more of them


@dataclass(frozen=True)
class IndexRow:
    """One clip of the index."""

    name: str
    state: str
    why: str
    link: str  # of its report, from the index
    summary: Summary | None
    rank: float  # in the order of the worst first


def write_index(folder: Path, outcomes: Sequence[Outcome]) -> Path:
    """Write the index of a batch beside its outputs, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    above = _folder_of([outcome.job.source for outcome in outcomes])
    rows = [_row(outcome, folder, above) for outcome in outcomes]
    rows.sort(key=lambda row: -row.rank)
    failed = sum(row.state in _NOT_DONE for row in rows)
    bad = sum(row.summary is not None and bool(row.summary.failed) for row in rows)
    judged = [row for row in rows if row.summary is not None]
    words = counted(len(rows), "clip")
    words += f", {failed} not done" if failed else ""
    words += f", {bad} with a failed gate" if bad else ""
    page = render(
        "index.html",
        styles=("page.css",),
        scripts=("index.js",),
        title=folder.name or str(folder),
        above=above,
        words=words,
        troubled=bool(failed or bad),
        rows=rows,
        lost=[row for row in rows if row.state in _NOT_DONE],
        first=judged[:_LOOK_FIRST] if len(judged) > _LOOK_FIRST else [],
    )
    target = folder / INDEX
    with writing(target):
        write_text(target, page)
    return target


def _folder_of(clips: Sequence[Path]) -> str:
    """The folder that all clips lie in or below; empty where there is none to be said."""
    try:
        found = os.path.commonpath([clip.parent for clip in clips])
    except ValueError:  # some are named from the root, others from here
        return ""
    return "" if found in (os.sep, ".") else found


def _row(outcome: Outcome, folder: Path, above: str) -> IndexRow:
    page = report_path(outcome.job.output)
    summary, why = summary_in(page), outcome.why
    if outcome.state == "done":
        recipe = load_recipe(outcome.job.output)
        if summary is None:
            why = "no report: it was done before without one"
        elif recipe is None or recipe["output"]["sha256"] != summary.made:
            summary, why = None, "its report is that of an earlier result"
    else:
        summary = None
    rank = 1e9 if summary is None and outcome.state != "done" else -1.0
    return IndexRow(
        outcome.job.name.removeprefix(above + os.sep) if above else outcome.job.name,
        outcome.state,
        why,
        quote(os.fsencode(os.path.relpath(page, folder))),
        summary,
        rank if summary is None else summary.worst,
    )
