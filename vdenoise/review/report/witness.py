"""What a report shows of a run, gathered from the frames as they pass: none is decoded again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vdenoise.engine.correction import Done
from vdenoise.engine.plan import Plan
from vdenoise.engine.tiles import Area
from vdenoise.noise.estimate import Analyzer
from vdenoise.picture.color import lift, lift_planes
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.noise import NoiseProfile, factor_at
from vdenoise.review.display import Picture, noise_gain, removed, rgb_within, shown
from vdenoise.review.inspect import Inspector
from vdenoise.review.report.worst import WorstPlaces, said_of, told_by
from vdenoise.review.spots import WHY, Scout, Spot, merged
from vdenoise.review.survey import joined
from vdenoise.review.turning import upright
from vdenoise.review.verdict import Inspection, Verdict
from vdenoise.workflows.prepare import Prepared

WINDOW = (432, 768)  # height and width of a spot, luma pixels
_SCOUTED = 250  # pairs of frames that are searched for hard spots, at most
_STRETCHES, _LENGTH = 4, 8  # of the result: so many stretches of so many frames are measured
_CODE = 255


@dataclass(frozen=True, eq=False)
class Shown:
    """A hard spot: the same part of one frame before, after, and what was taken away."""

    spot: Spot
    source: Picture
    result: Picture
    noise: Picture
    mark: Area | None = None  # what a gate found there, in the clip's luma pixels


@dataclass(frozen=True, slots=True)
class FrameFigures:
    """Luma of one frame, 8-bit codes, and the mean of its confidence matte."""

    index: int
    noise: float  # RMS of what was measured in the source
    removed: float  # RMS of what was taken away
    left: float  # RMS of what should be left, by the confidence
    confidence: float  # 0 to 1: share of the noise's strength that is gone


@dataclass(frozen=True, eq=False)
class Findings:
    """All that there is to report of a run's frames."""

    spots: tuple[Shown, ...]
    frames: tuple[FrameFigures, ...]
    inspection: Inspection
    left: NoiseProfile | None  # measured in the result; None where frames were left out
    gain: float  # how much the noise is amplified


class Witness:
    """Sees every frame that a run writes.

    Args:
        plan: of the run, before anything was measured.
        inspector: judges the same frames.
    """

    def __init__(self, plan: Plan, inspector: Inspector) -> None:
        self.inspector = inspector
        info = plan.info
        self._scout = Scout((info.height, info.width), WINDOW)
        self._places = WorstPlaces(self._scout)
        numbers = tuple(plan.positions)
        self._first, self._last = numbers[0], numbers[-1]
        self._step = max(1, len(numbers) // _SCOUTED)
        whole = len(numbers) == self._last - self._first + 1
        self._stretches = _stretches(self._first, len(numbers)) if whole else []
        self._analyzers = [Analyzer((), str(plan.output)) for _ in self._stretches]
        self._kept: dict[str, Shown] = {}
        self._frames: list[FrameFigures] = []
        self._prepared: Prepared | None = None
        self._gain = 1.0

    def ready(self, prepared: Prepared) -> None:
        """Learn what is carried out, before the first frame."""
        self._prepared = prepared
        shots = prepared.profile.shots
        self._gain = noise_gain(max(shot.y.mean_sigma for shot in shots))

    def watch(self, done: Done) -> None:
        """Look at a frame (`vdenoise.engine.run.Watch`)."""
        assert self._prepared is not None, "a run is prepared before its first frame"
        self.inspector.watch(done)
        plan = self._prepared.plan
        source, planes, found, _ = done
        assert found.confidence is not None, "a finished frame says how sure it is"
        index = source.index
        with torch.inference_mode():
            luma, chroma = lift(source, plan.info)
            clean, clean_chroma = lift_planes(
                planes, plan.encode.pixel_format, plan.info.full_range, plan.info.curve
            )
            self._frames.append(
                _figures(index, self._prepared.profile, luma, clean, found.confidence)
            )
            for stretch, analyzer in zip(self._stretches, self._analyzers, strict=True):
                if index in stretch:
                    analyzer.push(index, *_measured(plan.info, clean, clean_chroma))
            self._look(done, luma, chroma)

    def finish(self) -> Findings:
        """What was seen, once a run has ended well."""
        assert self._prepared is not None, "a run is prepared before it ends"
        inspection = self.inspector.finish(self._prepared.cuts)
        profiles = [analyzer.finish().profile for analyzer in self._analyzers]
        return Findings(
            tuple(self._spots(told_by(inspection.verdicts))),
            tuple(self._frames),
            inspection,
            joined(profiles, self._last + 1) if profiles else None,
            self._gain,
        )

    def _spots(self, verdicts: Sequence[Verdict]) -> list[Shown]:
        """What was kept, each place once: first where a gate says so, then in time's order."""
        hard = [kept for kept in self._kept.values() if "gate" not in kept.spot.kinds]
        judged: list[Shown] = []
        for verdict in verdicts:
            kept = self._kept.get(f"gate {verdict.gate.name}")
            if kept is not None and kept.spot.frame == verdict.frame:
                spot = replace(kept.spot, reason=said_of(verdict))
                judged.append(replace(kept, spot=spot, mark=_mark(verdict, spot)))
        of_place = {(one.spot.frame, one.spot.area): one for one in (*hard, *reversed(judged))}
        found = merged([one.spot for one in (*judged, *hard)])
        found.sort(key=lambda spot: "gate" not in spot.kinds)
        return [replace(of_place[spot.frame, spot.area], spot=spot) for spot in found]

    def _look(self, done: Done, luma: Tensor, chroma: Tensor | None) -> None:
        """Keep the picture where it is harder than all that was seen before."""
        assert self._prepared is not None
        index = done[0].index
        found: list[Spot] = []
        if (index - self._first) % self._step < 2:
            self._scout.push(index, luma, chroma)
            found = self._scout.best_in(index)
        if index == self._first:
            found.append(self._scout.beside(index, "first", WHY["first"]))
        elif index == self._last:
            found.append(self._scout.beside(index, "last", WHY["last"]))
        cut = next((cut for cut in self._prepared.cuts if self._first < cut <= self._last), None)
        if cut is not None and index == cut - 1:
            found.append(self._scout.beside(index, "cut", "last frame before a cut"))
        elif index == cut:
            found.append(self._scout.beside(index, "cut", "first frame behind a cut"))
        found += self._places.push(index, self.inspector.latest, self._prepared.cuts)
        for spot in found:
            name = f"{spot.kinds[0]} {spot.reason}"
            self._kept[name] = _shown(spot, done, self._prepared.plan, self._gain)


def _measured(info: ClipInfo, luma: Tensor, chroma: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """What noise is measured on: of an interlaced frame the upper field, as lines of two moments
    beside each other would be taken for detail."""
    if not info.by_field:
        return luma, chroma
    return luma[..., ::2, :], None if chroma is None else chroma[..., ::2, :]


def _figures(
    index: int, profile: NoiseProfile, luma: Tensor, clean: Tensor, confidence: Tensor
) -> FrameFigures:
    shot = profile.at(index)
    sigma = shot.y.codes * (factor_at(shot.moments, index) if shot.moments else 1.0)
    left = 1 - confidence.float()
    return FrameFigures(
        index,
        sigma,
        float((luma - clean).square().mean().sqrt()) * _CODE,
        sigma * float(left.square().mean().sqrt()),
        float(confidence.float().mean()),
    )


def _shown(spot: Spot, done: Done, plan: Plan, gain: float) -> Shown:
    """A part of a frame, upright."""
    info = plan.info
    source = rgb_within(done.source.planes, info.format, info, spot.area)
    result = rgb_within(done.planes, plan.encode.pixel_format, info, spot.area)
    pictures = (shown(source), shown(result), removed(source, result, gain))
    before_seen, after_seen, noise = (upright(each, info) for each in pictures)
    return Shown(spot, before_seen, after_seen, noise)


def _mark(verdict: Verdict, spot: Spot) -> Area | None:
    """What a gate found in a spot; None where it is most of it."""
    area = verdict.area
    if area is None or area.bottom - area.top > (spot.area.bottom - spot.area.top) * 3 / 4:
        return None
    return area


def _stretches(first: int, count: int) -> Sequence[range]:
    """Frames of which the result is measured: all of a short clip, else evenly over it."""
    if count <= _STRETCHES * _LENGTH:
        return [range(first, first + count)]
    step = (count - _LENGTH) / (_STRETCHES - 1)
    starts = [first + round(n * step) for n in range(_STRETCHES)]
    return [range(start, start + _LENGTH) for start in starts]
