"""Clean clips and stills to evaluate on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from vdenoise.errors import InputError
from vdenoise.evaluation.protocol import joined_rgb
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.picture.color import lift

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
MOVIES = frozenset({".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".ts", ".y4m"})


@dataclass(frozen=True)
class Material:
    """A clip (a movie, or pictures in the order of their names) or a still (one picture)."""

    paths: tuple[Path, ...]

    @property
    def name(self) -> str:
        """The folder's name for frames, else the file's without its ending."""
        return self.paths[0].parent.name if len(self.paths) > 1 else self.paths[0].stem

    def read(self, frames: int | None = None) -> Tensor:
        """The first ``frames``, or all: (T, 3, H, W) float32 R'G'B' in [0, 1].

        Raises:
            InputError: a file cannot be read, or the pictures differ in size.
        """
        if self.paths[0].suffix.lower() in MOVIES:
            return _movie(self.paths[0], frames)
        pictures = [_picture(path) for path in self.paths[:frames]]
        if len({picture.shape for picture in pictures}) > 1:
            raise InputError(
                f"The pictures in {self.paths[0].parent} differ in size.",
                "Put each clip into a folder of its own, or say --stills.",
                number=80,
            )
        return torch.stack(pictures)


def find(places: Iterable[Path], *, stills: bool = False) -> tuple[Material, ...]:
    """Clips and stills in files and folders, in a fixed order.

    A folder with pictures is a clip of them (with ``stills``: as many stills); a movie is a clip;
    of a folder without either, what is in the folders below it.

    Raises:
        InputError: there is nothing.
    """
    found: list[Material] = []
    for place in places:
        if place.is_file():
            found.append(Material((place,)))
            continue
        for folder in (place, *sorted(p for p in place.rglob("*") if p.is_dir())):
            files = sorted(p for p in folder.iterdir() if p.is_file()) if folder.is_dir() else []
            found += [Material((p,)) for p in files if p.suffix.lower() in MOVIES]
            pictures = tuple(p for p in files if p.suffix.lower() in PICTURES)
            if stills:
                found += [Material((p,)) for p in pictures]
            elif pictures:
                found.append(Material(pictures))
    if not found:
        raise InputError(
            f"There are no clips and no pictures in {', '.join(map(str, places))}.",
            "Name movies, folders of frames, or folders that hold such.",
            number=81,
        )
    return tuple(found)


def _picture(path: Path) -> Tensor:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if image is None:
        raise InputError(f"Cannot read {path}.", "Leave it out, or replace it.", number=82)
    top = {"uint8": 255.0, "uint16": 65535.0}.get(image.dtype.name, 1.0)
    rgb = np.ascontiguousarray(image[..., ::-1], dtype=np.float32)
    return torch.from_numpy(rgb).permute(2, 0, 1).contiguous() / top


def _movie(path: Path, frames: int | None) -> Tensor:
    info = probe(path)
    last = None if frames is None else min(frames, info.frames or frames) - 1
    with Reader(info, first=0, last=last) as reader:
        lifted = [lift(frame, info) for frame in reader]
    return torch.cat([joined_rgb(y[None], None if c is None else c[None]) for y, c in lifted])
