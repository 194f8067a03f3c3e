"""Overlapped-window transform Wiener filter, shaped by the measured noise spectrum."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from vdenoise.frame import Signal
from vdenoise.noise.profile import NoiseTable
from vdenoise.stages.base import SpatialStage, param
from vdenoise.transform import THRESHOLD, dct_denoise, spectrum_for


class Wiener(SpatialStage):
    """Removes noise in the block DCT domain: hard threshold first, then Wiener gains from that.

    What it takes from each frequency follows the *measured* spectrum, so colored noise (grain,
    demosaicing, codecs) is not mistaken for white. Best all-round spatial method.
    """

    method: ClassVar[str] = "wiener"
    memory: ClassVar[float] = 14.0
    speeds: ClassVar[dict[str, dict[str, Any]]] = {
        "veryfast": {"effort": 1},
        "fast": {"effort": 2},
        "base": {"effort": 3},
        "slow": {"effort": 4},
        "veryslow": {"effort": 5},
    }

    block: Literal[8, 16] = param(
        8, "Size of the transform blocks: 8 keeps fine detail, 16 reaches coarser noise.", unit="px"
    )
    effort: int = param(
        3,
        "Block positions averaged, from 1 (one pass, some) to 5 (two passes, many).",
        low=1,
        high=5,
    )
    threshold: float = param(
        THRESHOLD, "First-pass threshold, in sigma; higher is smoother.", low=0.5, high=6
    )

    @property
    def offsets(self) -> tuple[int, int]:
        """Block positions averaged in the first and in the second pass."""
        half, whole, double = self.block // 2, self.block, 2 * self.block
        return {
            1: (half, 0),
            2: (half, half),
            3: (half, whole),
            4: (whole, double),
            5: (double, double),
        }[self.effort]

    @property
    def halo(self) -> int:
        """A pass reaches one block less a pixel; two passes twice that."""
        return (2 if self.offsets[1] else 1) * (self.block - 1)

    @property
    def multiple(self) -> int:
        """Tiles must lie on the block grid."""
        return self.block

    def filter(self, signal: Signal, noise: NoiseTable, luma: Tensor) -> Signal:
        """Denoise each frame and plane by itself."""
        spectrum = spectrum_for(noise.spectrum, self.block).to(signal.pixels)
        sigma = noise.sigma_at(luma) * signal.left * self.strength
        frames = [
            dct_denoise(
                pixels,
                variance,
                spectrum,
                block=self.block,
                offsets=self.offsets,
                threshold=self.threshold,
            )
            for pixels, variance in zip(signal.pixels, sigma.square(), strict=True)
        ]
        pixels = torch.stack([p for p, _ in frames])
        left = torch.stack([share.mean(0, keepdim=True).sqrt() for _, share in frames])
        return Signal(pixels, signal.left * left.clamp(max=1))
