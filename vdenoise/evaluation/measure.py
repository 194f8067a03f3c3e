"""Denoise known noise as a run does, and measure what comes out.

PSNR is that of float pictures over R', G' and B' with peak 1, of each frame, then the mean; SSIM
has the 11x11 Gaussian window of its paper. Every frame counts and nothing is cropped.
"""

from __future__ import annotations

import contextlib
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from vdenoise.chain.resolve import Chain
from vdenoise.engine.denoise import denoise
from vdenoise.engine.planning import plan_denoising
from vdenoise.engine.steps import Precision
from vdenoise.engine.streams import Shots
from vdenoise.evaluation.metrics import flicker, luma, ssim
from vdenoise.evaluation.protocol import Given, Noise
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.nets.base import macs_per_pixel, parameters
from vdenoise.nets.models import find
from vdenoise.picture.frame import ClipInfo, SourceFrame
from vdenoise.picture.noise import NoiseProfile
from vdenoise.picture.quality import psnr
from vdenoise.workflows.measure import measure_frames
from vdenoise.workflows.propose import propose

Told = Literal["measured", "known"] | tuple[float, ...]
Perceptual = Callable[[Tensor, Tensor], float]


@dataclass(frozen=True)
class Competitor:
    """A chain of stages, resolved once the noise is measured."""

    name: str
    chain: Callable[[Mapping[str, str]], Chain]  # from what `auto` proposes for a clip


@dataclass(frozen=True)
class EvaluationRow:
    """One clip or still, denoised once."""

    clip: str
    frames: int
    width: int
    height: int
    noise: str
    seed: int
    form: str
    competitor: str
    told: str  # what the denoiser knew of the noise
    psnr: float  # dB, mean over frames
    psnr_std: float  # over frames
    psnr_y: float
    ssim: float
    flicker: float | None  # 8-bit codes; None for a still
    lpips: float | None  # None unless its weights were given
    psnr_noisy: float
    ms_per_frame: float  # denoising, decode and encode left out
    measure_ms_per_frame: float  # measuring the noise and finding cuts
    peak_mib: float  # of the process, or of the card's memory
    parameters: int  # of networks in the chain
    gmacs_per_frame: float  # of networks in the chain


@dataclass(frozen=True)
class Denoised:
    """What a chain made of a clip."""

    rgb: Tensor  # (T, 3, H, W)
    chain: Chain
    seconds: float
    measure_seconds: float
    peak_bytes: int


def evaluate(
    name: str,
    given: Given,
    noise: Noise,
    seed: int,
    competitor: Competitor,
    *,
    told: Told = "measured",
    device: str = "auto",
    perceptual: Perceptual | None = None,
) -> EvaluationRow:
    """Denoise and measure.

    Args:
        name: of the clip.
        given: noisy planes and reference.
        noise: what was added.
        seed: of it.
        competitor: what denoises.
        told: ``measured`` as a run does, ``known``, or sigma in 8-bit codes for Y'[, Cb, Cr].
        device: where to compute.
        perceptual: LPIPS of two clips.

    Raises:
        UsageError: noise that is not of one sigma was to be known.
    """
    done = run_chain(given, competitor.chain, profile_told(told, noise, given), device)
    return judged(name, given, noise, seed, competitor.name, told, done, perceptual=perceptual)


def judged(
    name: str,
    given: Given,
    noise: Noise,
    seed: int,
    competitor: str,
    told: Told,
    done: Denoised,
    *,
    perceptual: Perceptual | None = None,
) -> EvaluationRow:
    """The row for what a chain made of a clip; arguments as for `evaluate`."""
    clean = given.reference
    each = [psnr(a[None], b[None]) for a, b in zip(clean, done.rgb, strict=True)]
    values = done.chain.parameters()
    net = find(values["net.model"]).network() if "net.model" in values else None
    macs = 0.0 if net is None else values["net.ensemble"] * macs_per_pixel(net)
    height, width = clean.shape[-2:]
    return EvaluationRow(
        clip=name,
        frames=len(clean),
        width=width,
        height=height,
        noise=str(noise),
        seed=seed,
        form=given.form,
        competitor=competitor,
        told=told if isinstance(told, str) else ",".join(f"{sigma:g}" for sigma in told),
        psnr=round(statistics.mean(each), 4),
        psnr_std=round(statistics.pstdev(each), 4),
        psnr_y=round(psnr(luma(clean), luma(done.rgb)), 4),
        ssim=round(ssim(clean, done.rgb), 5),
        flicker=round(flicker(clean, done.rgb), 4) if len(clean) > 1 else None,
        lpips=None if perceptual is None else round(perceptual(clean, done.rgb), 5),
        psnr_noisy=round(psnr(clean, given.answer(given.planes)), 4),
        ms_per_frame=round(1000 * done.seconds / len(clean), 2),
        measure_ms_per_frame=round(1000 * done.measure_seconds / len(clean), 2),
        peak_mib=round(done.peak_bytes / 2**20, 1),
        parameters=0 if net is None else parameters(net),
        gmacs_per_frame=round(macs * height * width / 1e9, 3),
    )


def profile_told(told: Told, noise: Noise, given: Given) -> NoiseProfile | None:
    """What a denoiser is told of the noise; None where it is to measure."""
    if told == "measured":
        return None
    if told == "known":
        return noise.known(given.form)
    sigma = [code / 255 for code in told]
    return NoiseProfile.white(*(sigma * 3 if len(sigma) == 1 else sigma))


def run_chain(
    given: Given,
    chain: Callable[[Mapping[str, str]], Chain],
    profile: NoiseProfile | None,
    device: str = "auto",
    *,
    precision: Precision | None = None,
) -> Denoised:
    """What ``vdenoise run`` does with such a file, without the file.

    Args:
        given: the clip.
        chain: what to do, given what the measurement proposes.
        profile: the noise, None to measure it.
        device: where to compute.
        precision: of networks; None leaves it to the planner.
    """
    info = _info(given)
    sources = [_source(n, planes) for n, planes in enumerate(given.planes)]
    began = time.perf_counter()
    found = measure_frames(sources, info)
    values = propose(found.profile, info).values if profile is None else {}
    resolved = chain(values)
    measured = time.perf_counter()
    encode = EncodeSettings(
        container="", codec="", encoder="", pixel_format=given.format, coded_format=""
    )
    plan = plan_denoising(info, resolved, Path(), encode, device=device)
    if precision is not None:
        steps = (
            replace(s, precision=precision) if s.stage.precision == "mixed" else s
            for s in plan.steps
        )
        plan = replace(plan, steps=tuple(steps))
    shots = Shots(len(sources), found.cuts)
    _forget_peak(plan.device)
    results = denoise(sources, plan, profile or found.profile, shots)
    planes = [planes for _, planes in results]
    if plan.device != "cpu":
        torch.cuda.synchronize(plan.device)
    ended = time.perf_counter()
    answer = given.answer(planes)
    return Denoised(answer, resolved, ended - measured, measured - began, _peak(plan.device))


def summary(rows: Iterable[EvaluationRow]) -> list[dict[str, Any]]:
    """Mean and standard deviation over clips and seeds, for each competitor, noise and form."""
    groups: dict[tuple[str, str, str, str], list[EvaluationRow]] = {}
    for row in rows:
        groups.setdefault((row.form, row.noise, row.competitor, row.told), []).append(row)
    return [
        dict(zip(("form", "noise", "competitor", "told"), key, strict=True))
        | {"rows": len(group)}
        | {name: _spread(group, name) for name in _SUMMED}
        for key, group in groups.items()
    ]


_SUMMED = ("psnr", "psnr_y", "ssim", "flicker", "lpips", "psnr_noisy", "ms_per_frame")


def _spread(rows: Sequence[EvaluationRow], name: str) -> dict[str, float] | None:
    """Mean and population standard deviation, None where nothing was measured."""
    values = [value for row in rows if (value := asdict(row)[name]) is not None]
    if not values:
        return None
    mean, deviation = statistics.mean(values), statistics.pstdev(values)
    return {"mean": round(mean, 5), "std": round(deviation, 5)}


def _info(given: Given) -> ClipInfo:
    """A clip that exists in memory only."""
    height, width = given.reference.shape[-2:]
    rgb = given.format.family == "rgb"
    return ClipInfo(
        path=Path(),
        container="",
        codec="",
        width=width,
        height=height,
        format=given.format,
        source_format=given.format.name,
        time_base=Fraction(1, 25),
        rate=Fraction(25),
        frames=len(given.planes),
        duration=len(given.planes) / 25,
        start_pts=0,
        variable_rate=False,
        full_range=given.full_range,
        matrix="rgb" if rgb else "bt709",
        matrix_guessed=False,
        primaries="bt709",
        transfer="bt709",
        chroma_location="center",
        field_order="progressive",
        sample_aspect_ratio=Fraction(1),
    )


def _source(number: int, planes: tuple[Tensor, ...]) -> SourceFrame:
    return SourceFrame(number, number, Fraction(1, 25), 1, planes, None)


_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _forget_peak(device: str) -> None:
    """Count the peak of memory from here, where that can be."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):  # Linux only, and not in every container
            _CLEAR.write_text("5")


def _peak(device: str) -> int:
    """Most memory taken, bytes: of the card, or of this process."""
    if device != "cpu":
        return int(torch.cuda.max_memory_allocated(device))
    lines = _STATUS.read_text().splitlines() if _STATUS.exists() else []
    held = next((line for line in lines if line.startswith("VmHWM:")), None)
    if held is not None:
        return int(held.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
