"""Clean material kept small: R'G'B' frames as HEVC 10-bit 4:4:4 in Matroska."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from torch import Tensor

from vdenoise.machine.files import replacing
from vdenoise.picture.color import from_rgb

_RATE = Fraction(25)  # nobody plays these


def write_mezzanine(
    path: Path, frames: Iterable[Tensor], *, crf: float, preset: str = "medium", threads: int = 0
) -> None:
    """Encode frames, whole or not at all.

    Args:
        path: ends in .mkv.
        frames: (3, H, W) R'G'B' in [0, 1], all of one size.
        crf: x265's constant rate factor.
        preset: x265's speed preset.
        threads: of the encoder, 0 for one per core.
    """
    with (
        replacing(path) as temporary,
        av.open(str(temporary.absolute()), "w", format="matroska") as container,
    ):
        stream = container.add_stream("libx265", rate=_RATE)
        assert isinstance(stream, VideoStream)
        stream.pix_fmt = "yuv444p10le"
        pools = f":pools={threads}:frame-threads={threads}" if threads else ""
        stream.options = {
            "crf": str(crf),
            "preset": preset,
            "x265-params": f"log-level=none{pools}",
        }
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_range = ColorRange.MPEG
        for number, rgb in enumerate(frames):
            frame = _frame(rgb)
            if number == 0:
                stream.width, stream.height = frame.width, frame.height
            frame.pts, frame.time_base = number, 1 / _RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _frame(rgb: Tensor) -> av.VideoFrame:
    """10-bit limited-range BT.709."""
    luma, cb, cr = from_rgb(rgb)
    planes = (luma * 876 + 64, cb * 896 + 512, cr * 896 + 512)
    height, width = rgb.shape[-2:]
    frame = av.VideoFrame(width, height, "yuv444p10le")
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint16).reshape(height, plane.line_size // 2)
        rows[:, :width] = values.round().clamp(0, 1023).to(torch.int32).numpy()
    frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
    return frame
