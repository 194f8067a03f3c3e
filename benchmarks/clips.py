"""The clips that are measured: clean sources, synthetic noise, and how both are stored.

Clean frames come from a folder that the caller names (never from this repository) or from
``samples/``. Every competitor reads the same stored file:

* ``gaussian-S``: white R'G'B' noise of S codes, clipped and rounded to 8 bits, stored as 8-bit
  RGB (FFV1, lossless);
* ``sensor``, ``film``: stored as 8-bit 4:2:0 BT.709, limited range (FFV1, lossless);
* ``compressed``: the sensor noise through x264 CRF 23, the H.264 file itself.

The reference is the clean clip stored the same lossless way, so that chroma subsampling is
nobody's error.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vdenoise.degrade import synth
from vdenoise.picture.color import from_rgb, to_rgb

Layout = Literal["gbrp", "yuv420p"]

SEED = 20261121
RATE = 25
BT709 = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]

CLEAN = {
    "car-shadow": ("clean_car-shadow_480p", "*.jpg"),
    "tennis": ("clean_tennis_448x256_png", "*.png"),
}

# Clips whose motion is hard to follow: where the temporal stage finds little.
FAST = {"motorbike": ("fast_motorbike_540p", "*.png")}

SAMPLE = "scene"  # ours: drawn, without any noise of its own
SAMPLE_FILE = Path(__file__).parent.parent / "samples" / "scene_clean.mp4"

KINDS: dict[str, Layout] = {
    "gaussian-10": "gbrp",
    "gaussian-20": "gbrp",
    "gaussian-40": "gbrp",
    "sensor": "yuv420p",
    "film": "yuv420p",
    "compressed": "yuv420p",
}


@dataclass(frozen=True)
class Clip:
    """A stored noisy clip and the clean frames it is judged by."""

    name: str
    kind: str
    noisy: Path
    layout: Layout
    reference: Tensor  # (T, 3, H, W) R'G'B' as decoded from the stored clean clip

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.reference)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.reference.shape[-1], self.reference.shape[-2]


def load_clean(data: Path | None, name: str, frames: int) -> Tensor:
    """The first ``frames`` clean frames, (T, 3, H, W) float R'G'B' in [0, 1], even sizes.

    Args:
        data: folder of the clips in `CLEAN` and `FAST`; not needed for our own sample.
        name: of a clip in `CLEAN` or `FAST`, or `SAMPLE`.
        frames: how many, at most.
    """
    if name == SAMPLE:
        capture, pictures = cv2.VideoCapture(str(SAMPLE_FILE)), []
        while len(pictures) < frames and (read := capture.read())[0]:
            pictures.append(read[1][..., ::-1])
    else:
        folder, pattern = (CLEAN | FAST)[name]
        files = sorted((data or Path()).joinpath(folder).glob(pattern))[:frames]
        if not files:
            raise SystemExit(f"No {pattern} of {folder}: name the folder it is in with --data.")
        pictures = [cv2.imread(str(f), cv2.IMREAD_COLOR)[..., ::-1] for f in files]
    stack = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    height, width = stack.shape[-2:]
    return stack[..., : height // 2 * 2, : width // 2 * 2]


def middle(clean: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle (height, width) of a clip: enough for many questions, and quick."""
    top, left = ((n - m) // 2 for n, m in zip(clean.shape[-2:], size, strict=True))
    return clean[..., top : top + size[0], left : left + size[1]].contiguous()


def make(clean: Tensor, name: str, kind: str, folder: Path) -> Clip:
    """Add noise of ``kind`` to the clean frames and store both in ``folder``."""
    layout = KINDS[kind]
    stem = folder / f"{name}-{kind}"
    spotless = store(clean, layout, Path(f"{stem}-clean.mkv"))
    lossless = store(add_noise(clean, kind), layout, Path(f"{stem}.mkv"))
    noisy = lossless
    if kind == "compressed":
        noisy = Path(f"{stem}.mp4")
        ffmpeg("-i", lossless, "-c:v", "libx264", "-crf", "23", "-threads", "1", *BT709, noisy)
    return Clip(name, kind, noisy, layout, decode(spotless, layout))


def shortened(clip: Clip, frames: int) -> Clip:
    """The first frames of a stored clip, losslessly."""
    if frames >= clip.frames:
        return clip
    short = clip.noisy.with_name(f"{clip.noisy.stem}-first{frames}.mkv")
    ffmpeg("-i", clip.noisy, "-frames:v", str(frames), "-c:v", "ffv1", short)
    return Clip(clip.name, clip.kind, short, clip.layout, clip.reference[:frames])


def add_noise(clean: Tensor, kind: str) -> Tensor:
    """Noisy frames, clipped to [0, 1]."""
    word, _, number = kind.partition("-")
    if word == "gaussian":
        noisy = synth.gaussian(clean, float(number) / 255, seed=SEED)
    elif word == "film":
        noisy = synth.film_grain(clean, 12 / 255, size=0.8, seed=SEED)
    else:
        noisy = synth.sensor(clean, 0.01, 4e-4, seed=SEED)
    return noisy.clamp(0, 1)


def store(frames: Tensor, layout: Layout, path: Path) -> Path:
    """Write (T, 3, H, W) R'G'B' as lossless FFV1 of ``layout``."""
    height, width = frames.shape[-2:]
    if layout == "gbrp":
        raw, given = _codes(frames[:, [1, 2, 0]], 255, 0), "gbrp"
        tags = []
    else:
        ycbcr = from_rgb(frames)
        luma, chroma = ycbcr[:, 0], ycbcr[:, 1:]
        planes = [_codes(luma, 219, 16), _codes(functional.avg_pool2d(chroma, 2), 224, 128)]
        raw = np.concatenate([p.reshape(len(frames), -1) for p in planes], axis=1)
        given, tags = "yuv420p", [*BT709, "-color_range", "tv"]
    head = ["-f", "rawvideo", "-pix_fmt", given, "-s", f"{width}x{height}", "-r", str(RATE)]
    ffmpeg(*head, "-i", "-", "-c:v", "ffv1", *tags, path, given=raw.tobytes())
    return path


def decode(path: Path, layout: Layout) -> Tensor:
    """(T, 3, H, W) float R'G'B' of a stored clip, not clipped; chroma interpolated bilinearly."""
    width, height = size_of(path)
    raw = ffmpeg("-i", path, "-vsync", "0", "-pix_fmt", layout, "-f", "rawvideo", "-")
    return rgb_of(raw, layout, width, height)


def rgb_of(raw: bytes, layout: Layout, width: int, height: int) -> Tensor:
    """Raw planar frames to (T, 3, H, W) float R'G'B', not clipped."""
    data = torch.from_numpy(np.frombuffer(raw, np.uint8).copy()).float()
    if layout == "gbrp":
        return data.view(-1, 3, height, width)[:, [2, 0, 1]] / 255
    area = width * height
    data = data.view(-1, area + area // 2)
    luma = (data[:, :area].view(-1, height, width) - 16) / 219
    chroma = (data[:, area:].view(-1, 2, height // 2, width // 2) - 128) / 224
    chroma = functional.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    return to_rgb(torch.cat([luma[:, None], chroma], 1))


def size_of(path: Path) -> tuple[int, int]:
    """Width and height as FFmpeg reads them."""
    capture = cv2.VideoCapture(str(path))
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    capture.release()
    return size


def ffmpeg(*arguments: str | Path, given: bytes | None = None) -> bytes:
    """Run the ffmpeg program quietly on two threads; returns its standard output."""
    command = ["ffmpeg", "-v", "error", "-y", "-filter_threads", "2"]
    done = subprocess.run(
        [*command, *map(str, arguments)], input=given, capture_output=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(done.args)}\n{done.stderr.decode()}")
    return done.stdout


def _codes(values: Tensor, scale: int, offset: int) -> NDArray[np.uint8]:
    return (values * scale + offset).round().clamp(0, 255).byte().numpy()
