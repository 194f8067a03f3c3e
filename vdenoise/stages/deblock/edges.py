"""Block edges and ringing of low-bitrate sources, smoothed before they pass for detail."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.picture.block import Signal
from vdenoise.picture.windows import TINY, pad, shift
from vdenoise.stages.base import Footprint, Role, param
from vdenoise.stages.finishing import Finisher, Part

# An edge's step is measured against straight lines on both sides; so measured, white noise shows
# sqrt(5) sigma in one line of pixels.
_NOISE_OF_STEP = 5**0.5
_SIGNIFICANT = 2.0  # steps up to so many sigma are noise
# What the pixels beside an edge take of its step, nearest first. Wider ramps look smoother and are
# further from the truth, by 0.1 dB on MPEG-2 and MPEG-4 (no in-loop filter) of low bitrate.
_TAPS = (0.34, 0.1)
_RANGE_RADIUS = 3  # of the neighborhood in which a strong edge rings


class BlockEdges(Finisher):
    """Takes the steps out of codec block edges, and calms the ringing beside strong edges.

    An edge on the grid is smoothed only where its step, averaged along the block, is more than the
    steps of the picture beside it and more than noise, and less than ``limit``, above which it is
    the picture's own. The step becomes a short ramp. Ringing is averaged away by the constrained
    mean of AV1's CDEF.
    """

    slot: ClassVar[str] = "deblock"
    method: ClassVar[str] = "edges"
    role: ClassVar[Role] = "repair"

    speeds: ClassVar[dict[str, dict[str, Any]]] = {"veryfast": {"ringing": 0}}

    grid: Literal[8, 4] = param(
        8, "Distance of block edges: 8 for MPEG, H.264 and newer, 4 for H.264's small.", unit="px"
    )
    limit: float = param(
        12.0, "Steps from here on are the picture's own.", low=1, high=64, unit="8-bit codes"
    )
    ringing: float = param(
        4.0,
        "Differences beside strong edges that count as ringing; 0 leaves it.",
        low=0,
        high=16,
        unit="8-bit codes",
    )

    @property
    def footprint(self) -> Footprint:
        """An edge and the steps beside it are measured over four pixels each side."""
        return Footprint(halo=7 if self.grid == 8 else 5, multiple=self.grid, scratch=14)

    def finish(self, part: Part) -> Signal:
        """Edges across, edges down and ringing, all seen in the same picture."""
        pixels, sigma = part.signal.pixels, part.residual_sigma
        change = self._edges(pixels, sigma)
        change = change + self._edges(pixels.mT, sigma.mT).mT
        if self.ringing > 0:
            change = change + self._ringing(pixels)
        return Signal(pixels + change, part.signal.residual.clone())

    def _edges(self, pixels: Tensor, sigma: Tensor) -> Tensor:
        """The change at the vertical edges of (T, C, H, W)."""
        height, width = pixels.shape[-2:]
        grid = self.grid
        rows, columns = -(-height // grid), -(-width // grid)
        # Whole blocks, and two pixels more to the left and right for the steps beside an edge
        extra = (4, columns * grid - width + 4, 0, rows * grid - height)
        x = functional.pad(pixels, extra, mode="replicate")
        bend = _bend(x)  # [..., i]: the step from column i + 1 to i + 2, counted in padded columns
        # Edge e lies between padded columns 4 + grid e - 1 and 4 + grid e: bend index grid e + 2
        lines = [bend[..., grid + at : columns * grid + at : grid] for at in (2, 0, 4)]
        step, before, after = (_along(line, grid) for line in lines)
        if step.shape[-1] == 0:
            return torch.zeros_like(pixels)
        noise = functional.pad(sigma, extra, mode="replicate")[..., 4 + grid :: grid]
        noise = _along(noise[..., : step.shape[-1]], grid) * (_NOISE_OF_STEP / grid**0.5)
        beside = torch.maximum(before.abs(), after.abs()) + _SIGNIFICANT * noise
        size = step.abs()
        clear = ((size / beside.clamp(min=TINY) - 1) * max(self.strength, 1.0)).clamp(0, 1)
        own = (2 - size * (255 / self.limit)).clamp(0, 1)
        share = (clear * own * min(self.strength, 1.0)).repeat_interleave(grid, -2)
        whole = step.repeat_interleave(grid, -2)
        # Half of what this line of pixels shows by itself: a block's texture differs along its edge
        single = torch.minimum(lines[0].abs(), 2 * whole.abs()) * lines[0].sign()
        each = (0.5 * (whole + single) * share)[..., None]
        taps = pixels.new_tensor(_TAPS)
        change = torch.zeros_like(x[..., 4 : 4 + columns * grid])
        blocks = change.view(*change.shape[:-1], columns, grid)
        blocks[..., 1:, : len(taps)] -= each * taps
        blocks[..., :-1, grid - len(taps) :] += each * taps.flip(0)
        return change[..., :height, :width]

    def _ringing(self, pixels: Tensor) -> Tensor:
        """The constrained mean's pull, beside strong edges only."""
        least = self.ringing / 255
        window = 2 * _RANGE_RADIUS + 1
        near = pad(pixels, _RANGE_RADIUS)
        span = functional.max_pool2d(near, window, 1) + functional.max_pool2d(-near, window, 1)
        beside = (span / (10 * least) - 1).clamp(0, 1) * (min(self.strength, 1.0) / 16)
        framed = pad(pixels, 2)
        pull = torch.zeros_like(pixels)
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (2, 2), (2, -2)):
            for sign in (1, -1):
                gap = shift(framed, sign * dy, sign * dx, 2) - pixels
                pull += torch.minimum(gap.abs(), (2 * least - gap.abs()).clamp(min=0)) * gap.sign()
        return pull * beside


def _bend(x: Tensor) -> Tensor:
    """Step between two columns less the mean of the steps before and after: (..., W - 3).

    Entry i belongs to the step from column i + 1 to column i + 2.
    """
    step = x[..., 1:] - x[..., :-1]
    return step[..., 1:-1] - 0.5 * (step[..., :-2] + step[..., 2:])


def _along(x: Tensor, size: int) -> Tensor:
    """Mean over ``size`` rows: (..., H, W) to (..., H / size, W), summed in a fixed order."""
    total = x[..., 0::size, :].clone()
    for row in range(1, size):
        total += x[..., row::size, :]
    return total / size
