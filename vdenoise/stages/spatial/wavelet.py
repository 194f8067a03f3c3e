"""Undecimated wavelet shrinkage with the noise of each band known from the spectrum."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from vdenoise.picture.block import Signal
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.windows import box, noise_share, pad, power, taps_sum, wiener_gain
from vdenoise.stages.base import Footprint, SpatialStage, param

# Daubechies-2 orthonormal low-pass scaled to sum 1; with its mirror filter a tight frame:
# |low|^2 + |high|^2 = 1 at every frequency, so analysis and its adjoint give the picture back.
ROOT3 = 3**0.5
LOW = ((1 + ROOT3) / 8, (3 + ROOT3) / 8, (3 - ROOT3) / 8, (1 - ROOT3) / 8)
HIGH = (LOW[3], -LOW[2], LOW[1], -LOW[0])
WINDOW = 2  # half size of the window a band's energy is measured in, in the band's own pixels
MARGIN = 1.5  # the energy of 25 coefficients of noise exceeds its mean by half now and then


class Wavelet(SpatialStage):
    """Shrinks each band of a stationary wavelet transform by its local share of noise.

    The gain is 1 - noise / energy (Mihcak et al., IEEE SPL 1999), the energy from a small window
    on the band, the noise from the measured spectrum through the band's own response: correlated
    grain is cut in the bands where it is. BayesShrink's soft threshold (Chang, Yu, Vetterli,
    IEEE TIP 2000), made local in the same way, scored the same within 0.1 dB.
    """

    method: ClassVar[str] = "wavelet"

    levels: int = param(3, "Octaves of noise to remove, from the finest.", low=1, high=5)
    speeds: ClassVar[dict[str, dict[str, Any]]] = {
        "veryfast": {"levels": 2},
        "slow": {"levels": 4},
        "veryslow": {"levels": 4},
    }

    @property
    def footprint(self) -> Footprint:
        """Extent of the coarsest band's filter, and of the window on it."""
        return Footprint(
            halo=3 * ((1 << self.levels) - 1) + (WINDOW << (self.levels - 1)), scratch=16
        )

    def filter(self, signal: Signal, noise: NoiseTable, luma: Tensor) -> Signal:
        """Analyse, shrink, add the adjoint of every band."""
        pixels, halo = signal.pixels, self.footprint.halo
        variance = self.sigma(signal, noise, luma).square()
        result, residual = _octave(
            pad(pixels, halo), pad(variance, halo), noise.spectrum, (1.0,), 1, self.levels, halo
        )
        return Signal(result, signal.residual * residual.clamp(0, 1).sqrt())


def _octave(
    x: Tensor,
    variance: Tensor,
    spectrum: Tensor,
    response: tuple[float, ...],
    step: int,
    levels: int,
    margin: int,
) -> tuple[Tensor, Tensor]:
    """Shrink one octave and, by recursion, those below it.

    Args:
        x: (T, C, H + 2 margin, W + 2 margin) what came through the low-passes so far.
        variance: of the noise in the source pixels, same size.
        spectrum: (C, 16, 16) of the noise.
        response: taps of all low-passes so far.
        step: distance of this octave's taps.
        levels: octaves from here on.
        margin: 3 step for the taps, the rest for the octaves and windows that follow.

    Returns:
        (T, C, H, W) the octave put together again, and (T, 1, H, W) the share of the noise
        variance that is left in it.
    """
    inner = margin - 3 * step
    low, high = _extend(response, LOW, step), _extend(response, HIGH, step)
    rows = {"low": taps_sum(x, LOW, -2, step), "high": taps_sum(x, HIGH, -2, step)}
    half = 3 * step // 2  # from a coefficient's index to the pixel in the middle of its taps
    at = _crop(variance, inner)
    at = at.narrow(-2, half, at.shape[-2] - 3 * step).narrow(-1, half, at.shape[-1] - 3 * step)
    shape = x.shape[-2] - 2 * margin, x.shape[-1] - 2 * margin
    total, residual = x.new_zeros(()), x.new_zeros(())
    for vertical, horizontal in (("low", "high"), ("high", "low"), ("high", "high")):
        taps = {"low": low, "high": high}
        share = noise_share(spectrum, power(taps[vertical]), power(taps[horizontal]))
        band = taps_sum(rows[vertical], LOW if horizontal == "low" else HIGH, -1, step)
        kept, gain = _shrink(_crop(band, inner - WINDOW * step), at * share, step)
        total = total + _adjoint(kept, vertical, horizontal, step)
        own = gain.narrow(-2, 3 * step - half, shape[0]).narrow(-1, 3 * step - half, shape[1])
        residual = residual + own * own * share.mean()
    rest = taps_sum(rows["low"], LOW, -1, step)
    if levels > 1:
        around = variance.narrow(-2, half, variance.shape[-2] - 3 * step)
        around = around.narrow(-1, half, variance.shape[-1] - 3 * step)
        kept, below = _octave(rest, around, spectrum, low, 2 * step, levels - 1, inner)
        below = below.narrow(-2, 3 * step - half, shape[0])
        residual = residual + below.narrow(-1, 3 * step - half, shape[1])
    else:
        kept = _crop(rest, inner)
        residual = residual + noise_share(spectrum, power(low), power(low)).mean()
    return total + _adjoint(kept, "low", "low", step), residual


def _shrink(band: Tensor, variance: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Wiener gain from the local energy.

    Args:
        band: (T, C, ...) coefficients with a border of ``WINDOW * step``.
        variance: of their noise, without the border.
        step: distance of the coefficients that count as neighbors.
    """
    taps = box(WINDOW)
    energy = taps_sum(taps_sum(band * band, taps, -1, step), taps, -2, step)
    gain = wiener_gain(energy, variance, MARGIN)
    return _crop(band, WINDOW * step) * gain, gain


def _adjoint(band: Tensor, vertical: str, horizontal: str, step: int) -> Tensor:
    """Go back from coefficients to pixels."""
    taps = {"low": LOW[::-1], "high": HIGH[::-1]}
    return taps_sum(taps_sum(band, taps[horizontal], -1, step), taps[vertical], -2, step)


def _crop(x: Tensor, border: int) -> Tensor:
    """Take ``border`` pixels off every side."""
    return x.narrow(-2, border, x.shape[-2] - 2 * border).narrow(
        -1, border, x.shape[-1] - 2 * border
    )


def _extend(response: tuple[float, ...], taps: tuple[float, ...], step: int) -> tuple[float, ...]:
    """Taps of two filters in a row, the second with holes (a trous)."""
    result = [0.0] * (len(response) + step * (len(taps) - 1))
    for i, tap in enumerate(taps):
        for k, value in enumerate(response):
            result[i * step + k] += tap * value
    return tuple(result)
