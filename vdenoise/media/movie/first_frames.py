"""What only decoded frames tell of a clip: samples, tags, side data, fields."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
from av.filter import Graph

from vdenoise.errors import InputError
from vdenoise.media.h273 import MATRICES, PRIMARIES, TRANSFERS, UNKNOWN
from vdenoise.media.inputs import display, open_input, prepare_decoder, readable, video_of
from vdenoise.media.memory import see_memory
from vdenoise.media.movie.frame_data import ENCODERS, told_by_frames

_PEEK = 5  # frames looked at for field order
# Side data that hold for all of a clip, or it changes.
_LASTING = {
    "MASTERING_DISPLAY_METADATA": "other HDR10 metadata",
    "CONTENT_LIGHT_LEVEL": "other HDR10 metadata",
    "DISPLAYMATRIX": "another display matrix",
    "STEREO3D": "another stereo 3D layout",
    "SPHERICAL": "another projection",
    "AMBIENT_VIEWING_ENVIRONMENT": "another ambient viewing environment",
}


@dataclass(frozen=True)
class Look:
    """What may not change in a clip: the frame's layout, shape and color tags."""

    width: int
    height: int
    layout: str  # FFmpeg pixel format
    aspect: Fraction  # 0: not told
    tags: tuple[int, int, int, int]
    side_data: Mapping[str, bytes]

    @property
    def told(self) -> dict[str, str]:
        """Items of the ledger that the frame holds."""
        return told_by_frames(self.side_data)

    def layout_differs(self, first: Look) -> bool:
        """Whether size or pixel format are others."""
        return (self.width, self.height, self.layout) != (first.width, first.height, first.layout)

    def differs(self, first: Look) -> str:
        """What is different from the first frame, for people; nothing where nothing is."""
        if self.layout_differs(first):
            return f"{self.width}x{self.height} {self.layout}"
        if self.aspect != first.aspect:
            return f"the sample aspect ratio {self.aspect}"
        names = zip(
            ("primaries", "transfer", "matrix"), (PRIMARIES, TRANSFERS, MATRICES),
            self.tags, first.tags, strict=False,
        )  # fmt: skip
        for what, known, now, before in names:
            if now != before:
                return f"the {what} {known.get(now, UNKNOWN)}"
        if self.tags[3] != first.tags[3]:
            return "another range"
        return next(
            (
                what
                for name, what in _LASTING.items()
                # What is not there may hold from before: decoding began in mid-clip.
                if name in self.side_data and self.side_data[name] != first.side_data.get(name)
            ),
            "",
        )


def look_at(path: Path, pts: int | None, packet: int = 0) -> Look | None:
    """A frame; None where there is none.

    Args:
        path: of the clip.
        pts: tick at which it is shown, or the one before it; None where times tell nothing.
        packet: of the picture, in the file's order, from which on it is decoded then.
    """
    with open_input(path) as container:
        stream = video_of(container, path)
        context = stream.codec_context
        told = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        decoder = prepare_decoder(stream, threads=1)  # as in peek_at
        if pts is not None:
            with contextlib.suppress(av.FFmpegError):  # a damaged index: from the beginning then
                container.seek(pts, stream=stream, backward=True)
        shown = (p for p in readable(container.demux(stream)) if not p.is_discard)
        for coded in shown if pts is not None else islice(shown, packet, None):
            with contextlib.suppress(av.FFmpegError):
                for frame in decoder.decode(coded if coded.size else None):
                    if pts is None or (frame.pts is not None and frame.pts >= pts):
                        layout = frame.format.name
                        tags, aspect = tags_of(frame, told), _shown(frame)[2]
                        held = side_data_of(frame)
                        return Look(frame.width, frame.height, layout, aspect, tags, held)
    return None


@dataclass(frozen=True)
class Peek:
    """The first frame of a clip; field order is that of the first frames."""

    source_format: str
    width: int
    height: int
    primaries: int
    transfer: int
    matrix: int
    range: int
    side_data: dict[str, bytes]
    chroma_location: str
    field_order: str
    aspect: Fraction


def no_frames(path: Path) -> InputError:
    """What to raise where nothing can be decoded."""
    return InputError(
        f"{display(path)} holds no frame that can be decoded.",
        "It was cut short or is damaged: copy or export it again.",
        number=11,
    )


def peek_at(path: Path) -> Peek:
    """Decode the first frames.

    Raises:
        InputError: there is none.
    """
    frames: list[av.VideoFrame] = []
    with open_input(path) as container:
        stream = video_of(container, path)
        context = stream.codec_context
        told = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        decoder = prepare_decoder(stream, threads=1)  # no thread of its own may log: see _shown
        for packet in readable(container.demux(stream)):
            try:
                frames += decoder.decode(packet if packet.size else None)
            except av.FFmpegError as error:
                see_memory(error)
                continue  # whether a damaged frame matters is decided by the reader
            if len(frames) >= _PEEK:
                break
    if not frames:
        raise no_frames(path)
    first = frames[0]
    primaries, transfer, matrix, span = tags_of(first, told)
    shown = [_shown(frame) for frame in frames[:_PEEK]]
    interlaced = next((order for _, order, _ in shown if order != "progressive"), None)
    return Peek(
        source_format=first.format.name,
        width=first.width,
        height=first.height,
        primaries=primaries,
        transfer=transfer,
        matrix=matrix,
        range=span,
        side_data=side_data_of(first),
        chroma_location=shown[0][0],
        field_order=interlaced or "progressive",
        aspect=shown[0][2],
    )


def tags_of(frame: av.VideoFrame, told: tuple[Any, ...]) -> tuple[int, int, int, int]:
    """Code points of primaries, transfer, matrix and range: the frame's own, and where the codec
    says nothing those that the container ``told``."""
    own = (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range)
    silent = ((0, 2), (0, 2), (2,), (0,))
    primaries, transfer, matrix, span = (
        int(outside) if int(inside) in nothing else int(inside)
        for inside, outside, nothing in zip(own, told, silent, strict=True)
    )
    return primaries, transfer, matrix, span


def side_data_of(frame: av.VideoFrame) -> dict[str, bytes]:
    """A frame's side data as name -> bytes; Exif as "EXIF" -> nothing. What an encoder says of
    itself is left out.

    PyAV 18 raises ValueError for all of it where there is a type that it does not know.
    """
    found: dict[str, bytes] = {}
    try:
        held: Any = frame.side_data  # PyAV's stub says it iterates over names; it does not
    except ValueError:
        without = _without_exif(frame)
        found["EXIF"] = b""
        try:
            held = without.side_data
        except ValueError:
            return found
    for data in held:
        content = bytes(data)
        if content[:16] not in ENCODERS:  # it may stand before or behind somebody's own
            found[data.type.name] = content
    return found


_EXIF = 31  # AV_FRAME_DATA_EXIF


def _without_exif(frame: av.VideoFrame) -> av.VideoFrame:
    graph = Graph()
    nodes = [_buffer(graph, frame), graph.add("sidedata", f"mode=delete:type={_EXIF}")]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def _buffer(graph: Graph, frame: av.VideoFrame) -> Any:
    """What feeds a graph with frames like this one."""
    base = frame.time_base or Fraction(1, 1000)
    return graph.add(
        "buffer",
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
        f":time_base={base.numerator}/{base.denominator}"
        f":colorspace={int(frame.colorspace)}:range={int(frame.color_range)}",
    )


def _shown(frame: av.VideoFrame) -> tuple[str, str, Fraction]:
    """Chroma location, field order and sample aspect ratio (0: not told) of a frame.

    Only FFmpeg's showinfo filter tells these.
    """
    graph = Graph()
    nodes = [
        _buffer(graph, frame),
        graph.add("showinfo", "checksum=0"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes)
    graph.configure()
    try:  # the only place that turns logging on, while no decoder thread runs: see inputs.py
        av.logging.set_level(av.logging.INFO)
        with av.logging.Capture() as lines:
            graph.vpush(frame)
            graph.vpull()
    finally:
        av.logging.set_level(None)
    text = " ".join(line for _, _, line in lines)
    location = re.search(r"\bcl:(\w+)", text)
    order = re.search(r"\bi:([TBP])", text)
    aspect = re.search(r"\bsar:(\d+)/(\d+)", text)
    fields = {"T": "tt", "B": "bb", "P": "progressive"}
    return (
        location[1] if location else "unspecified",
        fields[order[1]] if order else "progressive",
        Fraction(int(aspect[1]), int(aspect[2]) or 1) if aspect else Fraction(0),
    )
