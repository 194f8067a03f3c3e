"""From examples to what a network is given and what it should answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.nets.base import NetInput, noise_bands
from vdenoise.training.config import Jitter
from vdenoise.training.pool import Crop

BLIND = -1.0  # sigma told to a network that is to find out by itself


@dataclass(frozen=True, eq=False)
class Batch:
    """N crops."""

    given: NetInput
    wanted: Tensor  # (N, 3, H, W) Y'CbCr
    subsampled: Tensor  # (N,) bool

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        x = self.given
        parts = (x.noisy, x.average, x.sigma, x.left, x.bands)
        given = NetInput(*(part.to(device, non_blocking=True) for part in parts))
        return Batch(given, self.wanted.to(device), self.subsampled.to(device))

    def answer(self, correction: Tensor) -> Tensor:
        """The picture a run would give, Y'CbCr: of 4:2:0 the mean over each chroma pixel."""
        chroma = correction[:, 1:]
        mean = functional.avg_pool2d(chroma, 2)
        mean = mean.repeat_interleave(2, -2).repeat_interleave(2, -1)
        chroma = torch.where(self.subsampled[:, None, None, None], mean, chroma)
        return self.given.average + torch.cat([correction[:, :1], chroma], 1)


def batch(crops: Sequence[Crop], jitter: Jitter | None, rng: np.random.Generator) -> Batch:
    """Stack crops; with ``jitter`` a network is told about the noise as inexactly as it says."""
    sigmas, wanted, bands = [], [], []
    for crop in crops:
        clean, average = crop.planes[0:3], crop.planes[6:9]
        sigma = crop.noise.sigma_at(average[None, :1])[0]
        target = clean
        if jitter is not None:
            luma, chroma = np.exp(rng.standard_normal(2) * jitter.sigma)
            sigma = sigma * sigma.new_tensor([luma, chroma, chroma])[:, None, None]
            u = rng.random()
            if u < jitter.keep:
                sigma, target = torch.zeros_like(sigma), average
            elif u < jitter.keep + jitter.blind:
                sigma = torch.full_like(sigma, BLIND)
        sigmas.append(sigma)
        wanted.append(target)
        bands.append(noise_bands(crop.noise.spectrum))
    planes = torch.stack([crop.planes for crop in crops])
    left = torch.cat([planes[:, 9:10], planes[:, 10:11], planes[:, 10:11]], 1)
    given = NetInput(planes[:, 3:6], planes[:, 6:9], torch.stack(sigmas), left, torch.stack(bands))
    return Batch(given, torch.stack(wanted), torch.tensor([crop.subsampled for crop in crops]))
