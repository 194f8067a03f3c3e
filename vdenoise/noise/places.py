"""Where and when noise is how strong, beside its dependence on brightness.

The blocks' log energies are explained by level, by moment and by place: level and moment first, so
that a dark corner is dark before it is quiet. What lies above the fit counts little: picture that
moves on its own adds to a difference, nothing takes from it. A place is believed when its blocks
agree, as those of noise do; where they do not, it is texture, and the place goes with its
neighbors. Where nearly all is far below what the neighbors' noise would be, there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vdenoise.noise.bands import band_sizes
from vdenoise.noise.levels import fewest_of, hat_weights, hold_noise, smoothness
from vdenoise.noise.pairs import PlaneBlocks
from vdenoise.noise.still import Still
from vdenoise.picture.noise import LEVELS, Knots, factor_at

_ACROSS, _DOWN = 14, 8  # most cells
_SMALLEST = 24  # pixels: a cell must hold several blocks
_FEWEST = 6  # blocks of a cell that say anything
_NOTHING = (0.1 / 255) ** 2
_ROUNDS = 5
_ALIKE = 0.3  # log energy by which places that are alike may differ
_ABOVE = 0.15  # weight of blocks above the fit
_STIFF = 0.2  # blocks that outweigh the smoothness of the curve
_SPREAD = 0.35  # of log energies that agree; beyond it they count less and less
_WIDE = (8, 8, 8, 6, 4, 3, 2, 2)  # times that at first, while the curve is not known
_USUAL = 0.6  # log energy by which moments may differ before it takes evidence
_AGREE = 0.65  # span of the lower half of a cell's log energies: noise has 0.1 to 0.5
_TEXTURE = 10.0  # such a span of cells that show texture where motion was not found:
_LOST = 0.4  # from this share of their blocks on,
_TEXTURED = 0.25  # with so much texture ...
_UNLIKE = 2.0  # ... and coarse bands this many times stronger than fine ones, against noise
_COARSE, _FINE = slice(1, 4), (slice(4, 5), slice(5, 6))  # bands that are compared
_ALL_FINE = (slice(4, 6),)  # ... where the flattest blocks cannot tell how noise's bands are
_ENOUGH = 0.35  # share of the cells that agree: else all is texture that nothing follows
_NEAR = 1.5  # cells: neighbors that a place without evidence goes with
_LOW = 1.0  # log energy below the neighbors' noise at which what does not agree is clean
_UNEVEN = 2 * math.log(1.3)  # log energy by which most places must differ to be told apart
_WEAK = 2 * math.log(3 / 255)  # noise of which no place needs to be told from another
_CLEAN_SHARE = 0.03  # of the cells
_COVERED = 0.25  # share of a cell in areas without noise from which its own reading is theirs too
_RESTLESS = 0.5  # share of the rest that differs in every pair of frames where it is noisy
_UNSTEADY = 2 * math.log(1.25)  # the same of moments
_LEAST = 0.85  # of the most, that the least moment's sigma may have to count as the same
_STILL = 0.03  # change of roughness from frame to frame that is none
_KNOT = 0.03  # error of a strength that another knot is worth


@dataclass(frozen=True, eq=False)
class Seen:
    """A pair of frames as the model sees it."""

    index: int  # of the later frame
    blocks: PlaneBlocks  # of luma, with differences
    drawn: Tensor  # (k, 2) middles of blocks of one level: picture without noise, if not at an end


@dataclass(frozen=True, eq=False)
class Strength:
    """Sigma relative to its level's curve, at most 1; None: the same everywhere, or always."""

    cells: Tensor | None  # (rows, columns)
    moments: Knots | None

    def at(self, place: Tensor, size: tuple[int, int], index: int) -> Tensor:
        """(n,) sigma at places (n, 2) of a pair of frames that ends at ``index``."""
        found = torch.ones(len(place), dtype=torch.float64)
        if self.cells is not None:
            rows, columns = self.cells.shape
            y = (place[:, 0] / size[0] * rows - 0.5).clamp(0, rows - 1)
            x = (place[:, 1] / size[1] * columns - 0.5).clamp(0, columns - 1)
            grid = torch.stack([x / max(columns - 1, 1), y / max(rows - 1, 1)], -1) * 2 - 1
            sampled = functional.grid_sample(
                self.cells[None, None], grid[None, None].double(), align_corners=True
            )
            found = sampled.flatten()
        if self.moments is not None:
            both = [factor_at(self.moments, i) ** 2 for i in (index - 1, index)]
            found = found * math.sqrt(sum(both) / 2)
        return found


def strength(
    seen: Sequence[Seen], size: tuple[int, int], roughness: Mapping[int, float]
) -> Strength:
    """Fit the model.

    Args:
        seen: the samples of a shot.
        size: height and width of the picture.
        roughness: of every frame of the shot (`vdenoise.noise.sampling.light`): where it jumps, the
            noise may.
    """
    level = torch.cat([s.blocks.level for s in seen])
    place = torch.cat([s.blocks.place for s in seen])
    moment = torch.cat([torch.full((len(s.blocks.level),), i) for i, s in enumerate(seen)])
    rows, columns = _grid(size)
    cell = _cells(place, size)
    energy, texture, lost = _whitened(seen)
    trust = 1 / (1 + texture)
    moments = functional.one_hot(moment, len(seen)).double()
    design = torch.cat([hat_weights(level).double(), moments], 1)
    stiff = torch.zeros(design.shape[1], design.shape[1], dtype=torch.float64)
    stiff[:LEVELS, :LEVELS] = _STIFF * smoothness()
    solution = torch.zeros(design.shape[1], dtype=torch.float64)
    solution[:LEVELS] = energy.median()
    found = torch.zeros(rows * columns, dtype=torch.float64)
    span = torch.full_like(found, math.inf)
    count = torch.bincount(cell, minlength=len(found))
    lost_count = torch.bincount(cell, lost.double(), minlength=len(found))
    textured = (count >= _FEWEST) & (lost_count > _LOST * count)
    for n in range(_ROUNDS):
        # A little more or less here or there may as well be the curve's.
        rest = energy - found.masked_fill(found.abs() < _ALIKE, 0)[cell]
        for wide in (1, 1) if n else _WIDE:
            off = rest - design @ solution
            scale = wide * _SPREAD
            weight = trust * torch.where(off > 0, _ABOVE, 1.0) / (1 + (off / scale) ** 2)
            free = (solution[LEVELS:] / _USUAL) ** 2
            prior = torch.cat([torch.full((LEVELS,), 1e-6), 4 / _USUAL**2 / (1 + free)])
            left = design.T @ (design * weight[:, None]) + stiff + torch.diag(prior)
            solution = torch.linalg.solve(left, design.T @ (weight * rest))
        off = energy - design @ solution
        for c in sorted(set(cell.tolist())):
            here = off[cell == c]
            if len(here) >= _FEWEST:
                low, middle, high = here.quantile(here.new_tensor((0.1, 0.35, 0.6))).tolist()
                found[c], span[c] = middle, high - low
        span[textured] = _TEXTURE
        agreed = span < _AGREE
        if agreed.any():
            found -= found[agreed].median()
    drawn = torch.zeros_like(found)
    for s in seen:
        drawn += torch.bincount(_cells(s.drawn.long(), size), minlength=len(found))
    usual = hat_weights(level).double() @ solution[:LEVELS]
    cells = _placed(found, span, count, drawn, (rows, columns), float(usual.median()))
    steady = float(usual.median() + solution[LEVELS:].max()) < _WEAK
    over_time = None if steady else _moments(solution[LEVELS:], [s.index for s in seen], roughness)
    return Strength(cells, over_time)


def _grid(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of cells for a picture of this height and width."""
    cell = max(size[0] / _DOWN, size[1] / _ACROSS, _SMALLEST)
    return max(1, round(size[0] / cell)), max(1, round(size[1] / cell))


def _cells(place: Tensor, size: tuple[int, int]) -> Tensor:
    """(n,) number of the cell that each place (n, 2) lies in."""
    rows, columns = _grid(size)
    y = (place[:, 0] * rows // size[0]).clamp(max=rows - 1)
    return y * columns + (place[:, 1] * columns // size[1]).clamp(max=columns - 1)


def _whitened(seen: Sequence[Seen]) -> tuple[Tensor, Tensor, Tensor]:
    """Log energy of the differences with every band relative to noise, and how much texture.

    Of finer and coarser bands the lowest counts: noise is in all, texture is mostly in some. Its
    bands are as in the flattest blocks.

    Returns:
        (n,) log energy; (n,) texture, squared; (n,) bool: there is texture, and the difference is
        coarser than noise is here: motion was not found.
    """
    even = torch.cat([s.blocks.even for s in seen]).double()
    odd = torch.cat([s.blocks.odd for s in seen if s.blocks.odd is not None]).double()
    sizes = band_sizes().double()
    flattest = odd[(even @ sizes).argsort()[: fewest_of(len(even))]]
    telling = hold_noise(flattest.clamp(min=_NOTHING), odd.clamp(min=_NOTHING))
    usual = (flattest if telling else odd).median(0).values.clamp(min=_NOTHING)
    mean = usual @ sizes / sizes.sum()

    def of(energy: Tensor, bands: slice) -> Tensor:
        return (energy / usual)[:, bands] @ sizes[bands] / sizes[bands].sum() * mean

    parts = [of(odd, part) for part in (_FINE if telling else _ALL_FINE)]
    fine = torch.stack(parts).amin(0).clamp(min=_NOTHING)
    coarse = of(odd, _COARSE).clamp(min=_NOTHING)
    energy = torch.minimum(coarse, fine)
    texture = (of(even, slice(1, 6)) / energy - 2).clamp(min=0) / 4
    lost = (texture > _TEXTURED) & (coarse > _UNLIKE * fine) & telling
    return energy.log(), texture.square(), lost


def _placed(
    found: Tensor,
    span: Tensor,
    blocks: Tensor,
    drawn: Tensor,
    shape: tuple[int, int],
    usual: float,
) -> Tensor | None:
    """Relative sigma of each cell, (rows, columns); None where all places are alike.

    Args:
        found: (n,) log energy of each cell relative to its levels.
        span: (n,) how far apart the lower ones of its blocks are; infinite where there are few.
        blocks: (n,) how many there are.
        drawn: (n,) blocks of one level, which have no noise.
        shape: rows and columns.
        usual: log energy that ``found`` is relative to, of usual levels.
    """
    known, agreed = ~torch.isinf(span), span < _AGREE
    if not agreed.any() or agreed.sum() < _ENOUGH * known.sum():
        return None
    near = _nearness(*shape)
    around = (near * agreed) @ torch.where(agreed, found, 0.0) / (near * agreed).sum(1)
    value = torch.where(agreed, found, torch.minimum(found, around))
    clean = ~agreed & known & (found < around - _LOW)
    graphics = (drawn > blocks) & (drawn >= _FEWEST)
    low, high = value[agreed].quantile(value.new_tensor((0.05, 0.95))).tolist()
    if usual + high < _WEAK:
        return None
    if high - low < _UNEVEN:
        if (clean | graphics).sum() <= _CLEAN_SHARE * len(found):
            return None
        value, high = value.masked_fill(value > -_UNEVEN, 0), 0.0
    relative = ((value.clamp(max=high) - high) / 2).exp().masked_fill(clean, 0)
    filled = (near * known) @ torch.where(known, relative, 0.0) / (near * known).sum(1)
    return torch.where(known, relative, filled).masked_fill(graphics, 0).view(shape)


def _nearness(rows: int, columns: int) -> Tensor:
    """(n, n) weight of each cell for each."""
    index = torch.arange(rows * columns)
    y, x = (index // columns).double(), (index % columns).double()
    away = (y[:, None] - y).square() + (x[:, None] - x).square()
    return (-away / (2 * _NEAR**2)).exp() + 1e-4 / (1 + away)


def beside(cells: Tensor | None, still: Still) -> Tensor | None:
    """Relative sigma of places beside areas without noise, which are known more finely.

    Args:
        cells: (rows, columns) from `strength`; None: alike everywhere.
        still: what stands still.

    Returns:
        ``cells`` with places that lie partly in such areas as their noisy neighbors are; None where
        the rest is alike.
    """
    if cells is None or not still.areas.any():
        return cells
    shape = cells.shape[0], cells.shape[1]

    def share(where: NDArray[np.bool_]) -> Tensor:
        return functional.adaptive_avg_pool2d(torch.from_numpy(where)[None].double(), shape).view(
            -1
        )

    covered = share(still.areas)
    # Where even what moves comes to rest at times, there is no noise either.
    noisy = share(still.restless) > _RESTLESS * (1 - covered)
    theirs = (covered > _COVERED) & noisy | (covered == 1)
    known = (~theirs).double()
    if not known.any():
        return None
    near = _nearness(*shape) * known * (noisy.double() + 1e-6)
    value = torch.where(theirs, near @ cells.flatten() / near.sum(1), cells.flatten())
    if value.max() <= math.exp(_UNEVEN / 2) * value.min():
        return None
    return value.view(shape) / value.max()


def _moments(
    reading: Tensor, indices: Sequence[int], roughness: Mapping[int, float]
) -> Knots | None:
    """Relative sigma at some frames, from the log energies of pairs; None where it is steady.

    A pair shows the mean energy of its two frames. From frame to frame it stays as it is, the more
    so the less the roughness changes.
    """
    if reading.max() - reading.min() < _UNSTEADY:
        return None
    first, last = min(roughness), max(roughness)
    count = last - first + 1
    energy = (reading - reading.max()).exp().tolist()
    # Least squares of relative errors: a tridiagonal system, solved in one sweep each way.
    main, beside, right = [1e-9] * count, [0.0] * count, [0.0] * count
    for t in range(1, count):
        a, b = (max(roughness[first + i], 1e-6) for i in (t - 1, t))
        nearest = min(range(len(indices)), key=lambda n: abs(indices[n] - first - t))
        steady = 1 / ((math.log(b / a) / _STILL) ** 2 + 0.02) / max(energy[nearest], 1e-3) ** 2
        main[t - 1] += steady
        main[t] += steady
        beside[t] -= steady
    for e, index in zip(energy, indices, strict=True):
        i, weight = index - first, 1 / max(e, 1e-3) ** 2
        for k in (i - 1, i):
            main[k] += weight
            right[k] += 2 * weight * e
        beside[i] += weight
    for t in range(1, count):
        share = beside[t] / main[t - 1]
        main[t] -= share * beside[t]
        right[t] -= share * right[t - 1]
    value = [0.0] * count
    for t in reversed(range(count)):
        behind = beside[t + 1] * value[t + 1] if t + 1 < count else 0.0
        value[t] = (right[t] - behind) / main[t]
    sigma = [math.sqrt(max(v, 1e-4)) for v in value]
    most = max(sigma)
    if min(sigma) > _LEAST * most:
        return None
    return _knots([min(1.0, s / most) for s in sigma], first)


def _knots(sigma: Sequence[float], first: int) -> Knots:
    """The frames that tell the others, by lines between them; sigma[0] is that of ``first``."""
    kept, todo = {0, len(sigma) - 1}, [(0, len(sigma) - 1)]
    while todo:
        a, b = todo.pop()
        line = ((a, sigma[a]), (b, sigma[b]))
        off = [abs(factor_at(line, i) / max(sigma[i], 0.02) - 1) for i in range(a, b + 1)]
        worst = max(off)
        if worst > _KNOT:
            middle = a + off.index(worst)
            kept.add(middle)
            todo += [(a, middle), (middle, b)]
    return tuple((first + i, round(sigma[i], 4)) for i in sorted(kept))
