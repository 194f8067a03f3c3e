"""How a clip is read: said once, and the same wherever it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from vdenoise.engine.interlacing import check_interlaced, tag_fields
from vdenoise.media.encoding import named
from vdenoise.media.images.sequence import is_image
from vdenoise.media.movie.field_evidence import look_for_fields, may_hold_fields
from vdenoise.media.movie.ordering import COMMON_RATES
from vdenoise.media.movie.quick_index import adopt_quick_index
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.picture.frame import ClipInfo
from vdenoise.settings.choices import Interlaced, OnBadFrame, OnMissing

Heard = Callable[[int, int], None]  # how much was read, and of how much


@dataclass(frozen=True)
class Reading:
    """Which clip it is and how it is read: the same wherever it is looked at."""

    path: Path
    fps: float | None = None  # of a sequence of images; None is what they say, else 24
    on_missing: OnMissing = "refuse"
    on_bad_frame: OnBadFrame = "fail"
    interlaced: Interlaced = "auto"
    encoding: str | None = None  # of the samples, by its name in `picture.encodings`
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
            UsageError: it holds fields and that is refused, or its sequence has a gap and nothing
                was said of that, or its tags say another encoding.
        """
        if quick and not is_image(self.path):
            adopt_quick_index(self.path)
        info = probe(self.path, on_missing=self.on_missing, rate=self._rate, heard=heard)
        check_interlaced(info, self.interlaced)
        info = named(info, self.encoding)
        return (
            with_evidence(info) if self.interlaced == "auto" else tag_fields(info, self.interlaced)
        )

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


_SCANS = {
    "progressive": "whole frames",
    "tt": "fields, top field first",
    "bb": "fields, bottom field first",
}


def with_evidence(info: ClipInfo) -> ClipInfo:
    """The clip with what its pictures say of its fields: where flags say otherwise, pictures count,
    and a warning tells so. The flags themselves stay as they are, in the output too."""
    if not may_hold_fields(info):
        return info
    found = look_for_fields(info)
    seen, told = found.scan, info.field_order
    if seen is None or seen[0] == told[-1] or (seen == "progressive" and not info.interlaced):
        return info
    fields = seen != "progressive"
    how = "field by field" if fields else "as whole frames"
    word = "ignore" if fields else "fields"
    count = found.progressive if not fields else max(found.top_first, found.bottom_first)
    text = (
        f"the file says {_SCANS.get('progressive' if not info.interlaced else told[-1] * 2)}, but "
        f"its pictures are {_SCANS[seen]} ({count} of the {found.told} looked at that move)"
    )
    if fields == info.interlaced:
        text += "; it is denoised field by field, which does not depend on their order"
    else:
        text += f": it is denoised {how}; --interlaced {word} does otherwise"
    return replace(info, fields=fields, warnings=(*info.warnings, text))
