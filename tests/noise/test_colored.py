"""Chroma that is noisy everywhere speaks against places without noise, clean chroma does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vdenoise.noise.bands import BANDS
from vdenoise.noise.colored import chroma_is_noisy_everywhere
from vdenoise.noise.pairs import PlaneBlocks
from vdenoise.noise.places import Strength

SIZE = (128, 256)
HALF = torch.cat([torch.zeros(4, 4), torch.ones(4, 4)], 1).double()  # noise on the right
CODE = 1 / 255


def plane(left: float, right: float) -> PlaneBlocks:
    """Blocks of a plane whose sigma, in codes, is this on the left and that on the right."""
    rng = torch.Generator().manual_seed(1)
    place = (torch.rand(400, 2, generator=rng) * torch.tensor(SIZE)).long()
    sigma = torch.where(place[:, 1] < SIZE[1] / 2, left, right) * CODE
    odd = sigma.square()[:, None] * (0.8 + 0.4 * torch.rand(400, BANDS, generator=rng))
    none: Tensor = torch.zeros(400)
    return PlaneBlocks(
        place=place,
        level=none,
        even=odd,
        odd=odd,
        impulses=none,
        chosen=torch.zeros(0).long(),
        even_spectrum=torch.zeros(0, 16, 16),
        odd_spectrum=torch.zeros(0, 16, 16),
    )


@pytest.mark.parametrize(
    ("left", "right", "everywhere"),
    [
        (6, 6.5, True),  # a dancer in a crowd
        (5, 4, True),
        (0.3, 4, False),  # graphics, an inset: no noise in any plane
        (2, 4.5, False),  # motion was lost in it
        (0.3, 0.3, False),  # no noise to speak of: nothing to say
    ],
)
def test_chroma_bears_out_or_contradicts_places(left, right, everywhere):
    here = Strength(HALF, None)
    assert chroma_is_noisy_everywhere(here, [(plane(left, right), SIZE, 3)]) == everywhere


def test_without_places_or_with_few_blocks_nothing_is_contradicted():
    assert not chroma_is_noisy_everywhere(Strength(None, None), [(plane(6, 6), SIZE, 3)])
    assert not chroma_is_noisy_everywhere(Strength(HALF, None), [])
    small = torch.ones(4, 8).double()
    assert not chroma_is_noisy_everywhere(Strength(small, None), [(plane(6, 6), SIZE, 3)])
