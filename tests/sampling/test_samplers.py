"""Samplers against a prior of which everything is known in closed form.

Under a Gaussian prior D is linear, and so is every sampler: run on the noisy picture and on each of
its draws as coordinates of their own, it shows mean and variance of what it gives exactly, without
drawing anything.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import get_args

import pytest
import torch
from torch import Tensor

from vdenoise.sampling.samplers import Sampler, ddim, ddpm, draws, euler, sample
from vdenoise.sampling.schedules import Schedule, noise_levels

SCHEDULES = get_args(Schedule)
DRAWING = ("ddpm", "langevin")
FLOWING = ("euler", "heun", "dpm++2m", "ddim")
PRIORS = (0.1, 0.5, 2.0)  # variance of the prior, that of the noise being 1


def moments(
    sampler: Sampler, prior: float, schedule: Schedule, steps: int, eta: float = 0.0
) -> tuple[float, float]:
    """Share of the noisy value that the result keeps in the mean, and the variance around it."""
    start = torch.zeros(1 + 2 * steps, dtype=torch.float64)
    start[0] = 1

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return x * (prior / (prior + sigma**2))

    def noise(draw: int) -> Tensor:
        drawn = torch.zeros_like(start)
        drawn[1 + draw] = 1
        return drawn

    found = sample(sampler, denoise, start, noise_levels(schedule, steps), noise, eta=eta)
    return found[0].item(), found[1:].square().sum().item()


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", DRAWING)
def test_what_draws_has_the_mean_and_the_spread_of_the_posterior(
    sampler: Sampler, schedule: Schedule
) -> None:
    for prior in PRIORS:
        mean, variance = moments(sampler, prior, schedule, 50)
        assert mean == pytest.approx(prior / (prior + 1), rel=0.05)
        assert variance == pytest.approx(prior / (prior + 1), rel=0.05)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", FLOWING)
def test_what_flows_keeps_the_spread_of_the_prior(sampler: Sampler, schedule: Schedule) -> None:
    """A flow maps noisy values, of variance prior + 1, to clean ones, of the prior's."""
    for prior in PRIORS:
        kept, drawn = moments(sampler, prior, schedule, 50)
        assert drawn == 0 and not draws(sampler, 0.0)
        assert kept**2 * (prior + 1) == pytest.approx(prior, rel=0.05)


@pytest.mark.parametrize(
    ("sampler", "least"), [("euler", 0.9), ("ddpm", 0.9), ("dpm++2m", 1.5), ("heun", 1.9)]
)
def test_the_error_falls_by_the_order_of_the_solver(sampler: Sampler, least: float) -> None:
    """Twice the steps, half or a quarter of the error (in the mean of flows, in the spread of
    what draws). DPM-Solver++ is of second order in the logarithm of sigma, of which the steps to 0
    are ever longer: 1.5 to 1.8 here."""
    prior = 0.5
    true = prior / (prior + 1)
    errors = []
    for steps in (40, 80, 160):
        kept, variance = moments(sampler, prior, "cosine", steps)
        errors.append(abs(variance - true) if sampler in DRAWING else abs(kept - math.sqrt(true)))
    assert all(math.log2(a / b) > least for a, b in pairwise(errors)), errors


def test_eta_goes_from_the_flow_to_ancestral_sampling() -> None:
    spreads = [moments("ddim", 0.5, "linear", 200, eta)[1] for eta in (0.0, 0.3, 0.6, 1.0)]
    assert spreads == sorted(spreads) and spreads[0] == 0
    assert spreads[-1] == pytest.approx(1 / 3, rel=0.05)
    assert draws("ddim", 0.1) and draws("ddpm", 0.0) and draws("langevin", 0.0)


def test_euler_in_noise_levels_is_ddim() -> None:
    """As Song et al. 2021 and Karras et al. 2022 show."""
    x = torch.randn(1000, dtype=torch.float64)
    levels = noise_levels("karras", 7)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return torch.tanh(x / (1 + sigma))

    def never(draw: int) -> Tensor:
        raise AssertionError(f"draw {draw}")

    torch.testing.assert_close(
        euler(denoise, x, levels), ddim(denoise, x, levels, never), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("sampler", get_args(Sampler))
def test_one_step_is_the_denoiser_itself(sampler: Sampler) -> None:
    x = torch.randn(10)

    def noise(draw: int) -> Tensor:
        raise AssertionError(f"draw {draw}")

    found = sample(sampler, lambda x, sigma: 0.7 * x, x, (1.0, 0.0), noise, eta=1.0)
    torch.testing.assert_close(found, 0.7 * x)


def test_two_values_that_are_possible_are_both_drawn() -> None:
    """A prior that is no bell: two points. The mean lies between them, samples at either."""
    torch.manual_seed(0)
    x = torch.full((20000,), 0.3, dtype=torch.float64)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return torch.tanh(x / sigma**2)

    found = ddpm(denoise, x, noise_levels("cosine", 50), lambda draw: torch.randn_like(x))
    assert (found.abs() > 0.99).double().mean() > 0.97
    assert (found > 0).double().mean() == pytest.approx((1 + math.tanh(0.3)) / 2, abs=0.02)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 8, 50])
def test_noise_levels_fall_from_one_to_nothing(schedule: Schedule, steps: int) -> None:
    levels = noise_levels(schedule, steps)
    assert len(levels) == steps + 1 and levels[0] == 1 and levels[-1] == 0
    assert all(a > b for a, b in pairwise(levels))
