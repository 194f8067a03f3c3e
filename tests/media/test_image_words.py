"""What a header says of a picture goes into another kind of file, or is named before the start."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from vdenoise.media.images.words import lost_words
from vdenoise.media.movie.clock import timecode_word
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe

TEXTS = {"Copyright": "me", "ImageDescription": "a field"}


def image(path: Path, kind: Any, timecode: int | None = 0x01020304, **words: str) -> Path:
    """A picture with words and a timecode in its header."""
    spec = oiio.ImageSpec(16, 8, 3, kind.__name__)
    for name, value in (TEXTS | words).items():
        spec.attribute(name.replace("__", ":"), value)
    if timecode is not None:
        spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, (timecode, 0))
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
    assert lost_words([path], kind) == (gone,)


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
    assert lost_words([path], kind) == (gone,)


def test_of_many_words_only_the_first_are_said(tmp_path: Path) -> None:
    path = image(tmp_path / "in.exr", np.float16, **{f"nuke__{n}": "x" for n in range(9)})
    assert lost_words([path], "tiff")[0].endswith("nuke:5, 4 more")


def test_words_of_a_tiff_have_no_place_in_a_movie(tmp_path: Path) -> None:
    path = image(tmp_path / "in.tif", np.uint8)
    assert lost_words([path], "png") == ()
    assert lost_words([path], "movie") == ("the attributes Copyright, ImageDescription",)


def test_words_of_later_images_count(tmp_path: Path) -> None:
    """Only the last one has a camera, and one that cannot be read is the reader's to judge."""
    for number in range(1, 5):
        more = {"cameraModel": "X"} if number == 4 else {}
        image(tmp_path / f"a.{number}.exr", np.float16, **more)
    (tmp_path / "a.3.exr").write_bytes(b"nothing")
    info = probe(tmp_path / "a.#.exr")
    assert "cameraModel" in " ".join(choose(info, tmp_path / "out.mkv").notes)


@pytest.mark.parametrize(
    ("codes", "anew"),
    [
        (("01:00:00:22", "01:00:00:23", "01:00:01:00", "01:00:01:01"), False),
        (("01:00:00:22", "01:00:00:23", "01:00:10:00", "01:00:10:01"), True),
        (("01:00:00:22", "01:00:00:22", "01:00:00:22", "01:00:00:22"), True),
        ((None, None, None, None), False),
    ],
)
def test_timecodes_that_jump_are_named_in_a_movie(
    codes: tuple[str | None, ...], anew: bool, tmp_path: Path
) -> None:
    for number, code in enumerate(codes, 1):
        word = None if code is None else timecode_word(code)
        image(tmp_path / f"a.{number}.exr", np.float16, word)
    info = probe(tmp_path / "a.#.exr", rate=Fraction(24))
    assert info.holds == ({"timecode that starts anew": ""} if anew else {})
    notes = " ".join(choose(info, tmp_path / "out.mkv").notes)
    assert ("cannot keep the timecode that starts anew" in notes) == anew
