"""What the stages that draw grain share: fields of a wanted color, at a wanted strength."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from vdenoise.draws import normal
from vdenoise.frame import Signal
from vdenoise.noise.profile import SPECTRUM
from vdenoise.stages.base import Role
from vdenoise.stages.finish import Finisher, Part
from vdenoise.stages.local import lag_table, taps_sum

# A filter as a sum of products: taps down and taps across, both odd and centered
Filter = tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]

_REACH = 8  # pixels each side over which grain is alike at most
_PARTS = 4  # products a filter is made of at most
_ENOUGH = 0.9995  # share of a filter's energy that its products must hold
# Stages know flat noise; on pictures, flats and textures alike, 1.0 to 1.3 times as much is left of
# it behind the default chain as they say
_ON_PICTURES = 1.25


class DrawnGrain(Finisher):
    """Adds grain that depends on seed, frame, plane and pixel alone.

    Only as much is added as the noise that is still there leaves wanting.
    """

    slot: ClassVar[str] = "grain"
    role: ClassVar[Role] = "grain"
    subcode: ClassVar[bool] = False

    def color(self, plane: int) -> Filter:
        """What gives white noise the grain's color; keeps its variance."""
        raise NotImplementedError

    def wanted(self, part: Part) -> Tensor:
        """(T, C, H, W): sigma of the grain wanted, in full-scale units."""
        raise NotImplementedError

    def finish(self, part: Part) -> Signal:
        """Fill what is left of the source's noise up to the grain wanted."""
        pixels = part.signal.pixels
        there = part.sigma * (part.signal.left * _ON_PICTURES).clamp(max=1)
        lacking = self.wanted(part).square() - there.square()
        sigma = lacking.clamp(min=0).sqrt() * self.strength
        height, width = pixels.shape[-2:]
        (top, left), device = part.corner, pixels.device
        field = torch.stack(
            [
                torch.stack(
                    [
                        _field(
                            self.color(plane),
                            range(top, top + height),
                            range(left, left + width),
                            (part.seed, part.first + t, plane),
                            device,
                        )
                        for plane in part.planes
                    ]
                )
                for t in range(len(pixels))
            ]
        )
        return Signal(pixels + field.to(pixels) * sigma, part.signal.left.clone())


def _field(
    color: Filter, rows: range, columns: range, words: tuple[int, ...], device: torch.device
) -> Tensor:
    """(H, W) float32 grain of variance 1."""
    reach = max(len(taps) // 2 for pair in color for taps in pair)
    white = normal(
        range(rows.start - reach, rows.stop + reach),
        range(columns.start - reach, columns.stop + reach),
        *words,
        device=device,
    )
    total = torch.zeros(len(rows), len(columns), device=device)
    for down, across in color:
        y, x = reach - len(down) // 2, reach - len(across) // 2
        inner = white[y : white.shape[0] - y, x : white.shape[1] - x]
        total += taps_sum(taps_sum(inner, across, -1), down, -2)
    return total


def bell(size: float) -> Filter:
    """Grain of one size: the filter is a bell of this standard deviation, in pixels."""
    if size == 0:
        return (((1.0,), (1.0,)),)
    x = torch.arange(-_REACH, _REACH + 1, dtype=torch.float64)
    values = torch.exp(-0.5 * (x / size) ** 2)
    taps = _taps(values / values.norm())
    return ((taps, taps),)


def correlation(spectrum: Tensor) -> Tensor:
    """(16, 16): correlation of noise at lags 0 to 15 down and across, from its spectrum.

    The mean product of two pixels of a block, over all pairs at that lag, from the mean squares of
    the block's DCT coefficients; 1 at lag (0, 0).
    """
    table = lag_table()
    found = table.T @ spectrum.double().cpu() @ table
    return found / found[0, 0].clamp(min=1e-12)


@cache
def filter_for(spectrum: tuple[tuple[float, ...], ...]) -> Filter:
    """The filter that gives white noise this spectrum (16x16 mean squares)."""
    lags = correlation(torch.tensor(spectrum, dtype=torch.float64))
    fade = torch.cos(torch.pi / 2 * torch.arange(SPECTRUM, dtype=torch.float64) / SPECTRUM) ** 2
    lags = lags * fade[:, None] * fade
    size = 2 * SPECTRUM
    whole = torch.zeros(size, size, dtype=torch.float64)
    for down in (1, -1):
        for across in (1, -1):
            y, x = (down * torch.arange(SPECTRUM)) % size, (across * torch.arange(SPECTRUM)) % size
            whole[y[:, None], x] = lags
    gain = torch.fft.fft2(whole).real.clamp(min=0).sqrt()
    kernel = torch.fft.fftshift(torch.fft.ifft2(gain).real)
    middle = slice(SPECTRUM - _REACH, SPECTRUM + _REACH + 1)
    return _products(kernel[middle, middle])


def _products(kernel: Tensor) -> Filter:
    """A kernel as a sum of few separable ones, scaled to keep the variance of white noise."""
    left, weight, right = torch.linalg.svd(kernel)
    energy = weight.square().cumsum(0) / weight.square().sum()
    count = min(int((energy < _ENOUGH).sum()) + 1, _PARTS)
    scale = 1 / weight[:count].square().sum().sqrt()
    return tuple((_taps(left[:, n] * weight[n] * scale), _taps(right[n])) for n in range(count))


def _taps(values: Tensor) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
