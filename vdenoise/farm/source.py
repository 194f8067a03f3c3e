"""The source of a plan: which frames it has, and how to see that it is still the same.

The index holds a checksum of each frame's packet, or of each image's file: a task verifies all
that it reads while it reads it, and nothing else. Beside that a movie's size and samples of its
bytes are compared before any work.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Self

from pydantic import model_validator

from vdenoise.engine.run import Progress
from vdenoise.errors import ConflictError, UsageError
from vdenoise.farm.record import Record
from vdenoise.machine.files import frozen
from vdenoise.media.images.reader import changed, describe, with_checks
from vdenoise.media.images.sequence import find, is_image, split
from vdenoise.media.inputs import open_input
from vdenoise.media.movie.index import adopt, scan
from vdenoise.media.movie.ordering import FrameIndex
from vdenoise.media.parts import SEAM, parts_of
from vdenoise.media.probe import probe
from vdenoise.picture.frame import ClipInfo, Curve, ImageSequence
from vdenoise.workflows.contents import fingerprint

Runs = tuple[tuple[int, int], ...]  # (value, how often in a row)
_MOST_FRAMES = 1 << 26  # of a clip: more than a week at 100 frames a second


class IndexRecord(Record):
    """A `FrameIndex`: short where frames come at a constant rate, exact where they do not."""

    first_pts: int
    pts_steps: Runs
    durations: Runs
    key_steps: Runs  # from one keyframe to the next, the first from frame 0
    time_base: str
    rate: str
    variable_rate: bool
    counted: bool
    truncated: str
    checks: str  # CRC-32 of each frame's packet, 4 bytes each, least first, in base 64

    @classmethod
    def of(cls, index: FrameIndex) -> Self:
        """Record an index."""
        return cls(
            first_pts=index.pts[0],
            pts_steps=_runs([b - a for a, b in pairwise(index.pts)]),
            durations=_runs(index.durations),
            key_steps=_runs([b - a for a, b in pairwise((0, *index.keys))]),
            time_base=str(index.time_base),
            rate=str(index.rate),
            variable_rate=index.variable_rate,
            counted=index.counted,
            truncated=index.truncated,
            checks=_packed(index.checks),
        )

    @model_validator(mode="after")
    def _tells_of_each_frame(self) -> Self:
        frames = 1 + _counted(self.pts_steps)
        if _counted(self.durations) != frames or _counted(self.key_steps) > frames:
            raise ValueError("index: its times, durations and keyframes are of other frames")
        _check_checks(self.checks, frames)
        return self

    def index(self) -> FrameIndex:
        """The index again."""
        return FrameIndex(
            pts=_sums(self.first_pts, _values(self.pts_steps)),
            durations=_values(self.durations),
            keys=_sums(0, _values(self.key_steps))[1:],
            time_base=Fraction(self.time_base),
            rate=Fraction(self.rate),
            variable_rate=self.variable_rate,
            counted=self.counted,
            truncated=self.truncated,
            checks=_unpacked(self.checks),
        )


class ImagesRecord(Record):
    """The files of a sequence: which numbers there are, and the checksum of each file."""

    padding: int | None
    first: int
    steps: Runs  # from one number to the next
    held: tuple[int, ...]
    checks: str  # as in `IndexRecord`, of files
    rate: str

    @classmethod
    def of(cls, info: ClipInfo) -> Self:
        """Record a sequence whose checksums are known."""
        found = info.sequence
        assert found is not None
        return cls(
            padding=found.padding,
            first=found.numbers[0],
            steps=_runs([b - a for a, b in pairwise(found.numbers)]),
            held=found.held,
            checks=_packed(found.checks),
            rate=str(info.rate),
        )

    @model_validator(mode="after")
    def _tells_of_each_image(self) -> Self:
        _check_checks(self.checks, 1 + _counted(self.steps))
        return self

    def info(self, clip: Path) -> ClipInfo:
        """The clip, of files that are called as ``clip`` says; only the first is looked at.

        Raises:
            InputError: that cannot be read.
            UsageError: ``clip`` is no such pattern.
            ConflictError: of several reels there are other images.
        """
        if not is_image(clip):
            raise UsageError(
                f"{clip} names no images.", "Name them as a pattern: shot.####.exr.", number=79
            )
        if len(parts_of(clip)) > 1:
            reels = find(clip, "hold" if self.held else "skip")
            if len(reels.numbers) != sum(times for _, times in self.steps) + 1:
                raise changed(str(clip), "how many images there are")
            reels = replace(reels, checks=_unpacked(self.checks))
            return describe(clip, reels, rate=Fraction(self.rate))
        before, digits, after = clip.name, None, ""
        if self.padding is not None:
            before, digits, after = split(clip)
        found = ImageSequence(
            folder=clip.parent,
            prefix=before,
            suffix=after,
            padding=digits or self.padding,
            numbers=_sums(self.first, _values(self.steps)),
            held=self.held,
            checks=_unpacked(self.checks),
        )
        return describe(clip, found, rate=Fraction(self.rate))


class CurveRecord(Record):
    """A `Curve`, which a task cannot fit again without reading all of the clip."""

    gain: float
    read: float
    white: float
    encoding: str


class SourceRecord(Record):
    """Which clip, and how to see that it is still the same."""

    path: str
    bytes: int
    sha256_samples: str  # of a movie (`recipe.fingerprint`); of images, of their checksums
    index: IndexRecord | None  # of a movie
    images: ImagesRecord | None  # of a sequence
    encoding: str | None = None  # as it was named
    curve: CurveRecord | None = None  # that samples are denoised behind
    holds: dict[str, str] | None = None  # as in `ClipInfo`: single packets tell of some


def record(info: ClipInfo, progress: Progress) -> SourceRecord:
    """Record a clip. A sequence is read once for it, as a movie was for its index.

    Args:
        info: the clip.
        progress: told of every image.

    Raises:
        InputError: an image cannot be read.
    """
    path = SEAM.join(str(frozen(part)) for part in parts_of(info.path))
    curve = None if info.curve is None else CurveRecord(**asdict(info.curve))
    if info.sequence is None:
        return SourceRecord(
            path=path,
            index=IndexRecord.of(scan(info.path)),
            images=None,
            encoding=info.encoding,
            curve=curve,
            holds=dict(info.holds),
            **fingerprint(info.path),
        )
    files = {info.sequence.source(n) for n in range(len(info.sequence.numbers))}
    progress.start("read", len(files))
    images = ImagesRecord.of(with_checks(info, lambda: progress.advance({})))
    return SourceRecord(
        path=path,
        bytes=sum(file.stat().st_size for file in files),
        sha256_samples=hashlib.sha256(images.checks.encode()).hexdigest(),
        index=None,
        images=images,
        encoding=info.encoding,
        curve=curve,
    )


def open_source(source: SourceRecord, clip: Path) -> ClipInfo:
    """The clip as it is found here, without reading more of it than its beginning.

    Raises:
        InputError: it cannot be read.
        ConflictError: it is another one.
    """
    curve = None if source.curve is None else Curve(**source.curve.model_dump())
    return replace(_described(source, clip), encoding=source.encoding, curve=curve)


def _described(source: SourceRecord, clip: Path) -> ClipInfo:
    if source.images is not None:
        return source.images.info(clip)
    assert source.index is not None
    open_input(clip).close()  # missing, unreadable, a folder: in the words of every command
    if fingerprint(clip) != {"bytes": source.bytes, "sha256_samples": source.sha256_samples}:
        raise ConflictError(
            f"{clip} is not the clip the plan was made for: its bytes differ.",
            "Bring the right file back, or make a new plan.",
            number=4,
        )
    adopt(clip, source.index.index())
    info = probe(clip)
    return info if source.holds is None else replace(info, holds=source.holds)


def _runs(values: Sequence[int]) -> Runs:
    found: list[list[int]] = []
    for value in values:
        if found and found[-1][0] == value:
            found[-1][1] += 1
        else:
            found.append([value, 1])
    return tuple((value, times) for value, times in found)


def _values(runs: Runs) -> tuple[int, ...]:
    return tuple(value for value, times in runs for _ in range(times))


def _counted(runs: Runs) -> int:
    """How many values there are, before room is taken for them.

    Raises:
        ValueError: more than any clip has, or less than none.
    """
    count = sum(times for _, times in runs)
    if count > _MOST_FRAMES or any(times < 1 for _, times in runs):
        raise ValueError("index: no clip has so many frames in a row")
    return count


def _check_checks(text: str, frames: int) -> None:
    """See that there is a checksum for each frame, or none at all."""
    if len(_unpacked(text)) not in (0, frames):
        raise ValueError("index: its checksums are of other frames")


def _sums(start: int, steps: Sequence[int]) -> tuple[int, ...]:
    sums = [start]
    for step in steps:
        sums.append(sums[-1] + step)
    return tuple(sums)


def _packed(checks: Sequence[int]) -> str:
    return b64encode(b"".join(check.to_bytes(4, "little") for check in checks)).decode()


def _unpacked(text: str) -> tuple[int, ...]:
    found = array("I", b64decode(text))
    if sys.byteorder == "big":
        found.byteswap()
    return tuple(found)
