"""What the gates of ``vdenoise qc`` say of a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vdenoise.engine.tiles import Area
from vdenoise.review.gates import Gate, GateName


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

    @property
    def share(self) -> float:
        """Its figure as a share of the limit."""
        return self.gate.share(self.amount)

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
