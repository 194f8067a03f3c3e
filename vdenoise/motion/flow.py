"""Optical flow between neighbouring frames: estimated once per pair, checked both ways, shared.

On the CPU it is OpenCV's DIS (Kroeger et al., "Fast Optical Flow using Dense Inverse Search",
2016) on a *guide*: the luma with most of its noise taken out, which matters more to accuracy
than any setting of the estimator. On CUDA it is `vdenoise.motion.search`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vdenoise.motion.parallel import each
from vdenoise.motion.warp import cpu_maps, remap
from vdenoise.noise.profile import COARSE_GRAIN, NoiseTable
from vdenoise.transform import dct_denoise, spectrum_for

Accuracy = Literal["fast", "better"]

# Frames larger than this are matched at half size (and so on): above it pictures are oversampled
# and the flow gains nothing.
FULL_SIZE_PIXELS = {"fast": 300_000, "better": 1_000_000}

_GUIDE_BLUR = 1.2  # px: sigma of the Gaussian that makes the fast guide


def working_scale(height: int, width: int, accuracy: Accuracy) -> int:
    """By how much frames are reduced before matching: 1, 2, 4 ..."""
    scale = 1
    while height * width / scale**2 > FULL_SIZE_PIXELS[accuracy]:
        scale *= 2
    return scale


def guide_noise(noise: NoiseTable, accuracy: Accuracy) -> float:
    """Variance left in a guide, as a share of the source's noise variance."""
    if accuracy == "better":
        return 0.05  # measured: what such a guide loses is detail, not noise
    spectrum = noise.spectrum[0]
    frequency = torch.arange(spectrum.shape[0], device=spectrum.device) * (
        math.pi / spectrum.shape[0]
    )
    transfer = (-(frequency**2) * _GUIDE_BLUR**2).exp()  # of the blur, squared
    return float((spectrum * transfer[:, None] * transfer).sum() / spectrum.sum())


def make_guide(luma: Tensor, noise: NoiseTable, accuracy: Accuracy) -> Tensor:
    """Luma with most of its noise removed, to match and to compare: (1, H, W) -> (1, H, W)."""
    if accuracy == "fast":
        if luma.device.type == "cpu":
            blurred = cv2.GaussianBlur(luma[0].numpy(), (0, 0), _GUIDE_BLUR)
            return torch.from_numpy(blurred)[None]
        from kornia.filters import gaussian_blur2d

        taps = 2 * round(4 * _GUIDE_BLUR) + 1
        blurred_cuda: Tensor = gaussian_blur2d(luma[None], (taps, taps), (_GUIDE_BLUR, _GUIDE_BLUR))
        return blurred_cuda[0]
    block = 16 if noise.grain_area > COARSE_GRAIN else 8
    table = noise.planes(slice(0, 1))
    sigma = table.sigma_at(luma[None])[0]
    spectrum = spectrum_for(table.spectrum, block).to(luma)
    half = block // 2
    return dct_denoise(luma, sigma.square(), spectrum, block=block, offsets=(half, half))[0]


def estimate(a: Tensor, b: Tensor, scale: int, accuracy: Accuracy) -> Tensor:
    """Flow from guide ``a`` to guide ``b``.

    Args:
        a, b: (1, H, W) luma, nominally [0, 1].
        scale: reduction from `working_scale`.

    Returns:
        (2, h, w) float32: displacement in full-size luma pixels, on the reduced grid.
    """
    if a.device.type != "cpu":
        from vdenoise.motion.search import search

        return search(_reduce(a, scale), _reduce(b, scale)) * scale
    start: Any = None  # OpenCV's stubs do not know that no initial flow is fine
    flow = _dis(accuracy).calc(_eight_bit(a, scale), _eight_bit(b, scale), start)
    return torch.from_numpy(np.ascontiguousarray(flow.transpose(2, 0, 1))) * scale


def agreement(forward: Tensor, backward: Tensor, scale: int) -> Tensor:
    """Where a flow and its opposite undo each other (Sundaram et al., 2010), softly.

    Args:
        forward, backward: (2, h, w) in luma pixels.
        scale: luma pixels per grid cell.

    Returns:
        (h, w) in [0, 1]; 1/2 where the error equals the tolerance of 1 px + 5 % of the motion.
    """
    if forward.device.type == "cpu":
        x, y = cpu_maps(forward / scale, (forward.shape[1], forward.shape[2]), (1.0, 1.0))
        back = torch.stack([torch.from_numpy(remap(c.numpy(), x, y)) for c in backward])
    else:
        from vdenoise.motion.warp import warp

        back = warp(backward, forward, (1 / scale, 1 / scale))
    error = (forward + back).square().sum(0)
    tolerance = 1 + 0.05 * (forward.square() + back.square()).sum(0)
    return 1 / (1 + (error / tolerance).square())


def _reduce(luma: Tensor, scale: int) -> Tensor:
    return luma if scale == 1 else functional.avg_pool2d(luma[None], scale, ceil_mode=True)[0]


def _eight_bit(luma: Tensor, scale: int) -> NDArray[np.uint8]:
    """DIS takes 8-bit pictures only; this one is looked at, never shown."""
    image: NDArray[np.uint8] = (
        (_reduce(luma, scale)[0] * 255).round_().clamp_(0, 255).to(torch.uint8).numpy()
    )
    return image


_local = threading.local()


def _dis(accuracy: Accuracy) -> cv2.DISOpticalFlow:
    """An estimator of this thread: DIS objects keep buffers and cannot be shared."""
    found: dict[Accuracy, cv2.DISOpticalFlow] = _local.__dict__.setdefault("dis", {})
    if accuracy not in found:
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        dis.setFinestScale(1)
        dis.setPatchSize(8)
        dis.setPatchStride(4)
        dis.setVariationalRefinementIterations(5 if accuracy == "better" else 0)
        found[accuracy] = dis
    return found[accuracy]


@dataclass(frozen=True, eq=False)
class BlockMotion:
    """`vdenoise.frame.Motion` of one block: positions inside the block, answered from the cache."""

    shared: SharedMotion
    first: int
    noise: NoiseTable

    @property
    def guide_noise(self) -> float:
        """Noise variance left in the guides, as a share of the source's."""
        return guide_noise(self.noise, self.shared.accuracy)

    def guide(self, a: int) -> Tensor:
        """Luma of block frame ``a`` with most of its noise removed, (1, H, W)."""
        return self.shared.guide(self.first + a)

    def flow(self, a: int, b: int) -> Tensor:
        """Where each pixel of frame ``a`` is in frame ``b``: (2, h, w) in luma pixels."""
        return self.shared.flow(self.first + a, self.first + b)

    def trust(self, a: int, b: int) -> Tensor:
        """(h, w) in [0, 1]: how well the flow and its opposite agree."""
        return self.shared.trust(self.first + a, self.first + b)

    def prepare(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Estimate many pairs at once, on all cores."""
        self.shared.prepare([(self.first + a, self.first + b) for a, b in pairs])


class SharedMotion:
    """Guides and flows of a run, by absolute frame number; forgets what lies behind.

    A flow depends on its two frames only, so it does not matter which block asked first.
    """

    def __init__(self, accuracy: Accuracy = "better", keep: int = 17) -> None:
        """``keep``: frames behind the newest that are still needed."""
        self.accuracy = accuracy
        self.keep = keep
        self.scale = 1
        self._guides: dict[int, Tensor] = {}
        self._flows: dict[tuple[int, int], Tensor] = {}

    def block(self, first: int, luma: Tensor, noise: NoiseTable) -> BlockMotion:
        """Motion between the frames of a block.

        Args:
            first: absolute number of the block's first frame.
            luma: (T, 1, H, W) source luma.
            noise: measured noise of the shot.
        """
        self.scale = working_scale(luma.shape[-2], luma.shape[-1], self.accuracy)
        self._forget(first + luma.shape[0] - 1 - self.keep)
        new = [i for i in range(luma.shape[0]) if first + i not in self._guides]
        guides = [make_guide(luma[i], noise, self.accuracy) for i in new]
        self._guides.update({first + i: guide for i, guide in zip(new, guides, strict=True)})
        return BlockMotion(self, first, noise)

    def guide(self, index: int) -> Tensor:
        """The guide of frame ``index``."""
        return self._guides[index]

    def prepare(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Estimate the flows of these pairs, both ways, where they are not known yet."""
        wanted = {p for a, b in pairs for p in ((a, b), (b, a))}
        missing = sorted(wanted - self._flows.keys())
        self._flows.update(zip(missing, each(self._estimate, missing), strict=True))

    def flow(self, a: int, b: int) -> Tensor:
        """Flow from frame ``a`` to frame ``b``."""
        if (a, b) not in self._flows:
            self._flows[a, b] = self._estimate((a, b))
        return self._flows[a, b]

    def trust(self, a: int, b: int) -> Tensor:
        """Agreement of the flow from ``a`` to ``b`` with its opposite."""
        return agreement(self.flow(a, b), self.flow(b, a), self.scale)

    def _estimate(self, pair: tuple[int, int]) -> Tensor:
        a, b = pair
        return estimate(self._guides[a], self._guides[b], self.scale, self.accuracy)

    def _forget(self, before: int) -> None:
        for index in [i for i in self._guides if i < before]:
            del self._guides[index]
        for pair in [p for p in self._flows if min(p) < before]:
            del self._flows[pair]
