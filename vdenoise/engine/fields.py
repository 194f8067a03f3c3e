"""Fields through the steps of a plan: those of each parity as a clip of their own.

One clip of both, whose lines lie half a line apart, was tried (``benchmarks/fields.py``): of three
clips with much motion it is 0.1 to 0.4 dB better with all parts of the chain; without the network
it was 0.6 dB worse. By parity nothing depends on which field is said to come first, and still
detail meets its own lines again. Fields as if they were frames are 0.6 to 1.6 dB worse than either.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace

from torch import Tensor

from vdenoise.engine.correction import Done
from vdenoise.engine.plan import Plan
from vdenoise.engine.tiles import Area
from vdenoise.picture.fields import PARITIES, field_clip, field_of, plane_lines, weave
from vdenoise.picture.frame import ClipInfo, SourceFrame
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise import NoiseProfile

Heard = Callable[[str, Done], None]  # is told what a stage made of a frame, as if it were the last
# What takes fields of one parity through all steps: as `vdenoise.engine.denoise.denoise_and_tell`
Work = Callable[
    [Iterable[SourceFrame], Plan, NoiseProfile, Area | None, Heard | None],
    Generator[Done, None, None],
]


def by_field(
    sources: Iterable[SourceFrame],
    plan: Plan,
    profile: NoiseProfile,
    only: Area | None,
    heard: Heard | None,
    work: Work,
) -> Generator[Done, None, None]:
    """Split frames into fields, have each parity denoised, and weave what becomes of them.

    Both are taken ahead in step: what one has read and the other has not is a frame or two.

    Args:
        sources: frames, in order.
        plan: what to do with them.
        profile: measured noise of both parities.
        only: luma pixels of the frame that are wanted; None is all.
        heard: is told what each stage made of each frame.
        work: denoises the fields of one parity.

    Yields:
        Each frame wanted, with the samples of both its fields, and what was found.
    """
    frames: dict[int, SourceFrame] = {}
    weaver = _Weaver(plan, frames, heard)
    lanes = _lanes(iter(sources), plan.info, frames)
    results = [
        work(
            lane,
            replace(plan, info=field_clip(plan.info, parity), seed=2 * plan.seed + parity),
            profile.of_parity(parity),
            None if only is None else _in_fields(only),
            None if heard is None else weaver.hearing(parity),
        )
        for parity, lane in zip(PARITIES, lanes, strict=True)
    ]
    with contextlib.ExitStack() as stack:
        for result in results:
            stack.enter_context(contextlib.closing(result))
        for top, bottom in zip(*results, strict=True):
            yield weaver.woven(top, bottom)
            for index in [n for n in frames if n <= top[0].index]:
                del frames[index]


def _in_fields(area: Area) -> Area:
    """The lines of a field that lie in an area of the frame."""
    return replace(area, top=area.top // 2, bottom=-(-area.bottom // 2))


def _lanes(
    sources: Iterator[SourceFrame], info: ClipInfo, frames: dict[int, SourceFrame]
) -> list[Iterator[SourceFrame]]:
    """The fields of each parity, read from one stream of frames; each frame is kept in ``frames``
    until both are done."""
    waiting: tuple[deque[SourceFrame], ...] = tuple(deque() for _ in PARITIES)

    def lane(parity: int) -> Iterator[SourceFrame]:
        while True:
            while not waiting[parity]:
                frame = next(sources, None)
                if frame is None:
                    return
                frames[frame.index] = frame
                for other in PARITIES:
                    waiting[other].append(field_of(frame, info, other))
                del frame
            yield waiting[parity].popleft()

    return [lane(parity) for parity in PARITIES]


class _Weaver:
    """Puts what became of two fields together."""

    def __init__(self, plan: Plan, frames: dict[int, SourceFrame], heard: Heard | None) -> None:
        self._plan, self._frames, self._heard = plan, frames, heard
        self._waiting: dict[tuple[str, int], Done] = {}

    def woven(self, top: Done, bottom: Done) -> Done:
        """Samples and pictures line by line; of numbers the mean of both."""
        fmt, height = self._plan.encode.pixel_format, self._plan.info.height
        planes = weave(top[1], bottom[1], plane_lines(fmt, len(top[1]), height))
        found = top[2].pair(bottom[2], lambda a, b: _both(a, b, height))
        return Done(self._frames[top[0].index], tuple(planes), found, self._repaired(top, bottom))

    def _repaired(self, top: Done, bottom: Done) -> Picture[Tensor] | None:
        if top.repaired is None or bottom.repaired is None:
            return None
        info, fields = self._plan.info, (top.repaired.planes, bottom.repaired.planes)
        lines = plane_lines(info.format, len(fields[0]), info.height)
        return Picture.of(weave(*fields, lines))

    def hearing(self, parity: int) -> Heard:
        """What a parity's stages tell: handed on, woven, once both have told it."""

        def told(name: str, done: Done) -> None:
            assert self._heard is not None
            key = name, done[0].index
            other = self._waiting.pop(key, None)
            if other is None:
                self._waiting[key] = done
            else:
                self._heard(name, self.woven(*((other, done) if parity else (done, other))))

        return told


def _both(top: Tensor, bottom: Tensor, height: int) -> Tensor:
    if top.ndim < 2:
        return (top + bottom) / 2
    return weave([top], [bottom], [height])[0]
