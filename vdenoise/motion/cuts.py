"""Where a new shot begins. A decision looks at a few frames on either side, never further.

Frames are compared as thumbnails whose cells may each shift a little, so that noise, camera moves
and moving people count for little. A cut is a jump that stands out from its neighbours *and* leads
to a different picture: after a flash the old picture comes back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vdenoise.errors import OutputError, UsageError
from vdenoise.machine.files import read_text, write_text

REACH = 5  # frames before and after a cut that its decision looks at

_LONGEST_NUMBER = 15  # digits
_WIDTH = 64  # of a thumbnail, pixels
_CELL = 8  # thumbnail pixels: what is matched on its own
_SEARCH = 3  # thumbnail pixels: how far a cell may move
_FLASH = 4  # frames: pictures that come back this soon were interrupted, not cut
_LEAST = 0.25  # mismatch below which nothing is a cut (0: same picture, about 1: unrelated)
_OUTSTANDING = 2.5  # times the median mismatch of the neighbours
_NOISE = 0.012  # mismatch of thumbnails that counts as none, full scale
_HELD = 0.02  # mismatch of a picture that is shown again
_HOLDS = range(2, 5)  # frames that a drawing is shown for
_UNRELATED = 0.6  # mismatch of pictures of which hardly anything is the same

Thumbnail = NDArray[np.float32]


def thumbnail(luma: Tensor) -> Thumbnail:
    """(1, H, W) luma reduced by area averaging to at most 64 pixels in width and height."""
    height, width = luma.shape[-2:]
    scale = min(1.0, _WIDTH / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(luma[0].cpu().float().numpy(), size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(size[1], size[0])


def mismatch(a: Thumbnail, b: Thumbnail) -> float:
    """How little of ``b`` is found in ``a``: 0 for the same picture, about 1 for an unrelated one.

    Each cell of ``b`` takes its best place within a few pixels; what is left is compared with the
    contrast of both pictures.
    """
    height, width = b.shape
    padded = torch.from_numpy(np.pad(a, _SEARCH, mode="edge"))
    moved = padded.unfold(0, height, 1).unfold(1, width, 1)  # (7, 7, height, width)
    error = (moved - torch.from_numpy(b)).abs().flatten(0, 1)
    cells = torch.nn.functional.avg_pool2d(
        error[:, None], (min(_CELL, height), min(_CELL, width)), ceil_mode=True
    )
    left = max(cells.min(0).values.mean().item() - _NOISE, 0.0)
    contrast = 0.5 * sum(float(np.abs(x - np.median(x)).mean()) for x in (a, b))
    return left / (contrast + abs(float(np.median(a)) - float(np.median(b))) + _NOISE)


class CutFinder:
    """Find cuts in frames that are pushed one after the other.

    ``cuts`` holds the first frame of each new shot, decided so far; a decision on frame t is made
    when frame t + REACH arrives, and depends on frames t - REACH - 1 to t + REACH only.
    """

    def __init__(self) -> None:
        self.cuts: list[int] = []
        self._window: deque[tuple[int, Thumbnail, float]] = deque(maxlen=2 * REACH + 2)

    def push(self, index: int, luma: Tensor) -> float:
        """Take the next frame, (1, H, W); returns its mismatch with the one before."""
        small = thumbnail(luma)
        jump = mismatch(self._window[-1][1], small) if self._window else 0.0
        self._window.append((index, small, jump))
        self._decide(index - REACH)
        return jump

    def finish(self) -> tuple[int, ...]:
        """Decide on the last frames."""
        if self._window:
            last = self._window[-1][0]
            for index in range(max(last - REACH + 1, self._window[0][0] + 1), last + 1):
                self._decide(index)
        return tuple(self.cuts)

    def _decide(self, index: int) -> None:
        near = [w for w in self._window if -REACH - 1 <= w[0] - index <= REACH]
        place = next((i for i, w in enumerate(near) if w[0] == index), 0)
        if place > 0 and _is_cut([w[1] for w in near], [w[2] for w in near], place):
            self.cuts.append(index)


def _is_cut(pictures: Sequence[Thumbnail], jumps: Sequence[float], place: int) -> bool:
    """Whether the picture at ``place`` begins a shot; jumps[i] is the mismatch of i - 1 and i."""
    jump = jumps[place]
    if jump < _LEAST:
        return False
    others = _usual_jumps(jumps, place)
    if others and jump < _OUTSTANDING * median(others):
        return False
    before = pictures[max(0, place - _FLASH) : place]
    after = pictures[place : place + _FLASH]
    back = min(mismatch(a, b) for a in before for b in after)
    return back >= 0.6 * max(jump, _LEAST)


def _usual_jumps(jumps: Sequence[float], place: int) -> list[float]:
    """The jumps that the one at ``place`` is measured by: all others, or, where pictures are held
    (fast animation on twos and threes), those that bring a new picture."""
    # The window's first jump looks at a frame outside of it.
    others = [j for i, j in enumerate(jumps) if i not in (0, place)]
    new = [i for i, j in enumerate(jumps) if i and j >= _HELD]
    held = len(new) > 1 and all(b - a in _HOLDS for a, b in pairwise(new))
    if held and jumps[place] < _UNRELATED:
        return [jumps[i] for i in new if i != place]
    return others


def read_cuts(path: Path) -> tuple[int, ...]:
    """Read a list of cuts: the first frame number of each new shot, one a line; ``#`` comments.

    Raises:
        UsageError: the file is missing or a line is no frame number.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"Cannot read the list of cuts {path}: {error}.",
            "Make one with --write-cuts FILE: one frame number a line.",
            number=31,
        ) from error
    cuts = set()
    for number, line in enumerate(lines, 1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
            raise UsageError(
                f"{path}, line {number}: {text[:40]!r} is not a frame number.",
                "Give the first frame of each new shot, one number a line, counted from 0.",
                number=32,
            )
        cuts.add(int(text))
    return tuple(sorted(cuts - {0}))


def write_cuts(path: Path, cuts: Sequence[int]) -> None:
    """Write a list of cuts that ``read_cuts`` reads.

    Raises:
        OutputError: the file cannot be written.
    """
    text = "# first frame of each new shot\n" + "".join(f"{cut}\n" for cut in cuts)
    try:
        write_text(path, text)
    except OSError as error:
        raise OutputError(
            f"Cannot write the list of cuts {path}: {error.strerror}.",
            "Choose a folder that exists and that you may write to.",
            number=31,
        ) from error
