"""From examples to what a network is given and what it should answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.nets.base import NetInput, noise_bands
from vdenoise.training.config import Jitter
from vdenoise.training.material.pool import Crop

BLIND = -1.0  # sigma told to a network that is to find out by itself


@dataclass(frozen=True, eq=False)
class Batch:
    """N crops."""

    given: NetInput
    wanted: Tensor  # (N, 3, H, W) Y'CbCr
    subsampled: Tensor  # (N,) bool

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        given = self.given.mapped(lambda t: t.to(device, non_blocking=True))
        given = replace(given, bands=given.bands.to(device))
        return Batch(given, self.wanted.to(device), self.subsampled.to(device))

    def pin_memory(self) -> Batch:
        """The same in memory that a GPU copies from (called by torch's loader)."""
        given = self.given.mapped(Tensor.pin_memory)
        given = replace(given, bands=given.bands.pin_memory())
        return Batch(given, self.wanted.pin_memory(), self.subsampled.pin_memory())

    def answer(self, correction: Tensor) -> Tensor:
        """The picture a run would give, Y'CbCr: of 4:2:0 the mean over each chroma pixel."""
        chroma = correction[:, 1:]
        mean = functional.avg_pool2d(chroma, 2)
        mean = mean.repeat_interleave(2, -2).repeat_interleave(2, -1)
        chroma = torch.where(self.subsampled[:, None, None, None], mean, chroma)
        return self.given.average + torch.cat([correction[:, :1], chroma], 1)


def batch(crops: Sequence[Crop], jitter: Jitter | None, rng: np.random.Generator) -> Batch:
    """Stack crops; with ``jitter`` a network is told about the noise as inexactly as it says."""
    sigmas, bands, planes = [], [], []
    for crop in crops:
        seen = crop.planes if jitter is None else _bared(crop.planes, jitter, rng)
        sigma = crop.noise.sigma_at(seen[None, 6:7])[0]
        if jitter is not None:
            luma, chroma = np.exp(rng.standard_normal(2) * jitter.sigma)
            sigma = sigma * sigma.new_tensor([luma, chroma, chroma])[:, None, None]
            if rng.random() < jitter.blind:
                sigma = torch.full_like(sigma, BLIND)
        sigmas.append(sigma)
        planes.append(seen)
        bands.append(noise_bands(crop.noise.spectrum))
    whole = torch.stack(planes)
    residual = torch.cat([whole[:, 9:10], whole[:, 10:11], whole[:, 10:11]], 1)
    given = NetInput(
        noisy=whole[:, 3:6],
        average=whole[:, 11:14],
        sigma=torch.stack(sigmas),
        # Of the temporal result: networks that are trained here look at no other
        residual=residual,
        bands=torch.stack(bands),
        temporal=whole[:, 6:9],
        temporal_residual=residual,
    )
    return Batch(given, whole[:, 0:3], torch.tensor([crop.subsampled for crop in crops]))


def _bared(planes: Tensor, jitter: Jitter, rng: np.random.Generator) -> Tensor:
    """`Example.planes` as they are without the spatial stage, or without any, now and then."""
    u = rng.random()
    clean, noisy, average, residual, _ = torch.split(planes, [3, 3, 3, 2, 3])
    if u < jitter.alone:
        return torch.cat([clean, noisy, noisy, torch.ones_like(residual), noisy])
    if u < jitter.alone + jitter.unfiltered:
        return torch.cat([clean, noisy, average, residual, average])
    return planes
