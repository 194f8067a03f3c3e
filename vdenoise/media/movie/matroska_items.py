"""What a Matroska file tells of its chapters, its tags, its languages and other files that FFmpeg
passes over (RFC 9559, 5.1.2, 5.1.4, 5.1.7 and 5.1.8): items of the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from vdenoise.media.movie.boxes import elements, level_one
from vdenoise.settings.text import counted

_INFO, _TRACKS, _CHAPTERS = 0x1549A966, 0x1654AE6B, 0x1043A770
_PREVIOUS, _NEXT = 0x3CB923, 0x3EB923  # unique numbers of the files before and behind
_TRACK, _LANGUAGE = 0xAE, 0x22B59D  # by BCP 47, beside the three letters of all files
_EDITION, _ORDERED = 0x45B9, 0x45DD
_ATOM, _HIDDEN, _NAMES, _OTHER_FILE = 0xB6, 0x98, 0x80, 0x6E67
_TAGS, _TAG, _TARGETS, _SIMPLE = 0x1254C367, 0x7373, 0x63C0, 0x67C8
_LEVEL, _LEVEL_NAME, _EDITION_UID = 0x68CA, 0x63CA, 0x63C9
_NAME, _TAG_LANGUAGE, _BYTES = 0x45A3, 0x447A, 0x4485
_USUAL_LEVEL = 50  # an album, a film, an episode: what a tag is about where nothing is said
# Counted anew by whoever writes a file.
_STATISTICS = ("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS_")
_LARGEST = 1 << 24  # bytes; larger ones are none of these

Element = tuple[int, bytes]


def passed_over(path: Path) -> dict[str, str]:
    """The items, each with a few words on it.

    Args:
        path: a Matroska file.
    """
    found = dict(level_one(path, (_INFO, _TRACKS, _CHAPTERS, _TAGS), _LARGEST))
    items = _of_chapters(found.get(_CHAPTERS, b"")) | _of_tags(found.get(_TAGS, b""))
    if {kind for kind, _ in elements(found.get(_INFO, b""))} & {_PREVIOUS, _NEXT}:
        items["links to other files"] = ""
    told = (
        tag for entry in _all(found.get(_TRACKS, b""), _TRACK) for tag in _all(entry, _LANGUAGE)
    )
    regions = [tag for data in told if "-" in (tag := data.rstrip(b"\0").decode(errors="replace"))]
    if regions:
        items["regions of languages"] = ", ".join(dict.fromkeys(regions))
    return items


def _of_chapters(data: bytes) -> dict[str, str]:
    editions = list(_all(data, _EDITION))
    atoms = [atom for edition in editions for atom in _all(edition, _ATOM)]
    inside = [list(elements(atom)) for atom in atoms]
    words = {
        counted(len(editions), "edition"): len(editions) > 1,
        "some inside of others": _any(inside, _ATOM),
        "hidden ones": any(int.from_bytes(body, "big") for body in _of(inside, _HIDDEN)),
        "further names": any(sum(kind == _NAMES for kind, _ in atom) > 1 for atom in inside),
    }
    told = ", ".join(word for word, has in words.items() if has)
    items = {"structure of chapters": told} if told else {}
    ordered = any(int.from_bytes(flag, "big") for e in editions for flag in _all(e, _ORDERED))
    if ordered or _any(inside, _OTHER_FILE):
        items["order in which chapters are played"] = ""
    return items


def _of_tags(data: bytes) -> dict[str, str]:
    """Tags inside of others, of several values, about an edition, or about more or less than the
    clip: FFmpeg has one word for each name. Of tags that are bytes it has none."""
    inside, anew, level, edition, binary = [], [], False, False, []
    for tag in _all(data, _TAG):
        targets = dict(elements(next(_all(tag, _TARGETS), b"")))
        told = int.from_bytes(targets.get(_LEVEL, b""), "big") or _USUAL_LEVEL
        simple = [list(elements(body)) for body in _all(tag, _SIMPLE)]
        simple = [one for one in simple if not _name(one).startswith(_STATISTICS)]
        if not simple:
            continue
        level |= told != _USUAL_LEVEL or _LEVEL_NAME in targets
        edition |= _EDITION_UID in targets
        known = Counter((_name(one), dict(one).get(_TAG_LANGUAGE)) for one in simple)
        anew += [name for (name, _), count in known.items() if count > 1]
        inside += [_name(one) for one in simple if _any([one], _SIMPLE)]
        binary += [_name(one) for one in simple if _any([one], _BYTES)]
    words = {
        f"several of {', '.join(dict.fromkeys(anew))}": anew,
        f"some inside of {', '.join(dict.fromkeys(inside))}": inside,
        "what they are about": level,
        "those of an edition": edition,
    }
    told_of = ", ".join(word for word, has in words.items() if has)
    items = {"structure of tags": told_of} if told_of else {}
    return items | ({"tags that are no words": ", ".join(binary)} if binary else {})


def _name(tag: list[Element]) -> str:
    return dict(tag).get(_NAME, b"").rstrip(b"\0").decode(errors="replace")


def _all(data: bytes, wanted: int) -> Iterator[bytes]:
    """The contents of the elements of one kind."""
    return (body for kind, body in elements(data) if kind == wanted)


def _of(atoms: list[list[Element]], wanted: int) -> Iterator[bytes]:
    return (body for atom in atoms for kind, body in atom if kind == wanted)


def _any(atoms: list[list[Element]], wanted: int) -> bool:
    return any(True for _ in _of(atoms, wanted))
