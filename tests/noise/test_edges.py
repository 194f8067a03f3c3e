"""Where a part without noise ends is told more finely than in cells, and nothing else changes."""

from __future__ import annotations

import torch

from vdenoise.noise.edges import with_edges

SIZE = (256, 512)  # 4x8 cells of 64 pixels


def blocks(edge: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Log energy and middle of blocks every 8 pixels: noise right of a column, none left of it."""
    y, x = torch.meshgrid(torch.arange(8, 249, 8), torch.arange(8, 505, 8), indexing="ij")
    place = torch.stack([y.flatten(), x.flatten()], 1)
    rng = torch.Generator().manual_seed(1)
    chance = 0.2 * torch.randn(len(place), generator=rng, dtype=torch.float64)
    return torch.where(place[:, 1] < edge, -6.0, 0.0) + chance, place


def cells(edge: int) -> torch.Tensor:
    """What cells read: the one on the edge lies between."""
    share = ((torch.arange(1, 9) * 64 - edge) / 64).clamp(0, 1)
    return (0.03 + 0.97 * share).double().expand(4, -1).contiguous()


def test_the_strip_beside_a_quiet_part_is_as_noisy_as_the_rest() -> None:
    off, place = blocks(208)  # a quarter into the fourth cell
    found = with_edges(cells(208), off, place, SIZE)
    assert found.shape == (16, 32)
    row = found[8]
    assert row[:12].max() < 0.1 and row[13:].min() > 0.9


def test_places_without_an_edge_stay_as_they_are() -> None:
    off, place = blocks(0)
    slope = torch.linspace(0.4, 1, 8).double().expand(4, -1).contiguous()
    assert with_edges(slope, off, place, SIZE).equal(slope)
    small = with_edges(cells(208), off, place, (80, 160))  # cells are hardly more than blocks
    assert small.equal(cells(208))


def test_where_blocks_say_nothing_cells_do() -> None:
    off, place = blocks(208)
    far = place[:, 1] > 320
    found = with_edges(cells(208), off[far], place[far], SIZE)
    smooth = torch.nn.functional.interpolate(cells(208)[None, None], (16, 32), mode="bilinear")
    assert found.equal(smooth[0, 0])
