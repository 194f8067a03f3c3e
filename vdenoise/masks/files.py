"""What masks have to do with a clip: whether they fit it, and those that come from files or from
its own alpha, read in step with its frames."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.errors import UsageError
from vdenoise.masks.shapes import shape
from vdenoise.masks.spec import SHAPES, MaskSpec
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.picture.color import lift_planes
from vdenoise.picture.frame import ClipInfo, PixelFormat, SourceFrame

Planes = tuple[Tensor, ...]  # one frame of a mask as decoded


def check(specs: Sequence[MaskSpec], info: ClipInfo, fit: str) -> tuple[ClipInfo | None, ...]:
    """See before the first frame that every mask fits the clip.

    Args:
        specs: all masks.
        info: the clip.
        fit: ``exact`` or ``scale``.

    Returns:
        What was found of each external mask, None for the clip's own alpha.

    Raises:
        InputError: a file cannot be read.
        UsageError: a mask has another size or length, or the clip has no alpha, or a shape lies
            beside the picture.
    """
    found: list[ClipInfo | None] = []
    for spec in specs:
        tall = _frame_height(info)
        if spec.kind in SHAPES and not shape(spec, tall, info.width).any():
            raise UsageError(
                f"mask.{spec.name} covers nothing of a picture of {info.width}x{tall}: "
                f"{spec.source}.",
                "Pixels count from the top left corner of this clip; percent fit clips of any "
                "size, such as rect:90%,5%,8%,8%.",
                number=68,
            )
        if not spec.external:
            continue
        if spec.kind == "alpha":
            if not info.format.alpha:
                raise UsageError(
                    f"mask.{spec.name} is the clip's alpha, and {info.path} ({info.format.label}) "
                    "has none.",
                    "Use a mask from a file: file:PATH.",
                    number=65,
                )
            found.append(None)
            continue
        mask = probe(Path(spec.path))
        if fit == "exact":
            _check_fit(spec, mask, info)
        found.append(mask)
    return tuple(found)


def _check_fit(spec: MaskSpec, mask: ClipInfo, info: ClipInfo) -> None:
    tall = _frame_height(info)
    if (mask.width, mask.height) != (info.width, tall):
        raise UsageError(
            f"mask.{spec.name} is {mask.width}x{mask.height} and the clip is "
            f"{info.width}x{tall} ({spec.path}).",
            "Make it the clip's size, or say --mask-fit scale.",
            number=63,
        )
    if mask.frames not in (1, info.frames):
        raise UsageError(
            f"mask.{spec.name} has {mask.frames} frames and the clip has {info.frames} "
            f"({spec.path}).",
            "Make it as long as the clip (its frames count as the clip's do, also with --frames), "
            "use a still, or say --mask-fit scale, which holds its last frame.",
            number=64,
        )


def _frame_height(info: ClipInfo) -> int:
    """Lines of a frame, also of a clip of fields: masks from files are as high as frames."""
    return info.height if info.lines is None else info.lines.height


class Mattes:
    """A context manager that hands out external masks frame by frame.

    Args:
        specs: all masks; those that are not external are passed over.
        info: the clip.
        first: absolute number of the first frame that will be asked for.
        last: absolute number of the last one.
        fit: ``exact`` or ``scale``.

    Raises:
        InputError, UsageError: as `check`.
    """

    def __init__(
        self, specs: Sequence[MaskSpec], info: ClipInfo, first: int, last: int, fit: str
    ) -> None:
        self._info = info
        self._masks = [
            None if mask is None else _File(mask, first, last) for mask in check(specs, info, fit)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for mask in self._masks:
            if mask is not None:
                mask.close()

    def read(self, source: SourceFrame) -> tuple[Planes, ...]:
        """The masks of a frame as decoded, small as they are; frames are asked for in order."""
        return tuple(
            (source.planes[-1],) if mask is None else mask.at(source.index) for mask in self._masks
        )

    def lifted(self, read: Sequence[Planes]) -> Tensor | None:
        """What `read` gave as coverage: (N, H, W) float32 in [0, 1], None where N is 0."""
        if not read:
            return None
        return torch.stack(
            [
                _level(planes, self._info, alpha=True)
                if mask is None
                else self._fitted(_level(planes, mask.info, alpha=False))
                for mask, planes in zip(self._masks, read, strict=True)
            ]
        )

    def _fitted(self, level: Tensor) -> Tensor:
        """A file's mask at the size of a frame; of a clip of fields, the lines of the field."""
        size, lines = (_frame_height(self._info), self._info.width), self._info.lines
        level = level if tuple(level.shape) == size else _scaled(level, size)
        return level if lines is None else level[lines.parity :: 2]


class _File:
    """One file, read once from front to back."""

    def __init__(self, info: ClipInfo, first: int, last: int) -> None:
        self.info = info
        end = (info.frames or 1) - 1
        self._last = min(last, end)
        self._opened = contextlib.ExitStack()
        reader = Reader(info, first=min(first, self._last), last=self._last)
        self._frames: Iterator[SourceFrame] = iter(self._opened.enter_context(reader))
        self._now: SourceFrame | None = None

    def at(self, index: int) -> Planes:
        wanted = min(index, self._last)
        while self._now is None or self._now.index < wanted:
            self._now = next(self._frames)
        return self._now.planes

    def close(self) -> None:
        self._opened.close()


def _level(planes: Planes, info: ClipInfo, *, alpha: bool) -> Tensor:
    """(H, W) in [0, 1]: black is outside, white inside. Alpha is always full range."""
    fmt = info.format
    if fmt.family == "rgb" and not alpha:
        return lift_planes(planes, fmt, info.full_range, None)[0][0].clamp_(0, 1)
    full = alpha or info.full_range
    return lift_planes(planes[:1], _gray(fmt), full, None)[0][0].clamp_(0, 1)


@lru_cache
def _gray(fmt: PixelFormat) -> PixelFormat:
    return replace(fmt, family="gray", alpha=False)


def _scaled(level: Tensor, size: tuple[int, int]) -> Tensor:
    found = functional.interpolate(
        level[None, None], size, mode="bilinear", align_corners=False, antialias=True
    )
    return found[0, 0].clamp_(0, 1)
