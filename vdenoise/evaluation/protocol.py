"""Noise by name, and the forms in which noisy pictures are handed to a denoiser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.degrade import synth
from vdenoise.errors import UsageError
from vdenoise.media.roundtrip import compress_planes, to_planes
from vdenoise.picture.color import CB_VARIANCE, CR_VARIANCE, LUMA_VARIANCE, lift_planes, to_rgb
from vdenoise.picture.frame import PixelFormat
from vdenoise.picture.noise import NoiseProfile
from vdenoise.settings.choices import EvaluationForm

Kind = Literal[
    "gaussian",
    "poisson",
    "sensor",
    "film",
    "speckle",
    "impulses",
    "compressed",
    "compressed-film",
    "clean",
]
Planes = tuple[Tensor, ...]

# Kind: default level, and what a level is.
LEVELS: dict[Kind, tuple[float, str]] = {
    "gaussian": (30, "sigma in 8-bit codes, white, equal and independent in R', G' and B'"),
    "poisson": (100, "photons at white"),
    "sensor": (0.01, "shot noise: variance in linear light at white; read noise 0.04 of it"),
    "film": (12, "sigma in 8-bit codes of film grain of size 0.8"),
    "speckle": (0.1, "sigma of a factor on the picture"),
    "impulses": (0.01, "share of the pixels that is black or white"),
    "compressed": (23, "x264's constant rate factor, after sensor noise of level 0.01"),
    "compressed-film": (28, "x264's constant rate factor, after film grain of level 12"),
    "clean": (0, "nothing is added"),
}
_CODED = ("compressed", "compressed-film")
FORMS: dict[EvaluationForm, str] = {
    "float": "R'G'B' float32, noise not clipped; the answer is clipped to [0, 1]",
    "8bit": "R'G'B' of 8 bits, noise clipped and rounded; the answer as well",
    "420": "Y'CbCr 4:2:0 of 8 bits, BT.709; the reference goes the same way",
}
_FORMATS = {
    "float": PixelFormat("gbrpf32le", "rgb", 32, floating=True),
    "8bit": PixelFormat("gbrp", "rgb", 8),
    "420": PixelFormat("yuv420p", "yuv", 8, 1, 1),
}


@dataclass(frozen=True)
class Noise:
    """A kind of noise at a level."""

    kind: Kind
    level: float

    def __str__(self) -> str:
        return self.kind if self.kind == "clean" else f"{self.kind}:{self.level:g}"

    def added(self, clean: Tensor, seed: int) -> Tensor:
        """Noisy R'G'B' (T, 3, H, W), not clipped unless the kind is."""
        level = self.level
        if self.kind == "clean":
            return clean
        if self.kind == "gaussian":
            return synth.gaussian(clean, level / 255, seed=seed)
        if self.kind == "poisson":
            return synth.poisson(clean, level, seed=seed)
        if self.kind in ("film", "compressed-film"):
            sigma = level if self.kind == "film" else LEVELS["film"][0]
            return synth.film_grain(clean, sigma / 255, size=0.8, seed=seed)
        if self.kind == "speckle":
            return synth.speckle(clean, level, seed=seed)
        if self.kind == "impulses":
            return synth.salt_and_pepper(clean, level, seed=seed)
        shot = level if self.kind == "sensor" else LEVELS["sensor"][0]
        return synth.sensor(clean, shot, 0.04 * shot, seed=seed)

    def known(self, form: EvaluationForm) -> NoiseProfile:
        """The truth, for a denoiser that is told.

        Raises:
            UsageError: this noise is not of one strength everywhere.
        """
        if self.kind not in ("gaussian", "clean"):
            raise UsageError(
                f"{self} is not of one known sigma.",
                "Say --told measured, or the sigma: --told Y,U,V.",
                number=122,
            )
        sigma, half = self.level / 255, 2 if form == "420" else 1
        luma = math.sqrt(LUMA_VARIANCE)
        cb = math.sqrt(CB_VARIANCE) / half
        cr = math.sqrt(CR_VARIANCE) / half
        return NoiseProfile.white(sigma * luma, sigma * cb, sigma * cr)


def noises(text: str) -> tuple[Noise, ...]:
    """``gaussian:10,20,30`` or ``film``.

    Raises:
        UsageError: there is no such noise, or a level is no number.
    """
    word, _, levels = text.partition(":")
    kind = next((kind for kind in LEVELS if kind == word), None)
    if kind is None:
        raise UsageError(
            f"There is no noise {word!r}.", f"Known are {', '.join(LEVELS)}.", number=83
        )
    try:
        numbers = [float(level) for level in levels.split(",")] if levels else [LEVELS[kind][0]]
    except ValueError:
        numbers = [math.nan]
    if any(not 0 <= number < 1e6 for number in numbers):
        raise UsageError(
            f"{text!r} has a level that is no number of 0 or more.",
            f"For example {kind}:{LEVELS[kind][0]:g}; a level is: {LEVELS[kind][1]}.",
            number=84,
        )
    return tuple(Noise(kind, number) for number in numbers)


@dataclass(frozen=True)
class Given:
    """What a denoiser is given, and what its answer is compared with."""

    form: EvaluationForm
    planes: tuple[Planes, ...]  # noisy, for each frame
    reference: Tensor  # (T, 3, H, W) R'G'B'

    @property
    def format(self) -> PixelFormat:
        """Layout and depth of the planes."""
        return _FORMATS[self.form]

    @property
    def full_range(self) -> bool:
        """R'G'B' is, Y'CbCr is not."""
        return self.form != "420"

    def answer(self, planes: Sequence[Planes]) -> Tensor:
        """Planes to R'G'B' (T, 3, H, W), clipped to [0, 1]."""
        return decoded(planes, self.form)


def given(clean: Tensor, noise: Noise, seed: int, form: EvaluationForm) -> Given:
    """Noisy planes and the reference.

    Args:
        clean: (T, 3, H, W) R'G'B' in [0, 1].
        noise: what to add.
        seed: of the noise.
        form: how it is handed over.
    """
    noisy = noise.added(clean, seed)
    if noise.kind in _CODED:
        passed = compress_planes([to_planes(x.clamp(0, 1)) for x in noisy], "x264", noise.level)
        planes = [tuple(torch.from_numpy(p) for p in frame) for frame in passed]
        if form != "420":
            planes = encoded(decoded(planes, "420"), form)
    else:
        planes = encoded(noisy, form)
    reference = clean if form == "float" else decoded(encoded(clean, form), form)
    return Given(form, tuple(planes), reference)


def encoded(rgb: Tensor, form: EvaluationForm) -> list[Planes]:
    """R'G'B' (T, 3, H, W) to the planes of each frame as a file of ``form`` holds them."""
    if form == "420":
        return [tuple(torch.from_numpy(p) for p in to_planes(x.clamp(0, 1))) for x in rgb]
    if form == "8bit":
        rgb = (rgb.clamp(0, 1) * 255).round().byte()
    return [(x[1].contiguous(), x[2].contiguous(), x[0].contiguous()) for x in rgb]


def decoded(planes: Sequence[Planes], form: EvaluationForm) -> Tensor:
    """Planes of each frame to R'G'B' (T, 3, H, W), clipped to [0, 1]."""
    fmt = _FORMATS[form]
    lifted = [lift_planes(frame, fmt, form != "420", None) for frame in planes]
    return torch.cat([joined_rgb(y[None], None if c is None else c[None]) for y, c in lifted])


def joined_rgb(luma: Tensor, chroma: Tensor | None) -> Tensor:
    """(T, 1, H, W) and (T, 2, h, w) to R'G'B', clipped; chroma is interpolated bilinearly."""
    if chroma is None:
        return luma.expand(-1, 3, -1, -1).clamp(0, 1)
    if chroma.shape[-2:] != luma.shape[-2:]:
        height, width = luma.shape[-2:]
        down, across = -(-height // chroma.shape[-2]), -(-width // chroma.shape[-1])
        chroma = functional.interpolate(
            chroma, scale_factor=(down, across), mode="bilinear", align_corners=False
        )[..., :height, :width]
    return to_rgb(torch.cat([luma, chroma], 1)).clamp(0, 1)
