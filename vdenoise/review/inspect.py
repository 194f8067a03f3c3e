"""Judging a result frame by frame, while it is made or afterwards: two frames are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vdenoise.engine.correction import Done
from vdenoise.engine.tiles import Area
from vdenoise.evaluation.metrics import Followed
from vdenoise.motion.cuts import CutFinder
from vdenoise.motion.warp import reduce
from vdenoise.picture.color import lift, lift_planes, quantisation
from vdenoise.picture.frame import ClipInfo, PixelFormat, SourceFrame
from vdenoise.picture.subsampling import resize_to
from vdenoise.review import figures
from vdenoise.review.figures import Figure, Judged, Levels
from vdenoise.review.gates import GATES, Gate, GateName

WHOLE_PIXELS = 1_200_000  # larger pictures are judged at half their size, but for bands and ends
_OF_PAIRS: tuple[GateName, ...] = ("structure", "ghosting", "flicker")
_ABOUT = 0.5 / 255  # mean error below which nobody can tell two frames of a clip apart
_SMALLEST = 24  # px: smaller pictures have no areas to judge


@dataclass(frozen=True)
class Verdict:
    """What a gate found: its worst figure, and where."""

    gate: Gate
    amount: float
    frame: int | None = None  # absolute number in the source
    area: Area | None = None  # luma pixels
    detail: str = ""  # what else is to be said of it

    @property
    def ok(self) -> bool:
        """Whether it is within the limit."""
        return self.amount <= self.gate.limit

    def text(self, frame: str = "") -> str:
        """Say it in one line, for people: ``ghosting: 31 %, at most 15 %; frame 37, x 128 y 64,
        64x64``."""
        digits = 0 if self.gate.unit == "frames" else 2
        said = f"{self.gate.name}: {self.amount:.{digits}f} {self.gate.unit}, "
        said += f"at most {self.gate.limit:g} {self.gate.unit}"
        place = [frame] if frame else []
        if self.area is not None:
            a = self.area
            place.append(f"x {a.left} y {a.top}, {a.right - a.left}x{a.bottom - a.top}")
        if self.detail:
            place.append(self.detail)
        return f"{said}; {', '.join(place)}" if place else said


@dataclass(frozen=True)
class Inspection:
    """What all gates found."""

    frames: int
    verdicts: tuple[Verdict, ...]
    series: Mapping[GateName, Mapping[int, float]] = field(default_factory=dict)  # by frame

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """The gates that did not hold."""
        return tuple(verdict for verdict in self.verdicts if not verdict.ok)


class Inspector:
    """Takes the frames of a source and of its result, then says which gates hold.

    Args:
        info: the source.
        fmt: layout of the result's samples.
        full_range: whether their codes fill the whole range; None is as in the source.
    """

    def __init__(self, info: ClipInfo, fmt: PixelFormat, full_range: bool | None = None) -> None:
        self.info, self.fmt = info, fmt
        self.full_range = info.full_range if full_range is None else full_range
        self.scale = 2 if info.width * info.height > WHOLE_PIXELS else 1
        step, _ = quantisation(fmt, self.full_range, chroma=False)
        self._native = 0.0 if fmt.floating else 255 / step
        self._levels = Levels(fmt.color_planes)
        self._found: dict[GateName, dict[int, Figure]] = {}
        self._bleeding: dict[int, Figure] = {}  # by the first frame behind the cut there may be
        self._wrong: dict[int, str] = {}  # frames that are not their own
        self._cuts = CutFinder()
        self._before: Judged | None = None
        self._last: int | None = None
        self.frames = 0

    def push(self, source: SourceFrame, planes: Sequence[Tensor]) -> None:
        """Look at the next frame: as decoded, and its new samples in the result's format."""
        with torch.inference_mode():
            before, before_chroma = lift(source, self.info)
            after, after_chroma = lift_planes(planes, self.fmt, self.full_range, self.info.curve)
            self.frames += 1
            if self._last is None or source.index == self._last + 1:
                self._cuts.push(source.index, before)
            else:
                self._cuts, self._before = CutFinder(), None
            self._last = source.index
            self._of_levels(before, before_chroma, after, after_chroma)
            whole = Judged(source.index, before, after)
            self._note("clipping", figures.clipping(whole))
            self._note("banding", figures.banding(whole, self._native))
            if min(before.shape[-2:]) < _SMALLEST:
                return
            factors = (self.scale, self.scale)
            now = Judged(source.index, reduce(before, factors), reduce(after, factors))
            if self._before is not None:
                self._pair(self._before, now)
            self._before = now

    def watch(self, done: Done) -> None:
        """`push` for what a run has done (`vdenoise.engine.run.Watch`)."""
        self.push(done[0], done[1])

    def finish(
        self, cuts: Sequence[int] | None = None, *, missing: Sequence[int] = ()
    ) -> Inspection:
        """What was found.

        Args:
            cuts: first frames of new shots; None takes those that were seen.
            missing: source frames that the result does not have.
        """
        seen = self._cuts.finish()
        cuts = seen if cuts is None else cuts
        wrong = dict(self._wrong) | dict.fromkeys(missing, "it is missing")
        displaced = min((n for n, why in wrong.items() if why.startswith("the next")), default=None)
        bleeding = {n: f for n, f in self._bleeding.items() if n in cuts and n not in wrong}
        bled = {n for n, f in bleeding.items() if f.amount > GATES["cuts"].limit}
        verdicts = [self._frames(wrong)]
        series: dict[GateName, dict[int, float]] = {}
        for name in (*_OF_PAIRS, "banding", "clipping"):
            figures_of = self._found.get(name, {})
            told = {
                n: figure
                for n, figure in figures_of.items()
                if not (name in _OF_PAIRS and n in cuts)
                and n not in wrong
                and n - 1 not in wrong
                and not {n - 1, n + 1} & bled
                and (displaced is None or n < displaced)
            }
            series[name] = {n: figure.amount for n, figure in told.items()}
            verdicts.append(self._worst(name, told))
        verdicts.append(self._worst("cuts", bleeding))
        verdicts.append(self._color(displaced is None and not wrong))
        order = list(GATES)
        verdicts.sort(key=lambda verdict: order.index(verdict.gate.name))
        return Inspection(self.frames, tuple(verdicts), series)

    def _of_levels(
        self, before: Tensor, before_chroma: Tensor | None, after: Tensor, chroma: Tensor | None
    ) -> None:
        """Luma and chroma on chroma's grid: a level is that of both."""
        if chroma is None or before_chroma is None:
            self._levels.push(before - after, after)
            return
        if before_chroma.shape != chroma.shape:  # written with denser chroma: compared where it was
            chroma = torch.nn.functional.interpolate(
                chroma[None], before_chroma.shape[-2:], mode="area"
            )[0]
        y, y_after = (resize_to(x[None], chroma[None])[0] for x in (before, after))
        self._levels.push(torch.cat((y - y_after, before_chroma - chroma)), y_after)

    def _pair(self, before: Judged, now: Judged) -> None:
        if figures.repeats(before, now):
            self._wrong[now.index] = "it shows the frame before again"
        elif _shows_next(before, now):
            self._wrong[before.index] = "the next frame is in its place"
        followed = Followed(*(x.expand(3, -1, -1) for x in (before.result, now.result)))
        self._note("structure", figures.structure(before, now, followed), now.index)
        self._note("flicker", figures.flicker(before, now, followed), now.index)
        self._note("ghosting", figures.ghosting(before, now), now.index)
        ahead, back = figures.bleeding(now, before), figures.bleeding(before, now)
        self._bleeding[now.index] = max(ahead, back, key=lambda figure: figure.amount)

    def _note(self, name: GateName, figure: Figure, index: int | None = None) -> None:
        place = self._last if index is None else index
        assert place is not None
        if index is not None and figure.area is not None and self.scale > 1:
            a, s = figure.area, self.scale
            figure = Figure(
                figure.amount,
                Area(
                    a.top * s,
                    min(a.bottom * s, self.info.height),
                    a.left * s,
                    min(a.right * s, self.info.width),
                ),
            )
        self._found.setdefault(name, {})[place] = figure

    def _worst(self, name: GateName, told: Mapping[int, Figure]) -> Verdict:
        if not told:
            return Verdict(GATES[name], 0.0)
        frame = max(told, key=lambda n: told[n].amount)
        return Verdict(GATES[name], told[frame].amount, frame, told[frame].area)

    def _frames(self, wrong: Mapping[int, str]) -> Verdict:
        first = min(wrong, default=None)
        detail = "" if first is None else wrong[first]
        return Verdict(GATES["frames"], float(len(wrong)), first, None, detail)

    def _color(self, sound: bool) -> Verdict:
        if not sound:
            return Verdict(GATES["color"], 0.0)
        amount, plane, level = self._levels.worst()
        names = ("Y",) if self.fmt.family == "gray" else ("Y", "Cb", "Cr")
        percent = round(100 * (level + 0.5) / Levels.LEVELS)
        return Verdict(
            GATES["color"], amount, None, None, f"{names[plane]} where luma is near {percent} %"
        )


def _shows_next(before: Judged, now: Judged) -> bool:
    """Whether the result of the frame before shows this one: something is missing there."""
    own = float((before.source - before.result).abs().mean())
    smooth = [
        float(figures.smoothed(source - before.result).abs().mean())
        for source in (before.source, now.source)
    ]
    return own > _ABOUT and smooth[0] > _ABOUT and smooth[1] < 0.5 * smooth[0]
