"""Whether the motion between frames was followed at all.

Of noise, the sum and the difference of two frames are independent, so from block to block their
energies vary each for itself. Of a picture whose motion was lost both are the same texture, and
rise and fall together: foliage before a fast camera, then, reads as so much noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.noise.bands import by_band
from vdenoise.noise.cells import cells_at
from vdenoise.noise.pairs import PlaneBlocks
from vdenoise.picture.noise import PlaneNoise

LOST = 0.57  # dependence above which a shot's differences say little of its noise ...
DOUBTFUL = 0.36  # ... and above which, in its finest bands, many ...
MOSTLY = 0.47  # ... or most of them say little
_FINE = slice(3, 6)  # bands in which noise outlasts texture, if in any
_MIDDLE = 2  # the coarsest that has coefficients enough to tell
_FEWEST = 12  # blocks of a place that tell
_TINY = 1e-9
_FAR_MORE = 2.0  # times what single frames hold: where motion was lost, that may be texture ...
_STRONG = 18.0  # ... and is, with so many codes
_MORE = 1.4  # times what they hold of noise that is nearly white: texture
_WHITE = 0.55  # sigma of the finest band against all from which noise is nearly white


Alone = Literal["yes", "perhaps", "no"]


class Dependence(NamedTuple):
    """How far sums and differences rise and fall together: about 0 of noise, 1 of texture.

    Each is the median over the cells of `grid_of` of the correlation of the two log energies.
    """

    fine: float  # in the band of the three finest where it is least: noise outlasts texture there
    middle: float  # where white noise does not, if it does in the finest
    most: float  # in the band, of those, where it is most


def dependence(
    pairs: Sequence[PlaneBlocks], noisy: Sequence[Tensor], size: tuple[int, int]
) -> Dependence:
    """How far sums and differences rise and fall together, place by place.

    Args:
        pairs: luma of a shot's pairs of frames, with differences.
        noisy: (n,) bool of each pair: blocks where there is noise. What is clean tells of nothing.
        size: height and width of the picture.

    Returns:
        0 where there is too little to tell.
    """
    sums, differences, cells = [], [], []
    for pair, where in zip(pairs, noisy, strict=True):
        if pair.odd is not None and where.any():
            sums.append(_around_mean(pair.even[where]))
            differences.append(_around_mean(pair.odd[where]))
            cells.append(cells_at(pair.place[where], size))
    if not cells:
        return Dependence(0.0, 0.0, 0.0)
    member = functional.one_hot(torch.cat(cells)).double()  # (n, cells)
    count = member.sum(0).clamp(min=1)[:, None]
    even, odd = (
        v - member @ (member.T @ v / count) for v in (torch.cat(sums), torch.cat(differences))
    )
    both, own, other = (member.T @ v for v in (even * odd, even.square(), odd.square()))
    correlation = both / (own * other).sqrt().clamp(min=_TINY)
    telling = member.sum(0) >= _FEWEST
    if not telling.any():
        return Dependence(0.0, 0.0, 0.0)
    there = correlation[telling]
    middle = there[:, _MIDDLE:].median(0).values
    return Dependence(
        float(there[:, _FINE].amin(1).median()), float(middle[0]), float(middle.max())
    )


def read_better_alone(
    pairs: PlaneNoise, quietest: PlaneNoise, alone: PlaneNoise, together: Dependence
) -> Alone:
    """Whether single frames tell more of luma's noise than pairs whose motion was lost.

    Single frames are read as nearly white noise, so of coarse noise they hold less than there is;
    of noise that is nearly white, never less. Noise that is strong indeed would make sums and
    differences independent; of less, where pairs hold far more than single frames, either may be
    right, as lost texture and coarse noise look alike.

    Args:
        pairs: luma's noise as most differences of pairs say.
        quietest: as they say or the quietest of them, whichever is less.
        alone: as single frames say.
        together: how far sums and differences rise and fall together.
    """
    white = by_band(torch.tensor(pairs.spectrum)[None])[0, -1] > _WHITE**2
    if together.fine < LOST and bool(white):
        lost = pairs.codes > _MORE * alone.codes
        return "yes" if lost and quietest.codes > alone.codes else "no"
    if together.middle < LOST or quietest.codes <= _FAR_MORE * alone.codes:
        return "no"
    return "yes" if quietest.codes > _STRONG else "perhaps"


def _around_mean(energy: Tensor) -> Tensor:
    """(n, bands) log energies of one pair of frames against their mean: light may change."""
    log = energy.double().clamp(min=_TINY).log()
    return log - log.mean(0)
