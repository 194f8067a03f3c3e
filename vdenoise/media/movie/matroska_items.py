"""What a Matroska file tells of its chapters, its languages and other files that FFmpeg passes over
(RFC 9559, 5.1.2, 5.1.4 and 5.1.7): items of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vdenoise.media.movie.boxes import elements, level_one
from vdenoise.settings.text import counted

_INFO, _TRACKS, _CHAPTERS = 0x1549A966, 0x1654AE6B, 0x1043A770
_PREVIOUS, _NEXT = 0x3CB923, 0x3EB923  # unique numbers of the files before and behind
_TRACK, _LANGUAGE = 0xAE, 0x22B59D  # by BCP 47, beside the three letters of all files
_EDITION, _ORDERED = 0x45B9, 0x45DD
_ATOM, _HIDDEN, _NAMES, _OTHER_FILE = 0xB6, 0x98, 0x80, 0x6E67
_LARGEST = 1 << 24  # bytes; larger ones are none of these

Element = tuple[int, bytes]


def passed_over(path: Path) -> dict[str, str]:
    """The items, each with a few words on it.

    Args:
        path: a Matroska file.
    """
    found = dict(level_one(path, (_INFO, _TRACKS, _CHAPTERS), _LARGEST))
    items = _of_chapters(found.get(_CHAPTERS, b""))
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


def _all(data: bytes, wanted: int) -> Iterator[bytes]:
    """The contents of the elements of one kind."""
    return (body for kind, body in elements(data) if kind == wanted)


def _of(atoms: list[list[Element]], wanted: int) -> Iterator[bytes]:
    return (body for atom in atoms for kind, body in atom if kind == wanted)


def _any(atoms: list[list[Element]], wanted: int) -> bool:
    return any(True for _ in _of(atoms, wanted))
