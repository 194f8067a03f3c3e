"""What lies between two readings of the same noise."""

from __future__ import annotations

import math

import torch

from vdenoise.picture.noise import PlaneNoise, ShotNoise

_TINY = 1e-12


def between(one: ShotNoise, other: ShotNoise) -> ShotNoise:
    """The shot as ``one`` says, its noise the geometric mean of both readings."""
    planes = {
        name: None if a is None or b is None else _plane(a, b)
        for name, a, b in (
            ("y", one.y, other.y),
            ("cb", one.cb, other.cb),
            ("cr", one.cr, other.cr),
        )
    }
    reasons = (*one.reasons, *other.reasons)
    confidence = min(one.confidence, other.confidence)
    return one.model_copy(update={**planes, "reasons": reasons, "confidence": confidence})


def _plane(a: PlaneNoise, b: PlaneNoise) -> PlaneNoise:
    """Level by level, and frequency by frequency."""
    spectrum = (torch.tensor(a.spectrum) * torch.tensor(b.spectrum)).clamp(min=_TINY).sqrt()
    return PlaneNoise(
        sigma=tuple(math.sqrt(x * y) for x, y in zip(a.sigma, b.sigma, strict=True)),
        mean_sigma=math.sqrt(a.mean_sigma * b.mean_sigma),
        spectrum=tuple(map(tuple, (spectrum / spectrum.mean()).tolist())),
    )
