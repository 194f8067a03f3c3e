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
_SURE = (0.3, 0.5)  # mean of that share over a frame, for nothing and for all of its offsets
_BAR = 16  # bars of hum are wider than this part of the height
_PITCHES = 64  # frequencies that hum is looked for at
_HUM = (0.6, 0.85)  # share of wide offsets that one frequency explains, for none and for all of it
_NEAR = 4  # rows on each side that one of a mean picture is compared with
_FLAT = 1.5  # times as many of them must be like it
_COARSE = 4.0  # pixels of a row that err alike


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
        all frames, and that is looked for there.
        """
        first, sure = self._first()
        steps, known, alike = self._steps(first)
        hum, share = rolling(steps, known, self.times)
        rest = ((steps - hum.steps * share) * known).sum(0) / known.sum(0).clamp(min=1)
        found = hum.own * share + rest - rest.median()
        mean = ((self.others + steps[..., None]) * alike).sum(0) + self.own
        mean = mean / (alike.sum(0) + 1) - found[:, None]
        count = len(self.times)
        spread = (1.4826 * (rest - rest.median()).abs().median()) / count**0.5
        found = found + left_over(mean, float(spread), self.sigma / count**0.5)
        return (found * sure)[:, None]

    def _alike(self, change: Tensor, off: float) -> Tensor:
        """(N, H, W): where, and how far, another frame shows the same."""
        difference = (self.own - self.others - change).abs()
        return (difference < _ALIKE * 2**0.5 * self.sigma + off).to(self.own) * self.trust

    def _first(self) -> tuple[Tensor, Tensor]:
        """(H, 1) medians over rows of the difference from the mean of what is alike; and how sure
        they are, 0 to 1."""
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
        low, high = _SURE
        return found, ((known.mean() - low) / (high - low)).clamp(0, 1)

    def _steps(self, first: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, H) what rows are off by against each other frame, less what all are; (N, H) 1 where
        that is known; and (N, H, W) what it was taken from."""
        alike = self._alike(first, _OFF[2])
        count = alike.sum(-1)
        steps = ((self.own - self.others) * alike).sum(-1) / count.clamp(min=1)
        known = count >= _ENOUGH[1] * self.own.shape[-1]
        level = torch.where(known, steps, torch.nan).nanmedian(-1, keepdim=True).values
        steps = torch.where(known, steps - level.nan_to_num(0.0), 0.0)
        return steps, known.to(steps), alike


@dataclass(frozen=True, eq=False)
class Hum:
    """A bar that rolls at one frequency."""

    own: Tensor  # (H,) in this frame
    steps: Tensor  # (N, H) in this frame, less in the others


def rolling(steps: Tensor, known: Tensor, times: tuple[int, ...]) -> tuple[Hum, float]:
    """Fit one wave over time to all rows: of what a bar does to a row the frames around show only
    how it differs among them, but its frequency is common to all rows and says the rest.

    Args:
        steps: (N, H) what rows are off by against each other frame.
        known: (N, H) 1 where that is so.
        times: of the other frames.

    Returns:
        The best wave, and how far it is to be believed, 0 to 1.
    """
    side = 2 * (steps.shape[1] // (2 * _BAR)) + 1
    wide = _evened(steps * known, side) / _evened(known, side).clamp(min=0.2)
    k = torch.tensor(times, dtype=wide.dtype, device=wide.device)
    best, least = Hum(torch.zeros_like(wide[0]), torch.zeros_like(wide)), math.inf
    for pitch in torch.linspace(1 / (len(times) + 1), 0.5, _PITCHES).tolist():
        turn = 2 * math.pi * pitch * k
        waves = torch.stack([1 - turn.cos(), -turn.sin()], 1)
        parts = torch.linalg.pinv(waves) @ wide
        fit = waves @ parts
        error = float((wide - fit).square().sum())
        if error < least:
            best, least = Hum(parts[0] - parts[0].median(), fit), error
    explained = 1 - least / max(float(wide.square().sum()), 1e-12)
    low, high = _HUM
    return best, min(max((explained - low) / (high - low), 0.0), 1.0)


def left_over(mean: Tensor, spread: float, sigma: Tensor) -> Tensor:
    """(H,) offsets that are left in the mean of aligned frames, told from the picture by rows
    above and below, where those are flat, and by how large they can be.

    Args:
        mean: (H, W) the mean of the frames.
        spread: of the offsets in it, standard deviation.
        sigma: (H, W) of its noise.
    """
    total = torch.zeros_like(mean[:, 0])
    limit = 3 * (2**0.5 * spread + 1.2 * sigma)
    for _ in range(2):
        padded = functional.pad(mean[None], (0, 0, _NEAR, _NEAR), mode="replicate")[0]
        sums, weight = torch.zeros_like(mean), torch.zeros_like(mean)
        for way in range(2 * _NEAR + 1):
            difference = mean - padded[way : way + len(mean)]
            like = (difference.abs() < limit).to(mean)
            sums += difference * like
            weight += like
        flat = (weight > _FLAT * _NEAR).to(mean)
        rest = sums / (weight - 1).clamp(min=1)
        count = flat.sum(-1).clamp(min=1)
        found = (rest * flat).sum(-1) / count
        error = ((rest - found[:, None]).square() * flat).sum(-1) * _COARSE / count.square()
        found = found * spread**2 / (spread**2 + error).clamp(min=1e-12)
        found = found.clamp(-3 * spread, 3 * spread) * (count > _ENOUGH[1] * mean.shape[1] / 2)
        total = total + found
        mean = mean - found[:, None]
    return total


def _evened(rows: Tensor, side: int) -> Tensor:
    """(N, H) means over so many rows, an odd number."""
    padded = functional.pad(rows[None], (side // 2, side // 2), mode="replicate")
    return functional.avg_pool1d(padded, side, 1)[0]
