"""Fields to frames with FFmpeg's bwdif."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import av
from av.filter import Graph

from vdenoise.media.movie.pixels import planes_of
from vdenoise.picture.frame import SourceFrame


def deinterlaced(frames: Iterator[SourceFrame]) -> Iterator[SourceFrame]:
    """One progressive frame for each interlaced one, under the same number and timestamp.

    bwdif looks one frame back and one ahead; at the ends of what it is given it repeats.
    """
    graph: Graph | None = None
    waiting: deque[SourceFrame] = deque()
    for frame in frames:
        if graph is None:
            graph = _bwdif(frame.handle, frame.time_base)
        graph.vpush(frame.handle)
        waiting.append(frame)
        yield from _pulled(graph, waiting)
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph, waiting)


def _pulled(graph: Graph, waiting: deque[SourceFrame]) -> Iterator[SourceFrame]:
    while True:
        try:
            result = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        source = waiting.popleft()
        result.pts, result.time_base = source.pts, source.time_base
        result.duration = source.duration
        yield replace(source, planes=planes_of(result), handle=result)


def _bwdif(like: av.VideoFrame, base: Fraction) -> Graph:
    graph = Graph()
    graph.link_nodes(
        graph.add(
            "buffer",
            f"video_size={like.width}x{like.height}:pix_fmt={like.format.name}"
            f":time_base={base.numerator}/{base.denominator}"
            f":colorspace={int(like.colorspace)}:range={int(like.color_range)}",
        ),
        graph.add("bwdif", "mode=send_frame:parity=auto:deint=all"),
        graph.add("buffersink"),
    )
    graph.configure()
    return graph
