"""What a look at a frame found out, kept for the next one: motion, and what each step left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vdenoise.engine.correction import Frame
from vdenoise.engine.plan import Plan
from vdenoise.engine.steps import signal_bytes
from vdenoise.engine.tiles import Area
from vdenoise.motion.flow import SharedMotion
from vdenoise.picture.block import Accuracy

ROOM_BYTES = 256 << 20  # of the frames behind a number of steps that are kept
Motions = dict[tuple[Accuracy, bool], SharedMotion]  # by accuracy, and whether pilots guide it


@dataclass(frozen=True, eq=False)
class _Left:
    """What a plan's first steps left of some frames: right in ``area`` (None: everywhere)."""

    steps: str
    area: Area | None
    frames: dict[int, Frame]


@dataclass(eq=False)
class Remembered:
    """What is known of frames of a clip whose noise and shots stay the same. Of results only the
    last are kept: where a later stage is turned, those before it need not work again."""

    motions: Motions = field(default_factory=dict)
    _left: dict[int, _Left] = field(default_factory=dict)  # by the number of steps

    def resumed(
        self, plan: Plan, wanted: Sequence[tuple[int, int]], areas: Sequence[Area | None]
    ) -> tuple[int, list[Frame]]:
        """The most steps of a plan whose result is known, and the frames behind them: behind 0
        steps as they were lifted, or none where nothing is known.

        Args:
            plan: what is to be done.
            wanted: first and last frame before the first step and behind each.
            areas: what must be right of each step's result; None is all.
        """
        for n in range(len(plan.steps), -1, -1):
            left, area = self._left.get(n), areas[n - 1] if n else None
            if left is None or left.steps != _words(plan, n) or not _holds(left.area, area):
                continue
            first, last = wanted[n]
            if all(index in left.frames for index in range(first, last + 1)):
                return n, [left.frames[index] for index in range(first, last + 1)]
        return 0, []

    def keeping(
        self, frames: Iterator[Frame], plan: Plan, count: int, area: Area | None
    ) -> Iterator[Frame]:
        """Frames behind a plan's first ``count`` steps, right in ``area``, kept as they pass if
        there is room for them."""
        left, info = _Left(_words(plan, count), area, {}), plan.info
        most = ROOM_BYTES // signal_bytes(info.width, info.height, info.format)
        for frame in frames:
            self._left[count] = left
            if len(left.frames) < most:
                left.frames[frame.index] = frame
            yield frame

    def forget_results(self) -> None:
        """Keep the motion alone."""
        self._left.clear()


def _words(plan: Plan, count: int) -> str:
    """All of a plan that decides what its first steps come to."""
    chain, decided = plan.chain, (plan.touches, plan.seed, plan.device)
    return repr((plan.steps[:count], chain.noise, chain.masks, decided))


def _holds(area: Area | None, other: Area | None) -> bool:
    return area is None or (other is not None and area.common(other) == other)
