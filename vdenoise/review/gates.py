"""The gates of ``vdenoise qc``: what each looks at, its limit, and what to change. The one place
where limits are declared; the documentation's table is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GateName = Literal[
    "structure", "ghosting", "flicker", "banding", "color", "clipping", "shift", "frames", "cuts"
]


@dataclass(frozen=True)
class Gate:
    """One gate."""

    name: GateName
    what: str  # the figure, for people
    unit: str
    limit: float  # a figure above it fails
    advice: str  # what to change

    def share(self, amount: float) -> float:
        """A figure as a share of its limit; where none is allowed, 1 for each and one more."""
        if self.limit > 0:
            return amount / self.limit
        return amount + 1 if amount > 0 else 0.0


GATES: dict[GateName, Gate] = {
    gate.name: gate
    for gate in (
        Gate(
            "structure",
            "share of the picture's own detail that went with the noise, where there is clearly "
            "more of it than noise could pretend",
            "%",
            60.0,
            "remove less (--luma 70), or switch the guard on: --guards structure",
        ),
        Gate(
            "ghosting",
            "share of the frame before, or of the next, that shows around what moves",
            "%",
            15.0,
            "let fewer neighbors match: --motion-threshold 30, or --guards ghost",
        ),
        Gate(
            "flicker",
            "change of an area's level from frame to frame that the source does not have",
            "codes",
            0.8,
            "average over more frames: --temporal-radius 4, or a slower --speed",
        ),
        Gate(
            "banding",
            "pixels of an area at the edges of bands that the source does not have",
            "per mille",
            25.0,
            "make slopes of bands (--deband 1), or write more bits: --bit-depth 10",
        ),
        Gate(
            "color",
            "mean shift of a plane at one level of brightness, over the clip",
            "codes",
            0.5,
            "hold the levels: --guards color",
        ),
        Gate(
            "clipping",
            "pixels at the ends of the range that were not there in the source",
            "per mille",
            2.0,
            "sharpen less (--sharpen 0), or let no sample move far: --limit 10",
        ),
        Gate(
            "shift",
            "how far the picture, or its chroma, is moved as a whole against the source",
            "px",
            0.25,
            "see what moved it behind the run: a scaler, a crop, an editor; a run moves nothing",
        ),
        Gate(
            "frames",
            "frames that are missing, show the one before again, or the picture of another time",
            "frames",
            0.0,
            "render it again, and check the file: vdenoise verify",
        ),
        Gate(
            "cuts",
            "share of the picture beyond a cut that shows through",
            "%",
            5.0,
            "name the cuts: --cuts FILE with the first frame of each shot, one a line",
        ),
    )
}


def gates_table() -> str:
    """The table of docs/review.md."""
    rows = (
        f"| `{g.name}` | {g.what} | {g.limit:g} {g.unit} | {g.advice} |" for g in GATES.values()
    )
    return "\n".join(("| gate | figure | limit | what to change |", "|---|---|---|---|", *rows))
