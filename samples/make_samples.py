"""Make the sample clips: ``python samples/make_samples.py [--into FOLDER]``.

Pictures come from ``scene.py``, noise from ``vdenoise.degrade.synth``, sound from a formula; the
ffmpeg program encodes. ``README.md`` says what each clip holds.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np
import scene
import torch
from torch import Tensor

from vdenoise.degrade import synth

SEED = 1
WIDTH, HEIGHT, FRAMES, RATE = 640, 360, 48, 24
SOUND_RATE = 48_000
BT709 = [
    "-colorspace",
    "bt709",
    "-color_primaries",
    "bt709",
    "-color_trc",
    "bt709",
    "-color_range",
    "tv",
]
TO_709 = "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int"


def main() -> None:
    """Render the scene and write every clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=Path(__file__).parent)
    into: Path = parser.parse_args().into
    pictures = np.stack(list(scene.frames(WIDTH, HEIGHT, FRAMES)))
    clean = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    h264 = ["-c:v", "libx264", "-preset", "slow", "-pix_fmt", "yuv420p"]
    with tempfile.TemporaryDirectory() as folder:
        tone = _tone(Path(folder) / "tone.wav", FRAMES / RATE, (220, 277.18, 329.63))
        other = _tone(Path(folder) / "other.wav", FRAMES / RATE, (440,))
        sound = ["-i", str(tone), "-c:a", "aac", "-b:a", "48k"]
        _encode(clean, into / "scene_clean.mp4", [], [*h264, "-crf", "16"])
        sensor = synth.sensor(clean, 0.008, 2e-4, seed=SEED)
        _encode(sensor, into / "scene_sensor.mp4", sound, [*h264, "-crf", "24"])
        film = synth.film_grain(clean, 11 / 255, size=0.9, seed=SEED)[:36]
        _encode(film, into / "scene_film.mp4", [], [*h264, "-tune", "grain", "-crf", "27"])
        _zoo(sensor[20:44], into / "zoo.mov", (tone, other), Path(folder))


def _zoo(frames: Tensor, target: Path, sounds: tuple[Path, Path], folder: Path) -> None:
    """10-bit ProRes with timecode, two sound tracks, chapters and a variable frame rate."""
    chapters = folder / "chapters.txt"
    parts = "".join(
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={a}\nEND={b}\ntitle={title}\n"
        for a, b, title in ((0, 500, "Street"), (500, 1600, "Desk"))
    )
    chapters.write_text(f";FFMETADATA1\ntitle=Container zoo\n{parts}")
    small = [cv2.resize(x.permute(1, 2, 0).numpy(), (192, 108)) for x in frames]
    # every fourth frame stays twice as long: a telecine's rhythm, truly variable
    pace = "setpts='(N+floor(N/4))/24/TB'"
    _encode(
        torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2),
        target,
        ["-i", str(sounds[0]), "-i", str(sounds[1]), "-i", str(chapters)],
        [
            *["-map", "0:v", "-map", "1:a", "-map", "2:a", "-map_metadata", "3"],
            *["-map_chapters", "3", "-c:a", "pcm_s16le", "-ac", "1", "-ar", "16000"],
            *["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=ger"],
            *["-c:v", "prores_ks", "-profile:v", "0", "-qscale:v", "13"],
            *["-pix_fmt", "yuv422p10le", "-timecode", "01:00:00:00", "-vsync", "vfr"],
        ],
        pace,
    )


def _encode(
    frames: Tensor, target: Path, inputs: list[str], output: list[str], pace: str = "null"
) -> None:
    """Write (T, 3, H, W) R'G'B' through the ffmpeg program as BT.709, from 16-bit RGB."""
    height, width = frames.shape[-2:]
    raw = (frames.clamp(0, 1) * 65535).round().permute(0, 2, 3, 1).numpy().astype("<u2")
    source = ["-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", f"{width}x{height}", "-r", str(RATE)]
    command = ["ffmpeg", "-v", "error", "-y", *source, "-i", "-", *inputs]
    command += ["-vf", f"{TO_709},{pace}", *BT709, "-color_range", "tv", *output]
    command += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart"]
    subprocess.run([*command, str(target)], input=raw.tobytes(), check=True)
    print(f"{target.name}: {len(frames)} frames, {target.stat().st_size / 1000:.0f} kB")


def _tone(path: Path, seconds: float, pitches: tuple[float, ...]) -> Path:
    """A soft chord that swells and fades, as a WAV file."""
    t = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    wave = sum(np.sin(2 * math.pi * p * t) for p in pitches) / len(pitches)
    pcm = (wave * np.sin(math.pi * t / seconds) * 0.3 * 32767).astype("<i2")
    layout = ["-f", "s16le", "-ar", str(SOUND_RATE), "-ac", "1", "-i", "-"]
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", *layout, str(path)], input=pcm.tobytes(), check=True
    )
    return path


if __name__ == "__main__":
    main()
