"""A short clip, and commands as a person types them, for situations that go wrong."""

from __future__ import annotations

import pytest

from vdenoise import cli


def call(*words: object) -> int:
    return cli.status([str(word) for word in words])


def last(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1]
