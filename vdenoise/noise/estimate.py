"""Measure the noise of a clip: one pass over its frames, a `NoiseProfile` shot by shot.

Every frame is looked at small (cuts, repeats). At sampled frames, whose numbers depend on the
clip alone, the frame and the one before it are compared block by block (`vdenoise.noise.pairs`);
when the clip has ended each shot's samples are put together (`vdenoise.noise.levels`).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from statistics import median

from torch import Tensor

from vdenoise.motion.cuts import CutFinder
from vdenoise.noise.bars import PURE, Bars, bars_of, common_bars
from vdenoise.noise.beside import Beside
from vdenoise.noise.fit import Sample, fit_shot
from vdenoise.noise.sampling import light, one_thread, ratios
from vdenoise.noise.shots import fill_unmeasured, notes_on
from vdenoise.picture.noise import NoiseProfile, ShotNoise

EARLY = (1, 2, 4, 6)  # frames after a (suspected) cut at which noise is measured ...
EVERY = 24  # ... and then at least this many frames apart,
GROWTH = 8  # or an eighth of the shot so far, so that long shots stay affordable
SPARE = 24  # more of them where light or noise change:
BRIGHTER, ROUGHER = 1.12, 1.2  # times the level or the roughness at the last one
SUSPECT = 0.2  # thumbnail mismatch after which the early frames are sampled again
_REPEAT_SHARE = 0.2  # of the usual change between frames: less is a repeat ...
_REPEAT_MOST = 0.5 / 255  # ... if it is also less than this
_HELD = 0.35  # of what a new picture changes: less shows the one before again ...
_LONGEST = 4  # ... for at most so many frames on end
_SHORT = 6  # frames: fewer tell no cadence
_CODE = 1 / 255
_TINY = 1e-6
_STRIDE = 4  # pixels between those that the change between frames is measured on


@dataclass(frozen=True)
class Analysis:
    """What one pass over a clip found."""

    profile: NoiseProfile
    cuts: tuple[int, ...]  # first frame of each new shot
    repeats: tuple[int, ...]  # frames that show the frame before again
    frames: int
    notes: tuple[str, ...] = ()


@dataclass(eq=False)
class Analyzer:
    """Take a clip's frames one after the other, then say what noise there is.

    Args:
        cuts: first frames of new shots, where they are known; () for none; None finds them.
        source: written into the profile, for people.
        pure: what bars deviate by from their level, as for `bars_of`.
        beside: where samples are taken.
    """

    cuts: Sequence[int] | None = None
    source: str = ""
    pure: float = PURE
    beside: Beside = field(default_factory=Beside)
    _finder: CutFinder = field(default_factory=CutFinder, init=False)
    _previous: tuple[int, Tensor, Tensor | None] | None = field(default=None, init=False)
    _first: int = field(default=0, init=False)
    _last: int = field(default=-1, init=False)
    _since: int = field(default=0, init=False)  # frame of the last suspected cut
    _next: int = field(default=0, init=False)  # where to sample when the early frames are done
    _light: tuple[float, float] = field(default=(0.0, 0.0), init=False)  # at the last sample
    _behind: int = field(default=-1, init=False)  # the frame behind a change
    _spare: int = field(default=0, init=False)  # samples left for light that changes
    _bars: dict[int, Bars | None] = field(default_factory=dict, init=False)
    _rough: dict[int, float] = field(default_factory=dict, init=False)
    _fresh: dict[int, float] = field(default_factory=dict, init=False)
    _changes: dict[int, float] = field(default_factory=dict, init=False)
    _samples: list[Future[Sample]] = field(default_factory=list, init=False)
    _stills: list[Future[Sample]] = field(default_factory=list, init=False)

    def push(self, index: int, luma: Tensor, chroma: Tensor | None = None) -> None:
        """Take the next frame.

        Args:
            index: absolute frame number, one more than the last one's.
            luma: (1, H, W) in the working representation, any device.
            chroma: (2, h, w) or None.
        """
        with one_thread():
            self._push(index, luma.float().cpu(), chroma)

    def _push(self, index: int, luma: Tensor, chroma: Tensor | None) -> None:
        jump = self._finder.push(index, luma)
        bars = self._bars[index] = bars_of(luma[0], self.pure)
        now = light(luma)
        self._rough[index] = now[1]
        if self._previous is None:
            self._first = index
            self._begin(index, luma, chroma)
        else:
            assert index == self._previous[0] + 1, "frames arrive in order"
            self._changes[index] = _change(luma, self._previous[1])
            self._fresh[index] = light(luma - self._previous[1])[1] / max(now[1], _TINY)
            fresh = index - self._since > EARLY[-1]  # a picture of noise alone always jumps
            appears = bars is not None and self._bars[index - 1] is None
            cut = self.cuts is not None and index in self.cuts
            if (jump >= SUSPECT and fresh) or appears or cut:
                self._begin(index, luma, chroma)
            if bars is not None and self._wanted(index, now):
                self._pair(index, luma, chroma, bars)
                if _differs(now, self._light):  # a pair across the change knows neither side
                    self._behind = index + 1
                self._light = now
        self._previous = (index, luma, chroma)
        self._last = index

    def _begin(self, index: int, luma: Tensor, chroma: Tensor | None) -> None:
        """Here a shot may begin: measure this frame alone, and often behind it."""
        self._since = self._next = index
        self._spare = SPARE
        self._light = light(luma)
        bars = self._bars[index]
        if bars is not None:
            self._stills.append(self.beside.take(index, luma, chroma, None, None, bars))

    def finish(self) -> Analysis:
        """Put together what was seen; at least one frame must have been pushed."""
        with one_thread():
            return self._finish()

    def _finish(self) -> Analysis:
        assert self._previous is not None, "an analysis needs a frame"
        found = self._finder.finish()
        cuts = found if self.cuts is None else tuple(self.cuts)
        cuts = tuple(c for c in cuts if self._first < c <= self._last)
        starts = (self._first, *cuts)
        ends = (*(c - 1 for c in cuts), self._last)
        measured, alone = ([f.result() for f in found] for found in (self._samples, self._stills))
        shots: list[ShotNoise | None] = []
        repeats: list[int] = []
        for first, last in zip(starts, ends, strict=True):
            again = self._repeats(first, last)
            repeats += again
            pairs = [s for s in measured if first < s.index <= last and s.index not in again]
            stills = [s for s in alone if first <= s.index <= last]
            bars = common_bars(self._bars[i] for i in range(first, last + 1))
            rough = {i: self._rough[i] for i in range(first, last + 1)}
            shots.append(fit_shot(first, last, pairs, stills, len(again), bars, rough))
        profile = NoiseProfile(source=self.source, shots=fill_unmeasured(shots, starts, ends))
        frames = self._last - self._first + 1
        notes = notes_on(profile, [i - self._first for i in repeats], frames)
        return Analysis(profile, cuts, tuple(repeats), frames, notes)

    def _wanted(self, index: int, now: tuple[float, float]) -> bool:
        """Whether to measure here; a function of the frames so far, never of time or memory."""
        age = index - self._since
        if age in EARLY:
            return True
        if age > EARLY[-1] and index >= self._next:
            self._next = index + max(EVERY, age // GROWTH)
            return True
        if self._spare and (index == self._behind or _differs(now, self._light)):
            self._spare -= 1
            return True
        return False

    def _pair(self, index: int, luma: Tensor, chroma: Tensor | None, bars: Bars) -> None:
        assert self._previous is not None
        _, before, chroma_before = self._previous
        self._samples.append(self.beside.take(index, luma, chroma, before, chroma_before, bars))

    def _repeats(self, first: int, last: int) -> list[int]:
        """Frames of a shot that hardly differ from the one before, against the shot's usual.

        Those of a picture that is held differ by a trace of fresh noise or an encoder's residue:
        by little against the frames that bring a new one, of the picture and of its noise. A pause
        of the motion is none, its noise is as fresh as ever; nor is all that holds for long.
        """
        changes = {i: self._changes[i] for i in range(first + 1, last + 1)}
        moving = [c for c in changes.values() if c > 0]
        limit = min(_REPEAT_SHARE * median(moving), _REPEAT_MOST) if moving else 0.0
        again = {i for i, c in changes.items() if c <= limit}
        if len(changes) >= _SHORT:
            usual, new = (
                _HELD * sorted(values)[int(0.9 * (len(values) - 1))]
                for values in (list(changes.values()), [self._fresh[i] for i in changes])
            )
            held = {i for i, c in changes.items() if c <= usual and self._fresh[i] <= new}
            runs = "".join("h" if i in held else " " for i in changes).split()
            if runs and max(map(len, runs)) <= _LONGEST:
                again |= held
        return sorted(again)


def measure_region(
    frames: Sequence[tuple[Tensor, Tensor | None]], box: tuple[int, int, int, int]
) -> NoiseProfile:
    """Profile of a rectangle that a person chose because nothing but noise is in it.

    Args:
        frames: (luma, chroma) of one frame or of consecutive ones.
        box: x, y, width, height in luma pixels; at least 16x16 (and 16x16 in chroma, else chroma
            is read from where it fits around the middle).
    """
    x, y, width, height = box
    analyzer = Analyzer(cuts=(), source=f"region {x},{y},{width},{height}")
    for i, (luma, chroma) in enumerate(frames):
        part = luma[:, y : y + height, x : x + width]
        part_chroma = None
        if chroma is not None:
            ry, rx = ratios(luma, chroma)
            rows = slice(y // ry, -(-(y + height) // ry))
            columns = slice(x // rx, -(-(x + width) // rx))
            part_chroma = chroma[:, rows, columns]
        analyzer.push(i, part, part_chroma)
    profile = analyzer.finish().profile
    return profile.model_copy(
        update={"shots": (profile.shots[0].model_copy(update={"last": 2**31}),)}
    )


def _differs(now: tuple[float, float], then: tuple[float, float]) -> bool:
    """Whether light or roughness are not what they were."""
    more, less = (max(now[0], then[0]), min(now[0], then[0]))
    if more > BRIGHTER * less + _CODE:
        return True
    return max(now[1], then[1]) > ROUGHER * min(now[1], then[1]) + _CODE / 4


def _change(a: Tensor, b: Tensor) -> float:
    """Mean absolute difference of two frames on a coarse grid of pixels."""
    return (a[0, ::_STRIDE, ::_STRIDE] - b[0, ::_STRIDE, ::_STRIDE]).abs().mean().item()
