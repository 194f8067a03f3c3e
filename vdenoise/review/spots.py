"""The places of a clip where a denoiser has it hardest, found by looking: for people to look at.

Each frame is looked at small, on a grid of cells; a spot is a window of cells, the one that has
most of what is looked for in all frames that were shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vdenoise.engine.tiles import Area
from vdenoise.masks.ranges import drawn
from vdenoise.masks.spec import MaskSpec
from vdenoise.motion.warp import reduce

Kind = Literal["texture", "gradient", "motion", "skin", "cut", "first", "last", "asked", "gate"]
WHY: dict[Kind, str] = {
    "texture": "finest texture",
    "gradient": "darkest gradient",
    "motion": "fastest motion",
    "skin": "skin-like colors",
    "cut": "beside a cut",
    "first": "first frame",
    "last": "last frame",
    "asked": "asked for",
    "gate": "a gate of qc",
}
Grid = NDArray[np.float32]

_CELL = 16  # luma pixels: side of a cell, in pictures of up to ...
_CELLS = 120  # ... so many cells across; larger pictures have larger cells
_LEAST_SKIN = 0.2  # share of a window below which it is none
_LEAST_MOTION = 1.0  # luma pixels a frame, below which nothing moves fast
_DARK, _BLACK = 0.35, 0.02  # luma: a gradient above is not dark, below is not seen
_STEEPEST = 0.004  # luma step a pixel above which it is an edge, not a gradient
_LEAST_GRADIENT = 0.1  # of the best there can be
_CONTRAST = 8.0  # 8-bit codes: deviation from which on a motion can be told
_FLOW_WIDTH = 240  # pixels across, of the pictures that motion is looked for in


@dataclass(frozen=True)
class Spot:
    """A place to look at."""

    frame: int
    area: Area  # luma pixels
    kinds: tuple[Kind, ...]
    reason: str  # in a few words: "finest texture"
    amount: str = ""  # how much of it, where there is a number: "12 px a frame"


@dataclass(frozen=True)
class _Found:
    score: float
    frame: int
    row: int
    column: int


class Scout:
    """Looks at frames one after the other, then says where the hard spots are.

    Args:
        size: height and width of the picture, luma pixels.
        window: height and width of a spot.
    """

    def __init__(self, size: tuple[int, int], window: tuple[int, int]) -> None:
        self.size = size
        self.window = min(window[0], size[0]), min(window[1], size[1])
        across = -(-max(size) // _CELL)
        self.cell = _CELL * max(1, -(-across // _CELLS))
        self._best: dict[Kind, _Found] = {}
        self._before: tuple[int, Any] | None = None
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def push(self, index: int, luma: Tensor, chroma: Tensor | None) -> None:
        """Excerpt at a frame: luma (1, H, W), chroma (2, h, w) or None, working representation."""
        with torch.inference_mode():
            luma = luma.float().cpu()
            self._note("texture", index, self._texture(luma))
            self._note("gradient", index, self._gradient(luma))
            self._note("skin", index, self._skin(luma, chroma))
            self._note("motion", index, self._motion(index, luma))

    def spots(self, frames: int, cuts: Sequence[int]) -> list[Spot]:
        """The hard spots: at most one of each kind, and those at cuts and at the ends.

        Args:
            frames: of the clip.
            cuts: first frames of new shots.
        """
        found = [self._spot(kind, best) for kind, best in self._best.items() if self._is_any(best)]
        where = found[0].area if found else self._area(0, 0)
        sides = [(c - 1, "last frame before a cut") for c in cuts[:1]]
        sides += [(c, "first frame behind a cut") for c in cuts[:1]]
        found += [Spot(frame, where, ("cut",), reason) for frame, reason in sides]
        found.append(Spot(0, where, ("first",), WHY["first"]))
        if frames > 1:
            found.append(Spot(frames - 1, where, ("last",), WHY["last"]))
        return merged(found)

    def best_in(self, frame: int) -> list[Spot]:
        """The spots of a frame that are the best of their kind so far."""
        return [
            self._spot(kind, best)
            for kind, best in self._best.items()
            if best.frame == frame and self._is_any(best)
        ]

    def beside(self, frame: int, kind: Kind, reason: str) -> Spot:
        """A frame that is shown for its place in the clip, where texture is finest so far."""
        best = self._best.get("texture")
        area = self._middle() if best is None else self._spot("texture", best).area
        return Spot(frame, area, (kind,), reason)

    def around(self, area: Area) -> Area:
        """The part of the picture that is shown where an area in it is what matters."""
        (h, w) = self.window
        top, left = ((area.top + area.bottom - h) // 2, (area.left + area.right - w) // 2)
        return self._area(max(top, 0), max(left, 0))

    def asked(self, frame: int) -> Spot:
        """A frame that somebody asked for, at its own hardest place as far as it was looked at."""
        best = self._best.get("texture")
        own = best is not None and best.frame == frame
        area = self._spot("texture", best).area if own and best is not None else self._middle()
        return Spot(frame, area, ("asked",), WHY["asked"])

    def _note(self, kind: Kind, index: int, cells: Tensor | None) -> None:
        if cells is None:
            return
        rows, columns = (
            max(1, min(w // self.cell, n))
            for w, n in zip(self.window, cells.shape[-2:], strict=True)
        )
        mean = functional.avg_pool2d(cells[None], (rows, columns), stride=1)[0]
        place = int(mean.argmax())
        score = float(mean.flatten()[place])
        row, column = divmod(place, mean.shape[-1])
        if kind not in self._best or score > self._best[kind].score:
            self._best[kind] = _Found(score, index, row, column)

    def _is_any(self, best: _Found) -> bool:
        least = {"skin": _LEAST_SKIN, "motion": _LEAST_MOTION, "gradient": _LEAST_GRADIENT}
        kind = next(kind for kind, found in self._best.items() if found is best)
        return best.score > least.get(kind, 0.0)

    def _spot(self, kind: Kind, best: _Found) -> Spot:
        amount = f"{best.score:.0f} px a frame" if kind == "motion" else ""
        area = self._area(best.row * self.cell, best.column * self.cell)
        return Spot(best.frame, area, (kind,), WHY[kind], amount)

    def _area(self, top: int, left: int) -> Area:
        """A window at even places, wholly inside the picture."""
        (height, width), (h, w) = self.size, self.window
        top, left = min(top, height - h) // 2 * 2, min(left, width - w) // 2 * 2
        return Area(top, top + h, left, left + w)

    def _middle(self) -> Area:
        (height, width), (h, w) = self.size, self.window
        return self._area((height - h) // 2, (width - w) // 2)

    def _texture(self, luma: Tensor) -> Tensor | None:
        """Detail at half size beyond what the calmest cells hold, which is noise; by its root, so
        that a few strong edges are no texture."""
        half = reduce(luma, (2, 2))
        if min(half.shape[-2:]) < 3:
            return None
        detail = half[:, 1:-1, 1:-1] * 4 - half[:, :-2, 1:-1] - half[:, 2:, 1:-1]
        detail = detail - half[:, 1:-1, :-2] - half[:, 1:-1, 2:]
        cells = _pooled(detail.square(), self.cell // 2)
        return (cells - cells.flatten().quantile(0.1)).clamp(min=0).sqrt()

    def _gradient(self, luma: Tensor) -> Tensor | None:
        """Slopes that are slight, even and dark, as bands show in: about 1 at the best."""
        small = _pooled(luma, self.cell // 2)
        if min(small.shape[-2:]) < 4:
            return None
        down, across = small.diff(dim=-2)[..., :-1], small.diff(dim=-1)[..., :-1, :]
        slope = (down.square() + across.square()).sqrt() / (self.cell // 2)
        slight = (slope / (_STEEPEST / 8)).clamp(max=1) * (slope < _STEEPEST)
        level = small[..., :-1, :-1]
        dark = ((_DARK - level) / _DARK).clamp(0, 1) * (level > _BLACK)
        rough = _pooled(luma.square(), self.cell // 2) - small.square()
        edges = rough[..., :-1, :-1].clamp(min=0)
        even = 1 / (1 + edges / (edges.flatten().quantile(0.25) * 2 + 1e-6))
        return _pooled(slight * dark * even, 2)

    def _skin(self, luma: Tensor, chroma: Tensor | None) -> Tensor | None:
        if chroma is None:
            return None
        spec = MaskSpec("skin", "auto:skin", "auto", word="skin")
        ratio = max(1, self.cell // 4)
        small = _pooled(luma, ratio)
        colors = functional.interpolate(chroma.float().cpu()[None], small.shape[-2:], mode="area")[
            0
        ]
        found = drawn(spec, small, colors, torch.zeros_like(small[0]))
        return _pooled(found[None], self.cell // ratio)

    def _motion(self, index: int, luma: Tensor) -> Tensor | None:
        ratio = max(1, round(self.size[1] / _FLOW_WIDTH))
        small = reduce(luma, (ratio, ratio))[0].mul(255).clamp(0, 255).byte().numpy()
        before, self._before = self._before, (index, small)
        if before is None or before[0] != index - 1 or min(small.shape) < 32:
            return None
        small, old = cv2.GaussianBlur(small, (0, 0), 1), cv2.GaussianBlur(before[1], (0, 0), 1)
        back, forth = (self._flow(a, b) for a, b in ((small, old), (old, small)))
        speed, error = back.square().sum(0), (back + forth).square().sum(0)
        sure = error < 0.25 + speed / 16  # elsewhere nothing was followed
        speed = (speed.sqrt() * sure * _contrast(small))[None] * ratio
        wanted = tuple(max(1, -(-n // self.cell)) for n in self.size)
        return functional.interpolate(speed[None], wanted, mode="area")[0]

    def _flow(self, a: Any, b: Any) -> Tensor:
        start: NDArray[np.float32] = np.zeros((*a.shape, 2), np.float32)
        return torch.from_numpy(self._dis.calc(a, b, start)).permute(2, 0, 1)


def _contrast(picture: Any) -> Tensor:
    """1 where there is something to follow, 0 where a flow only continues what is beside it."""
    x = torch.from_numpy(picture).float()[None, None]
    mean, square = (functional.avg_pool2d(y, 7, 1, 3) for y in (x, x.square()))
    return ((square - mean.square()).clamp(min=0).sqrt()[0, 0] / _CONTRAST).clamp(max=1)


def _pooled(x: Tensor, side: int) -> Tensor:
    """Means of whole cells; a picture smaller than one is one cell."""
    sides = tuple(max(1, min(side, n)) for n in x.shape[-2:])
    return functional.avg_pool2d(x[None], sides)[0]


def merged(spots: Sequence[Spot]) -> list[Spot]:
    """Spots that show the same of the same frame become one, with both reasons; in time's order."""
    kept: list[Spot] = []
    for spot in spots:
        same = next((k for k in kept if k.frame == spot.frame and _alike(k.area, spot.area)), None)
        if same is None:
            kept.append(spot)
            continue
        amount = same.amount or spot.amount
        reason = f"{same.reason}, {spot.reason}"
        kinds = (*same.kinds, *spot.kinds)
        kept[kept.index(same)] = Spot(spot.frame, same.area, kinds, reason, amount)
    return sorted(kept, key=lambda spot: spot.frame)


def _alike(a: Area, b: Area) -> bool:
    both = a.common(b)
    shared = max(both.bottom - both.top, 0) * max(both.right - both.left, 0)
    return shared > 0.5 * (a.bottom - a.top) * (a.right - a.left)
