"""Maps of pixels that are known to be bad: pictures of a sensor's size, white where one is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vdenoise.errors import InputError, UsageError


@dataclass(frozen=True)
class MapFile:
    """A map that counts by the pixels it names."""

    path: Path

    @property
    def sha256(self) -> str:
        """SHA-256 of where pixels are bad."""
        there = bad_pixels(str(self.path))
        return sha256(repr(there.shape).encode() + np.packbits(there).tobytes()).hexdigest()


def bad_pixels(file: str) -> NDArray[np.bool_]:
    """(H, W): where a map is lighter than its middle gray.

    Raises:
        InputError: it is no picture, or is not there.
    """
    path = Path(file)
    return _read(path, path.stat().st_mtime_ns if path.exists() else 0)


@cache
def _read(path: Path, _changed: int) -> NDArray[np.bool_]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as problem:
        raise InputError(
            f"The map of hot pixels {path} cannot be read: {problem.strerror or problem}.",
            "vdenoise analyze CLIP --hot-map-out MAP.png makes one.",
            number=61,
        ) from None
    picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    if picture is None:
        raise InputError(
            f"{path} is no map of hot pixels: it is no picture.",
            "A map is a PNG, white where a pixel is bad: vdenoise analyze CLIP --hot-map-out "
            "MAP.png makes one.",
            number=62,
        )
    return np.asarray(picture > 127)


def check_map(file: str, height: int, width: int, *, by_field: bool) -> None:
    """See that a map fits a clip.

    Raises:
        UsageError: it is of another size, or fields are not whole frames.
        InputError: it cannot be read.
    """
    rows, columns = bad_pixels(file).shape
    if (rows, columns) != (height, width):
        raise UsageError(
            f"The map of hot pixels {file} is of {columns}x{rows} pixels, the clip of "
            f"{width}x{height}.",
            "A map holds for clips of its own size: make one of a clip of this size.",
            number=224,
        )
    if by_field:
        raise UsageError(
            "A map of hot pixels is one of whole frames, and this clip is denoised field by field.",
            "Leave the map out: --hot-pixels finds them in each field; or --interlaced ignore.",
            number=225,
        )


def at_density(file: str, like: Tensor, ratio: tuple[int, int]) -> Tensor:
    """(1, 1, h, w): 1 where a map has a bad pixel in what one pixel of a plane covers.

    Args:
        file: the map, of luma's size.
        like: (..., h, w) of the plane.
        ratio: luma pixels to one of its own, down and across.
    """
    whole = torch.from_numpy(bad_pixels(file))[None, None].to(like)
    return functional.max_pool2d(whole, ratio, ceil_mode=True)
