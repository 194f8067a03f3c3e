"""Clean material: clips, folders of frames, and stills that are set in motion.

Everything is a function of a random generator that the caller seeds, so that an example can be
made again anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vdenoise.errors import InputError
from vdenoise.media import probe
from vdenoise.media.reader import Reader
from vdenoise.picture.color import from_rgb, lift, to_rgb
from vdenoise.picture.subsampling import repeat_to

MOVIES = {".mkv", ".mp4", ".mov"}
PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".avif"}
SHORTEST = 6  # frames: a folder with fewer pictures, or of different sizes, holds stills

_KEPT_CLIPS = 24  # decoded clips kept in memory, 8 bits a sample


@dataclass(frozen=True)
class Source:
    """A clip (a movie, or pictures in order) or a still (one picture)."""

    paths: tuple[Path, ...]

    @property
    def name(self) -> str:
        """The name for people and for lists of what to leave out: a folder or a file, without its
        ending."""
        return self.paths[0].parent.name if len(self.paths) > 1 else self.paths[0].stem

    @property
    def is_still(self) -> bool:
        """Whether there is one picture only."""
        return len(self.paths) == 1 and self.paths[0].suffix.lower() in PICTURES


def find(folder: Path, *, without: Iterable[str] = ()) -> tuple[Source, ...]:
    """Everything under a folder, in a fixed order.

    A folder named ``video`` (or below one) holds movies and folders of frames; pictures elsewhere
    are stills.

    Args:
        folder: where to look.
        without: names (`Source.name`) to leave out.

    Raises:
        InputError: nothing is there.
    """
    left_out = set(without)
    found: list[Source] = []
    for place in sorted({path.parent for path in folder.rglob("*") if path.is_file()}):
        files = sorted(path for path in place.iterdir() if path.is_file())
        found += [Source((path,)) for path in files if path.suffix.lower() in MOVIES]
        pictures = tuple(path for path in files if path.suffix.lower() in PICTURES)
        if "video" in place.relative_to(folder).parts and len(pictures) >= SHORTEST:
            found.append(Source(pictures))
        else:
            found += [Source((path,)) for path in pictures]
    found = [source for source in found if source.name not in left_out]
    if not found:
        raise InputError(
            f"There are no clips and no pictures in {folder}.",
            "Name a folder with movies, folders of frames under video/, or stills.",
            number=70,
        )
    return tuple(found)


def sequence(
    source: Source,
    frames: int,
    size: int,
    rng: np.random.Generator,
    *,
    reduce: float = 1.0,
    hard: bool = False,
) -> Tensor:
    """A square of a source over time.

    Args:
        source: a clip shorter than ``frames`` plays back and forth.
        frames: how many.
        size: side in pixels; a smaller picture is mirrored at its edges.
        rng: where and when.
        reduce: factor in (0, 1] on the size of the picture, which takes noise and compression of
            the source away.
        hard: fast motion: a still is warped, shaken and turned, of a clip frames are left out.

    Returns:
        (frames, 3, size, size) R'G'B' in [0, 1].
    """
    if source.is_still:
        image = _shrunk(_picture(source.paths[0]), reduce)
        return set_in_motion(image, frames, size, rng, hard=hard)
    clip = _clip(source)
    fastest = min(3 if hard else 2, len(clip) // frames)
    step = int(rng.integers(min(2, fastest) if hard else 1, fastest + 1)) if fastest > 1 else 1
    start = int(rng.integers(0, max(1, len(clip) - step * (frames - 1))))
    bounce = 2 * len(clip) - 2
    places = [(start + step * t) % bounce for t in range(frames)]
    places = [p if p < len(clip) else bounce - p for p in places]
    if rng.random() < 0.5:
        places.reverse()
    height, width = (max(1, round(n * reduce)) for n in clip.shape[1:3])
    need = (max(height, size), max(width, size))
    top, left = (int(rng.integers(0, n - size + 1)) for n in need)
    out = []
    for place in places:
        image = _padded(_shrunk(_unit(clip[place]), reduce), size)
        out.append(image[:, top : top + size, left : left + size])
    return torch.stack(out)


def set_in_motion(
    image: Tensor, frames: int, size: int, rng: np.random.Generator, *, hard: bool = False
) -> Tensor:
    """A still as a clip: sub-pixel pan, zoom and rotation, half of them in two parallax layers.

    Args:
        image: (3, H, W).
        frames: how many.
        size: side of the result.
        rng: of the motion.
        hard: up to some 16 pixels a frame, with shake, and bent as no camera moves it.
    """
    image = _padded(image, size)
    motion = CameraMove.hard if hard else CameraMove.calm
    far = _moved(image, frames, size, motion(frames, rng), rng)
    if rng.random() < 0.5:
        return far
    near = _moved(image, frames, size, motion(frames, rng), rng)
    blob = torch.from_numpy(rng.standard_normal((1, 1, 5, 5), np.float32))
    blob = functional.interpolate(blob, image.shape[-2:], mode="bicubic", align_corners=True)[0]
    matte = (blob * 40).sigmoid()  # an edge of a few pixels
    matte = _moved(matte, frames, size, motion(frames, rng), rng)
    return near * matte + far * (1 - matte)


@dataclass(frozen=True, eq=False)
class CameraMove:
    """Motion of a camera, and of what it sees."""

    speed: NDArray[np.float64]  # (2,) pixels a frame
    shake: NDArray[np.float64]  # (frames, 2) pixels
    turn: float  # radians a frame
    zoom: float  # logarithm of the scale, a frame
    bend: float  # standard deviation of an elastic field, pixels
    beat: float  # radians a frame by which that field changes

    @staticmethod
    def calm(frames: int, rng: np.random.Generator) -> CameraMove:
        """Draw a move as most cameras make it."""
        speed = rng.standard_normal(2) * rng.choice([0.0, 0.5, 2.0, 5.0])
        shake = rng.standard_normal((frames, 2)) * rng.choice([0.0, 0.3])
        turn, zoom = rng.standard_normal(2) * rng.choice([0.0, 0.003, 0.01])
        return CameraMove(speed, shake, float(turn), float(zoom), 0.0, 0.0)

    @staticmethod
    def hard(frames: int, rng: np.random.Generator) -> CameraMove:
        """Draw a move as in action footage."""
        speed = (rng.standard_normal(2) * rng.choice([2.0, 5.0, 9.0])).clip(-16, 16)
        shake = rng.standard_normal((frames, 2)) * rng.choice([0.0, 0.6, 2.0])
        turn, zoom = rng.uniform(-0.03, 0.03, 2) * rng.choice([0.1, 1.0], 2)
        bend = float(rng.uniform(0, 5))
        return CameraMove(
            speed, shake, float(turn), float(zoom), bend, float(rng.uniform(0.2, 1.2))
        )


def _moved(
    image: Tensor, frames: int, size: int, motion: CameraMove, rng: np.random.Generator
) -> Tensor:
    """(C, H, W) seen by a moving camera: (frames, C, size, size)."""
    height, width = image.shape[-2:]
    speed, shake, turn, zoom = motion.speed, motion.shake, motion.turn, motion.zoom
    field = _elastic(size, rng) * motion.bend if motion.bend else None
    time = np.arange(frames) - (frames - 1) / 2
    middle = np.array([width, height]) / 2
    slack = np.maximum((np.array([width, height]) - size) / 2, 0)
    centre = middle + rng.uniform(-1, 1, 2) * slack
    offset = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    y, x = torch.meshgrid(offset, offset, indexing="ij")
    grids = []
    for t in range(frames):
        scale, angle = float(np.exp(zoom * time[t])), float(turn * time[t])
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        px, py = centre + speed * time[t] + shake[t]
        gx, gy = cos * x - sin * y + px, sin * x + cos * y + py
        if field is not None:
            phase = motion.beat * t
            bent = field[0] * np.cos(phase) + field[1] * np.sin(phase)
            gx, gy = gx + bent[0], gy + bent[1]
        grids.append(torch.stack((2 * gx / width - 1, 2 * gy / height - 1), -1))
    pictures = image.expand(frames, -1, -1, -1)
    moved = functional.grid_sample(
        pictures, torch.stack(grids), mode="bicubic", padding_mode="reflection", align_corners=False
    )
    return moved.clamp(0, 1)


def _elastic(size: int, rng: np.random.Generator) -> Tensor:
    """Two smooth fields of displacement of variance 1, (2, 2, size, size)."""
    cells = int(rng.integers(4, 8))
    rough = torch.from_numpy(rng.standard_normal((2, 2, cells, cells), np.float32))
    return functional.interpolate(rough, (size, size), mode="bicubic", align_corners=True)


def _padded(image: Tensor, size: int) -> Tensor:
    """Bring to at least ``size`` each way, by mirroring as often as it takes."""
    while min(image.shape[-2:]) < size:
        down, right = (min(max(size - n, 0), n - 1) for n in image.shape[-2:])
        image = functional.pad(image[None], (0, right, 0, down), mode="reflect")[0]
    return image


def _shrunk(image: Tensor, reduce: float) -> Tensor:
    if reduce == 1.0:
        return image
    height, width = (max(1, round(n * reduce)) for n in image.shape[-2:])
    array = image.permute(1, 2, 0).numpy()
    small = cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small).permute(2, 0, 1).contiguous()


def _unit(array: np.ndarray) -> Tensor:
    """(H, W, 3) 8-bit to (3, H, W) in [0, 1]."""
    return torch.from_numpy(array).permute(2, 0, 1).float().div_(255)


def _read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"Cannot read {path}.", "Leave it out, or replace it.", number=71)
    return np.ascontiguousarray(image[..., ::-1])


def _picture(path: Path) -> Tensor:
    return _unit(_read(path))


@lru_cache(_KEPT_CLIPS)
def _clip(source: Source) -> np.ndarray:
    return decoded(source)


def decoded(source: Source) -> np.ndarray:
    """All frames of a source, (T, H, W, 3) 8-bit R'G'B'."""
    if source.is_still or len(source.paths) > 1:
        return np.stack([_read(path) for path in source.paths])
    info = probe.probe(source.paths[0])
    frames = []
    with Reader(info) as reader:
        for frame in reader:
            luma, chroma = lift(frame, info)
            frames.append(_eight_bit(joined_rgb(luma, chroma)))
    return np.stack(frames)


def _eight_bit(rgb: Tensor) -> np.ndarray:
    return (rgb.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def joined_rgb(luma: Tensor, chroma: Tensor | None) -> Tensor:
    """The working representation of one frame to R'G'B' (3, H, W) by the BT.709 matrix.

    Chroma (2, h, w) of any resolution is repeated; None is gray.
    """
    if chroma is None:
        return luma.expand(3, -1, -1)
    return to_rgb(torch.cat((luma, repeat_to(chroma, luma))))


def split_rgb(rgb: Tensor, subsampled: bool) -> tuple[Tensor, Tensor]:
    """(T, 3, H, W) R'G'B' to luma (T, 1, H, W) and chroma, averaged over 2x2 for 4:2:0."""
    ycbcr = from_rgb(rgb)
    chroma = ycbcr[:, 1:].contiguous()
    return ycbcr[:, :1].contiguous(), functional.avg_pool2d(chroma, 2) if subsampled else chroma
