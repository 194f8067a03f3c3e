"""Whether a result's picture is moved as a whole against its source, by parts of a pixel too."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from vdenoise.review.judged import BLOCK, CODE, INDEPENDENT, TINY, blocks, smoothed

_STEEPEST = 0.7 * CODE  # least mean slope of an area, in its flattest direction
_SURE = 0.2  # px: largest standard error of an area's shift
_BY_CHANCE = 4.0  # standard errors
_FAR = 0.5  # px: shifts beyond it are found from nearer
_AROUND, _SHARE = 0.3, 0.3  # px and share of the shift within which areas must agree
_AGREE = 0.85  # share of the areas that must
_SAID = 0.05  # px: less is not said
_FEWEST = 8  # areas of all frames that tell anything


class PictureShift:
    """Where the pictures of a result lie, against those of the source.

    By the slopes of the result (Lucas and Kanade 1981), area by area: what was removed along them
    is the shift. Noise has no side and drops out. Only a shift that nearly all areas of all frames
    share is one of the picture: a ghost moves what moves.
    """

    def __init__(self) -> None:
        # Of each frame the middle shift of its areas, how many agree with it, how many there are
        self._frames: list[tuple[Tensor, int, int]] = []

    def push(self, source: Tensor, result: Tensor) -> Tensor | None:
        """Look at a frame: planes (C, H, W) of source and result that lie on one grid.

        Returns:
            (2,) samples down and right by which it seems to be moved; None where nothing tells.
        """
        if min(source.shape[-2:]) < BLOCK // 4:
            return None
        known = _shifts(source, result)
        if len(known) and float((first := known.median(dim=0).values).norm()) > _FAR:
            nearer = torch.cat([slid(plane[None], first) for plane in source])
            known = _shifts(nearer, result) + first
        if not len(known):
            return None
        middle = known.median(dim=0).values
        self._frames.append((middle, int(_near(known, middle).sum()), len(known)))
        return middle

    def shift(self) -> tuple[float, float] | None:
        """Say by how many samples the picture is moved, down and right; None where areas tell
        nothing, or do not agree, or chance may have done it."""
        areas = sum(count for _, _, count in self._frames)
        if areas < _FEWEST:
            return None
        middles = torch.stack([middle for middle, _, _ in self._frames])
        middle = middles.median(dim=0).values
        agree = sum(
            count
            for near, (_, count, _) in zip(_near(middles, middle), self._frames, strict=True)
            if near
        )
        certain = float(middle.norm()) > _BY_CHANCE * _SURE / math.sqrt(areas)
        return (float(middle[0]), float(middle[1])) if certain and agree > _AGREE * areas else None


def _shifts(source: Tensor, result: Tensor) -> Tensor:
    """Samples (N, 2) down and right by which areas seem to be moved, of those that tell."""
    sums: list[Tensor] = [torch.zeros(())] * 6
    for before, after in zip(source, result, strict=True):
        smooth = smoothed(after[None])
        gone = smoothed(before[None]) - smooth
        gone = gone - gone.mean()  # a color that was changed as a whole is no shift
        down, right = torch.gradient(smooth, dim=(-2, -1))
        by_slope = (down * down, right * right, down * right)
        products = (*by_slope, down * gone, right * gone, gone * gone)
        sums = [total + blocks(product) for total, product in zip(sums, products, strict=True)]
    dd, rr, dr, dg, rg, gg = (total.flatten() for total in sums)
    least = (dd + rr) / 2 - (((dd - rr) / 2).square() + dr.square()).sqrt()
    whole = (dd * rr - dr.square()).clamp(min=TINY)
    shift = torch.stack(((rr * dg - dr * rg) / whole, (dd * rg - dr * dg) / whole), dim=-1)
    left = (gg - shift[:, 0] * dg - shift[:, 1] * rg).clamp(min=0)  # what no shift explains
    error = left * INDEPENDENT / BLOCK**2 / least.clamp(min=TINY)
    return shift[(least > _STEEPEST**2) & (error < _SURE**2)]


def slid(picture: Tensor, by: Tensor) -> Tensor:
    """A picture (1, H, W), moved by some pixels (2,) down and right; its edges are repeated."""
    down, right = (-float(way) for way in by)
    inverse = np.array([[1, 0, right], [0, 1, down]], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    height, width = picture.shape[-2:]
    moved = cv2.warpAffine(
        picture[0].numpy(), inverse, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return torch.from_numpy(np.asarray(moved))[None]


def _near(shifts: Tensor, middle: Tensor) -> Tensor:
    """Tell which shifts (N, 2) agree with a middle one."""
    apart: Tensor = (shifts - middle).norm(dim=-1)
    return apart < _AROUND + _SHARE * float(middle.norm())


def said_of(what: str, down: float, right: float) -> str:
    """Say a shift: ``the picture is moved by 1.0 px to the right``."""
    ways = [(right, "to the right", "to the left"), (down, "down", "up")]
    said = [
        f"{abs(by):.1f} px {positive if by > 0 else negative}"
        for by, positive, negative in ways
        if abs(by) >= _SAID
    ]
    return f"{what} is moved by {' and '.join(said)}" if said else ""
