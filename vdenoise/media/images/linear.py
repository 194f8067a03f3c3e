"""The curve behind which the noise of scene-linear samples is even, fitted to what is measured.

Sensor noise has the variance ``gain x + read^2`` at the level x (Foi et al. 2008): forty times
stronger in a highlight than in the dark, which no denoiser of one strength can treat. Behind the
generalised Anscombe transform it is the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.picture.color import is_light
from vdenoise.picture.frame import Curve

BLOCK = 8  # pixels each way in which level and noise are taken together
BINS = 24  # groups of blocks of like level, each of the same size
# In flat noise this share of the blocks has less than _QUIET_OF times the noise's variance
# (simulated); texture makes others louder, not quieter.
QUIET, _QUIET_OF = 0.2, 0.74
WHITE = 0.999  # share of the pixels that are to come below 1
USUAL = 0.9  # quantile that most of the picture lies below
HIGHLIGHTS = 50.0  # times that: behind the curve the picture keeps a seventh of the range
LEAST = 1e-4  # of white: less noise in the dark than this is taken for none
DIGITS = 3  # of the curve's numbers: the same on every machine


def fit_curve(frames: Iterable[Sequence[Tensor]]) -> Curve:
    """Fit the curve to a few frames.

    Args:
        frames: for each the (H, W) planes that are denoised, scene-linear.
    """
    levels, variances, whites = [], [], []
    for planes in frames:
        for plane in planes:
            x = plane.to(torch.float32)
            x = torch.where(is_light(x), x, torch.nan)
            finite = x[x.isfinite()]
            if finite.numel():
                step = max(1, finite.numel() // 100_000)
                whites.append(_white(finite[::step]))
            level, variance = _blocks(x)
            levels.append(level)
            variances.append(variance)
    white = max((w for w in whites), default=1.0)
    white = white if white > 0 else 1.0
    level, variance = torch.cat(levels), torch.cat(variances)
    gain, read2 = _line(level, variance) if len(level) >= BINS else (0.0, 0.0)
    read = max(math.sqrt(read2), LEAST * white)
    return Curve(gain=_rounded(gain), read=_rounded(read), white=_rounded(white))


def _white(x: Tensor) -> float:
    """The level that becomes 1: highlights far above the rest of the picture do not set it.

    They may lie above 1. Set by a sun in the frame, it would leave the picture itself a few codes,
    in which nothing can be measured.
    """
    highest, usual = x.quantile(x.new_tensor([WHITE, USUAL])).tolist()
    return float(min(highest, HIGHLIGHTS * usual) if usual > 0 else highest)


def _blocks(x: Tensor) -> tuple[Tensor, Tensor]:
    """Level and noise variance of all blocks without an infinite or missing sample.

    The noise is what is left of a plane after second differences both ways: straight edges and
    ramps vanish (Immerkaer 1996).
    """
    if min(x.shape) < BLOCK + 2:  # a picture without room for one
        return x.new_zeros(0).double(), x.new_zeros(0).double()
    mask = torch.tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6
    rest = functional.conv2d(x[None, None], mask[None, None])
    level = functional.avg_pool2d(x[None, None, 1:-1, 1:-1], BLOCK).flatten()
    variance = functional.avg_pool2d(rest.square(), BLOCK).flatten()
    sound = level.isfinite() & variance.isfinite()
    return level[sound].double(), variance[sound].double()


def _line(level: Tensor, variance: Tensor) -> tuple[float, float]:
    """Gain and variance in the dark, neither below 0, by least squares of relative errors."""
    order = level.argsort()
    points = [
        (level[group].median().item(), variance[group].quantile(QUIET).item() / _QUIET_OF)
        for group in order[:: max(1, len(order) // 1_000_000)].chunk(BINS)
    ]
    x = torch.tensor([max(p[0], 0.0) for p in points], dtype=torch.float64)
    y = torch.tensor([p[1] for p in points], dtype=torch.float64)
    noisy = y > 0
    if not bool(noisy.any()):
        return 0.0, 0.0
    x, y = x[noisy], y[noisy]
    fitted = y
    gain, read2 = 0.0, y.median().item()
    for _ in range(5):
        w = 1 / fitted.square()
        sw, sx, sy = w.sum(), (w * x).sum(), (w * y).sum()
        sxx, sxy = (w * x * x).sum(), (w * x * y).sum()
        spread = (sw * sxx - sx * sx).item()
        gain = ((sw * sxy - sx * sy) / spread).item() if spread > 1e-12 * (sw * sxx).item() else 0.0
        read2 = ((sy - gain * sx) / sw).item()
        if gain < 0:
            gain, read2 = 0.0, (sy / sw).item()
        elif read2 < 0:
            gain, read2 = (sxy / sxx).item(), 0.0
        fitted = (gain * x + read2).clamp(min=y.min().item() / 4)
    return gain, read2


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
