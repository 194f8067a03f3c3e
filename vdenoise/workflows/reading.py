"""How a clip is read: said once, and the same wherever it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vdenoise.engine.plan import Interlaced, check_interlaced
from vdenoise.media.images.sequence import OnMissing, is_image
from vdenoise.media.movie.index import COMMON_RATES
from vdenoise.media.movie.quick_index import adopt_quick_index
from vdenoise.media.probe import probe
from vdenoise.media.reader import OnBadFrame, Reader
from vdenoise.picture.frame import ClipInfo

Heard = Callable[[int, int], None]  # how much was read, and of how much


@dataclass(frozen=True)
class Reading:
    """Which clip it is and how it is read: the same wherever it is looked at."""

    path: Path
    fps: float | None = None  # of a sequence of images; None is what they say, else 24
    on_missing: OnMissing = "refuse"
    on_bad_frame: OnBadFrame = "fail"
    interlaced: Interlaced = "refuse"
    threads: int | None = None  # of the decoder; None is one per core granted

    @property
    def deinterlace(self) -> bool:
        """Whether each pair of fields becomes a frame."""
        return self.interlaced == "deinterlace"

    def probe(self, heard: Heard | None = None, *, quick: bool = False) -> ClipInfo:
        """What is known of the clip before its first frame.

        Args:
            heard: told of every file of a sequence that is looked at.
            quick: some frames are to be looked at and none is to be written: of a long movie the
                container's table is trusted instead of reading all of it
                (`vdenoise.media.movie.quick_index`).

        Raises:
            InputError: it cannot be read.
            UsageError: it holds fields, or its sequence a gap, and nothing was said of that.
        """
        if quick and not is_image(self.path):
            adopt_quick_index(self.path)
        info = probe(self.path, on_missing=self.on_missing, rate=self._rate, heard=heard)
        check_interlaced(info, self.interlaced)
        return info

    @property
    def _rate(self) -> Fraction | None:
        """The rate that was said, as the fraction that is meant: 23.976 is 24000/1001."""
        if self.fps is None:
            return None
        rate = Fraction(self.fps).limit_denominator(1001)
        near = min(COMMON_RATES, key=lambda common: abs(common - rate))
        return near if abs(near - rate) < Fraction(1, 1000) else rate

    def reader(self, info: ClipInfo, first: int = 0, last: int | None = None) -> Reader:
        """Its frames from ``first`` to ``last`` (both included; None is the clip's last)."""
        return Reader(
            info,
            first=first,
            last=last,
            threads=self.threads,
            on_bad_frame=self.on_bad_frame,
            deinterlace=self.deinterlace,
        )
