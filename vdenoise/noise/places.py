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

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.noise.bands import band_sizes
from vdenoise.noise.cells import WEAK, cell_at, cells_at, grid_of, most_around, placed, read_cells
from vdenoise.noise.edges import with_edges
from vdenoise.noise.levels import fewest_of, hat_weights, hold_noise, smoothness
from vdenoise.noise.moments import strength_over_time
from vdenoise.noise.pairs import PlaneBlocks
from vdenoise.picture.noise import Knots, factor_at
from vdenoise.picture.noise_table import LEVELS

_NOTHING = (0.1 / 255) ** 2
_STRONG = 0.3  # of the noisiest place's sigma
_ROUNDS = 5
_ALIKE = 0.3  # log energy by which places that are alike may differ
_ABOVE = 0.15  # weight of blocks above the fit
_STIFF = 0.2  # blocks that outweigh the smoothness of the curve
_SPREAD = 0.35  # of log energies that agree; beyond it they count less and less
_WIDE = (8, 8, 8, 6, 4, 3, 2, 2)  # times that at first, while the curve is not known
_USUAL = 0.6  # log energy by which moments may differ before it takes evidence
_TRUSTED = 4.0  # texture, in energies of the noise, with which a block counts half
_TEXTURED = 2.0  # so much texture ...
_UNLIKE = 2.0  # ... with coarse bands this many times stronger than fine ones: motion was lost
_COARSE, _FINE = slice(1, 4), (slice(4, 5), slice(5, 6))  # bands that are compared
_ALL_FINE = (slice(4, 6),)  # ... where the flattest blocks cannot tell how noise's bands are
_FLAT = 3  # times the fewest blocks that are flat, of which the quietest tell the noise's bands


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

    def tells(self, place: Tensor, size: tuple[int, int]) -> Tensor:
        """(n,) bool: places where the noise is strong, all around as well: it is told from what
        motion leaves of the picture there, and no less noisy neighbor reaches in."""
        if self.cells is None:
            return torch.ones(len(place), dtype=torch.bool)
        least = -most_around(-self.cells)
        rows, columns = least.shape
        return least.flatten()[cell_at(place, size, (rows, columns))] >= _STRONG


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
    rows, columns = grid_of(size)
    cell = cells_at(place, size)
    energy, bands, texture, lost = _whitened(seen)
    trust = 1 / (1 + (texture / _TRUSTED).square())
    moments = functional.one_hot(moment, len(seen)).double()
    design = torch.cat([hat_weights(level).double(), moments], 1)
    stiff = torch.zeros(design.shape[1], design.shape[1], dtype=torch.float64)
    stiff[:LEVELS, :LEVELS] = _STIFF * smoothness()
    solution = torch.zeros(design.shape[1], dtype=torch.float64)
    solution[:LEVELS] = energy.median()
    found = torch.zeros(rows * columns, dtype=torch.float64)
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
        cells = read_cells(cell, len(found), energy - design @ solution, bands, texture, lost)
        found = cells.relative()
    drawn = torch.zeros_like(found)
    for s in seen:
        drawn += torch.bincount(cells_at(s.drawn.long(), size), minlength=len(found))
    blocks = torch.bincount(cell, minlength=len(found))
    usual = hat_weights(level).double() @ solution[:LEVELS]
    places = placed(found, cells, blocks, drawn, (rows, columns), float(usual.median()))
    if places is not None:
        places = with_edges(places, energy - design @ solution, place, size)
    steady = float(usual.median() + solution[LEVELS:].max()) < WEAK
    indices = [s.index for s in seen]
    over_time = None if steady else strength_over_time(solution[LEVELS:], indices, roughness)
    return Strength(places, over_time)


def _whitened(seen: Sequence[Seen]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log energy of the differences with every band relative to noise, and how much texture.

    Of finer and coarser bands the lowest counts: noise is in all, texture is mostly in some. Its
    bands are as in the quietest of the flattest blocks.

    Returns:
        (n,) log energy; (n, BANDS - 1) of all bands but the coarsest; (n,) energy of texture
        against the first; (n,) bool: there is texture, and the difference is coarser than noise is
        here: motion was not found.
    """
    even = torch.cat([s.blocks.even for s in seen]).double()
    odd = torch.cat([s.blocks.odd for s in seen if s.blocks.odd is not None]).double()
    sizes = band_sizes().double()
    count = fewest_of(len(even))
    flattest = odd[(even @ sizes).argsort()[: _FLAT * count]]
    flattest = flattest[(flattest @ sizes).argsort()[:count]]
    telling = hold_noise(flattest.clamp(min=_NOTHING), odd.clamp(min=_NOTHING))
    usual = (flattest if telling else odd).median(0).values.clamp(min=_NOTHING)
    mean = usual @ sizes / sizes.sum()

    def of(energy: Tensor, bands: slice) -> Tensor:
        return (energy / usual)[:, bands] @ sizes[bands] / sizes[bands].sum() * mean

    parts = [of(odd, part) for part in (_FINE if telling else _ALL_FINE)]
    fine = torch.stack(parts).amin(0).clamp(min=_NOTHING)
    coarse = of(odd, _COARSE).clamp(min=_NOTHING)
    energy = torch.minimum(coarse, fine)
    texture = (of(even, slice(1, 6)) / energy - 1).clamp(min=0)
    lost = (texture > _TEXTURED) & (coarse > _UNLIKE * fine) & telling
    return energy.log(), odd[:, 1:].clamp(min=_NOTHING).log(), texture, lost
