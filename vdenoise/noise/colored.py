"""Whether chroma bears out what luma says of places without noise.

Graphics, insets and borders have no noise in any plane. A dancer whose motion was lost before a
crowd that was followed looks like a noisy place in a clean picture, but then chroma's noise, if
there is any, is in both.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vdenoise.noise.bands import band_sizes
from vdenoise.noise.pairs import PlaneBlocks
from vdenoise.noise.places import Strength

_QUIET, _NOISY = 0.3, 0.6  # sigma relative to the noisiest place's: sides that are compared
_FEWEST = 30  # blocks of a side
_ALIKE = 0.7  # sigma of the one side against the other's, from which they are alike
_VISIBLE = 0.8 / 255  # sigma below which chroma has no noise to speak of
_COARSE = 2  # bands that hold light and lost texture, too


def chroma_is_noisy_everywhere(
    here: Strength, pairs: Sequence[tuple[PlaneBlocks, tuple[int, int], int]]
) -> bool:
    """Whether a chroma plane is as noisy where luma is said to have no noise as where it has.

    Args:
        here: what luma says.
        pairs: the plane's blocks, the picture's height and width, and the frame, of each sample.
    """
    if here.cells is None:
        return False
    quiet, noisy = [], []
    for blocks, size, index in pairs:
        if blocks.odd is not None:
            relative = here.at(blocks.place, size, index)
            energy = _fine(blocks.odd)
            quiet.append(energy[relative < _QUIET])
            noisy.append(energy[(relative > _NOISY) & here.tells(blocks.place, size)])
    if min(sum(map(len, side)) for side in (quiet, noisy)) < _FEWEST:
        return False
    less, more = (torch.cat(side).median().sqrt().item() for side in (quiet, noisy))
    return less > max(_VISIBLE, _ALIKE * more)


def _fine(energy: Tensor) -> Tensor:
    """(n,) mean over the bands of (n, BANDS) that tell of noise."""
    sizes = band_sizes()[_COARSE:]
    return energy[:, _COARSE:] @ sizes / sizes.sum()
