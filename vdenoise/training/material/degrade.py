"""Clean clips made harder and worse: fine textures, other exposure, noise of every kind; and the
noise profile that a run would measure of it."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from vdenoise.degrade import synth
from vdenoise.media.roundtrip import compress
from vdenoise.picture.block_passes import dct_matrix
from vdenoise.picture.noise_table import LEVELS, SPECTRUM, NoiseTable
from vdenoise.sampling.schedules import Schedule, noise_level

_STRONGEST = 55 / 255  # sigma of white noise
_FEW = 100  # pixels of a level: with fewer its mean is mostly chance

Kind = Literal[
    "gaussian", "colored", "sensor", "film", "compressed", "impulses", "speckle", "clean"
]
Share = Annotated[float, Field(ge=0, le=1)]


class Mixture(BaseModel):
    """What examples of every sort are made of, as shares; each sort has its own defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stills: Share = Field(description="Share made of stills, set in motion where there is any.")
    patterns: Share = Field(description="Share with a fine regular texture laid over a part.")
    clipped: Share = Field(description="Share cut at black and white, as R'G'B' files are.")
    kinds: dict[Kind, float] = Field(description="Share of each kind of noise.")
    strengths: Schedule = Field(
        default="linear",
        description="How strengths of white noise are spread, up to 55 codes: as that schedule of "
        "a sampler spends its time. Linear: all alike; cosine and karras: more weak noise.",
    )


def patterned(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """A grating, a weave or a wire fence over a part of (T, 3, H, W), moving evenly.

    Footage that was scaled down or compressed has hardly any structure near the highest
    frequencies, and a network that never saw any takes it for noise.
    """
    count, _, height, width = clean.shape
    at = torch.arange(count, dtype=torch.float32)[:, None, None]
    y = torch.arange(height, dtype=torch.float32)[:, None]
    x = torch.arange(width, dtype=torch.float32)
    vx, vy = (float(v) for v in rng.standard_normal(2) * rng.choice([0.0, 0.3, 2.0]))
    x, y = x - vx * at, y - vy * at
    blob = torch.from_numpy(rng.standard_normal((1, 1, 4, 4), np.float32))
    blob = functional.interpolate(blob, (height, width), mode="bicubic", align_corners=True)
    where = (blob * 20).sigmoid()
    if rng.random() < 0.5:
        return _fenced(clean, where, x, y, rng)
    wave = torch.ones(())
    for _ in range(int(rng.integers(1, 3))):
        frequency, angle = float(rng.uniform(0.12, 0.5)), float(rng.uniform(0, np.pi))
        along = x * np.cos(angle) + y * np.sin(angle)
        wave = wave * torch.sin(2 * np.pi * frequency * along + float(rng.uniform(0, 6.3)))
    tint = torch.from_numpy(rng.uniform(0.6, 1, 3).astype(np.float32))[:, None, None]
    amount = float(np.exp(rng.uniform(np.log(0.02), np.log(0.3))))
    return (clean + amount * where * tint * wave[:, None]).clamp(0, 1)


def _fenced(clean: Tensor, where: Tensor, x: Tensor, y: Tensor, rng: np.random.Generator) -> Tensor:
    """Wires that cross, of one color, with the picture seen between them."""
    angle, half = float(rng.uniform(0, np.pi)), float(rng.uniform(0.3, np.pi / 4))
    frequency, thin = float(rng.uniform(0.1, 0.45)), float(rng.uniform(1, 3))
    wires = torch.zeros(())
    for turned in (angle - half, angle + half):
        along = x * np.cos(turned) + y * np.sin(turned)
        wires = wires.maximum((0.5 + 0.5 * torch.cos(2 * np.pi * frequency * along)) ** thin)
    color = float(rng.uniform(0, 1)) * torch.from_numpy(rng.uniform(0.7, 1, 3).astype(np.float32))
    amount = float(rng.uniform(0.1, 0.8))
    return torch.lerp(clean, color[:, None, None].expand_as(clean), amount * where * wires[:, None])


def graded(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """Darker, flatter, harder or of other color, half of the time: cameras and graders do.

    Blacks are lifted or crushed, and whites blown out: where noise was cut at an end, a network
    has to know black and white from what lies beside them.
    """
    if rng.random() < 0.5:
        return clean
    gain = float(np.exp(rng.uniform(-0.9, 0.4)))
    tint = torch.from_numpy(np.exp(rng.standard_normal(3).astype(np.float32) * 0.05))
    lift_ = float(rng.uniform(-0.08, 0.06))
    return (clean * gain * tint[:, None, None] * (1 - lift_) + lift_).clamp(0, 1)


def degraded(
    clean: Tensor, kind: Kind, rng: np.random.Generator, strengths: Schedule = "linear"
) -> tuple[Tensor, Tensor]:
    """Noisy R'G'B', and the same without impulses, which a profile does not count as noise.

    Args:
        clean: (T, 3, H, W) in [0, 1].
        kind: of noise.
        rng: how much of it, and which.
        strengths: as `Mixture.strengths`.
    """
    seed = int(rng.integers(2**31))
    if kind == "impulses":
        base = synth.gaussian(clean, float(rng.uniform(0, 12)) / 255, seed=seed)
        rate = float(np.exp(rng.uniform(np.log(0.001), np.log(0.05))))
        return synth.salt_and_pepper(base, rate, seed=seed + 1), base
    if kind == "gaussian":
        level = noise_level(strengths, 1 - float(rng.random()))
        noisy = synth.gaussian(clean, _STRONGEST * level, seed=seed)
    elif kind == "colored":
        noisy = colored(clean, rng)
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


def colored(frames: Tensor, rng: np.random.Generator) -> Tensor:
    """Frames (T, 3, H, W) with noise of a random spectrum, color and dependence on the level.

    What cameras, tapes and codecs make of noise differs more than any list of them says.
    """
    height, width = frames.shape[-2:]
    white = torch.from_numpy(rng.standard_normal(tuple(frames.shape), np.float32))
    fy = torch.fft.fftfreq(height).abs()[:, None]
    fx = torch.fft.rfftfreq(width)
    stretch = float(np.exp(rng.normal(0, 0.5)))  # above 1: finer across than down
    radius = torch.hypot(fy * stretch, fx / stretch)
    fall, corner = float(rng.uniform(-0.3, 1.6)), float(np.exp(rng.uniform(-4, -1.5)))
    shape = (radius.square() + corner**2).sqrt() ** -fall
    if rng.random() < 0.4:  # as behind a sharpener or a scaler
        shape = shape * (-(radius / float(rng.uniform(0.15, 0.5))).square()).exp()
    noise = torch.fft.irfft2(torch.fft.rfft2(white) * shape, (height, width))
    noise = noise / noise.std((0, 2, 3), keepdim=True).clamp(min=1e-6)
    mix = np.eye(3) + rng.normal(0, 0.6, (3, 3)) * rng.choice([0.0, 1.0])
    mix = mix / np.linalg.norm(mix, axis=1, keepdims=True)
    gains = np.exp(rng.normal(0, 0.3, 3))[:, None]
    noise = torch.einsum("rc,tchw->trhw", torch.from_numpy(mix * gains).to(noise), noise)
    level = frames.clamp(0, 1)
    power = float(rng.uniform(-1, 1))  # of shot noise above 0, of grain in shadows below
    strength = (0.15 + level) ** (0.5 * power)
    sigma = float(rng.uniform(0, 40)) / 255
    return frames + sigma * strength / strength.square().mean().sqrt() * noise


def unshifted(noisy: Tensor, clean: Tensor) -> Tensor:
    """Noisy R'G'B' (T, 3, H, W) less what its noise adds to a level on the average.

    Noise that is cut off at black makes blacks lighter. No measurement can tell that from the
    picture, so a profile does not count it as noise.
    """
    steps = 128
    place = (clean.clamp(0, 1) * (steps - 1)).round().long()
    error = noisy - clean
    found = torch.empty_like(noisy)
    for channel in range(noisy.shape[1]):
        at, e = place[:, channel], error[:, channel]
        count = torch.bincount(at.flatten(), minlength=steps)
        total = torch.bincount(at.flatten(), weights=e.flatten(), minlength=steps)
        shift = (total / (count + _FEW)).to(noisy)
        found[:, channel] = noisy[:, channel] - shift[at]
    return found


def true_noise(
    luma: Tensor,
    chroma: Tensor,
    clean_luma: Tensor,
    clean_chroma: Tensor,
    seen: Tensor | None = None,
) -> NoiseTable:
    """The profile of a difference that is known: sigma by level, spectrum, correlation in time.

    Args:
        luma, clean_luma: (T, 1, H, W).
        chroma, clean_chroma: (T, 2, h, w).
        seen: (T, 1, H, W) the levels at which a measurement finds that noise, where they are not
            those of the clean luma: clipping moves them.
    """
    level = (clean_luma if seen is None else seen).clamp(0, 1)
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
