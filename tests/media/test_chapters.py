"""Chapters in containers that tell them otherwise."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.helpers.clips import Clip, write
from tests.media.test_roundtrip import pass_through
from vdenoise.media.movie.chapters import chapters_of
from vdenoise.media.movie.index import scan
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe


def with_chapters(folder: Path, *chapters: tuple[int, int, str | None]) -> Path:
    """A clip with chapters: milliseconds from and to, and a title or none."""
    plain = write(Clip("plain.mkv", codec="libx264", frames=12), folder)
    path = folder / "in.mkv"
    with av.open(str(plain)) as source, av.open(str(path), "w") as output:
        copy = output.add_stream_from_template(source.streams.video[0])
        output.set_chapters(
            [
                {
                    "id": n,
                    "start": start,
                    "end": end,
                    "time_base": Fraction(1, 1000),
                    "metadata": {} if title is None else {"title": title},
                }
                for n, (start, end, title) in enumerate(chapters)
            ]
        )
        for packet in source.demux():
            if packet.size:
                packet.stream = copy
                output.mux(packet)
    return path


def told(path: Path) -> list[tuple[int, str]]:
    with av.open(str(path)) as container:
        return chapters_of(container)


@pytest.mark.parametrize(("suffix", "start"), [("mov", 0), ("mp4", 0), ("mkv", 120), ("nut", 120)])
def test_a_first_chapter_that_begins_later_is_kept_or_named(
    suffix: str, start: int, tmp_path: Path
) -> None:
    source = with_chapters(tmp_path, (120, 240, "one"), (240, 480, "two"))
    target = tmp_path / f"out.{suffix}"
    notes = choose(probe(source), target).notes
    assert any("'one', from 0.12 s on" in note for note in notes) == (start == 0)
    pass_through(source, target)
    assert told(target) == [(start, "one"), (240, "two")]


@pytest.mark.parametrize("suffix", ["mov", "mp4", "mkv"])
def test_chapters_without_a_title_are_kept(suffix: str, tmp_path: Path) -> None:
    source = with_chapters(tmp_path, (0, 240, None), (240, 480, "two"))
    pass_through(source, tmp_path / f"out.{suffix}")
    assert told(tmp_path / f"out.{suffix}") == [(0, ""), (240, "two")]


@pytest.mark.parametrize(("suffix", "codec"), [("nut", "x264"), ("nut", "ffv1"), ("mkv", "x264")])
def test_chapters_stay_beside_the_picture_or_are_named(
    suffix: str, codec: str, tmp_path: Path
) -> None:
    """NUT begins with the first time of decoding, which is before the first frame's."""
    source = with_chapters(tmp_path, (0, 240, "one"), (240, 480, "two"))
    target = tmp_path / f"out.{suffix}"
    settings = choose(probe(source), target, codec=codec)
    pass_through(source, target, codec=codec)
    index = scan(target)
    behind = [
        start - round(float(index.pts[0] * index.time_base) * 1000) for start, _ in told(target)
    ]
    named = any("chapters where they are" in note for note in settings.notes)
    assert (behind != [0, 240]) == named == ((suffix, codec) == ("nut", "x264"))
