"""Single frames whose noise is drawn anew at every use, so that a network never meets it twice.

They teach a network to denoise by itself. A part of them comes with an average over time as it
would be if motion were known exactly: independent noise, weaker by a share that varies over the
picture. Examples of the real temporal stage, with its errors, come from a pool
(`vdenoise.training.material.pool`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from vdenoise.picture.block import Block, Signal
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import resize_to
from vdenoise.stages.spatial.wiener import Wiener
from vdenoise.training.material.degrade import (
    Kind,
    Mixture,
    Share,
    degraded,
    graded,
    patterned,
    true_noise,
    unshifted,
)
from vdenoise.training.material.examples import drawn, planes_of
from vdenoise.training.material.pool import Crop, cut
from vdenoise.training.material.sources import Source, decoded, split_rgb

_SIDE = 2  # times a crop's side: the square that noise is drawn and measured on
_CROPS = 2  # taken of each such square
_CLIP_STEP = 4  # frames of a clip from one that is used to the next
_LEAST = 0.2  # share of the noise that an average over time may leave


class Fresh(Mixture):
    """What single frames are made of."""

    share: Share = Field(default=0.0, description="Of all crops; the rest is a pool's.")
    averaged: Share = Field(default=0.3, description="Share with an ideal average over time.")
    filtered: Share = Field(default=0.3, description="Share that the spatial stage has been over.")
    stills: Share = 0.75
    patterns: Share = 0.15
    clipped: Share = 0.4
    kinds: dict[Kind, float] = Field(
        default={
            "gaussian": 0.48,
            "colored": 0.12,
            "sensor": 0.18,
            "film": 0.13,
            "speckle": 0.03,
            "impulses": 0.02,
            "clean": 0.04,
        }
    )


class Frames:
    """The pictures of sources, 8 bits a sample, kept in memory."""

    def __init__(self, sources: tuple[Source, ...]) -> None:
        self._sources = sources

    @cached_property
    def stills(self) -> list[NDArray[np.uint8]]:
        """(H, W, 3) R'G'B' of each still."""
        return [decoded(source)[0] for source in self._sources if source.is_still]

    @cached_property
    def clips(self) -> list[NDArray[np.uint8]]:
        """(T, H, W, 3) R'G'B' of each clip: every fourth frame."""
        clips = (source for source in self._sources if not source.is_still)
        return [decoded(source)[::_CLIP_STEP].copy() for source in clips]

    def square(self, stills: float, size: int, rng: np.random.Generator) -> Tensor:
        """A square of a picture, often made smaller, which takes its own noise away.

        Args:
            stills: share taken from stills.
            size: of its side, pixels.
            rng: which and where.

        Returns:
            (3, size, size) R'G'B' in [0, 1].
        """
        if self.stills and (not self.clips or rng.random() < stills):
            picture = self.stills[rng.integers(len(self.stills))]
            reduce = float(rng.uniform(0.4, 1.0))
        else:
            clip = self.clips[rng.integers(len(self.clips))]
            picture = clip[rng.integers(len(clip))]
            reduce = float(rng.choice([1.0, rng.uniform(0.5, 1.0)]))
        height, width = picture.shape[:2]
        side = min(round(size / reduce), height, width)
        top, left = (int(rng.integers(n - side + 1)) for n in (height, width))
        part = np.ascontiguousarray(picture[top : top + side, left : left + side])
        if side != size:
            method = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
            part = np.asarray(cv2.resize(part, (size, size), interpolation=method), np.uint8)
        found = torch.from_numpy(part).permute(2, 0, 1).float().div_(255)
        return torch.rot90(found, int(rng.integers(4)), (1, 2))


def crops(
    recipe: Fresh, frames: Frames, count: int, size: int, rng: np.random.Generator
) -> list[Crop]:
    """Single frames to learn from: ``count`` squares of ``size`` pixels."""
    found: list[Crop] = []
    while len(found) < count:
        whole = square(recipe, frames, _SIDE * size, rng)
        found += [cut(whole, size, rng) for _ in range(min(_CROPS, count - len(found)))]
    return found


def square(
    recipe: Fresh,
    frames: Frames,
    size: int,
    rng: np.random.Generator,
) -> Crop:
    """A square of a frame with noise of some kind and strength."""
    clean = frames.square(recipe.stills, size, rng)[None]
    if rng.random() < recipe.patterns:
        clean = patterned(clean, rng)
    clean = graded(clean, rng)
    kind = drawn(rng, recipe.kinds)
    averaged = kind != "impulses" and rng.random() < recipe.averaged
    # A second draw of the same noise is for the average.
    drawings = clean.expand(2 if averaged else 1, -1, -1, -1)
    noisy, told = degraded(drawings, kind, rng, recipe.strengths)
    clipped = rng.random() < recipe.clipped
    if clipped:
        noisy, told = noisy.clamp(0, 1), told.clamp(0, 1)
    # Noise that is cut off moves levels, which a profile does not count as noise.
    centered = unshifted(told, drawings) if clipped or kind == "sensor" else told
    noise = Noisy(clean, noisy, centered, told - centered)
    subsampled = bool(rng.random() < (0.2 if kind == "gaussian" else 0.6))
    residual = _residual(size, rng) if averaged else None
    effort = int(rng.choice([1, 3])) if rng.random() < recipe.filtered else None
    return given(noise, kind, subsampled, residual, effort)


@dataclass(frozen=True, eq=False)
class Noisy:
    """A frame with noise, R'G'B'; T is 2 where there is another draw of the same noise, else 1."""

    clean: Tensor  # (1, 3, H, W)
    noisy: Tensor  # (T, 3, H, W)
    centered: Tensor  # (T, 3, H, W) with what a profile counts as noise, which moves no level
    shift: Tensor  # (T, 3, H, W) by how much levels are moved


def given(
    made: Noisy,
    kind: Kind,
    subsampled: bool,
    residual: Tensor | None = None,
    effort: int | None = None,
) -> Crop:
    """What a network is given of a noisy frame, and what it should answer.

    Args:
        made: the frame; with two draws of its noise where there is an average over time.
        kind: of noise.
        subsampled: whether chroma is that of 4:2:0.
        residual: (1, 1, H, W) share of sigma in an average over time; None: there is none.
        effort: of the spatial stage behind it; None: there is none.
    """
    luma, chroma = split_rgb(made.noisy, subsampled)
    clean = split_rgb(made.clean, subsampled)
    error = tuple(a - b for a, b in zip(split_rgb(made.centered, subsampled), clean, strict=True))
    level = tuple(a + b for a, b in zip(split_rgb(made.shift[:1], subsampled), clean, strict=True))
    still = [c.expand(len(luma), -1, -1, -1) for c in clean]
    seen = level[0].expand_as(luma)
    luma_error, chroma_error = error
    found = true_noise(still[0] + luma_error, still[1] + chroma_error, still[0], still[1], seen)
    noise = NoiseTable(found.sigma, found.spectrum, 0.0)  # two draws are no two frames
    if residual is None:
        averaged = Signal(luma[:1], torch.ones_like(luma[:1]))
        averaged_chroma = Signal(chroma[:1], torch.ones_like(chroma[:1, :1]))
    else:
        averaged = _averaged(level[0], error[0], residual)
        averaged_chroma = _averaged(level[1], error[1], resize_to(residual, chroma))
    block = Block(
        first=0, core=slice(0, 1), luma=averaged, chroma=averaged_chroma, noise=noise, motion=None
    )
    estimate = block
    if effort is not None:
        speed = "fast" if effort == 1 else "base"
        stage = Wiener.model_validate({**Wiener.speeds[speed], "effort": effort})
        estimate = stage.apply(block)
    planes = planes_of(clean, (luma[:1], chroma[:1]), block, estimate)
    return Crop(planes[0], noise, subsampled, kind)


def _averaged(level: Tensor, errors: Tensor, residual: Tensor) -> Signal:
    """The mean over time of a frame, as far as its noise goes.

    Args:
        level: (1, C, H, W) what the mean over very many frames would be.
        errors: (2, C, H, W) noise of the frame, and another draw of it.
        residual: (1, 1, H, W) share of sigma that the mean leaves.
    """
    own, others = errors[:1], errors[1:]
    # Of N frames with the same weight: residual = N^-0.5, and the frame's own noise has 1/N of it.
    noise = residual.square() * own + residual * (1 - residual.square()).sqrt() * others
    return Signal(level + noise, residual)


def _residual(size: int, rng: np.random.Generator) -> Tensor:
    """(1, 1, size, size): the same everywhere, or with slopes or steps, as matches come and go."""
    low, high = sorted(rng.uniform(_LEAST, 1.0, 2))
    if rng.random() < 0.4:
        return torch.full((1, 1, size, size), float(low))
    cells = int(rng.integers(3, 9))
    blob = torch.from_numpy(rng.standard_normal((1, 1, cells, cells), np.float32))
    blob = functional.interpolate(blob, (size, size), mode="bicubic", align_corners=True)
    steep = float(np.exp(rng.uniform(0, 4)))
    share: Tensor = (steep * blob).sigmoid()
    return share * float(high - low) + float(low)
