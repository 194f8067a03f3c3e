"""How strong noise is from moment to moment, from the log energies of pairs of frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from vdenoise.picture.noise import Knots, factor_at

_UNSTEADY = 2 * math.log(1.25)  # log energy by which moments must differ to be told apart
_LEAST = 0.85  # of the most, that the least moment's sigma may have to count as the same
_ROUGHER = 1.15  # times as rough are single frames where noise is that much stronger
_STILL = 0.03  # change of roughness from frame to frame that is none
_KNOT = 0.03  # error of a strength that another knot is worth


def strength_over_time(
    reading: Tensor, indices: Sequence[int], roughness: Mapping[int, float]
) -> Knots | None:
    """Relative sigma at some frames, from the log energies of pairs; None where it is steady.

    Stronger noise makes single frames rougher, too; where it does not, motion was not followed. A
    pair shows the mean energy of its two frames. From frame to frame it stays as it is, the more
    so the less the roughness changes.
    """
    if reading.max() - reading.min() < _UNSTEADY:
        return None
    loudest, quietest = (
        math.hypot(roughness[index - 1], roughness[index])
        for index in (indices[int(reading.argmax())], indices[int(reading.argmin())])
    )
    if loudest < _ROUGHER * quietest:  # motion left more in the differences, not noise
        return None
    first, last = min(roughness), max(roughness)
    count = last - first + 1
    energy = (reading - reading.max()).exp().tolist()
    # Least squares of relative errors: a tridiagonal system, solved in one sweep each way.
    main, beside, right = [1e-9] * count, [0.0] * count, [0.0] * count
    for t in range(1, count):
        a, b = (max(roughness[first + i], 1e-6) for i in (t - 1, t))
        nearest = min(range(len(indices)), key=lambda n: abs(indices[n] - first - t))
        steady = 1 / ((math.log(b / a) / _STILL) ** 2 + 0.02) / max(energy[nearest], 1e-3) ** 2
        main[t - 1] += steady
        main[t] += steady
        beside[t] -= steady
    for e, index in zip(energy, indices, strict=True):
        i, weight = index - first, 1 / max(e, 1e-3) ** 2
        for k in (i - 1, i):
            main[k] += weight
            right[k] += 2 * weight * e
        beside[i] += weight
    for t in range(1, count):
        share = beside[t] / main[t - 1]
        main[t] -= share * beside[t]
        right[t] -= share * right[t - 1]
    value = [0.0] * count
    for t in reversed(range(count)):
        behind = beside[t + 1] * value[t + 1] if t + 1 < count else 0.0
        value[t] = (right[t] - behind) / main[t]
    sigma = [math.sqrt(max(v, 1e-4)) for v in value]
    most = max(sigma)
    if min(sigma) > _LEAST * most:
        return None
    return knots([min(1.0, s / most) for s in sigma], first)


def knots(sigma: Sequence[float], first: int) -> Knots:
    """The frames that tell the others, by lines between them; sigma[0] is that of ``first``."""
    kept, todo = {0, len(sigma) - 1}, [(0, len(sigma) - 1)]
    while todo:
        a, b = todo.pop()
        line = ((a, sigma[a]), (b, sigma[b]))
        off = [abs(factor_at(line, i) / max(sigma[i], 0.02) - 1) for i in range(a, b + 1)]
        worst = max(off)
        if worst > _KNOT:
            middle = a + off.index(worst)
            kept.add(middle)
            todo += [(a, middle), (middle, b)]
    return tuple((first + i, round(sigma[i], 4)) for i in sorted(kept))
