"""One image file in and out through OpenImageIO, to the bit.

What is not denoised - other channels and parts, attributes, data window - is copied as it is.
Samples never pass through a conversion of OpenImageIO: alpha stays as stored, half and float are
read as such, 10- and 12-bit DPX codes are taken out of the 16 bits that it gives them in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 (its own documentation calls it so)
import torch
from torch import Tensor

from vdenoise.media.images import carry
from vdenoise.media.images.layout import (
    Layout,
    changed,
    damaged,
    layout_of,
    opened,
    specs_of,
    stored_type,
)

# Compressions that give every sample back; pxr24 does for half only.
LOSSLESS = {
    "exr": ("none", "rle", "zip", "zips", "piz", "pxr24", "htj2k", "htj2k256", "htj2k32"),
    "tiff": ("none", "lzw", "zip", "packbits", "deflate", "adobedeflate"),
}


def read_planes(path: Path, expected: Layout | None = None) -> tuple[Layout, tuple[Tensor, ...]]:
    """Decode the planes that are denoised, and alpha.

    Args:
        path: the image.
        expected: the layout the image must have.

    Returns:
        The layout, and one (H, W) tensor for each plane of its format: RGB as G, B, R.

    Raises:
        InputError: as :func:`read_header`; it is cut short; its layout is another.
    """
    file = opened(path)
    try:
        layout = layout_of(path, file.format_name(), specs_of(file))
        if expected is not None and layout != expected:
            raise changed(path, layout, expected)
        low, high = min(layout.channels), max(layout.channels) + 1
        pixels = file.read_image(layout.part, 0, low, high, stored_type(layout.format))
        if pixels is None or file.has_error:
            raise damaged(path, file.geterror())
    finally:
        file.close()
    if layout.inverted:
        pixels = np.iinfo(pixels.dtype).max - pixels
    return layout, tuple(_plane(pixels[..., c - low], layout) for c in layout.channels)


def attributes(path: Path, kind: str, like: Path) -> dict[str, Any]:
    """What belongs to the picture beside its samples, by name: it is in a copy as in the original.

    Args:
        path: the image.
        kind: of it.
        like: the copy, or the image itself: says how samples are stored there.
    """
    if kind in carry.CARRIED:
        return carry.kept(path, like, kind)
    file = opened(path)
    found = {}
    for number, spec in enumerate(specs_of(file)):
        for each in spec.extra_attribs:
            if each.name not in ("compression", "DateTime", "Software", "oiio:RowsPerChunk"):
                found[f"{number}:{each.name}"] = _comparable(each.value)
    file.close()
    return found


def set_threads(threads: int | None) -> None:
    """Threads that OpenImageIO decodes and encodes with; None for one per core."""
    oiio.attribute("threads", threads or 0)
    oiio.attribute("exr_threads", -1 if threads == 1 else threads or 0)


def _comparable(value: Any) -> Any:
    return value.tobytes() if isinstance(value, np.ndarray) else value


def _plane(samples: np.ndarray, layout: Layout) -> Tensor:
    """One channel as a contiguous tensor of codes."""
    plane = torch.from_numpy(np.ascontiguousarray(samples))
    bits = layout.format.bits
    if 8 < bits < 16:  # the codes fill 16 bits, their upper bits repeated below
        plane = (plane.to(torch.int32) >> (16 - bits)).to(torch.uint16)
    return plane
