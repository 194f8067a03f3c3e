"""Synthetic noise for tests, samples and training.

Every function takes clean R'G'B' frames (T, 3, H, W), float, nominally [0, 1] in a display curve,
and gives noisy frames of the same kind, *not* clipped unless it says so (a file clips when it is
written). Frame ``t`` is seeded by (seed, first + t) alone, so that any part of a clip gets the
same noise as the whole, on every machine. Compressed noise is made by real encoders:
``vdenoise.media.roundtrip.compress``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.picture.color import KB, KG, KR

Draw = Callable[[np.random.Generator, Tensor], Tensor]


def gaussian(frames: Tensor, sigma: float, *, seed: int, first: int = 0) -> Tensor:
    """White noise of one strength everywhere; ``sigma`` in full-scale units (codes / 255)."""
    return _each(frames, seed, first, lambda rng, x: x + sigma * _normal(rng, x))


def poisson(frames: Tensor, photons: float, *, seed: int, first: int = 0) -> Tensor:
    """Photon counting with ``photons`` at white: variance = level / photons."""

    def draw(rng: np.random.Generator, x: Tensor) -> Tensor:
        expected = x.clamp(min=0).double().cpu().numpy() * photons
        return torch.from_numpy(rng.poisson(expected) / photons).to(x)

    return _each(frames, seed, first, draw)


def salt_and_pepper(frames: Tensor, rate: float, *, seed: int, first: int = 0) -> Tensor:
    """A share ``rate`` of the pixels becomes black or white, all three channels together."""

    def draw(rng: np.random.Generator, x: Tensor) -> Tensor:
        u = torch.from_numpy(rng.random(x.shape[-2:], dtype=np.float32)).to(x.device)
        return x.masked_fill(u < rate / 2, 0.0).masked_fill(u >= 1 - rate / 2, 1.0)

    return _each(frames, seed, first, draw)


def speckle(frames: Tensor, sigma: float, *, seed: int, first: int = 0) -> Tensor:
    """Multiplicative noise: x + x * sigma * n."""
    return _each(frames, seed, first, lambda rng, x: x + x * (sigma * _normal(rng, x)))


def sensor(
    frames: Tensor,
    shot: float,
    read: float,
    *,
    seed: int,
    first: int = 0,
    gains: tuple[float, float, float] = (2.0, 1.0, 1.7),
    subsample: bool = True,
) -> Tensor:
    """Camera noise: Poisson-Gaussian in linear light, Bayer mosaic, white balance, curve, 4:2:0.

    Variance of a photosite is ``shot * signal + read`` (Foi et al. 2008; magnitudes as Brooks et
    al. 2019: shot 1e-4 to 1e-2). The noise alone goes through the bilinear demosaic, so that the
    clean picture keeps its detail; with ``subsample`` the noise's chroma is averaged over 2x2
    pixels as 4:2:0 does. Clipped to [0, 1] as a camera does.
    """
    balance = frames.new_tensor(gains)[:, None, None]

    def draw(rng: np.random.Generator, x: Tensor) -> Tensor:
        raw = _to_linear(x.clamp(0, 1)) / balance
        noise = _normal(rng, x) * (shot * raw + read).sqrt()
        noisy = _to_curve((raw + _demosaic(noise)).mul(balance).clamp(0, 1))
        if subsample:
            noisy = x + _average_chroma(noisy - x)
        return noisy.clamp(0, 1)

    return _each(frames, seed, first, draw)


def film_grain(
    frames: Tensor,
    sigma: float,
    *,
    size: float = 1.0,
    color: float = 0.4,
    seed: int,
    first: int = 0,
) -> Tensor:
    """Grain: blurred Gaussian noise, strongest in the mid-tones, partly common to the channels.

    Args:
        frames: (T, 3, H, W).
        sigma: at mid-gray, full-scale units; a third of it at black and white.
        size: standard deviation of the grain's blur, pixels.
        color: share of the variance that each channel has for itself.
        seed: of the clip.
        first: absolute index of frames[0].
    """
    radius = max(1, math.ceil(3 * size))
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1).double() / size) ** 2)
    taps = (taps / taps.norm()).to(frames)

    def field(rng: np.random.Generator, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        white = rng.standard_normal((4, height + 2 * radius, width + 2 * radius), np.float32)
        soft = torch.from_numpy(white).to(x)[:, None]
        soft = functional.conv2d(soft, taps[None, None, :, None])
        soft = functional.conv2d(soft, taps[None, None, None, :])[:, 0]
        return math.sqrt(1 - color) * soft[:1] + math.sqrt(color) * soft[1:]

    def draw(rng: np.random.Generator, x: Tensor) -> Tensor:
        level = _luma(x).clamp(0, 1)
        strength = sigma * (1 / 3 + 2 / 3 * 4 * level * (1 - level))
        return x + strength * field(rng, x)

    return _each(frames, seed, first, draw)


def _each(frames: Tensor, seed: int, first: int, draw: Draw) -> Tensor:
    """Apply ``draw`` frame by frame, each with its own counter-based generator (Philox)."""
    assert frames.ndim == 4 and frames.shape[1] == 3, "frames are (T, 3, H, W)"
    rngs = (
        np.random.Generator(np.random.Philox(key=[seed, first + t])) for t in range(len(frames))
    )
    return torch.stack([draw(rng, x) for rng, x in zip(rngs, frames, strict=True)])


def _normal(rng: np.random.Generator, like: Tensor) -> Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(like.shape), np.float32)).to(like)


def _luma(x: Tensor) -> Tensor:
    """(3, H, W) to (1, H, W)."""
    return torch.einsum("c,chw->hw", x.new_tensor((KR, KG, KB)), x)[None]


def _to_linear(x: Tensor) -> Tensor:
    """The sRGB decoding curve, IEC 61966-2-1."""
    return torch.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055).clamp(min=0) ** 2.4)


def _to_curve(x: Tensor) -> Tensor:
    """The sRGB encoding curve, IEC 61966-2-1."""
    return torch.where(x <= 0.0031308, x * 12.92, 1.055 * x.clamp(min=0) ** (1 / 2.4) - 0.055)


def _demosaic(noise: Tensor) -> Tensor:
    """Keep each channel's RGGB sites of (3, H, W) and interpolate the rest bilinearly."""
    height, width = noise.shape[-2:]
    mask = noise.new_zeros(3, height, width)
    mask[0, 0::2, 0::2] = 1
    mask[1, 0::2, 1::2] = 1
    mask[1, 1::2, 0::2] = 1
    mask[2, 1::2, 1::2] = 1
    tap = noise.new_tensor([1.0, 2.0, 1.0])
    kernel = (tap[:, None] * tap).expand(3, 1, 3, 3)
    both = torch.stack([noise * mask, mask])
    total, weight = functional.conv2d(both, kernel, padding=1, groups=3)
    return torch.where(mask > 0, noise, total / weight.clamp(min=1e-12))


def _average_chroma(rgb: Tensor) -> Tensor:
    """Average the color difference of (3, H, W) over 2x2 pixels; luma stays."""
    luma = _luma(rgb)
    height, width = rgb.shape[-2:]
    color = functional.pad((rgb - luma)[None], (0, width % 2, 0, height % 2), mode="replicate")
    color = functional.avg_pool2d(color, 2).repeat_interleave(2, -1).repeat_interleave(2, -2)
    return luma + color[0, :, :height, :width]
