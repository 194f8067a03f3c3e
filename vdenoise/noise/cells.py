"""Which cells of a picture are noisier than others, and which hold no noise at all.

Nothing takes from a difference, but picture that motion does not follow adds to it. So a cell's
reading is the most that its noise can be; the least is what remains when texture has left in it as
much as it can. A cell is noisier than usual only if even that least is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vdenoise.noise.still import Still

_ACROSS, _DOWN = 14, 8  # most cells
_SMALLEST = 24  # pixels: a cell must hold several blocks
_FEWEST = 6  # blocks of a cell that say anything
_LOW_BLOCKS, _READING, _HIGH_BLOCKS = 0.1, 0.35, 0.6  # quantiles of a cell's blocks
_AGREE = 0.65  # span of the lower half of a cell's log energies: noise has 0.1 to 0.5
_SCATTERED = 10.0  # such a span of cells where motion was not found ...
_LOST = 0.4  # ... for this share of their blocks
_FLAT = 0.5  # texture, in energies of the noise, with which a cell tells what is usual half as well
_USUAL = 0.25  # quantile of the cells that is the usual: most others hold more of the picture
_TEXTURE = 1.0  # from which a cell tells how much of its texture motion leaves ...
_TYPICAL, _MORE = 0.35, 1.5  # ... by this quantile of them, and up to so many times that
_BY_SPAN, _OF_NOISE = 0.5, 0.15  # the same of one cell by its span, beyond the noise's own
_LEAST_LEFT, _MOST_LEFT = 0.01, 0.3  # share of a texture's energy that motion leaves
_NO_LESS = 0.02  # of the energy is noise
_UNLIKE = 0.6  # log energy by which bands of noise may differ from those of usual noise
_ENOUGH = 0.35  # share of the cells that agree: else much is texture that nothing follows ...
_SOME = 0.15  # ... but this share knows what is usual, and where there is far less than that
_FAR = 2 * math.log(2)  # log energy
_NONE = 2 * math.log(8)  # log energy below the usual at which a cell has no noise that could agree
_NEAR = 1.5  # cells: neighbors that a place without evidence goes with
_LOW = 1.0  # log energy below the neighbors' noise at which what does not agree is clean
_UNEVEN = 2 * math.log(1.3)  # log energy by which most places must differ to be told apart
WEAK = 2 * math.log(3 / 255)  # noise of which no place needs to be told from another
_CLEAN_SHARE = 0.03  # of the cells
_COVERED = 0.25  # share of a cell in areas without noise from which its own reading is theirs too
_RESTLESS = 0.5  # share of the rest that differs in every pair of frames where it is noisy


@dataclass(frozen=True, eq=False)
class Cells:
    """What the blocks of each cell (n) of a grid say."""

    most: Tensor  # (n,) log energy, which is the noise's and what picture added
    texture: Tensor  # (n,) its energy against the noise's
    span: Tensor  # (n,) how far apart the lower blocks are; infinite where there are few
    bands: Tensor  # (n, k) log energy of each band

    @property
    def agreed(self) -> Tensor:
        """(n,) bool: those whose blocks agree, as those of noise do."""
        return self.span < _AGREE

    def relative(self) -> Tensor:
        """(n,) log energy of the noise against the usual: 0 where it may as well be that."""
        weight = self.agreed / (_FLAT + self.texture).square()
        middle = weighted_quantile(self.most, weight, 0.5)
        most = self.most - weighted_quantile(
            self.most, weight * (self.most > middle - _LOW), _USUAL
        )
        noise = 1 - self._left(most) * self.texture
        least = most + noise.clamp(min=_NO_LESS).log()
        return torch.minimum(2 * least.clamp(min=0), most)

    def unlike(self, found: Tensor) -> Tensor:
        """(n,) bool: those whose bands differ from those of noise as it usually is.

        More noise is more of the same; picture that motion did not follow has bands of its own.

        Args:
            found: (n,) from `relative`.
        """
        usual = self.bands[self.agreed & (found.abs() < _UNEVEN)]
        if not len(usual):
            return torch.zeros_like(self.agreed)
        off = self.bands - usual.quantile(_USUAL, dim=0)
        return off.amax(1) - off.amin(1) > _UNLIKE

    def _left(self, most: Tensor) -> Tensor:
        """(n,) the share of its texture that may be left in each cell's difference."""
        telling = (self.texture > _TEXTURE) & ~torch.isinf(self.span)
        typical = 0.0
        if telling.any():
            left = (1 - (-most[telling]).exp()) / self.texture[telling]
            typical = float(left.quantile(_TYPICAL))
        own = _BY_SPAN * (self.span - _OF_NOISE)
        return own.clamp(min=max(_MORE * typical, _LEAST_LEFT), max=_MOST_LEFT)


def grid_of(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of cells for a picture of this height and width."""
    cell = max(size[0] / _DOWN, size[1] / _ACROSS, _SMALLEST)
    return max(1, round(size[0] / cell)), max(1, round(size[1] / cell))


def cells_at(place: Tensor, size: tuple[int, int]) -> Tensor:
    """(n,) number of the cell of `grid_of` that each place (n, 2) lies in."""
    return cell_at(place, size, grid_of(size))


def cell_at(place: Tensor, size: tuple[int, int], shape: tuple[int, int]) -> Tensor:
    """(n,) number of the cell of a grid of ``shape`` that each place (n, 2) lies in."""
    y, x = ((place[:, i] * shape[i] // size[i]).clamp(max=shape[i] - 1) for i in (0, 1))
    return y * shape[1] + x


def most_around(cells: Tensor) -> Tensor:
    """(rows, columns): the most of each cell and its neighbors."""
    return functional.max_pool2d(cells[None], 3, stride=1, padding=1)[0]


def read_cells(
    cell: Tensor, count: int, energy: Tensor, bands: Tensor, texture: Tensor, lost: Tensor
) -> Cells:
    """Put the blocks of each of ``count`` cells together.

    Args:
        cell: (n,) number of each block's cell.
        energy: (n,) log energy of its difference, relative to its level and moment.
        bands: (n, k) log energy of each of its bands.
        texture: (n,) energy of its texture, against the difference's.
        lost: (n,) bool: its motion was not found.
    """
    most, seen = torch.zeros(count, dtype=torch.float64), torch.zeros(count, dtype=torch.float64)
    span = torch.full_like(most, math.inf)
    each = torch.full((count, bands.shape[1]), math.nan, dtype=torch.float64)
    quantiles = energy.new_tensor((_LOW_BLOCKS, _READING, _HIGH_BLOCKS))
    for c in sorted(set(cell.tolist())):
        here = cell == c
        if here.sum() >= _FEWEST:
            low, most[c], high = energy[here].quantile(quantiles)
            seen[c] = texture[here].quantile(_READING)
            span[c] = _SCATTERED if lost[here].double().mean() > _LOST else high - low
            each[c] = bands[here].quantile(_READING, dim=0)
    return Cells(most, seen, span, each)


def weighted_quantile(value: Tensor, weight: Tensor, share: float) -> float:
    """The least value with a share of the weight (n,) at or below it; 0 where nothing has any."""
    order = value.argsort()
    below = weight[order].cumsum(0)
    return float(value[order][below >= share * below[-1]][0]) if below[-1] > 0 else 0.0


def placed(
    found: Tensor,
    cells: Cells,
    blocks: Tensor,
    drawn: Tensor,
    shape: tuple[int, int],
    usual: float,
) -> Tensor | None:
    """Relative sigma of each cell, (rows, columns); None where all places are alike.

    Args:
        found: (n,) log energy of each cell relative to its levels.
        cells: what their blocks say.
        blocks: (n,) how many there are.
        drawn: (n,) blocks of one level, which have no noise.
        shape: rows and columns.
        usual: log energy that ``found`` is relative to, of usual levels.
    """
    known = ~torch.isinf(cells.span)
    agreed = cells.agreed & ~((found > 0) & cells.unlike(found))
    share = agreed.sum() / (known & (found > -_NONE)).sum().clamp(min=1)
    if share < _SOME:
        return None
    if share < _ENOUGH:
        found = torch.where(known & (found < -_FAR), found, 0.0)
        if (found < 0).sum() <= _CLEAN_SHARE * len(found):
            return None
        return (found / 2).exp().view(shape)
    near = _nearness(*shape)
    around = (near * agreed) @ torch.where(agreed, found, 0.0) / (near * agreed).sum(1)
    value = torch.where(agreed, found, torch.minimum(found, around))
    clean = ~agreed & known & (found < around - _LOW)
    graphics = (drawn > blocks) & (drawn >= _FEWEST)
    low, high = value[agreed].quantile(value.new_tensor((0.05, 0.95))).tolist()
    if usual + high < WEAK:
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
