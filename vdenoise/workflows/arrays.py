"""Frames in memory as a clip: numpy arrays to decoded frames and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.errors import InputError, UsageError
from vdenoise.media.encoding import behind_its_curve
from vdenoise.picture.encodings import ENCODINGS
from vdenoise.picture.frame import ClipInfo, PixelFormat, SourceFrame

Samples = NDArray[Any]  # (H, W, 3) R'G'B' or (H, W) gray: uint8, uint16, or float32 in [0, 1]
_FORMATS: dict[tuple[str, int], PixelFormat] = {
    ("uint8", 3): PixelFormat("gbrp", "rgb", 8),
    ("uint16", 3): PixelFormat("gbrp16le", "rgb", 16),
    ("float32", 3): PixelFormat("gbrpf32le", "rgb", 32, floating=True),
    ("uint8", 1): PixelFormat("gray", "gray", 8),
    ("uint16", 1): PixelFormat("gray16le", "gray", 16),
    ("float32", 1): PixelFormat("grayf32le", "gray", 32, floating=True),
}
_ORDER = (1, 2, 0)  # planes are G, B, R
_RATE = 25  # of frames that come without a clip; nothing depends on it


def check_frames(frames: Iterable[Samples]) -> list[Samples]:
    """Collect frames and see that they are of one shape and kind.

    Raises:
        InputError: there are none.
        UsageError: they differ, or are of no kind that can be denoised.
    """
    found = [np.asarray(frame) for frame in frames]
    if not found:
        raise InputError("There are no frames.", "Give one frame at least.", number=157)
    first = found[0]
    channels = first.shape[2] if first.ndim == 3 else 1
    alike = all(frame.shape == first.shape and frame.dtype == first.dtype for frame in found)
    fits = first.ndim in (2, 3) and (str(first.dtype), channels) in _FORMATS
    if not (alike and fits and (first.ndim == 2 or channels == 3)):
        kinds = sorted({f"{frame.shape} {frame.dtype}" for frame in found})[:3]
        raise UsageError(
            f"These frames cannot be denoised: {', '.join(kinds)}.",
            "They must be alike: (H, W, 3) or (H, W), of uint8, uint16 or float32.",
            number=158,
        )
    return found


def _format(frame: Samples) -> PixelFormat:
    return _FORMATS[str(frame.dtype), 3 if frame.ndim == 3 else 1]


def check_encoding(encoding: str | None) -> str | None:
    """See that an encoding exists, where one is named.

    Raises:
        UsageError: it does not.
    """
    if encoding is not None and encoding not in ENCODINGS:
        raise UsageError(
            f"There is no encoding {encoding!r}.",
            f"Name one of {', '.join(ENCODINGS)}.",
            number=211,
        )
    return encoding


def clip_of(frames: Sequence[Samples], encoding: str | None = None) -> ClipInfo:
    """Describe frames as a clip that exists in memory only."""
    fmt = _format(frames[0])
    height, width = frames[0].shape[:2]
    info = ClipInfo(
        path=Path(),
        container="",
        codec="",
        width=width,
        height=height,
        format=fmt,
        source_format=fmt.name,
        time_base=Fraction(1, _RATE),
        rate=Fraction(_RATE),
        frames=len(frames),
        duration=len(frames) / _RATE,
        start_pts=0,
        variable_rate=False,
        full_range=True,
        matrix="rgb" if fmt.family == "rgb" else "bt709",
        matrix_guessed=False,
        primaries="bt709",
        transfer="bt709",
        chroma_location="unspecified",
        field_order="progressive",
        sample_aspect_ratio=Fraction(1),
    )
    if check_encoding(encoding) is None:
        return info
    some = [frames[0], frames[len(frames) // 2], frames[-1]]
    return behind_its_curve(info, str(encoding), source_frames(some))


def source_frames(frames: Sequence[Samples]) -> Iterable[SourceFrame]:
    """Frames as a reader would deliver them."""
    for n, frame in enumerate(frames):
        yield SourceFrame(n, n, Fraction(1, _RATE), 1, _planes(frame), None)


def _planes(frame: Samples) -> tuple[Tensor, ...]:
    if frame.ndim == 2:
        return (torch.from_numpy(np.array(frame)),)
    return tuple(torch.from_numpy(np.array(frame[..., c])) for c in _ORDER)


def array_of(planes: tuple[Tensor, ...], fmt: PixelFormat) -> Samples:
    """Planes of one frame as (H, W, 3) or (H, W)."""
    if fmt.family == "gray":
        return planes[0].numpy()
    return np.stack([planes[_ORDER.index(c)].numpy() for c in range(3)], axis=-1)
