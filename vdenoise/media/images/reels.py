"""Scans that lie in several folders, one for each reel, as one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, pairwise

from vdenoise.picture.frame import ImageSequence


def in_a_row(parts: Sequence[ImageSequence]) -> ImageSequence:
    """Reels as one sequence. Its numbers are the reels' own where they go on from one to the next,
    else counted on from the first."""
    numbers = tuple(chain.from_iterable(part.numbers for part in parts))
    if any(b <= a for a, b in pairwise(numbers)):
        numbers = tuple(range(numbers[0], numbers[0] + len(numbers)))
    places = [(part, place) for part in parts for place in range(len(part.numbers))]
    held = tuple(
        number
        for number, (part, place) in zip(numbers, places, strict=True)
        if part.numbers[place] in part.held
    )
    return replace(
        parts[0],
        numbers=numbers,
        held=held,
        files=tuple(part.source(place) for part, place in places),
    )
