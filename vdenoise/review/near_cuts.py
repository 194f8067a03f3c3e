"""The cuts of a long clip around the frames that are shown: looked for where they are needed, and
decided as a run decides them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from vdenoise.engine.plan import Plan
from vdenoise.engine.streams import Shots
from vdenoise.motion.cuts import REACH, CutFinder
from vdenoise.picture.color import lift
from vdenoise.review.decoded import Decoded


@dataclass(eq=False)
class NearCuts:
    """What is known of the cuts of a clip; more where it was asked for.

    Args:
        decoded: the frames of the clip.
        known: first frames of all its shots but the first, where they are known; else None.
    """

    decoded: Decoded
    known: Sequence[int] | None
    _found: set[int] = field(default_factory=set, init=False)
    _decided: set[int] = field(default_factory=set, init=False)  # frames that are known to be, or
    # not to be, the first of a shot

    def shots(self, plan: Plan, check: Callable[[], None] | None = None) -> Shots:
        """Shots as far as the frames of a plan are computed from them.

        Where not all cuts are known, what lies before the first frame that is needed counts as
        another shot: it is not looked at, and of a long clip the noise is that of this place.

        Args:
            plan: its frames, and how far its steps look around them.
            check: is called before each frame; what it raises ends all.

        Raises:
            InputError: the clip cannot be read.
        """
        count = self.decoded.info.readable
        if self.known is not None:
            return Shots(count, tuple(c for c in self.known if c < count))
        while True:
            shots = Shots(count, tuple(sorted(self._found)))
            first, last = plan.source_range(shots)
            open_ = [k for k in range(first + 1, last + 1) if k not in self._decided]
            if not open_:
                cuts = {c for c in self._found if first < c <= last}
                return Shots(count, tuple(sorted({*cuts, first} - {0})))
            self._decide(open_[0], open_[-1], check)

    def _decide(self, first: int, last: int, check: Callable[[], None] | None) -> None:
        """Find out which of the frames ``first`` to ``last`` begin a shot."""
        info = self.decoded.info
        finders = [CutFinder() for _ in range(2 if info.by_field else 1)]
        around = max(first - REACH - 1, 0), min(last + REACH, info.readable - 1)
        with torch.inference_mode():
            for frame in self.decoded.frames(*around):
                if check is not None:
                    check()
                luma = lift(frame, info)[0]
                for n, finder in enumerate(finders):
                    finder.push(frame.index, luma[:, n :: len(finders)])
        # Beyond these a decision lacks its neighbors
        self._found |= {c for f in finders for c in f.finish() if first <= c <= last}
        self._decided |= set(range(first, last + 1))
