"""Where exactly a part of the picture without noise ends: more finely than in cells.

A cell on the edge of such a part holds blocks with noise and without. Its own reading lies between,
so that a strip of noise as wide as the cell would stay. The blocks tell the two sides apart.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.noise.cells import cell_at, most_around

_FINER = 4  # times, each way
_SMALLEST = 16  # pixels: a block
_QUIET, _NOISY = 0.35, 0.6  # of the noisiest cell near by: sides of an edge
_READING = 0.35  # quantile of the blocks
_LESS = 1.0  # log energy below the noisy side's at which blocks are of the quiet one
_FEWEST = 2  # blocks that say anything


def with_edges(cells: Tensor, off: Tensor, place: Tensor, size: tuple[int, int]) -> Tensor:
    """Cells on the edges of quiet parts told apart more finely.

    Args:
        cells: (rows, columns) relative sigma.
        off: (n,) log energy of each block against what its level and moment explain.
        place: (n, 2) row and column of its middle.
        size: height and width of the picture.

    Returns:
        ``cells``, or a grid that is some times as fine where there are such edges.
    """
    most = most_around(cells)
    quiet, noisy = cells < _QUIET * most, cells > _NOISY * most
    edge = (most_around(quiet.double()) > 0) & (most_around(noisy.double()) > 0)
    rows, columns = cells.shape
    finer = min(_FINER, size[0] // (rows * _SMALLEST), size[1] // (columns * _SMALLEST))
    if finer < 2 or not edge.any():
        return cells
    shape = rows * finer, columns * finer
    fine = functional.interpolate(cells[None, None], shape, mode="bilinear")[0, 0]
    coarse, exact = (cell_at(place, size, grid) for grid in ((rows, columns), shape))
    for row, column in edge.nonzero().tolist():
        near = torch.zeros_like(quiet)
        near[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
        sure = near & noisy & ~edge
        sure = sure if sure.any() else near & noisy
        loud = off[sure.flatten()[coarse]]
        if len(loud) < _FEWEST:
            continue
        least = float(loud.median()) - _LESS
        values = cells[near & quiet].median(), cells[sure].median()
        for y in range(row * finer, (row + 1) * finer):
            for x in range(column * finer, (column + 1) * finer):
                own = off[exact == y * shape[1] + x]
                if len(own) >= _FEWEST:
                    fine[y, x] = values[int(own.quantile(_READING) > least)]
    return fine
