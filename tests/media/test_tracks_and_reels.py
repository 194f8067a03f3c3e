"""Names of tracks and reels, timecodes and speakers: kept, or named before the start; what is
encrypted is refused by that name."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.helpers.clips import Clip, frame_of, write
from tests.media.test_roundtrip import pass_through
from tests.media.test_sound_anew import with_sound
from tests.media.test_words_and_covers import said
from vdenoise.errors import InputError
from vdenoise.media.inputs import open_input, video_of
from vdenoise.media.movie.metadata import reel_name
from vdenoise.media.movie.streams import plan_copies
from vdenoise.media.probe import probe

SHORT = Clip("in.mov", codec="prores_ks", format="yuv422p10le", frames=4)


def movie(path: Path, pictures: tuple[dict[str, str], ...], sounds: tuple[str, ...] = ()) -> Path:
    """A movie of pictures with these words, and sound tracks with these titles."""
    with av.open(str(path), "w") as output:
        videos: list[Any] = [output.add_stream(SHORT.codec, rate=25) for _ in pictures]
        tracks: list[Any] = [output.add_stream("pcm_s16le", rate=48000) for _ in sounds]
        for video, words in zip(videos, pictures, strict=True):
            video.width, video.height, video.pix_fmt = *SHORT.size, SHORT.format
            video.metadata.update(words)
        for track, title in zip(tracks, sounds, strict=True):
            track.metadata["title"] = title
        for video in videos:
            for number in range(SHORT.frames):
                frame = frame_of(SHORT, number)
                frame.pts = number
                output.mux(video.encode(frame))
            output.mux(video.encode(None))
        for track in tracks:
            block = av.AudioFrame.from_ndarray(np.zeros((1, 7680), np.int16), "s16", "mono")
            block.sample_rate, block.pts = 48000, 0
            output.mux([*track.encode(block), *track.encode(None)])
    return path


def titles(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        words = [{k.lower(): v for k, v in s.metadata.items()} for s in container.streams.audio]
        return [told.get("name") or told.get("title", "") for told in words]


@pytest.mark.parametrize("suffix", ["mov", "mp4", "mkv"])
def test_names_of_tracks_are_kept(suffix: str, tmp_path: Path) -> None:
    source = movie(tmp_path / "in.mov", ({},), ("Boom", "Lav 1"))
    assert titles(source) == ["Boom", "Lav 1"]
    assert not any("cannot keep the" in told for told in said(source, f"x.{suffix}"))
    assert titles(pass_through(source, tmp_path / f"out.{suffix}").path) == ["Boom", "Lav 1"]


@pytest.mark.parametrize("suffix", ["mov", "mp4", "mkv", "mxf", "avi"])
def test_the_name_of_a_reel_is_kept_or_named(suffix: str, tmp_path: Path) -> None:
    words = {"timecode": "01:00:00:00", "reel_name": "A001C002"}
    source = movie(tmp_path / "in.mov", (words,))
    lost = any("reel_name" in told for told in said(source, f"x.{suffix}"))
    with open_input(pass_through(source, tmp_path / f"out.{suffix}").path) as out:
        assert reel_name(out) == ({} if lost else {"reel_name": "A001C002"})
    assert lost == (suffix in ("avi", "mp4"))


def test_further_timecodes_are_named(tmp_path: Path) -> None:
    source = movie(tmp_path / "in.mov", ({"timecode": "01:00:00:00"}, {"timecode": "10:00:00:00"}))
    assert "mov with prores cannot keep the further timecodes (10:00:00:00)" in said(
        source, "x.mov"
    )
    assert pass_through(source, tmp_path / "out.mov").timecode == "01:00:00:00"


def test_a_timecode_that_starts_anew_is_named(tmp_path: Path) -> None:
    """A QuickTime track of timecode with two samples, as editing programs write it."""
    source = movie(tmp_path / "in.mov", ({"timecode": "01:00:00:00"},))
    assert not any("anew" in told for told in said(source, "x.mov"))
    data = bytearray(source.read_bytes())
    track = data.rindex(b"tmcd")  # the sample description's
    times, sizes, chunks = (data.index(kind, track) + 4 for kind in (b"stts", b"stsz", b"stsc"))
    struct.pack_into(">2I", data, times + 8, 2, struct.unpack_from(">I", data, times + 12)[0] // 2)
    struct.pack_into(">I", data, sizes + 8, 2)
    struct.pack_into(">I", data, chunks + 12, 2)
    source.write_bytes(bytes(data))
    assert any("timecode that starts anew" in told for told in said(source, "x.mov"))
    pass_through(source, tmp_path / "out.mov")


@pytest.mark.parametrize(
    ("layout", "suffix", "lost"),
    [
        ("hexagonal", "mkv", True),
        ("quad", "mxf", True),
        ("hexagonal", "avi", False),
        ("5.1", "mkv", False),
        ("5.1(side)", "mkv", False),
        ("2.1", "nut", False),
        ("stereo", "mxf", False),
    ],
)
def test_speakers_that_a_container_cannot_tell_are_named(
    layout: str, suffix: str, lost: bool, tmp_path: Path
) -> None:
    source = with_sound(tmp_path, "pcm_s24le", layout, 48000, name="in.mov")
    told = [words for words in said(source, f"x.{suffix}") if "speakers" in words]
    assert bool(told) == lost and all(layout in words for words in told)


KEYS = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}


def test_an_encrypted_picture_is_refused(tmp_path: Path) -> None:
    clip = Clip("in.mp4", options={"preset": "ultrafast"}, container_options=KEYS)
    with pytest.raises(InputError, match="is encrypted") as caught:
        probe(write(clip, tmp_path))
    assert caught.value.number == 44


def test_scrambled_packets_of_a_transport_stream(tmp_path: Path) -> None:
    """The picture's: no clip; the sound's: left out by name."""
    source = write(Clip("in.ts", audio=("deu",), options={"preset": "ultrafast"}), tmp_path)
    with open_input(source) as container:
        pids = {stream.type: stream.id for stream in container.streams}
    whole = source.read_bytes()
    for kind, pid in pids.items():
        data = bytearray(whole)
        for at in range(0, len(data), 188):
            if (data[at + 1] & 0x1F) << 8 | data[at + 2] == pid:
                data[at + 3] |= 0x80
        source.write_bytes(bytes(data))
        if kind == "video":
            with pytest.raises(InputError, match="is encrypted"):
                probe(source)
            continue
        with open_input(source) as container:
            plan = plan_copies(container, video_of(container, source), "mpegts")
        assert plan.notes and "is encrypted, and is left out" in plan.notes[0] and plan.silent
