"""Whether a result shows each picture at its own time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from vdenoise.settings.text import counted

FARTHEST = 12  # frames before and behind that a picture is looked for in
_CELL = 8  # px: noise is down to an eighth in their means
_MOVES = 4 / 255  # least change of a cell that shows that something moves
_ABOUT = 0.5 / 255  # mean error below which nobody can tell two frames of a clip apart
_FITS = 0.5  # share of its own frame's error with which another frame fits far better
_FITS_IN_ALL = 0.8  # ... and of the squares of all frames
_SLID = 1.15  # so many times the error of its own picture, moved a little, may another's be
_SURE = 4.0  # standard errors that a difference over the clip must have
_CONTRAST = 4 / 255  # standard deviation of cells of a picture that can be told from another
_SAME = 0.3  # least correlation of a picture with its own source
_SHARED = 0.25  # correlation of neighboring cells of picture; of noise there is none
_FEWEST = 4  # frames that say anything about a clip


@dataclass(frozen=True, eq=False)
class _Seen:
    index: int
    source: Tensor  # means of cells (1, h, w)
    result: Tensor
    moved: Tensor  # of the source's own picture, moved to where the result's seems to lie


@dataclass
class _Tally:
    """Mean squares of errors against frames' own pictures, those of another time, and their own
    ones where they seem to have been moved to."""

    count: int = 0
    own: float = 0.0
    other: float = 0.0
    moved: float = 0.0
    squares: float = 0.0  # of their differences

    def add(self, own: float, other: float, moved: float) -> None:
        """Count a frame."""
        self.count += 1
        self.own += own
        self.other += other
        self.moved += moved
        self.squares += (own - other) ** 2

    def sure(self) -> bool:
        """Whether the other time fits better beyond chance."""
        mean = (self.own - self.other) / self.count
        spread = math.sqrt(max(self.squares / self.count - mean**2, 0.0))
        return mean > _SURE * spread / math.sqrt(self.count - 1)


class TimeShift:
    """Compares each frame of a result with the source's frames around it.

    Only what moves from one frame to another tells times apart. In the result it is told without
    noise; in the source also where the result shows one picture twice. A frame is wrong where the
    picture of another time fits far better; a clip, where another time fits better in all, though
    it may be too little to be sure of any one frame. A frame is none of the source's where it is
    not even like its own one.
    """

    def __init__(self) -> None:
        self.wrong: dict[int, str] = {}  # frames that show another time, and which
        self.strange: dict[int, str] = {}  # frames that show no picture of the source
        self._best: dict[int, float] = {}
        self._tallies: dict[int, _Tally] = {}  # by shift
        self._seen: deque[_Seen] = deque(maxlen=FARTHEST)

    def push(self, index: int, source: Tensor, result: Tensor, moved: Tensor | None = None) -> None:
        """Look at the next frame.

        Args:
            index: its number.
            source, result: luma (1, H, W).
            moved: of the source, moved to where the result's picture seems to lie: where that fits
                as well as another time, it is no other time. None where it seems not to be moved.
        """
        if self._seen and index != self._seen[-1].index + 1:
            self._seen.clear()
        sides = [min(_CELL, n) for n in source.shape[-2:]]
        cells = (
            functional.avg_pool2d(x[None], sides)[0]
            for x in (source, result, source if moved is None else moved)
        )
        now = _Seen(index, *cells)
        if not _alike(now.source, now.result):
            self.strange[index] = "it does not show the source's picture"
        for then in self._seen:
            in_result, in_source = (
                (x - y).abs() > _MOVES
                for x, y in ((now.result, then.result), (now.source, then.source))
            )
            for shown, other in ((now, then), (then, now)):
                self._compare(shown, other, in_result, tallied=True)
                if _is_picture(shown.source - shown.result):
                    self._compare(shown, other, in_source)
        self._seen.append(now)

    def of_clip(self) -> str | None:
        """What a clip shows that is out of step as a whole; None of one that is not."""
        found: list[tuple[float, int]] = []
        for shift, tally in self._tallies.items():
            share = tally.other / tally.own if tally.own > 0 else 1.0
            no_shift = tally.other < _SLID**2 * tally.moved
            if tally.count >= _FEWEST and share < _FITS_IN_ALL and no_shift and tally.sure():
                found.append((share, shift))
        return _said(min(found)[1]) if found else None

    def _compare(self, shown: _Seen, other: _Seen, moves: Tensor, *, tallied: bool = False) -> None:
        """Whether a frame of the result shows another frame's picture rather than its own."""
        if not bool(moves.any()):
            return
        errors = [(shown.result - x)[moves] for x in (shown.source, other.source, shown.moved)]
        shift = other.index - shown.index
        if tallied:
            squares = (float(x.square().mean()) for x in errors)
            self._tallies.setdefault(shift, _Tally()).add(*squares)
        mean, error, moved = (float(x.abs().mean()) for x in errors)
        most = min(_FITS * mean, _SLID * moved, self._best.get(shown.index, mean))
        if mean > _ABOUT and error < most:
            self._best[shown.index] = error
            self.wrong[shown.index] = _said(shift)


def _is_picture(error: Tensor) -> bool:
    """Whether what a result lacks is picture, and not noise, which neighboring cells do not
    share."""
    beside = (
        float((error[..., 1:] * error[..., :-1]).mean()),
        float((error[..., 1:, :] * error[..., :-1, :]).mean()),
    )
    return max(beside) > _SHARED * float(error.square().mean())


def _alike(source: Tensor, result: Tensor) -> bool:
    """Whether a picture is like its source, brighter, darker or flatter as it may be."""
    a, b = source - source.mean(), result - result.mean()
    contrast = float(a.square().mean().sqrt())
    if contrast < _CONTRAST:
        return True
    return float((a * b).mean()) > _SAME * contrast * float(b.square().mean().sqrt())


def _said(shift: int) -> str:
    side = "before" if shift < 0 else "behind"
    return f"it shows the picture of {counted(abs(shift), 'frame')} {side} it"
