"""Samples that an image stores in a way that is not written: palettes, 1 to 4 bits, YCbCr in TIFF.

What is denoised has more colors than a palette could hold.
"""

from __future__ import annotations

from pathlib import Path

from vdenoise.media.access import reading
from vdenoise.media.images import tiff
from vdenoise.media.images.inputs import opened

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB, _PALETTE = 0, 2, 3  # color types of PNG
_SHORT_FLOAT = 24  # bits


def packed(path: Path, kind: str) -> str:
    """How a file stores its samples: ``a palette``, ``1-bit gray``, ``a transparent color``,
    ``YCbCr``; empty where they are stored as they are written.

    Args:
        path: the image.
        kind: "png", "tiff" or another, which has nothing of the kind.

    Raises:
        InputError: it cannot be read.
    """
    if kind == "png":
        with reading(str(path)), path.open("rb") as file:
            return _in_png(file.read(1 << 16))
    if kind != "tiff":
        return ""
    file = opened(path)
    try:
        spec = file.spec()
        told = spec.getattribute("tiff:PhotometricInterpretation")
        if told in (tiff.PALETTE, tiff.YCBCR):
            return "a palette" if told == tiff.PALETTE else "YCbCr"
        bits = spec.get_int_attribute("oiio:BitsPerSample", 8)
        if bits == _SHORT_FLOAT:
            return "24-bit float"
        return f"{bits}-bit {'gray' if spec.nchannels == 1 else 'color'}" if bits < 8 else ""
    finally:
        file.close()


def _in_png(head: bytes) -> str:
    """The same, by the chunks before the samples (ISO/IEC 15948, 11.2 and 11.3.1)."""
    if not head.startswith(_SIGNATURE) or len(head) < 26:
        return ""
    depth, kind = head[24], head[25]
    if kind == _PALETTE:
        return "a palette"
    if kind == _GRAY and depth < 8:
        return f"{depth}-bit gray"
    before_samples = head.partition(b"IDAT")[0]
    return "a transparent color" if kind in (_GRAY, _RGB) and b"tRNS" in before_samples else ""
