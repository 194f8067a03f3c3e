"""MPEG-TS as Blu-ray and AVCHD have it: packets of 192 bytes, each behind a time."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from tests.helpers.clips import Clip, write
from tests.media.test_roundtrip import packets, pass_through


@pytest.mark.parametrize("between", ["b.ts", "b.m2ts"])
def test_a_transport_stream_becomes_m2ts(between: str, tmp_path: Path) -> None:
    """Which has its tables where the other one may have its streams (PID 0x100)."""
    source = tmp_path / between
    pass_through(write(Clip("a.mkv", audio=("eng",), frames=24), tmp_path), source)
    target = tmp_path / "c.m2ts"
    assert pass_through(source, target).frames == 24
    with av.open(str(target)) as found:
        assert [stream.id for stream in found.streams] == [0x1011, 0x1100]
    assert [size for _, size in packets(target, "audio")] == [
        size for _, size in packets(source, "audio")
    ]


@pytest.mark.parametrize("frames", [1, 12])
@pytest.mark.parametrize(("name", "distance"), [("out.m2ts", 192), ("out.MTS", 192), ("o.ts", 188)])
def test_packets_are_as_the_name_says(
    name: str, distance: int, frames: int, tmp_path: Path
) -> None:
    clip = Clip(
        "in.mp4",
        options={"preset": "ultrafast"},
        audio=("eng",) if frames > 1 or distance == 188 else (),  # M2TS has no code for AAC
        frames=frames,
    )
    source = write(clip, tmp_path)
    target = tmp_path / name
    assert pass_through(source, target).frames == frames
    data = target.read_bytes()
    assert len(data) % distance == 0 and len(data) >= 64 * distance
    assert {data[at] for at in range(distance - 188, len(data), distance)} == {0x47}
    heard = [time for time, _ in packets(source, "audio") if time is not None and time >= 0]
    assert len(packets(target, "audio")) == len(heard)  # priming is hidden in the source
