"""Sound and subtitles stand where they stood beside the picture, whatever the container."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.helpers.beside import second_of_picture
from tests.helpers.clips import Clip, write
from tests.media.test_roundtrip import pass_through
from vdenoise.media.movie import packets
from vdenoise.media.movie.avi_starts import starts
from vdenoise.media.movie.clock import output_clock
from vdenoise.media.movie.compare_streams import Begin, differences
from vdenoise.media.movie.index import scan, streams_beside
from vdenoise.media.movie.rehearsal import rehearse
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe

QUICK = {"preset": "ultrafast"}


def heard(path: Path) -> list[float]:
    """When each packet of the first sound track that is heard begins, in seconds after the
    picture."""
    index = scan(path)
    zero = float(index.pts[0] * index.time_base)
    sound = packets.heard(next(s for s in streams_beside(path).values() if s.kind == "audio"))
    return [sound.seconds(n) - zero for n in range(len(sound.times))]


def clip_with(codec: str, folder: Path, suffix: str = "avi") -> Path:
    """One second of MJPEG with sound in a codec of its own frame length."""
    path = folder / f"{codec}.{suffix}"
    with second_of_picture(path, codec, 48000, "stereo", "mjpeg") as (output, audio):
        wanted = audio.codec_context.format.name
        kind = {"f": np.float32, "1": np.int16, "3": np.int32}[wanted.strip("s")[0]]
        for start in range(0, 48000, 1536):
            block = np.zeros((2, 1536) if wanted.endswith("p") else (1, 3072), kind)
            frame = av.AudioFrame.from_ndarray(block, format=wanted, layout="stereo")
            frame.sample_rate, frame.pts = 48000, start
            output.mux(audio.encode(frame))
    return path


@pytest.mark.parametrize("codec", ["ac3", "aac", "libmp3lame", "pcm_s16le"])
def test_sound_of_an_avi_keeps_its_times_in_an_avi(codec: str, tmp_path: Path) -> None:
    source = clip_with(codec, tmp_path)
    pass_through(source, tmp_path / "out.avi")
    assert heard(tmp_path / "out.avi") == pytest.approx(heard(source), abs=1e-3)
    assert heard(source)[-1] > 0.9


@pytest.mark.parametrize("codec", ["eac3", "libopus", "libmp3lame", "aac"])
def test_sound_that_avi_would_miscount_is_written_as_pcm(codec: str, tmp_path: Path) -> None:
    """It is tried before the start: nothing fails after the work."""
    pass_through(clip_with(codec, tmp_path, "mkv"), tmp_path / "out.avi")
    with av.open(str(tmp_path / "out.avi")) as made:
        found = made.streams.audio[0].codec_context.name
    assert found.startswith("pcm") == (codec in ("eac3", "libopus"))


@pytest.mark.parametrize("suffix", ["mp4", "mov", "ts", "nut", "mkv", "avi"])
@pytest.mark.parametrize("begins_ms", [341, -130])
def test_a_picture_that_begins_later_or_earlier_than_the_sound(
    begins_ms: int, suffix: str, tmp_path: Path
) -> None:
    """Matroska tells whole milliseconds, and at 25 frames per second few of them are frames."""
    clip = Clip(
        "in.mkv",
        time_base=Fraction(1, 1000),
        pts=lambda n: max(begins_ms, 0) + 40 * n,
        audio=("eng",),
        audio_begins=max(-begins_ms, 0) / 1000,
        options=QUICK,
    )
    source = write(clip, tmp_path)
    target = tmp_path / f"out.{suffix}"
    pass_through(source, target)
    # AVI counts frames of sound: half of one is 11 ms, which some wait of the picture makes less.
    allowed = 0.003 if suffix == "avi" else 0.0011
    assert heard(target)[-1] == pytest.approx(heard(source)[-1], abs=allowed)


@pytest.mark.parametrize("suffix", ["mkv", "ts", "nut"])
def test_sound_that_an_edit_list_hides_does_not_come_back(suffix: str, tmp_path: Path) -> None:
    clip = Clip("whole.mp4", frames=50, audio=("eng",), options={**QUICK, "g": "12"})
    source = write(clip, tmp_path)
    trimmed = tmp_path / "trimmed.mp4"
    with av.open(str(source)) as read, av.open(str(trimmed), "w") as made:
        copies = {s.index: made.add_stream_from_template(s, opaque=True) for s in read.streams}
        for packet in read.demux():
            if packet.size:
                shift = round(Fraction(7, 10) / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copies[packet.stream_index]
                made.mux(packet)
    beside = next(iter(streams_beside(trimmed).values()))
    assert beside.hidden > 20
    target = tmp_path / f"out.{suffix}"
    out = pass_through(trimmed, target)
    assert (out.start_pts or 0) * out.time_base < Fraction(1, 4)
    assert heard(target) == pytest.approx(heard(trimmed), abs=0.0015)


@pytest.mark.parametrize(
    ("first", "picture", "sound"),
    [
        (Fraction(0), 0, 0),
        (Fraction(1, 4), 0, 12000),  # exact, in samples
        (Fraction(-1, 10), 3, 960),  # 0.12 s of picture, 0.02 s of sound
    ],
)
def test_avi_waits_with_whole_units(first: Fraction, picture: int, sound: int) -> None:
    units = {0: Fraction(1, 25), 1: Fraction(1, 48000)}
    assert starts(units, 0, {1: first}) == {0: picture, 1: sound}


def test_the_check_sees_sound_that_moved_and_sound_that_changed(tmp_path: Path) -> None:
    source = write(Clip("in.mkv", audio=("eng",), options=QUICK), tmp_path)
    index = scan(source)
    clock = output_clock(index, "matroska", 0, len(index) - 1)
    sound = next(iter(streams_beside(source).values()))
    begin = Begin(index.pts[0] * index.time_base, index.time_base)

    def found(other: Any, shown: Begin = begin) -> list[str]:
        return list(differences("sound", sound, other, clock, shown, "matroska", rewritten=False))

    def changed(**parts: Any) -> Any:
        return type(sound)(**(vars(sound) | parts))

    assert found(sound) == []
    late = Begin(begin.seconds + Fraction(1, 50), begin.tick)
    assert found(sound, late) == ["sound: its times are off by up to 20.0 ms"]
    slow = type(sound.times)("q", (t // 10 for t in sound.times))
    assert "times are off" in found(changed(times=slow))[0]
    bad = type(sound.checks)("L", [0, *sound.checks[1:]])
    assert "1 of its" in found(changed(checks=bad, whole=1))[0]
    assert "became" in found(changed(times=sound.times[1:], checks=sound.checks[1:]))[0]


@pytest.mark.parametrize(
    ("suffix", "said"),
    [
        ("mkv", ()),
        ("avi", ()),  # as PCM, which is only what is heard
        ("mp4", (r"cut of \d+ ms at the end of audio stream 1",)),
        ("nut", (r"cut of [67] ms at the beginning and \d+ ms at the end",)),
    ],
)
def test_padding_that_a_container_cannot_hide_is_named(
    suffix: str, said: tuple[str, ...], tmp_path: Path
) -> None:
    """Opus begins with 312 samples that are none, and its last packet of 960 is not full."""
    info = probe(clip_with("libopus", tmp_path, "mkv"))
    notes = rehearse(info, choose(info, tmp_path / f"out.{suffix}"), 0, info.frames - 1)
    assert len(notes) == len(said)
    assert all(re.search(word, note) for note, word in zip(notes, said, strict=True))
