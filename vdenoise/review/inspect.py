"""Judging a result frame by frame, while it is made or afterwards: two frames are held."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vdenoise.engine.correction import Done
from vdenoise.engine.tiles import Area
from vdenoise.motion.cuts import CutFinder
from vdenoise.motion.warp import reduce
from vdenoise.picture.color import lift, lift_planes, quantisation
from vdenoise.picture.frame import ClipInfo, PixelFormat, SourceFrame
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.subsampling import resize_to
from vdenoise.review import figures
from vdenoise.review.course import FigureCourse
from vdenoise.review.detail import structure
from vdenoise.review.gates import GATES, GateName
from vdenoise.review.judged import Figure, Judged, Pair
from vdenoise.review.levels import ChromaSwap, Levels
from vdenoise.review.mixed import MixedMotion
from vdenoise.review.shift import PictureShift, said_of, slid
from vdenoise.review.timing import TimeShift
from vdenoise.review.verdict import Inspection, Verdict

WHOLE_PIXELS = 1_200_000  # larger pictures are judged at half their size, but for bands and ends
OF_PAIRS: tuple[GateName, ...] = ("structure", "ghosting", "flicker")
_SMALLEST = 24  # px: smaller pictures have no areas to judge


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
        self._levels = (
            Levels(fmt.color_planes),
            Levels(fmt.color_planes, cell=16, flat=None, fewest=40),
        )
        self._swap = ChromaSwap()
        self._shifts = {"the picture": PictureShift(), "chroma": PictureShift()}
        self._found: dict[GateName, FigureCourse] = {}
        self._bleeding = FigureCourse()  # by the first frame behind the cut there may be
        self._repeated: dict[int, str] = {}  # frames that show the one before again
        self._timing = TimeShift()
        self._mixed = MixedMotion()
        self._cuts = CutFinder()
        self._before: Judged | None = None
        self._last: int | None = None
        self.frames = 0

    def push(
        self,
        source: SourceFrame,
        planes: Sequence[Tensor],
        repaired: Picture[Tensor] | None = None,
    ) -> None:
        """Look at the next frame.

        Args:
            source: as decoded.
            planes: its new samples, in the result's format.
            repaired: `vdenoise.engine.correction.Done.repaired`, where its damage was taken out:
                what the result is judged against instead.
        """
        with torch.inference_mode():
            before, before_chroma = _on_processor(repaired) or lift(source, self.info)
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
            by = self._shifts["the picture"].push(now.source, now.result)
            moved = None if by is None else slid(now.source, by)
            self._timing.push(now.index, now.source, now.result, moved)
            if self._before is not None:
                self._pair(self._before, now)
            self._before = now

    def watch(self, done: Done) -> None:
        """`push` for what a run has done (`vdenoise.engine.run.Watch`)."""
        self.push(done.source, done.planes, done.repaired)

    @property
    def latest(self) -> dict[GateName, Figure]:
        """The figures of the frame that was seen last."""
        found = {name: course.latest for name, course in self._found.items()}
        return {name: one[1] for name, one in found.items() if one and one[0] == self._last}

    def finish(
        self, cuts: Sequence[int] | None = None, *, missing: Sequence[int] = ()
    ) -> Inspection:
        """What was found.

        Args:
            cuts: first frames of new shots; None takes those that were seen.
            missing: source frames that the result does not have.
        """
        seen = self._cuts.finish()
        firsts = frozenset(seen if cuts is None else cuts)
        shifted = self._timing.wrong
        wrong = shifted | self._repeated | self._timing.strange
        wrong |= dict.fromkeys(missing, "it is missing")
        displaced = min(shifted, default=None)
        if not wrong and (all_of_them := self._timing.of_clip()) is not None:
            wrong = dict.fromkeys((n for n, _ in self._found["clipping"]), all_of_them)
            displaced = min(wrong)
        bleeding = {n: f for n, f in self._bleeding if n in firsts and n not in wrong}
        bled = {n for n, f in bleeding.items() if f.amount > GATES["cuts"].limit}
        mixed = None if wrong else self._mixture()
        moved = self._shift(sound=not wrong and mixed is None)
        if not moved.ok:  # it makes every figure wrong, and hides what else there is
            self._found, bleeding = {}, {}
        sound = displaced is None and not wrong and moved.ok
        verdicts = [self._frames(wrong), moved]
        series: dict[GateName, dict[int, float]] = {}

        def told(n: int) -> bool:
            near_wrong = n in wrong or n - 1 in wrong or bool({n - 1, n + 1} & bled)
            return not near_wrong and (displaced is None or n < displaced)

        def told_of_pair(n: int) -> bool:
            return told(n) and n not in firsts

        limit = GATES["ghosting"].limit
        everywhere = mixed is not None and mixed.amount > limit
        ghosts = {n for n, f in self._found.get("ghosting", ()) if everywhere or f.amount > limit}

        def told_beside_ghosts(n: int) -> bool:  # which blur a picture, and change its levels
            return told_of_pair(n) and n not in ghosts

        for name in (*OF_PAIRS, "banding", "clipping"):
            course = self._found.get(name, FigureCourse())
            which = told_of_pair if name in OF_PAIRS else told
            which = told_beside_ghosts if name in ("structure", "flicker") else which
            series[name] = course.amounts(which)
            found = _verdict(name, course.worst(which))
            if name == "ghosting" and mixed is not None and mixed.amount > found.amount:
                found = mixed
            verdicts.append(found)
        most = max(bleeding.items(), key=lambda one: one[1].amount, default=None)
        verdicts.append(_verdict("cuts", most))
        verdicts.append(self._color(sound))
        order = list(GATES)
        verdicts.sort(key=lambda verdict: order.index(verdict.gate.name))
        return Inspection(self.frames, tuple(verdicts), series)

    def _of_levels(
        self, before: Tensor, before_chroma: Tensor | None, after: Tensor, chroma: Tensor | None
    ) -> None:
        """Luma and chroma on chroma's grid: a level is that of both."""
        if chroma is None or before_chroma is None:
            for levels in self._levels:
                levels.push(before - after, after)
            return
        if before_chroma.shape != chroma.shape:  # written with denser chroma: compared where it was
            chroma = torch.nn.functional.interpolate(
                chroma[None], before_chroma.shape[-2:], mode="area"
            )[0]
        self._swap.push(before_chroma, chroma)
        self._shifts["chroma"].push(before_chroma, chroma)
        y, y_after = (resize_to(x[None], chroma[None])[0] for x in (before, after))
        for levels in self._levels:
            levels.push(torch.cat((y - y_after, before_chroma - chroma)), y_after)

    def _pair(self, before: Judged, now: Judged) -> None:
        if figures.repeats(before, now):
            self._repeated[now.index] = "it shows the frame before again"
        pair = Pair(before, now)
        self._note("structure", structure(pair), now.index)
        self._note("flicker", figures.flicker(pair), now.index)
        self._mixed.push(pair)
        # What another frame leaves may be of the one before or of the next
        ways = ((before, now), (now, before))
        ghosting, bleeding = (
            max((figure(*way) for way in ways), key=lambda found: found.amount)
            for figure in (figures.ghosting, figures.bleeding)
        )
        self._note("ghosting", ghosting, now.index)
        self._bleeding.append(now.index, bleeding)

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
        self._found.setdefault(name, FigureCourse()).append(place, figure)

    def _frames(self, wrong: Mapping[int, str]) -> Verdict:
        """How many are wrong, and what is wrong with most of them."""
        if not wrong:
            return Verdict(GATES["frames"], 0.0)
        why, _ = Counter(wrong[n] for n in sorted(wrong)).most_common(1)[0]
        first = min(n for n in wrong if wrong[n] == why)
        return Verdict(GATES["frames"], float(len(wrong)), first, None, why)

    def _mixture(self) -> Verdict | None:
        """The ghost that a picture which seems moved is one of, where the camera pans."""
        seems = self._shifts["the picture"].shift()
        share = None if seems is None else self._mixed.share(*seems)
        if share is None:
            return None
        said = "in all of the picture, which the camera moves"
        return Verdict(GATES["ghosting"], 100 * share, None, None, said)

    def _shift(self, *, sound: bool) -> Verdict:
        """How far the picture is moved, or its chroma alone; of frames of another time nothing."""
        grids = {"the picture": (self.scale, self.scale), "chroma": self.info.format.subsampling}
        moved: dict[str, tuple[float, float]] = {}
        for what, shift in self._shifts.items():
            if sound and (found := shift.shift()) is not None:
                moved[what] = found[0] * grids[what][0], found[1] * grids[what][1]
        far = {what: math.hypot(*by) for what, by in moved.items()}
        if not far:
            return Verdict(GATES["shift"], 0.0)
        whole = far.get("the picture", 0.0) > GATES["shift"].limit  # chroma goes with it
        what = "the picture" if whole else max(far, key=lambda name: far[name])
        return Verdict(GATES["shift"], far[what], None, None, said_of(what, *moved[what]))

    def _color(self, sound: bool) -> Verdict:
        if not sound:
            return Verdict(GATES["color"], 0.0)
        if (off := self._swap.shift()) is not None:
            said = "Cb and Cr stand in each other's place"
            return Verdict(GATES["color"], off, None, None, said)
        amount, plane, level = max(levels.worst() for levels in self._levels)
        names = ("Y",) if self.fmt.family == "gray" else ("Y", "Cb", "Cr")
        percent = round(100 * (level + 0.5) / Levels.LEVELS)
        return Verdict(
            GATES["color"], amount, None, None, f"{names[plane]} where luma is near {percent} %"
        )


def _on_processor(picture: Picture[Tensor] | None) -> Picture[Tensor] | None:
    return None if picture is None else picture.map(Tensor.cpu)


def _verdict(name: GateName, worst: tuple[int, Figure] | None) -> Verdict:
    if worst is None:
        return Verdict(GATES[name], 0.0)
    frame, figure = worst
    return Verdict(GATES[name], figure.amount, frame, figure.area)
