"""Interlaced clips with progressive truth: pictures at field rate, of which each frame takes the
even lines of one and the odd lines of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

Planes = list[NDArray[Any]]


def moving(number: int, size: tuple[int, int], *, seed: int = 1, sub: int = 2) -> Planes:
    """Y, Cb and Cr (4:2:0) in [0, 1] of a soft texture that moves 1.5 pixels a field."""
    width, height = size
    rng = np.random.default_rng(seed)
    waves = rng.uniform(-0.6, 0.6, (12, 2)), rng.uniform(0, 6.28, 12)
    found = []
    for plane in range(3):
        step = 1 if plane == 0 else sub
        y, x = np.mgrid[0:height:step, 0:width:step].astype(float)
        x = x + 1.5 * number
        total = sum(
            np.sin(a * x + 0.5 * b * y + c + plane) for (a, b), c in zip(*waves, strict=True)
        )
        found.append(0.5 + 0.05 * np.asarray(total))
    return found


def interlaced(pictures: Sequence[Planes], first: str) -> list[Planes]:
    """Frames from pictures at field rate; ``first`` is the field shown first, "t" or "b"."""
    found = []
    for a, b in zip(pictures[0::2], pictures[1::2], strict=True):
        frame = [plane.copy() for plane in a]
        for plane, other in zip(frame, b, strict=True):
            later = 1 if first == "t" else 0
            plane[later::2] = other[later::2]
        found.append(frame)
    return found


def noisy(frames: Sequence[Planes], sigma: float, seed: int = 5) -> list[Planes]:
    """With white noise of ``sigma`` 8-bit codes, as 8-bit codes."""
    rng = np.random.default_rng(seed)
    return [
        [
            np.clip(np.rint(255 * p + rng.normal(0, sigma, p.shape)), 0, 255).astype(np.uint8)
            for p in f
        ]
        for f in frames
    ]


def write_frames(
    path: Path,
    frames: Sequence[Planes],
    *,
    flag: str = "prog",
    codec: str = "ffv1",
    change: Callable[[Any], None] | None = None,
) -> Path:
    """Frames of 8-bit 4:2:0 codes as a movie whose flags say tff, bff or prog."""
    height, width = frames[0][0].shape
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        if flag != "prog":
            stream.codec_context.field_order = {"tff": 2, "bff": 3}[flag]
            stream.codec_context.options = {"flags": "+ildct+ilme"}
        if change is not None:
            change(stream)
        graph = Graph()
        graph.link_nodes(
            graph.add(
                "buffer",
                f"video_size={width}x{height}:pix_fmt=yuv420p:time_base=1/25:range=tv",
            ),
            graph.add("setfield", flag),
            graph.add("buffersink"),
        ).configure()
        for number, planes in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(
                np.concatenate([p.reshape(-1) for p in planes]).reshape(-1, width), "yuv420p"
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            graph.vpush(frame)
            output.mux(stream.encode(graph.vpull()))
        output.mux(stream.encode(None))
    return path
