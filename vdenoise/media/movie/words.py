"""Words and marks that a clip gives to itself and to its streams, and which of them a copy lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from av.container import InputContainer
from av.stream import Disposition

from vdenoise.media.movie.metadata import container_metadata, reel_name, stream_metadata
from vdenoise.media.movie.services import other_names
from vdenoise.media.movie.streams import stream_name

# What programs write for themselves, and what is compared elsewhere.
NOT_WORDS = ("handler_name", "language", "filename", "mimetype", "encoding_tool")
_MOMENT = re.compile(r"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.0+)?Z?$")
# What a container says of how a stream is to be used. MPEG-TS says some twice.
_MARKS = (
    Disposition.dub, Disposition.original, Disposition.comment, Disposition.lyrics,
    Disposition.karaoke, Disposition.forced, Disposition.hearing_impaired,
    Disposition.visual_impaired, Disposition.clean_effects,
)  # fmt: skip


def lost_words(
    source: InputContainer, output: InputContainer, pairs: Iterable[tuple[Any, Any]]
) -> Iterator[str]:
    """The words and marks of a clip that are not in what was made of it, each for people:
    ``title``, ``title of audio stream 2 (aac)``, ``mark 'forced' of subtitle stream 3 (ass)``.

    A word counts as kept under any name: containers have their own.

    Args:
        source: the clip.
        output: what was made of it.
        pairs: each stream of the clip that was kept, and what it became.
    """
    words = {**container_metadata(output), **reel_name(output)}
    whole = {_plain(word) for word in words.values()}
    yield from _missing(container_metadata(source) | reel_name(source), whole)
    yield from (f"program {name!r} as one of its own" for name in other_names(source))
    container = output.format.name
    for before, after in pairs:
        name = stream_name(before)
        there = whole | {_plain(word) for word in after.metadata.values()}
        for key in _missing(stream_metadata(before, container), there):
            yield f"{key} of {name}"
        if _language(before) != "und" and "language" not in after.metadata:
            yield f"language of {name}"
        for mark in _MARKS:
            if before.disposition & mark and not after.disposition & mark:
                yield f"mark {mark.name!r} of {name}"


def _language(stream: Any) -> str:
    return str(stream.metadata.get("language", "und"))


def _missing(words: Mapping[str, str], there: set[str]) -> Iterator[str]:
    for key, word in words.items():
        if key.lower() not in NOT_WORDS and _plain(word) not in there | {""}:
            yield key


def _plain(word: str) -> str:
    """A word without what containers change of it: they tell fractions of a second, or none."""
    return _MOMENT.sub(r"\1Z", word.strip())
