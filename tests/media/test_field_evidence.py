"""Fields are looked for in clips of any size: a small one tells nothing, and stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.clips import Clip, write
from vdenoise.media.movie.field_evidence import FieldVotes, look_for_fields
from vdenoise.media.probe import probe


@pytest.mark.parametrize("size", [(2, 2), (32, 32), (8, 64), (64, 34), (64, 36), (64, 38)])
def test_a_small_clip_is_looked_at(size: tuple[int, int], tmp_path: Path) -> None:
    clip = write(Clip("in.mkv", codec="ffv1", size=size, frames=4), tmp_path)
    assert isinstance(look_for_fields(probe(clip)), FieldVotes)
