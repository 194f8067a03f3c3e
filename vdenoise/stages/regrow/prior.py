"""What is possible under noise, as our denoisers know it: D(x, sigma) for a frame."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from vdenoise.picture.block import Block, Signal
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.subsampling import resize_to
from vdenoise.stages.base import noise_present
from vdenoise.stages.grain.field import color_of, filter_for, filtered
from vdenoise.stages.net.bare import bare_network
from vdenoise.stages.regrow.carried import Field, fields, white
from vdenoise.stages.spatial.wiener import Wiener

_SALT = 0x5265  # keeps these draws apart from those of grain with the same seed
_TINY = 1e-6
_LEAST = 1e-3  # share of noise left below which an average is taken for as certain as this


class Prior:
    """A frame of a block as samplers want it: a picture as one vector, and D over it.

    Level 1 is the noise that was measured, at each pixel and frequency as it was measured there.

    **Neighbors.** An average over time holds the frame itself and, independent of that, its
    neighbors. Of an average that leaves a share l of sigma, the frame has the weight l^2 and all
    others together 1 - l^2; they know the picture with a variance of l^2 / (1 - l^2). At each
    level the less noisy frame takes the place of the noisy one in that average, each by its own
    precision. So what is drawn is possible given the neighbors, too, and where they know the
    picture well little is left to be drawn.
    """

    def __init__(self, block: Block, model: str, guidance: float) -> None:
        """Look at one frame.

        Args:
            block: with one core frame.
            model: the network's name or file.
            guidance: g in D = D_frame + g (D_with_neighbors - D_frame).
        """
        self.block, self.net, self.guidance = block, bare_network(model), guidance
        core = block.core
        noisy = list(block.core_original.planes)
        if block.averaged is None:  # nothing was averaged: the frame alone
            ones = [torch.ones_like(p[:, :1]) * noise_present(block, p) for p in noisy]
            self.average = [Signal(p, one) for p, one in zip(noisy, ones, strict=True)]
        else:
            self.average = [signal[core] for signal in block.averaged.planes]
        self.noisy = noisy
        self.sizes = [plane.numel() for plane in noisy]
        self.present = [torch.as_tensor(noise_present(block, plane)) for plane in noisy]

    @property
    def start(self) -> Tensor:
        """The noisy frame."""
        return _flat(self.noisy)

    def planes(self, x: Tensor) -> list[Tensor]:
        """Luma and chroma, (1, C, H, W) each, of a vector."""
        parts = torch.split(x, self.sizes)
        return [part.view_as(like) for part, like in zip(parts, self.noisy, strict=True)]

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """D(x, sigma)."""
        if self.guidance == 0:
            return self._denoise(x, sigma, alone=True)
        joint = self._denoise(x, sigma, alone=False)
        if self.guidance == 1:
            return joint
        return torch.lerp(self._denoise(x, sigma, alone=True), joint, self.guidance)

    def noise(self, draw: int, seed: int) -> Tensor:
        """Noise of level 1, drawn by seed, frame, plane, draw and pixel, and carried along the
        motion."""
        block = self.block
        luma = self.average[0].pixels
        found = []
        for n, like in enumerate(self.noisy):
            table = block.noise.picture.planes[n]
            sigma = table.sigma_at(resize_to(luma, like)) * self.present[n]
            field = torch.empty_like(like, dtype=torch.float32)
            for c in range(like.shape[1]):
                numbers = white(self._carried[n], block.corner[n], (seed, n + c), _SALT + draw)
                rows = tuple(tuple(row) for row in table.spectrum[c].tolist())
                field[0, c] = filtered(numbers, filter_for(color_of(rows)))
            found.append(field.to(like) * sigma)
        return _flat(found)

    @cached_property
    def _carried(self) -> list[list[Field]]:
        """Where the random numbers of luma and chroma come from."""
        block = self.block
        sizes = [(plane.shape[-2], plane.shape[-1]) for plane in self.noisy]
        return [fields(block, block.wanted.start, size) for size in sizes]

    def _denoise(self, x: Tensor, sigma: float, *, alone: bool) -> Tensor:
        """The spatial filter and the network on what is known at this level."""
        block = self.block
        planes = self.planes(x)
        known = []
        for n, plane in enumerate(planes):
            present = self.present[n]
            if alone:
                known.append(Signal(plane, torch.ones_like(plane[:, :1]) * present))
                continue
            average = self.average[n]
            residual = (average.residual / (present + _TINY)).clamp(_LEAST, 1).square()
            variance = 1 / (1 / sigma**2 + 1 / residual - 1)
            joint = variance * (plane / sigma**2 + average.pixels / residual - self.noisy[n])
            known.append(Signal(joint, (variance.sqrt() / sigma).clamp(max=1) * present))
        average_now = Picture.of(known)
        given = replace(
            block.with_picture(average_now),
            first=block.first + block.wanted.start,
            core=slice(0, 1),
            noise=replace(block.noise, sigma=block.noise.sigma * sigma),
            motion=None,
            present=None if block.present is None else block.present[block.core],
            kept_original=Picture.of(planes),
            averaged=average_now,
            shot=None,
        )
        done = self.net.apply(given.with_picture(Wiener().apply(given).picture))
        return _flat([signal.pixels for signal in done.signals])


def _flat(planes: list[Tensor]) -> Tensor:
    return torch.cat([plane.flatten() for plane in planes])
