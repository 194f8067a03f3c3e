"""A guard behind networks: what they removed is looked through for picture, which goes back."""

from __future__ import annotations

from typing import ClassVar

import torch

from vdenoise.picture.block import Block, Signal
from vdenoise.picture.block_passes import lattice
from vdenoise.picture.dct import dct_outliers, spectrum_for
from vdenoise.stages.base import Footprint, Need, Stage, noise_present

_BLOCK = 16
_OFFSETS = (2, 2)  # four of each gained 0.005 dB for twice the work
# Of white noise, 7 coefficients in a million are as large. At 4 flats of strong noise lost 0.04 dB.
_THRESHOLD = 4.5
# Of the transform: periods above 8 px are no fine texture. Where noise was clipped a network shifts
# whole levels, rightly, which would be the largest outlier of all.
_COARSE = 4
_NEVER = 1e6  # noise variance of a coefficient that is never an outlier


class TextureGuard(Stage):
    """Gives back to luma what cannot have been noise.

    A network that has seen little of a fine regular texture (a fence, a weave) takes a part of it
    for noise. Over the picture that is hardly more energy than the noise has; in the transform of
    a block it stands in a few coefficients, far above what the measured spectrum says of noise.
    Colors have no such detail that a network would take: nothing was gained there.
    """

    slot: ClassVar[str] = "texture"
    method: ClassVar[str] = "guard"

    @property
    def needs(self) -> frozenset[Need]:
        """What the network started from."""
        return frozenset({"original", "averaged"})

    @property
    def footprint(self) -> Footprint:
        """The first pass reaches one block less a pixel; the second begins at most as far beside
        a block of the first as their positions differ."""
        beside = max(max(place) for place in lattice(_BLOCK, max(_OFFSETS)))
        return Footprint(halo=_BLOCK - 1 + beside, multiple=_BLOCK, scratch=4)

    def denoise(self, block: Block) -> Block:
        """Compare with the average over time, or with the source where nothing was averaged."""
        now = block.luma[block.core]
        if block.averaged is None:
            before = block.core_original.luma
            average = Signal(before, torch.ones_like(before) * noise_present(block, before))
        else:
            average = block.averaged.luma[block.core]
        noise = block.noise.luma
        sigma = noise.sigma_at(average.pixels).mul_(average.residual).mul_(self.strength)
        spectrum = spectrum_for(noise.spectrum, _BLOCK).to(now.pixels)
        order = torch.arange(_BLOCK, device=spectrum.device)
        coarse = torch.hypot(order[:, None].float(), order.float()) < _COARSE
        spectrum = spectrum.masked_fill(coarse.flatten(), _NEVER)
        found = [
            dct_outliers(
                removed,
                variance,
                spectrum,
                block=_BLOCK,
                offsets=_OFFSETS,
                threshold=_THRESHOLD,
            )
            for removed, variance in zip(average.pixels - now.pixels, sigma.square_(), strict=True)
        ]
        luma = Signal(now.pixels + torch.stack(found), now.residual)
        return block.with_picture(block.core_picture._replace(luma=luma))
