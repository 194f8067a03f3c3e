"""Examples to learn from: a clean clip, the same with noise, and what the temporal stage makes of
it, with the noise profile a run would have measured.

An example is a function of (recipe, sources, seed, number) alone, but for what x264 makes of it:
it does not always encode the same frames to the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from vdenoise.frame import Block, Signal
from vdenoise.media.roundtrip import compress
from vdenoise.motion.flow import SharedMotion
from vdenoise.noise import synth
from vdenoise.noise.profile import LEVELS, SPECTRUM, NoiseTable
from vdenoise.stages.temporal import TemporalMean
from vdenoise.stages.wiener import Wiener
from vdenoise.training.sources import Source, from_rgb, sequence
from vdenoise.transform import dct_matrix

Kind = Literal["gaussian", "sensor", "film", "compressed", "impulses", "speckle", "clean"]

T = TypeVar("T")

_SPATIAL = 1 << 40  # added to the number: the spatial stage's own draw
MARGIN = 16  # pixels cut off on each side: motion from outside is unknown there


class Recipe(BaseModel):
    """What examples are made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(default=256, ge=64, multiple_of=4, description="Side of an example, pixels.")
    frames: int = Field(default=4, ge=1, description="Frames computed by the temporal stage.")
    stills: float = Field(
        default=0.6, ge=0, le=1, description="Share made of stills set in motion."
    )
    patterns: float = Field(
        default=0.15, ge=0, le=1, description="Share with a fine regular texture laid over a part."
    )
    kinds: dict[Kind, float] = Field(
        default={
            "gaussian": 0.42,
            "sensor": 0.18,
            "film": 0.14,
            "compressed": 0.16,
            "impulses": 0.03,
            "speckle": 0.03,
            "clean": 0.04,
        },
        description="Share of each kind of noise.",
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
    rng = np.random.Generator(np.random.Philox(key=[seed, number]))
    kind = _drawn(rng, recipe.kinds)
    radius = _drawn(rng, recipe.radii)
    total = recipe.frames + 2 * radius
    use_still = not clips or (bool(stills) and rng.random() < recipe.stills)
    source = (stills if use_still else clips)[rng.integers(len(stills if use_still else clips))]
    reduce = float(rng.uniform(0.3, 0.8) if use_still else rng.choice([1.0, rng.uniform(0.5, 1)]))
    clean = sequence(source, total, recipe.size + 2 * MARGIN, rng, reduce=reduce)
    if rng.random() < recipe.patterns:
        clean = patterned(clean, rng)
    clean = _graded(clean, rng)
    noisy, told = _degraded(clean, kind, rng)
    half = 0.3 if kind == "gaussian" else 0.7
    subsampled = kind == "compressed" or bool(rng.random() < half)
    luma, chroma = from_rgb(noisy, subsampled)
    clean_luma, clean_chroma = from_rgb(clean, subsampled)
    if kind != "gaussian" or rng.random() < 0.4:  # a file rounds and clips
        luma, chroma = (luma * 219).round() / 219, (chroma * 224).round() / 224
        luma, chroma = luma.clamp(-16 / 219, 239 / 219), chroma.clamp(-128 / 224, 127 / 224)
    noise = true_noise(*from_rgb(told, subsampled), clean_luma, clean_chroma)
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
    left_chroma, estimate_chroma = averaged.signals[1], estimate.signals[1]
    luma = noisy[0]
    return torch.cat(
        [
            clean[0],
            _whole(clean[1], luma),
            luma,
            _whole(noisy[1], luma),
            averaged.luma.pixels,
            _whole(left_chroma.pixels, luma),
            averaged.luma.left,
            _whole(left_chroma.left, luma),
            estimate.luma.pixels,
            _whole(estimate_chroma.pixels, luma),
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
    rng = np.random.Generator(np.random.Philox(key=[seed, number + _SPATIAL]))
    effort = _drawn(rng, recipe.efforts)
    if effort == 0:
        return averaged
    speed = "fast" if effort == 1 else "base"
    stage = Wiener.model_validate({**Wiener.speeds[speed], "effort": effort})
    return stage.apply(replace(averaged, core=slice(0, averaged.frames), motion=None))


def _whole(chroma: Tensor, luma: Tensor) -> Tensor:
    """Chroma repeated to luma's size."""
    down, across = (a // b for a, b in zip(luma.shape[-2:], chroma.shape[-2:], strict=True))
    return chroma.repeat_interleave(down, -2).repeat_interleave(across, -1)


def patterned(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """A grating, a weave or a fence over a part of (T, 3, H, W), moving evenly.

    Footage that was scaled down or compressed has hardly any structure near the highest
    frequencies, and a network that never saw any takes it for noise.
    """
    count, _, height, width = clean.shape
    at = torch.arange(count, dtype=torch.float32)[:, None, None]
    y = torch.arange(height, dtype=torch.float32)[:, None]
    x = torch.arange(width, dtype=torch.float32)
    vx, vy = (float(v) for v in rng.standard_normal(2) * rng.choice([0.0, 0.3, 2.0]))
    wave = torch.ones(())
    for _ in range(int(rng.integers(1, 3))):
        frequency, angle = float(rng.uniform(0.12, 0.5)), float(rng.uniform(0, np.pi))
        along = (x - vx * at) * np.cos(angle) + (y - vy * at) * np.sin(angle)
        wave = wave * torch.sin(2 * np.pi * frequency * along + float(rng.uniform(0, 6.3)))
    blob = torch.from_numpy(rng.standard_normal((1, 1, 4, 4), np.float32))
    blob = functional.interpolate(blob, (height, width), mode="bicubic", align_corners=True)
    tint = torch.from_numpy(rng.uniform(0.6, 1, 3).astype(np.float32))[:, None, None]
    amount = float(np.exp(rng.uniform(np.log(0.02), np.log(0.3))))
    return (clean + amount * (blob * 20).sigmoid() * tint * wave[:, None]).clamp(0, 1)


def _graded(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """Darker, flatter or of other color, half of the time: cameras and graders do."""
    if rng.random() < 0.5:
        return clean
    gain = float(np.exp(rng.uniform(-0.9, 0.1)))
    tint = torch.from_numpy(np.exp(rng.standard_normal(3).astype(np.float32) * 0.05))
    lift_ = float(rng.uniform(0, 0.06))
    return (clean * gain * tint[:, None, None] * (1 - lift_) + lift_).clamp(0, 1)


def _degraded(clean: Tensor, kind: Kind, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Noisy R'G'B', and the same without impulses, which a profile does not count as noise."""
    seed = int(rng.integers(2**31))
    if kind == "impulses":
        base = synth.gaussian(clean, float(rng.uniform(0, 12)) / 255, seed=seed)
        rate = float(np.exp(rng.uniform(np.log(0.001), np.log(0.05))))
        return synth.salt_and_pepper(base, rate, seed=seed + 1), base
    if kind == "gaussian":
        noisy = synth.gaussian(clean, float(rng.uniform(0, 55)) / 255, seed=seed)
    elif kind == "sensor":
        noisy = _sensor(clean, rng, seed)
    elif kind == "film":
        noisy = _film(clean, rng, seed)
    elif kind == "speckle":
        noisy = synth.speckle(clean, float(rng.uniform(0.02, 0.25)), seed=seed)
    elif kind == "clean":
        noisy = clean
    else:
        before = (_sensor, _film, _white)[rng.integers(3)](clean, rng, seed)
        codec, preset = str(rng.choice(["x264", "x265"])), str(rng.choice(["veryfast", "medium"]))
        noisy = compress(before, codec, float(rng.uniform(12, 30)), preset=preset)
    return noisy, noisy


def _white(clean: Tensor, rng: np.random.Generator, seed: int) -> Tensor:
    return synth.gaussian(clean, float(rng.uniform(2, 30)) / 255, seed=seed)


def _sensor(clean: Tensor, rng: np.random.Generator, seed: int) -> Tensor:
    """Magnitudes of Brooks et al. 2019: shot noise log-uniform, read noise follows it."""
    shot = float(np.exp(rng.uniform(np.log(1e-4), np.log(2e-2))))
    read = float(np.exp(2.18 * np.log(shot) + 1.20 + 0.26 * rng.standard_normal()))
    gains = (float(rng.uniform(1.4, 2.4)), 1.0, float(rng.uniform(1.3, 2.2)))
    return synth.sensor(
        clean, shot, read, seed=seed, gains=gains, subsample=bool(rng.random() < 0.7)
    )


def _film(clean: Tensor, rng: np.random.Generator, seed: int) -> Tensor:
    return synth.film_grain(
        clean,
        float(rng.uniform(2, 28)) / 255,
        size=float(rng.uniform(0.5, 1.8)),
        color=float(rng.uniform(0.05, 0.9)),
        seed=seed,
    )


def true_noise(
    luma: Tensor, chroma: Tensor, clean_luma: Tensor, clean_chroma: Tensor
) -> NoiseTable:
    """The profile of a difference that is known: sigma by level, spectrum, correlation in time.

    Args:
        luma, clean_luma: (T, 1, H, W).
        chroma, clean_chroma: (T, 2, h, w).
    """
    level = clean_luma.clamp(0, 1)
    factor = luma.shape[-1] // chroma.shape[-1]
    small = functional.avg_pool2d(level, factor)
    errors = [(luma - clean_luma)[:, 0], *(chroma - clean_chroma).unbind(1)]
    sigma = [_by_level(errors[0], level[:, 0]), *(_by_level(e, small[:, 0]) for e in errors[1:])]
    spectrum = torch.stack([_spectrum(e) for e in errors])
    a, b = errors[0][:-1], errors[0][1:]
    power = float(errors[0].square().mean())
    rho = float((a * b).mean()) / power if len(a) and power > 1e-8 else 0.0
    return NoiseTable(torch.stack(sigma), spectrum, min(max(rho, -1.0), 1.0))


def _by_level(error: Tensor, level: Tensor) -> Tensor:
    """(17,): RMS of the error around each level, drawn to the overall one where there is little."""
    place = (level.flatten() * (LEVELS - 1)).round().long()
    square = error.flatten().square()
    count = torch.bincount(place, minlength=LEVELS).float()
    total = torch.bincount(place, weights=square, minlength=LEVELS).float()
    at = torch.arange(LEVELS).float()
    near = (-0.5 * (at[:, None] - at).square()).exp()
    prior = 0.002 * len(square)
    mean = float(square.mean())
    return ((near @ total + prior * mean) / (near @ count + prior)).sqrt()


def _spectrum(error: Tensor) -> Tensor:
    """(16, 16) mean square DCT coefficients of (T, H, W), mean 1; white where there is nothing."""
    blocks = error.unfold(1, SPECTRUM, SPECTRUM).unfold(2, SPECTRUM, SPECTRUM)
    dct = dct_matrix(SPECTRUM)
    power = (dct @ blocks @ dct.T).square().mean((0, 1, 2))
    mean = power.mean()
    return power / mean if float(mean) > 1e-8 else torch.ones(SPECTRUM, SPECTRUM)


def _drawn(rng: np.random.Generator, shares: dict[T, float]) -> T:
    """A key, by its share."""
    weights = np.array(list(shares.values()))
    return list(shares)[rng.choice(len(weights), p=weights / weights.sum())]
