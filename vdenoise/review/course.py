"""The figures of a gate over a clip, held small: two hours of them in a few megabytes."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

from vdenoise.engine.tiles import Area
from vdenoise.review.judged import Figure

_NOWHERE = (-1, -1, -1, -1)


class FigureCourse:
    """One figure a frame, in the order in which they were seen."""

    def __init__(self) -> None:
        self._frames, self._amounts, self._areas = array("q"), array("d"), array("i")

    def append(self, frame: int, figure: Figure) -> None:
        """Note the figure of a frame."""
        a = figure.area
        self._frames.append(frame)
        self._amounts.append(figure.amount)
        self._areas.extend(_NOWHERE if a is None else (a.top, a.bottom, a.left, a.right))

    def __iter__(self) -> Iterator[tuple[int, Figure]]:
        for n, (frame, amount) in enumerate(zip(self._frames, self._amounts, strict=True)):
            place = tuple(self._areas[4 * n : 4 * n + 4])
            yield frame, Figure(amount, None if place == _NOWHERE else Area(*place))

    @property
    def latest(self) -> tuple[int, Figure] | None:
        """The frame that was noted last, and its figure."""
        if not self._frames:
            return None
        place = tuple(self._areas[-4:])
        area = None if place == _NOWHERE else Area(*place)
        return self._frames[-1], Figure(self._amounts[-1], area)

    def amounts(self, told: Callable[[int], bool]) -> dict[int, float]:
        """The amounts by frame, of the frames that are told of."""
        both = zip(self._frames, self._amounts, strict=True)
        return {frame: amount for frame, amount in both if told(frame)}

    def worst(self, told: Callable[[int], bool]) -> tuple[int, Figure] | None:
        """The first of the greatest figures, of the frames that are told of."""
        return max(
            ((frame, figure) for frame, figure in self if told(frame)),
            key=lambda one: one[1].amount,
            default=None,
        )
