"""The film grain of a clip, shot by shot: for the frame headers of AV1, or as a table.

The table is the text that aomenc (``--film-grain-table``) and SvtAv1EncApp (``--fgs-table``) read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from vdenoise.errors import OutputError
from vdenoise.filmgrain.fit import GrainFit, resized
from vdenoise.filmgrain.params import NO_GRAIN, GrainParams, grain_seed
from vdenoise.machine.files import write_text
from vdenoise.picture.color import lift_planes
from vdenoise.picture.frame import ClipInfo, PixelFormat, SourceFrame
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.samples import apply_correction, yuv_samples

TICKS = 10_000_000  # of the table's times, in a second
FOREVER = 2**63 - 1

_EVERY = 3  # frames


class GrainTable:
    """Fits the grain of every shot while a clip is written; once it is, says what to draw."""

    def __init__(
        self,
        info: ClipInfo,
        out: PixelFormat,
        written: PixelFormat | None = None,
        *,
        seed: int = 0,
        share: float = 1.0,
    ) -> None:
        """Begin the table of a clip like ``info`` whose result is in ``out``.

        Args:
            info: the source.
            out: layout of the result.
            written: as which it is coded, where RGB becomes YUV on the way.
            seed: of the run.
            share: of the grain's sigma that a decoder is to draw; tables hold all of it.
        """
        self._info, self._out, self._written = info, out, written or out
        self._seed, self._share = seed, share
        self._fits: dict[tuple[int, int], GrainFit] = {}
        self._starts: dict[tuple[int, int], Fraction] = {}
        self._zero: Fraction | None = None

    def push(self, source: SourceFrame, planes: Sequence[Tensor], shot: tuple[int, int]) -> None:
        """Add a frame and what became of it; one frame in `_EVERY` of a shot is looked at."""
        time = source.pts * source.time_base
        self._zero = time if self._zero is None else self._zero
        if shot not in self._fits:
            self._fits[shot], self._starts[shot] = GrainFit(), time - self._zero
        elif (source.index - shot[0]) % _EVERY:
            return
        before, after, full_range = self._as_coded(source.planes, planes)
        luma_codes, zero = (255.0, 0.0) if full_range else (219.0, 16.0)
        chroma_codes = 255.0 if full_range else 224.0
        removed = [(before.luma - after.luma) * luma_codes]
        if before.chroma is not None and after.chroma is not None:
            chroma = torch.stack([resized(c, before.chroma[0]) for c in after.chroma])
            removed.append((before.chroma - chroma) * chroma_codes)
        self._fits[shot].push(removed, after.luma * luma_codes + zero)

    def _as_coded(
        self, source: Sequence[Tensor], planes: Sequence[Tensor]
    ) -> tuple[Picture[Tensor], Picture[Tensor], bool]:
        """Source and result in working units of what is coded, and whether that is full range."""
        fmt, out, full_range = self._info.format, self._out, self._info.full_range
        if self._written.family != out.family:
            source = apply_correction(source, None, None, fmt, full_range, out=out)
            source, planes = (yuv_samples(each, out, self._written) for each in (source, planes))
            fmt = out = self._written
            full_range = False
        before = lift_planes(source, fmt, full_range, None)
        return before, lift_planes(planes, out, full_range, None), full_range

    @cached_property
    def _params(self) -> list[tuple[int, GrainParams | None]]:
        """First frame and grain of each shot, once all frames were seen."""
        return [(shot[0], fit.params()) for shot, fit in self._fits.items()]

    def bits(self, number: int, inter: bool) -> str:
        """``film_grain_params()`` of a frame, as zeros and ones, once all frames were seen.

        Args:
            number: absolute number of the frame.
            inter: whether it is coded as an inter frame.
        """
        at = bisect_right(self._params, number, key=lambda entry: entry[0])
        params = self._params[at - 1][1]
        if params is None:
            return NO_GRAIN
        return params.times(self._share).bits(grain_seed(number, self._seed), inter=inter)

    def save(self, path: Path) -> None:
        """Write the table; a shot from which nothing was removed has no entry.

        Raises:
            OutputError: it cannot be written.
        """
        starts = [round(self._starts[shot] * TICKS) for shot in self._fits]
        entries = [
            (start, end, params)
            for start, end, (_, params) in zip(
                starts, [*starts[1:], FOREVER], self._params, strict=True
            )
            if params is not None
        ]
        save_table(entries, path, seed=self._seed)


def save_table(
    entries: Sequence[tuple[int, int, GrainParams]], path: Path, *, seed: int = 0
) -> None:
    """Write a table.

    Args:
        entries: first time, time after the last, and what to draw, in order; times in `TICKS`.
        path: where to.
        seed: of the run; each entry draws its own grain.

    Raises:
        OutputError: it cannot be written.
    """
    text = ["filmgrn1\n"]
    for number, (start, end, params) in enumerate(entries):
        text.append(params.text(start, end, (7391 + 173 * number + 31 * seed) % 65536))
    try:
        write_text(path, "".join(text))
    except OSError as error:
        raise OutputError(
            f"The grain table {path} cannot be written: {error.strerror}.",
            "Name a place that can be written to.",
            number=21,
        ) from error
