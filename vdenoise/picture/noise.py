"""The measured noise of a clip, as a file and as tensors.

Sigma is in full-scale units of the working representation (luma [0, 1], chroma [-0.5, 0.5]);
``8-bit codes`` for people are those times 255. The spectrum is the mean square of the noise's
orthonormal type-II DCT coefficients on 16x16 blocks, normalised to mean 1: white noise is all ones.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from torch import Tensor
from torch.nn import functional

from vdenoise.errors import UsageError, fault_of
from vdenoise.machine.files import read_json, write_text
from vdenoise.picture import areas
from vdenoise.picture.noise_table import LEVELS, SPECTRUM, NoiseTable

SCHEMA = 1

Lines = Annotated[int, Field(ge=0)]
Sigma = Annotated[float, Field(ge=0, le=4, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Knots = tuple[tuple[int, Share], ...]  # a factor at some frames, linear between them


def _in_order(knots: Knots) -> Knots:
    if any(after <= before for (before, _), (after, _) in pairwise(knots)):
        raise ValueError("each frame is to be behind the one before")
    return knots


def _a_grid(rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
    if rows and (len({len(row) for row in rows}) > 1 or not rows[0]):
        raise ValueError("its rows are to be of one length")
    return rows


def _an_area(text: str) -> str:
    if text:
        areas.from_text(text)
    return text


def factor_at(knots: Knots, index: int) -> float:
    """The factor of a frame: linear between two knots, that of the nearest beyond them."""
    behind = bisect_left(knots, index, key=lambda knot: knot[0])
    if behind == len(knots) or behind == 0:
        return knots[min(behind, len(knots) - 1)][1]
    (a, low), (b, high) = knots[behind - 1 : behind + 1]
    return low + (high - low) * (index - a) / (b - a)


class PlaneNoise(BaseModel):
    """Noise of one plane in one shot."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sigma: tuple[Sigma, ...] = Field(
        min_length=LEVELS, max_length=LEVELS, description="Sigma at 17 luma levels from 0 to 1."
    )
    mean_sigma: Sigma = Field(description="RMS sigma over the shot's own distribution of levels.")
    spectrum: tuple[tuple[float, ...], ...] = Field(
        description="16x16 mean-square DCT coefficients, mean 1."
    )

    @field_validator("spectrum")
    @classmethod
    def _is_a_spectrum(cls, value: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
        if [len(row) for row in value] != [SPECTRUM] * SPECTRUM:
            raise ValueError(f"it is to have {SPECTRUM} rows of {SPECTRUM} numbers")
        powers = [power for row in value for power in row]
        mean = sum(powers) / len(powers)
        if not all(0 <= power < math.inf for power in powers) or not 0.5 < mean < 2:
            raise ValueError("its numbers are to be 0 or more, and 1 on average")
        return value

    @property
    def codes(self) -> float:
        """Mean sigma in 8-bit codes."""
        return self.mean_sigma * 255

    @classmethod
    def white(cls, sigma: float) -> PlaneNoise:
        """White noise of the same strength at every level."""
        ones = tuple((1.0,) * SPECTRUM for _ in range(SPECTRUM))
        return cls(sigma=(sigma,) * LEVELS, mean_sigma=sigma, spectrum=ones)


class ShotNoise(BaseModel):
    """Noise of one shot: frames ``first`` to ``last`` inclusive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: int = Field(ge=0)
    last: int = Field(ge=0)
    y: PlaneNoise
    cb: PlaneNoise | None = None
    cr: PlaneNoise | None = None
    temporal_correlation: float = Field(
        default=0.0, ge=-1, le=1, description="Lag-1 correlation of the noise over time."
    )
    impulse_rate: float = Field(default=0.0, ge=0, le=1, description="Share of outlier pixels.")
    repeat_share: float = Field(default=0.0, ge=0, le=1, description="Share of repeated frames.")
    confidence: float = Field(default=1.0, ge=0, le=1)
    reasons: tuple[str, ...] = ()
    measured_share: float = Field(
        default=1.0, ge=0, le=1, description="Share of the picture that could tell of noise."
    )
    left_out: tuple[str, ...] = Field(default=(), description="What the rest is, largest first.")
    bars: tuple[Lines, Lines, Lines, Lines] = Field(
        default=(0, 0, 0, 0),
        description="Lines without picture above, below, left and right, in luma pixels.",
    )
    places: Annotated[tuple[tuple[Share, ...], ...], AfterValidator(_a_grid)] = Field(
        default=(),
        description="Sigma on a grid of equal cells, relative to that at its level, which is that "
        "of the noisiest place; nothing: alike everywhere.",
    )
    still: Annotated[str, AfterValidator(_an_area)] = Field(
        default="",
        description="Cells of 4x4 luma pixels that stand still and hold no noise, as "
        "ROWSxCOLUMNS: and deflated bits in base 64; nothing: there are none.",
    )
    moments: Annotated[Knots, AfterValidator(_in_order)] = Field(
        default=(),
        description="Frames and their sigma, relative to the noisiest moment, with even changes "
        "between them; nothing: always alike.",
    )

    @property
    def planes(self) -> tuple[PlaneNoise, ...]:
        """Y, or Y, Cb and Cr."""
        return tuple(p for p in (self.y, self.cb, self.cr) if p is not None)

    def present(
        self, index: int, size: tuple[int, int], device: torch.device | str = "cpu"
    ) -> Tensor | None:
        """Share of the profile's sigma at each pixel of frame ``index``: (1, 1, H, W) in [0, 1].

        None where noise is alike everywhere and always.
        """
        if not (self.places or self.moments or self.still):
            return None
        fine = torch.ones((1, 1, *size), device=device)
        if self.places:
            cells = torch.tensor(self.places, dtype=torch.float32, device=device)[None, None]
            fine = functional.interpolate(cells, size, mode="bilinear", align_corners=False)
        if self.moments:
            fine = fine.mul_(factor_at(self.moments, index))
        if self.still:
            fine = fine.mul_(~self._still(size, device))
        return fine.clamp_(0, 1)

    def _still(self, size: tuple[int, int], device: torch.device | str) -> Tensor:
        """(1, 1, H, W) bool: areas without noise; all else where the picture has another size."""
        cells = torch.from_numpy(areas.from_text(self.still)).to(device)
        if cells.shape != tuple(-(-n // areas.CELL) for n in size):
            return torch.zeros((1, 1, *size), dtype=torch.bool, device=device)
        fine = cells.repeat_interleave(areas.CELL, 0).repeat_interleave(areas.CELL, 1)
        return fine[None, None, : size[0], : size[1]]

    def table(self, device: torch.device | str = "cpu", *, scale: float = 1.0) -> NoiseTable:
        """Tensors of it, kept from one time to the next; ``scale`` is ``--sigma-scale``."""
        return _table(self, str(device), scale)


@lru_cache(maxsize=64)
def _table(shot: ShotNoise, device: str, scale: float) -> NoiseTable:
    with torch.inference_mode(False):  # training takes it as well
        sigma = torch.tensor([p.sigma for p in shot.planes], dtype=torch.float32, device=device)
        spectrum = torch.tensor(
            [p.spectrum for p in shot.planes], dtype=torch.float32, device=device
        )
        return NoiseTable(sigma * scale, spectrum, shot.temporal_correlation, shot.impulse_rate)


class NoiseProfile(BaseModel):
    """Noise of a whole clip, shot by shot. Written and read as versioned JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["vdenoise-noise-profile"] = "vdenoise-noise-profile"
    schema_version: Literal[1] = 1
    source: str = ""
    source_sha256: str = ""  # of its content, where a file stands for it
    shots: tuple[ShotNoise, ...] = Field(min_length=1)
    bottom: tuple[ShotNoise, ...] = Field(
        default=(),
        description="Noise of the bottom fields, where it was measured field by field; ``shots`` "
        "then is that of the top ones.",
    )

    @model_validator(mode="after")
    def _shots_follow_each_other(self) -> Self:
        for shots in (self.shots, self.bottom):
            end = -1
            for number, shot in enumerate(shots):
                if not end < shot.first <= shot.last:
                    raise ValueError(
                        f"shot {number} goes from {shot.first} to {shot.last}, behind {end}: shots "
                        "are to follow each other"
                    )
                end = shot.last
        if any((shot.cb is None) != (shot.cr is None) for shot in (*self.shots, *self.bottom)):
            raise ValueError("a shot has one of cb and cr, and is to have both or none")
        return self

    def elsewhere(self) -> NoiseProfile:
        """What a profile tells of another clip: how strong noise is at which level, of which
        spectrum; not where and when in the picture."""
        none = {"bars": (0, 0, 0, 0), "places": (), "still": "", "moments": ()}
        shots, bottom = (
            tuple(shot.model_copy(update=none) for shot in found)
            for found in (self.shots, self.bottom)
        )
        return self.model_copy(update={"shots": shots, "bottom": bottom})

    def of_parity(self, parity: int) -> NoiseProfile:
        """Take the noise of the top (0) or bottom (1) fields alone."""
        shots = self.bottom if parity and self.bottom else self.shots
        return self.model_copy(update={"shots": shots, "bottom": ()})

    def at(self, index: int) -> ShotNoise:
        """Noise of the shot that frame ``index`` lies in (the last shot beyond the end)."""
        for shot in self.shots:
            if index <= shot.last:
                return shot
        return self.shots[-1]

    @classmethod
    def white(cls, *sigma: float, last: int = 2**31) -> NoiseProfile:
        """White noise with one sigma for each of 1 or 3 planes."""
        planes = [PlaneNoise.white(s) for s in sigma]
        cb, cr = (planes[1], planes[2]) if len(planes) == 3 else (None, None)
        return cls(shots=(ShotNoise(first=0, last=last, y=planes[0], cb=cb, cr=cr),))

    def save(self, path: Path) -> None:
        """Write as JSON."""
        write_text(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> NoiseProfile:
        """Read a profile file.

        Raises:
            UsageError: the file is missing or is no noise profile.
        """
        try:
            data = read_json(path)
            return cls.model_validate(data)
        except OSError as error:
            raise UsageError(
                f"Cannot read the noise profile {path}: {error.strerror}.",
                "Make one with: vdenoise profile build CLIP -o FILE",
                number=141,
            ) from error
        except ValueError as error:
            raise UsageError(
                f"{path} is not a noise profile of schema {SCHEMA}: {fault_of(error)}.",
                "Make one with: vdenoise profile build CLIP -o FILE",
                number=142,
            ) from error


def is_profile(path: Path) -> bool:
    """Whether a file is a noise profile, by what it says of itself."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return False
    return (
        isinstance(found, dict) and found.get("kind") == NoiseProfile.model_fields["kind"].default
    )
