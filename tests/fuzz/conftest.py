"""A short clip in a folder of its own, for situations that go wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.clips import Clip, write


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write(Clip("a.mkv", "ffv1", frames=3), tmp_path)
