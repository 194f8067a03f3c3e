"""Measure the noise of a clip: one pass over its frames, a `NoiseProfile` shot by shot.

Every frame is looked at small (cuts, repeats). At sampled frames, whose numbers depend on the
clip alone, the frame and the one before it are compared block by block (`vdenoise.noise.pairs`);
when the clip has ended each shot's samples are put together (`vdenoise.noise.levels`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.motion.cuts import CutFinder
from vdenoise.noise.fit import Sample, fit_shot
from vdenoise.noise.pairs import PlaneBlocks, compare
from vdenoise.noise.shifts import Shift, motion_between
from vdenoise.picture.noise import NoiseProfile, PlaneNoise, ShotNoise
from vdenoise.settings.text import counted

EARLY = (1, 2, 4, 6)  # frames after a (suspected) cut at which noise is measured ...
EVERY = 24  # ... and then at least this many frames apart,
GROWTH = 8  # or an eighth of the shot so far, so that long shots stay affordable
SUSPECT = 0.2  # thumbnail mismatch after which the early frames are sampled again
_REPEAT_SHARE = 0.2  # of the usual change between frames: less is a repeat ...
_REPEAT_MOST = 0.5 / 255  # ... if it is also less than this
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
    """

    cuts: Sequence[int] | None = None
    source: str = ""
    _finder: CutFinder = field(default_factory=CutFinder, init=False)
    _previous: tuple[int, Tensor, Tensor | None] | None = field(default=None, init=False)
    _first: int = field(default=0, init=False)
    _last: int = field(default=-1, init=False)
    _since: int = field(default=0, init=False)  # frame of the last suspected cut
    _next: int = field(default=0, init=False)  # where to sample when the early frames are done
    _changes: dict[int, float] = field(default_factory=dict, init=False)
    _samples: list[Sample] = field(default_factory=list, init=False)
    _stills: list[Sample] = field(default_factory=list, init=False)

    def push(self, index: int, luma: Tensor, chroma: Tensor | None = None) -> None:
        """Take the next frame.

        Args:
            index: absolute frame number, one more than the last one's.
            luma: (1, H, W) in the working representation, any device.
            chroma: (2, h, w) or None.
        """
        with _one_thread():
            self._push(index, luma.float().cpu(), chroma)

    def _push(self, index: int, luma: Tensor, chroma: Tensor | None) -> None:
        jump = self._finder.push(index, luma)
        if self._previous is None:
            self._first = self._since = self._next = index
            self._still(index, luma, chroma)
        else:
            assert index == self._previous[0] + 1, "frames arrive in order"
            self._changes[index] = _change(luma, self._previous[1])
            fresh = index - self._since > EARLY[-1]  # a picture of noise alone always jumps
            if (jump >= SUSPECT and fresh) or (self.cuts is not None and index in self.cuts):
                self._since = self._next = index
                self._still(index, luma, chroma)
            if self._wanted(index):
                self._pair(index, luma, chroma)
        self._previous = (index, luma, chroma)
        self._last = index

    def finish(self) -> Analysis:
        """Put together what was seen; at least one frame must have been pushed."""
        with _one_thread():
            return self._finish()

    def _finish(self) -> Analysis:
        assert self._previous is not None, "an analysis needs a frame"
        found = self._finder.finish()
        cuts = found if self.cuts is None else tuple(self.cuts)
        cuts = tuple(c for c in cuts if self._first < c <= self._last)
        starts = (self._first, *cuts)
        ends = (*(c - 1 for c in cuts), self._last)
        shots: list[ShotNoise | None] = []
        repeats: list[int] = []
        for first, last in zip(starts, ends, strict=True):
            again = self._repeats(first, last)
            repeats += again
            pairs = [s for s in self._samples if first < s.index <= last and s.index not in again]
            stills = [s for s in self._stills if first <= s.index <= last]
            shots.append(fit_shot(first, last, pairs, stills, len(again)))
        profile = NoiseProfile(source=self.source, shots=_fill(shots, starts, ends))
        notes = _notes(profile, repeats)
        frames = self._last - self._first + 1
        return Analysis(profile, cuts, tuple(repeats), frames, notes)

    def _wanted(self, index: int) -> bool:
        """Whether to measure here; a function of the frames so far, never of time or memory."""
        age = index - self._since
        if age > EARLY[-1] and index >= self._next:
            self._next = index + max(EVERY, age // GROWTH)
            return True
        return age in EARLY

    def _pair(self, index: int, luma: Tensor, chroma: Tensor | None) -> None:
        assert self._previous is not None
        _, before, chroma_before = self._previous
        self._samples.append(sample(index, luma, chroma, before, chroma_before))

    def _still(self, index: int, luma: Tensor, chroma: Tensor | None) -> None:
        self._stills.append(sample(index, luma, chroma, None, None))

    def _repeats(self, first: int, last: int) -> list[int]:
        """Frames of a shot that hardly differ from the one before, against the shot's usual."""
        changes = {i: self._changes[i] for i in range(first + 1, last + 1)}
        moving = [c for c in changes.values() if c > 0]
        limit = min(_REPEAT_SHARE * median(moving), _REPEAT_MOST) if moving else 0.0
        return [i for i, c in changes.items() if c <= limit]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch on one thread: small matrices gain nothing from more, and lose on a busy machine.

    Sums are then taken in one order, so that a profile does not depend on the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def sample(
    index: int,
    luma: Tensor,
    chroma: Tensor | None,
    luma_before: Tensor | None,
    chroma_before: Tensor | None,
) -> Sample:
    """Measure a frame against the one before, or alone where that is None."""
    shift = Shift(torch.zeros(2, 1, 1))
    if luma_before is not None:
        shift = motion_between(luma, luma_before)
    before = None if luma_before is None else luma_before[0]
    planes: list[PlaneBlocks | None] = [compare(luma[0], before, luma[0], shift, (1, 1))]
    if chroma is not None:
        chroma = chroma.float().cpu()
        ratio = _ratios(luma, chroma)
        levels = functional.avg_pool2d(luma[None], ratio, ceil_mode=True)[0, 0]
        for c in range(2):
            other = None if chroma_before is None else chroma_before[c].float().cpu()
            planes.append(compare(chroma[c], other, levels, shift, ratio))
    return Sample(index, tuple(planes))


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
            ry, rx = _ratios(luma, chroma)
            rows = slice(y // ry, -(-(y + height) // ry))
            columns = slice(x // rx, -(-(x + width) // rx))
            part_chroma = chroma[:, rows, columns]
        analyzer.push(i, part, part_chroma)
    profile = analyzer.finish().profile
    return profile.model_copy(
        update={"shots": (profile.shots[0].model_copy(update={"last": 2**31}),)}
    )


def _ratios(luma: Tensor, chroma: Tensor) -> tuple[int, int]:
    """Luma pixels per chroma pixel, down and across; odd sizes are rounded up in chroma."""
    down, across = (
        1 << (-(-a // b) - 1).bit_length()
        for a, b in zip(luma.shape[-2:], chroma.shape[-2:], strict=True)
    )
    return down, across


def _change(a: Tensor, b: Tensor) -> float:
    """Mean absolute difference of two frames on a coarse grid of pixels."""
    return (a[0, ::_STRIDE, ::_STRIDE] - b[0, ::_STRIDE, ::_STRIDE]).abs().mean().item()


def _fill(
    shots: Sequence[ShotNoise | None], starts: Sequence[int], ends: Sequence[int]
) -> tuple[ShotNoise, ...]:
    """Give shots that nothing could be measured in the noise of the nearest one that could."""
    known = [i for i, s in enumerate(shots) if s is not None]
    filled = []
    for i, shot in enumerate(shots):
        if shot is None and known:
            near = shots[min(known, key=lambda k: abs(k - i))]
            assert near is not None
            update = {
                "first": starts[i],
                "last": ends[i],
                "confidence": 0.3 * near.confidence,
                "reasons": ("too little to measure in this shot: taken from a shot nearby",),
            }
            shot = near.model_copy(update=update)
        filled.append(shot or _nothing(starts[i], ends[i]))
    return tuple(filled)


def _nothing(first: int, last: int) -> ShotNoise:
    zero = PlaneNoise.white(0.0)
    reasons = ("the picture is smaller than 16x16 pixels: nothing could be measured",)
    return ShotNoise(
        first=first, last=last, y=zero, cb=zero, cr=zero, confidence=0.0, reasons=reasons
    )


def _notes(profile: NoiseProfile, repeats: Sequence[int]) -> tuple[str, ...]:
    notes = []
    if repeats:
        same = "repeats" if len(repeats) == 1 else "repeat"
        notes.append(f"{counted(len(repeats), 'frame')} {same} the frame before")
    if any(s.temporal_correlation > 0.3 for s in profile.shots):
        notes.append(
            "some of the noise stands still between frames: temporal filters see it as picture"
        )
    impulses = max((s.impulse_rate for s in profile.shots), default=0.0)
    if impulses > 1e-3:
        notes.append(
            f"{100 * impulses:.1f} % of the pixels stand out as dust, drop-outs and dead pixels "
            "do; if that is what they are, --spatial median takes them out"
        )
    return tuple(notes)
