from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
import torch
from torch.nn import functional

from vdenoise.engine.tiles import Area, apply_tiled, grid, tile_unit
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.noise import NoiseProfile
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.sizes import round_up
from vdenoise.stages.base import Footprint, SpatialStage


class Box(SpatialStage):
    """A box blur of 7x7 pixels, the luma guide mixed in."""

    method: ClassVar[str] = "box"

    @property
    def footprint(self) -> Footprint:
        return Footprint(halo=3)

    def filter(self, signal: Signal, noise: NoiseTable, luma: torch.Tensor) -> Signal:
        mixed = signal.pixels + luma
        padded = functional.pad(mixed, (3, 3, 3, 3), mode="replicate")
        return Signal(functional.avg_pool2d(padded, 7, 1), signal.residual * 0.5)


class Narrow(Box):
    """The same, claiming less than it needs."""

    @property
    def footprint(self) -> Footprint:
        return Footprint(halo=2)


class Coarse(Box):
    """The same, on a grid of 4 pixels."""

    @property
    def footprint(self) -> Footprint:
        return Footprint(halo=3, multiple=4)


class Broken(Box):
    """One that fails."""

    def filter(self, signal: Signal, noise: NoiseTable, luma: torch.Tensor) -> Signal:
        raise RuntimeError("broken")


def block(size: tuple[int, int], factors: tuple[int, int], *, gray: bool = False) -> Block:
    height, width = size
    coarse = (-(-height // factors[0]), -(-width // factors[1]))

    def signal(planes: int, shape: tuple[int, int]) -> Signal:
        return Signal(torch.rand(3, planes, *shape), torch.rand(3, 1, *shape))

    return Block(
        first=5,
        core=slice(1, 3),
        luma=signal(1, size),
        chroma=None if gray else signal(2, coarse),
        noise=NoiseProfile.white(*[0.02] * (1 if gray else 3)).at(0).table(),
    )


@pytest.mark.parametrize("stage", [Box(), Coarse()])
@pytest.mark.parametrize("factors", [(1, 1), (2, 2), (1, 2)])
@pytest.mark.parametrize("size", [(64, 96), (53, 71), (16, 200)])
@pytest.mark.parametrize("tile", [16, 32])
def test_tiles_equal_the_whole(
    stage: SpatialStage, factors: tuple[int, int], size: tuple[int, int], tile: int
) -> None:
    whole = block(size, factors)
    expected = stage.apply(whole)
    found = apply_tiled(stage, whole, tile, factors)
    assert torch.equal(found.luma.pixels, expected.luma.pixels)
    assert torch.equal(found.luma.residual, expected.luma.residual)
    assert found.chroma is not None and expected.chroma is not None
    assert torch.equal(found.chroma.pixels, expected.chroma.pixels)
    assert torch.equal(found.chroma.residual, expected.chroma.residual)


def test_gray_is_tiled_too() -> None:
    whole = block((40, 50), (1, 1), gray=True)
    found = apply_tiled(Box(), whole, 16, (1, 1))
    assert found.chroma is None
    assert torch.equal(found.luma.pixels, Box().apply(whole).luma.pixels)


def test_a_halo_too_small_shows() -> None:
    whole = block((64, 64), (1, 1))
    found = apply_tiled(Narrow(), whole, 16, (1, 1))
    assert not torch.equal(found.luma.pixels, Narrow().apply(whole).luma.pixels)


def test_the_grid_covers_every_pixel_once() -> None:
    seen = torch.zeros(1, 1, 37, 53)
    for area in grid((37, 53), 16):
        area.of(seen).add_(1)
    assert bool((seen == 1).all())


def test_tiles_keep_whole_chroma_pixels_and_the_stages_grid() -> None:
    assert tile_unit(Box(), (2, 2)) == 2
    assert tile_unit(Coarse(), (1, 2)) == 8
    assert [round_up(n, 8) for n in (1, 8, 9)] == [8, 8, 16]


def test_threads_beside_this_one_compute_tiles_of_a_region() -> None:
    whole, only = block((300, 420), (2, 2)), Area(40, 280, 20, 401)
    with ThreadPoolExecutor(1) as pool:
        for stage, tile in ((Box(), None), (Coarse(), 128)):
            alone = apply_tiled(stage, whole, tile, (2, 2), only)
            shared = apply_tiled(stage, whole, tile, (2, 2), only, pool)
            for a, b in zip(alone.core_picture.planes, shared.core_picture.planes, strict=True):
                assert torch.equal(a.pixels, b.pixels) and torch.equal(a.residual, b.residual)
            inner = only.of(shared.luma.pixels)
            assert torch.equal(inner, only.of(stage.apply(whole).luma.pixels))
        with pytest.raises(RuntimeError, match="broken"):
            apply_tiled(Broken(), whole, None, (2, 2), only, pool)
