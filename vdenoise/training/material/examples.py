"""Examples to learn from: a clean clip, the same with noise, and what the temporal stage makes of
it, with the noise profile a run would have measured.

An example is a function of (recipe, sources, seed, number) alone, but for what x264 makes of it:
it does not always encode the same frames to the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from vdenoise.motion.flow import SharedMotion
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import repeat_to
from vdenoise.stages.spatial.wiener import Wiener
from vdenoise.stages.temporal.mean import TemporalMean
from vdenoise.training.material.degrade import (
    Kind,
    Mixture,
    Share,
    degraded,
    graded,
    patterned,
    true_noise,
    unshifted,
)
from vdenoise.training.material.sources import Source, sequence, split_rgb

T = TypeVar("T")

# Added to the number: draws that others do not depend on.
_SPATIAL = 1 << 40
_CLIPPED = 1 << 41
_HARD = 1 << 42
MARGIN = 16  # pixels cut off on each side: motion from outside is unknown there


class Recipe(Mixture):
    """What examples of the whole chain are made of."""

    size: int = Field(default=256, ge=64, multiple_of=4, description="Side of an example, pixels.")
    frames: int = Field(default=4, ge=1, description="Frames computed by the temporal stage.")
    hard: Share = Field(default=0.0, description="Share that moves fast.")
    stills: Share = 0.6
    patterns: Share = 0.25
    clipped: Share = 0.5
    kinds: dict[Kind, float] = Field(
        default={
            "gaussian": 0.42,
            "sensor": 0.18,
            "film": 0.14,
            "compressed": 0.16,
            "impulses": 0.03,
            "speckle": 0.03,
            "clean": 0.04,
        }
    )
    radii: dict[int, float] = Field(
        default={0: 0.06, 1: 0.2, 2: 0.12, 3: 0.5, 5: 0.12},
        description="Share of each radius of the temporal stage.",
    )
    efforts: dict[int, float] = Field(
        default={0: 0.12, 1: 0.48, 3: 0.4},
        description="Share of each effort of the spatial stage (0: none, 1: as --speed fast).",
    )


@dataclass(frozen=True, eq=False)
class Example:
    """One example; chroma is repeated to luma's size for 4:2:0."""

    # (T, 14, H, W): clean, noisy and average Y'CbCr, what is left in the average's luma and chroma,
    # and what the spatial stage makes of the average
    planes: Tensor
    noise: NoiseTable
    subsampled: bool  # chroma came from 4:2:0
    kind: Kind


def make(
    recipe: Recipe, clips: list[Source], stills: list[Source], seed: int, number: int
) -> Example:
    """Example ``number`` of a seed, on one thread."""
    rng = _generator(seed, number)
    kind = drawn(rng, recipe.kinds)
    radius = drawn(rng, recipe.radii)
    total = recipe.frames + 2 * radius
    use_still = not clips or (bool(stills) and rng.random() < recipe.stills)
    source = (stills if use_still else clips)[rng.integers(len(stills if use_still else clips))]
    reduce = float(rng.uniform(0.3, 0.8) if use_still else rng.choice([1.0, rng.uniform(0.5, 1)]))
    hard = _generator(seed, number + _HARD).random() < recipe.hard
    clean = sequence(source, total, recipe.size + 2 * MARGIN, rng, reduce=reduce, hard=hard)
    if rng.random() < recipe.patterns:
        clean = patterned(clean, rng)
    clean = graded(clean, rng)
    noisy, told = degraded(clean, kind, rng, recipe.strengths)
    if _generator(seed, number + _CLIPPED).random() < recipe.clipped:
        noisy, told = noisy.clamp(0, 1), told.clamp(0, 1)
    half = 0.3 if kind == "gaussian" else 0.7
    subsampled = kind == "compressed" or bool(rng.random() < half)
    luma, chroma = split_rgb(noisy, subsampled)
    clean_luma, clean_chroma = split_rgb(clean, subsampled)
    if kind != "gaussian" or rng.random() < 0.4:  # a file rounds and clips
        luma, chroma = (luma * 219).round() / 219, (chroma * 224).round() / 224
        luma, chroma = luma.clamp(-16 / 219, 239 / 219), chroma.clamp(-128 / 224, 127 / 224)
    centered = unshifted(told, clean)
    seen = split_rgb(clean + told - centered, subsampled)[0]
    noise = true_noise(*split_rgb(centered, subsampled), clean_luma, clean_chroma, seen)
    core = slice(radius, radius + recipe.frames)
    if radius and rng.random() < 0.15:  # the end of a shot
        core = slice(0, recipe.frames)
    averaged = _averaged(luma, chroma, noise, core, radius)
    estimate = filtered(recipe, averaged, seed, number)
    planes = planes_of(
        (clean_luma[core], clean_chroma[core]), (luma[core], chroma[core]), averaged, estimate
    )
    inner = slice(MARGIN, -MARGIN)
    return Example(planes[..., inner, inner].contiguous(), noise, subsampled, kind)


def planes_of(
    clean: tuple[Tensor, Tensor],
    noisy: tuple[Tensor, Tensor],
    averaged: Block,
    estimate: Block,
) -> Tensor:
    """`Example.planes` of T frames.

    Args:
        clean, noisy: luma (T, 1, H, W) and chroma (T, 2, h, w).
        averaged: after the temporal stage.
        estimate: after the spatial stage.
    """
    chroma_residual, estimate_chroma = averaged.signals[1], estimate.signals[1]
    luma = noisy[0]
    return torch.cat(
        [
            clean[0],
            repeat_to(clean[1], luma),
            luma,
            repeat_to(noisy[1], luma),
            averaged.luma.pixels,
            repeat_to(chroma_residual.pixels, luma),
            averaged.luma.residual,
            repeat_to(chroma_residual.residual, luma),
            estimate.luma.pixels,
            repeat_to(estimate_chroma.pixels, luma),
        ],
        1,
    )


def _averaged(luma: Tensor, chroma: Tensor, noise: NoiseTable, core: slice, radius: int) -> Block:
    """What the real temporal stage makes of it."""
    block = Block(
        first=0,
        core=core,
        luma=Signal(luma, torch.ones_like(luma)),
        chroma=Signal(chroma, torch.ones_like(chroma[:, :1])),
        noise=noise,
        motion=SharedMotion("better", keep=len(luma)).block(0, luma, noise) if radius else None,
    )
    return TemporalMean(radius=radius).apply(block)


def filtered(recipe: Recipe, averaged: Block, seed: int, number: int) -> Block:
    """What the real spatial stage makes of the average, at a speed drawn for this example."""
    effort = drawn(_generator(seed, number + _SPATIAL), recipe.efforts)
    if effort == 0:
        return averaged
    speed = "fast" if effort == 1 else "base"
    stage = Wiener.model_validate({**Wiener.speeds[speed], "effort": effort})
    return stage.apply(replace(averaged, core=slice(0, averaged.frames), motion=None))


def _generator(seed: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, number]))


def drawn(rng: np.random.Generator, shares: Mapping[T, float]) -> T:
    """A key, by its share."""
    weights = np.array(list(shares.values()))
    return list(shares)[rng.choice(len(weights), p=weights / weights.sum())]
