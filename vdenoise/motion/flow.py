"""Optical flow between neighbouring frames: estimated once per pair, checked both ways, shared.

On the CPU it is dense inverse search (`vdenoise.motion.inverse_search`) on a *guide*: the luma
with most of its noise taken out, which matters more to accuracy than any setting of the estimator.
On CUDA it is `vdenoise.motion.search`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

import cv2
import torch
from torch import Tensor

from vdenoise import compiled
from vdenoise.compiled import on_processor
from vdenoise.motion.inverse_search import Scales, between, prepared
from vdenoise.motion.warp import cpu_maps, reduce, remap
from vdenoise.picture.block import Accuracy
from vdenoise.picture.dct import dct_denoise, spectrum_for
from vdenoise.picture.noise_table import COARSE_GRAIN, NoiseTable

# Frames larger than this are matched at half size (and so on): above it pictures are oversampled
# and the flow gains nothing.
FULL_SIZE_PIXELS: dict[Accuracy, int] = {"fast": 300_000, "better": 1_000_000, "best": 1_000_000}

_GUIDE_BLUR = 1.2  # px: sigma of the Gaussian that makes the fast guide
Picture = Scales | Tensor  # what is matched: on a processor its scales, on a card (1, h, w)


def working_scale(height: int, width: int, accuracy: Accuracy) -> int:
    """Choose by how much frames are reduced before matching: 1, 2, 4 ..."""
    scale = 1
    while height * width / scale**2 > FULL_SIZE_PIXELS[accuracy]:
        scale *= 2
    return scale


@lru_cache(maxsize=64)
def guide_noise(noise: NoiseTable, accuracy: Accuracy) -> float:
    """Variance left in a guide, as a share of the source's noise variance."""
    if accuracy != "fast":
        return 0.05  # measured: what such a guide loses is detail, not noise
    spectrum = noise.spectrum[0]
    frequency = torch.arange(spectrum.shape[0], device=spectrum.device) * (
        math.pi / spectrum.shape[0]
    )
    transfer = (-(frequency**2) * _GUIDE_BLUR**2).exp()  # of the blur, squared
    return float((spectrum * transfer[:, None] * transfer).sum() / spectrum.sum())


def make_guide(
    luma: Tensor, noise: NoiseTable, accuracy: Accuracy, present: Tensor | float = 1.0
) -> Tensor:
    """Luma with most of its noise removed, to match and to compare: (1, H, W) -> (1, H, W)."""
    if accuracy == "fast":
        if on_processor(luma):
            blurred = cv2.GaussianBlur(luma[0].numpy(), (0, 0), _GUIDE_BLUR)
            return torch.from_numpy(blurred)[None]
        from kornia.filters import gaussian_blur2d

        taps = 2 * round(4 * _GUIDE_BLUR) + 1
        blurred_cuda: Tensor = gaussian_blur2d(luma[None], (taps, taps), (_GUIDE_BLUR, _GUIDE_BLUR))
        return blurred_cuda[0]
    block = 16 if accuracy == "best" or noise.grain_area > COARSE_GRAIN else 8
    table = noise.luma
    sigma = table.sigma_at(luma[None])[0] * present
    spectrum = spectrum_for(table.spectrum, block).to(luma)
    return dct_denoise(luma, sigma.square(), spectrum, block=block, offsets=(4, 4))[0].contiguous()


def estimate(
    a: Tensor, b: Tensor, scale: int, accuracy: Accuracy, *, by_opencv: bool = False
) -> Tensor:
    """Flow from guide ``a`` to guide ``b``.

    Args:
        a, b: (1, H, W) luma, nominally [0, 1].
        scale: reduction from `working_scale`.
        accuracy: of the search.
        by_opencv: on a processor, even where there are compiled functions.

    Returns:
        (2, h, w) float32: displacement in full-size luma pixels, on the reduced grid.
    """
    first, second = (_picture(x, scale, accuracy, by_opencv=by_opencv) for x in (a, b))
    return _between(first, second, scale, accuracy)


def _picture(guide: Tensor, scale: int, accuracy: Accuracy, *, by_opencv: bool = False) -> Picture:
    """What is matched, at reduced size."""
    small = reduce(guide, (scale, scale))
    if not on_processor(guide):
        return small
    return prepared(small, accuracy, by_opencv=by_opencv)


def _between(a: Picture, b: Picture, scale: int, accuracy: Accuracy) -> Tensor:
    """Flow from picture ``a`` to picture ``b``, as `estimate`."""
    if isinstance(a, Scales) and isinstance(b, Scales):
        return between(a, b, accuracy).mul_(scale)
    assert isinstance(a, Tensor) and isinstance(b, Tensor), "both were prepared alike"
    from vdenoise.motion.search import search

    return search(a, b) * scale


def agreement(forward: Tensor, backward: Tensor, scale: int) -> Tensor:
    """Where a flow and its opposite undo each other (Sundaram et al., 2010), softly.

    Args:
        forward, backward: (2, h, w) in luma pixels.
        scale: luma pixels per grid cell.

    Returns:
        (h, w) in [0, 1]; 1/2 where the error equals the tolerance of 1 px + 5 % of the motion.
    """
    if compiled.serves(forward, backward):
        agreed = torch.empty(forward.shape[1:])
        flows = (forward.contiguous(), backward.contiguous())
        compiled.call("agreement", *flows, *agreed.shape, float(scale), agreed)
        return agreed
    if on_processor(forward):
        x, y = cpu_maps(forward / scale, (forward.shape[1], forward.shape[2]), (1.0, 1.0))
        back = torch.stack(
            [torch.from_numpy(remap(c.numpy(), x, y, cv2.INTER_LINEAR)) for c in backward]
        )
    else:
        from vdenoise.motion.warp import warp

        back = warp(backward, forward, (1 / scale, 1 / scale))
    error = (forward + back).square().sum(0)
    tolerance = 1 + 0.05 * (forward.square() + back.square()).sum(0)
    return 1 / (1 + (error / tolerance).square())


K = TypeVar("K")
V = TypeVar("V")


class Once(Generic[K, V]):
    """A cache of values that whoever asks first computes; others meanwhile wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[K, Future[V]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: K, compute: Callable[[], V]) -> V:
        """The value of ``key``; where computing it fails, for all who wait, it is not kept."""
        with self._lock:
            known = self._found.get(key)
            future = known if known is not None else self._found.setdefault(key, Future())
        if known is None:
            try:
                future.set_result(compute())
            except BaseException as error:
                future.set_exception(error)
                self.forget(lambda other: other == key)
        return future.result()

    def forget(self, old: Callable[[K], bool]) -> None:
        """Drop the values of all keys that are ``old``."""
        with self._lock:
            for key in [key for key in self._found if old(key)]:
                del self._found[key]


@dataclass(frozen=True, eq=False)
class BlockMotion:
    """`picture.block.Motion` of one block: positions inside the block, answered from the cache."""

    shared: SharedMotion
    first: int
    luma: Sequence[Tensor]
    noise: NoiseTable
    present: Tensor | None = None  # (T, 1, H, W): `picture.block.Block.present`
    pilot: Callable[[int], Tensor] | None = None  # makes the guide of a block frame, (1, H, W)

    @property
    def guide_noise(self) -> float:
        """Noise variance left in the guides, as a share of the source's."""
        return guide_noise(self.noise, "best" if self.pilot else self.shared.accuracy)

    @property
    def scale(self) -> int:
        """Luma pixels per cell of the motion grid."""
        height, width = self.luma[0].shape[-2:]
        return working_scale(height, width, self.shared.accuracy)

    def guide(self, a: int) -> Tensor:
        """Luma of block frame ``a`` with most of its noise removed, (1, H, W)."""
        return self.shared.guides.get(self.first + a, lambda: self._guide(a))

    def _guide(self, a: int) -> Tensor:
        if self.pilot is not None:
            return self.pilot(a)
        present = 1.0 if self.present is None else self.present[a]
        return make_guide(self.luma[a], self.noise, self.shared.accuracy, present)

    def flow(self, a: int, b: int) -> Tensor:
        """Where each pixel of frame ``a`` is in frame ``b``: (2, h, w) in luma pixels."""
        return self.shared.flows.get((self.first + a, self.first + b), lambda: self._flow(a, b))

    def trust(self, a: int, b: int) -> Tensor:
        """(h, w) in [0, 1]: how well the flow and its opposite agree."""
        return agreement(self.flow(a, b), self.flow(b, a), self.scale)

    def _flow(self, a: int, b: int) -> Tensor:
        return _between(self._picture(a), self._picture(b), self.scale, self.shared.accuracy)

    def _picture(self, a: int) -> Picture:
        return self.shared.pictures.get(
            self.first + a, lambda: _picture(self.guide(a), self.scale, self.shared.accuracy)
        )


class SharedMotion:
    """Guides and flows of a run, by absolute frame number; forgets what lies behind.

    A flow depends on its two frames only, so it does not matter which block asked first. Blocks
    may be asked from several threads.
    """

    def __init__(self, accuracy: Accuracy = "better", keep: int = 17) -> None:
        """``keep``: frames behind the newest that are still needed."""
        self.accuracy = accuracy
        self.keep = keep
        self.guides: Once[int, Tensor] = Once()
        self.pictures: Once[int, Picture] = Once()
        self.flows: Once[tuple[int, int], Tensor] = Once()

    def block(
        self,
        first: int,
        luma: Sequence[Tensor] | Tensor,
        noise: NoiseTable,
        present: Tensor | None = None,
        pilot: Callable[[int], Tensor] | None = None,
    ) -> BlockMotion:
        """Motion between the frames of a block.

        Args:
            first: absolute number of the block's first frame.
            luma: source luma of each frame, (1, H, W).
            noise: measured noise of the shot.
            present: share of it in each frame, (T, 1, H, W); None for all of it.
            pilot: makes the guide of a frame of the block, (1, H, W), in place of `make_guide`.
        """
        oldest = first + len(luma) - 1 - self.keep
        self.guides.forget(lambda index: index < oldest)
        self.pictures.forget(lambda index: index < oldest)
        self.flows.forget(lambda pair: min(pair) < oldest)
        return BlockMotion(self, first, list(luma), noise, present, pilot)
