"""Fields are looked for in clips of any size: a small one tells nothing, and stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.clips import Clip, write
from vdenoise.media.movie import field_evidence
from vdenoise.media.movie.field_evidence import FieldVotes, look_for_fields
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.picture.frame import ClipInfo


@pytest.mark.parametrize("size", [(2, 2), (32, 32), (8, 64), (64, 34), (64, 36), (64, 38)])
def test_a_small_clip_is_looked_at(size: tuple[int, int], tmp_path: Path) -> None:
    clip = write(Clip("in.mkv", codec="ffv1", size=size, frames=4), tmp_path)
    assert isinstance(look_for_fields(probe(clip)), FieldVotes)


@pytest.mark.parametrize(("every", "readers"), [("24", 1), ("1", 3)])
def test_stretches_that_hang_on_one_keyframe_are_decoded_once(
    every: str, readers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And say the same: what is looked at does not depend on who reads it."""
    clip = Clip("in.mkv", size=(96, 80), frames=24, options={"g": every, "keyint_min": every})
    info = probe(write(clip, tmp_path))
    opened: list[tuple[int, int]] = []
    reader = field_evidence.Reader

    def counted(info: ClipInfo, *, first: int, last: int) -> Reader:
        opened.append((first, last))
        return reader(info, first=first, last=last)

    monkeypatch.setattr(field_evidence, "Reader", counted)
    found = look_for_fields(info)
    assert len(opened) == readers
    monkeypatch.setattr(field_evidence, "_read_together", lambda starts, *_: [[s] for s in starts])
    assert look_for_fields(info) == found
