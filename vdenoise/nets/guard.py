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
_TINY = 1e-10


def guarded(correction: Tensor, x: NetInput, grain_area: float) -> Tensor:
    """The correction, less where more energy would be gone than there was noise.

    Where the removed signal (temporal average less result) has more energy than the noise that the
    profile says was in the average, and more than the stages before took, the excess is structure:
    there the network gives way to those stages. Without this, fine regular textures (fences,
    weaves) that a network has seen little of are wiped out.

    Args:
        correction: (N, 3, H, W), to be added to ``x.average``.
        x: what the network was given.
        grain_area: pixels over which the noise is alike (`NoiseTable.grain_area`).
    """
    temporal, left = x.averaged
    before = temporal - x.average
    noise = _mean((x.sigma * left).square()).add_(_TINY)
    share_before = _mean(before.square()).div_(noise)
    share = _mean((before - correction).square()).div_(noise)
    deviation = math.sqrt(2 * max(grain_area, 1)) / WINDOW
    allowed = share_before.clamp_(min=1 + _DEVIATIONS * deviation)
    return correction * (1 - (share - allowed).div_(_FALL)).clamp_(0, 1)


def _mean(x: Tensor) -> Tensor:
    """Mean over a square around every pixel; at the edges over the part that exists."""
    for window, pad in (((WINDOW, 1), (REACH, 0)), ((1, WINDOW), (0, REACH))):
        x = functional.avg_pool2d(x, window, 1, pad, count_include_pad=False)
    return x
