"""Two neighbouring frames, block by block: the energy of their sum and of their difference.

The idea the whole measurement rests on: for noise that is independent from frame to frame, the sum
and the difference of two aligned blocks are statistically independent. So blocks may be chosen,
weighted and binned by their *sum* (level, texture) without biasing the noise that is read from
their *difference*, where the picture cancels.

Alignment must not follow the noise (`vdenoise.noise.shifts`). The part of a shift below a pixel is
split between the two frames, half to each side, so that interpolation treats their noise alike
(else sum and difference were no longer independent); what it takes is put back coefficient by
coefficient. What the motion is still off by is projected out of the difference (`_without_drift`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vdenoise.noise.bands import band_sizes, bands, by_band
from vdenoise.noise.bars import Bars
from vdenoise.noise.blocks import (
    REACH,
    STEPS,
    gather,
    gradients,
    middles,
    positions,
    shift_blocks,
    transform,
    without_impulses,
)
from vdenoise.noise.evidence import CLIPPED, EVEN, REPEATED, LeftOut, Marks
from vdenoise.noise.shifts import CellMotion
from vdenoise.picture.noise_table import SPECTRUM as SIZE

KEPT_SPECTRA = 320  # blocks per plane and pair whose coefficients are kept


@dataclass(frozen=True, eq=False)
class PlaneBlocks:
    """What one plane of one pair of frames says. n blocks, m <= n of them with coefficients.

    Energies are mean squares of the coefficients in each of the bands of `band_of`, scaled so
    that white noise of variance v reads v, in full-scale units squared.
    """

    place: Tensor  # (n, 2) row and column of the block's middle, in luma pixels
    level: Tensor  # (n,) mean luma of the block
    even: Tensor  # (n, BANDS) energy of the sum: picture and noise
    odd: Tensor | None  # (n, BANDS) of the difference: noise and misalignment; None: one frame
    impulses: Tensor  # (n,) share of impulses
    chosen: Tensor  # (m,) positions of the flattest blocks, overall and from all levels
    even_spectrum: Tensor  # (m, 16, 16) squared coefficients of the sum
    odd_spectrum: Tensor | None  # (m, 16, 16) of the difference


def compare(
    current: Tensor,
    previous: Tensor | None,
    levels: Tensor,
    shift: CellMotion,
    ratio: tuple[int, int],
    marks: Marks,
    bars: Bars,
) -> tuple[PlaneBlocks | None, LeftOut]:
    """Measure one plane.

    Args:
        current: (H, W) of the plane.
        previous: (H, W) of the frame before, or None: the sum is then twice the frame itself.
        levels: (H, W) luma at the plane's resolution.
        shift: motion from current to previous.
        ratio: luma pixels per plane pixel, (y, x).
        marks: samples of the plane that cannot tell of noise.
        bars: in luma pixels.

    Returns:
        The blocks, None where the plane is smaller than one, everything moved out of the picture or
        nothing in it can tell; and how many could not.
    """
    y, x = positions(*current.shape)
    if len(y) == 0:
        return None, LeftOut(torch.zeros(0, 2))
    able, left_out = _able(y, x, current.shape, ratio, marks, bars)
    if not able.any():
        return None, left_out
    return _blocks(current, previous, levels, shift, ratio, y[able], x[able]), left_out


def _blocks(
    current: Tensor,
    previous: Tensor | None,
    levels: Tensor,
    shift: CellMotion,
    ratio: tuple[int, int],
    y: Tensor,
    x: Tensor,
) -> PlaneBlocks | None:
    """`compare`, of the blocks at (y, x) of the plane; None where all moved out of the picture."""
    place = middles(y, x, ratio)
    level = gather(levels, y, x, 0).mean((1, 2))
    if previous is None:
        squares = transform(gather(current, y, x, 0)).square()
        return _pack(place, level, squares, None, torch.zeros_like(level), None)
    move = shift.at(place[:, 0], place[:, 1])
    steps = (move / move.new_tensor([ratio[1], ratio[0]]) * STEPS).round().long()
    whole = (steps + STEPS // 2).div(STEPS, rounding_mode="floor")
    part = steps - whole * STEPS + STEPS // 2
    ty, tx = y + whole[:, 1], x + whole[:, 0]
    height, width = current.shape
    inside = (ty >= 2) & (tx >= 2) & (ty <= height - SIZE - 2) & (tx <= width - SIZE - 2)
    still = (ty >= 0) & (tx >= 0) & (ty <= height - SIZE) & (tx <= width - SIZE)
    inside |= still & (part == STEPS // 2).all(1)
    if not inside.any():
        return None
    place, level, part = place[inside], level[inside], part[inside]
    y, x, ty, tx = (v[inside] for v in (y, x, ty, tx))
    a, b = gather(current, y, x, 2 * REACH), gather(previous, ty, tx, 2 * REACH)
    a, b, impulses = without_impulses(a, b)
    (a, gain), (b, _) = shift_blocks(a, STEPS - part), shift_blocks(b, part)
    total, inner = a + b, slice(REACH, -REACH)
    scale = (2 * gain).sqrt()
    even = transform(total[:, inner, inner]).div(scale).square()
    difference = transform((a - b)[:, inner, inner]) / scale
    along_x, along_y = (transform(g) / scale for g in gradients(total))
    energy = _without_drift(difference, along_x, along_y)
    return _pack(place, level, even, difference.square(), impulses, energy)


def _able(
    y: Tensor, x: Tensor, size: Sequence[int], ratio: tuple[int, int], marks: Marks, bars: Bars
) -> tuple[Tensor, LeftOut]:
    """Which of the blocks at (y, x) can tell of noise: (n,) bool, and why the others cannot."""
    height, width = size
    above, below, left, right = (-(-n // ratio[i // 2]) for i, n in enumerate(bars))
    inside = (height - above - below) * (width - left - right) / (height * width)
    # Interpolation and gradients look a little further than the block.
    above, below, left, right = (n + REACH if n else 0 for n in (above, below, left, right))
    able = (y >= above) & (y + SIZE <= height - below)
    able &= (x >= left) & (x + SIZE <= width - right)
    looked_at, counts = int(able.sum()), []
    for shares, most in (
        (marks.clipped, CLIPPED),
        (marks.even, EVEN),
        (marks.repeated, REPEATED),
    ):
        spoiled = able & (gather(shares, y, x, 0).mean((1, 2)) > most)
        counts.append(int(spoiled.sum()))
        if shares is marks.even:
            drawn = middles(y[spoiled], x[spoiled], ratio)
        able = able & ~spoiled
    return able, LeftOut(drawn, 1 - inside, looked_at, *counts)


def _without_drift(difference: Tensor, along_x: Tensor, along_y: Tensor) -> Tensor:
    """Energy by band of (n, 16, 16) coefficients, without what a small shift would explain.

    Where motion is off by a fraction of a pixel, the difference holds some of the picture's
    gradients. In each band it is projected onto what is orthogonal to the two of them. They come
    from the sum, which is independent of the difference's noise: they take exactly two of the
    band's degrees of freedom from it, wherever they point.

    Returns:
        (n, BANDS) mean squares.
    """
    d, x, y = (v.flatten(1) for v in (difference, along_x, along_y))
    dx, dy, xx, xy, yy = (v @ bands() for v in (d * x, d * y, x * x, x * y, y * y))
    ridge = 1e-4 * (xx + yy) + 1e-12  # gradients that are parallel, or none at all
    xx, yy = xx + ridge, yy + ridge
    explained = (dx.square() * yy - 2 * dx * dy * xy + dy.square() * xx) / (xx * yy - xy.square())
    return (d.square() @ bands() - explained).clamp(min=0) / (band_sizes() - 2)


def _pack(
    place: Tensor,
    level: Tensor,
    even: Tensor,
    odd: Tensor | None,
    impulses: Tensor,
    odd_energy: Tensor | None,
) -> PlaneBlocks:
    energy = by_band(even)
    chosen = _flattest(level, energy @ band_sizes())
    return PlaneBlocks(
        place=place,
        level=level,
        even=energy,
        odd=odd_energy,
        impulses=impulses,
        chosen=chosen,
        even_spectrum=even[chosen],
        odd_spectrum=None if odd is None else odd[chosen],
    )


def _flattest(level: Tensor, energy: Tensor) -> Tensor:
    """Positions of the blocks with the least energy: overall, and in each quarter of levels."""
    overall = energy.argsort()[: KEPT_SPECTRA // 2]
    quarters = level.argsort().chunk(4)
    return torch.cat([overall, *(q[energy[q].argsort()[: KEPT_SPECTRA // 8]] for q in quarters)])
