"""Clips that are interlaced in one stretch and progressive in another, as programs put together
from several sources are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.interlaced import Planes, interlaced, moving, noisy, write_frames
from vdenoise import cli
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.workflows.reading import Reading

SIZE = (96, 64)
SIGMA = 8.0
FAST = ("--speed", "veryfast", "--codec", "ffv1", "--progress", "none", "--device", "cpu")


def mixed(*, interlaced_first: bool) -> list[Planes]:
    """Six frames of each kind, of other pictures."""
    one = interlaced([moving(n, SIZE) for n in range(12)], "t")
    two = [moving(2 * n, SIZE, seed=2) for n in range(6)]
    return [*one, *two] if interlaced_first else [*two, *one]


def samples(path: Path) -> list[Planes]:
    with Reader(probe(path)) as reader:
        return [[plane.numpy().copy() for plane in frame.planes] for frame in reader]


@pytest.mark.parametrize(("flag", "interlaced_first"), [("tff", True), ("prog", False)])
def test_both_stretches_are_cleaned(flag: str, interlaced_first: bool, tmp_path: Path) -> None:
    """One stretch is enough to take fields for fields; nothing is mixed, whatever the flags say."""
    clean = mixed(interlaced_first=interlaced_first)
    given = noisy(clean, SIGMA)
    source = write_frames(tmp_path / "in.mkv", given, flag=flag)
    assert Reading(source).probe().by_field
    out = tmp_path / "out.mkv"
    assert cli.status(["run", str(source), "-o", str(out), *FAST, "--sigma", "8"]) == 0
    assert probe(out).field_order == probe(source).field_order
    for before, after, truth in zip(given, samples(out), clean, strict=True):
        errors = [np.std(x[0].astype(float) - 255 * truth[0]) for x in (before, after)]
        assert errors[1] < 0.8 * errors[0]
    words = ("--luma", "0", "--chroma", "0", "--overwrite")
    assert cli.status(["run", str(source), "-o", str(out), *FAST, *words]) == 0
    for before, after in zip(given, samples(out), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
