"""The shipped network in its place: after the temporal and spatial stages."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from samples.scene import frames
from tests.contracts.test_stages import influence
from tests.helpers.pictures import noisy, psnr, scene
from vdenoise import compiled
from vdenoise.engine.tiles import apply_tiled
from vdenoise.nets.base import BANDS, NetInput
from vdenoise.nets.ensemble import ensembled
from vdenoise.nets.models import load
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.luma_chroma import Picture
from vdenoise.stages.net.cnn import Cnn
from vdenoise.stages.net.energy_guard import hold_back
from vdenoise.stages.net.inputs import Pictures
from vdenoise.stages.net.texture_guard import TextureGuard
from vdenoise.stages.spatial.wiener import Wiener
from vdenoise.stages.temporal.mean import TemporalMean
from vdenoise.training.material.sources import split_rgb


def filtered(luma: Tensor, chroma: Tensor | None) -> tuple[Block, Block]:
    """The middle frame of a noisy clip of 7, averaged, and what the spatial stage makes of that."""
    source = replace(noisy(luma, chroma, "noise"), core=slice(3, 4))
    averaged = TemporalMean(radius=3).apply(source)
    middle = source.frame(3).map(lambda signal: signal.pixels)
    averaged = replace(averaged, core=slice(0, 1), kept_original=middle, averaged=averaged.picture)
    return averaged, Wiener.model_validate(Wiener.speeds["fast"]).apply(averaged)


def test_it_improves_on_the_stages_before() -> None:
    """On a drawn picture with bricks, leaves, lettering and skin, colors gain and luma holds."""
    picture = torch.from_numpy(np.float32(next(frames(256, 144, 3)))).permute(2, 0, 1)
    luma, chroma = split_rgb(picture.expand(7, -1, -1, -1), subsampled=True)
    averaged, before = filtered(luma, chroma)
    after = TextureGuard().apply(Cnn().apply(before))
    assert after.chroma is not None and before.chroma is not None
    luma, chroma = luma[3:4], chroma[3:4]
    assert psnr(before.luma.pixels, luma) > psnr(averaged.luma.pixels, luma) + 1
    assert psnr(after.luma.pixels, luma) > psnr(before.luma.pixels, luma) - 0.2
    assert psnr(after.chroma.pixels, chroma) > psnr(before.chroma.pixels, chroma) + 0.3


def test_stronger_is_smoother_on_flat_noise() -> None:
    luma, chroma = torch.full((7, 1, 96, 128), 0.5), torch.zeros(7, 2, 48, 64)
    _, before = filtered(luma, chroma)
    rests = [
        Cnn(strength=strength).apply(before).luma.pixels.std().item()
        for strength in (0.0, 0.3, 0.6, 1.0)
    ]
    assert all(b < a for a, b in pairwise(rests)), rests


def test_half_the_weight_is_half_the_correction() -> None:
    _, before = filtered(*scene(7, 96, 128))
    whole, half = (Cnn(weight=weight).apply(before) for weight in (1.0, 0.5))
    for start, a, b in zip(before.signals, half.signals, whole.signals, strict=True):
        assert torch.allclose(2 * (a.pixels - start.pixels), b.pixels - start.pixels, atol=1e-6)
        assert torch.allclose(a.residual, (start.residual + b.residual) / 2)
    assert Cnn(weight=0).apply(before).luma.pixels.equal(before.luma.pixels)


def test_it_says_where_most_noise_is_left() -> None:
    """A part of the picture has no neighbors to average: the network does less well there, and its
    map says so. It never claims that all is gone: finishing and the matte go by that map."""
    luma, chroma = scene(7, 96, 128)
    source = noisy(luma, chroma, "noise")
    averaged = TemporalMean(radius=3).apply(replace(source, core=slice(3, 4)))
    alone = torch.zeros(1, 1, 96, 128, dtype=torch.bool)
    alone[..., 64:] = True
    first = Signal(
        torch.where(alone, source.luma.pixels[3:4], averaged.luma.pixels),
        torch.where(alone, torch.ones(()), averaged.luma.residual),
    )
    assert chroma is not None and averaged.chroma is not None and source.chroma is not None
    given = replace(
        averaged,
        core=slice(0, 1),
        luma=first,
        kept_original=Picture(source.luma.pixels[3:4], source.chroma.pixels[3:4]),
        averaged=Picture(first, averaged.chroma),
    )
    done = Cnn().apply(given)
    error = (done.luma.pixels - luma[3:4]).square()
    for part, least, most in ((alone, 0.3, 0.5), (~alone, 0.1, 0.3)):
        said = float(done.luma.residual[part].square().mean().sqrt())
        true = float(error[part].mean().sqrt() / source.noise.sigma[0, 0])
        assert least < said < most and said == pytest.approx(true, rel=0.6), (said, true)
    assert bool((done.luma.residual <= first.residual).all())


def test_where_nothing_is_left_nothing_is_done() -> None:
    averaged, before = filtered(*scene(7, 48, 64))
    clean = replace(averaged.luma, residual=torch.zeros_like(averaged.luma.residual))
    assert averaged.chroma is not None
    clean_chroma = replace(averaged.chroma, residual=torch.zeros_like(averaged.chroma.residual))
    result = Cnn().apply(replace(before, averaged=Picture(clean, clean_chroma)))
    assert result.luma.pixels.equal(before.luma.pixels)


@pytest.mark.parametrize("compute", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("views", [1, 8])
def test_tiles_with_everything_it_looks_at(compute: torch.dtype, views: int) -> None:
    """The source and the average are cut along with the picture, and views turned in their place:
    these sizes are no multiple of the network's cells."""
    _, before = filtered(*scene(7, 131, 170))
    before = replace(before, compute=compute)
    stage = Cnn(ensemble=views)
    whole = stage.apply(before)
    parts = apply_tiled(stage, before, 64, (2, 2))
    for a, b in zip(whole.signals, parts.signals, strict=True):
        assert a.pixels.equal(b.pixels)


def test_an_ensemble_has_no_direction() -> None:
    """A network answers a mirrored picture a little differently; the mean of all views does not.
    One view is the network alone, and more are nearer to the clean picture."""
    luma, chroma = scene(7, 96, 128)
    _, before = filtered(luma, chroma)
    x = Pictures(before, 1.0).given([0], net := load("S", torch.device("cpu"), torch.float32))
    mirrored = x.mapped(lambda t: t.flip(-1))

    def lopsided(views: int) -> float:
        change = ensembled(net, mirrored, views).flip(-1) - ensembled(net, x, views)
        return float(change.square().mean().sqrt())

    assert lopsided(8) < 1e-6 < 0.001 < lopsided(1)
    assert ensembled(net, x, 1).equal(net(x))
    better = [psnr(Cnn(ensemble=n).apply(before).luma.pixels, luma[3:4]) for n in (1, 2, 8)]
    assert better[0] < better[1] < better[2], better


def test_bfloat16_is_close() -> None:
    luma, chroma = scene(7, 96, 128)
    _, before = filtered(luma, chroma)
    exact = Cnn().apply(before).luma.pixels
    rounded = Cnn().apply(replace(before, compute=torch.bfloat16)).luma.pixels
    assert abs(psnr(exact, luma[3:4]) - psnr(rounded, luma[3:4])) < 0.02


@pytest.mark.parametrize("dim", [-1, -2], ids=["across", "down"])
def test_the_halo_is_what_the_network_sees(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "serves_networks", lambda *_: False)
    stage = Cnn()
    assert influence(stage, dim) == dict.fromkeys(("luma", "chroma"), stage.footprint.halo)


def test_the_guard_over_foreign_networks_keeps_what_is_no_noise() -> None:
    """A correction that takes a texture away is dropped there; one that takes noise away is not."""
    torch.manual_seed(0)
    noise, texture = 0.02 * torch.randn(1, 3, 64, 128), torch.zeros(1, 3, 64, 128)
    texture[..., 64:] = 0.05 * torch.where(torch.arange(64) % 2 == 0, 1.0, -1.0)
    picture = 0.5 + noise + texture
    sigma, residual = torch.full_like(picture, 0.02), torch.ones_like(picture)
    x = NetInput(picture, picture, sigma, residual, torch.ones(1, 2 * BANDS))
    kept = hold_back(-(noise + texture), x, 1.0)
    assert kept[..., 80:].abs().max() == 0
    plain = kept[..., :48] / -noise[..., :48]
    assert plain.mean() > 0.9
