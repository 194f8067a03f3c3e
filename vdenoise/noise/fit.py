"""From the blocks of a shot's samples to its `ShotNoise`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vdenoise.noise.levels import flat_variance, floor, look_up, variance_by_level
from vdenoise.noise.pairs import PlaneBlocks
from vdenoise.noise.profile import LEVELS, SPECTRUM, PlaneNoise, ShotNoise

_FEW = 60  # blocks: with fewer the reading is uncertain by 5 % or more
_TINY = 1e-12
_MOVED = 0.85  # sum / difference in flat blocks below which motion was not followed
_FROZEN = 1.2  # and above which noise may stand still


@dataclass(frozen=True, eq=False)
class Sample:
    """One measured frame: each plane's blocks, None where the plane is too small."""

    index: int
    planes: tuple[PlaneBlocks | None, ...]


@dataclass(frozen=True, eq=False)
class PlaneFit:
    """A plane's noise and what speaks for it."""

    noise: PlaneNoise
    correlation: float
    blocks: float
    reasons: tuple[str, ...]


def fit_shot(
    first: int, last: int, pairs: Sequence[Sample], stills: Sequence[Sample], repeats: int
) -> ShotNoise | None:
    """Noise of a shot from its pairs of frames, or from single frames where it has no pairs.

    Returns:
        None where nothing could be measured.
    """
    samples = pairs or stills
    if not samples:
        return None
    fits = []
    for plane in range(len(samples[0].planes)):
        blocks = [b for s in samples if (b := s.planes[plane]) is not None]
        fits.append(_fit(blocks, single=not pairs) if blocks else None)
    luma = fits[0]
    if luma is None:
        return None
    # A chroma plane smaller than a block: nothing is known of it, nothing is taken away.
    zero = PlaneNoise.white(0.0)
    planes = [zero if f is None else f.noise for f in fits]
    impulses = torch.cat([b.impulses for s in samples if (b := s.planes[0]) is not None])
    reasons = list(luma.reasons)
    if not pairs:
        reasons.append("no two different frames to compare: read from flat areas of single frames")
    if luma.blocks < _FEW:
        reasons.append(f"only {luma.blocks:.0f} blocks could be used")
    confidence = min(1.0, luma.blocks / _FEW) * 0.7 ** len(reasons)
    return ShotNoise(
        first=first,
        last=last,
        y=planes[0],
        cb=planes[1] if len(planes) == 3 else None,
        cr=planes[2] if len(planes) == 3 else None,
        temporal_correlation=luma.correlation if pairs else 0.0,
        impulse_rate=impulses.mean().item(),
        repeat_share=repeats / max(last - first, 1),
        confidence=round(confidence, 3),
        reasons=tuple(reasons),
    )


def _fit(blocks: Sequence[PlaneBlocks], *, single: bool) -> PlaneFit:
    level = torch.cat([b.level for b in blocks])
    even = torch.cat([b.even for b in blocks])
    reasons: list[str] = []
    correlation = 0.0
    if single:
        spectrum = _spectrum([(b.even_spectrum, b.even[b.chosen]) for b in blocks])
        value = flat_variance(even, _freedom(spectrum))
        variance = torch.full((LEVELS,), value)
        count = 0.1 * len(level)
    else:
        odd = torch.cat([b.odd for b in blocks if b.odd is not None])
        variance, support = variance_by_level(level, even, odd)
        count = support.sum().item()
        least, alike = floor(level, even, odd, variance)
        if least < _MOVED:
            variance = variance * least
            reasons.append("motion could not be followed everywhere")
        elif least > _FROZEN and alike > 0.3:
            correlation = (least - 1) / (least + 1)
            variance = variance * (least + 1) / 2
            reasons.append("part of the noise stands still")
        spectrum = _spectrum(
            [
                (b.odd_spectrum, b.even[b.chosen] / look_up(variance, b.level[b.chosen]))
                for b in blocks
                if b.odd_spectrum is not None
            ]
        )
    # The energies leave DC out; sigma is of all coefficients.
    whole = spectrum.mean() / ((spectrum.sum() - spectrum[0, 0]) / (SPECTRUM**2 - 1))
    variance = variance * whole
    sigma = variance.clamp(min=0).sqrt()
    noise = PlaneNoise(
        sigma=tuple(sigma.tolist()),
        mean_sigma=look_up(variance, level).mean().clamp(min=0).sqrt().item(),
        spectrum=tuple(tuple(row) for row in (spectrum / spectrum.mean()).tolist()),
    )
    return PlaneFit(noise, correlation, count, tuple(reasons))


def _spectrum(parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Mean normalised spectrum of the flattest of the kept blocks: (16, 16), mean about 1.

    Args:
        parts: squared coefficients (m, 16, 16) and how textured each block is (m,).
    """
    squares = torch.cat([p[0] for p in parts])
    texture = torch.cat([p[1] for p in parts])
    squares = squares[texture <= texture.quantile(0.5)]
    energy = squares.mean((1, 2))
    limit = energy.median() * 4
    squares, energy = squares[energy <= limit], energy[energy <= limit]
    total = squares.mean(0)
    if total.mean() < _TINY:
        return torch.ones(SPECTRUM, SPECTRUM)
    # DC also holds flicker: noise has no more of it than of the next coefficients.
    total[0, 0] = torch.minimum(total[0, 0], 1.2 * torch.maximum(total[0, 1], total[1, 0]))
    return total / total.mean()


def _freedom(spectrum: Tensor) -> float:
    """Number of independent coefficients that a block of this noise amounts to."""
    return (spectrum.sum().square() / spectrum.square().sum()).item()
