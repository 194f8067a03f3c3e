"""A dial: a number (or a few, or words) that a user sets, with its range declared once.

Command line, presets and Python all check it here, so that a wrong value gives one sentence
wherever it was said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vdenoise.errors import UsageError

NONE = "none"


@dataclass(frozen=True)
class Dial:
    """A parameter of the chain as a whole: what a stage's fields are to a stage."""

    default: Any
    high: float
    help: str
    low: float = 0.0
    count: int = 1  # numbers asked for
    words: tuple[str, ...] = ()  # asked for instead of numbers
    several: bool = False  # any of the words, or none; False: exactly one

    @property
    def rule(self) -> str:
        """What is accepted: ``a number from 0 to 100``."""
        if self.words:
            listed = ", ".join(self.words)
            return f"{NONE}, or some of {listed}" if self.several else f"one of {listed}"
        span = f"from {self.low:g} to {self.high:g}"
        return f"a number {span}" if self.count == 1 else f"{self.count} numbers {span}"

    @property
    def metavar(self) -> str:
        """For help: ``NUMBER``, ``N,N,N,N`` or the words."""
        if self.words:
            return "none|" + ",".join(self.words) if self.several else "|".join(self.words)
        return "NUMBER" if self.count == 1 else ",".join(["N"] * self.count)

    def check(self, name: str, value: Any) -> Any:
        """The value in its own type: a number, a tuple of numbers, a word or a tuple of words.

        Raises:
            UsageError: it is not accepted.
        """
        found = self._words(value) if self.words else self._numbers(value)
        if found is None:
            raise UsageError(f"{name} = {value}: want {self.rule}.", self.help, number=17)
        return found

    def _numbers(self, value: Any) -> float | tuple[float, ...] | None:
        parts = [value]
        if self.count > 1:
            parts = value.split(",") if isinstance(value, str) else value
            if not isinstance(parts, Sequence):
                return None
        numbers = tuple(_number(part) for part in parts)
        # in this form NaN fails too
        if len(numbers) != self.count or not all(self.low <= n <= self.high for n in numbers):
            return None
        return numbers if self.count > 1 else numbers[0]

    def _words(self, value: Any) -> str | tuple[str, ...] | None:
        if not self.several:
            return value if isinstance(value, str) and value in self.words else None
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, Sequence):
            return None
        asked = [part.strip() if isinstance(part, str) else part for part in parts]
        if asked in ([], [NONE]):
            return ()
        if not all(part in self.words for part in asked):
            return None
        return tuple(word for word in self.words if word in asked)

    def text(self, value: Any) -> str:
        """A value as it is typed."""
        if isinstance(value, tuple):
            return ",".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value) or NONE
        return f"{value:g}" if isinstance(value, float) else str(value)


def _number(value: Any) -> float:
    try:
        return float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return float("nan")


# The dials of the chain as a whole, by full name.
DIALS: Mapping[str, Dial] = {
    "output.luma": Dial(100.0, 100.0, "Percent of the luma noise found that is removed; 0 is off."),
    "output.chroma": Dial(
        100.0, 100.0, "Percent of the chroma noise found that is removed; 0 is off."
    ),
    "output.blend": Dial(
        0.0, 100.0, "Percent of the source's noise that is given back evenly; 0 is off."
    ),
    "output.limit": Dial(
        0.0, 255.0, "No sample moves by more than this many 8-bit codes; 0 is off."
    ),
    "output.bands": Dial(
        (100.0,) * 4,
        100.0,
        "Percent removed of coarse blotches, large, small and the finest grain, in this order.",
        count=4,
    ),
    "output.shadows": Dial(100.0, 100.0, "Percent of the strength that works in dark parts."),
    "output.highlights": Dial(100.0, 100.0, "Percent of the strength that works in bright parts."),
    "output.guards": Dial(
        (),
        0.0,
        "What watches the removed signal: for a shift of levels, for picture in it, for ghosts.",
        words=("color", "structure", "ghost"),
        several=True,
    ),
    "output.mask_fit": Dial(
        "exact",
        0.0,
        "scale takes a mask of another size or length: resized, its last frame held.",
        words=("exact", "scale"),
    ),
    "noise.sigma_scale": Dial(1.0, 4.0, "Factor on the measured noise: above 1 is taken as more."),
}
DIAL_FIELDS = {name: name.partition(".")[2] for name in DIALS}  # of `Chain`
MASK = "mask"  # values named mask.NAME hold what was asked of a mask
