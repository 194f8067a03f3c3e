"""Pictures for people: text on them, and files of them (PNG, WebP, JPEG)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813 (its own documentation calls it so)
from numpy.typing import NDArray

from vdenoise.errors import OutputError, UsageError
from vdenoise.machine.files import replacing
from vdenoise.media.access import check_no_pipe, writing

Canvas = NDArray[np.uint8]  # (H, W, 3), R'G'B'
Color = tuple[int, int, int]

PICTURES = (".png", ".webp", ".jpg", ".jpeg")
_FONTS = {False: "DroidSans", True: "DroidSans-Bold"}  # they come with OpenImageIO
_MOST_PIXELS = {".png": 1_000_000, ".webp": 16_383, ".jpg": 65_500, ".jpeg": 65_500}  # a side
# Lossless WebP (above 100) would be ten times as large and hold the same to an eye.
_WEBP, _JPEG = (cv2.IMWRITE_WEBP_QUALITY, 100), (cv2.IMWRITE_JPEG_QUALITY, 98)
_QUALITIES: dict[str, tuple[int, ...]] = {
    ".png": (), ".webp": _WEBP, ".jpg": _JPEG, ".jpeg": _JPEG
}  # fmt: skip


def check_picture(target: Path) -> None:
    """See that a name is that of a picture.

    Raises:
        UsageError: it is not.
        OutputError: it is that of a pipe.
    """
    check_no_pipe(target)
    if target.suffix.lower() not in PICTURES:
        raise UsageError(
            f"{target} is no name of a picture.",
            "Let it end in .png, .webp or .jpg.",
            number=160,
        )


def draw_text(
    canvas: Canvas,
    place: tuple[int, int],
    text: str,
    size: int,
    color: Color,
    *,
    bold: bool = False,
) -> int:
    """Write one line on a picture, in place.

    Args:
        canvas: contiguous.
        place: where it begins: x, and y of the line that letters stand on.
        text: letters that the font lacks are left out.
        size: height of the letters, pixels.
        color: of the letters.
        bold: whether they are.

    Returns:
        Where it ends: x.
    """
    x, y = place
    buffer = _buffer(canvas)
    shade = tuple(c / 255 for c in color)
    oiio.ImageBufAlgo.render_text(buffer, x, y, text, size, _FONTS[bold], shade)
    canvas[:] = buffer.get_pixels(oiio.UINT8)
    return x + text_width(text, size, bold=bold)


def text_width(text: str, size: int, *, bold: bool = False) -> int:
    """Pixels that one line takes across."""
    area = oiio.ImageBufAlgo.text_size(text, size, _FONTS[bold])
    return int(area.xend - min(area.xbegin, 0)) if area.defined else 0


def save_picture(target: Path, picture: Canvas) -> None:
    """Write a picture; a file that is there is replaced.

    It is encoded in memory: OpenImageIO says nothing where a disk has no room for a PNG.

    Raises:
        UsageError: the name is not that of a picture.
        OutputError: it cannot be written.
    """
    check_picture(target)
    kind = target.suffix.lower()
    if max(picture.shape) > _MOST_PIXELS[kind]:
        raise OutputError(
            f"{target} cannot be written: a file of its kind holds no "
            f"{picture.shape[1]}x{picture.shape[0]} pixels.",
            "Name a .png, or show less.",
            number=61,
        )
    good, data = cv2.imencode(kind, picture[..., ::-1], _QUALITIES[kind])
    assert good, "OpenCV encodes every picture"
    with writing(target), replacing(target) as part:
        part.write_bytes(data.tobytes())


def _buffer(canvas: Canvas) -> Any:
    height, width = canvas.shape[:2]
    buffer = oiio.ImageBuf(oiio.ImageSpec(width, height, 3, oiio.UINT8))
    buffer.set_pixels(oiio.ROI(0, width, 0, height, 0, 1, 0, 3), canvas)
    return buffer
