"""Encodings by name: how samples of log curves, PQ and HLG, and scene-linear ones, stand for light.

Each is the curve of its maker or standard, from samples (nominally 0 to 1) to light and back. Where
it starts out flat or ends, it goes on as a straight line, so that it rises strictly over all
numbers and has an inverse. Light is in each curve's own unit: it is needed only to know where
noise is even, and nothing is converted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]

LINEAR = "linear"
_HIGHEST = 1.5  # samples above are a straight line: floating-point ones may be anything
_DARKEST = 0.05  # PQ and HLG are straight below this: they would magnify noise in black


@dataclass(frozen=True)
class Encoding:
    """How samples stand for light; both functions take and give tensors of any shape."""

    title: str  # for people
    light: Function  # of samples
    samples: Function  # of light


def _straightened(
    title: str, light: Function, samples: Function, low: float, rise: float | None = None
) -> Encoding:
    """A curve with straight pieces below the sample ``low`` and above `_HIGHEST`.

    Args:
        title: for people.
        light, samples: the curve and its inverse, exact between the two.
        low: where it begins.
        rise: light per sample below ``low``; None is the curve's own there.
    """
    ends, step = torch.tensor([low, _HIGHEST], dtype=torch.float64), 1e-6
    bottom, top = light(ends).tolist()
    slopes = ((light(ends + step) - light(ends)) / step).tolist()
    below, above = slopes[0] if rise is None else rise, slopes[1]

    def to_light(y: Tensor) -> Tensor:
        within = light(y.clamp(low, _HIGHEST))
        line = torch.where(y < low, (y - low) * below + bottom, (y - _HIGHEST) * above + top)
        return torch.where((y < low) | (y > _HIGHEST), line, within)

    def to_samples(x: Tensor) -> Tensor:
        within = samples(x.clamp(bottom, top))
        line = torch.where(x < bottom, (x - bottom) / below + low, (x - top) / above + _HIGHEST)
        return torch.where((x < bottom) | (x > top), line, within)

    return Encoding(title, to_light, to_samples)


def _log(
    title: str,
    a: float,
    b: float,
    c: float,
    d: float,
    *,
    cut: float = 0.0,
    slope: float | None = None,
) -> Encoding:
    """``c log10(a x + b) + d`` from the light ``cut`` on, below it a line of ``slope`` (samples
    per light; None: that of the curve)."""
    return _straightened(
        title,
        lambda y: (((y - d) * (math.log(10) / c)).exp() - b) / a,
        lambda x: (x * a + b).log10() * c + d,
        low=c * math.log10(a * cut + b) + d,
        rise=None if slope is None else 1 / slope,
    )


# Rec. ITU-R BT.2100-2 table 4
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def _pq_light(y: Tensor) -> Tensor:
    power = y.double() ** (1 / _M2)
    return (((power - _C1).clamp(min=0) / (_C2 - _C3 * power)) ** (1 / _M1)).to(y.dtype)


def _pq_samples(x: Tensor) -> Tensor:
    power = x.double().clamp(min=0) ** _M1
    return (((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2).to(x.dtype)


# Rec. ITU-R BT.2100-2 table 5
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073


def _hlg_light(y: Tensor) -> Tensor:
    return torch.where(y <= 0.5, y.square() / 3, (((y - _C) / _A).exp() + _B) / 12)


def _hlg_samples(x: Tensor) -> Tensor:
    bright = (12 * x.clamp(min=1 / 12) - _B).log() * _A + _C
    return torch.where(x <= 1 / 12, (3 * x.clamp(min=0)).sqrt(), bright)


def _same(x: Tensor) -> Tensor:
    return x


_LOG2 = math.log10(2)  # of a logarithm to base 2: times this
_LOGC4_A, _LOGC4_B, _LOGC4_C = (2**18 - 16) / 117.45, (1023 - 95) / 1023, 95 / 1023

# Sony: Technical Summary for S-Gamut3.Cine/S-Log3; Panasonic: V-Log/V-Gamut Reference Manual; ARRI:
# Log C3 at EI 800, and Log C4 Specification; Canon Log; Kodak Cineon: 0.002 density a code, white
# at 685, black at 95; Academy S-2016-001
ENCODINGS: dict[str, Encoding] = {
    "slog3": _log(
        "S-Log3",
        1 / 0.19,
        0.01 / 0.19,
        261.5 / 1023,
        420 / 1023,
        cut=0.01125,
        slope=(171.2102946929 - 95) / 0.01125 / 1023,
    ),
    "vlog": _log("V-Log", 1, 0.00873, 0.241514, 0.598206, cut=0.01, slope=5.6),
    "logc3": _log("LogC3", 5.555556, 0.052272, 0.247190, 0.385537, cut=0.010591, slope=5.367655),
    "logc4": _log(
        "LogC4",
        _LOGC4_A,
        64,
        _LOGC4_B / 14 / _LOG2,
        _LOGC4_C - 6 / 14 * _LOGC4_B,
        cut=(2 ** (6 - 14 * _LOGC4_C / _LOGC4_B) - 64) / _LOGC4_A,
    ),
    "clog": _log("C-Log", 10.1596 / 0.9, 1, 0.529136, 0.0730597),
    # Noise around black goes on along Cineon's curve; it ends at the light -0.0109
    "cineon": _log("Cineon", 1 - 0.0108, 0.0108, 300 / 1023, 685 / 1023, cut=-0.008),
    "acescct": _log(
        "ACEScct", 1, 0, 1 / 17.52 / _LOG2, 9.72 / 17.52, cut=0.0078125, slope=10.5402377416545
    ),
    "pq": _straightened("PQ", _pq_light, _pq_samples, _DARKEST),
    "hlg": _straightened("HLG", _hlg_light, _hlg_samples, _DARKEST),
    LINEAR: Encoding("scene-linear", _same, _same),
}
