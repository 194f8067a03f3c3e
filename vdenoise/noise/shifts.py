"""Motion from a frame to the one before it, as measuring needs it: it must not follow the noise.

A block without structure has the gradients of noise alone, and a flow of its own would fit its
grain: up to 10 % of the noise would not be read. So flow is taken from textured neighborhoods.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.motion.flow import estimate, working_scale
from vdenoise.picture.noise_table import SPECTRUM as SIZE

_CELL = 16  # px: motion is averaged over cells of this size
_TRUST = 3.0  # gradients this many times those of noise make a cell trust its own flow
_SLOW = 0.5  # px: median motion below which the camera may as well stand still ...
_CLEARLY = 0.9  # ... unless following it takes this much of the difference away
_BLUR = 2.0  # px, before motion is estimated


@dataclass(frozen=True, eq=False)
class CellMotion:
    """Smooth motion from a frame to the one before it, on cells of 16 luma pixels."""

    cells: Tensor  # (2, h, w): x, y in luma pixels

    def at(self, y: Tensor, x: Tensor) -> Tensor:
        """(n, 2) x and y displacement of the cells that luma positions (y, x) lie in."""
        rows = (y // _CELL).clamp(max=self.cells.shape[1] - 1).long()
        columns = (x // _CELL).clamp(max=self.cells.shape[2] - 1).long()
        return self.cells[:, rows, columns].T


def motion_between(current: Tensor, previous: Tensor) -> CellMotion:
    """Motion of (1, H, W) luma ``current`` to ``previous``, led by texture.

    A cell with little structure takes the mean flow of its neighbourhood, weighted by structure.
    """
    height, width = current.shape[-2:]
    rows, columns = max(height // _CELL, 1), max(width // _CELL, 1)
    if min(height, width) < 2 * SIZE:
        return CellMotion(torch.zeros(2, rows, columns))
    a, b = (
        np.asarray(cv2.GaussianBlur(x[0].numpy(), (0, 0), _BLUR), np.float32)
        for x in (current, previous)
    )
    scale = working_scale(height, width, "fast")
    pictures = torch.from_numpy(a)[None], torch.from_numpy(b)[None]
    # The compiled search reads clipped noise on a drawn scene a tenth too high, clean sides as 1.2
    # codes for 0.4: unrefined, it strays further where little tells of motion.
    flow = estimate(*pictures, scale, "fast", by_opencv=True).numpy()
    texture = cv2.Sobel(a, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(a, cv2.CV_32F, 0, 1) ** 2
    weight = cv2.resize(texture, (columns, rows), interpolation=cv2.INTER_AREA).reshape(
        rows, columns
    )
    # A cell without structure has the gradients of noise alone, and a flow that follows it.
    noise = np.quantile(weight, 0.1)
    own = np.clip(1 - _TRUST * noise / np.maximum(weight, 1e-12), 0, 1)
    weight = weight * own + 1e-9
    total = cv2.GaussianBlur(weight, (5, 5), 1.0)
    cells = []
    for f in flow:
        cell = cv2.resize(f, (columns, rows), interpolation=cv2.INTER_AREA).reshape(rows, columns)
        around = cv2.GaussianBlur(cell * weight, (5, 5), 1.0) / total
        cells.append(own * cell + (1 - own) * around)
    moved = np.stack(cells).astype(np.float32)
    if np.median(np.hypot(*moved)) < _SLOW and not _helps(a, b, moved):
        moved = np.zeros_like(moved)
    return CellMotion(torch.from_numpy(moved))


def _helps(a: NDArray[np.float32], b: NDArray[np.float32], moved: NDArray[np.float32]) -> bool:
    """Whether (H, W) ``b`` moved back is clearly more like ``a`` than ``b`` as it is.

    Asked of the whole picture: the little motion that is found on a tripod is the noise's doing.
    """
    height, width = a.shape
    x, y = (cv2.resize(m, (width, height)) for m in moved)
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    back = cv2.remap(b, columns + x, rows + y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return bool(np.abs(a - back).mean() < _CLEARLY * np.abs(a - b).mean())
