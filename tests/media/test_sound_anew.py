"""Sound that a container does not take as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.helpers.beside import second_of_picture
from tests.media.test_roundtrip import pass_through
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe

SECONDS = 1


def with_sound(
    folder: Path, codec: str, layout: str, rate: int = 48000, name: str = "in.mkv"
) -> Path:
    """A second of picture and of sound: a tone of its own in every channel."""
    path = folder / name
    with second_of_picture(path, codec, rate, layout) as (output, sound):
        tones = tone(av.AudioLayout(layout).nb_channels, rate)
        kind = sound.codec_context.format.name
        packed = tones if kind.endswith("p") else tones.T.reshape(1, -1)
        if not kind.startswith("flt"):
            packed = (packed * (1 << 31 if kind.startswith("s32") else 1 << 15)).astype(
                np.int32 if kind.startswith("s32") else np.int16
            )
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), kind, layout)
        frame.sample_rate, frame.pts = rate, 0
        output.mux(sound.encode(frame))
    return path


def tone(channels: int, rate: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    time = np.arange(rate * SECONDS) / rate
    waves = [np.sin(2 * np.pi * 80 * (n + 1) * time) for n in range(channels)]
    return (0.4 * np.stack(waves)).astype(np.float32)


def heard(path: Path) -> np.ndarray[Any, Any]:
    """(channels, samples) of the first sound track, from -1 to 1."""
    with av.open(str(path)) as source:
        stream = source.streams.audio[0]
        channels = stream.codec_context.layout.nb_channels
        # Packed: PyAV reads beyond the planes of eight channels.
        resampler = av.AudioResampler("flt", stream.codec_context.layout.name, 48000)
        frames = [r for f in source.decode(stream) for r in resampler.resample(f)]
        frames += resampler.resample(None)
        return np.concatenate([f.to_ndarray().reshape(-1, channels).T for f in frames], axis=1)


@pytest.mark.parametrize(
    ("codec", "layout", "name", "written", "off"),
    [
        ("pcm_s24be", "stereo", "in.mov", "pcm_s24le", 0.0),
        ("pcm_s16be", "stereo", "in.mov", "pcm_s16le", 0.0),
        ("flac", "5.1", "in.mkv", "pcm_s16le", 0.0),
        ("aac", "stereo", "in.mp4", "pcm_s24le", 2**-22),
        ("pcm_f32le", "mono", "in.mkv", "pcm_s24le", 2**-22),
    ],
)
def test_sound_goes_into_mxf_as_pcm(
    codec: str, layout: str, name: str, written: str, off: float, tmp_path: Path
) -> None:
    source = with_sound(tmp_path, codec, layout, name=name)
    target = tmp_path / "out.mxf"
    notes = choose(probe(source), target).notes
    assert any("PCM of 24 bits" in note for note in notes) == (codec == "pcm_f32le")
    pass_through(source, target)
    with av.open(str(target)) as made:
        assert made.streams.audio[0].codec_context.name == written
    before, after = heard(source), heard(target)
    assert after.shape[1] == 48000 * SECONDS  # as long as the picture
    assert np.abs(before[:, :48000] - after[:, : before.shape[1]]).max() <= off


def test_sound_of_another_rate_is_resampled_for_mxf_and_named(tmp_path: Path) -> None:
    source = with_sound(tmp_path, "pcm_s16le", "stereo", 44100)
    target = tmp_path / "out.mxf"
    assert any("PCM of 48 kHz, resampled" in note for note in choose(probe(source), target).notes)
    pass_through(source, target)
    after = heard(target)
    assert after.shape[1] == 48000
    assert np.abs(after - tone(2, 48000))[:, 100:-100].max() < 2e-3


@pytest.mark.parametrize("layout", ["stereo", "5.1", "5.1(side)", "7.1"])
def test_sound_of_more_channels_goes_into_webm(layout: str, tmp_path: Path) -> None:
    source = with_sound(tmp_path, "pcm_s16le", layout)
    pass_through(source, tmp_path / "out.webm")
    before, after = heard(source), heard(tmp_path / "out.webm")
    assert after.shape[0] == before.shape[0]
    length = min(before.shape[1], after.shape[1])
    assert length > 47000
    for a, b in zip(before, after, strict=True):
        if av.AudioLayout(layout).nb_channels > 2 and a is before[3]:
            continue  # the lowest channel is coded as noise of its kind
        assert np.corrcoef(a[4800 : length - 4800], b[4800 : length - 4800])[0, 1] > 0.9


def test_speakers_that_opus_does_not_know_are_not_mixed(tmp_path: Path) -> None:
    source = with_sound(tmp_path, "pcm_s16le", "2.1")
    with pytest.raises(Exception, match="would lose its sound"):
        choose(probe(source), tmp_path / "out.webm")
