"""Noise is read from the few blocks that hold nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vdenoise.noise.bands import BANDS, band_sizes
from vdenoise.noise.between import between
from vdenoise.noise.levels import look_up, variance_by_level
from vdenoise.noise.quietest import variance_of_quietest
from vdenoise.picture.noise import PlaneNoise, ShotNoise

SPECTRUM = torch.tensor([2.0, 1.8, 1.5, 1.0, 0.7, 0.4])  # of the noise, by band
SIGMA = 4 / 255


def blocks(count: int, lost: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Levels and differences' energies: noise that doubles from black to white, and texture of
    which a share of the blocks was lost."""
    level = torch.rand(count, generator=rng)
    size = band_sizes() - 2
    squares = [torch.randn(count, int(n), generator=rng).square().mean(1) for n in size]
    variance = SIGMA**2 * (1 + level)
    noise = variance[:, None] * SPECTRUM * torch.stack(squares, 1)
    texture = torch.randn(count, 1, generator=rng).exp() * 30 * SIGMA**2
    moved = torch.rand(count, 1, generator=rng) < lost
    return level, noise + texture * moved * torch.linspace(3, 0.5, BANDS)


@pytest.mark.parametrize("lost", [0.0, 0.5, 0.9])
def test_noise_is_read_however_much_texture_was_lost(lost):
    level, odd = blocks(6000, lost, torch.Generator().manual_seed(3))
    curve, bands, used = variance_of_quietest(level, odd)
    at = torch.tensor([0.1, 0.5, 0.9])
    read = look_up(curve, at)[:, None] * bands
    off = (read / (SIGMA**2 * (1 + at)[:, None] * SPECTRUM)).sqrt()
    # Of the blocks, the quietest hundredth is up to a tenth of those that are left: read too high
    assert off[:, 1:].min() > 0.85
    assert off[:, 1:].max() < 1.4
    assert used.all()


def test_the_usual_reading_takes_such_texture_for_noise():
    level, odd = blocks(6000, 0.96, torch.Generator().manual_seed(4))
    curve, bands, _ = variance_by_level(level, odd, odd)
    usual = look_up(curve, torch.tensor([0.5])) * bands.mean()
    assert usual.sqrt() > 2 * SIGMA * (1.5 * SPECTRUM.mean()).sqrt()


def test_few_blocks_of_many_levels_are_one_level():
    level, odd = blocks(150, 0.0, torch.Generator().manual_seed(5))
    curve, bands, _ = variance_of_quietest(level, odd)
    assert (curve.max() / curve.min()).item() == pytest.approx(1, abs=0.01)
    assert (curve[0] * bands.mean()).sqrt().item() == pytest.approx(
        SIGMA * (1.5 * SPECTRUM.mean()).sqrt().item(), rel=0.35
    )


def test_between_two_readings_lies_their_geometric_mean():
    def shot(codes: float, confidence: float, reason: str) -> ShotNoise:
        plane = PlaneNoise.white(codes / 255)
        return ShotNoise(
            first=0,
            last=9,
            y=plane,
            cb=plane,
            cr=plane,
            temporal_correlation=0.0,
            impulse_rate=0.0,
            repeat_share=0.0,
            confidence=confidence,
            reasons=(reason,),
        )

    found = between(shot(12, 0.7, "this"), shot(3, 0.5, "that"))
    assert [p.codes for p in found.planes] == pytest.approx([6, 6, 6])
    assert found.y.sigma == pytest.approx([6 / 255] * 17)
    assert torch.tensor(found.y.spectrum).mean().item() == pytest.approx(1)
    assert found.confidence == 0.5
    assert found.reasons == ("this", "that")
