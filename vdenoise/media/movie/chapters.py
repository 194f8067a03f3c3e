"""Chapters: moved and cut to the part that is written, and what containers make of them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from av.container import InputContainer

from vdenoise.media.movie.clock import Clock

_BEGIN_AT_ZERO = ("mov", "mp4")  # the first chapter is read from 0 on: readers know no pause there

Chapters = Sequence[tuple[int, str]]


def chapters_of(container: InputContainer) -> list[tuple[int, str]]:
    """(start in ms, title) of each chapter."""
    return [
        (round(c["start"] * Fraction(c["time_base"] or 1) * 1000), c["metadata"].get("title", ""))
        for c in container.chapters()
    ]


def chapters_in(chapters: Chapters, container: str) -> list[tuple[int, str]]:
    """Chapters as a container tells them."""
    found = list(chapters)
    if found and container in _BEGIN_AT_ZERO:
        found[0] = 0, found[0][1]
    return found


def told_otherwise(chapters: Chapters, container: str) -> tuple[str, ...]:
    """What is to be said of chapters that a container tells otherwise, for people."""
    if list(chapters) == chapters_in(chapters, container):
        return ()
    start, title = chapters[0]
    name = f"the first chapter{f', {title!r},' if title else ''}"
    return (f"{container} cannot keep {name} from {start / 1000:.2f} s on: it begins at 0",)


def chapters_between(source: InputContainer, clock: Clock) -> list[dict[str, Any]]:
    """The source's chapters, moved and cut to the range that is written."""
    found = []
    for chapter in source.chapters():
        base = Fraction(chapter["time_base"] or Fraction(1, 1000))
        start, stop = chapter["start"], chapter["end"]
        if clock.end is not None:
            if start * base >= clock.end:
                continue
            stop = min(stop, round(clock.end / base))
        if stop * base <= clock.shift:
            continue
        moved = round(clock.shift / base)
        words = {"title": "", **chapter["metadata"]}  # QuickTime's muxer drops those without one
        start = max(start - moved, 0)
        found.append({**chapter, "start": start, "end": stop - moved, "metadata": words})
    return found
