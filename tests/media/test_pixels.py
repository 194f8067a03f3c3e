"""Repacking and copying frames never changes a sample."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import VideoReformatter

from vdenoise.media.movie.pixels import (
    REPACK,
    FrameMaker,
    normalized,
    planar_format,
    plane_shapes,
    planes_of,
)
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader

# Hardware surfaces come in even sizes only.
EVEN_ONLY = {"p010le", "p012le", "p016le"}


def random_frame(name: str, size: tuple[int, int]) -> av.VideoFrame:
    """A planar frame of random codes."""
    fmt = planar_format(name)
    assert fmt is not None and fmt.name == name
    frame = av.VideoFrame(*size, name)
    generator = torch.Generator().manual_seed(11)
    for view in planes_of(frame):
        if fmt.floating:
            view.copy_(torch.rand(view.shape, generator=generator) * 3 - 1)
        else:
            codes = torch.randint(0, 1 << fmt.bits, view.shape, generator=generator)
            view.copy_(codes.to(torch.int32).to(view.dtype))
    return frame


@pytest.mark.parametrize("size", [(64, 48), (61, 47)], ids=str)
@pytest.mark.parametrize("packed", sorted(REPACK))
def test_repacking_is_exact(packed: str, size: tuple[int, int]) -> None:
    if packed in EVEN_ONLY and size[0] % 2:
        pytest.skip("surfaces have even sizes")
    planar = REPACK[packed]
    fmt = planar_format(packed)
    assert fmt is not None and fmt.name == planar
    source = random_frame(planar, size)
    span = 2 if packed.startswith("yuvj") else 1
    source.color_range = span
    there = source.reformat(format=packed, src_color_range=span, dst_color_range=span)
    there.color_range = span
    back = normalized(there, fmt, VideoReformatter())
    assert back.format.name == planar
    for a, b in zip(planes_of(source), planes_of(back), strict=True):
        assert torch.equal(a, b)


PLANAR = sorted(
    {fmt.name for name in av.video.format.names if (fmt := planar_format(name)) is not None}
)


def test_the_formats_of_the_contract_are_known() -> None:
    for sub in ("420", "422", "444"):
        for bits in ("", "9le", "10le", "12le", "14le", "16le"):
            assert f"yuv{sub}p{bits}" in PLANAR
    assert {"gray", "gray10le", "gray12le", "gray16le", "gbrp", "gbrp16le"} <= set(PLANAR)
    assert {"yuva420p", "yuva444p12le", "gbrap16le"} <= set(PLANAR)
    for name in ("pal8", "monow", "bayer_rggb8", "cuda", "rgb565le", "xyz12le"):
        assert planar_format(name) is None


@pytest.mark.parametrize("name", PLANAR)
def test_planes_have_the_shapes_told(name: str) -> None:
    fmt = planar_format(name)
    assert fmt is not None
    views = planes_of(av.VideoFrame(61, 47, name))
    assert tuple(tuple(view.shape) for view in views) == plane_shapes(fmt, 61, 47)


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gbrp", "gbrap12le", "gray16le"])
def test_made_frames_hold_the_planes_and_leave_the_source_alone(name: str) -> None:
    source = random_frame(name, (61, 47))
    source.pts, source.time_base = 7, Fraction(1, 25)
    before = [plane.clone() for plane in planes_of(source)]
    planes = [torch.from_numpy(np.flip(p.numpy(), 0).copy()) for p in before]
    fmt = planar_format(name)
    assert fmt is not None
    made = FrameMaker(61, 47, fmt, name).make(source, planes)
    assert made.pts == 7 and made.time_base == Fraction(1, 25)
    for got, wanted in zip(planes_of(made), planes, strict=True):
        assert torch.equal(got, wanted)
    for got, wanted in zip(planes_of(source), before, strict=True):
        assert torch.equal(got, wanted)


def test_wrong_planes_are_a_bug() -> None:
    fmt = planar_format("yuv420p")
    assert fmt is not None
    source = random_frame("yuv420p", (64, 48))
    maker = FrameMaker(64, 48, fmt, "yuv420p")
    planes = list(planes_of(source))
    for wrong in (planes[:2], [*planes[:2], planes[2][1:]], [p.to(torch.int16) for p in planes]):
        with pytest.raises(AssertionError):
            maker.make(source, wrong)


def test_a_picture_that_is_stored_upwards_is_read_from_the_top(tmp_path: Path) -> None:
    """PFM begins with the lowest line: FFmpeg gives such frames with lines of negative length."""
    lines = np.arange(6 * 8 * 3, dtype="<f4").reshape(6, 8, 3) / 200
    (tmp_path / "a.pfm").write_bytes(b"PF\n8 6\n-1.0\n" + lines[::-1].tobytes())
    info = probe(tmp_path / "a.pfm")
    green, blue, red = next(iter(Reader(info))).planes
    assert np.array_equal(np.stack([red, green, blue], -1), lines)
