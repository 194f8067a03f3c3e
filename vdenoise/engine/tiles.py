"""Run a stage on tiles of a block, with exactly the result of running it on the whole.

A tile is computed with the stage's halo around it and cut out of the result. Tiles lie on a grid
of whole chroma pixels and of the stage's ``multiple``, so that every chroma pixel keeps its luma
pixels and every transform window its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vdenoise.errors import MemoryShort
from vdenoise.picture.block import Block, Signal, join_signals
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.sizes import round_up
from vdenoise.stages.base import Stage

SMALLEST_TILE = 128  # luma pixels each way


@dataclass(frozen=True)
class Area:
    """A rectangle in pixels, rows ``top`` to ``bottom`` and columns ``left`` to ``right``."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, x: Tensor) -> Tensor:
        """Cut this part out of (T, C, H, W): a view."""
        return x[..., self.top : self.bottom, self.left : self.right]

    def inside(self, other: Area) -> Area:
        """The same rectangle, counted from the corner of ``other``."""
        return Area(
            self.top - other.top,
            self.bottom - other.top,
            self.left - other.left,
            self.right - other.left,
        )

    def times(self, factors: tuple[int, int], size: tuple[int, int]) -> Area:
        """The luma pixels under this rectangle of chroma pixels, in a picture of ``size``."""
        fy, fx = factors
        return Area(
            self.top * fy,
            min(self.bottom * fy, size[0]),
            self.left * fx,
            min(self.right * fx, size[1]),
        )

    def common(self, other: Area) -> Area:
        """What lies in both; without rows or columns where nothing does."""
        return Area(
            max(self.top, other.top),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
            min(self.right, other.right),
        )

    def grown(self, halo: int, size: tuple[int, int]) -> Area:
        """Add ``halo`` pixels on each side, but not beyond a picture of ``size``."""
        return Area(
            max(self.top - halo, 0),
            min(self.bottom + halo, size[0]),
            max(self.left - halo, 0),
            min(self.right + halo, size[1]),
        )


def grid(size: tuple[int, int], tile: int) -> Iterator[Area]:
    """Cover a picture of ``size`` (height, width) with squares of ``tile`` pixels."""
    for top in range(0, size[0], tile):
        for left in range(0, size[1], tile):
            yield Area(top, min(top + tile, size[0]), left, min(left + tile, size[1]))


def tile_unit(stage: Stage, factors: tuple[int, int]) -> int:
    """Luma pixels that a tile's side must be a multiple of."""
    return stage.footprint.tiling[1] * max(factors)


def tile_halo(stage: Stage, factors: tuple[int, int]) -> int:
    """Chroma pixels (luma's, where there is no chroma) that a tile needs on each side."""
    seen, multiple = stage.footprint.tiling
    coarser = min(factors) if stage.footprint.at_luma_size else 1
    return round_up(-(-seen // coarser), multiple)


def apply_tiled(
    stage: Stage,
    block: Block,
    tile: int | None,
    factors: tuple[int, int],
    only: Area | None = None,
    pool: Executor | None = None,
) -> Block:
    """Compute the core frames of ``block``.

    Args:
        stage: what to run.
        block: on any device, in any precision.
        tile: side of the tiles in luma pixels, a multiple of `tile_unit`; None takes the whole.
        factors: luma pixels per chroma pixel, (vertical, horizontal).
        only: luma pixels that are wanted; outside of them the picture may stay as it is.
        pool: threads that compute tiles of ``only`` beside this one; none of them may be one that
            waits here.
    """
    height, width = block.luma.size
    only = None if stage.footprint.whole else only
    small = tile is None or (height <= tile and width <= tile)
    if stage.idle or (small and only is None):
        return stage.apply(block)
    assert not stage.footprint.whole, f"{stage.name} needs whole frames"
    if block.chroma is None:
        factors = (1, 1)
    coarse = (-(-height // factors[0]), -(-width // factors[1]))
    halo, multiple = tile_halo(stage, factors), stage.footprint.tiling[1]
    side = max(coarse) if tile is None else tile // max(factors)
    result = block.core_picture.map(lambda signal: _fresh(signal, only))
    wanted = None if only is None else _on_grid(only, multiple, factors, coarse)
    tiles = [tile if wanted is None else tile.common(wanted) for tile in grid(coarse, side)]
    tiles = [tile for tile in tiles if tile.bottom > tile.top and tile.right > tile.left]

    def compute(area: Area) -> None:
        seen = area.grown(halo, coarse)
        with torch.inference_mode():
            part = stage.apply(_crop(block, seen, factors))
            _paste(result.luma, part.luma, area, seen, factors, (height, width))
            if result.chroma is not None and part.chroma is not None:
                _paste(result.chroma, part.chroma, area, seen, (1, 1), coarse)

    if pool is None or wanted is None:
        for area in tiles:
            compute(area)
        return block.with_picture(result)
    _shared_out(compute, [half for tile in tiles for half in _halves(tile, multiple)], pool)
    return block.with_picture(result)


def _halves(area: Area, multiple: int) -> tuple[Area, ...]:
    """The left and the right half, of whole windows; one where it is small."""
    middle = area.left + round_up((area.right - area.left) // 2, multiple)
    if area.right - area.left < SMALLEST_TILE or middle >= area.right:
        return (area,)
    return replace(area, right=middle), replace(area, left=middle)


def _shared_out(compute: Callable[[Area], None], areas: list[Area], pool: Executor) -> None:
    """Compute areas here and on other threads, the largest first, whoever has time."""
    todo = sorted(areas, key=lambda a: (a.bottom - a.top) * (a.right - a.left))

    def work() -> None:
        while True:
            try:
                area = todo.pop()
            except IndexError:
                return
            compute(area)

    others = pool.submit(work)
    try:
        work()
    finally:
        todo.clear()  # after an error nobody begins another
        others.result()


def _on_grid(only: Area, multiple: int, factors: tuple[int, int], size: tuple[int, int]) -> Area:
    """The chroma pixels of a grid of ``multiple`` that cover an area of luma pixels."""
    (fy, fx), m = factors, multiple
    return Area(
        only.top // (fy * m) * m,
        min(-(-only.bottom // (fy * m)) * m, size[0]),
        only.left // (fx * m) * m,
        min(-(-only.right // (fx * m)) * m, size[1]),
    )


def apply_fitting(
    stage: Stage,
    block: Block,
    tile: int | None,
    factors: tuple[int, int],
    only: Area | None = None,
    pool: Executor | None = None,
) -> Block:
    """`apply_tiled`; where memory runs out, frame by frame, then on smaller and smaller tiles.

    Raises:
        MemoryShort: not even the smallest tile fits.
    """
    try:
        return apply_tiled(stage, block, tile, factors, only, pool)
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
    for smaller in _smaller_tiles(stage, block, tile, factors):
        try:
            return _frame_by_frame(stage, block, smaller, factors, only)
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
    raise MemoryShort(
        f"{stage.name} runs out of memory even at its smallest tile.",
        "End other programs that use the device, or say --device cpu or a faster --speed.",
        number=2,
    )


def _out_of_memory(error: BaseException) -> bool:
    # On the CPU torch says so in words only.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        "can't allocate memory" in str(error)
    )


def _smaller_tiles(
    stage: Stage, block: Block, tile: int | None, factors: tuple[int, int]
) -> Iterator[int | None]:
    yield tile
    tile = tile or max(block.luma.size)
    unit = tile_unit(stage, factors)
    while not stage.footprint.whole and tile // 2 >= max(SMALLEST_TILE, unit):
        tile = round_up(tile // 2, unit)
        yield tile


def _frame_by_frame(
    stage: Stage,
    block: Block,
    tile: int | None,
    factors: tuple[int, int],
    only: Area | None,
) -> Block:
    parts = [
        apply_tiled(stage, replace(block, core=slice(t, t + 1)), tile, factors, only)
        for t in block.wanted
    ]
    return block.with_picture(Picture.join([part.picture for part in parts], join_signals))


def _fresh(like: Signal, only: Area | None) -> Signal:
    """Room for a result; a copy where a part of it stays as it is."""
    if only is None:
        return Signal(torch.empty_like(like.pixels), torch.empty_like(like.residual))
    return Signal(like.pixels.clone(), like.residual.contiguous().clone())


def _crop(block: Block, area: Area, factors: tuple[int, int]) -> Block:
    fine = area.times(factors, block.luma.size)
    corner = ((fine.top, fine.left), (area.top, area.left))
    return replace(block.cut(fine.of, area.of), corner=corner)


def _paste(
    whole: Signal,
    part: Signal,
    area: Area,
    seen: Area,
    factors: tuple[int, int],
    size: tuple[int, int],
) -> None:
    """Copy the tile ``area`` out of what was computed for ``seen``."""
    target = area.times(factors, size)
    source = target.inside(seen.times(factors, size))
    target.of(whole.pixels).copy_(source.of(part.pixels))
    target.of(whole.residual).copy_(source.of(part.residual))
