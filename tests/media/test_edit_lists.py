"""Edit lists of QuickTime and MP4: what they play is kept, or refused by name."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from benchmarks.media_cell import UNCHANGED, verdict
from tests.helpers.boxes import Box, box, change_tracks
from tests.helpers.clips import Clip, write
from tests.media.test_roundtrip import pass_through
from tests.media.test_words_and_covers import said
from vdenoise.errors import InputError
from vdenoise.media.movie.boxes import boxes_in
from vdenoise.media.movie.index import scan
from vdenoise.media.probe import probe

_TICKS = 512  # of a frame

Entry = tuple[int, int, float]  # how many ms are played, from which frame, how fast; -1: nothing


def _edits(entries: list[Entry], ticks: int) -> Box:
    rows = [
        struct.pack(">Iii", ms, first if first < 0 else first * ticks, round(speed * 65536))
        for ms, first, speed in entries
    ]
    return b"edts", box(b"elst", struct.pack(">II", 0, len(rows)) + b"".join(rows))


def edited(folder: Path, entries: list[Entry], *, sound: bool = False) -> Path:
    """24 frames of 25 a second, and sound, of which these parts are played."""
    options = {"preset": "ultrafast", "bf": "0", "g": "6"}
    path = write(
        Clip("in.mov", frames=24, options=options, audio=("eng",) if sound else ()), folder
    )
    lists = [_edits(entries, _TICKS), _edits(entries, 1920)]

    def change(track: int, boxes: list[Box]) -> list[Box]:
        head, *others = (each for each in boxes if each[0] != b"edts")
        return [head, lists[track], *others]

    change_tracks(path, change)
    return path


def pictures(path: Path, **options: str) -> list[np.ndarray[Any, Any]]:
    with av.open(str(path), options=options) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("entries", "frames", "begin"),
    [
        ([(320, 0, 1), (320, 12, 1)], [*range(8), *range(12, 20)], 0),
        ([(200, -1, 1), (320, 2, 1)], [*range(2, 10)], 200),
        ([(80, -1, 1), (120, -1, 1), (960, 0, 1)], [*range(24)], 200),
        ([(200, -1, 1), (320, 0, 1), (320, 12, 1)], [*range(8), *range(12, 20)], 200),
        ([(320, 12, 1), (320, 0, 1)], [*range(12, 20), *range(8)], 0),
        ([(320, 0, 1), (320, 0, 1)], [*range(8)] * 2, 0),
        ([(960, 0, 0)], [*range(24)], 0),  # of one part: a fault of who wrote it
    ],
)
@pytest.mark.parametrize("suffix", ["mov", "mkv"])
def test_parts_are_played_one_after_the_other(
    entries: list[Entry], frames: list[int], begin: int, suffix: str, tmp_path: Path
) -> None:
    source = edited(tmp_path, entries)
    target = tmp_path / f"out.{suffix}"
    codec = {"mov": "x264", "mkv": "ffv1"}[suffix]
    out = pass_through(source, target, codec=codec)
    all_of_it = pictures(source, ignore_editlist="1")
    if codec == "ffv1":
        shown = pictures(target)
        assert len(shown) == len(frames)
        assert all(np.array_equal(a, all_of_it[n]) for a, n in zip(shown, frames, strict=True))
    for path in (source, target):
        index = scan(path)
        assert len(index) == len(frames)
        assert index.end * index.time_base == Fraction(begin + 40 * len(frames), 1000)
    assert out.rate == 25


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([(480, 0, 2)], "plays a part 2 times as fast in its picture"),
        ([(320, 0, 1), (320, 8, 0.5)], "plays a part 0.5 times as fast in its picture"),
        ([(320, 0, 1), (320, 8, 0)], "holds a moment in its picture"),
        ([(320, 0, 1), (200, -1, 1), (320, 12, 1)], "pauses in its picture"),
        ([(640, 0, 1), (200, -1, 1)], "pauses in its picture"),
    ],
)
def test_what_is_played_otherwise_is_refused(
    entries: list[Entry], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        probe(edited(tmp_path, entries))


@pytest.mark.parametrize("suffix", ["mov", "mkv", "ts"])
def test_joins_of_sound_are_named(suffix: str, tmp_path: Path) -> None:
    source = edited(tmp_path, [(320, 0, 1), (320, 12, 1)], sound=True)
    notes = said(source, f"out.{suffix}")
    assert "joins of the parts of audio stream 1 (aac) as they are" in " ".join(notes)
    line = ["run", str(source), "-o", str(tmp_path / f"out.{suffix}"), *UNCHANGED]
    assert verdict(line)[0] == "kept"
    assert verdict([*line, "--strict"])[0] == "E0410"


@pytest.mark.parametrize("ticks", [0, 8, 256, 511])
def test_an_edit_list_that_begins_inside_of_a_frame_is_named(ticks: int, tmp_path: Path) -> None:
    """QuickTime shows what is left of that frame; FFmpeg begins with the next one."""
    path = write(Clip("in.mov", frames=24, options={"preset": "ultrafast", "bf": "2"}), tmp_path)

    def change(_: int, boxes: list[Box]) -> list[Box]:
        listed = dict(boxes_in(dict(boxes)[b"edts"]))[b"elst"]
        begin = struct.unpack_from(">i", listed, 12)[0] + 3 * _TICKS + ticks
        row = struct.pack(">IIIiI", 0, 1, 600, begin, 1 << 16)
        return [(k, box(b"elst", row)) if k == b"edts" else (k, b) for k, b in boxes]

    change_tracks(path, change)
    told = probe(path).holds.get("start of an edit list inside of a frame")
    assert told == (f"{ticks / 12.8:.3g} ms" if ticks > 12 else None)
