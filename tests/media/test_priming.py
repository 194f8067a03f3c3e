"""What a coder of sound needs to get going: hidden where it was hidden, and the sound as it is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.helpers.beside import second_of_picture
from tests.media.test_roundtrip import pass_through
from tests.media.test_words_and_covers import said
from vdenoise.media.inputs import open_input
from vdenoise.media.movie.index import scan
from vdenoise.media.movie.priming import delayed, priming

RATE = 48000


def tone(folder: Path, codec: str = "aac") -> Path:
    """A second of two tones that begin at once, in an MP4: its edit list hides the first packet."""
    path = folder / "in.mp4"
    time = np.arange(RATE) / RATE
    samples = 0.5 * np.sin(2 * np.pi * 440 * time) + 0.2 * np.sin(2 * np.pi * 3000 * time)
    with second_of_picture(path, codec, RATE, "mono") as (output, audio):
        block = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "flt", "mono")
        block.sample_rate, block.pts, block.time_base = RATE, 0, Fraction(1, RATE)
        for made in av.AudioResampler(audio.codec_context.format.name, "mono", RATE).resample(
            block
        ):
            output.mux(audio.encode(made))
    return path


def beginning(path: Path, count: int = 4000) -> np.ndarray[Any, Any]:
    """The first samples that are heard, of sound that begins with the picture."""
    index, parts = scan(path), []
    zero = index.pts[0] * index.time_base
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            if not parts:
                assert float(frame.pts * frame.time_base - zero) == pytest.approx(0, abs=1e-3)
            parts.append(frame.to_ndarray()[0])
    return np.concatenate(parts)[:count]


@pytest.mark.parametrize("suffix", ["mkv", "mov", "mp4"])
def test_sound_begins_as_it_did(suffix: str, tmp_path: Path) -> None:
    source = tone(tmp_path)
    assert not any("first moment" in told for told in said(source, f"x.{suffix}"))
    out = pass_through(source, tmp_path / f"out.{suffix}").path
    assert np.array_equal(beginning(out), beginning(source))


@pytest.mark.parametrize("suffix", ["ts", "avi", "nut"])
def test_where_nothing_is_hidden_sound_fades_in_by_name(suffix: str, tmp_path: Path) -> None:
    source = tone(tmp_path)
    assert any("first moment of audio stream 1" in told for told in said(source, f"x.{suffix}"))
    out = beginning(pass_through(source, tmp_path / f"out.{suffix}").path)
    assert not np.array_equal(out, beginning(source))
    assert np.abs(out - beginning(source))[1024:].max() < 1e-3


def test_a_part_from_the_middle_hides_nothing(tmp_path: Path) -> None:
    source = tone(tmp_path)
    pass_through(source, tmp_path / "part.mkv", first=10, last=20)
    with av.open(str(tmp_path / "part.mkv")) as container:
        first = next(container.demux(audio=0))
        assert first.pts >= 0 and not first.has_sidedata("skip_samples")


def test_how_much_is_hidden_is_told_to_the_sample(tmp_path: Path) -> None:
    with open_input(tone(tmp_path)) as source:
        stream = source.streams.audio[0]
        found = priming(stream)
        assert found is not None and (found.begin, found.seconds) == (-1024, Fraction(1024, RATE))
        assert delayed(stream, Fraction(2112, RATE)) is not None
        assert priming(source.streams.video[0]) is None
