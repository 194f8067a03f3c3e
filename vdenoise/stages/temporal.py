"""Flow-aligned averaging over time, with weights that know how noisy the clip is."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from vdenoise.frame import Block, Signal, joined, window
from vdenoise.motion.parallel import each
from vdenoise.motion.warp import box_mean, resize, warp
from vdenoise.noise.profile import NoiseTable
from vdenoise.stages.base import Stage, param, resize_to

# A bicubic sample between pixels carries less white noise than a pixel: this much of its
# variance is lost, in the mean over all sub-pixel positions. Coarse grain loses less.
_INTERPOLATION_LOSS = 0.15

_GUIDE_WINDOW = 5  # px: guides are nearly clean, so a small window tells
_NOISY_WINDOW = 7  # px: 49 samples for the test on the noisy pixels themselves
_GUIDE_TOLERANCE = 1.5  # guide mismatch, in noise variances, that costs a factor e of weight
_NOISY_PENALTY = 1.5  # weight exp(-1.5 x) for x = mismatch beyond the noise, in its own units
_DEVIATIONS = 1.5  # of the windowed mean, that are still taken for noise
_TINY = 1e-10


class TemporalMean(Stage):
    """Averages each pixel with where it was and will be, following the motion.

    A neighbor's weight falls where its aligned picture differs by more than the noise explains,
    and at occlusions. What noise is left is written to the residual map for the next stage.
    """

    slot: ClassVar[str] = "temporal"
    method: ClassVar[str] = "mean"
    tileable: ClassVar[bool] = False
    memory: ClassVar[float] = 16.0
    speeds: ClassVar[dict[str, dict[str, Any]]] = {
        "veryfast": {"radius": 1, "motion_est": "fast"},
        "fast": {"radius": 1, "motion_est": "fast"},
        "base": {"radius": 3, "motion_est": "better"},
        "slow": {"radius": 5, "motion_est": "better"},
        "veryslow": {"radius": 8, "motion_est": "better"},
    }

    radius: int = param(
        3, "Frames looked at on each side; 0 is off, more is cleaner and slower.", low=0, high=8
    )
    motion_threshold: float = param(
        50.0,
        "How different an aligned neighbor may look and still be used; higher cleans more, "
        "lower is safer against ghosts.",
        low=0,
        high=100,
    )

    motion_est: Literal["fast", "better"] = param(
        "better",
        "How motion is estimated: fast on a blurred small picture, better on a denoised one.",
    )

    @property
    def reach(self) -> int:
        """As many frames as the radius says."""
        return self.radius

    @property
    def needs_motion(self) -> bool:
        """Unless it is off."""
        return self.radius > 0 and self.strength > 0

    @property
    def motion_accuracy(self) -> Literal["fast", "better"]:
        """As the parameter says."""
        return self.motion_est

    def denoise(self, block: Block) -> Block:
        """Average each core frame with its window."""
        if self.radius == 0:
            chroma = None if block.chroma is None else block.chroma[block.core]
            return block.with_signals(block.luma[block.core], chroma)
        assert block.motion is not None, "this stage needs motion"
        merged = [self._frame(block, t) for t in range(*block.core.indices(block.frames))]
        luma = joined([luma for luma, _ in merged])
        assert luma is not None, "a block has a core"
        return block.with_signals(luma, joined([c for _, c in merged if c is not None]))

    def _frame(self, block: Block, t: int) -> tuple[Signal, Signal | None]:
        """The average for block frame ``t``."""
        assert block.motion is not None
        seen = window(block.first + t, self.radius, block.shot_first, block.shot_last)
        others = [i - block.first for i in seen if i != block.first + t]
        block.motion.prepare([(t, k) for k in others])
        area = block.noise.grain_area
        tolerance = 4.0 ** ((self.motion_threshold - 50) / 50)

        luma = block.luma
        variance = self._variance(luma, block.noise.planes(slice(0, 1)), t, luma.pixels[t])
        luma_sum = _Mean(luma.pixels[t], area)
        chroma = block.chroma
        if chroma is not None:
            level = resize_to(luma.pixels[t : t + 1], chroma.pixels[t : t + 1])[0]
            chroma_variance = self._variance(chroma, block.noise.planes(slice(1, 3)), t, level)
            chroma_sum = _Mean(chroma.pixels[t], area)
            height, width = luma.pixels.shape[-2:]
            scale = (
                1 / -(-width // chroma.pixels.shape[-1]),
                1 / -(-height // chroma.pixels.shape[-2]),
            )

        def look(k: int) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
            motion = block.motion
            assert motion is not None
            flow = motion.flow(t, k)
            aligned = warp(torch.cat([luma.pixels[k], motion.guide(k)]), flow)
            pixels, guide = aligned[:1], aligned[1:]
            weight = resize(motion.trust(t, k), (pixels.shape[-2], pixels.shape[-1]))
            change = (guide - motion.guide(t)).square_().div_(variance)[0]
            floor = 2 * motion.guide_noise
            excess = box_mean(change, _GUIDE_WINDOW).sub_(floor).clamp_(min=0)
            exponent = excess.div_(_GUIDE_TOLERANCE * tolerance)
            exponent += _noisy_excess(pixels, luma.pixels[t], variance, area).div_(tolerance)
            weight = weight * exponent.neg_().exp_()
            if chroma is None:
                return pixels, weight, None, None
            chroma_pixels = warp(chroma.pixels[k], flow, scale)
            chroma_weight = resize_to(weight[None, None], chroma_pixels[None])[0, 0]
            excess = _noisy_excess(chroma_pixels, chroma.pixels[t], chroma_variance, area)
            chroma_weight = chroma_weight * excess.div_(-tolerance).exp_()
            return pixels, weight, chroma_pixels, chroma_weight

        run = each if luma.pixels.device.type == "cpu" else _in_turn
        for pixels, weight, chroma_pixels, chroma_weight in run(look, others):
            luma_sum.add(pixels, weight)
            if chroma_pixels is not None and chroma_weight is not None:
                chroma_sum.add(chroma_pixels, chroma_weight)
        rho = block.noise.temporal_correlation
        luma_out = luma_sum.signal(luma.left[t], rho)
        return luma_out, None if chroma is None else chroma_sum.signal(chroma.left[t], rho)

    def _variance(self, signal: Signal, noise: NoiseTable, t: int, level: Tensor) -> Tensor:
        """Noise variance expected in frame ``t``: (C, H, W)."""
        sigma = noise.sigma_at(level[None])[0] * signal.left[t] * self.strength
        return sigma.square_().add_(_TINY)


def _noisy_excess(neighbor: Tensor, pixels: Tensor, variance: Tensor, area: float) -> Tensor:
    """Penalty (H, W) for mismatch beyond what two noisy samples explain.

    The mean square over a window is itself uncertain, the more so the coarser the grain: only
    what exceeds its expectation by a deviation or so counts. ``area``: `NoiseTable.grain_area`.
    """
    change = (neighbor - pixels).square_().div_(variance).mean(0)
    ratio = box_mean(change, _NOISY_WINDOW).div_(2 - _INTERPOLATION_LOSS / max(area, 1))
    deviation = math.sqrt(2 * area) / _NOISY_WINDOW
    return ratio.sub_(1 + _DEVIATIONS * deviation).clamp_(min=0).mul_(_NOISY_PENALTY)


class _Mean:
    """A weighted mean over frames and the noise that is left in it; the centre has weight 1."""

    def __init__(self, centre: Tensor, area: float) -> None:
        self.neighbor_noise = 1 - _INTERPOLATION_LOSS / max(area, 1)
        self.total = centre.clone()
        self.weight = torch.ones_like(centre[0])
        self.power = torch.ones_like(centre[0])

    def add(self, pixels: Tensor, weight: Tensor) -> None:
        self.total.addcmul_(pixels, weight)
        self.weight += weight
        self.power.addcmul_(weight, weight, value=self.neighbor_noise)

    def signal(self, left: Tensor, correlation: float) -> Signal:
        """The mean as a signal of one frame.

        Noise that repeats from frame to frame averages away more slowly: the variance of a mean
        of N samples of an AR(1) process is about (1 + rho) / (1 - rho) / N, never above 1.
        """
        rho = min(max(correlation, 0.0), 0.99)
        variance = self.power / self.weight.square() * ((1 + rho) / (1 - rho))
        share = variance.clamp_(max=1).sqrt_()
        return Signal((self.total / self.weight)[None], (left * share)[None])


def _in_turn(work: Any, items: list[int]) -> list[Any]:
    return [work(item) for item in items]
