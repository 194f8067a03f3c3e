"""One image file in and out through OpenImageIO, to the bit.

What is not denoised - other channels and parts, attributes, data window - is copied as it is.
Samples never pass through a conversion of OpenImageIO: alpha stays as stored, half and float are
read as such, 10- and 12-bit DPX codes are taken out of the 16 bits that it gives them in.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 (its own documentation calls it so)
import torch
from torch import Tensor

from vdenoise.media.images.inputs import damaged, opened, reason_of, specs_of
from vdenoise.media.images.layout import Layout, changed, layout_of, stored_type

# Compressions that give every sample back; pxr24 does for half only.
LOSSLESS = {
    "exr": ("none", "rle", "zip", "zips", "piz", "pxr24", "htj2k", "htj2k256", "htj2k32"),
    "tiff": ("none", "lzw", "zip", "packbits", "deflate", "adobedeflate"),
}


def places(frames: int) -> list[int]:
    """The first, middle and last of so many frames: what a sequence is judged by."""
    return sorted({0, round((frames - 1) / 2), frames - 1})


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
            raise damaged(path, reason_of(file))
    finally:
        file.close()
    if layout.inverted:
        pixels = np.iinfo(pixels.dtype).max - pixels
    return layout, tuple(_plane(pixels[..., c - low], layout) for c in layout.channels)


def set_threads(threads: int | None) -> None:
    """Threads that OpenImageIO decodes and encodes with; None for one per core."""
    oiio.attribute("threads", threads or 0)
    oiio.attribute("exr_threads", -1 if threads == 1 else threads or 0)


def _plane(samples: np.ndarray, layout: Layout) -> Tensor:
    """One channel as a contiguous tensor of codes."""
    plane = torch.from_numpy(np.ascontiguousarray(samples))
    bits = layout.format.bits
    if 8 < bits < 16:  # the codes fill 16 bits, their upper bits repeated below
        plane = (plane.to(torch.int32) >> (16 - bits)).to(torch.uint16)
    return plane
