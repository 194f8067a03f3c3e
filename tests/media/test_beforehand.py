"""What a container cannot hold is found before the render, and what it can is kept."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.helpers.clips import Clip, frame_of, write
from tests.helpers.images import sequence
from tests.media.test_copied_streams import transport_stream
from tests.media.test_roundtrip import pass_through
from tests.media.test_times_beside import heard
from vdenoise.errors import UsageError
from vdenoise.media.movie.index import scan
from vdenoise.media.movie.rehearsal import rehearse
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe

QUICK = {"preset": "ultrafast", "bf": "0"}
FRAMES, RATE, SAMPLES = 10, 25, 48000


def with_pcm(folder: Path, begins: float, seconds: float) -> tuple[Path, Any]:
    """Frames with noise in 16 bits beside them, and its samples."""
    path = folder / "in.mov"
    clip = Clip("x", tags=(1, 1, 1, 1))
    noise = np.random.default_rng(3).integers(-9000, 9000, round(seconds * SAMPLES), np.int16)
    with av.open(str(path), "w") as output:
        picture: Any = output.add_stream("libx264", rate=RATE, options=QUICK)
        picture.width, picture.height, picture.pix_fmt = *clip.size, "yuv420p"
        sound: Any = output.add_stream("pcm_s16le", rate=SAMPLES, layout="mono")
        for number in range(FRAMES):
            frame = frame_of(clip, number)
            frame.pts = number
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
        for start in range(0, len(noise), 1024):
            part = noise[None, start : start + 1024]
            block = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            block.sample_rate, block.pts = SAMPLES, round(begins * SAMPLES) + start
            output.mux(sound.encode(block))
        output.mux(sound.encode(None))
    return path, noise


def samples(path: Path) -> Any:
    with av.open(str(path)) as container:
        return np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])


@pytest.mark.parametrize(
    ("begins", "seconds"), [(0, 0.25), (0, 0.63), (0.12, 0.2), (0.12, 0.5)]
)  # the picture lasts 0.4 s
def test_mxf_holds_sound_that_is_not_as_long_as_the_picture(
    begins: float, seconds: float, tmp_path: Path
) -> None:
    source, noise = with_pcm(tmp_path, begins, seconds)
    target = tmp_path / "out.mxf"
    said = " ".join(choose(probe(source), target).notes)
    assert ("with silence" in said) == (begins > 0 or seconds < 0.4)
    assert ("cannot keep" in said) == (begins + seconds > 0.4)
    assert pass_through(source, target).frames == FRAMES
    expected = np.zeros(round(0.4 * SAMPLES), np.int16)
    at = round(begins * SAMPLES)
    fitting = noise[: len(expected) - at]
    expected[at : at + len(fitting)] = fitting
    assert np.array_equal(samples(target), expected)


def test_a_part_in_mxf_has_the_sound_of_that_part(tmp_path: Path) -> None:
    source, noise = with_pcm(tmp_path, 0, 0.3)
    pass_through(source, tmp_path / "out.mxf", first=3, last=8)
    found = samples(tmp_path / "out.mxf")
    wanted = noise[round(3 * SAMPLES / RATE) :]
    begin = round(0.3 * SAMPLES) - len(wanted)  # whole packets are copied: the first may be cut
    assert len(found) == round(6 * SAMPLES / RATE) and begin == round(3 * SAMPLES / RATE)
    tail = wanted[1024:]
    assert np.array_equal(found[1024 : 1024 + len(tail)], tail)
    assert not found[len(wanted) :].any()


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_joined_files_whose_times_jump_back_go_on(suffix: str, tmp_path: Path) -> None:
    """25 frames each, and sound that ends a little later."""
    one = transport_stream(tmp_path, "mp2")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() * 2)
    target = tmp_path / f"out.{suffix}"
    assert pass_through(joined, target).frames == 50
    times = heard(target)
    assert times[0] == pytest.approx(heard(one)[0], abs=2e-3)
    assert {round(b - a, 2) for a, b in pairwise(times)} == {0.02}
    assert len(times) == 2 * len(heard(one))


@pytest.mark.parametrize("suffix", ["ts", "nut"])
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001)], ids=["25", "29.97"])
def test_one_frame_of_a_transport_stream(rate: Fraction, suffix: str, tmp_path: Path) -> None:
    ticks: dict[str, Any] = {"time_base": 1 / rate, "pts": int}
    source = write(Clip("in.ts", frames=1, rate=rate, options=QUICK, **ticks), tmp_path)
    index = scan(source)
    assert index.rate == rate and index.durations[0] * index.time_base == 1 / rate
    pass_through(source, tmp_path / f"out.{suffix}")


def test_times_that_a_container_cannot_tell_apart_are_found_before_the_start(
    tmp_path: Path,
) -> None:
    """A tenth of a millisecond in between: Matroska and WebM count milliseconds."""
    source = write(
        Clip("in.mp4", pts=lambda n: n * 512 if n < 4 else 2048 + n, options=QUICK), tmp_path
    )
    info = probe(source)
    target = tmp_path / "out.mkv"
    with pytest.raises(UsageError, match="timestamps: off by") as caught:
        rehearse(info, choose(info, target), 0, 11)
    assert caught.value.number == 196 and ".mov" in caught.value.hint
    chosen = choose(info, tmp_path / "out.mov")
    rehearse(info, chosen, 0, 11)
    pass_through(source, tmp_path / "out.mov")


def test_a_rehearsal_of_a_long_clip_looks_at_both_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vdenoise.media.movie.rehearsal._MOST", 3)
    source = write(
        Clip("in.mp4", pts=lambda n: n * 512 if n < 9 else 4608 + n, options=QUICK), tmp_path
    )
    info = probe(source)
    with pytest.raises(UsageError, match="timestamps: off by"):
        rehearse(info, choose(info, tmp_path / "out.mkv"), 0, 11)


@pytest.mark.parametrize(("suffix", "holds"), [("mp4", False), ("mkv", True)])
def test_a_container_that_cannot_tell_linear_light_takes_no_float_images(
    suffix: str, holds: bool, tmp_path: Path
) -> None:
    clip = probe(sequence(tmp_path, "exr-half"))
    settings = choose(clip, tmp_path / f"out.{suffix}", codec="ffv1")
    if holds:
        rehearse(clip, settings, 0, 3)
        return
    with pytest.raises(UsageError, match="linear became unknown") as caught:
        rehearse(clip, settings, 0, 3)
    assert caught.value.hint == "Name an output that holds it: .mkv."


def test_pcm_of_a_nameless_layout_goes_into_an_mp4(tmp_path: Path) -> None:
    source, noise = with_pcm(tmp_path, 0, 0.4)
    middle = tmp_path / "in.mkv"
    with av.open(str(source)) as a, av.open(str(middle), "w") as b:
        copies = {s.index: b.add_stream_from_template(s, opaque=True) for s in a.streams}
        for packet in a.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                b.mux(packet)
    pass_through(middle, tmp_path / "out.mp4")
    assert np.array_equal(samples(tmp_path / "out.mp4"), noise)


@pytest.mark.parametrize(
    ("order", "held"), [("tt", True), ("bt", True), ("bb", False), ("tb", False)]
)
def test_h264_in_mxf_with_the_bottom_field_first_is_refused_at_once(
    order: str, held: bool, tmp_path: Path
) -> None:
    """Its descriptor would say that the top field comes first."""
    info = replace(probe(write(Clip("in.mkv"), tmp_path)), field_order=order)
    target = tmp_path / "out.mxf"
    if held:
        assert choose(info, target, codec="x264").codec == "x264"
        return
    with pytest.raises(UsageError, match="top field comes first"):
        choose(info, target, codec="x264")
    assert choose(info, target, codec="ffv1").codec == "ffv1"


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("suffix", ["mov", "mkv", "ts"])
def test_a_frame_or_two_in_hevc(suffix: str, frames: int, tmp_path: Path) -> None:
    """x265 tells decoding times of memory that it never set, until the third frame."""
    source = write(Clip("in.mkv", codec="ffv1", frames=frames), tmp_path)
    out = pass_through(source, tmp_path / f"out.{suffix}", codec="x265").path
    with av.open(str(out)) as container:
        times = [(p.pts, p.dts) for p in container.demux(video=0) if p.size]
    assert len(times) == frames and all(decoded in (shown, None) for shown, decoded in times)
