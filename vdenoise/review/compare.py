"""``vdenoise compare``: clips beside each other, against a source, a reference or both."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from vdenoise.engine.run import Progress
from vdenoise.evaluation.lpips import Lpips
from vdenoise.evaluation.metrics import Followed, luma, ssim
from vdenoise.evaluation.unreferenced import Edges, banding
from vdenoise.media.images.drawing import Canvas
from vdenoise.noise.estimate import Analyzer
from vdenoise.picture.color import lift
from vdenoise.picture.frame import ClipInfo, SourceFrame
from vdenoise.picture.noise import NoiseProfile
from vdenoise.picture.noise_table import LEVELS
from vdenoise.picture.quality import psnr
from vdenoise.review.alignment import aligned, check_sizes, in_step
from vdenoise.review.display import rgb_float, shown
from vdenoise.review.positions import place_text
from vdenoise.review.sheet import Row, enlarged, overview_of, sheet
from vdenoise.review.spots import Scout, Spot
from vdenoise.review.views import Cell
from vdenoise.review.vmaf import vmaf, why_no_vmaf
from vdenoise.workflows.reading import Reading

LEVELS_SHOWN = {"dark": 3, "middle": 8, "bright": 13}  # places in a profile's table of 17 levels
_FOLLOWED = 0.3  # share of a picture: with less that can be followed there is a cut
_WINDOW, _ZOOM = (216, 288), 2  # of what a picture shows of each spot
_SSIM_SIDE, _LPIPS_SIDE = 11, 31  # pixels, the least each way


@dataclass(frozen=True)
class Asked:
    """What is to be compared.

    Attributes:
        clips: two or more, or one with a reference.
        source: what they were made from.
        reference: what they should be.
        lpips: weights for LPIPS.
    """

    clips: tuple[Reading, ...]
    source: Reading | None = None
    reference: Reading | None = None
    lpips: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Measures:
    """What was measured of one clip; None is what could not be."""

    clip: str
    noise: dict[str, float]  # sigma left, 8-bit codes, by plane: Y, Cb, Cr
    noise_at: dict[str, dict[str, float]]  # the same at dark, middle and bright levels
    sharpness: float  # 8-bit codes a pixel, at the same edges in all clips
    banding: float  # per mille of the pixels
    flicker: float | None  # RMS change along the motion, 8-bit codes; of the error if there is one
    removed: float | None = None  # RMS of what was taken from the source's luma, 8-bit codes
    psnr: float | None = None
    psnr_y: float | None = None
    ssim: float | None = None
    lpips: float | None = None
    vmaf: float | None = None


@dataclass(frozen=True)
class Comparison:
    """What came out of it."""

    frames: int
    clips: tuple[Measures, ...]
    missing: dict[str, str] = field(default_factory=dict)  # measures that were not taken, and why
    spots: tuple[Spot, ...] = ()  # hard places; their frames are counted from the first compared


def compare(asked: Asked, progress: Progress) -> Comparison:
    """Measure clips frame by frame; nothing but two frames of each is held.

    Raises:
        InputError: one cannot be read.
        UsageError: they differ in size, or are not shown at the same times.
        DeviceError: the weights for LPIPS cannot be used.
    """
    readings = [*asked.clips, *(r for r in (asked.source, asked.reference) if r is not None)]
    infos = [reading.probe() for reading in readings]
    check_sizes(infos)
    numbers = aligned(infos)
    count = len(asked.clips)
    perceptual = Lpips.load(asked.lpips) if asked.lpips else None
    missing = _missing(asked, infos[0], perceptual)
    tallies = [
        _Tally(info, perceptual if "LPIPS" not in missing else None) for info in infos[:count]
    ]
    scout = Scout((infos[0].height, infos[0].width), _WINDOW)
    progress.start("compare", len(numbers))
    before: _Pictures | None = None
    for position, frames in enumerate(in_step(readings, infos, numbers)):
        with torch.inference_mode():
            now = _pictures(frames, infos, count, asked)
            followed = _followed(before, now)
            edges = Edges(luma(now.guide[None])[0, 0])
            scout.push(position, *lift(frames[0], infos[0]))
            for n, tally in enumerate(tallies):
                tally.push(n, now, before, followed, edges, frames[n])
        before = now
        progress.advance({})
    found = [tally.measures() for tally in tallies]
    if asked.reference is not None and "VMAF" not in missing:
        truth = asked.reference.path
        pairs = zip(found, asked.clips, strict=True)
        found = [replace(m, vmaf=vmaf(truth, reading.path)) for m, reading in pairs]
    spots = tuple(scout.spots(len(numbers), tallies[0].cuts))
    return Comparison(len(numbers), tuple(found), missing, spots)


def compared_sheet(asked: Asked, comparison: Comparison) -> Canvas:
    """The hard spots of a comparison, with all clips beside each other."""
    readings = [*asked.clips, *(r for r in (asked.source, asked.reference) if r is not None)]
    infos = [reading.probe() for reading in readings]
    numbers = aligned(infos)
    names = [info.path.name for info in infos[: len(asked.clips)]]
    names += [n for n, r in (("source", asked.source), ("reference", asked.reference)) if r]
    rows = []
    for spot in comparison.spots:
        (frames,) = in_step(readings, infos, [numbers[spot.frame]])
        whole = [rgb_float(f.planes, i.format, i) for f, i in zip(frames, infos, strict=True)]
        overview = overview_of(shown(whole[0]), spot.area)
        parts = [enlarged(shown(spot.area.of(rgb)), _ZOOM) for rgb in whole]
        cells = [Cell(part, name) for part, name in zip(parts, names, strict=True)]
        title = spot.reason[0].upper() + spot.reason[1:]
        rows.append(Row(title, place_text(infos[0], frames[0].index), overview, cells))
    said = f"{comparison.frames} frames; pixels at {100 * _ZOOM} %"
    return sheet(" / ".join(names), [said], rows)


@dataclass(frozen=True, eq=False)
class _Pictures:
    """One frame of everything, R'G'B'."""

    clips: tuple[Tensor, ...]
    source: Tensor | None
    reference: Tensor | None
    guide: Tensor  # with little noise: where edges are, and how they move


def _pictures(
    frames: Sequence[SourceFrame], infos: Sequence[ClipInfo], count: int, asked: Asked
) -> _Pictures:
    rgb = [rgb_float(f.planes, i.format, i) for f, i in zip(frames, infos, strict=True)]
    rest = iter(rgb[count:])
    source = next(rest) if asked.source is not None else None
    reference = next(rest) if asked.reference is not None else None
    clips = tuple(rgb[:count])
    guide = torch.stack(clips).mean(0) if reference is None else reference
    return _Pictures(clips, source, reference, guide)


def _followed(before: _Pictures | None, now: _Pictures) -> Followed | None:
    """The motion since the frame before; None where nothing goes on."""
    if before is None or min(now.guide.shape[-2:]) < 16:
        return None
    found = Followed(before.guide, now.guide)
    return found if float(found.steady.float().mean()) >= _FOLLOWED else None


class _Tally:
    """Sums up what is measured of one clip."""

    def __init__(self, info: ClipInfo, perceptual: Lpips | None) -> None:
        self.info, self.perceptual = info, perceptual
        self._analyzer = Analyzer(None, str(info.path))
        self._sums: dict[str, float] = {}
        self._frames = 0
        self._change, self._compared = 0.0, 0
        self.cuts: tuple[int, ...] = ()

    def push(
        self,
        n: int,
        now: _Pictures,
        before: _Pictures | None,
        followed: Followed | None,
        edges: Edges,
        frame: SourceFrame,
    ) -> None:
        rgb = now.clips[n]
        gray = luma(rgb[None])[0, 0]
        self._analyzer.push(self._frames, *lift(frame, self.info))
        self._frames += 1
        self._add("sharpness", edges.sharpness(gray))
        self._add("banding", banding(gray))
        if now.source is not None:
            away = luma((rgb - now.source)[None])
            self._add("removed", 255 * float(away.square().mean().sqrt()))
        if now.reference is not None:
            self._against(now.reference, rgb)
        if followed is not None and before is not None:
            old, new = before.clips[n], rgb
            if now.reference is not None and before.reference is not None:
                old, new = old - before.reference, new - now.reference
            change, compared = followed.change(old, new)
            self._change, self._compared = self._change + change, self._compared + compared

    def _against(self, reference: Tensor, rgb: Tensor) -> None:
        a, b = reference[None], rgb[None]
        self._add("psnr", psnr(a, b))
        self._add("psnr_y", psnr(luma(a), luma(b)))
        if min(rgb.shape[-2:]) >= _SSIM_SIDE:
            self._add("ssim", ssim(a, b))
        if self.perceptual is not None:
            self._add("lpips", self.perceptual(a.clamp(0, 1), b.clamp(0, 1)))

    def _add(self, name: str, value: float) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + value

    def measures(self) -> Measures:
        """Means over all frames."""
        means = {name: total / self._frames for name, total in self._sums.items()}
        found = self._analyzer.finish()
        self.cuts = found.cuts
        noise, levels = _noise(found.profile, self._frames)
        flicker = 255 * math.sqrt(self._change / self._compared) if self._compared else None
        return Measures(
            clip=str(self.info.path),
            noise=noise,
            noise_at=levels,
            sharpness=means["sharpness"],
            banding=means["banding"],
            flicker=flicker,
            removed=means.get("removed"),
            psnr=means.get("psnr"),
            psnr_y=means.get("psnr_y"),
            ssim=means.get("ssim"),
            lpips=means.get("lpips"),
        )


def _noise(
    profile: NoiseProfile, frames: int
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Sigma in 8-bit codes, by plane, and at some levels: means over the shots by their length."""
    mean: dict[str, float] = {}
    levels: dict[str, dict[str, float]] = {}
    for shot in profile.shots:
        share = (shot.last - shot.first + 1) / frames
        for name, plane in zip(("Y", "Cb", "Cr"), shot.planes, strict=False):
            mean[name] = mean.get(name, 0.0) + share * plane.codes
            own = levels.setdefault(name, dict.fromkeys(LEVELS_SHOWN, 0.0))
            for word, place in LEVELS_SHOWN.items():
                assert place < LEVELS
                own[word] += share * plane.sigma[place] * 255
    return mean, levels


def _missing(asked: Asked, info: ClipInfo, perceptual: Lpips | None) -> dict[str, str]:
    """What cannot be measured, and why."""
    found = dict(_missing_against(asked, info, perceptual))
    if asked.source is None:
        found["removed"] = "there is no --source"
    return found


def _missing_against(
    asked: Asked, info: ClipInfo, perceptual: Lpips | None
) -> Iterator[tuple[str, str]]:
    names = ("PSNR", "SSIM", "LPIPS", "VMAF")
    if asked.reference is None:
        yield from ((name, "there is no --reference") for name in names)
        return
    side = min(info.width, info.height)
    if side < _SSIM_SIDE:
        yield "SSIM", f"the picture is smaller than {_SSIM_SIDE} pixels"
    if perceptual is None:
        yield "LPIPS", "no weights were given (--lpips FILE)"
    elif side < _LPIPS_SIDE:
        yield "LPIPS", f"the picture is smaller than {_LPIPS_SIDE} pixels"
    images = any(r.probe().sequence for r in (*asked.clips, asked.reference))
    if why := "it is for movies" if images else why_no_vmaf():
        yield "VMAF", why
