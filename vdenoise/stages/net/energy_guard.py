"""A network may take noise away, not picture: what it removes is held against the profile."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional

from vdenoise.nets.base import NetInput

WINDOW = 15  # px: energies are compared over squares of this side
REACH = WINDOW // 2
_DEVIATIONS = 0.75  # of a window's mean square, that still count as noise
_FALL = 0.3  # of the noise's energy, beyond that, over which the network gives way
_TINY = WINDOW**2 * 1e-10


def hold_back(correction: Tensor, x: NetInput, grain_area: float) -> Tensor:
    """The correction, less where more energy would be gone than there was noise.

    Where the removed signal (temporal average less result) has more energy than the noise that the
    profile says was in the average, and more than the stages before took, the excess is structure:
    there the network gives way to those stages. One without a bound of its own may do anything
    where it has not learned enough: FFDNet after twelve minutes of training lost 5 dB without this.

    Args:
        correction: (N, 3, H, W), to be added to ``x.average``.
        x: what the network was given.
        grain_area: pixels over which the noise is alike (`NoiseTable.grain_area`).
    """
    temporal, residual = x.averaged
    before = temporal - x.average
    noise = _sums((x.sigma * residual).square_()).add_(_TINY)
    share_before = _sums(before.square()).div_(noise)
    share = _sums((before - correction).square_()).div_(noise)
    deviation = math.sqrt(2 * max(grain_area, 1)) / WINDOW
    allowed = share_before.clamp_(min=1 + _DEVIATIONS * deviation)
    keep = share.sub_(allowed).mul_(-1 / _FALL).add_(1).clamp_(0, 1)
    return keep.mul_(correction)


def _sums(x: Tensor) -> Tensor:
    """Sums over a square around every pixel, of what exists of it.

    Of every 15 numbers in a row, by doubling: 6 additions instead of 14, and the same ones for
    every pixel, so that tiles agree with the whole to the bit, as running sums would not.
    """
    for dim, sides in ((-1, (REACH, REACH, 0, 0)), (-2, (0, 0, REACH, REACH))):
        one = functional.pad(x, sides)
        size = x.shape[dim]
        two = _added(one, one, 1, dim)
        four = _added(two, two, 2, dim)
        x = _added(four, four, 4, dim).narrow(dim, 0, size) + four.narrow(dim, 8, size)
        x += two.narrow(dim, 12, size)
        x += one.narrow(dim, 14, size)
    return x


def _added(x: Tensor, y: Tensor, step: int, dim: int) -> Tensor:
    """x[n] + y[n + step], where both exist."""
    size = x.shape[dim] - step
    return x.narrow(dim, 0, size) + y.narrow(dim, step, size)
