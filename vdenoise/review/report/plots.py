"""Curves as SVG, drawn here.

Axes with lines need a page of code, take their colors from the page, so that they follow dark mode,
and their letters from the reader's fonts. Libraries for it bring pictures of fixed colors, or
megabytes of JavaScript for every report.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_WIDTH, _HEIGHT = 420, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 16, 12, 34
_MOST_POINTS = 600  # of a line: more cannot be told apart
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class PlotLine:
    """One curve."""

    name: str
    look: str  # class of its color on the page: source, result, limit, y, cb, cr
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Plot:
    """Curves over one axis.

    Attributes:
        title: what is shown.
        x, y: what the axes are, with units.
        lines: at least one.
        text: the same in words, for those who do not see it.
        most: the top of the y axis is at least this.
        whole: whether x counts frames.
    """

    title: str
    x: str
    y: str
    lines: tuple[PlotLine, ...]
    text: str
    most: float = 0.0
    whole: bool = False

    def svg(self) -> Markup:
        """The drawing; its letters are escaped."""
        points = [point for line in self.lines for point in line.points]
        left, right = min(x for x, _ in points), max(x for x, _ in points)
        right = right if right > left else left + 1
        top = max(self.most, *(y for _, y in points)) * 1.05 or 1.0
        width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

        def at(x: float, y: float) -> tuple[str, str]:
            across = _LEFT + (x - left) / (right - left) * width
            return f"{across:.1f}", f"{_TOP + (1 - y / top) * height:.1f}"

        parts = [
            Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
                _WIDTH, _HEIGHT, f"{self.title}. {self.text}"
            )
        ]
        for value in ticks(0.0, top):
            _, y = at(left, value)
            parts.append(
                Markup('<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
                    _LEFT, _WIDTH - _RIGHT, y=y
                )
            )
            parts.append(
                Markup('<text x="{}" y="{}" dy="4" text-anchor="end">{:g}</text>').format(
                    _LEFT - 6, y, value
                )
            )
        for value in ticks(left, right, whole=self.whole):
            x, _ = at(value, 0)
            parts.append(
                Markup('<text x="{}" y="{}" text-anchor="middle">{:g}</text>').format(
                    x, _HEIGHT - 18, value
                )
            )
        parts.append(
            Markup('<text class="axis" x="{}" y="{}" text-anchor="end">{}</text>').format(
                _WIDTH - _RIGHT, _HEIGHT - 3, self.x
            )
        )
        for line in self.lines:
            places = [at(x, y) for x, y in thinned(line.points)]
            if len(places) == 1:
                mark = Markup('<circle class="dot {}" cx="{}" cy="{}" r="4"/>')
                parts.append(mark.format(line.look, *places[0]))
            else:
                path = " ".join(f"{x},{y}" for x, y in places)
                mark = Markup('<polyline class="line {}" points="{}"/>')
                parts.append(mark.format(line.look, path))
        return Markup("").join([*parts, Markup("</svg>")])


def ticks(low: float, high: float, *, whole: bool = False, most: int = 5) -> list[float]:
    """Round numbers in a range, at most ``most`` and one more; whole ones where x is counted."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in _STEPS if s * power >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, float(math.ceil(step)))
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [round((first + n) * step, 10) for n in range(count)]


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """A curve with fewer points, of which none of its peaks is missing."""
    size = math.ceil(len(points) / _MOST_POINTS)
    if size <= 1:
        return list(points)
    groups = [points[n : n + size] for n in range(0, len(points), size)]
    return [max(group, key=lambda point: point[1]) for group in groups]
