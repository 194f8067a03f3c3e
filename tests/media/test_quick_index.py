"""The quick index of a long movie is the index of a scan, or it is not taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.clips import Clip, write
from vdenoise.media.movie import index as indexing
from vdenoise.media.movie.index import scan
from vdenoise.media.movie.quick_index import adopt_quick_index
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader

BASE = Clip("in.mov", frames=70, options={"crf": "40", "g": "12"})
TAKEN = {
    "B-frames": BASE,
    "no B-frames": replace(BASE, options={**BASE.options, "bf": "0"}),
    "MP4, open GOPs": replace(
        BASE, name="in.mp4", options={**BASE.options, "x264-params": "open-gop=1"}
    ),
    "intra": replace(BASE, codec="prores_ks", format="yuv422p10le", options={}),
}
LEFT = {
    "a variable rate": replace(BASE, pts=lambda n: 512 * n + (100 if n > 30 else 0)),
    "Matroska": replace(BASE, name="in.mkv", time_base=Clip("x").time_base),
    "a short one": replace(BASE, frames=20),
}


@pytest.mark.parametrize("name", TAKEN)
def test_it_is_the_index_of_a_scan(tmp_path: Path, name: str) -> None:
    path = write(TAKEN[name], tmp_path)
    scanned = scan(path)
    assert adopt_quick_index(path, long=50)
    quick = scan(path)
    assert quick.checks == () and scanned.checks
    assert replace(quick, keys=(), checks=()) == replace(scanned, keys=(), checks=())
    with Reader(probe(path), first=40, last=43) as reader:
        assert [frame.index for frame in reader] == [40, 41, 42, 43]


@pytest.mark.parametrize("name", LEFT)
def test_it_is_not_taken_where_it_cannot_be_trusted(tmp_path: Path, name: str) -> None:
    path = write(LEFT[name], tmp_path)
    assert not adopt_quick_index(path, long=50)
    assert scan(path).checks


def test_frames_read_by_it_are_those_of_a_whole_pass(tmp_path: Path) -> None:
    path = write(TAKEN["MP4, open GOPs"], tmp_path)
    with Reader(probe(path)) as reader:
        whole = {f.index: f.planes[0].clone() for f in reader if f.index in (25, 61)}
    assert adopt_quick_index(path, long=50)
    for number, luma in whole.items():
        with Reader(probe(path), first=number, last=number) as reader:
            (frame,) = reader
        assert bool((frame.planes[0] == luma).all())


@pytest.fixture(autouse=True)
def forget() -> None:
    indexing._adopted.clear()
