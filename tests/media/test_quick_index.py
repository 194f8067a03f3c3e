"""The quick index of a long movie is the index of a scan, or it is not taken."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tests.helpers.clips import Clip, write
from vdenoise.media.movie import index as indexing
from vdenoise.media.movie.index import scan
from vdenoise.media.movie.ordering import FrameIndex
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
# Joined clips whose sound is longer than their picture: a gap in the times at each joint.
JOINED = replace(BASE, pts=lambda n: 512 * n + 139 * (n // 20))
PASSED = {  # no table, or one that tells too little: the times of the packets are read
    "a variable rate": replace(BASE, pts=lambda n: 512 * n + (100 if n > 30 else 0)),
    "joined, MOV": JOINED,
    "joined, MP4": replace(JOINED, name="in.mp4"),
    "joined, Matroska": replace(
        JOINED, name="in.mkv", time_base=Fraction(1, 1000), pts=lambda n: 40 * n + 11 * (n // 20)
    ),
    "Matroska": replace(BASE, name="in.mkv", time_base=Fraction(1, 1000)),
    "MPEG-TS": replace(BASE, name="in.ts", time_base=Fraction(1, 90000)),
    "MXF": replace(BASE, name="in.mxf", format="yuv422p10le", time_base=Fraction(1, 25)),
    "AVI, B-frames": replace(BASE, name="in.avi", time_base=Fraction(1, 25)),
    "VP8, hidden frames": replace(
        BASE,
        name="in.mkv",
        codec="libvpx",
        time_base=Fraction(1, 1000),
        options={"auto-alt-ref": "1", "lag-in-frames": "16", "b": "300k"},
    ),
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


@pytest.mark.parametrize("name", PASSED)
def test_where_there_is_no_table_the_times_alone_come_to_the_same(
    tmp_path: Path, name: str
) -> None:
    path = write(PASSED[name], tmp_path)
    scanned = scan(path)
    assert adopt_quick_index(path, long=50)
    assert replace(scanned, checks=()) == scan(path) and scanned.checks


def test_a_short_one_is_read_whole(tmp_path: Path) -> None:
    path = write(replace(BASE, frames=20), tmp_path)
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


def test_a_stretch_begins_where_decoding_it_takes_the_fewest_frames() -> None:
    keys = (0, 250, 262, 512, 540, 800)
    index = FrameIndex(
        tuple(range(900)), (1,) * 900, keys, Fraction(1, 25), Fraction(25), False, False
    )
    assert index.soonest(300, 5) == 263  # behind the short group
    assert index.soonest(500, 5) == 541
    assert index.soonest(0, 5) == 0
    assert index.soonest(895, 5) == 801
    assert index.soonest(680, 5) == 801
    alone = replace(index, keys=tuple(range(900)))  # frames that are coded alone: no other place
    assert alone.soonest(434, 5) == 434 and alone.soonest(899, 1) == 899
