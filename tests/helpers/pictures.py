"""Synthetic pictures and blocks for the tests of the stages: small, seeded, of any layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.picture.block import Block, Signal, window
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise import NoiseProfile
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.stages import FINISHING
from vdenoise.stages.base import Stage

SUBSAMPLING = {"gray": None, "420": (2, 2), "422": (1, 2), "444": (1, 1), "411": (1, 4)}
OUTLIERS = ("hot.fixed", "temporal.median", "spatial.median")  # stages that remove them
SIGMA = 12 / 255  # of luma; chroma has 0.7 of it


def scene(
    frames: int, height: int, width: int, layout: str = "420"
) -> tuple[Tensor, Tensor | None]:
    """A still picture with flats, a ramp, a disc, stripes, fine texture and colors.

    Returns:
        luma (T, 1, H, W) in [0.15, 0.85] and chroma (T, 2, h, w) in [-0.3, 0.3], or None.
    """
    y = torch.arange(height, dtype=torch.float32)[:, None] / 64
    x = torch.arange(width, dtype=torch.float32)[None] / 64
    ramp = 0.3 + 0.2 * torch.sin(1.3 * x + 0.7 * y)
    disc = ((y - 0.4) ** 2 + (x - 0.4) ** 2 < 0.06).float()
    stripes = 0.12 * torch.sin(14 * x) * (y > 0.7)
    texture = 0.06 * torch.sin(37 * x + 5 * y) * torch.sin(41 * y) * (x > 0.8)
    luma = (ramp + 0.3 * disc + stripes + texture)[None, None].clamp(0.15, 0.85)
    luma = luma.repeat(frames, 1, 1, 1)
    ratio = SUBSAMPLING[layout]
    if ratio is None:
        return luma, None
    chroma = torch.stack([0.2 * disc - 0.1 * torch.cos(2 * x - y), 0.15 * torch.sin(x + 2 * y)])
    return luma, shrink(chroma[None], ratio).repeat(frames, 1, 1, 1)


def shrink(planes: Tensor, ratio: tuple[int, int]) -> Tensor:
    """Average (N, C, H, W) down to chroma size, sizes rounded up."""
    down, across = ratio
    rows, columns = -planes.shape[-2] % down, -planes.shape[-1] % across
    return functional.avg_pool2d(
        functional.pad(planes, (0, columns, 0, rows), mode="replicate"), ratio
    )


@dataclass
class StillMotion:
    """Motion of a clip in which nothing moves, on a grid of half the size."""

    luma: Tensor  # (T, 1, H, W)
    guide_noise: float = 1 / 9

    def guide(self, a: int) -> Tensor:
        padded = functional.pad(self.luma[a : a + 1], (1, 1, 1, 1), mode="replicate")
        return functional.avg_pool2d(padded, 3, stride=1)[0]

    def flow(self, a: int, b: int) -> Tensor:
        return torch.zeros(2, *self._grid(), device=self.luma.device)

    def trust(self, a: int, b: int) -> Tensor:
        return torch.ones(self._grid(), device=self.luma.device)

    def _grid(self) -> tuple[int, int]:
        return -(-self.luma.shape[-2] // 2), -(-self.luma.shape[-1] // 2)


def table(sigma: float = SIGMA) -> NoiseTable:
    """White noise, the same at all levels."""
    return NoiseProfile.white(sigma, 0.7 * sigma, 0.7 * sigma).at(0).table()


def block(
    luma: Tensor,
    chroma: Tensor | None,
    *,
    sigma: float = SIGMA,
    core: slice | None = None,
) -> Block:
    """A shot of its own, all noise still there; core: all frames unless said."""
    return Block(
        first=0,
        core=core or slice(0, luma.shape[0]),
        luma=Signal(luma, torch.ones_like(luma)),
        chroma=None if chroma is None else Signal(chroma, torch.ones_like(chroma[:, :1])),
        noise=table(sigma),
        motion=StillMotion(luma),
    )


def noisy(luma: Tensor, chroma: Tensor | None, kind: str, density: float = 0.005) -> Block:
    """Add what a stage removes: white Gaussian noise, and for "outliers" impulses too.

    Impulses hit a share ``density`` of the pixels, by 0.04 to 0.5, over a quarter of the noise.
    """
    sigma = SIGMA / 4 if kind == "outliers" else SIGMA
    planes: list[Tensor | None] = []
    for plane, strength in ((luma, sigma), (chroma, 0.7 * sigma)):
        if plane is None:
            planes.append(None)
            continue
        result = plane + strength * torch.randn(plane.shape, dtype=plane.dtype)
        if kind == "outliers":
            height = (0.04 + 0.46 * torch.rand(plane.shape)) * torch.randn(plane.shape).sign()
            result = result + height * (torch.rand(plane.shape) < density)
        planes.append(result)
    assert planes[0] is not None
    return block(planes[0], planes[1], sigma=sigma)


def finished(luma: Tensor, chroma: Tensor | None, residual: float = 0.1) -> Block:
    """What a finishing stage finds: a picture denoised a little too much, and its noisy source.

    A tenth of the noise is left, and the finest detail is weaker than it was.
    """
    noise = noisy(luma, chroma, "noise")

    def cleaned(clean: Tensor, signal: Signal) -> Signal:
        framed = functional.pad(clean, (1, 1, 1, 1), mode="replicate")
        soft = 0.5 * clean + 0.5 * functional.avg_pool2d(framed, 3, 1)
        return Signal(soft + residual * (signal.pixels - clean), residual * signal.residual)

    y = cleaned(luma, noise.luma)
    c = None if chroma is None or noise.chroma is None else cleaned(chroma, noise.chroma)
    return replace(
        noise,
        luma=y,
        chroma=c,
        kept_original=noise.picture.map(lambda signal: signal.pixels),
        clean=Picture(y, c).map(lambda signal: signal.pixels),
        motion=StillMotion(y.pixels),
    )


def blocky(luma: Tensor, chroma: Tensor | None) -> Block:
    """A picture whose 8x8 blocks are up to 5 codes off, as a codec's are; hardly any noise."""

    def offset(plane: Tensor) -> Tensor:
        height, width = plane.shape[-2:]
        blocks = torch.rand(*plane.shape[:2], -(-height // 8), -(-width // 8)) - 0.5
        whole = blocks.repeat_interleave(8, -2).repeat_interleave(8, -1)
        return plane + whole[..., :height, :width] * (10 / 255)

    return block(offset(luma), None if chroma is None else offset(chroma), sigma=0.3 / 255)


def banded(luma: Tensor, chroma: Tensor | None) -> Block:
    """Slopes of a few codes over the whole picture, in whole codes; hardly any noise."""

    def slope(plane: Tensor) -> Tensor:
        smooth = plane[..., :1, :1] + torch.linspace(0, 2.4 / 255, plane.shape[-1])
        return (smooth.expand_as(plane) * 255).round() / 255

    return block(slope(luma), None if chroma is None else slope(chroma), sigma=0.3 / 255)


def uneven(source: Block) -> Block:
    """A block whose rows are up to 8 codes off, other ones in every frame."""

    def offset(signal: Signal) -> Signal:
        rows = torch.rand(*signal.pixels.shape[:3], 1) - 0.5
        return replace(signal, pixels=signal.pixels + rows * (16 / 255))

    picture = source.picture.map(offset)
    return replace(source, luma=picture.luma, chroma=picture.chroma)


def removed_by(cls: type[Stage]) -> Literal["noise", "outliers"]:
    """What a stage that denoises takes away."""
    return "outliers" if cls().name in OUTLIERS else "noise"


def example_for(cls: type[Stage], luma: Tensor, chroma: Tensor | None) -> Block:
    """What a stage is made for, of this clean picture."""
    if cls.slot == "deblock":
        return blocky(luma, chroma)
    if cls.slot == "deband":
        return banded(luma, chroma)
    if cls.slot in FINISHING:
        return finished(luma, chroma)
    if cls.slot == "lines":
        return uneven(noisy(luma, chroma, "noise"))
    return noisy(luma, chroma, removed_by(cls))


def in_blocks(stage: Stage, source: Block, length: int) -> Iterator[tuple[Block, slice]]:
    """A shot done in blocks of ``length`` frames with the context the stage asks for: each block,
    and its frames in the shot."""
    for first in range(0, source.frames, length):
        core = range(first, min(first + length, source.frames))
        seen = [i for t in core for i in window(t, stage.reach, 0, source.frames - 1)]
        part = stage.apply(cut(source, range(min(seen), max(seen) + 1), core))
        yield part, slice(core.start, core.stop)


def cut(source: Block, frames: range, core: range) -> Block:
    """The part of a block with frames ``frames``, to compute ``core``; same shot."""
    inside = slice(frames.start, frames.stop)
    luma = source.luma[inside]
    return replace(
        source,
        first=source.first + frames.start,
        core=slice(core.start - frames.start, core.stop - frames.start),
        luma=luma,
        chroma=None if source.chroma is None else source.chroma[inside],
        motion=StillMotion(luma.pixels),
        shot=(source.shot_first, source.shot_last),
        kept_original=source.kept_original and source.kept_original.map(lambda x: x[inside]),
        clean=source.clean and source.clean.map(lambda x: x[inside]),
    )


def converted(source: Block, dtype: torch.dtype, device: torch.device | str = "cpu") -> Block:
    """The same block in another precision, on another device."""

    def move(x: Tensor) -> Tensor:
        return x.to(device, dtype)

    picture = source.picture.map(lambda signal: signal.map(move))
    noise = replace(
        source.noise, sigma=source.noise.sigma.to(device), spectrum=source.noise.spectrum.to(device)
    )
    return replace(
        source,
        luma=picture.luma,
        chroma=picture.chroma,
        noise=noise,
        motion=StillMotion(picture.luma.pixels),
        kept_original=source.kept_original and source.kept_original.map(move),
        clean=source.clean and source.clean.map(move),
    )


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB, full scale 1."""
    return -10 * torch.log10((a.double() - b.double()).square().mean()).item()
