"""What a user can set: a number (or a few), words or a text, declared once with its range.

Command line, presets and Python describe and check it by this, so that a wrong value gives one
sentence wherever it was said. Parameters of stages (`vdenoise.chain.parameters`) are described by
it, the settings of the chain as a whole (`vdenoise.settings.groups`) and what a mask takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vdenoise.errors import UsageError

NONE = "none"


@dataclass(frozen=True)
class Setting:
    """What a value means, what it is unless it is said, and what is accepted."""

    default: Any
    help: str  # one sentence
    low: float | None = None  # least and most of a number, both accepted; None: no end
    high: float | None = None
    unit: str = ""
    whole: bool = False  # whole numbers only
    count: int = 1  # numbers asked for
    words: tuple[str, ...] = ()  # asked for instead of numbers
    several: bool = False  # any of the words, or none; False: exactly one
    text_of: str = ""  # what a text names, "a name or a file", where it is neither word nor number

    @property
    def rule(self) -> str:
        """What is accepted: ``a number from 0 to 100``."""
        if self.words == ("true", "false"):
            return "true or false"
        if self.words:
            listed = ", ".join(self.words)
            return f"{NONE}, or some of {listed}" if self.several else f"one of {listed}"
        if self.text_of:
            return self.text_of
        kind = "a whole number" if self.whole else "a number"
        if self.count > 1:
            kind = f"{self.count} numbers"
        return kind + self._span

    @property
    def _span(self) -> str:
        if self.low is not None and self.high is not None:
            return f" from {self.low:g} to {self.high:g}"
        if self.low is not None:
            return f" of {self.low:g} or more"
        return "" if self.high is None else f" of {self.high:g} or less"

    @property
    def metavar(self) -> str:
        """What stands for the value in help: ``NUMBER``, ``N,N,N,N`` or the words."""
        if self.words:
            return "none|" + ",".join(self.words) if self.several else "|".join(self.words)
        return "NUMBER" if self.count == 1 else ",".join(["N"] * self.count)

    def check(self, name: str, value: Any) -> Any:
        """Give the value in its own type: a number, a tuple of numbers, a word, a tuple of words.

        Raises:
            UsageError: it is not accepted.
        """
        found = self._words(value) if self.words else self._numbers(value)
        if found is None:
            raise self.refusal(name, value)
        return found

    def refusal(self, name: str, value: Any) -> UsageError:
        """Make the error for a value that is not accepted."""
        return UsageError(f"{name} = {value}: want {self.rule}.", self.help, number=17)

    def _numbers(self, value: Any) -> float | tuple[float, ...] | None:
        parts = [value]
        if self.count > 1:
            parts = value.split(",") if isinstance(value, str) else value
            if not isinstance(parts, Sequence):
                return None
        numbers = tuple(_number(part) for part in parts)
        low = float("-inf") if self.low is None else self.low
        high = float("inf") if self.high is None else self.high
        # in this form NaN fails too
        if len(numbers) != self.count or not all(low <= n <= high for n in numbers):
            return None
        if self.whole and any(n % 1 for n in numbers):
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
        """Write a value as it is typed."""
        if isinstance(value, tuple):
            return ",".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value) or NONE
        return f"{value:g}" if isinstance(value, float) else str(value)


def percent(default: float | None, help: str) -> Setting:
    """Declare a share, from 0 to 100 percent."""
    return Setting(default, help, low=0, high=100)


def _number(value: Any) -> float:
    try:
        return float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return float("nan")
