"""Samplers: from a noisy picture to one that could lie under it.

All start at the noisy picture itself, at its own noise level, instead of at pure static: a denoiser
that answers with the mean of what is possible knows the direction to more likely pictures at every
level (Miyasawa 1961, "Tweedie's formula"; Vincent, "A Connection Between Score Matching and
Denoising Autoencoders", 2011), and reversing the diffusion from there on draws from what is
possible *given* that picture. No prior of static and no guidance by the data is needed.

Those that draw (`ddim` with eta above 0, `ddpm`, `langevin`) come to another picture with other
noise, and their results spread as the posterior does. `euler`, `heun`, `dpmpp_2m` and `ddim` with
eta 0 draw nothing: they follow the probability flow (Song et al. 2021), which maps one noisy
picture to one clean one; over many noisy pictures those are distributed as clean pictures are, but
for a single one there is no spread.

A denoiser may take a noise level as a share of one that differs from pixel to pixel; then ``noise``
is to give noise of that strength (and color: nothing here assumes that it is white).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor

Denoiser = Callable[[Tensor, float], Tensor]  # D(x, sigma): the mean of what lies under x
Noise = Callable[[int], Tensor]  # noise of level 1, of the n-th draw, shaped as x
Sampler = Literal["ddim", "ddpm", "euler", "heun", "dpm++2m", "langevin"]

_LANGEVIN_TIME = 0.3  # of each of its steps, in units in which the bell is forgotten by a factor e


def sample(
    sampler: Sampler,
    denoise: Denoiser,
    x: Tensor,
    sigmas: Sequence[float],
    noise: Noise,
    *,
    eta: float = 0.0,
) -> Tensor:
    """Run a sampler by its name; ``eta`` is that of `ddim`."""
    if sampler == "ddim":
        return ddim(denoise, x, sigmas, noise, eta=eta)
    if sampler == "ddpm":
        return ddpm(denoise, x, sigmas, noise)
    if sampler == "langevin":
        return langevin(denoise, x, sigmas, noise)
    flows = {"euler": euler, "heun": heun, "dpm++2m": dpmpp_2m}
    return flows[sampler](denoise, x, sigmas)


def draws(sampler: Sampler, eta: float) -> bool:
    """Whether a sampler draws noise of its own."""
    return sampler in ("ddpm", "langevin") or (sampler == "ddim" and eta > 0)


def ddim(
    denoise: Denoiser, x: Tensor, sigmas: Sequence[float], noise: Noise, *, eta: float = 0.0
) -> Tensor:
    """Denoising diffusion implicit models (Song, Meng and Ermon 2021), one evaluation a step.

    Args:
        denoise: D(x, sigma).
        x: the noisy picture, any shape, with noise of level ``sigmas[0]``.
        sigmas: falling, the last 0 (`vdenoise.sampling.schedules.noise_levels`).
        noise: what is drawn.
        eta: 0 draws nothing, 1 draws as much as `ddpm`.

    Returns:
        A clean picture.
    """
    for n in range(len(sigmas) - 1):
        now, after = sigmas[n], sigmas[n + 1]
        clean = denoise(x, now)
        fresh = eta * after * math.sqrt(1 - (after / now) ** 2)
        kept = math.sqrt(after**2 - fresh**2)
        x = clean + (kept / now) * (x - clean)
        if fresh > 0:
            x = x + fresh * noise(n)
    return x


def ddpm(denoise: Denoiser, x: Tensor, sigmas: Sequence[float], noise: Noise) -> Tensor:
    """Ancestral sampling (Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", 2020),
    one evaluation a step.

    They give two variances of a step, right for a picture that is known and for one that is not at
    all; this is their geometric mean (Nichol and Dhariwal 2021 interpolate between the same two),
    which halves the error of few steps. `ddim` with eta 1 takes the smaller one.

    Args:
        denoise, x, sigmas, noise: as for `ddim`.

    Returns:
        A clean picture.
    """
    for n in range(len(sigmas) - 1):
        clean = denoise(x, sigmas[n])
        x = _ancestor(x, clean, sigmas[n], sigmas[n + 1], noise, n)
    return x


def euler(denoise: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Euler steps along the probability flow dx/dsigma = (x - D(x, sigma)) / sigma (Karras et al.
    2022, algorithm 1 without its correction), first order, one evaluation a step. With noise levels
    for time that is `ddim` with eta 0, to rounding.

    Args:
        denoise, x, sigmas: as for `ddim`.

    Returns:
        A clean picture.
    """
    for now, after in pairwise(sigmas):
        x = x + (after - now) * _slope(denoise, x, now)
    return x


def heun(denoise: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Heun's second-order steps along the probability flow (Karras et al. 2022, algorithm 1), two
    evaluations a step but for the last.

    Args:
        denoise, x, sigmas: as for `ddim`.

    Returns:
        A clean picture.
    """
    for now, after in pairwise(sigmas):
        slope = _slope(denoise, x, now)
        guess = x + (after - now) * slope
        if after > 0:  # at 0 the slope is not known
            slope = (slope + _slope(denoise, guess, after)) / 2
            guess = x + (after - now) * slope
        x = guess
    return x


def dpmpp_2m(denoise: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """DPM-Solver++(2M) (Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion
    Probabilistic Models", 2022): second order from two evaluations in a row, one a step.

    Args:
        denoise, x, sigmas: as for `ddim`.

    Returns:
        A clean picture.
    """
    before, step_before = None, 0.0
    for now, after in pairwise(sigmas):
        clean = denoise(x, now)
        if after == 0:  # first order at the end, as they advise: the step is infinitely long
            return clean
        step = math.log(now / after)
        ahead = clean
        if before is not None:
            ahead = clean + (step / (2 * step_before)) * (clean - before)
        x = ahead + (after / now) * (x - ahead)
        before, step_before = clean, step
    return x


def langevin(denoise: Denoiser, x: Tensor, sigmas: Sequence[float], noise: Noise) -> Tensor:
    """Langevin steps on the posterior at each noise level (Kawar, Vaksman and Elad, "Stochastic
    Image Denoising by Sampling from the Posterior Distribution", 2021), two evaluations a step.

    The noisy picture is thought of as a less noisy one plus the rest of its noise. What is known of
    the less noisy one, the denoiser's direction and its distance to the noisy picture, is a bell
    around a mean; a Langevin step goes towards that mean and draws. They go from level to level
    without more; an ancestral step between levels (a predictor, as Song et al. 2021 have it) does
    with some fifty steps instead of thousands.

    Args:
        denoise, x, sigmas, noise: as for `ddim`.

    Returns:
        A clean picture.
    """
    noisy, first = x, sigmas[0]
    for n in range(len(sigmas) - 1):
        after = sigmas[n + 1]
        x = _ancestor(x, denoise(x, sigmas[n]), sigmas[n], after, noise, 2 * n)
        if after > 0:
            clean = denoise(x, after)
            share = (after / first) ** 2
            mean = clean + share * (noisy - clean)
            spread = after * math.sqrt((1 - share) * 2 * _LANGEVIN_TIME)
            x = x + _LANGEVIN_TIME * (mean - x) + spread * noise(2 * n + 1)
    return x


def _ancestor(
    x: Tensor, clean: Tensor, now: float, after: float, noise: Noise, draw: int
) -> Tensor:
    """A less noisy picture that ``x`` may have come from, if ``clean`` lies under it."""
    mean = clean + (after / now) ** 2 * (x - clean)
    if after == 0:
        return mean
    return mean + math.sqrt((after / now) * (now**2 - after**2)) * noise(draw)


def _slope(denoise: Denoiser, x: Tensor, sigma: float) -> Tensor:
    return (x - denoise(x, sigma)) / sigma
