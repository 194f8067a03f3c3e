"""Regrowing: what is drawn, how much of it, and what it must leave behind."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers.pictures import SIGMA, cut, noisy, scene
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise_table import SPECTRUM
from vdenoise.stages.regrow.carried import PERIOD, REACH, fields, white
from vdenoise.stages.regrow.consistency import consistent
from vdenoise.stages.regrow.posterior import Posterior
from vdenoise.stages.regrow.prior import Prior


def example(frames: int = 1, side: int = 48, layout: str = "420") -> Block:
    torch.manual_seed(3)
    return noisy(*scene(frames, side, side, layout), "noise")


def luma(stage: Posterior, block: Block) -> Tensor:
    return stage.apply(block).luma.pixels


def drawing(**values: Any) -> Posterior:
    return Posterior(sampler="ddpm", steps=4, schedule="cosine", **values)


def test_the_same_seed_gives_the_same_bits_and_another_one_another_picture() -> None:
    block, stage = example(), drawing()
    first = luma(stage, block)
    assert first.equal(luma(stage, block))
    other = luma(stage, replace(block, seed=8))
    assert not first.equal(other)
    changes = [(x - block.luma.pixels).std().item() for x in (first, other)]
    assert changes[0] == pytest.approx(changes[1], rel=0.15)


def test_a_frame_is_the_same_in_every_segment() -> None:
    """Drawn by absolute number, whatever comes with it."""
    stage = drawing()
    block = replace(example(REACH + 2, 32), core=slice(REACH, REACH + 2))
    whole = stage.apply(block)
    part = stage.apply(cut(block, range(1, REACH + 2), range(REACH + 1, REACH + 2)))
    assert part.luma.pixels.equal(whole.luma.pixels[1:])
    assert whole.chroma is not None and part.chroma is not None
    assert part.chroma.pixels.equal(whole.chroma.pixels[1:])
    assert Posterior().reach == 0  # nothing is drawn
    assert stage.reach == REACH


def test_samples_average_to_the_plain_answer() -> None:
    block, stage = example(), drawing(consistency=0.0)
    added = [luma(stage, replace(block, seed=n)) - block.luma.pixels for n in range(6)]
    alone = added[0].square().mean().sqrt()
    assert torch.stack(added).mean(0).square().mean().sqrt() < 0.65 * alone


def test_the_mean_of_samples_is_nearer_to_the_plain_answer_and_their_spread_is_shown() -> None:
    block = example()
    one, four = (drawing(consistency=0.0, samples=n).apply(block) for n in (1, 4))
    added = [(x.luma.pixels - block.luma.pixels).square().mean().sqrt() for x in (one, four)]
    assert added[1] < 0.75 * added[0]
    assert one.findings.uncertainty is None
    spread = four.findings.uncertainty
    assert spread.shape == block.luma.pixels.shape and 0 < spread.mean() < 1
    flow = Posterior(steps=2, samples=2).apply(block)
    assert flow.findings.uncertainty.max() == 0  # nothing is drawn


def test_strength_is_a_share_of_what_is_invented() -> None:
    block = example()
    full, half = (luma(drawing(strength=s), block) - block.luma.pixels for s in (1.0, 0.5))
    torch.testing.assert_close(half, full / 2, rtol=0, atol=1e-6)
    shown = drawing().apply(block).findings.invented
    assert shown is not None
    assert shown.shape == block.luma.pixels.shape and 0 < shown.mean() < 1


def test_where_neighbors_know_the_picture_little_is_left_to_invent() -> None:
    """An average of many frames, nearly without noise, and the guidance that follows it or not."""
    block = example()
    clean, _ = scene(1, 48, 48)
    known = Signal(clean, torch.full_like(clean, 0.05))
    informed = replace(block, averaged=Picture(known, block.chroma), kept_original=block.original)

    def invented(guidance: float) -> float:
        stage = drawing(consistency=0.0, guidance=guidance)
        return (luma(stage, informed) - informed.luma.pixels).std().item()

    assert invented(1.0) < 0.4 * invented(0.0)


def test_where_there_was_no_noise_nothing_is_invented() -> None:
    block = example()
    present = torch.ones_like(block.luma.pixels)
    present[..., :24] = 0
    residual = Signal(block.luma.pixels, present)
    changed = luma(drawing(), replace(block, present=present, luma=residual)) - block.luma.pixels
    assert changed[..., :24].abs().max() == 0
    assert changed[..., 24:].abs().max() > 0


def test_what_is_drawn_has_level_and_color_of_the_measured_noise() -> None:
    block = example(1, 96)
    falling = torch.exp(-torch.arange(SPECTRUM) / 4.0)
    color = falling[:, None] * falling
    spectrum = (color / color.mean()).expand(3, -1, -1)
    prior = Prior(replace(block, noise=replace(block.noise, spectrum=spectrum)), "S", 1.0)
    drawn, chroma = prior.planes(prior.noise(0, 1))
    assert drawn.std() == pytest.approx(SIGMA, rel=0.15)
    assert chroma.std() == pytest.approx(0.7 * SIGMA, rel=0.25)
    beside = (drawn[..., 1:] * drawn[..., :-1]).mean() / drawn.square().mean()
    assert beside > 0.5
    assert not drawn.equal(prior.planes(prior.noise(1, 1))[0])


def test_fifty_steps_run() -> None:
    found = luma(Posterior(steps=50), example(1, 4, "gray"))
    assert found.isfinite().all()


def test_what_cannot_leave_noise_behind_is_taken_back() -> None:
    torch.manual_seed(0)
    size, white = (96, 96), torch.ones(SPECTRUM, SPECTRUM)
    noise, sigma = torch.randn(size), torch.ones(size)
    small = 0.2 * torch.randn(size)
    lost = consistent(small, noise, sigma, white) - small  # chance goes further in some blocks
    assert lost.std() < 0.2 * small.std()
    wild = 3 * torch.randn(size)
    assert (noise - wild).std() > 3
    assert (noise - consistent(wild, noise, sigma, white)).std() < 1.3
    own = consistent(noise, noise, sigma, white)  # the noise itself, for detail
    assert 0.5 < (noise - own).std() < 1
    assert consistent(torch.zeros(size), noise, sigma, white).abs().max() == 0


def panned(frames: int, step: int, first: int = 0, side: int = 96) -> Block:
    """A picture that moves by whole pixels a frame, with its true motion."""
    torch.manual_seed(1)
    wide = torch.rand(1, 1, side, side + step * frames)
    luma = torch.cat([wide[..., step * t : step * t + side] for t in range(frames)])
    signal = Signal(luma, torch.ones_like(luma))
    block = replace(example(), first=first, core=slice(0, frames), luma=signal, chroma=None)
    return replace(block, motion=Panned(step, side))


class Panned:
    """Everything moves to the left by so many pixels a frame."""

    guide_noise = 0.0

    def __init__(self, step: int, side: int) -> None:
        self.step, self.side = step, side

    def guide(self, a: int) -> Tensor:
        return torch.zeros(1, self.side, self.side)

    def flow(self, a: int, b: int) -> Tensor:
        across = torch.full((self.side, self.side), float(self.step * (a - b)))
        return torch.stack([across, torch.zeros_like(across)])

    def trust(self, a: int, b: int) -> Tensor:
        return torch.ones(self.side, self.side)


def numbers(block: Block, t: int) -> Tensor:
    size = (block.luma.pixels.shape[-2], block.luma.pixels.shape[-1])
    return white(fields(block, t, size), (0, 0), (5, 0), 0)[8:-8, 8:-8]


def test_what_is_drawn_goes_along_with_the_picture_and_stays_white() -> None:
    block = panned(2 * PERIOD, 3)
    drawn = [numbers(block, t) for t in range(2 * PERIOD)]
    for before, after in pairwise(drawn):
        along = (before[:, 3:] * after[:, :-3]).mean()
        assert along > 0.85  # cos(pi / 8): it changes evenly, also where a field is drawn anew
        assert (before * after).mean().abs() < 0.05  # nothing stays in place
    for field in drawn:
        assert field.std() == pytest.approx(1, abs=0.05)
        for beside in (field[:, 1:] * field[:, :-1], field[1:] * field[:-1]):
            assert beside.mean().abs() < 0.05
    assert (drawn[0] * drawn[-1]).mean().abs() < 0.05


def test_a_number_goes_to_one_pixel_only() -> None:
    """Where a picture grows, what it has no number for draws its own."""

    class Growing(Panned):
        def flow(self, a: int, b: int) -> Tensor:
            place = torch.arange(self.side) - self.side / 2
            across = (place * (0.8 ** (a - b) - 1)).expand(self.side, -1)
            return torch.stack([across, across.T])

    block = replace(panned(PERIOD, 1), motion=Growing(1, 96))
    drawn = numbers(block, PERIOD // 2 - 1)
    assert drawn.flatten().unique().numel() > 0.85 * drawn.numel()  # 65536 quantiles collide
    assert (drawn[:, 1:] * drawn[:, :-1]).mean().abs() < 0.05


def test_numbers_are_the_same_in_every_segment_and_end_with_the_shot() -> None:
    whole = panned(20, 2)
    last = 19
    part = replace(cut(whole, range(last - REACH, 20), range(last, 20)), motion=Panned(2, 96))
    assert numbers(part, REACH).equal(numbers(whole, last))
    other = replace(whole, shot=(last, 30))
    assert not numbers(other, last).equal(numbers(whole, last))
