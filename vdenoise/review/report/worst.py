"""Where the gates of ``vdenoise qc`` like a result least, as places to look at."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from vdenoise.review.gates import GATES, GateName
from vdenoise.review.inspect import OF_PAIRS
from vdenoise.review.judged import Figure
from vdenoise.review.spots import Scout, Spot
from vdenoise.review.verdict import Verdict

_LEAST = 0.2  # of its limit: a figure below is no place to look at


class WorstPlaces:
    """The worst place of each gate so far, told while frames pass.

    Args:
        scout: knows how large a place is.
    """

    def __init__(self, scout: Scout) -> None:
        self._scout = scout
        self._worst: dict[GateName, float] = {}

    def push(
        self, index: int, figures: Mapping[GateName, Figure], firsts: Collection[int]
    ) -> list[Spot]:
        """Look at a frame.

        Args:
            index: its number.
            figures: what the gates found in it.
            firsts: frames that begin a shot, in which gates that compare two frames are silent.

        Returns:
            Its places that are worse than all before; their reason is the name of the gate.
        """
        found = []
        for name, figure in figures.items():
            share = GATES[name].share(figure.amount)
            silent = index in firsts and name in OF_PAIRS
            if silent or share <= max(self._worst.get(name, 0.0), _LEAST):
                continue
            self._worst[name] = share
            spot = self._scout.beside(index, "gate", name)
            if figure.area is not None:
                spot = replace(spot, area=self._scout.around(figure.area))
            found.append(spot)
        return found


def told_by(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts whose places are worth a look: those that failed, else the one nearest to its
    limit; the worst first."""
    order = sorted(verdicts, key=lambda verdict: -verdict.share)
    return [verdict for verdict in order if not verdict.ok] or order[:1]


def said_of(verdict: Verdict) -> str:
    """Why a place is shown: ``structure failed: 75 %, at most 60 %``."""
    gate = verdict.gate
    if verdict.ok:
        return f"nearest to a limit: {gate.name}, {100 * verdict.share:.0f} % of it"
    return f"{gate.name} failed: {verdict.amount:.3g} {gate.unit}, at most {gate.limit:g}"
