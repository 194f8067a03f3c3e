"""The muxer is asked what it takes: with each stream's own parameters and first packets."""

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
from tests.media.test_times_beside import clip_with, heard
from vdenoise.errors import UsageError
from vdenoise.media.movie.packets import codec_of
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe

QUICK = {"preset": "ultrafast", "bf": "0"}
_TEXT = ("mkv", "webm", "mp4", "mov", "nut")


def packed(samples: Any) -> Any:
    """Left and right in turn, of one or two rows."""
    return samples.T.reshape(-1)


def codecs(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [codec_of(stream) for stream in container.streams]


def transport_stream(folder: Path, *sound: str, second: bool = False) -> Path:
    """H.264, sound in the codecs named, and perhaps a second picture."""
    path = folder / "in.ts"
    clip = Clip("x", tags=(1, 1, 1, 1))
    with av.open(str(path), "w") as output:
        pictures: list[Any] = []
        for _ in range(1 + second):
            stream: Any = output.add_stream("libx264", rate=25, options=QUICK)
            stream.width, stream.height, stream.pix_fmt = *clip.size, "yuv420p"
            pictures.append(stream)
        tracks: list[Any] = [output.add_stream(c, rate=48000, layout="stereo") for c in sound]
        for number in range(25):
            for stream in pictures:
                frame = frame_of(clip, number)
                frame.pts = number
                output.mux(stream.encode(frame))
        for stream in pictures:
            output.mux(stream.encode(None))
        for track in tracks:
            wanted = track.codec_context.format.name
            kind = {"f": np.float32, "1": np.int16, "3": np.int32}[wanted.strip("s")[0]]
            for start in range(0, 48000, 1152):
                block = np.zeros((2, 1152) if wanted.endswith("p") else (1, 2304), kind)
                heard_frame = av.AudioFrame.from_ndarray(block, format=wanted, layout="stereo")
                heard_frame.sample_rate, heard_frame.pts = 48000, start
                output.mux(track.encode(heard_frame))
            output.mux(track.encode(None))
    return path


def test_a_transport_stream_keeps_all_its_tracks(tmp_path: Path) -> None:
    source = transport_stream(tmp_path, "libmp3lame", "mp2", "ac3", second=True)
    assert choose(probe(source), tmp_path / "out.ts").notes == ()
    pass_through(source, tmp_path / "out.ts")
    assert codecs(tmp_path / "out.ts") == ["h264", "h264", "mp3", "mp2", "ac3"]


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_second_picture_goes_over(suffix: str, tmp_path: Path) -> None:
    source = transport_stream(tmp_path, second=True)
    pass_through(source, tmp_path / f"out.{suffix}")
    assert codecs(tmp_path / f"out.{suffix}") == ["h264", "h264"]


@pytest.mark.parametrize("codec", ["pcm_mulaw", "pcm_alaw", "adpcm_ms", "adpcm_ima_wav"])
def test_sound_that_matroska_does_not_take_becomes_pcm(codec: str, tmp_path: Path) -> None:
    source, target = clip_with(codec, tmp_path), tmp_path / "out.mkv"
    pass_through(source, target)
    assert codecs(target)[1] == "pcm_s16le"
    with av.open(str(source)) as a, av.open(str(target)) as b:
        before, after = (
            np.concatenate([packed(f.to_ndarray()) for f in c.decode(audio=0)]) for c in (a, b)
        )
    assert np.array_equal(before, after) and before.size > 90000
    assert heard(target)[0] == pytest.approx(heard(source)[0], abs=1e-3)


def test_adpcm_of_an_avi_is_heard_in_an_avi(tmp_path: Path) -> None:
    source = clip_with("adpcm_ms", tmp_path)
    pass_through(source, tmp_path / "out.avi")
    with av.open(str(tmp_path / "out.avi")) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples >= 47000


def test_the_only_sound_is_not_left_out(tmp_path: Path) -> None:
    """WebM takes it as Opus, and says so; where nothing takes it the output is refused."""
    source = write(Clip("in.mp4", audio=("eng",), options=QUICK), tmp_path)
    notes = choose(probe(source), tmp_path / "out.webm").notes
    assert "webm holds audio stream 1 (aac) as Opus, encoded anew" in notes
    pass_through(source, tmp_path / "out.webm")
    assert codecs(tmp_path / "out.webm")[1] == "opus"
    with av.open(str(tmp_path / "out.webm")) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert abs(samples - 12 / 25 * 48000) < 4000
    source = with_sound(tmp_path, "pcm_s16le", "stereo", name="pcm.mov")
    with pytest.raises(UsageError, match="would lose its sound") as caught:
        choose(probe(source), tmp_path / "out.ts")
    assert ".mkv" in caught.value.hint


@pytest.mark.parametrize("suffix", ["ts", "webm"])
def test_an_attachment_that_is_not_kept_is_named_before_the_start(
    suffix: str, tmp_path: Path
) -> None:
    source = write(Clip("in.mkv", attachment=True, options=QUICK), tmp_path)
    target = tmp_path / f"out.{suffix}"
    assert any("attachment stream 1" in note for note in choose(probe(source), target).notes)
    pass_through(source, target)


def styled_text(folder: Path) -> Path:
    """A clip with one line in a style of its own, from 0.1 to 0.3 s."""
    header = (
        b"[Script Info]\r\nScriptType: v4.00+\r\nPlayResX: 384\r\nPlayResY: 288\r\n\r\n"
        b"[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, "
        b"OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, "
        b"Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\r\n"
        b"Style: Fancy,Verdana,28,&H0000FFFF,&H0,&H0,&H0,1,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1"
        b"\r\n\r\n[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, "
        b"Effect, Text\r\n"
    )
    path = folder / "in.mkv"
    clip = Clip("x", tags=(1, 1, 1, 1))
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=25, options=QUICK)
        stream.width, stream.height, stream.pix_fmt = *clip.size, "yuv420p"
        text: Any = output.add_stream("ass")
        text.codec_context.subtitle_header = header
        for number in range(12):
            frame = frame_of(clip, number)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        packet = av.Packet(b"0,0,Fancy,,0,0,0,,Hello {\\b1}bold{\\b0} there")
        packet.stream, packet.time_base = text, stream.time_base
        packet.pts = packet.dts = round(0.1 / packet.time_base)
        packet.duration = round(0.2 / packet.time_base)
        output.mux(packet)
    return path


def test_text_that_would_stay_for_good_is_left_out_by_name(tmp_path: Path) -> None:
    """NUT cannot tell for how long a subtitle is seen."""
    source = styled_text(tmp_path)
    notes = {suffix: choose(probe(source), tmp_path / f"out.{suffix}").notes for suffix in _TEXT}
    gone = "cannot hold subtitle stream 1 (ass)"
    assert {s for s in _TEXT if any(gone in note for note in notes[s])} == {"nut"}
    for suffix in _TEXT:
        pass_through(source, tmp_path / f"out.{suffix}")
        with av.open(str(tmp_path / f"out.{suffix}")) as container:
            text = [s for s in container.streams if s.type == "subtitle"]
            lasting = [p.duration * p.time_base for p in container.demux(text) if p.duration]
        assert (0.2 in [round(float(s), 3) for s in lasting]) == (suffix != "nut")


def test_styled_text_is_seen_in_an_mp4(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    pass_through(styled_text(tmp_path), target)
    with av.open(str(target)) as container:
        said = [bytes(p) for p in container.demux(subtitles=0) if p.size > 2]
    styles = said[0][2 + int.from_bytes(said[0][:2], "big") :]
    assert b"Hello bold there" in said[0]
    count = struct.unpack_from(">I4sH", styles)[2]
    for number in range(count):  # first, last, font, face, size, color with alpha
        size, *color = struct.unpack_from(">B4B", styles, 10 + 12 * number + 7)
        assert size == 28 and color == [255, 255, 0, 255]
    assert count
