"""Pixels of a sensor that shine or are dead: at the same place in every frame."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import torch
from pydantic import model_validator
from torch import Tensor
from torch.nn import functional

from vdenoise.motion.warp import resize
from vdenoise.picture.block import Accuracy, Block, Signal, join_signals, window
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.subsampling import repeat_to, resize_to, subsampling
from vdenoise.picture.windows import pad
from vdenoise.stages.base import Footprint, Need, Role, Stage, StageFile, param
from vdenoise.stages.hot.evidence import isolated, mean_error, standing_out, told_by_others
from vdenoise.stages.hot.known import MapFile, at_density, bad_pixels, check_map
from vdenoise.stages.hot.mending import contrast, mended, stands_alone

_WAY = (0.75, 1.75)  # px that the picture has moved within the window, from and to which it counts
_NEARBY = 31  # px: side of the square whose farthest way counts; a pixel that stays holds motion up
_ALONE = 1.0  # times what pixels around it span: beyond that it is a defect, though nothing moves


class HotPixels(Stage):
    """Takes out what pixels differ by from their neighbors in every frame, while the picture around
    them moves on.

    A pixel must lie beyond the mean of opposite neighbors in all four ways, so that no line is one,
    though a line that moves along itself stays where it is. What stands out of a still picture may
    be a star or a lamp: it is left alone unless ``still`` is set. A demosaiced pixel has made a
    cross of it, so the pixels next to it are corrected where they, too, stand out all the time.
    Where one plane knows of a bad pixel, less will do in the others: fine detail hides brightness
    more than color.
    """

    slot: ClassVar[str] = "hot"
    method: ClassVar[str] = "fixed"
    role: ClassVar[Role] = "repair"

    radius: int = param(
        8,
        "Frames looked at on each side: more find pixels where it takes long until the picture "
        "moves.",
        low=1,
        high=12,
    )
    threshold: float = param(
        4.0, "How far they must stand out, in sigmas of a mean over all frames.", low=2.0, high=20.0
    )
    floor: float = param(
        4.0, "Least contrast, however low the noise.", low=0.5, high=64.0, unit="8-bit codes"
    )
    still: bool = param(False, "Also where nothing moves and it may be a point of the picture.")
    map: str = param(
        "",
        "Picture of the clip's size that is white where a pixel is known to be bad: these are "
        "replaced, in a still picture and a single frame too, and no others are looked for.",
    )

    @model_validator(mode="after")
    def _map_is_a_picture(self) -> Self:
        """Read it now: a missing file is said before the start, not in the middle."""
        if self.map:
            bad_pixels(self.map)
        return self

    @property
    def files(self) -> tuple[StageFile, ...]:
        """The map."""
        return (MapFile(Path(self.map)),) if self.map else ()

    def check(self, info: ClipInfo) -> None:
        """See that the map is of the clip's size."""
        if self.map:
            check_map(self.map, info.height, info.width, by_field=info.by_field)

    @property
    def reach(self) -> int:
        """Frames that the radius names."""
        return self.radius

    @property
    def needs(self) -> frozenset[Need]:
        """Motion, to know what moves past a pixel."""
        return frozenset(() if self.still or self.map else {"motion"})

    @property
    def motion_accuracy(self) -> Accuracy:
        """Whether it moves is all that counts."""
        return "fast"

    @property
    def footprint(self) -> Footprint:
        """Whole frames: motion has no bounded halo."""
        return Footprint(whole=True, scratch=30)

    def denoise(self, block: Block) -> Block:
        """Correct luma, and Cb and Cr each for itself."""
        shares = self._known(block) if self.map else self._found(block)
        frames = [
            block.picture.pair(shares[t], partial(self._repaired, block, t)) for t in block.wanted
        ]
        return block.with_picture(Picture.join(frames, join_signals))

    def found(self, block: Block) -> tuple[Tensor, Tensor]:
        """Look for hot pixels in the one frame that a block wants.

        Returns:
            (H, W) booleans: where luma or chroma has one; and where that can be told, as the
            picture moves.
        """
        (t,) = block.wanted
        luma = block.luma.pixels
        shares = self._found(block)[t]
        whole = [repeat_to(x.amax(1, keepdim=True), luma) for x in shares.planes]
        where = torch.cat(whole).amax((0, 1)) > 0.5
        return where.cpu(), (self._moves(block, t)[0, 0] > 0.5).cpu()

    def _around(self, block: Block, t: int) -> list[int]:
        seen = window(block.first + t, self.radius, block.shot_first, block.shot_last)
        return [n - block.first for n in seen]

    def _moves(self, block: Block, t: int) -> Tensor:
        """(1, 1, H, W): 1 where the picture moves past its place within the window.

        Motion is followed from frame to frame: over a whole window it is seldom known.
        """
        around = self._around(block, t)
        luma = block.luma.pixels[t : t + 1]
        if self.still or len(around) < 3:
            return torch.ones_like(luma)
        assert block.motion is not None, "the planner gives motion to a stage that needs it"
        steps = torch.stack([block.motion.flow(a, b) for a, b in pairwise(around)])
        places = functional.pad(steps.cumsum(0), (0, 0) * 3 + (1, 0))
        way = (places.amax(0) - places.amin(0)).square().sum(0).sqrt()[None, None]
        side = max(1, round(_NEARBY * way.shape[-1] / luma.shape[-1]) // 2) * 2 + 1
        way = functional.avg_pool2d(pad(way, side // 2), side, 1)
        low, high = _WAY
        share = ((way - low) / (high - low)).clamp(0, 1)
        return resize(share[0, 0], (luma.shape[-2], luma.shape[-1]))[None, None].to(luma)

    def _known(self, block: Block) -> dict[int, Picture[Tensor]]:
        """What the map says, for every frame."""

        def share(signal: Signal) -> Tensor:
            ratio = subsampling(block.luma.pixels, signal.pixels)
            return at_density(self.map, signal.pixels, ratio).expand_as(signal.pixels[:1])

        return dict.fromkeys(block.wanted, block.picture.map(share))

    def _found(self, block: Block) -> dict[int, Picture[Tensor]]:
        """How far each pixel of each frame that is wanted is taken for a bad one, (1, C, H, W)."""
        seen = sorted({n for t in block.wanted for n in self._around(block, t)})
        contrasts = block.picture.map(
            lambda signal: {n: contrast(signal.pixels[n : n + 1]) for n in seen}
        )
        return {t: self._shares(block, t, contrasts) for t in block.wanted}

    def _shares(
        self, block: Block, t: int, contrasts: Picture[dict[int, Tensor]]
    ) -> Picture[Tensor]:
        seen = self._around(block, t)
        if len(seen) < 3:
            return block.frame(t).map(lambda own: torch.zeros_like(own.pixels))
        around = block.picture.map(lambda signal: signal.pixels[seen])
        luma, moves = block.luma.pixels[t : t + 1], self._moves(block, t)

        def bar(sigma: Tensor) -> Tensor:
            error = mean_error(sigma, len(seen))
            return (self.threshold * error).clamp(min=self.floor / 255) / self.strength

        def likely(pixels: Tensor, share: Tensor) -> Tensor:
            if self.still:  # detail stands out as well, but not alone
                share = share * stands_alone(pixels.mean(0, keepdim=True), _ALONE)
            return share * resize_to(moves, pixels)

        sigmas = around.pair(
            block.noise.picture, lambda pixels, noise: noise.sigma_at(resize_to(luma, pixels))
        )
        stacks = contrasts.map(lambda those: torch.cat([those[n] for n in seen]))
        alone = stacks.pair(sigmas.map(bar), standing_out)
        return told_by_others(around.pair(alone, likely).map(isolated), around, sigmas)

    def _repaired(self, block: Block, t: int, signal: Signal, share: Tensor) -> Signal:
        """One frame without what its pixels are off by, as far as (1, C, h, w) says."""
        own = signal[t : t + 1]
        fixed = mended(signal.pixels[self._around(block, t)], own.pixels, share)
        kept = 1 - 0.2 * share.amax(1, keepdim=True)  # of the noise: seldom beyond those around
        return Signal(fixed, own.residual * kept)
