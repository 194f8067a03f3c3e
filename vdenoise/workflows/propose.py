"""Which preset fits what was measured, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.noise import NoiseProfile, ShotNoise
from vdenoise.picture.noise_table import LEVELS

CLEAN_CODES = 0.7  # sigma in 8-bit codes below which a clip counts as clean
STRONG_CODES = 10.0
ALL = 0.98  # share of the picture that counts as all of it
LEAST_SHARE = 0.02  # share of it below which no clip is called clean
# On data/val the estimator reads up to 0.2 % impulses where there are none (lettering and lamps of
# a compressed street). With less than 6 codes of other noise the median is 4 to 12 dB better than
# the Wiener filter on salt and pepper of 0.2 to 10 %; with more, what it leaves would weigh more.
IMPULSES, IMPULSES_CODES = 0.004, 6.0
# White noise of 40 codes in R'G'B' reads as 29: there levels.unclip begins to gain, 0.4 dB at
# 50 codes (benchmarks/clipping.py). A camera's noise, which changes with the level, gains nothing.
CLIPPED_CODES, EVEN = 28.0, 1.4  # and largest ratio of sigmas at middle levels
REPEATING = 0.4  # lag-1 correlation; textured moving clips read up to 0.3 by mistake
COARSE = 0.2  # share of the lowest quarter band: white noise 0.06, film grain 0.44 and more
FILM_CHROMA = 0.45  # of the luma sigma: film grain has less, a demosaiced sensor more


@dataclass(frozen=True)
class Proposal:
    """A preset and why, and what ``auto`` does differently for this clip."""

    preset: str
    reasons: tuple[str, ...]
    values: Mapping[str, str] = field(default_factory=dict)  # as for --set


@dataclass(frozen=True)
class Overall:
    """A clip's noise in a few numbers: means over its shots, weighted by their length."""

    luma_codes: float
    chroma_codes: float  # the stronger of Cb and Cr; 0 for gray
    temporal_correlation: float
    impulse_rate: float
    repeat_share: float
    measured_share: float  # share of the picture that could tell of noise
    left_out: tuple[str, ...]  # what the rest is
    coarseness: float  # share of the luma noise's energy in the lowest quarter band; white: 1/16


def overall(profile: NoiseProfile, frames: int) -> Overall:
    """Sum a profile up."""
    lengths = [min(shot.last, frames - 1) - shot.first + 1 for shot in profile.shots]
    total = max(sum(lengths), 1)

    def mean(value: list[float]) -> float:
        return sum(v * n for v, n in zip(value, lengths, strict=True)) / total

    shots = profile.shots
    return Overall(
        luma_codes=mean([s.y.codes for s in shots]),
        chroma_codes=mean([max((p.codes for p in s.planes[1:]), default=0.0) for s in shots]),
        temporal_correlation=mean([s.temporal_correlation for s in shots]),
        impulse_rate=mean([s.impulse_rate for s in shots]),
        repeat_share=mean([s.repeat_share for s in shots]),
        measured_share=mean([s.measured_share for s in shots]),
        left_out=tuple(dict.fromkeys(word for s in shots for word in s.left_out)),
        coarseness=mean([_coarseness(s) for s in shots]),
    )


def _coarseness(shot: ShotNoise) -> float:
    spectrum = torch.tensor(shot.y.spectrum)
    return float(spectrum[:4, :4].sum() / spectrum.sum().clamp(min=1e-9))


def _even(shot: ShotNoise) -> bool:
    """Whether the noise of luma is about the same at all levels that nothing cuts it off at."""
    middle = shot.y.sigma[LEVELS // 4 : -(LEVELS // 4)]
    return max(middle) <= EVEN * min(middle)


def propose(profile: NoiseProfile, info: ClipInfo) -> Proposal:
    """The preset that fits the measurement, and the reasons in words."""
    noise = overall(profile, info.frames or 1)
    levels = f"noise of {noise.luma_codes:.1f} in luma"
    if info.format.color_planes == 3:
        levels += f" and {noise.chroma_codes:.1f} in chroma"
    reasons = [f"{levels} (sigma, in 8-bit codes)"]
    if noise.measured_share < ALL:
        left_out = f" ({', '.join(noise.left_out)} left out)" if noise.left_out else ""
        reasons.append(f"measured in {100 * noise.measured_share:.0f} % of the picture{left_out}")
    strongest = max(noise.luma_codes, noise.chroma_codes)
    if strongest < CLEAN_CODES and noise.measured_share < LEAST_SHARE:
        unknown = "too little of the picture can tell of noise: hardly anything will change"
        return Proposal("auto", (*reasons, unknown))
    if strongest < CLEAN_CODES:
        return Proposal("auto", (*reasons, "the clip is almost clean: hardly anything will change"))
    if noise.luma_codes < CLEAN_CODES and noise.chroma_codes >= 2 * CLEAN_CODES:
        return Proposal("chroma", (*reasons, "luma is clean"))
    if noise.impulse_rate > IMPULSES and noise.luma_codes < IMPULSES_CODES:
        share = f"{100 * noise.impulse_rate:.1f} % of the pixels are impulses"
        return Proposal("auto", (*reasons, share), {"spatial.method": "median"})
    if noise.temporal_correlation > REPEATING:
        reasons.append(
            f"it repeats from frame to frame (correlation {noise.temporal_correlation:.2f}), as "
            "noise does that went through a codec"
        )
        return Proposal("compression", tuple(reasons))
    coarse = noise.luma_codes >= 2 and noise.coarseness > COARSE
    if coarse and noise.chroma_codes < FILM_CHROMA * noise.luma_codes:
        return Proposal("film-scan", (*reasons, "it is coarse and mostly luma, like film grain"))
    if noise.luma_codes >= CLIPPED_CODES and all(map(_even, profile.shots)):
        said = "it is so strong that black and white cut it off, which levels.unclip takes back"
        return Proposal("high-iso", (*reasons, said), {"levels.method": "unclip"})
    if strongest >= STRONG_CODES:
        return Proposal("high-iso", (*reasons, "it is strong"))
    return Proposal("auto", tuple(reasons))
