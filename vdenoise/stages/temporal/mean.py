"""Flow-aligned averaging over time, with weights that know how noisy the clip is."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from vdenoise.motion.light import light_of
from vdenoise.motion.warp import box_mean, reduce, resize, warp, warp_all
from vdenoise.nets.models import find
from vdenoise.picture.block import Accuracy, Block, Signal, join_signals, window
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import resize_to, subsampling
from vdenoise.stages.base import Footprint, Need, Stage, StageFile, param
from vdenoise.stages.control.pilot import MODEL

# A bicubic sample between pixels carries less white noise than a pixel: this much of its
# variance is lost, in the mean over all sub-pixel positions. Coarse grain loses less.
_INTERPOLATION_LOSS = 0.15

# Weights are smooth, so they are computed on cells of 2x2 luma pixels: a quarter of the work. A
# plane that is subsampled already has cells of one pixel that way.
_CELL = 2
_GUIDE_WINDOW = (3, 3)  # cells: guides are nearly clean, so a small window tells
_NOISY_WINDOW = {1: 7, 2: 3}  # cells of so many pixels, for the test on the noisy pixels themselves
# Guides of white noise are nearly clean, those of coarse grain are not: a neighbor of white noise
# may differ less. On a clip that moves fast that gains 0.15 dB at sigma 30
# (benchmarks/results/hard_motion.json). Half as much was tried by hand on three clips: 0.05 more
# there, but 0.2 less on tennis at sigma 10. For coarse grain and camera noise it would cost.
_STRICT = 0.7
_GRAIN = (1.1, 1.4)  # `NoiseTable.grain_area` from and to which tolerance rises to all of it
_PILOTED = 0.7  # pilots are cleaner, so a neighbor may differ less
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
    speeds: ClassVar[dict[str, dict[str, Any]]] = {
        "veryfast": {"radius": 1, "motion_est": "fast"},
        "fast": {"radius": 1, "motion_est": "fast"},
        "base": {"radius": 3, "motion_est": "better"},
        "slow": {"radius": 5, "motion_est": "best", "guide": "pilot"},
        "veryslow": {"radius": 8, "motion_est": "best", "guide": "pilot"},
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

    motion_est: Accuracy = param(
        "better",
        "How motion is estimated: fast on a blurred small picture, better on a denoised one, best "
        "down to every pixel of that.",
    )

    guide: Literal["transform", "pilot"] = param(
        "transform",
        "On what motion and likeness are judged: each frame with its noise thresholded, or, more "
        "safely where things move fast, what the network S makes of it alone.",
    )

    @property
    def residual_factor(self) -> float:
        """What it states: a mean over time knows no flats."""
        return 1.0

    @property
    def reach(self) -> int:
        """Frames that the radius names."""
        return self.radius

    @property
    def needs(self) -> frozenset[Need]:
        """Motion, unless it is off; guided as the parameter says."""
        if self.radius == 0 or self.strength == 0:
            return frozenset()
        return frozenset({"motion", "pilots"} if self.guide == "pilot" else {"motion"})

    @property
    def files(self) -> tuple[StageFile, ...]:
        """The weights of the pilot."""
        return (find(MODEL),) if self.guide == "pilot" else ()

    @property
    def motion_accuracy(self) -> Accuracy:
        """What the parameter says."""
        return self.motion_est

    @property
    def footprint(self) -> Footprint:
        """Whole frames: motion has no bounded halo."""
        return Footprint(whole=True, scratch=3)

    def denoise(self, block: Block) -> Block:
        """Average each core frame with its window."""
        if self.radius == 0:
            return block.with_picture(block.core_picture)
        merged = [self._frame(block, t) for t in block.wanted]
        return block.with_picture(Picture.join(merged, join_signals))

    def _frame(self, block: Block, t: int) -> Picture[Signal]:
        """The average for block frame ``t``."""
        motion = block.motion
        assert motion is not None, "this stage needs motion"
        luma, chroma = averages = block.picture.pair(
            block.noise.picture,
            lambda signal, noise: _Average(block, signal, noise, t, self.strength),
        )
        allowed = tolerance(self.motion_threshold, block.noise.grain_area)
        if self.guide == "pilot":
            allowed *= _PILOTED
        seen = window(block.first + t, self.radius, block.shot_first, block.shot_last)
        lags = seen.start + seen.stop - 1 != 2 * (block.first + t)  # at a shot's ends
        for k in (i - block.first for i in seen if i != block.first + t):
            flow = motion.flow(t, k)
            # A guide lies on luma's pixels: both are fetched from the same places.
            guide, moved = warp_all([motion.guide(k), luma.signals.pixels[k]], flow)
            change = guide.sub_(motion.guide(t)).square_()
            change = reduce(change, luma.cell).div_(luma.variance)[0]
            excess = box_mean(change, _GUIDE_WINDOW).sub_(2 * motion.guide_noise).clamp_(min=0)
            doubt = excess.div_(_GUIDE_TOLERANCE)
            difference, own_doubt = luma.look(moved)
            trust = resize(motion.trust(t, k), (doubt.shape[-2], doubt.shape[-1]))
            weight = doubt.add_(own_doubt).div_(-allowed).exp_().mul_(trust)
            luma.add(difference, weight, lags=lags)
            if chroma is not None:
                difference, doubt = chroma.look(chroma.aligned(k, flow))
                weight = resize(weight, (doubt.shape[-2], doubt.shape[-1]))
                weight = doubt.div_(-allowed).exp_().mul_(weight)
                chroma.add(difference, weight, lags=lags)
        rho = block.noise.temporal_correlation
        return averages.map(lambda average: average.signal(rho))


def tolerance(threshold: float, grain_area: float) -> float:
    """How much an aligned neighbor may differ: 1 for coarse grain at a threshold of 50.

    Args:
        threshold: as the stage's parameter.
        grain_area: `NoiseTable.grain_area`, pixels.
    """
    low, high = _GRAIN
    coarse = min(max((grain_area - low) / (high - low), 0.0), 1.0)
    strict = _STRICT + (1 - _STRICT) * coarse
    return float(strict * 4.0 ** ((threshold - 50) / 50))


class _Average:
    """The weighted mean of one signal of block frame ``t``, and the noise that is left in it.

    Weights and noise are kept on cells (`_CELL`); the frame itself has weight 1.
    """

    def __init__(
        self, block: Block, signal: Signal, noise: NoiseTable, t: int, strength: float
    ) -> None:
        self.signals, self.t = signal, t
        self.pixels = signal.pixels[t]
        self.factors = subsampling(block.luma.pixels, signal.pixels)
        down, across = (_CELL if factor == 1 else 1 for factor in self.factors)
        self.cell = (down, across)
        self.residual = signal.residual[t, :, ::down, ::across]
        self.area = max(block.noise.grain_area, 1)
        level = reduce(resize_to(block.luma.pixels[t : t + 1], signal.pixels)[0], self.cell)
        sigma = noise.sigma_at(level[None])[0] * (self.residual * strength)
        self.variance = sigma.square_().add_(_TINY)  # (C, h, w)
        self.total = torch.zeros_like(self.pixels)  # of weighted differences from the frame
        self.weight = torch.ones_like(level[0])
        self.power = torch.ones_like(level[0])

    def aligned(self, k: int, flow: Tensor) -> Tensor:
        """Block frame ``k`` as it would look now, (C, H, W)."""
        down, across = self.factors
        return warp(self.signals.pixels[k], flow, (1 / across, 1 / down))

    def look(self, moved: Tensor) -> tuple[Tensor, Tensor]:
        """How an aligned frame differs, in whose place the difference is written.

        Returns:
            The difference (C, H, W), and the doubt (h, w): mismatch beyond what two noisy samples
            explain. The mean square over a window is itself uncertain, the more so the coarser the
            grain: only what exceeds its expectation by a deviation or so counts.
        """
        difference = moved.sub_(self.pixels)
        change = reduce(difference.square(), self.cell).div_(self.variance)
        change = change[0] if len(change) == 1 else change.mean(0)
        size = (_NOISY_WINDOW[self.cell[0]], _NOISY_WINDOW[self.cell[1]])
        ratio = box_mean(change, size).div_(2 - _INTERPOLATION_LOSS / self.area)
        samples = size[0] * self.cell[0] * size[1] * self.cell[1]
        deviation = math.sqrt(2 * self.area / samples)
        return difference, ratio.sub_(1 + _DEVIATIONS * deviation).clamp_(min=0).mul_(
            _NOISY_PENALTY
        )

    def add(self, difference: Tensor, weight: Tensor, *, lags: bool) -> None:
        """Take an aligned frame's difference in, with a weight (h, w) in [0, 1]; where the window
        reaches to one side and would lag, without what is light that changed."""
        full = self._full(weight)
        if lags:
            difference -= light_of(difference, full, self.variance, self.area, self.factors)
        self.total.addcmul_(difference, full)
        self.weight += weight
        self.power.addcmul_(weight, weight, value=1 - _INTERPOLATION_LOSS / self.area)

    def signal(self, correlation: float) -> Signal:
        """The mean as a signal of one frame.

        Noise that repeats from frame to frame averages away more slowly: the variance of a mean
        of N samples of an AR(1) process is about (1 + rho) / (1 - rho) / N, never above 1.
        """
        rho = min(max(correlation, 0.0), 0.99)
        variance = self.power / self.weight.square() * ((1 + rho) / (1 - rho))
        share = self._full(variance.clamp_(max=1).sqrt_())
        mean = self.total.div_(self._full(self.weight)).add_(self.pixels)
        return Signal(mean[None], self.signals.residual[self.t][None] * share)

    def _full(self, cells: Tensor) -> Tensor:
        return resize(cells, (self.pixels.shape[-2], self.pixels.shape[-1]))
