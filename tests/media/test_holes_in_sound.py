"""Sound with a hole: what comes behind it is heard where it was, also where PCM is only counted."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers.beside import second_of_picture
from tests.media.test_roundtrip import pass_through
from tests.media.test_said_beforehand import sound
from vdenoise.media.movie.clock import Clock
from vdenoise.media.movie.compare_streams import Begin, differences
from vdenoise.media.movie.filling import has_holes
from vdenoise.media.movie.index import scan

RATE, HOLE = 44100, (0.4, 0.6)  # seconds


def with_a_hole(folder: Path, codec: str, suffix: str = "mkv") -> Path:
    """A second of noise, with nothing from 0.4 to 0.6 s."""
    path = folder / f"in.{suffix}"
    rng = np.random.default_rng(3)
    rate = 48000 if codec == "libopus" else RATE
    with second_of_picture(path, codec, rate, "mono") as (output, audio):
        step = rate // 50
        for start in range(0, rate, step):
            if HOLE[0] <= start / rate < HOLE[1]:
                continue
            samples = rng.normal(0, 0.2, (1, step)).astype(np.float32)
            block = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
            block.sample_rate, block.pts, block.time_base = rate, start, Fraction(1, rate)
            wanted = audio.codec_context.format.name
            for made in av.AudioResampler(wanted, "mono", rate).resample(block):
                made.pts = start
                output.mux(audio.encode(made))
    return path


def silence(path: Path) -> tuple[float, float]:
    """When the longest silence begins and ends, in seconds after the picture."""
    index = scan(path)
    zero = float(index.pts[0] * index.time_base)
    loud: list[tuple[float, float]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            at = float(frame.pts * frame.time_base) - zero
            data = frame.to_ndarray().astype(np.float64).ravel()
            top = {"u": 128.0, "s": 2.0 ** (8 * frame.format.bytes - 1)}.get(
                frame.format.name[0], 1.0
            )
            data = (data - 128 if frame.format.name[0] == "u" else data) / (top if top > 1 else 1)
            loud += [
                (at + n / frame.sample_rate, v) for n, v in enumerate(np.abs(data)) if v > 0.05
            ]
    times = np.array([time for time, _ in loud])
    gap = int(np.argmax(np.diff(times)))
    return float(times[gap]), float(times[gap + 1])


@pytest.mark.parametrize("suffix", ["mov", "mp4", "avi", "mkv", "nut", "mxf"])
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_u8", "libopus"])
def test_what_comes_behind_a_hole_stays_there(codec: str, suffix: str, tmp_path: Path) -> None:
    source = with_a_hole(tmp_path, codec)
    out = pass_through(source, tmp_path / f"out.{suffix}").path
    assert silence(out) == pytest.approx(silence(source), abs=0.01)
    assert silence(source) == pytest.approx(HOLE, abs=0.03)


def test_a_copy_without_a_hole_is_seen_to_end_early() -> None:
    clock = Clock(Fraction(1, 1000), 0, tuple(range(0, 1000, 40)), (40,) * 25, Fraction(0))
    begin = Begin(Fraction(0), Fraction(1, 1000))
    before = sound(0, 0.02, 0.24, 0.26, lasting=960)
    after = sound(0, 0.02, 0.04, lasting=960)
    after.durations[2] = 1920
    before.whole = after.whole = 7
    assert has_holes(before) and not has_holes(after)
    found = list(differences("sound", before, after, clock, begin, "mov", rewritten=False))
    assert found == ["sound: it ends 200.0 ms early"]
    assert list(differences("sound", before, before, clock, begin, "mov", rewritten=False)) == []
