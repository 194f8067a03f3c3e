"""Codes to working values and back: exact where nothing is to change, right where something is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vdenoise.picture.color import CB_SCALE, CR_SCALE, lift_planes
from vdenoise.picture.frame import PixelFormat
from vdenoise.picture.samples import apply_correction, tpdf

FORMATS = [
    PixelFormat("yuv420p", "yuv", 8, 1, 1),
    PixelFormat("yuv420p9le", "yuv", 9, 1, 1),
    PixelFormat("yuv422p10le", "yuv", 10, 1, 0),
    PixelFormat("yuv444p12le", "yuv", 12),
    PixelFormat("yuv420p14le", "yuv", 14, 1, 1),
    PixelFormat("yuv444p16le", "yuv", 16),
    PixelFormat("yuva420p10le", "yuv", 10, 1, 1, alpha=True),
    PixelFormat("gray", "gray", 8),
    PixelFormat("gray16le", "gray", 16),
    PixelFormat("gbrp", "rgb", 8),
    PixelFormat("gbrp10le", "rgb", 10),
    PixelFormat("gbrap16le", "rgb", 16, alpha=True),
]
BY_NAME = {fmt.name: fmt for fmt in FORMATS}


def codes(fmt: PixelFormat, height: int = 37, width: int = 53) -> tuple[torch.Tensor, ...]:
    """Random codes over the whole range, both ends among them."""
    small = (-(-height >> fmt.sub_h), -(-width >> fmt.sub_w))
    shapes = [(height, width)] * (fmt.color_planes + fmt.alpha)
    if fmt.family == "yuv":
        shapes[1:3] = [small, small]
    generator = torch.Generator().manual_seed(5)
    top = (1 << fmt.bits) - 1
    dtype = torch.uint8 if fmt.bits == 8 else torch.uint16
    planes = []
    for shape in shapes:
        plane = torch.randint(0, top + 1, shape, generator=generator, dtype=torch.int32)
        plane.view(-1)[:2] = torch.tensor([0, top], dtype=torch.int32)
        planes.append(plane.to(dtype))
    return tuple(planes)


def zeros(fmt: PixelFormat, planes: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    luma, chroma = lift_planes(planes, fmt, False, None)
    return torch.zeros_like(luma), None if chroma is None else torch.zeros_like(chroma)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_no_correction_is_the_identity(fmt: PixelFormat, full: bool) -> None:
    planes = codes(fmt)
    kept = [plane.clone() for plane in planes]
    for corrections in ((None, None), zeros(fmt, planes)):
        result = apply_correction(planes, *corrections, fmt, full)
        assert len(result) == len(planes)
        for got, source in zip(result, planes, strict=True):
            assert got.dtype == source.dtype and torch.equal(got, source)
    for plane, before in zip(planes, kept, strict=True):
        assert torch.equal(plane, before)


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_luma_alone_leaves_chroma_and_alpha_alone(fmt: PixelFormat) -> None:
    planes = codes(fmt)
    luma, _ = lift_planes(planes, fmt, False, None)
    result = apply_correction(planes, torch.full_like(luma, 0.05), None, fmt, False)
    assert not torch.equal(result[0], planes[0])
    if fmt.family == "yuv":
        assert all(torch.equal(result[n], planes[n]) for n in (1, 2))
    if fmt.alpha:
        assert torch.equal(result[-1], planes[-1])


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_a_correction_moves_codes_by_its_size_and_stays_legal(fmt: PixelFormat, full: bool) -> None:
    planes = codes(fmt)
    luma, chroma = lift_planes(planes, fmt, full, None)
    result = apply_correction(
        planes,
        torch.full_like(luma, 0.25),
        None if chroma is None else torch.zeros_like(chroma),
        fmt,
        full,
    )
    top = (1 << fmt.bits) - 1
    step = 0.25 * (top if full else 219 << (fmt.bits - 8))
    for n in range(1 if fmt.family == "yuv" else fmt.color_planes):
        wanted = (planes[n].to(torch.float64) + step).clamp(max=top)
        assert (result[n].to(torch.float64) - wanted).abs().max() <= 0.51


def test_nominal_black_and_white() -> None:
    fmt = BY_NAME["yuv422p10le"]
    y = torch.tensor([[64, 940]], dtype=torch.uint16)
    c = torch.tensor([[512]], dtype=torch.uint16)
    luma, chroma = lift_planes((y, c, c), fmt, False, None)
    assert torch.allclose(luma.flatten(), torch.tensor([0.0, 1.0]), atol=1e-6)
    assert chroma is not None and chroma.abs().max() == 0
    c = torch.tensor([[64]], dtype=torch.uint16)
    _, chroma = lift_planes((y, c, c), fmt, False, None)
    assert chroma is not None and torch.allclose(chroma, torch.tensor(-0.5))


@pytest.mark.parametrize("name", ["gbrp", "gbrp10le"])
def test_rgb_correction_inverts_the_analysis(name: str) -> None:
    fmt = BY_NAME[name]
    a = codes(fmt)
    b = tuple(plane.roll(3, 1) for plane in a)
    (luma_a, chroma_a), (luma_b, chroma_b) = (
        lift_planes(a, fmt, True, None),
        lift_planes(b, fmt, True, None),
    )
    assert chroma_a is not None and chroma_b is not None
    result = apply_correction(a, luma_b - luma_a, chroma_b - chroma_a, fmt, True)
    for got, wanted in zip(result, b, strict=True):
        assert torch.equal(got, wanted)


def test_rgb_analysis_is_bt709() -> None:
    fmt = BY_NAME["gbrp"]
    g, b, r = (torch.tensor([[v]], dtype=torch.uint8) for v in (51, 102, 204))
    luma, chroma = lift_planes((g, b, r), fmt, True, None)
    y = 0.2126 * 0.8 + 0.7152 * 0.2 + 0.0722 * 0.4
    assert chroma is not None
    assert luma.item() == pytest.approx(y, abs=1e-6)
    assert chroma[0].item() == pytest.approx((0.4 - y) / CB_SCALE, abs=1e-6)
    assert chroma[1].item() == pytest.approx((0.8 - y) / CR_SCALE, abs=1e-6)


@pytest.mark.parametrize("full", [False, True])
def test_more_bits_and_back_is_the_identity(full: bool) -> None:
    for name in ("yuv420p", "gray", "gbrp", "yuv422p10le"):
        fmt = BY_NAME[name]
        wide = replace(fmt, name="wide", bits=12)
        planes = codes(fmt)
        widened = apply_correction(planes, None, None, fmt, full, out=wide)
        assert all(plane.dtype == torch.uint16 for plane in widened)
        back = apply_correction(widened, None, None, wide, full, out=fmt)
        for got, source in zip(back, planes, strict=True):
            assert torch.equal(got, source)


def test_dropped_bits_are_dithered_without_bias() -> None:
    fmt = PixelFormat("yuv444p12le", "yuv", 12)
    out = PixelFormat("yuv444p", "yuv", 8)
    plane = torch.full((256, 256), 2050, dtype=torch.uint16)  # 128.125 in 8 bits
    planes = (plane,) * 3
    result = apply_correction(planes, None, None, fmt, False, out=out, dither_seed=(3, 7))
    again = apply_correction(planes, None, None, fmt, False, out=out, dither_seed=(3, 7))
    other = apply_correction(planes, None, None, fmt, False, out=out, dither_seed=(3, 8))
    for n in range(3):
        assert result[n].dtype == torch.uint8
        assert result[n].to(torch.float64).mean().item() == pytest.approx(128.125, abs=0.02)
        assert set(result[n].unique().tolist()) <= {127, 128, 129}
        assert torch.equal(result[n], again[n])
        assert not torch.equal(result[n], other[n])
    assert not torch.equal(result[0], result[1])
    plain = apply_correction(planes, None, None, fmt, False, out=out)
    assert plain[0].unique().tolist() == [128]


def test_dither_is_triangular_and_independent_of_its_neighbors() -> None:
    noise = tpdf((512, 512), (1, 2, 0)).to(torch.float64)
    assert noise.abs().max() < 1
    assert noise.mean().item() == pytest.approx(0, abs=3e-3)
    assert noise.var().item() == pytest.approx(1 / 6, rel=0.02)
    for rolled in (noise.roll(1, 0), noise.roll(1, 1), noise.roll((1, 1), (0, 1))):
        assert (noise * rolled).mean().abs().item() < 2e-3
    inner = noise.abs() < 0.5
    assert inner.to(torch.float64).mean().item() == pytest.approx(0.75, abs=0.01)


def test_alpha_at_another_depth_keeps_opaque_opaque() -> None:
    fmt = PixelFormat("yuva444p12le", "yuv", 12, alpha=True)
    out = PixelFormat("yuva444p10le", "yuv", 10, alpha=True)
    gray = torch.full((4, 4), 2048, dtype=torch.uint16)
    alpha = torch.tensor([[0, 4095, 2048, 4095]] * 4, dtype=torch.uint16)
    result = apply_correction(
        (gray, gray, gray, alpha), None, None, fmt, False, out=out, dither_seed=(0, 0)
    )
    assert result[3][0].tolist() == [0, 1023, 512, 1023]


@pytest.mark.parametrize(("location", "exact_rows"), [("topleft", True), ("left", False)])
def test_denser_chroma_is_interpolated_in_place(location: str, exact_rows: bool) -> None:
    """A ramp stays the ramp it is, wherever chroma sits."""
    fmt = BY_NAME["yuv420p"]
    out = PixelFormat("yuv444p10le", "yuv", 10)
    height, width = 24, 31
    luma = torch.full((height, width), 120, dtype=torch.uint8)
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing="ij")
    chroma = (60 + 4 * y + 3 * x).to(torch.uint8)
    result = apply_correction(
        (luma, chroma, chroma), None, None, fmt, False, out=out, chroma_location=location
    )
    assert [tuple(plane.shape) for plane in result] == [(height, width)] * 3
    assert torch.equal(result[0], torch.full((height, width), 480, dtype=torch.uint16))
    fine_y, fine_x = torch.meshgrid(
        torch.arange(float(height)), torch.arange(float(width)), indexing="ij"
    )
    rows = fine_y / 2 if exact_rows else fine_y / 2 - 0.25
    wanted = 4 * (60 + 4 * rows + 3 * fine_x / 2)
    inner = (slice(4, -4), slice(4, -4))
    assert (result[1].to(torch.float32) - wanted)[inner].abs().max() <= 0.51


def test_floating_point_samples_are_kept_and_never_clipped() -> None:
    fmt = PixelFormat("gbrpf16le", "rgb", 16, floating=True)
    planes = tuple(torch.linspace(-2, 60, 48).view(6, 8).to(torch.float16) for _ in range(3))
    luma, chroma = lift_planes(planes, fmt, True, None)
    assert luma.max() > 50 and luma.min() < -1
    same = apply_correction(planes, torch.zeros_like(luma), torch.zeros_like(chroma), fmt, True)
    assert all(torch.equal(a, b) for a, b in zip(same, planes, strict=True))


def test_a_correction_that_is_no_number_is_a_bug() -> None:
    fmt = BY_NAME["gray"]
    planes = codes(fmt)
    bad = torch.zeros((1, *planes[0].shape))
    bad[0, 3, 3] = torch.nan
    with pytest.raises(AssertionError, match="finite"):
        apply_correction(planes, bad, None, fmt, False)
