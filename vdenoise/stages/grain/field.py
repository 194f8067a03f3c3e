"""What the stages that draw grain share: fields of a wanted color, at a wanted strength.

Noise that is left and grain put on top are independent, so their powers add up, frequency by
frequency. What is left is coarser than what was removed; the grain on top lacks those frequencies.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from vdenoise.picture.block import Signal
from vdenoise.picture.noise_table import SPECTRUM
from vdenoise.picture.random_at import normal
from vdenoise.picture.windows import lag_table, taps_sum
from vdenoise.stages.base import Role
from vdenoise.stages.finishing import Finisher, Part

# A filter as a sum of products: taps down and taps across, both odd and centered
Filter = tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]
# Power of a field of variance 1 at the frequencies of an FFT of _FINE x _FINE pixels
Color = tuple[tuple[float, ...], ...]

_FINE = 2 * SPECTRUM
FIELD_MARGIN = 8  # pixels each side over which grain is alike at most: white noise asked for
_PARTS = 4  # products a filter is made of at most
_ENOUGH = 0.9995  # share of a filter's energy that its products must hold
_STEPS = 4  # from no noise left to as much as the grain wanted: each has its filter
# Over how many DCT coefficients (of 16) the power of what is left, against that of the noise there
# was, falls to 1/e, in luma and in chroma: much the same behind any spatial filter and the networks
_FALL = (8.5, 5.5)
_TINY = 1e-9


class DrawnGrain(Finisher):
    """Adds grain that depends on seed, frame, plane and pixel alone.

    Only as much is added, in strength and at each frequency, as the noise that is still there
    leaves wanting.
    """

    slot: ClassVar[str] = "grain"
    role: ClassVar[Role] = "grain"

    def color(self, plane: int) -> Color:
        """The power spectrum wanted."""
        raise NotImplementedError

    def wanted(self, part: Part) -> Tensor:
        """(T, C, H, W): sigma of the grain wanted, in full-scale units."""
        raise NotImplementedError

    def finish(self, part: Part) -> Signal:
        """Fill what is left of the source's noise up to the grain wanted."""
        pixels, chroma = part.signal.pixels, part.planes[0] > 0
        there = part.sigma * (part.signal.residual * part.residual_factor).clamp(max=1)
        wanted = self.wanted(part)
        lacking = (wanted.square() - there.square()).clamp(min=0)
        share = (there / wanted.clamp(min=_TINY)).square().clamp(max=1)
        field = torch.empty_like(pixels, dtype=torch.float32)
        for c, plane in enumerate(part.planes):
            color = self.color(plane)
            residual = residual_of(_rows(part.noise.spectrum[c]), _FALL[chroma])
            for t in range(len(pixels)):
                words = part.seed, part.first + t, plane
                field[t, c] = _fitted(color, residual, share[t, c], part.corner, words)
        grain = field.to(pixels) * (lacking.sqrt() * self.strength)
        return Signal(pixels + grain, part.signal.residual.clone())


def _fitted(
    color: Color, residual: Color, share: Tensor, corner: tuple[int, int], words: tuple[int, ...]
) -> Tensor:
    """(H, W) float32 grain of variance 1, which makes up with what is left for the color wanted.

    Args:
        color: wanted of both together.
        residual: what is left has.
        share: (H, W) of the variance wanted that is left, 0 to 1. Between the steps that have
            filters fields are mixed, which are alike: they come from the same white noise.
        corner: row and column of the first pixel.
        words: of the random numbers.
    """
    (top, side), (height, width) = corner, share.shape
    white = normal(
        range(top - FIELD_MARGIN, top + height + FIELD_MARGIN),
        range(side - FIELD_MARGIN, side + width + FIELD_MARGIN),
        *words,
        device=share.device,
    )
    total = torch.zeros(height, width, device=share.device)
    place = share.float() * _STEPS
    for step in range(_STEPS + 1):
        weight = (1 - (place - step).abs()).clamp(min=0)
        if bool(weight.any()):
            total += weight * filtered(white, filter_for(color, residual, step))
    return total


def filtered(white: Tensor, through: Filter) -> Tensor:
    """(H + 16, W + 16) white noise through a filter: (H, W)."""
    total: Tensor = torch.zeros_like(white[FIELD_MARGIN:-FIELD_MARGIN, FIELD_MARGIN:-FIELD_MARGIN])
    for down, across in through:
        total += taps_sum(taps_sum(white, across, -1), down, -2)
    return total


@cache
def bell(size: float) -> Color:
    """Grain of one size: white noise through a bell of this standard deviation, in pixels."""
    x = torch.arange(_FINE, dtype=torch.float64)
    x = torch.minimum(x, _FINE - x)
    taps = torch.exp(-0.5 * (x / size) ** 2) if size else (x == 0).double()
    taps[FIELD_MARGIN + 1 : -FIELD_MARGIN] = 0
    power = torch.fft.fft(taps / taps.norm()).abs().square()
    return _rows(power[:, None] * power)


def correlation(spectrum: Tensor) -> Tensor:
    """(16, 16): correlation of noise at lags 0 to 15 down and across, from its spectrum.

    The mean square of a block's DCT coefficient is a sum over all lags of the correlation there,
    times how often pixels of the block lie at that lag: 16 equations for 16 lags on each axis. (The
    mean product of pixels in the block would take the coefficients for independent; they are not,
    and correlation at lag 1 comes out 5 % low.) 1 at lag (0, 0).
    """
    pairs = torch.arange(SPECTRUM, 0, -1, dtype=torch.float64) * 2
    pairs[0] /= 2
    sums = lag_table() * pairs
    found: Tensor = torch.linalg.solve(sums, spectrum.double().cpu())
    found = torch.linalg.solve(sums, found.T).T
    return found / found[0, 0].clamp(min=1e-12)


@lru_cache(maxsize=64)
def color_of(spectrum: Color) -> Color:
    """Find the color of noise with this spectrum (16x16 mean squares of DCT coefficients)."""
    lags = correlation(torch.tensor(spectrum, dtype=torch.float64))
    fade = torch.cos(torch.pi / 2 * torch.arange(SPECTRUM, dtype=torch.float64) / SPECTRUM) ** 2
    lags = lags * fade[:, None] * fade
    whole = torch.zeros(_FINE, _FINE, dtype=torch.float64)
    for down in (1, -1):
        for across in (1, -1):
            y, x = (
                (down * torch.arange(SPECTRUM)) % _FINE,
                (across * torch.arange(SPECTRUM)) % _FINE,
            )
            whole[y[:, None], x] = lags
    power = torch.fft.fft2(whole).real.clamp(min=0)
    return _rows(power / power.mean())


@lru_cache(maxsize=64)
def residual_of(spectrum: Color, fall: float) -> Color:
    """The color of what is left of noise with this spectrum."""
    k = torch.arange(SPECTRUM, dtype=torch.float64)
    kept = torch.exp(-(k[:, None].square() + k.square()).sqrt() / fall)
    return color_of(_rows(torch.tensor(spectrum, dtype=torch.float64) * kept))


@lru_cache(maxsize=256)
def filter_for(color: Color, residual: Color = (), step: int = 0) -> Filter:
    """The filter that gives white noise a color, less that of what is left; it keeps the variance.

    Args:
        color: wanted of grain and what is left together.
        residual: of what is left; not looked at in the first step.
        step: how much of the variance wanted is left, in parts of `_STEPS`.
    """
    power = torch.tensor(color, dtype=torch.float64)
    if step:
        lacking = (power - torch.tensor(residual, dtype=torch.float64) * (step / _STEPS)).clamp(
            min=0
        )
        # All of it there, and of the same color: any will do, for none is drawn
        power = lacking if lacking.mean() > _TINY else power
    kernel = torch.fft.fftshift(torch.fft.ifft2(power.sqrt()).real)
    middle = slice(SPECTRUM - FIELD_MARGIN, SPECTRUM + FIELD_MARGIN + 1)
    return _products(kernel[middle, middle])


def _products(kernel: Tensor) -> Filter:
    """A kernel as a sum of few separable ones, scaled to keep the variance of white noise."""
    left, weight, right = torch.linalg.svd(kernel)
    energy = weight.square().cumsum(0) / weight.square().sum()
    count = min(int((energy < _ENOUGH).sum()) + 1, _PARTS)
    scale = 1 / weight[:count].square().sum().sqrt()
    return tuple((_taps(left[:, n] * weight[n] * scale), _taps(right[n])) for n in range(count))


def _rows(values: Tensor) -> Color:
    return tuple(tuple(row) for row in values.tolist())


def _taps(values: Tensor) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
