"""The committed samples are what their page says, and the sheet shows what it should."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from samples import scene, sheet
from vdenoise.media import probe, reader

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
CLIPS = sorted(p for p in SAMPLES.iterdir() if p.suffix in (".mp4", ".mov"))


def test_every_clip_has_its_provenance_and_all_are_small():
    page = (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert CLIPS
    assert [p.name for p in CLIPS if f"`{p.name}`" not in page] == []
    assert sum(p.stat().st_size for p in CLIPS) < 3_000_000


@pytest.mark.parametrize(("name", "frames"), [("sensor", 48), ("film", 36), ("clean", 48)])
def test_scene_clips(name: str, frames: int):
    info = probe.probe(SAMPLES / f"scene_{name}.mp4")
    assert (info.width, info.height, info.format.name) == (640, 360, "yuv420p")
    assert (info.matrix, info.full_range, info.variable_rate) == ("bt709", False, False)
    assert count(info) == frames


def test_zoo_holds_what_it_is_for():
    info = probe.probe(SAMPLES / "zoo.mov")
    assert (info.codec, info.format.bits, info.format.label) == ("prores", 10, "10-bit 4:2:2")
    assert info.timecode == "01:00:00:00"
    assert info.variable_rate
    assert sum("audio" in line.lower() for line in info.streams) == 2
    with reader.Reader(info) as frames:
        times = [Fraction(f.pts) * f.time_base for f in frames]
    steps = {b - a for a, b in pairwise(times)}
    assert steps == {Fraction(1, 24), Fraction(1, 12)}


def count(info) -> int:
    with reader.Reader(info) as frames:
        return sum(1 for _ in frames)


def test_the_scene_is_drawn_the_same_each_time_and_moves():
    first = list(scene.frames(64, 36, 3, cut=2))
    again = list(scene.frames(64, 36, 3, cut=2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(p.shape == (36, 64, 3) and p.min() >= 0 and p.max() <= 1 for p in first)
    moved, cut = (float(np.abs(a - b).mean()) for a, b in pairwise(first))
    assert 0 < moved < cut / 2


def test_sheet_shows_before_after_and_the_amplified_difference():
    rng = np.random.default_rng(1)
    after = np.full((60, 96, 3), 100, np.uint8)
    after[20:40, 30:60] = 160
    before = np.clip(after + rng.normal(0, 5, after.shape), 0, 255).astype(np.uint8)
    page = sheet.sheet(before, after, np.roll(after, 2, axis=1))
    bar = 22
    assert np.array_equal(page[bar : bar + 60, :96], before)
    assert np.array_equal(page[bar : bar + 60, 96 + sheet.GAP : 2 * 96 + sheet.GAP], after)
    removed = page[bar : bar + 60, 2 * (96 + sheet.GAP) : 3 * 96 + 2 * sheet.GAP].astype(int)
    expected = np.clip(128 + sheet.GAIN * (before.astype(int) - after), 0, 255)
    assert np.array_equal(removed, expected)


def test_sheet_crops_lie_inside_and_apart():
    rng = np.random.default_rng(2)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (90, 160, 3)).astype(np.uint8), (0, 0), 2)
    found = sheet.spots(picture, np.roll(picture, 1, axis=0), 40, 45)
    assert len(set(found)) == 3
    assert all(0 <= y <= 90 - 45 and 0 <= x <= 160 - 40 for y, x in found)
