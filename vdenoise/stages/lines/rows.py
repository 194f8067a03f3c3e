"""What the rows of a frame are off by, from the frames around it as they would look now."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_ALIKE = 3.0  # sigmas of a difference of two frames, and ...
_OFF = (12.0 / 255, 3.0 / 255, 6.0 / 255)  # ... as much as lines are off by, first, once that is
# known, and as those of two frames differ: what differs more shows something else
_MATCH = 0.25  # share of the frames around that a pixel must match
_ENOUGH = (0.2, 0.1)  # share of a row that must do so; share that must match one frame
_BAR = 16  # bars of hum are wider than this part of the height
_PITCHES = 64  # frequencies that hum is looked for at
_HUM = (0.6, 0.85)  # share of wide offsets that one frequency explains, for none and for all of it
_ASTRAY = 0.5  # px that motion may be wrong by: what is steep says less
_PARTS = 12  # of a row: how they differ says how far its mean can be wrong
_EVEN = 0.2  # of the usual error: no frame is surer than that
_NEAR = 4  # rows on each side that one of a mean picture is compared with
_FLAT = 1.5  # times as many of them must be like it
_PICTURE = 0.5 / 255  # by which the picture itself differs from row to row
_ROUNDS = 3  # of weights, for rows whose picture differs by more
_STEPS = 40  # of conjugate gradients, at most, until ...
_CLOSE = 1e-6  # ... so much of what they began with is left, squared


@dataclass(frozen=True, eq=False)
class Aligned:
    """One plane of a frame, and of those around it as they would look now."""

    own: Tensor  # (H, W)
    others: Tensor  # (N, H, W)
    trust: Tensor  # (N, H, W) in [0, 1]
    times: tuple[int, ...]  # (N,) of the others, in frames from this one
    sigma: Tensor  # (H, W) of the noise of each

    def turned(self, change: Tensor) -> Aligned:
        """Columns as rows, of the frame less a change (H, 1)."""
        own = (self.own - change).mT
        return Aligned(own, self.others.mT, self.trust.mT, self.times, self.sigma.mT)

    def offsets(self) -> Tensor:
        """(H, 1): what rows are off by, less what all are.

        Each other frame says it with its own offsets mixed in. Those of hum follow from its
        frequency; the rest is averaged, which leaves a share of N ** -0.5 of it in the mean of
        all frames, and that is looked for there. Rows that are off are so from end to end: how
        the parts of a row differ says how much of what was found is none (James and Stein 1961).
        """
        alike = self._alike(self._first(), _OFF[2])
        steps, errors = self._steps(alike)
        says = 1 / (errors + _EVEN * errors.median()).clamp(min=1e-12)
        hum, share = rolling(steps, says, self.times)
        wave = hum.own * share
        rest = ((steps - hum.steps * share) * says).sum(0) / says.sum(0).clamp(min=1e-12)
        found = rest - _level(rest)
        mean = ((self.others + steps[..., None]) * alike).sum(0) + self.own
        mean = mean / (alike.sum(0) + 1) - (wave + found)[:, None]
        count = len(self.times)
        spread = _variance(rest) ** 0.5 / count**0.5
        found = found + left_over(mean, spread, self.sigma / count**0.5)
        weight = alike.sum(0)
        off = ((self.own - self.others) * alike).sum(0) / weight.clamp(min=1e-6)
        _, error = _means(off, (weight > _MATCH * count).to(off))
        real = max(0.0, _variance(found) - float(error.median()))
        return (wave + found * real / (real + error).clamp(min=1e-12))[:, None]

    def _alike(self, change: Tensor, off: float) -> Tensor:
        """(N, H, W): where, and how far, another frame shows the same."""
        difference = (self.own - self.others - change).abs()
        return (difference < _ALIKE * 2**0.5 * self.sigma + off).to(self.own) * self.trust

    def _first(self) -> Tensor:
        """(H, 1) medians over rows of the difference from the mean of what is alike."""
        found = torch.zeros_like(self.own[:, :1])
        for off in _OFF[:2]:
            alike = self._alike(found, off)
            weight = alike.sum(0)
            rest = ((self.own - self.others - found) * alike).sum(0) / weight.clamp(min=1e-6)
            known = weight / len(self.others)
            there = known > _MATCH
            row = torch.where(there, rest, torch.nan).nanmedian(-1, keepdim=True).values
            row = torch.where(there.to(rest).mean(-1, keepdim=True) >= _ENOUGH[0], row, torch.nan)
            found = found + (row - row.nanmedian()).nan_to_num(0.0)
        return found

    def _steps(self, alike: Tensor) -> tuple[Tensor, Tensor]:
        """(N, H) what rows are off by against each other frame, less what all are, from where
        they are alike, (N, H, W); and the variance of that, (N, H), infinite where it is unknown.
        """
        weight = alike * self._flatness(alike)
        steps, errors = _means(self.own - self.others, weight)
        known = weight.sum(-1) >= _ENOUGH[1] / 2 * self.own.shape[-1]
        level = torch.stack([_level(one[there]) for one, there in zip(steps, known, strict=True)])
        steps = torch.where(known, steps - level[:, None], 0.0)
        return steps, torch.where(known, errors, math.inf)

    def _flatness(self, alike: Tensor) -> Tensor:
        """(H, W) how much of what two frames differ by is noise, not motion that is wrong."""
        weight = alike.sum(0)
        mean = (self.others * alike).sum(0) / weight.clamp(min=1e-6)
        mean = torch.where(weight > 0.5, mean, self.own)
        padded = functional.pad(mean[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
        across = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
        down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
        noise = 2 * self.sigma.square() + 1e-9
        return noise / (noise + _ASTRAY**2 * (across.square() + down.square()))


@dataclass(frozen=True, eq=False)
class Hum:
    """A bar that rolls at one frequency."""

    own: Tensor  # (H,) in this frame
    steps: Tensor  # (N, H) in this frame, less in the others


def rolling(steps: Tensor, says: Tensor, times: tuple[int, ...]) -> tuple[Hum, float]:
    """Fit one wave over time to all rows: of what a bar does to a row the frames around show only
    how it differs among them, but its frequency is common to all rows and says the rest.

    Args:
        steps: (N, H) what rows are off by against each other frame.
        says: (N, H) how much each of that says: 1 / its variance, 0 where it is unknown.
        times: of the other frames.

    Returns:
        The best wave, and how far it is to be believed, 0 to 1.
    """
    side = 2 * (steps.shape[1] // (2 * _BAR)) + 1
    known = (says > 0).to(steps)
    wide = _evened(steps * known, side) / _evened(known, side).clamp(min=0.2)
    sure = says.median(-1).values.sqrt()[:, None]
    sure = sure / sure.max().clamp(min=1e-12)
    k = torch.tensor(times, dtype=wide.dtype, device=wide.device)
    best, least = Hum(torch.zeros_like(wide[0]), torch.zeros_like(wide)), math.inf
    for pitch in torch.linspace(1 / (len(times) + 1), 0.5, _PITCHES).tolist():
        turn = 2 * math.pi * pitch * k
        waves = torch.stack([1 - turn.cos(), -turn.sin()], 1)
        parts = torch.linalg.pinv(waves * sure) @ (wide * sure)
        fit = waves @ parts
        error = float(((wide - fit) * sure).square().sum())
        if error < least:
            best, least = Hum(parts[0] - _level(parts[0]), fit), error
    explained = 1 - least / max(float((wide * sure).square().sum()), 1e-12)
    low, high = _HUM
    return best, min(max((explained - low) / (high - low), 0.0), 1.0)


def left_over(mean: Tensor, spread: float, sigma: Tensor) -> Tensor:
    """(H,) offsets that are left in the mean of aligned frames, told from the picture by rows
    above and below, where those are flat, and by how large they can be.

    Offsets are independent, each of the given spread; what two rows near each other differ by where
    both are flat is measured, as surely as the parts of a row agree. The most likely offsets are
    found, with less weight for rows that they do not explain, as there the picture changes.

    Args:
        mean: (H, W) the mean of the frames.
        spread: of the offsets in it, standard deviation.
        sigma: (H, W) of its noise.
    """
    limit = 3 * (2**0.5 * spread + 1.2 * sigma)
    padded = functional.pad(mean[None], (0, 0, _NEAR, _NEAR), mode="replicate")[0]
    ways = range(2 * _NEAR + 1)
    like = sum(((mean - padded[way : way + len(mean)]).abs() < limit).to(mean) for way in ways)
    flat = (torch.as_tensor(like) > _FLAT * _NEAR).to(mean)
    pairs = []
    for apart in range(1, min(3, len(mean))):
        difference = mean[:-apart] - mean[apart:]
        weight = (difference.abs() < limit[apart:]).to(mean) * flat[:-apart] * flat[apart:]
        step, error = _means(difference, weight)
        known = weight.sum(-1) > _ENOUGH[1] / 2 * mean.shape[1]
        error = (error + _PICTURE**2 * apart) * apart
        pairs.append((apart, step.double(), torch.where(known, error, math.inf).double()))
    found = torch.zeros_like(mean[:, 0]).double()
    for turn in range(_ROUNDS):
        weights = []
        for apart, step, error in pairs:
            off = step - (found[:-apart] - found[apart:])
            weights.append(1 / (error + (off.square() / 4 if turn else 0)))
        found = _likeliest(pairs, weights, max(spread, 1e-6), found)
    return found.to(mean)


def _likeliest(
    pairs: list[tuple[int, Tensor, Tensor]], weights: list[Tensor], spread: float, like: Tensor
) -> Tensor:
    """(H,) offsets of a given spread that differ by given steps, as far as these weigh."""

    def spread_out(steps: list[Tensor], rows: Tensor) -> Tensor:
        for (apart, _, _), weight, step in zip(pairs, weights, steps, strict=True):
            rows = rows + functional.pad(weight * step, (0, apart))
            rows = rows - functional.pad(weight * step, (apart, 0))
        return rows

    def applied(rows: Tensor) -> Tensor:
        steps = [rows[:-apart] - rows[apart:] for apart, _, _ in pairs]
        return spread_out(steps, rows / spread**2)

    found = torch.zeros_like(like)
    left = spread_out([step for _, step, _ in pairs], found)
    way, size = left, left.square().sum()
    enough = _CLOSE * size
    for _ in range(_STEPS):
        if size <= enough:
            break
        there = applied(way)
        far = size / (way * there).sum()
        found, left = found + far * way, left - far * there
        before, size = size, left.square().sum()
        way = left + size / before * way
    return found


def _means(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """(..., H) weighted means over rows of (..., H, W), and their variance, by how much the parts
    of a row differ."""
    sums, counts = (
        torch.stack([part.sum(-1) for part in x.tensor_split(_PARTS, -1)], -1)
        for x in (values * weight, weight.expand_as(values))
    )
    count = counts.sum(-1).clamp(min=1e-6)
    means = sums.sum(-1) / count
    parts = (counts > 0).sum(-1).clamp(min=2)
    off = (sums - counts * means[..., None]).square().sum(-1)
    return means, off / count.square() * parts / (parts - 1)


def _level(rows: Tensor) -> Tensor:
    """The mean of some rows without the few that are far from most; 0 of none."""
    if not len(rows):
        return rows.new_zeros(())
    middle = rows.median()
    return middle + (rows - middle).clamp(*(w * 3 * _variance(rows) ** 0.5 for w in (-1, 1))).mean()


def _variance(rows: Tensor) -> float:
    """The variance of most of some rows, by their median distance from the median."""
    return float(1.4826 * (rows - rows.median()).abs().median()) ** 2


def _evened(rows: Tensor, side: int) -> Tensor:
    """(N, H) means over so many rows, an odd number."""
    padded = functional.pad(rows[None], (side // 2, side // 2), mode="replicate")
    return functional.avg_pool1d(padded, side, 1)[0]
