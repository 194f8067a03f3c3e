"""Decoded frames as planar tensors and back, without a conversion that could change a sample.

swscale biases colors, clips whites and resamples chroma, so samples are only ever touched in
torch. What swscale does exactly is repacking (tested by tests/media/test_pixels.py), and that is
all it is used for.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import av
import torch
import torch.utils.dlpack
from av.filter import Graph
from av.video.reformatter import VideoReformatter
from torch import Tensor

from vdenoise.media.h273 import MATRICES, PRIMARIES, TRANSFERS, UNKNOWN, code_point
from vdenoise.picture.frame import ClipInfo, PixelFormat

_LARGEST = 2**31 - 1  # setsar rounds a ratio to numbers below 100 unless told

# Packed and semi-planar layouts, and the planar one that holds exactly the same samples.
REPACK: dict[str, str] = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "nv42": "yuv444p",
    "nv20le": "yuv422p10le",
    "p010le": "yuv420p10le",
    "p012le": "yuv420p12le",
    "p016le": "yuv420p16le",
    "p210le": "yuv422p10le",
    "p212le": "yuv422p12le",
    "p216le": "yuv422p16le",
    "p410le": "yuv444p10le",
    "p412le": "yuv444p12le",
    "p416le": "yuv444p16le",
    "y210le": "yuv422p10le",
    "y212le": "yuv422p12le",
    "y216le": "yuv422p16le",
    "yuyv422": "yuv422p",
    "yvyu422": "yuv422p",
    "uyvy422": "yuv422p",
    "xv30le": "yuv444p10le",
    "v30xle": "yuv444p10le",
    "xv36le": "yuv444p12le",
    "xv48le": "yuv444p16le",
    "vuya": "yuva444p",
    "ayuv": "yuva444p",
    "uyva": "yuva444p",
    "vuyx": "yuv444p",
    "vyu444": "yuv444p",
    "ayuv64le": "yuva444p16le",
    "yuvj420p": "yuv420p",
    "yuvj422p": "yuv422p",
    "yuvj444p": "yuv444p",
    "yuvj440p": "yuv440p",
    "yuvj411p": "yuv411p",
    "rgb24": "gbrp",
    "bgr24": "gbrp",
    "bgr0": "gbrp",
    "rgb0": "gbrp",
    "0rgb": "gbrp",
    "0bgr": "gbrp",
    "rgba": "gbrap",
    "bgra": "gbrap",
    "argb": "gbrap",
    "abgr": "gbrap",
    "rgb48le": "gbrp16le",
    "rgb48be": "gbrp16le",
    "bgr48le": "gbrp16le",
    "rgba64le": "gbrap16le",
    "rgba64be": "gbrap16le",
    "bgra64le": "gbrap16le",
    "x2rgb10le": "gbrp10le",
    "x2bgr10le": "gbrp10le",
}


@cache
def planar_format(name: str) -> PixelFormat | None:
    """The planar layout that holds the samples of an FFmpeg pixel format, None if there is none.

    Bit fields below 8 bits, palettes, Bayer data and hardware surfaces have none.
    """
    name = REPACK.get(name, name)
    if name.endswith("be"):
        name = f"{name[:-2]}le"
    try:
        described = av.VideoFormat(name, 64, 64)
    except ValueError:
        return None
    parts = described.components
    planes = [part.plane for part in parts]
    bits = parts[0].bits if parts else 0
    gray = len(parts) == 1 and name.startswith("gray")
    planar = gray or (described.is_planar and sorted(planes) == list(range(len(parts))))
    floating = "f16" in name or "f32" in name
    if not planar or described.has_palette or described.is_bayer or "msb" in name:
        return None
    if not (8 <= bits <= 16 or (floating and bits == 32)):
        return None
    return PixelFormat(
        name=name,
        family="gray" if gray else "rgb" if described.is_rgb else "yuv",
        bits=bits,
        sub_w=_log2(64 // described.chroma_width(64)) if not gray else 0,
        sub_h=_log2(64 // described.chroma_height(64)) if not gray else 0,
        alpha=any(part.is_alpha for part in parts),
        floating=floating,
    )


def _log2(power: int) -> int:
    return power.bit_length() - 1


def plane_shapes(fmt: PixelFormat, width: int, height: int) -> tuple[tuple[int, int], ...]:
    """(H, W) of each plane of a frame, alpha last."""
    full = (height, width)
    small = (-(-height >> fmt.sub_h), -(-width >> fmt.sub_w))
    color = (full,) if fmt.family == "gray" else (full, small, small)
    return color + (full,) * fmt.alpha


def normalized(
    frame: av.VideoFrame, fmt: PixelFormat, reformatter: VideoReformatter
) -> av.VideoFrame:
    """The same samples in the planar layout ``fmt``, from the top down.

    It is the frame itself where it has them so already, as all but PFM and some AVI.
    """
    if frame.format.name == fmt.name:
        upwards = any(plane.line_size < 0 for plane in frame.planes)
        return FrameCopier(frame, anew=True).copy(frame) if upwards else frame
    # Naming the same range on both sides makes swscale relabel yuvj* without touching samples.
    span = 2 if frame.format.name.startswith("yuvj") else frame.color_range
    return reformatter.reformat(frame, format=fmt.name, src_color_range=span, dst_color_range=span)


def planes_of(frame: av.VideoFrame) -> tuple[Tensor, ...]:
    """Views of a planar frame's samples, no copy; the views keep the frame alive.

    uint8 or uint16 (H, W) tensors, float16 and float32 for floating-point formats. Views of a
    decoded frame are read-only by contract: the decoder may still predict from it.
    """
    views = []
    for plane in frame.planes:
        if "f32" in frame.format.name:
            flat = torch.frombuffer(plane, dtype=torch.float32)
            view = flat.view(plane.height, plane.line_size // 4)[:, : plane.width]
        else:
            view = torch.utils.dlpack.from_dlpack(plane)
            if "f16" in frame.format.name:
                view = view.view(torch.float16)
        views.append(view)
    return tuple(views)


def tag(frame: av.VideoFrame, info: ClipInfo) -> None:
    """Tell a frame the color tags that only its container has."""
    if frame.color_primaries in (0, 2) and info.primaries != UNKNOWN:
        frame.color_primaries = code_point(PRIMARIES, info.primaries)
    if frame.color_trc in (0, 2) and info.transfer != UNKNOWN:
        frame.color_trc = code_point(TRANSFERS, info.transfer)
    if frame.colorspace == 2 and info.format.family == "yuv" and not info.matrix_guessed:
        frame.colorspace = code_point(MATRICES, info.matrix)
    if frame.color_range == 0 and info.full_range == (info.format.family == "yuv"):
        frame.color_range = 2 if info.full_range else 1


class FrameMaker:
    """Fresh frames that carry every property of a source frame but other samples.

    Timestamps, field flags, side data (captions, timecode) and tags live in the decoder's frame
    and cannot all be set through PyAV, so each output frame starts as a private copy of its
    source. Writing into the source itself would corrupt the decoder's references and the planes
    that later frames still look at.
    """

    def __init__(
        self,
        width: int,
        height: int,
        fmt: PixelFormat,
        coded: str,
        aspect: Fraction | None = None,
        *,
        flat: bool = False,
    ) -> None:
        """Make frames of one size from planes laid out as ``fmt``, in FFmpeg's format ``coded``,
        with pixels of the shape ``aspect`` where that is given, else of the source frame's; with
        ``flat`` they say nothing of two views."""
        self._size = (width, height)
        self._aspect, self._flat = aspect, flat
        self._fmt = fmt
        self._coded = coded
        self._shapes = plane_shapes(fmt, width, height)
        self._reformatter = VideoReformatter()
        self._copier: FrameCopier | None = None

    def make(self, source: av.VideoFrame, planes: Sequence[Tensor]) -> av.VideoFrame:
        """A frame like ``source`` that holds ``planes`` (on any device)."""
        assert (source.width, source.height) == self._size, "frames keep their size"
        if self._copier is None:
            self._copier = FrameCopier(source, self._aspect, flat=self._flat)
        frame = self._copier.copy(source)
        if frame.format.name != self._fmt.name:
            frame = self._reformatter.reformat(frame, format=self._fmt.name)
        frame.make_writable()
        targets = planes_of(frame)
        assert len(targets) == len(planes), "as many planes as the format has"
        for target, plane, shape in zip(targets, planes, self._shapes, strict=True):
            assert tuple(plane.shape) == shape, f"a plane is {tuple(plane.shape)}, not {shape}"
            assert plane.dtype == target.dtype, f"a plane is {plane.dtype}, not {target.dtype}"
            target.copy_(plane)
        if self._coded != self._fmt.name:
            frame = self._reformatter.reformat(frame, format=self._coded)
        frame.pict_type = 0  # or x264 and x265 would repeat the source's frame types
        return frame


class FrameCopier:
    """A second reference to a frame's data, so that ``make_writable`` has to copy it.

    With an ``aspect`` it has pixels of that shape: PyAV gives no other way to say so, and FFV1
    writes what the first frame says, not what its encoder was told. With ``flat`` nothing is left
    of two views: x264 would tell them, and that the left one comes first. ``anew`` copies the data
    as well.
    """

    def __init__(
        self,
        like: av.VideoFrame,
        aspect: Fraction | None = None,
        *,
        flat: bool = False,
        anew: bool = False,
    ) -> None:
        base = like.time_base or Fraction(1, 1000)
        self._graph = Graph()
        source = self._graph.add(
            "buffer",
            f"video_size={like.width}x{like.height}:pix_fmt={like.format.name}"
            f":time_base={base.numerator}/{base.denominator}"
            f":colorspace={int(like.colorspace)}:range={int(like.color_range)}",
        )
        if aspect is not None:
            shape = self._graph.add(
                "setsar", f"{aspect.numerator}/{aspect.denominator}:max={_LARGEST}"
            )
            source.link_to(shape)
            source = shape
        if flat:
            without = self._graph.add("sidedata", "mode=delete:type=STEREO3D")
            source.link_to(without)
            source = without
        if anew:
            copied = self._graph.add("copy")
            source.link_to(copied)
            source = copied
        sink = self._graph.add("buffersink")
        source.link_to(sink)
        self._graph.configure()

    def copy(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The same frame again."""
        self._graph.vpush(frame)
        return self._graph.vpull()
