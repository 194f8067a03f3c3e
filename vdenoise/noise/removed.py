"""The removed noise as pictures of integer codes: clean + noise = source, to the bit.

A noise file holds ``source - clean + middle`` for every color sample, ``middle = 2^(bits - 1)`` of
the noise file's own bit depth, which has at least one bit more than the source so that nothing
clips: 8-bit clips get 9 or 10 bits, 16-bit clips, for which there is no more, wrap around modulo
2^16 (the sum is taken modulo 2^16 as well, and exact). Alpha is no noise: it is all zeros.

Floating-point clips get ``source - clean`` in 32 bits, 0 where the source is no finite number.
Adding it to half floats gives the source again, to the bit; 32-bit floats come within the rounding
of one addition.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vdenoise.picture.frame import PixelFormat


def removed_noise(
    source: Sequence[Tensor], clean: Sequence[Tensor], fmt: PixelFormat, out: PixelFormat
) -> tuple[Tensor, ...]:
    """The samples of a noise file.

    Args:
        source: the decoded planes, in ``fmt``.
        clean: the planes written, in ``fmt`` too.
        fmt: layout of both.
        out: layout of the noise file: as ``fmt``, but deeper.
    """
    if fmt.floating:
        found = [
            torch.where(a.isfinite(), a.float() - b.float(), 0.0)
            for a, b in zip(source[: fmt.color_planes], clean[: fmt.color_planes], strict=True)
        ]
        return (*found, *((torch.zeros_like(found[0]),) if fmt.alpha else ()))
    dtype = torch.uint8 if out.bits == 8 else torch.uint16
    middle, wrap = 1 << (out.bits - 1), (1 << out.bits) - 1
    planes = [
        ((a.to(torch.int32) - b.to(torch.int32) + middle) & wrap).to(dtype)
        for a, b in zip(source[: fmt.color_planes], clean[: fmt.color_planes], strict=True)
    ]
    if fmt.alpha:
        planes.append(torch.zeros(source[-1].shape, dtype=dtype))
    return tuple(planes)


def restore_planes(
    clean: Sequence[Tensor], noise: Sequence[Tensor], fmt: PixelFormat, noise_format: PixelFormat
) -> tuple[Tensor, ...]:
    """The source's color samples again: clean + noise - middle.

    Args:
        clean: planes in ``fmt``.
        noise: planes of the noise file, in ``noise_format``.
        fmt: layout of the clean planes.
        noise_format: layout of the noise file.
    """
    if fmt.floating:
        return tuple(
            torch.where(a.isfinite(), (a.float() + b).to(a.dtype), a)
            for a, b in zip(clean[: fmt.color_planes], noise[: fmt.color_planes], strict=True)
        )
    middle, wrap = 1 << (noise_format.bits - 1), (1 << fmt.bits) - 1
    return tuple(
        ((a.to(torch.int32) + b.to(torch.int32) - middle) & wrap).to(a.dtype)
        for a, b in zip(clean[: fmt.color_planes], noise[: fmt.color_planes], strict=True)
    )
