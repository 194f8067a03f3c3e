"""Areas of a picture as text, short enough for a file that people also read."""

from __future__ import annotations

import base64
import binascii
import re
import zlib

import numpy as np
from numpy.typing import NDArray

CELL = 4  # pixels each way that are in an area together, or outside of it

_MOST = 1 << 14  # rows or columns of cells: 65536 pixels
_FORM = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4}):([A-Za-z0-9+/=]*)")


def to_text(cells: NDArray[np.bool_]) -> str:
    """(rows, columns) of cells as text: ``ROWSxCOLUMNS:`` and deflated bits in base 64.

    Nothing where no cell is in the area.
    """
    if not cells.any():
        return ""
    bits = zlib.compress(np.packbits(cells, axis=None).tobytes(), 9)
    return f"{cells.shape[0]}x{cells.shape[1]}:{base64.b64encode(bits).decode()}"


def from_text(text: str) -> NDArray[np.bool_]:
    """What `to_text` wrote of an area.

    Raises:
        ValueError: it is none.
    """
    found = _FORM.fullmatch(text)
    rows, columns = (int(found[1]), int(found[2])) if found else (0, 0)
    if found is None or max(rows, columns) > _MOST:
        raise ValueError("it is to be ROWSxCOLUMNS: and deflated bits in base 64")
    wanted = -(-rows * columns // 8)
    inflated = zlib.decompressobj()
    try:
        bits = inflated.decompress(base64.b64decode(found[3], validate=True), wanted + 1)
    except (binascii.Error, zlib.error):
        bits = b""
    if len(bits) != wanted or not inflated.eof:
        raise ValueError(f"its bits are not those of {rows}x{columns} cells")
    cells = np.unpackbits(np.frombuffer(bits, np.uint8), count=rows * columns)
    return cells.reshape(rows, columns).astype(np.bool_)
