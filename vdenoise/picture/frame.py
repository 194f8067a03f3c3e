"""Clips and their frames as they are read: pixel formats, what is known of a clip, samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor

Family = Literal["yuv", "gray", "rgb"]


@dataclass(frozen=True)
class PixelFormat:
    """A planar sample layout after repacking (FFmpeg's name and what we need to know of it)."""

    name: str  # FFmpeg name, e.g. "yuv422p10le"
    family: Family
    bits: int  # per sample: 8..16, or 16/32 for floating point
    sub_w: int = 0  # log2 of the horizontal chroma subsampling: 1 for 4:2:0 and 4:2:2
    sub_h: int = 0  # log2 of the vertical chroma subsampling: 1 for 4:2:0
    alpha: bool = False  # the last plane is alpha and passes through untouched
    floating: bool = False

    @property
    def color_planes(self) -> int:
        """Number of planes that are denoised: 1 or 3."""
        return 1 if self.family == "gray" else 3

    @property
    def subsampling(self) -> tuple[int, int]:
        """Luma pixels to one chroma pixel, down and across."""
        return (1 << self.sub_h, 1 << self.sub_w)

    @property
    def label(self) -> str:
        """Depth and sampling for people: ``10-bit 4:2:2``."""
        if self.family == "rgb":
            layout = "RGB"
        elif self.family == "gray":
            layout = "4:0:0"
        else:
            layout = {(0, 0): "4:4:4", (1, 0): "4:2:2", (1, 1): "4:2:0", (2, 0): "4:1:1"}.get(
                (self.sub_w, self.sub_h), f"4:4:4/{1 << self.sub_w}x{1 << self.sub_h}"
            )
        depth = f"{self.bits}-bit float" if self.floating else f"{self.bits}-bit"
        return f"{depth} {layout}{' + alpha' if self.alpha else ''}"


@dataclass(frozen=True)
class ImageSequence:
    """The files of a clip kept as images: one a frame, each under its own number."""

    folder: Path
    prefix: str
    suffix: str  # with the extension
    padding: int | None  # digits, filled up with zeros; None: a single image without a number
    numbers: tuple[int, ...]  # of the frames, ascending
    held: tuple[int, ...] = ()  # numbers without a file: the one before is shown again
    checks: tuple[int, ...] = ()  # CRC-32 of each frame's file; empty where they are not known
    files: tuple[Path, ...] = ()  # of the frames, where they lie in reels; else as they are called

    @property
    def pattern(self) -> Path:
        """``folder/plate.####.exr``, or the single image."""
        return self.folder / f"{self.prefix}{'#' * (self.padding or 0)}{self.suffix}"

    def path(self, number: int) -> Path:
        """The file of the frame with this number, whether it exists or not."""
        digits = "" if self.padding is None else f"{number:0{self.padding}d}"
        return self.folder / f"{self.prefix}{digits}{self.suffix}"

    def source(self, position: int) -> Path:
        """The file that is read for the frame at ``position``, counted from 0."""
        if self.files:
            return self.files[position]
        while self.numbers[position] in self.held:
            position -= 1
        return self.path(self.numbers[position])


@dataclass(frozen=True)
class Curve:
    """A reversible curve behind which noise of variance ``gain * x + read ** 2`` is even.

    The generalised Anscombe transform without its offset, straight below zero, and scaled so that
    ``white`` comes to 1: see `vdenoise.picture.color.apply_curve`. It is one of light ``x``, which
    samples are first turned into.
    """

    gain: float  # variance per unit of light
    read: float  # sigma in the dark, above 0
    white: float  # the level that becomes 1
    encoding: str = "linear"  # what samples are, by its name in `picture.encodings`


class FieldLines(NamedTuple):
    """Which lines of a frame a picture is: a field."""

    parity: int  # the first line: 0 is the top field, 1 the bottom field
    height: int  # lines of the whole frame


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip before its first frame is denoised."""

    path: Path
    container: str  # FFmpeg demuxer name
    codec: str  # FFmpeg decoder name
    width: int
    height: int
    format: PixelFormat  # planar layout the reader delivers
    source_format: str  # FFmpeg pixel format name as decoded, before repacking
    time_base: Fraction
    rate: Fraction  # average or nominal frames per second
    frames: int | None  # number of frames where the container or an index tells it
    duration: float | None  # seconds
    start_pts: int | None
    variable_rate: bool
    full_range: bool
    matrix: str  # "bt709", "bt601", "bt2020nc", "rgb", ...
    matrix_guessed: bool
    primaries: str
    transfer: str
    chroma_location: str
    field_order: str  # "progressive", "tt", "bb", "tb", "bt"
    sample_aspect_ratio: Fraction
    frames_aspect: Fraction = Fraction(0)  # what frames say themselves of it; 0: nothing
    rotation: float = 0.0
    timecode: str | None = None
    hdr: dict[str, Any] = field(default_factory=dict)  # mastering display and content light
    holds: Mapping[str, str] = field(default_factory=dict)  # items of the ledger: what they are
    boxes: Mapping[str, bytes] = field(default_factory=dict)  # QuickTime's, that tell such items
    alike: int | None = None  # frames before the first of another size or format; None: all
    changes_at: int | None = None  # first frame with another look than the first one; None: none
    streams: tuple[str, ...] = ()  # one line for each stream, for people
    metadata: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    sequence: ImageSequence | None = None  # for a clip of images; None for a movie
    encoding: str | None = None  # of the samples, by its name in `picture.encodings`, if said
    curve: Curve | None = None  # that scene-linear samples are denoised behind, and named R'G'B'
    fields: bool | None = None  # whether frames hold two moments; None: as ``field_order`` says
    lines: FieldLines | None = None  # of a clip of fields; None: pictures are whole frames

    @property
    def by_field(self) -> bool:
        """Whether frames are measured and denoised field by field."""
        return self.interlaced if self.fields is None else self.fields

    @property
    def readable(self) -> int:
        """How many frames from the first on have its size and format."""
        return (self.frames or 0) if self.alike is None else self.alike

    @property
    def interlaced(self) -> bool:
        """Whether the stream says that frames hold two fields."""
        return self.field_order not in ("progressive", "unknown")


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """One frame as decoded. ``planes`` are read-only integer (or float) views, colour first."""

    index: int  # absolute frame number in presentation order, from 0
    pts: int
    time_base: Fraction
    duration: int
    planes: tuple[Tensor, ...]
    handle: Any  # the decoder's own frame or image: only ``vdenoise.media`` looks inside
    corrupt: bool = False

    def __repr__(self) -> str:
        shapes = ", ".join(f"{tuple(p.shape)}" for p in self.planes)
        return f"SourceFrame({self.index}, pts={self.pts}, planes=[{shapes}])"
