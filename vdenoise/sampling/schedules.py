"""How the noise level falls from where a sampler starts to nothing."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["karras", "cosine", "linear"]

_RHO = 7.0  # Karras et al.: most of the steps where little noise is left
_LEAST = 0.02  # of the level at the start: half a code under noise of 25 codes


def noise_levels(schedule: Schedule, steps: int) -> tuple[float, ...]:
    """Noise levels relative to the first: ``steps`` of them, falling from 1, and 0 at the end.

    * ``karras``: even in the seventh root, down to a fiftieth (Karras, Aittala, Aila and Laine,
      "Elucidating the Design Space of Diffusion-Based Generative Models", 2022, equation 5).
    * ``cosine``: the share of the picture follows a squared cosine (Nichol and Dhariwal, "Improved
      Denoising Diffusion Probabilistic Models", 2021), entered where there is as much noise as
      picture: sigma is the tangent of an angle that falls evenly from 45 degrees.
    * ``linear``: even steps (sigma(t) = t, the time of Karras et al., without their root).

    Args:
        schedule: its name.
        steps: 1 or more.

    Returns:
        ``steps + 1`` numbers; one step is 1 and 0.
    """
    assert steps >= 1, "a sampler takes a step"
    last = max(steps - 1, 1) if schedule == "karras" else steps
    return (1.0, *(noise_level(schedule, n / last) for n in range(1, steps)), 0.0)


def noise_level(schedule: Schedule, way: float) -> float:
    """The noise level at a share of the way, in [0, 1], relative to that at its beginning.

    Evenly drawn shares of the way give the density of noise levels that a schedule stands for in
    training (Karras et al. 2022, section 5).
    """
    if schedule == "linear":
        return 1 - way
    if schedule == "cosine":
        return math.tan(math.pi / 4 * (1 - way))
    least: float = _LEAST ** (1 / _RHO)
    level: float = (1 + way * (least - 1)) ** _RHO
    return level
