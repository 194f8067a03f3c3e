"""Interlaced frames as what they are: two pictures of half the height, taken one after the other.

The top field is lines 0, 2, 4 ... and the bottom field lines 1, 3, 5 ..., in chroma too, whose
lines alternate between the fields as luma's do (Rec. ITU-T H.262, 6.1.1.8: 4:2:0 of interlaced
frames). Which is shown first does not matter here: fields of one parity are compared with their
own kind only, for these lie on the same lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vdenoise.picture.frame import ClipInfo, FieldLines, PixelFormat, SourceFrame

PARITIES = (0, 1)  # top, bottom: the first line of each


def field_clip(info: ClipInfo, parity: int) -> ClipInfo:
    """The clip that the fields of one parity are: as many frames, half as high, progressive."""
    height = (info.height + 1 - parity) // 2
    lines = FieldLines(parity, info.height)
    return replace(info, height=height, field_order="progressive", fields=False, lines=lines)


def field_of(frame: SourceFrame, info: ClipInfo, parity: int) -> SourceFrame:
    """One field of a frame, as views of its planes; it has the frame's number and time.

    Where chroma has an odd number of lines, the bottom field's last one is repeated, so that its
    planes fit each other.
    """
    fmt, height = info.format, field_clip(info, parity).height
    planes = tuple(
        _filled(plane[parity::2], _lines(fmt, n, height)) for n, plane in enumerate(frame.planes)
    )
    return replace(frame, planes=planes)


def weave(top: Sequence[Tensor], bottom: Sequence[Tensor], lines: Sequence[int]) -> list[Tensor]:
    """Both fields of a frame as its planes.

    Args:
        top, bottom: the planes of each, (..., h, w).
        lines: of each plane of the frame.
    """
    found = []
    for a, b, count in zip(top, bottom, lines, strict=True):
        whole = a.new_empty((*a.shape[:-2], count, a.shape[-1]))
        whole[..., 0::2, :] = a[..., : (count + 1) // 2, :]
        whole[..., 1::2, :] = b[..., : count // 2, :]
        found.append(whole)
    return found


def plane_lines(fmt: PixelFormat, planes: int, height: int) -> list[int]:
    """Lines of each plane of a frame of this height."""
    return [_lines(fmt, n, height) for n in range(planes)]


def _lines(fmt: PixelFormat, plane: int, height: int) -> int:
    chroma = fmt.family == "yuv" and plane in (1, 2)
    return -(-height // fmt.subsampling[0]) if chroma else height


def _filled(plane: Tensor, lines: int) -> Tensor:
    missing = lines - plane.shape[0]
    return plane if missing <= 0 else torch.cat([plane, plane[-1:].expand(missing, -1)])
