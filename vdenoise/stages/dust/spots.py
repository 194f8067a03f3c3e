"""Dust, dirt, hairs and drop-outs: what lies on one frame of a film and on no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from vdenoise.picture.block import Block, Signal, window
from vdenoise.picture.findings import StageFindings
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.subsampling import subsampling
from vdenoise.stages.base import Footprint, Role, Stage, param
from vdenoise.stages.dust.alignment import Plane, flow_without_spots, moved, without_spots
from vdenoise.stages.dust.mending import mended
from vdenoise.stages.dust.scene import Scene

_SMALLEST = 32  # px: in lower pictures no motion is found


class DustSpots(Stage):
    """Replaces spots that are on a single frame by what the frames beside it show there.

    A spike detector (Kokaram, "Motion Picture Restoration", 1998) finds pixels that lie outside of
    both their neighbors along the motion by more than the noise explains. A spot of them is dust
    only where the ring around it matches those neighbors, so that the motion is known to be right;
    where it is beyond what is around it, and they have nothing of its shape there; where no such
    spot comes and goes on a steady way, which would be a thing that moves; and where few others of
    its kind are near, as in rain. Motion is estimated on pictures that spots were taken out of, or
    it would follow them.
    """

    slot: ClassVar[str] = "dust"
    method: ClassVar[str] = "spots"
    role: ClassVar[Role] = "repair"

    threshold: float = param(
        4.5, "How far dust must stand out, in sigmas of the noise.", low=2.0, high=20.0
    )
    floor: float = param(
        8.0,
        "Least contrast of dust, however low the noise.",
        low=1.0,
        high=128.0,
        unit="8-bit codes",
    )
    size: int = param(
        48, "Largest extent of a spot; hairs are long and thin.", low=1, high=256, unit="px"
    )

    crowd: int = param(
        8,
        "As many spots of one kind, bright or dark, in a square of 96 px on three frames are rain "
        "or glitter: more for film that is dirtier than that.",
        low=2,
        high=1000,
    )

    @property
    def reach(self) -> int:
        """The frames beside it, and one more on each side, where things that move on show."""
        return 2

    @property
    def footprint(self) -> Footprint:
        """Whole frames: motion has no bounded halo."""
        return Footprint(whole=True, scratch=16)

    def denoise(self, block: Block) -> Block:
        """Repair luma, and chroma at the same places."""
        planes = [block.luma.pixels[t, 0].float().cpu().numpy() for t in range(block.frames)]
        frames = [self._frame(block, planes, t) for t in block.wanted]
        done = block.with_picture(Picture.join([picture for picture, _ in frames], _stack))
        return done.with_findings(StageFindings(dust=torch.cat([share for _, share in frames])))

    def _frame(
        self, block: Block, planes: Sequence[Plane], t: int
    ) -> tuple[Picture[Signal], Tensor]:
        now = block.frame(t)
        luma, chroma = now
        seen = window(block.first + t, self.reach, block.shot_first, block.shot_last)
        others = [n - block.first - t for n in seen if n != block.first + t]
        others.sort(key=lambda k: (abs(k), k))
        nothing = torch.zeros_like(luma.pixels)
        # Nobody can tell from one frame which of the two has the spot
        if len(others) < 2 or min(luma.pixels.shape[-2:]) < _SMALLEST:
            return now, nothing
        bare = {k: without_spots(planes[t + k], self.size) for k in (0, *others)}
        flows = {k: flow_without_spots(bare[0], bare[k]) for k in others}
        lumas = {k: moved(block.luma.pixels[t + k], flows[k]) for k in others}
        harder = max(self.strength, 0.1)
        scene = Scene(
            planes[t],
            {k: _plane(pixels) for k, pixels in lumas.items()},
            {k: planes[t + k] for k in others[:2]},
            _plane((block.noise.luma.sigma_at(luma.pixels) * luma.residual)[0]),
            self.threshold / harder,
            self.floor / 255 / harder,
            self.crowd,
            _color(chroma, planes[t].shape),
        )
        spots = scene.dust(self.size)
        if not spots:
            return now, nothing
        clean, cover = mended(luma, lumas, spots, (1, 1), self.strength)
        if chroma is not None and block.chroma is not None:
            ratio = subsampling(luma.pixels, chroma.pixels)
            scale = (1 / ratio[1], 1 / ratio[0])
            colors = {k: moved(block.chroma.pixels[t + k], flows[k], scale) for k in scene.near}
            chroma, _ = mended(chroma, colors, spots, ratio, self.strength)
        return Picture(clean, chroma), cover


def _color(chroma: Signal | None, size: tuple[int, ...]) -> Plane | None:
    """(H, W, 2) Cb and Cr of each pixel of luma."""
    if chroma is None:
        return None
    planes = np.ascontiguousarray(chroma.pixels[0].permute(1, 2, 0).float().cpu().numpy())
    return np.asarray(cv2.resize(planes, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _plane(x: Tensor) -> Plane:
    """(1, H, W) to (H, W)."""
    return np.asarray(x[0].float().cpu().numpy(), np.float32)


def _stack(signals: Sequence[Signal]) -> Signal:
    """Signals of one frame each as one, copied."""
    return Signal(torch.cat([s.pixels for s in signals]), torch.cat([s.residual for s in signals]))
