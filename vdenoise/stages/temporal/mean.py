"""Flow-aligned averaging over time, with weights that know how noisy the clip is."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from vdenoise.motion.light import light_of
from vdenoise.motion.warp import reduce, resize
from vdenoise.nets.models import find
from vdenoise.picture.block import Accuracy, Block, Signal, join_signals, window
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import resize_to, subsampling
from vdenoise.stages.base import Footprint, Need, Stage, StageFile, param
from vdenoise.stages.control.pilot import MODEL
from vdenoise.stages.temporal.neighbors import Compared, Judge, Sums

# A bicubic sample between pixels carries less white noise than a pixel: this much of its
# variance is lost, in the mean over all sub-pixel positions. Coarse grain loses less.
_INTERPOLATION_LOSS = 0.15

# Weights are smooth, so they are computed on cells of 2x2 luma pixels: a quarter of the work. A
# plane that is subsampled already has cells of one pixel that way.
_CELL = 2
_WINDOW = {1: 7, 2: 3}  # cells of so many pixels: over which mismatch is taken
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
        allowed = tolerance(self.motion_threshold, block.noise.grain_area)
        if self.guide == "pilot":
            allowed *= _PILOTED
        guide = (motion.guide(t)[0], 2 * motion.guide_noise)
        luma, chroma = averages = block.picture.pair(
            block.noise.picture,
            lambda signal, noise: _Average(block, signal, noise, t, self.strength, allowed, guide),
        )
        seen = window(block.first + t, self.radius, block.shot_first, block.shot_last)
        lags = seen.start + seen.stop - 1 != 2 * (block.first + t)  # at a shot's ends
        for k in (i - block.first for i in seen if i != block.first + t):
            flow, trust = motion.flow(t, k), motion.trust(t, k)
            # A guide lies on luma's pixels: both are fetched from the same places.
            planes = [motion.guide(k)[0], luma.pixels_of(k)[0]]
            weight = luma.take(planes, flow, trust, lags=lags)
            if chroma is not None:
                chroma.take([*chroma.pixels_of(k)], flow, weight, lags=lags)
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


def _of_guide(alike: float, allowed: float) -> Judge:
    return Judge(alike, 1 / _GUIDE_TOLERANCE / allowed)


class _Average:
    """The weighted mean of one signal of block frame ``t``, and the noise that is left in it.

    Weights and noise are kept on cells (`_CELL`); the frame itself has weight 1.
    """

    def __init__(
        self,
        block: Block,
        signal: Signal,
        noise: NoiseTable,
        t: int,
        strength: float,
        allowed: float,
        guide: tuple[Tensor, float],
    ) -> None:
        """``allowed``: see `tolerance`. ``guide``: that of the frame (H, W), and the mean square of
        the difference of two whose pictures are alike, in variances of the noise."""
        self.signals, now, luma = signal, signal.frame(t), block.luma.frame(t).pixels
        self.pixels, self.left = now.pixels[0], now.residual
        self.factors = subsampling(luma, self.pixels)
        down, across = self.factors
        cell = (_CELL if down == 1 else 1, _CELL if across == 1 else 1)
        self.residual = self.left[0, :, :: cell[0], :: cell[1]]
        self.area = max(block.noise.grain_area, 1)
        level = reduce(resize_to(luma, self.pixels)[0], cell)
        sigma = noise.sigma_at(level[None])[0] * (self.residual * strength)
        self.variance = sigma.square_().add_(_TINY)  # (C, h, w)
        window = (_WINDOW[cell[0]], _WINDOW[cell[1]])
        judge = self._judge(window[0] * cell[0] * window[1] * cell[1], allowed)
        if len(self.pixels) == 1:
            own, judges = [guide[0], self.pixels[0]], [_of_guide(guide[1], allowed), judge]
        else:
            own, judges = [*self.pixels], [judge]
        variance = [*self.variance.expand(2, -1, -1)]
        self.compared = Compared(own, variance, cell, window, judges, (1 / across, 1 / down))
        self.sums = Sums(
            torch.zeros_like(self.pixels),
            torch.ones_like(level[0]),
            torch.ones_like(level[0]),
            1 - _INTERPOLATION_LOSS / self.area,
        )

    def _judge(self, samples: int, allowed: float) -> Judge:
        """Doubt is mismatch beyond what two noisy samples explain. The mean square over a window
        is itself uncertain, the more so the coarser the grain: only what exceeds its expectation by
        a deviation or so counts."""
        expected = 2 - _INTERPOLATION_LOSS / self.area
        deviation = math.sqrt(2 * self.area / samples)
        floor = expected * (1 + _DEVIATIONS * deviation)
        return Judge(floor, _NOISY_PENALTY / expected / allowed)

    def take(self, planes: list[Tensor], flow: Tensor, trust: Tensor, *, lags: bool) -> Tensor:
        """Take a neighbor in, with the weight that is returned, (h, w) in [0, 1].

        Args:
            planes: two of it, (H, W): with those of this frame they are compared.
            flow: where they are to be fetched from.
            trust: a factor on the weight, on any grid.
            lags: whether the window reaches to one side and the mean would lag: then it is taken
                in without what is light that changed.
        """
        cells = self.sums.weight
        trust = resize(trust, (cells.shape[0], cells.shape[1]))
        if not lags:
            return self.compared.sum_up(planes, flow, trust, self.sums)
        differences, weight = self.compared.weigh(planes, flow, trust)
        own = differences[-len(self.pixels) :]
        full = self._full(weight)
        own -= light_of(own, full, self.variance, self.area, self.factors)
        self.sums.add(own, weight)
        return weight

    def signal(self, correlation: float) -> Signal:
        """The mean as a signal of one frame.

        Noise that repeats from frame to frame averages away more slowly: the variance of a mean
        of N samples of an AR(1) process is about (1 + rho) / (1 - rho) / N, never above 1.
        """
        rho = min(max(correlation, 0.0), 0.99)
        sums = self.sums
        variance = sums.power / sums.weight.square() * ((1 + rho) / (1 - rho))
        share = self._full(variance.clamp_(max=1).sqrt_())
        mean = sums.total.div_(self._full(sums.weight)).add_(self.pixels)
        return Signal(mean[None], self.left * share)

    def pixels_of(self, k: int) -> Tensor:
        """Give the pixels of another block frame, (C, H, W)."""
        return self.signals.frame(k).pixels[0]

    def _full(self, cells: Tensor) -> Tensor:
        return resize(cells, (self.pixels.shape[-2], self.pixels.shape[-1]))
