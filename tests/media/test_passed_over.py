"""What containers tell that FFmpeg passes over, made into files by hand: it is named."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import pytest

from tests.helpers.boxes import box, in_tracks
from tests.helpers.clips import Clip, write
from tests.helpers.matroska import element, in_segment, in_track, number, text
from tests.media.test_roundtrip import pass_through
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe

_QUICK = {"preset": "ultrafast", "bf": "0"}
_STRUCTURE, _ORDER = "structure of chapters", "order in which chapters are played"


def chapter(uid: int, *more: bytes, names: tuple[str, ...] = ("eng",)) -> bytes:
    shown = (element(0x80, text(0x85, f"in {name}"), text(0x437C, name)) for name in names)
    times = number(0x91, 0), number(0x92, 2 * 10**8)
    return element(0xB6, number(0x73C4, uid), *times, *shown, *more)


def edition(*inside: bytes) -> bytes:
    return element(0x45B9, *inside)


@pytest.mark.parametrize(
    ("editions", "items"),
    [
        ([edition(chapter(1), chapter(2))], {}),
        ([edition(chapter(1)), edition(chapter(2))], {_STRUCTURE: "2 editions"}),
        ([edition(chapter(1, chapter(2)))], {_STRUCTURE: "some inside of others"}),
        ([edition(chapter(1, number(0x98, 1)))], {_STRUCTURE: "hidden ones"}),
        ([edition(chapter(1, names=("eng", "ger")))], {_STRUCTURE: "further names"}),
        ([edition(number(0x45DD, 1), chapter(1))], {_ORDER: ""}),
        ([edition(number(0x45DD, 0), chapter(1, number(0x98, 0)))], {}),
    ],
)
def test_chapters_of_matroska(editions: list[bytes], items: dict[str, str], tmp_path: Path) -> None:
    source = write(Clip("in.mkv", options=_QUICK, frames=6), tmp_path)
    in_segment(source, element(0x1043A770, *editions))
    assert probe(source).holds == {"chapters": "", **items}
    out = pass_through(source, tmp_path / "out.mkv")
    assert list(out.holds) == ["chapters"] or _STRUCTURE in items


def tag(*inside: bytes, targets: bytes = b"") -> bytes:
    return element(0x7373, element(0x63C0, targets), *inside)


def word(name: str, value: str = "x", *inside: bytes) -> bytes:
    return element(0x67C8, text(0x45A3, name), text(0x4487, value), *inside)


_GERMAN = text(0x447A, "ger")
_TAGS = "structure of tags"


@pytest.mark.parametrize(
    ("tags", "items"),
    [
        ([tag(word("ARTIST"), word("TITLE"))], {}),
        ([tag(word("TITLE"), word("TITLE", "y", _GERMAN))], {}),
        ([tag(word("ARTIST", "x", word("INSTRUMENT")))], {_TAGS: "some inside of ARTIST"}),
        ([tag(word("ARTIST"), word("ARTIST", "y"))], {_TAGS: "several of ARTIST"}),
        ([tag(word("TITLE"), targets=number(0x68CA, 70))], {_TAGS: "what they are about"}),
        ([tag(word("TITLE"), targets=text(0x63CA, "SEASON"))], {_TAGS: "what they are about"}),
        ([tag(word("TITLE"), targets=number(0x68CA, 50))], {}),
        ([tag(word("TITLE"), targets=number(0x63C9, 1))], {_TAGS: "those of an edition"}),
        ([tag(word("BPS", "1"), word("BPS", "1"), targets=text(0x63CA, "MOVIE"))], {}),
        (
            [tag(element(0x67C8, text(0x45A3, "LOGO"), element(0x4485, b"\1\2")))],
            {"tags that are no words": "LOGO"},
        ),
    ],
)
def test_tags_of_matroska(tags: list[bytes], items: dict[str, str], tmp_path: Path) -> None:
    source = write(Clip("in.mkv", options=_QUICK, frames=6), tmp_path)
    in_segment(source, element(0x1254C367, *tags))
    info = probe(source)
    assert info.holds == items
    for target in ("out.mkv", "out.mp4"):
        notes = " ".join(choose(info, tmp_path / target).notes)
        assert all(f"cannot keep the {item} ({told})" in notes for item, told in items.items())


def test_other_files_and_regions_of_languages_in_matroska(tmp_path: Path) -> None:
    source = write(Clip("in.mkv", options=_QUICK, frames=6), tmp_path)
    in_track(source, text(0x22B59D, "pt-BR"))
    assert probe(source).holds == {"regions of languages": "pt-BR"}
    in_segment(source, element(0x1549A966, number(0x2AD7B1, 10**6), element(0x3EB923, bytes(16))))
    assert "links to other files" in probe(source).holds


@pytest.mark.parametrize(
    ("aspect", "shown", "item"),
    [
        (Fraction(1), (64, 48), {}),
        (Fraction(4, 3), (85.333, 48), {}),
        (Fraction(4, 3), (80, 44), {"track aperture": "80x44"}),
    ],
)
def test_the_aperture_of_a_quicktime_track(
    aspect: Fraction, shown: tuple[float, float], item: dict[str, str], tmp_path: Path
) -> None:
    source = write(Clip("in.mov", options=_QUICK, frames=6, aspect=aspect), tmp_path)
    size = struct.pack(">I2I", 0, *(round(side * 65536) for side in shown))
    in_tracks(source, (b"tapt", struct.pack(">I4s", 20, b"clef") + size))
    assert probe(source).holds == item


def test_regions_of_languages_in_quicktime(tmp_path: Path) -> None:
    source = write(Clip("in.mov", options=_QUICK, frames=6, audio=("por",)), tmp_path)
    in_tracks(source, (b"elng", bytes(4) + b"pt-BR\0"), inside=(b"mdia",))
    assert probe(source).holds == {"regions of languages": "pt-BR"}


@pytest.mark.parametrize("version", [b"", bytes(4)])
def test_words_of_a_quicktime_track(version: bytes, tmp_path: Path) -> None:
    """QuickTime's box of metadata has no version, MP4's has."""
    source = write(Clip("in.mov", options=_QUICK, frames=6), tmp_path)
    names = [f"com.apple.quicktime.camera.{word}" for word in ("lens", "focus", "iso", "shutter")]
    rows = b"".join(box(b"mdta", name.encode()) for name in names)
    keys = box(b"keys", struct.pack(">II", 0, len(names)) + rows)
    in_tracks(source, (b"meta", version + box(b"hdlr", bytes(25)) + keys))
    words = "camera.lens, camera.focus, camera.iso, 1 more"
    assert probe(source).holds == {"words of tracks": words}
