"""The pass before the run: measure the noise and find the cuts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from vdenoise.engine.interlacing import tag_fields
from vdenoise.engine.run import Progress, Stopwatch
from vdenoise.engine.streams import Ahead
from vdenoise.errors import UsageError
from vdenoise.noise import estimate
from vdenoise.noise.bars import BENT_PURE, PURE
from vdenoise.noise.beside import Beside, measuring_threads
from vdenoise.noise.estimate import Analysis, Analyzer
from vdenoise.picture.color import lift
from vdenoise.picture.fields import PARITIES, field_clip, field_of
from vdenoise.picture.frame import ClipInfo, SourceFrame
from vdenoise.picture.noise import NoiseProfile
from vdenoise.workflows.reading import Reading

LEAST_REPEATS, ONE_IN_FIVE = 2, (0.13, 0.27)  # repeated fields of each parity that are telecine
TELECINED = (
    "fields repeat as they do in film at 24 frames a second shown in 60 fields (2:3 telecine): "
    "undo that first, for example with FFmpeg's fieldmatch and decimate; a repeated field brings "
    "no noise of its own, and what it repeats is cleaned less"
)
READ_AHEAD = 2
SMALLEST_REGION = 32  # pixels each way: 16 in 4:2:0 chroma
REGION_FRAMES = 8


@dataclass(frozen=True)
class Region:
    """A rectangle of one frame that holds nothing but noise: ``x,y,w,h@FRAME``."""

    x: int
    y: int
    width: int
    height: int
    frame: int


def measure(
    info: ClipInfo, reading: Reading, progress: Progress, *, cuts: Sequence[int] | None = None
) -> Analysis:
    """Measure a whole clip: any part of it is denoised by the same numbers.

    Args:
        info: the clip.
        reading: how it is read, as for the run.
        progress: told of every frame.
        cuts: first frames of new shots where they are known; None finds them.

    Raises:
        InputError: it cannot be read, as from the reader.
    """
    clock = Stopwatch()
    info = tag_fields(info, reading.interlaced)
    last = None if info.alike is None else info.alike - 1  # what is denoised is of one size
    reader = reading.reader(info, last=last)
    with reader, Ahead(clock.reading(reader, "decode"), READ_AHEAD, "decode") as ahead:
        progress.start("measure", reader.frames)

        def told() -> Iterator[SourceFrame]:
            for frame in ahead:
                with clock.busy("measure"):
                    yield frame
                progress.advance(dict(clock.seconds))

        return measure_frames(told(), info, cuts=cuts)


def measure_frames(
    frames: Iterable[SourceFrame], info: ClipInfo, *, cuts: Sequence[int] | None = None
) -> Analysis:
    """Measure all frames of a clip; arguments as for `measure`."""
    with measuring_threads(info.width * info.height) as beside, torch.inference_mode():
        analyzer = ClipAnalyzer(info, cuts, beside)
        for frame in frames:
            analyzer.push(frame)
        return analyzer.finish()


class ClipAnalyzer:
    """Measures frames as they are denoised: whole, or the fields of each parity.

    Args:
        info: the clip.
        cuts: first frames of new shots where they are known; None finds them.
        beside: where samples are taken; None is in between.
    """

    def __init__(
        self, info: ClipInfo, cuts: Sequence[int] | None = None, beside: Beside | None = None
    ) -> None:
        self._info = info
        self._fields = [field_clip(info, parity) for parity in PARITIES] if info.by_field else []
        pure = PURE if info.curve is None else BENT_PURE
        where = Beside() if beside is None else beside
        self._analyzers = [
            Analyzer(cuts, str(info.path), pure, where) for _ in self._fields or [info]
        ]

    def push(self, frame: SourceFrame) -> None:
        """Take the next frame."""
        if not self._fields:
            self._analyzers[0].push(frame.index, *lift(frame, self._info))
        for parity, (analyzer, info) in enumerate(zip(self._analyzers, self._fields, strict=False)):
            field = field_of(frame, self._info, parity)
            analyzer.push(frame.index, *lift(field, info))

    def finish(self) -> Analysis:
        """What was found. Between fields that belong to two shots a cut lies on both sides of their
        frame: each is denoised alone."""
        found = [analyzer.finish() for analyzer in self._analyzers]
        top = found[0]
        if not self._fields:
            return top
        bottom = found[1]
        repeats = tuple(sorted({*top.repeats, *bottom.repeats}))
        notes = tuple(dict.fromkeys((*top.notes, *bottom.notes)))
        if _is_telecined(top, bottom):
            notes += (TELECINED,)
        return replace(
            top,
            profile=top.profile.model_copy(update={"bottom": bottom.profile.shots}),
            cuts=tuple(sorted({*top.cuts, *bottom.cuts})),
            repeats=repeats,
            notes=notes,
        )


def _is_telecined(top: Analysis, bottom: Analysis) -> bool:
    """Whether one field in five of each parity repeats the one before, at different frames: film at
    24 frames a second in 60 fields (2:3)."""
    if min(len(top.repeats), len(bottom.repeats)) < LEAST_REPEATS:
        return False
    even = all(ONE_IN_FIVE[0] < len(f.repeats) / f.frames < ONE_IN_FIVE[1] for f in (top, bottom))
    return even and not set(top.repeats) & set(bottom.repeats)


def measure_region(info: ClipInfo, reading: Reading, region: Region) -> NoiseProfile:
    """Noise of a rectangle that shows nothing else, from its frame and the few that follow.

    Raises:
        UsageError: the clip has no such frame or rectangle, or it is too small.
    """
    inside = region.x + region.width <= info.width and region.y + region.height <= info.height
    lines = SMALLEST_REGION * (2 if info.by_field else 1)
    if not inside or region.width < SMALLEST_REGION or region.height < lines:
        raise UsageError(
            f"The region {region.x},{region.y},{region.width},{region.height} does not fit: it "
            f"must lie in {info.width}x{info.height} and be {SMALLEST_REGION} pixels wide and "
            f"{lines} high or more.",
            "Give an even area as --region x,y,w,h@FRAME, for example 100,80,64,64@0.",
            number=55,
        )
    last = max(region.frame, min(region.frame + REGION_FRAMES, info.frames or 0) - 1)
    with reading.reader(info, region.frame, last) as reader:
        box = (region.x, region.y, region.width, region.height)
        if not info.by_field:
            return estimate.measure_region([lift(frame, info) for frame in reader], box)
        clip = field_clip(info, 0)
        fields = [lift(field_of(frame, info, 0), clip) for frame in reader]
    box = (region.x, region.y // 2, region.width, region.height // 2)
    return estimate.measure_region(fields, box)


def profile_from_sigma(codes: Sequence[float], info: ClipInfo) -> NoiseProfile:
    """White noise of the sigma typed, in 8-bit codes: one for all planes, or Y,U,V."""
    planes = info.format.color_planes
    sigma = [code / 255 for code in codes]
    if len(sigma) not in (1, planes):
        raise UsageError(
            f"--sigma names {len(sigma)} planes; the clip has {planes}.",
            f"Give one number, or {planes}.",
            number=56,
        )
    return NoiseProfile.white(*(sigma * planes if len(sigma) == 1 else sigma))


def check_profile(profile: NoiseProfile, info: ClipInfo) -> None:
    """See that a profile fits a clip.

    Raises:
        UsageError: it has other planes.
    """
    planes = info.format.color_planes
    found = {len(shot.planes) for shot in profile.shots}
    if found != {planes}:
        raise UsageError(
            f"The noise profile describes {max(found)} planes; the clip has {planes}.",
            "Build one from a clip of the same kind: vdenoise profile build CLIP -o FILE",
            number=57,
        )


def check_cuts(cuts: Sequence[int], info: ClipInfo) -> None:
    """See that a list of cuts fits a clip.

    Raises:
        UsageError: it names frames the clip does not have.
    """
    beyond = [cut for cut in cuts if cut >= (info.frames or 0)]
    if beyond:
        raise UsageError(
            f"The list of cuts names frame {beyond[0]}; {info.path} has {info.frames} frames.",
            "Use the list that --write-cuts made for this clip, or --cuts auto.",
            number=58,
        )
