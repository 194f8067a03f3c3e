"""A clip goes in and comes out: with nothing to remove, nothing may change."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from benchmarks.media_cell import write_unchanged
from tests.helpers.clips import LAYOUTS, MATRIX, Clip, picture, write
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.media.verify import verify
from vdenoise.picture.frame import ClipInfo


def pass_through(
    source: Path, target: Path, *, first: int = 0, last: int | None = None, **settings: Any
) -> ClipInfo:
    """Denoise at strength 0."""
    info = probe(source)
    chosen = choose(info, target, **settings)
    assert write_unchanged(info, chosen, target, first=first, last=last).ok
    return probe(target)


def planes(path: Path, **options: Any) -> list[tuple[torch.Tensor, ...]]:
    with Reader(probe(path), **options) as reader:
        return [tuple(plane.clone() for plane in frame.planes) for frame in reader]


def same(a: list[tuple[torch.Tensor, ...]], b: list[tuple[torch.Tensor, ...]]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(p, q) for x, y in zip(a, b, strict=True) for p, q in zip(x, y, strict=True)
    )


@pytest.mark.parametrize("clip", LAYOUTS, ids=lambda clip: clip.name)
def test_strength_zero_returns_every_sample(clip: Clip, tmp_path: Path) -> None:
    source = write(clip, tmp_path)
    pass_through(source, tmp_path / "out.mkv", codec="ffv1")
    result = planes(tmp_path / "out.mkv")
    assert len(result) == clip.frames
    for number, got in enumerate(result):
        for plane, wanted in zip(got, picture(clip, number), strict=True):
            assert torch.equal(plane, torch.from_numpy(wanted))


def packets(path: Path, kind: str) -> list[tuple[int | None, str]]:
    """(pts in ms, hash) of all packets of all streams of a kind."""
    with av.open(str(path)) as container:
        wanted = [s for s in container.streams if s.type == kind]
        return (
            [
                (
                    None if p.pts is None else round(p.pts * p.time_base * 1000),
                    hashlib.sha256(bytes(p)).hexdigest(),
                )
                for p in container.demux(wanted)
                if p.size
            ]
            if wanted
            else []
        )


@pytest.mark.parametrize("clip", MATRIX.values(), ids=lambda clip: clip.name)
def test_everything_else_is_kept(clip: Clip, tmp_path: Path) -> None:
    source = write(clip, tmp_path)
    info = probe(source)
    target = tmp_path / f"out{source.suffix}"
    out = pass_through(source, target)
    assert verify(info, target).ok
    assert out.codec == info.codec
    assert out.format.label == info.format.label
    assert (out.frames, out.rate, out.variable_rate) == (
        info.frames,
        info.rate,
        info.variable_rate,
    )
    assert (out.primaries, out.transfer, out.matrix, out.full_range) == (
        info.primaries,
        info.transfer,
        info.matrix,
        info.full_range,
    )
    assert out.chroma_location == info.chroma_location
    assert out.sample_aspect_ratio == info.sample_aspect_ratio == clip.aspect
    assert out.rotation == info.rotation == clip.rotation
    assert out.timecode == info.timecode == clip.timecode
    assert out.field_order == info.field_order
    assert out.hdr == info.hdr
    with Reader(info) as a, Reader(out) as b:
        assert [(f.pts * f.time_base, f.duration * f.time_base) for f in a] == [
            (f.pts * f.time_base, f.duration * f.time_base) for f in b
        ]
    assert packets(target, "audio") == packets(source, "audio")
    assert packets(target, "subtitle") == packets(source, "subtitle")
    with av.open(str(source)) as a, av.open(str(target)) as b:
        assert [s.type for s in b.streams] == [s.type for s in a.streams]
        assert [s.metadata.get("language") for s in b.streams] == [
            s.metadata.get("language") for s in a.streams
        ]
        assert [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"])
            for c in b.chapters()
        ] == [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"])
            for c in a.chapters()
        ]
        assert [s.data for s in b.streams.attachments] == [s.data for s in a.streams.attachments]
        for key, value in clip.metadata.items():
            assert b.metadata[key] == value


@pytest.mark.parametrize(
    ("clip", "target"),
    [
        (Clip("rotated.mp4", rotation=7, frames=2), "out.mkv"),
        (Clip("one.mp4", frames=1), "out.ts"),
        (
            Clip("t600.mov", rate=Fraction(30000, 1001), time_base=Fraction(1, 600)),
            "out.ts",
        ),
    ],
    ids=["rotation", "one frame", "600 ticks"],
)
def test_no_container_fails_after_the_render(clip: Clip, target: str, tmp_path: Path) -> None:
    """An angle that is no quarter turn, and clips whose end MPEG-TS has no place for."""
    source = write(clip, tmp_path)
    out = pass_through(source, tmp_path / target)
    assert out.frames == clip.frames
    assert out.rotation == pytest.approx(probe(source).rotation, abs=0.01)
