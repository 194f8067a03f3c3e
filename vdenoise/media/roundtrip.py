"""Frames through a real encoder and back, in memory: compressed noise for tests and training."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
import torch
from av.video.stream import VideoStream
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vdenoise.errors import UsageError
from vdenoise.picture.color import from_rgb, to_rgb

ENCODERS = {"x264": "libx264", "x265": "libx265"}

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


def compress(
    frames: Tensor, codec: str = "x264", crf: float = 23, *, preset: str = "medium"
) -> Tensor:
    """Encode R'G'B' frames as 8-bit BT.709 4:2:0 and decode them again.

    Args:
        frames: (T, 3, H, W), clipped to [0, 1].
        codec: "x264" or "x265".
        crf: the encoder's constant rate factor.
        preset: the encoder's speed preset.

    Returns:
        (T, 3, H, W) float32 on the CPU.

    Raises:
        UsageError: unknown codec.
    """
    planes = [to_planes(x) for x in frames.detach().float().cpu().clamp(0, 1)]
    decoded = compress_planes(planes, codec, crf, preset=preset)
    return torch.stack([_to_rgb(p) for p in decoded])


def compress_planes(
    frames: Sequence[Planes], codec: str = "x264", crf: float = 23, *, preset: str = "medium"
) -> list[Planes]:
    """Encode 8-bit 4:2:0 planes (Y, Cb, Cr) and decode them again, same count and size.

    Raises:
        UsageError: unknown codec.
    """
    if codec not in ENCODERS:
        raise UsageError(
            f"Cannot compress with {codec}.", f"Choose one of: {', '.join(ENCODERS)}.", number=61
        )
    height, width = frames[0][0].shape
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(ENCODERS[codec], rate=Fraction(25))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(crf), "preset": preset}
        if codec == "x265":
            stream.options |= {"x265-params": "log-level=none"}
        for t, planes in enumerate(frames):
            frame = _frame(planes)
            frame.pts, frame.time_base = t, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as source:
        decoded = [_planes(frame) for frame in source.decode(video=0)]
    assert len(decoded) == len(frames), "the encoder keeps every frame"
    return decoded


def _frame(planes: Planes) -> av.VideoFrame:
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        rows[:, : plane.width] = samples
    return frame


def _planes(frame: av.VideoFrame) -> Planes:
    y, cb, cr = (
        np.frombuffer(memoryview(p), np.uint8).reshape(p.height, p.line_size)[:, : p.width].copy()
        for p in frame.planes
    )
    return y, cb, cr


def to_planes(rgb: Tensor) -> Planes:
    """(3, H, W) to 8-bit limited-range 4:2:0; chroma is the mean over 2x2 pixels."""
    height, width = rgb.shape[-2:]
    ycbcr = from_rgb(rgb)
    luma, chroma = (
        ycbcr[0],
        functional.pad(ycbcr[None, 1:], (0, width % 2, 0, height % 2), mode="replicate"),
    )
    cb, cr = functional.avg_pool2d(chroma, 2)[0] * 224 + 128
    y, cb, cr = ((x.round().byte().numpy()) for x in (luma * 219 + 16, cb, cr))
    return y, cb, cr


def _to_rgb(planes: Planes) -> Tensor:
    """The reverse of ``to_planes``, chroma repeated over 2x2 pixels, clipped to [0, 1]."""
    y, cb, cr = (torch.from_numpy(p).float() for p in planes)
    height, width = y.shape
    luma = (y - 16) / 219
    cb, cr = (
        ((c - 128) / 224).repeat_interleave(2, 0).repeat_interleave(2, 1)[:height, :width]
        for c in (cb, cr)
    )
    return to_rgb(torch.stack((luma, cb, cr))).clamp(0, 1)
