"""The guard behind networks: picture comes back, noise does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.helpers.pictures import SIGMA, converted, noisy
from tests.stages.test_cnn import filtered
from vdenoise.engine.tiles import apply_tiled
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.luma_chroma import Picture
from vdenoise.stages.net.cnn import Cnn
from vdenoise.stages.net.texture_guard import TextureGuard

ROWS, COLUMNS = 96, 160


def wiped(strength: float) -> tuple[Block, Tensor, Tensor]:
    """Flat gray with a weave on its right half, noise over all; a network took all of both.

    Returns:
        The block behind it, the noise, and the weave, whose RMS is ``strength`` sigmas.
    """
    torch.manual_seed(0)
    x, y = torch.arange(COLUMNS), torch.arange(ROWS)[:, None]
    weave = strength * SIGMA * torch.cos(2.2 * x + 1.1 * y) * 2**0.5 * (x >= COLUMNS // 2)
    flat = torch.full((1, 1, ROWS, COLUMNS), 0.5)
    noise = SIGMA * torch.randn_like(flat)
    source = noisy(flat, None, "noise")
    block = replace(
        source,
        luma=Signal(flat, torch.full_like(flat, 0.2)),
        kept_original=Picture(flat + noise + weave),
        averaged=Picture(Signal(flat + noise + weave, torch.ones_like(flat))),
    )
    return block, noise, weave[None, None]


@pytest.mark.parametrize("strength", [1.0, 4.0])
def test_a_texture_comes_back_without_its_noise(strength: float) -> None:
    """One as strong as the noise, and one that stands out."""
    block, noise, weave = wiped(strength)
    assert float(block.noise.sigma[0].mean()) == pytest.approx(SIGMA)
    back = TextureGuard().apply(block).luma.pixels - 0.5
    inner, flat = (..., slice(100, 150)), (..., slice(0, 60))
    error = float((back - weave)[inner].square().mean() / weave[inner].square().mean())
    assert error < 0.25
    assert float(back[flat].square().mean() / noise[flat].square().mean()) < 0.01


def test_levels_may_shift() -> None:
    """Where noise was clipped a network puts blacks right: that is no texture it took."""
    block, noise, _ = wiped(0.0)
    shifted = replace(block.luma, pixels=block.luma.pixels - 3 * SIGMA)
    back = TextureGuard().apply(replace(block, luma=shifted)).luma.pixels - shifted.pixels
    assert float(back.square().mean() / noise.square().mean()) < 0.01


def test_without_an_average_the_source_is_looked_at() -> None:
    block, _, _ = wiped(1.0)
    given = TextureGuard().apply(block)
    assert TextureGuard().apply(replace(block, averaged=None)).luma.pixels.equal(given.luma.pixels)


def test_it_leaves_colors_and_maps_alone_and_its_input_as_it_was() -> None:
    _, before = filtered(*(torch.rand(7, c, 64, 96) * 0.1 + 0.4 for c in (1, 2)))
    kept = before.luma.pixels.clone()
    done = TextureGuard().apply(before)
    assert before.chroma is not None and done.chroma is not None
    assert done.chroma.pixels.equal(before.chroma.pixels)
    assert done.luma.residual.equal(before.luma.residual) and before.luma.pixels.equal(kept)


def test_tiles_are_the_whole() -> None:
    luma = torch.rand(7, 1, 131, 170) * 0.2 + 0.4
    _, before = filtered(luma, torch.zeros(7, 2, 66, 85))
    whole = TextureGuard().apply(before)
    parts = apply_tiled(TextureGuard(), before, 64, (2, 2))
    assert not whole.luma.pixels.equal(before.luma.pixels)
    assert parts.luma.pixels.equal(whole.luma.pixels)


def test_cuda_finds_the_same(cuda: torch.device) -> None:
    block = replace(wiped(1.0)[0], averaged=None)
    there = TextureGuard().apply(converted(block, torch.float32, cuda)).luma.pixels
    assert there.device.type == "cuda"
    assert torch.allclose(there.cpu(), TextureGuard().apply(block).luma.pixels, atol=1e-4)


@pytest.mark.parametrize("dim", [-1, -2], ids=["across", "down"])
def test_the_halo_is_what_it_looks_at(dim: int) -> None:
    """A line that is changed by everything from little to all is felt as far as the halo says (down
    a pixel less: positions differ by 8 there, and by 9 across)."""
    torch.manual_seed(1)
    halo, multiple = TextureGuard().footprint.tiling
    size = 2 * halo + 2 * multiple + 5
    shape = (240, size) if dim == -1 else (size, 240)
    source = noisy(torch.full((1, 1, *shape), 0.5), None, "noise")
    source = replace(source, kept_original=Picture(source.luma.pixels))
    flat = replace(source, luma=replace(source.luma, pixels=torch.full((1, 1, *shape), 0.5)))
    clean, felt = TextureGuard().apply(flat).luma.pixels, 0
    for line in range(halo, halo + multiple + 1):
        pixels = flat.luma.pixels.clone()
        target = pixels.select(dim, line)
        target += torch.randn(target.shape) * torch.rand(target.shape).square()
        poked = replace(flat, luma=replace(flat.luma, pixels=pixels))
        changed = TextureGuard().apply(poked).luma.pixels != clean
        places = changed.movedim(dim, -1).flatten(0, -2).any(0).nonzero().flatten()
        felt = max(felt, int((places - line).abs().max()))
    assert halo - 1 <= felt <= halo


def test_it_stands_behind_the_network_that_asks_for_it() -> None:
    assert Cnn().followed_by == (TextureGuard(),)
    assert Cnn(strength=0.5).followed_by == (TextureGuard(strength=0.5),)
    for off in (Cnn(structure_guard="off"), Cnn(weight=0), Cnn(strength=0)):
        assert off.followed_by == ()
