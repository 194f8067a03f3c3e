"""What networks are given of a block, clip by clip: all at luma's size for torch, planes as they
are by rows: pictures, sigma and residual."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from vdenoise.nets.base import NetInput, Network, noise_bands
from vdenoise.nets.by_rows import Plane
from vdenoise.picture.block import Block, Signal, window
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.subsampling import repeat_to, resize_to, subsampling


class Pictures:
    """What networks are given of a block."""

    def __init__(self, block: Block, strength: float) -> None:
        self.block, self.strength = block, strength
        self.averaged = block.averaged or block.picture
        self.bands = noise_bands(block.noise.spectrum).to(block.luma.pixels)

    def sigma(self, frames: list[int]) -> Tensor:
        """(T, C, H, W) of the noise to remove, for one plane or three."""
        averaged = self.averaged
        noise = self.block.noise.luma if averaged.chroma is None else self.block.noise
        sigma = noise.sigma_at(averaged.luma.pixels[frames]) * self.strength
        return sigma if self.block.present is None else sigma * self.block.present[frames]

    def planes(self, t: int) -> list[Plane]:
        """The input for a frame of the block by rows, every plane at its own size."""
        block, averaged = self.block, self.averaged
        luma = block.luma.pixels[t, 0]

        def three(luma_plane: Tensor, chroma: Tensor | None) -> list[Plane]:
            if chroma is None:
                return [Plane(luma_plane), Plane(None), Plane(None)]
            factors = subsampling(luma, chroma)
            return [
                Plane(luma_plane),
                *(Plane(chroma[min(n, len(chroma) - 1)], *factors) for n in (0, 1)),
            ]

        def pixels(picture: Picture[Tensor]) -> list[Plane]:
            return three(picture.luma[t, 0], None if picture.chroma is None else picture.chroma[t])

        found = [block.picture.map(_pixels_of), averaged.map(_pixels_of), block.original]
        sigma = self.sigma([t])[0]
        residual = averaged.map(lambda signal: signal.residual)
        left = pixels(
            residual if residual.chroma is not None else Picture(residual.luma, residual.luma)
        )
        return [
            *(plane for picture in found for plane in pixels(picture)),
            *three(sigma[0], sigma[1:] if len(sigma) > 1 else None),
            *left,
        ]

    def given(self, frames: list[int], net: Network) -> NetInput:
        """The input for these frames of the block, everything at luma's size."""
        block, averaged = self.block, self.averaged
        sigma = self.sigma(frames)
        neighbors = None
        if "neighbors" in net.inputs:
            around = [self._around(t, net.reach) for t in frames]
            neighbors = torch.stack([_pixels(averaged, places) for places in around])
        return NetInput(
            noisy=_joined(block.original, frames),
            average=_pixels(block.picture, frames),
            sigma=sigma if averaged.chroma is not None else _joined(Picture(sigma)),
            residual=_residual(block.picture, frames),
            bands=self.bands.expand(len(frames), -1),
            neighbors=neighbors,
            temporal=_pixels(averaged, frames),
            temporal_residual=_residual(averaged, frames),
        )

    def _around(self, t: int, reach: int) -> list[int]:
        """The frames before and behind ``t``, as far as the shot goes. Where it ends, the nearest
        distinct frames of the other side take the places; in a shot that is too short, the
        nearest frame again."""
        block = self.block
        place = block.first + t
        seen = window(place, reach, block.shot_first, block.shot_last)
        spare = sorted((i for i in seen if abs(i - place) > reach), key=lambda i: abs(i - place))
        found = {}
        for i in (place + side * k for k in range(1, reach + 1) for side in (-1, 1)):
            nearest = min(max(i, seen[0]), seen[-1])
            found[i] = i if i == nearest else spare.pop(0) if spare else nearest
        return [found[i] - block.first for i in sorted(found)]


def relative_to_present(block: Block) -> Block:
    """The block with maps that are relative to the noise its own source had at each pixel."""
    present = block.present
    assert present is not None

    def of(signal: Signal) -> Signal:
        there = resize_to(present, signal.pixels)
        residual = torch.where(there > 0, signal.residual / there.clamp(min=1e-6), 0.0)
        return Signal(signal.pixels, residual.clamp_(max=1))

    averaged = block.averaged and block.averaged.map(of)
    return replace(block.with_picture(block.picture.map(of)), averaged=averaged)


def fixed_clips(block: Block, core: range, net: Network) -> list[tuple[range, range]]:
    """Give for each fixed clip with frames of the core the block's frames that are given to the
    network, and those that are wanted of it."""
    found = []
    first, last = block.first + core.start, block.first + core.stop - 1
    for start in range(first // net.clip * net.clip, last + 1, net.clip):
        given = range(
            max(start - net.reach, block.shot_first) - block.first,
            min(start + net.clip - 1 + net.reach, block.shot_last) - block.first + 1,
        )
        inside = range(start - block.first, start + net.clip - block.first)
        wanted = range(max(inside.start, core.start), min(inside.stop, core.stop))
        found.append((given, wanted))
    return found


def _pixels(picture: Picture[Signal], frames: list[int]) -> Tensor:
    return _joined(picture.map(_pixels_of), frames)


def _residual(picture: Picture[Signal], frames: list[int]) -> Tensor:
    """The residual map of every plane, (N, 3, H, W)."""
    luma, chroma = picture
    if chroma is None:
        return luma.residual[frames].expand(-1, 3, -1, -1)
    return _joined(Picture(luma.residual, chroma.residual.expand(-1, 2, -1, -1)), frames)


def _joined(picture: Picture[Tensor], frames: list[int] | None = None) -> Tensor:
    """(N, 3, H, W): chroma repeated to luma's size, 0 where there is none; all frames or some."""
    luma, chroma = picture if frames is None else picture.map(lambda x: x[frames])
    if chroma is None:
        return torch.cat([luma, torch.zeros_like(luma).expand(-1, 2, -1, -1)], 1)
    return torch.cat([luma, repeat_to(chroma, luma)], 1)


def _pixels_of(signal: Signal) -> Tensor:
    return signal.pixels
