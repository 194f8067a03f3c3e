"""The values that flow through vdenoise: pixel formats, clips, decoded frames, signals, blocks.

Working representation: Y'CbCr in the clip's own transfer curve, luma nominally in [0, 1], chroma
centred at 0 and nominally in [-0.5, 0.5], float32, chroma *at its native resolution* (a 4:2:0
clip keeps quarter-size chroma planes). Values outside the nominal range are legal and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from vdenoise.picture.luma_chroma import Picture

if TYPE_CHECKING:
    from vdenoise.picture.noise import NoiseTable

Family = Literal["yuv", "gray", "rgb"]
Accuracy = Literal["fast", "better", "best"]  # of motion
Cut = Callable[[Tensor], Tensor]  # a part of (T, C, H, W)


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
        """For people: ``10-bit 4:2:2``."""
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
        while self.numbers[position] in self.held:
            position -= 1
        return self.path(self.numbers[position])


@dataclass(frozen=True)
class Curve:
    """A reversible curve behind which noise of variance ``gain * x + read ** 2`` is even.

    The generalised Anscombe transform without its offset, straight below zero, and scaled so that
    ``white`` comes to 1: see `vdenoise.picture.color.bent`. It is one of light ``x``, which samples
    are first turned into.
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
    rotation: float = 0.0
    timecode: str | None = None
    hdr: dict[str, Any] = field(default_factory=dict)  # mastering display and content light
    holds: Mapping[str, str] = field(default_factory=dict)  # items of the ledger: what they are
    boxes: Mapping[str, bytes] = field(default_factory=dict)  # QuickTime's, that tell such items
    alike: int | None = None  # frames before the first of another size or format; None: all
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


@dataclass(frozen=True, eq=False)
class Signal:
    """Luma or chroma of T consecutive frames, with the share of the measured noise left in them."""

    pixels: Tensor  # (T, C, H, W): C = 1 for luma, 2 for chroma
    residual: Tensor  # (T, 1, H, W) in [0, 1]: sigma of the noise now, relative to the profile's

    def __post_init__(self) -> None:
        assert self.pixels.ndim == 4 and self.residual.ndim == 4, "signals are (T, C, H, W)"
        assert self.residual.shape[0] == self.pixels.shape[0] and self.residual.shape[1] == 1
        assert self.residual.shape[2:] == self.pixels.shape[2:]

    def __getitem__(self, frames: slice) -> Signal:
        return Signal(self.pixels[frames], self.residual[frames])

    def map(self, change: Callable[[Tensor], Tensor]) -> Signal:
        """Do the same to pixels and residual, such as to cut a part out."""
        return Signal(change(self.pixels), change(self.residual))

    def copy(self) -> Signal:
        """Copy the tensors: a stage never hands its input on to be written to."""
        return self.map(Tensor.clone)

    def __repr__(self) -> str:
        return f"Signal({tuple(self.pixels.shape)}, {self.pixels.dtype}, {self.pixels.device})"


def joined(signals: Sequence[Signal]) -> Signal:
    """Join signals of consecutive frames.

    A single one is not copied, nor are the maps of frames that no stage has touched yet, which
    are one expanded number.
    """
    if len(signals) == 1:
        return signals[0]
    residual = [signal.residual for signal in signals]
    untouched = all(map.untyped_storage().nbytes() == map.element_size() for map in residual)
    return Signal(
        torch.cat([signal.pixels for signal in signals]),
        residual[0].expand(len(residual), -1, -1, -1) if untouched else torch.cat(residual),
    )


class Motion(Protocol):
    """Motion between frames of a block, estimated once per pair and shared by everyone."""

    @property
    def guide_noise(self) -> float:
        """Noise variance left in the guides, as a share of the source's."""
        ...

    def guide(self, a: int) -> Tensor:
        """Luma of block frame ``a`` with most of its noise removed, (1, H, W)."""
        ...

    def flow(self, a: int, b: int) -> Tensor:
        """Where each pixel of block frame ``a`` is in block frame ``b``.

        Returns (2, h, w): x and y displacement in *luma pixels*, on the reduced motion grid.
        """
        ...

    def trust(self, a: int, b: int) -> Tensor:
        """(h, w) in [0, 1]: 1 where the forward and backward flow agree, 0 at occlusions."""
        ...


def window(index: int, reach: int, shot_first: int, shot_last: int) -> range:
    """The frames that frame ``index`` is computed from: its 2 * reach + 1 nearest of the shot.

    Centred on ``index`` inside the shot; at the shot's ends it slides inward, so that the first
    and last frames see as many distinct frames as the others. A shorter shot is seen whole. All
    numbers are absolute frame indices, ``shot_last`` inclusive.
    """
    first = max(shot_first, min(index - reach, shot_last - 2 * reach))
    return range(first, min(shot_last, first + 2 * reach) + 1)


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive frames of one shot: ``core`` is to be computed, the rest is context."""

    first: int  # absolute index of the first frame in the block
    core: slice  # the frames a stage must deliver, as positions inside the block
    luma: Signal
    chroma: Signal | None  # None for 4:0:0
    noise: NoiseTable  # measured noise of this shot, on the signals' device
    motion: Motion | None = None  # None where no stage asked for motion
    present: Tensor | None = None  # (T, 1, H, W): luma's `residual` before any stage; None: 1
    shot: tuple[int, int] | None = None  # absolute first and last frame; None: the block itself
    # For stages that ask: the same frames before any stage, and what the temporal stage made of
    # them; None: the block's own
    kept_original: Picture[Tensor] | None = None
    averaged: Picture[Signal] | None = None
    # What the finishing stages start from: everything that removes is done, dials and masks applied
    clean: Picture[Tensor] | None = None
    residual_factor: float = 1.0  # `Stage.residual_factor` of the last stage that removed noise
    compute: torch.dtype = torch.float32  # what a network's convolutions run in
    seed: int = 0  # of what is drawn at random
    # Row and column of the block's first luma and first chroma pixel in their planes
    corner: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    lines: FieldLines | None = None  # of fields; None: pictures are whole frames
    mattes: Tensor | None = None  # (core frames, N, H, W) in [0, 1]: masks that come from files
    # What a stage has to show of each core frame: (T, 1, H, W) pictures in [0, 1], (T,) numbers
    maps: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def picture(self) -> Picture[Signal]:
        """Luma and chroma of all frames as the stage finds them."""
        return Picture(self.luma, self.chroma)

    @property
    def core_picture(self) -> Picture[Signal]:
        """Luma and chroma of the frames that a stage must deliver."""
        return self.picture.map(lambda signal: signal[self.core])

    def frame(self, t: int) -> Picture[Signal]:
        """Luma and chroma of the frame at position ``t`` of the block, context included."""
        return self.picture.map(lambda signal: signal[t : t + 1])

    @property
    def original(self) -> Picture[Tensor]:
        """Luma (T, 1, H, W) and chroma (T, 2, h, w) of all frames before any stage."""
        if self.kept_original is not None:
            return self.kept_original
        return self.picture.map(lambda signal: signal.pixels)

    @property
    def core_original(self) -> Picture[Tensor]:
        """`original` of the frames that a stage must deliver."""
        return self.original.map(lambda pixels: pixels[self.core])

    @property
    def shot_first(self) -> int:
        """Absolute index of the first frame of the shot."""
        return self.first if self.shot is None else self.shot[0]

    @property
    def shot_last(self) -> int:
        """Absolute index of the last frame of the shot (inclusive)."""
        return self.first + self.frames - 1 if self.shot is None else self.shot[1]

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Luma, then chroma where there is any."""
        return self.picture.planes

    @property
    def frames(self) -> int:
        """Number of frames in the block, context included."""
        return self.luma.pixels.shape[0]

    @property
    def wanted(self) -> range:
        """Positions in the block of the frames a stage must deliver: ``core`` as numbers."""
        return range(*self.core.indices(self.frames))

    def with_picture(self, picture: Picture[Signal]) -> Block:
        """The same block with another picture (a stage's result holds core frames only)."""
        return replace(self, luma=picture.luma, chroma=picture.chroma)

    def cut(self, luma: Cut, chroma: Cut) -> Block:
        """Cut all that the block shows alike: luma's tensors by one function, chroma's by other."""

        def tensors(picture: Picture[Tensor] | None) -> Picture[Tensor] | None:
            return picture and picture.map_each(luma, chroma)

        def signals(picture: Picture[Signal]) -> Picture[Signal]:
            return picture.map_each(lambda s: s.map(luma), lambda s: s.map(chroma))

        return replace(
            self.with_picture(signals(self.picture)),
            kept_original=tensors(self.kept_original),
            averaged=self.averaged and signals(self.averaged),
            clean=tensors(self.clean),
            present=None if self.present is None else luma(self.present),
        )

    def behind(self, done: Block) -> Block:
        """What a stage right behind another finds: the core frames as they came out of that, and
        what they were."""
        core = self.core
        return replace(
            self.cut(lambda x: x[core], lambda x: x[core]).with_picture(done.picture),
            first=self.first + core.start,
            core=slice(0, done.frames),
            motion=None,
            maps=done.maps,
        )
