"""What a header says of a picture goes into another kind of file, or is named before the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from vdenoise.media.images.words import lost_words

TEXTS = {"Copyright": "me", "ImageDescription": "a field"}


def image(path: Path, kind: Any, **words: str) -> Path:
    """A picture with words and a timecode in its header."""
    spec = oiio.ImageSpec(16, 8, 3, kind.__name__)
    for name, value in (TEXTS | words).items():
        spec.attribute(name.replace("__", ":"), value)
    spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, (0x01020304, 0))
    file = oiio.ImageOutput.create(str(path))
    assert file.open(str(path), spec) and file.write_image(np.zeros((8, 16, 3), kind))
    file.close()
    return path


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("tiff", "the attributes camera, reelName, smpte:TimeCode"),
        ("png", "the attributes camera, reelName, smpte:TimeCode"),
        ("movie", "the attributes Copyright, ImageDescription, camera, reelName"),
    ],
)
def test_words_of_an_exr(kind: str, gone: str, tmp_path: Path) -> None:
    path = image(tmp_path / "in.exr", np.float16, camera="A", reelName="R1", Software="x 1")
    assert lost_words(path, kind) == (gone,)


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("tiff", "the attributes dpx:InputDevice, smpte:TimeCode"),
        ("exr", "the attributes dpx:InputDevice"),
        ("movie", "the attributes Copyright, ImageDescription, dpx:InputDevice"),
    ],
)
def test_words_of_a_dpx(kind: str, gone: str, tmp_path: Path) -> None:
    path = image(tmp_path / "in.dpx", np.uint16, dpx__InputDevice="scanner")
    assert lost_words(path, kind) == (gone,)


def test_of_many_words_only_the_first_are_said(tmp_path: Path) -> None:
    path = image(tmp_path / "in.exr", np.float16, **{f"nuke__{n}": "x" for n in range(9)})
    assert lost_words(path, "tiff")[0].endswith("nuke:5, 4 more")


def test_words_of_a_tiff_have_no_place_in_a_movie(tmp_path: Path) -> None:
    path = image(tmp_path / "in.tif", np.uint8)
    assert lost_words(path, "png") == ()
    assert lost_words(path, "movie") == ("the attributes Copyright, ImageDescription",)
