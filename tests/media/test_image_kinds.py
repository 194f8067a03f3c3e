"""What image files hold that must be kept, said to be lost, or refused."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from tests.helpers import image_files as files
from tests.helpers import images
from vdenoise import cli
from vdenoise.media.images import png
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader

GIVEN = ("--speed", "veryfast", "--temporal-radius", "0", "--spatial", "gaussian")
GIVEN = (*GIVEN, "--sigma", "5", "--cuts", "off")
ZERO = (*GIVEN, "--luma", "0", "--chroma", "0")


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


# -- several pictures ------------------------------------------------------------------------


def apng(path: Path, frames: int) -> Path:
    with av.open(str(path), "w", format="apng") as out:
        stream = out.add_stream("apng", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        for n in range(frames):
            pixels = files.codes(number=n)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def test_an_animated_png_is_read_whole(tmp_path: Path) -> None:
    source = apng(tmp_path / "a.png", 5)
    info = probe(source)
    assert (info.frames, info.sequence, info.rate) == (5, None, 25)
    assert call("run", source, "-o", tmp_path / "b.mkv", "--codec", "ffv1", *ZERO) == 0
    for n, frame in enumerate(Reader(probe(tmp_path / "b.mkv"))):
        green, blue, red = (plane.numpy() for plane in frame.planes)
        assert np.array_equal(np.stack([red, green, blue], -1), files.codes(number=n))
    assert n == 4
    assert call("run", source, "-o", tmp_path / "one.png", *ZERO) == 2


def test_a_png_that_says_it_is_animated_and_has_one_frame_is_a_still(tmp_path: Path) -> None:
    source = files.png(tmp_path / "a.png", (b"acTL", bytes((0, 0, 0, 1, 0, 0, 0, 0))))
    assert probe(source).sequence is not None


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("pages.tif", lambda p: files.tiff(p, files.codes(), pictures=3)),
        ("pages.tif", lambda p: files.tiff(p, files.codes("uint16"), pictures=2, order=">")),
        ("pair.jpg", lambda p: files.jpeg(p, files.multi_picture((0x030000, 0x020002)))),
        ("angles.jpg", lambda p: files.jpeg(p, files.multi_picture((0x030000, 0, 0)))),
    ],
)
def test_several_pictures_in_one_file_are_refused(
    name: str, make: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make(tmp_path / name)
    assert call("run", source, "-o", tmp_path / "out.png", *GIVEN) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error E0340 [exit 3]" in last and "pictures" in last
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_animation_in_a_sequence_is_refused(tmp_path: Path) -> None:
    apng(tmp_path / "a.1.png", 2)
    assert call("run", tmp_path / "a.#.png", "-o", tmp_path / "b.#.png", *GIVEN) == 3


@pytest.mark.parametrize("kinds", [(0x030000,), (0x030000, 0x010001, 0x010002)])
def test_previews_beside_a_picture_are_no_pictures(kinds: tuple[int, ...], tmp_path: Path) -> None:
    source = files.jpeg(tmp_path / "a.jpg", files.multi_picture(kinds))
    assert call("run", source, "-o", tmp_path / "b.png", *ZERO) == 0


def test_a_gain_map_is_no_further_picture(tmp_path: Path) -> None:
    xmp = (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x hdrgm:Version='1.0'/>")
    source = files.jpeg(tmp_path / "a.jpg", files.multi_picture((0x030000, 0)), xmp)
    assert call("run", source, "-o", tmp_path / "b.png", *ZERO) == 0


def test_a_gif_is_read_whole_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe(files.gif(tmp_path / "timed.gif", 4, timed=True)).frames == 4
    assert probe(files.gif(tmp_path / "still.gif", 1, timed=False)).frames == 1
    lost = files.gif(tmp_path / "lost.gif", 4, timed=False)
    assert call("run", lost, "-o", tmp_path / "b.mkv", *GIVEN) == 3
    assert "error E0342 [exit 3]" in capsys.readouterr().err.splitlines()[-1]


def test_an_animated_webp_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = files.animated_webp(tmp_path / "a.webp")
    assert call("run", source, "-o", tmp_path / "b.mkv", *GIVEN) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error E0341 [exit 3]" in last and "animated WebP" in last


# -- color that is no RGB and no gray --------------------------------------------------------


@pytest.mark.parametrize(
    ("photometric", "channels", "dtype", "words"),
    [
        (5, 4, "uint8", "CMYK"),
        (5, 4, "uint16", "CMYK"),
        (5, 5, "uint8", "other inks"),
        (5, 3, "uint8", "other inks"),
        (8, 3, "uint8", "L*a*b*"),
        (8, 3, "uint16", "L*a*b*"),
        (9, 3, "uint8", "PhotometricInterpretation=9"),
        (32803, 1, "uint16", "raw"),
        (34892, 3, "uint16", "raw"),
        (51177, 1, "uint8", "not known (51177)"),
        (6, 3, "uint16", "YCbCr samples of more than 8 bits"),
    ],
)
@pytest.mark.parametrize("target", ["b.tif", "b.png"])
def test_other_color_models_are_refused_by_name(
    photometric: int,
    channels: int,
    dtype: str,
    words: str,
    target: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = files.tiff(tmp_path / "a.tif", files.codes(dtype, channels), photometric)
    assert call("run", source, "-o", tmp_path / target, *GIVEN) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error E0306 [exit 3]" in last and words in last
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def ycbcr_tiff(path: Path, orientation: int) -> Path:
    """A TIFF of full-range BT.601, as `codes` gives it in RGB."""
    rgb = files.codes().astype(np.float64)
    luma = rgb @ [0.299, 0.587, 0.114]
    cb, cr = (rgb[..., 2] - luma) / 1.772 + 128, (rgb[..., 0] - luma) / 1.402 + 128
    pixels = np.stack([luma, cb, cr], -1).round().clip(0, 255).astype(np.uint8)
    return files.tiff(path, pixels, 6, tags={530: (3, (1, 1)), 274: (3, (orientation,))})


def test_ycbcr_in_a_tiff_becomes_rgb_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ycbcr_tiff(tmp_path / "a.tif", 1)
    assert call("run", source, "-o", tmp_path / "b.tif", *ZERO, "--strict") == 4
    assert "YCbCr is written as 8-bit RGB" in capsys.readouterr().err
    assert call("run", source, "-o", tmp_path / "b.tif", *ZERO) == 0
    found = images.read(tmp_path / "b.tif")[1].astype(int)
    assert np.abs(found - files.codes()).max() <= 2  # two roundings to 8 bits
    assert files.tiff_tags(tmp_path / "b.tif").get(530) is None
    turned = ycbcr_tiff(tmp_path / "c.tif", 3)  # OpenImageIO would turn it, and leave the tag
    assert call("run", turned, "-o", tmp_path / "d.tif", *ZERO) == 3
    assert "YCbCr samples of a turned picture" in capsys.readouterr().err


@pytest.mark.parametrize(("extra", "same", "other"), [(1, "exr", "png"), (2, "png", "exr")])
def test_colors_that_are_multiplied_by_alpha_or_not_are_said_to_be(
    extra: int, same: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = files.codes("uint16", 4)
    source = files.tiff(tmp_path / "a.tif", pixels, tags={338: (3, (extra,))})
    assert call("run", source, "-o", tmp_path / f"b.{same}", *ZERO, "--strict") == 0
    assert call("run", source, "-o", tmp_path / f"b.{other}", *ZERO, "--strict") == 4
    assert "multiplied by alpha" in capsys.readouterr().err
    for again in (tmp_path / f"b.{same}", source):  # of another kind, and of another depth
        target = tmp_path / f"from{again.suffix}.tif"
        assert call("run", again, "-o", target, "--bit-depth", "32", *ZERO) == 0
        assert files.tiff_tags(target)[338] == (3, struct.pack("<H", extra))


def test_inks_in_a_jpeg_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = files.cmyk_jpeg(tmp_path / "a.jpg")
    assert call("run", source, "-o", tmp_path / "b.png", *GIVEN) == 3
    assert "CMYK" in capsys.readouterr().err.splitlines()[-1]


# -- what a copy keeps beside the samples ----------------------------------------------------

EXIF = b"II*\0\x08\0\0\0" + files.directory({274: (3, (6,)), 315: (2, b"me\0")}, "<", 8)
ICC = zlib.compress(b"not read by anyone here")
CHUNKS = {
    "nothing": (),
    "P3": (
        (b"gAMA", struct.pack(">I", 45455)),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
    ),
    "sRGB": ((b"sRGB", b"\1"),),
    "PQ": ((b"cICP", bytes((9, 16, 0, 1))), (b"cLLI", struct.pack(">II", 10**7, 4 * 10**6))),
    "profile": ((b"iCCP", b"mine\0\0" + ICC),),
    "unequal pixels": ((b"pHYs", struct.pack(">IIB", 3000, 2000, 1)),),
    "ratio": ((b"pHYs", struct.pack(">IIB", 3, 2, 0)),),
    "Exif": ((b"eXIf", EXIF),),
    "text": (
        (b"tEXt", b"Comment\0one"),
        (b"tEXt", b"Comment\0two"),
        (b"zTXt", b"Title\0\0" + zlib.compress(b"three")),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>"),
    ),
    "others": (
        (b"sBIT", b"\5\6\5"),
        (b"bKGD", bytes((0, 1, 0, 2, 0, 3))),
        (b"tIME", struct.pack(">HBBBBB", 2020, 1, 2, 3, 4, 5)),
        (b"sTER", b"\0"),
        (b"prVt", b"of a program"),
    ),
}


def test_a_jpeg_of_12_bits_is_not_called_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = files.jpeg(tmp_path / "a.jpg")
    data = bytearray(source.read_bytes())
    frame = data.index(b"\xff\xc0")
    data[frame + 1], data[frame + 4] = 0xC1, 12  # the extended process, and its precision
    source.write_bytes(data)
    assert call("run", source, "-o", tmp_path / "b.png", *GIVEN) == 3
    assert "is of a kind that is not read" in capsys.readouterr().err


def test_a_png_that_lost_a_part_on_its_way_is_not_whole(tmp_path: Path) -> None:
    """OpenImageIO says nothing where a disk refuses one of its writes."""
    path = files.png(tmp_path / "a.png")
    data = path.read_bytes()
    assert png.is_whole(path)
    for left in (b"", data[:8], data[8:], data[16:], data[:-1], data[:-12], data[:60] + data[64:]):
        path.write_bytes(left)
        assert not png.is_whole(path)


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("strength", [GIVEN, ZERO], ids=["denoised", "zero"])
def test_a_png_keeps_its_chunks_and_gains_none(
    name: str, strength: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = files.png(tmp_path / "a.png", *CHUNKS[name])
    assert call("run", source, "-o", tmp_path / "b.png", "--strict", *strength) == 0
    assert files.png_chunks(tmp_path / "b.png") == list(CHUNKS[name])
    a, b = (images.read(path)[1] for path in (source, tmp_path / "b.png"))
    assert np.array_equal(a, b) == (strength is ZERO)


def test_chunks_that_hold_for_the_old_pixels_are_left_behind_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = files.png(tmp_path / "a.png", (b"caBX", b"a signature of the pixels"))
    assert call("run", source, "-o", tmp_path / "b.png", *GIVEN) == 0
    assert "caBX stays behind" in capsys.readouterr().err
    assert files.png_chunks(tmp_path / "b.png") == []
    assert call("run", source, "-o", tmp_path / "c.png", "--strict", *GIVEN) == 4


def test_what_a_png_says_of_its_samples_is_said_in_the_depth_they_are_written_with(
    tmp_path: Path,
) -> None:
    """A palette becomes RGB, a transparent color alpha, 4 bits become 8."""
    head = struct.pack(">IIBBBBB", 64, 48, 8, 3, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(n % 3 for n in range(64)) for _ in range(48)))
    colors = bytes((255, 0, 0, 0, 255, 0, 1, 2, 3))
    paletted = (b"IHDR", head), (b"sBIT", b"\5\6\5"), (b"PLTE", colors), (b"bKGD", b"\2")
    end = ((b"IDAT", rows), (b"IEND", b""))
    for extra, bits in (((), b"\5\6\5"), (((b"tRNS", b"\0"),), b"\5\6\5\x08")):
        chunks = (*paletted, *extra, *end)
        data = b"".join(files.chunk(*part) for part in chunks)
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
        out = tmp_path / f"b{len(extra)}.png"
        assert call("run", tmp_path / "a.png", "-o", out, "--strict", *ZERO) == 4
        assert call("run", tmp_path / "a.png", "-o", out, *ZERO) == 0
        assert files.png_chunks(out) == [(b"sBIT", bits), (b"bKGD", bytes((0, 1, 0, 2, 0, 3)))]
        assert np.array_equal(images.read(out)[1][0, :3, :3].ravel(), list(colors))
    gray = struct.pack(">IIBBBBB", 64, 48, 4, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(range(32))) * 48)
    parts = ((b"IHDR", gray), (b"bKGD", b"\0\x0f"), (b"IDAT", rows), (b"IEND", b""))
    data = b"".join(files.chunk(*part) for part in parts)
    (tmp_path / "g.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert call("run", tmp_path / "g.png", "-o", tmp_path / "h.png", *ZERO) == 0
    assert files.png_chunks(tmp_path / "h.png") == [(b"bKGD", b"\0\xff")]


TAGS: files.Tags = {
    274: (3, (6,)),
    270: (2, b"what it shows\0"),
    282: (5, (300, 1)),
    283: (5, (200, 1)),
    296: (3, (2,)),
    318: (5, (3127, 10000, 3290, 10000)),
    34675: (7, b"an ICC profile of its own"),
    700: (1, b"<x:xmpmeta/>"),
    33723: (7, b"\x1c\x02\x05\0\2hi"),
    42112: (2, b"<GDALMetadata/>\0"),
    33550: (12, (0.1, 0.2, 0.0)),
    65000: (4, (1, 2, 3)),
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("dtype", "channels", "photometric", "more"),
    [
        ("uint8", 3, 2, {}),
        ("uint16", 3, 2, {}),
        ("float16", 3, 2, {}),
        ("float32", 3, 2, {}),
        ("uint8", 4, 2, {338: (3, (2,))}),
        ("uint8", 4, 2, {}),
        ("uint8", 3, 1, {338: (3, (0, 0))}),
        ("uint8", 2, 0, {338: (3, (0,))}),
        ("uint16", 2, 0, {338: (3, (2,))}),
        ("uint16", 3, 2, {532: (5, (4096, 1, 60160, 1) * 3)}),
        ("uint16", 4, 2, {338: (3, (1,))}),
        ("uint16", 5, 2, {338: (3, (0, 0))}),
        ("uint8", 1, 1, {}),
        ("uint16", 1, 0, {}),
        ("uint8", 1, 0, {}),
        ("float16", 1, 1, {}),
    ],
)
def test_a_tiff_keeps_its_order_its_samples_and_its_tags(
    order: str,
    dtype: str,
    channels: int,
    photometric: int,
    more: files.Tags,
    tmp_path: Path,
) -> None:
    pixels = files.codes(dtype, channels)
    source = files.tiff(tmp_path / "a.tif", pixels, photometric, order=order, tags={**TAGS, **more})
    assert call("run", source, "-o", tmp_path / "b.tif", "--strict", *ZERO) == 0
    before, after = (files.tiff_tags(path) for path in (source, tmp_path / "b.tif"))
    assert (tmp_path / "b.tif").read_bytes()[:2] == source.read_bytes()[:2]
    assert files.tiff_strips(tmp_path / "b.tif") == files.tiff_strips(source)
    layout = {273, 278, 279, 284, 317}
    assert {t: v for t, v in after.items() if t not in layout} == {
        t: v for t, v in before.items() if t not in layout
    }
    assert call("run", source, "-o", tmp_path / "c.tif", *GIVEN) == 0
    other = images.read(tmp_path / "c.tif")[1]
    assert not np.array_equal(other, images.read(source)[1])
    assert np.abs(other.astype(float) - images.read(source)[1]).mean() < 0.05 * (
        1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max
    )


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_and_places_inside_a_tiff_are_kept(order: str, tmp_path: Path) -> None:
    """Their directories lie elsewhere in the file: places are written anew."""
    source = tmp_path / "a.tif"
    inside: files.Tags = {
        33434: (5, (1, 250)),
        36867: (2, b"2026:01:02 03:04:05\0"),
        37500: (7, b"ab"),
    }
    place: files.Tags = {2: (5, (48, 1, 12, 1, 0, 1))}
    pointers = {34665: (4, (0,)), 34853: (4, (0,))}
    grown = files.tiff(source, files.codes(), order=order, tags=pointers).read_bytes()
    at = len(grown) + len(grown) % 2
    inner = files.directory(inside, order, at)
    tags: files.Tags = {34665: (4, (at,)), 34853: (4, (at + len(inner),))}
    whole = inner + files.directory(place, order, at + len(inner))
    files.tiff(source, files.codes(), order=order, tags=tags)
    source.write_bytes(source.read_bytes().ljust(at, b"\0") + whole)
    assert call("run", source, "-o", tmp_path / "b.tif", "--strict", *ZERO) == 0
    before, after = (images.read(path)[0] for path in (source, tmp_path / "b.tif"))
    for spec in (before, after):
        assert spec.getattribute("ExposureTime") == pytest.approx(1 / 250)
        assert spec.getattribute("Exif:DateTimeOriginal") == "2026:01:02 03:04:05"
        assert tuple(spec.getattribute("GPS:Latitude")) == (48, 12, 0)
    assert after.getattribute("DateTime") is None and after.getattribute("Orientation") is None


def test_layers_of_a_program_inside_a_tiff_are_left_behind_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = files.tiff(tmp_path / "a.tif", files.codes(), tags={37724: (7, b"noisy layers")})
    assert call("run", source, "-o", tmp_path / "b.tif", *GIVEN) == 0
    assert "Photoshop's layers stays behind" in capsys.readouterr().err
    assert 37724 not in files.tiff_tags(tmp_path / "b.tif")
    assert call("run", source, "-o", tmp_path / "c.tif", "--strict", *GIVEN) == 4


@pytest.mark.parametrize("compression", ["jpeg", "ccittfax4", "lzw", "packbits", "zip"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_any_compression_of_a_tiff_is_read_and_what_is_lossy_becomes_zip(
    compression: str, planar: str, tmp_path: Path
) -> None:
    bits = 1 if compression.startswith("ccitt") else 0
    pixels = files.codes(channels=1 if bits else 3)
    pixels = (pixels > 100).astype(np.uint8) * 255 if bits else pixels
    options = {"compression": compression, "planarconfig": planar}
    images.write(tmp_path / "a.tif", pixels, "uint8", bits=bits, **options)
    assert call("run", tmp_path / "a.tif", "-o", tmp_path / "b.tif", *ZERO) == 0
    spec, found = images.read(tmp_path / "b.tif")
    assert np.array_equal(found, images.read(tmp_path / "a.tif")[1])
    kept = "zip" if compression in ("jpeg", "ccittfax4") else compression
    assert spec.getattribute("compression") == kept


def test_a_palette_in_a_tiff_becomes_rgb(tmp_path: Path) -> None:
    colors = np.zeros((3, 256), np.uint16)
    colors[:, :3] = [[65535, 0, 257], [0, 65535, 514], [0, 0, 771]]
    pixels = (np.arange(48 * 64).reshape(48, 64, 1) % 3).astype(np.uint8)
    tags: files.Tags = {320: (3, tuple(colors.ravel().tolist()))}
    source = files.tiff(tmp_path / "a.tif", pixels, 3, tags=tags)
    assert call("run", source, "-o", tmp_path / "b.tif", *ZERO) == 0
    found = images.read(tmp_path / "b.tif")[1]
    assert found[0, :3].tolist() == [[255, 0, 0], [0, 255, 0], [1, 2, 3]]
    assert 320 not in files.tiff_tags(tmp_path / "b.tif")


@pytest.mark.parametrize(
    ("depth", "kind", "stored"),
    [(1, 0, "1-bit gray"), (4, 0, "4-bit gray"), (2, 3, "a palette"), (8, 3, "a palette")],
)
def test_samples_of_fewer_bits_than_are_written_are_named(
    depth: int, kind: int, stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = struct.pack(">2I5B", 64, 48, depth, kind, 0, 0, 0)
    colors = [(b"PLTE", bytes(range(3 << min(depth, 6))))] if kind == 3 else []
    rows = zlib.compress(bytes(48 * (1 + 64 * depth // 8)))
    parts = ((b"IHDR", head), *colors, (b"IDAT", rows), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(files.chunk(*part) for part in parts)
    (tmp_path / "a.png").write_bytes(data)
    assert call("run", tmp_path / "a.png", "-o", tmp_path / "b.png", *ZERO, "--strict") == 4
    assert f"{stored} is written as 8-bit" in capsys.readouterr().err
    assert call("run", tmp_path / "a.png", "-o", tmp_path / "b.png", *ZERO) == 0


@pytest.mark.parametrize("bits", [2, 10, 12, 16])
def test_a_tiff_whose_bits_are_not_kept_says_so(
    bits: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = "uint8" if bits < 8 else "uint16"
    images.write(tmp_path / "a.tif", files.codes(kind, 1), kind, bits=bits)
    assert call("run", tmp_path / "a.tif", "-o", tmp_path / "b.tif", *ZERO) == 0
    said = capsys.readouterr().err
    assert (f"{bits}-bit" in said and "is written " in said) == (bits != 16)


DPX = ("rgb24", "rgb48be", "rgb48le", "gbrp10be", "gbrp10le", "gbrp12be", "gbrp12le")


@pytest.mark.parametrize("pix_fmt", (*DPX, "rgba", "gray", "gray16be"))
def test_a_dpx_of_ffmpeg_keeps_its_header_and_byte_order(pix_fmt: str, tmp_path: Path) -> None:
    """It has no headers of film and television: where they would be are pixels."""
    source = files.dpx(tmp_path / "a.dpx", pix_fmt)
    info = probe(source)
    assert (info.timecode, info.rate) == (None, 24)
    assert call("run", source, "-o", tmp_path / "b.dpx", "--strict", *ZERO) == 0
    before, after = (path.read_bytes() for path in (source, tmp_path / "b.dpx"))
    for start, end in ((0, 36), (136, None)):  # between them, the name
        assert after[start:end] == before[start:end]
    assert b"b.dpx\0" in after[36:136]
    frames = [_decoded(path) for path in (before, after)]
    assert np.array_equal(*frames)
    assert call("run", source, "-o", tmp_path / "c.dpx", *GIVEN) == 0
    assert call("run", source, "-o", tmp_path / "c.exr", *GIVEN) == 0
    assert images.read(tmp_path / "c.exr")[0].getattribute("smpte:TimeCode") is None


@pytest.mark.parametrize(("packing", "shift"), [(1, 4), (2, 0)])
@pytest.mark.parametrize("order", [">", "<"])
def test_12_bits_in_words_of_16_stay_so(
    order: str, packing: int, shift: int, tmp_path: Path
) -> None:
    codes = np.random.default_rng(0).integers(0, 4096, (9, 23, 3))  # a row has an odd number
    images.write(
        tmp_path / "a.dpx",
        (codes << 4).astype(np.uint16),
        "uint16",
        bits=12,
        **{"oiio:Endian": {">": "big", "<": "little"}[order]},
    )
    head = bytearray((tmp_path / "a.dpx").read_bytes())
    head = head[: struct.unpack_from(f"{order}I", head, 4)[0]]
    struct.pack_into(f"{order}H", head, 804, packing)
    rows = (codes << shift).astype(f"{order}u2").tobytes()
    struct.pack_into(f"{order}I", head, 16, len(head) + len(rows))
    (tmp_path / "a.dpx").write_bytes(bytes(head) + rows)
    assert call("run", tmp_path / "a.dpx", "-o", tmp_path / "b.dpx", "--strict", *ZERO) == 0
    after = (tmp_path / "b.dpx").read_bytes()
    assert (after[:36], after[136:]) == (bytes(head)[:36], bytes(head)[136:] + rows)


def test_a_dpx_whose_channels_are_reversed_stays_so(tmp_path: Path) -> None:
    """OpenImageIO reads ABGR and writes RGBA."""
    source = files.dpx(tmp_path / "a.dpx", "abgr")
    assert call("run", source, "-o", tmp_path / "b.dpx", "--strict", *ZERO) == 0
    before, after = (path.read_bytes() for path in (source, tmp_path / "b.dpx"))
    assert (after[:36], after[136:]) == (before[:36], before[136:])


@pytest.mark.parametrize("number", [8, 32946])
def test_both_numbers_of_deflate_in_tiff_stay(number: int, tmp_path: Path) -> None:
    pixels = files.codes()
    packed = zlib.compress(pixels.tobytes())
    tags = {259: (3, (number,)), 279: (4, (len(packed),))}
    source = files.tiff(tmp_path / "a.tif", pixels, tags=tags, data=packed)
    assert call("run", source, "-o", tmp_path / "b.tif", "--strict", *ZERO) == 0
    assert struct.unpack("<H", files.tiff_tags(tmp_path / "b.tif")[259][1][:2])[0] == number
    assert np.array_equal(images.read(tmp_path / "b.tif")[1], pixels)


def _decoded(data: bytes) -> images.Array:
    frame = av.CodecContext.create("dpx", "r").decode(av.Packet(data))[0]
    return frame.to_ndarray()


@pytest.mark.parametrize("order", ["big", "little"])
def test_a_whole_dpx_header_with_data_of_users_is_kept(order: str, tmp_path: Path) -> None:
    images.write(
        tmp_path / "a.dpx",
        files.codes("uint16") // 64 * 64,
        "uint16",
        bits=10,
        oiio__Endian=order,
        dpx__FilmEdgeCode="12345",
        dpx__SlateInfo="scene 4",
        dpx__UserBits=7,
    )
    data = bytearray((tmp_path / "a.dpx").read_bytes())
    data[8:16] = b"V9.9\0\0\0\0"  # a version of its own
    data[1664:1680] = b"K\x80\xffstrange bytes!"  # no text in any encoding
    data[664:700] = b"reserved for what nobody knows yet.."
    size = 2048 + 100  # 100 bytes of user data before the pixels
    form = ">I" if order == "big" else "<I"
    for place in (4, 780 + 28):
        struct.pack_into(form, data, place, size)
    struct.pack_into(form, data, 32, 100)
    source = tmp_path / "a.dpx"
    source.write_bytes(bytes(data[:2048]) + b"user data".ljust(100, b".") + bytes(data[2048:]))
    assert call("run", source, "-o", tmp_path / "b.dpx", "--strict", *ZERO) == 0
    before, after = (path.read_bytes() for path in (source, tmp_path / "b.dpx"))
    for start, end in ((0, 16), (20, 36), (136, 804), (808, size)):
        assert after[start:end] == before[start:end]
    count = 64 * 48
    words = [np.frombuffer(data, form[0] + "u4", count, size) >> 2 for data in (before, after)]
    assert np.array_equal(*words)  # the two bits below the samples mean nothing


# -- another kind of image, or a movie ---------------------------------------------------------


def icc_profile(colors: tuple[tuple[float, ...], ...], name: str) -> bytes:
    """A small RGB profile with sRGB's curve: header, tag table, tags."""
    curve = struct.pack(">4s4xHxx5i", b"para", 3, 157286, 62119, 3417, 5072, 2651)
    texts = b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name.encode() + b"\0"
    tags = [(b"desc", texts + bytes(-len(texts) % 4))]
    for letter, color in zip("rgb", colors, strict=True):
        values = struct.pack(">3i", *(round(v * 65536) for v in color))
        tags += [(f"{letter}XYZ".encode(), b"XYZ \0\0\0\0" + values)]
        tags += [(f"{letter}TRC".encode(), curve)]
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags:
        place = 132 + 12 * len(tags) + len(body)
        table += struct.pack(">4sII", tag, place, len(data))
        body += data
    head = struct.pack(
        ">I4sI4s4s4s", 132 + 12 * len(tags) + len(body), b"", 0x04000000, b"mntr", b"RGB ", b"XYZ "
    )
    return (head + bytes(12) + b"acsp").ljust(128, b"\0") + table + body


SRGB = icc_profile(
    ((0.436, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)), "s"
)
ADOBE = icc_profile(
    ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)), "Adobe RGB"
)
P3 = icc_profile(
    ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)), "P"
)
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


def with_everything(path: Path, orientation: int = 6, profile: bytes = ADOBE) -> Path:
    """An image of a kind with orientation, author, resolution, Exif, profile and XMP."""
    inner: files.Tags = {33434: (5, (1, 250))}
    tags: dict[int, Any] = {274: (3, (orientation,)), 315: (2, b"me\0"), 282: (5, (300, 1))}
    tags |= {283: (5, (300, 1)), 296: (3, (2,)), 34665: (4, (0,))}
    if path.suffix == ".tif":
        tags |= {34675: (7, profile), 700: (1, XMP)}
        data = files.tiff(path, files.codes(), tags=tags).read_bytes()
        at = len(data) + len(data) % 2
        files.tiff(path, files.codes(), tags=tags | {34665: (4, (at,))})
        path.write_bytes(path.read_bytes().ljust(at, b"\0") + files.directory(inner, "<", at))
        return path
    at = 8 + len(files.directory(tags, "<", 8))
    tags[34665] = (4, (at,))
    exif = b"II*\0\x08\0\0\0" + files.directory(tags, "<", 8) + files.directory(inner, "<", at)
    if path.suffix == ".png":
        chunks = ((b"iCCP", b"x\0\0" + zlib.compress(profile)), (b"eXIf", exif))
        return files.png(path, *chunks, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP))
    return files.jpeg(
        path,
        (0xE1, b"Exif\0\0" + exif),
        (0xE2, b"ICC_PROFILE\0\1\2" + profile[:100]),
        (0xE2, b"ICC_PROFILE\0\2\2" + profile[100:]),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
    )


@pytest.mark.parametrize("ext", ["jpg", "tif", "png"])
@pytest.mark.parametrize("to", ["tif", "png"])
def test_what_belongs_to_a_picture_goes_into_another_kind(
    ext: str, to: str, tmp_path: Path
) -> None:
    """Also with other bits: an image of the same kind is then made anew."""
    source = with_everything(tmp_path / f"a.{ext}")
    target = tmp_path / f"b.{to}"
    assert call("run", source, "-o", target, "--strict", "--bit-depth", "16", *ZERO) == 0
    spec, pixels = images.read(target)
    assert np.array_equal(pixels, images.read(source)[1].astype(np.uint16) * 257)
    assert spec.getattribute("Orientation") == 6 and spec.getattribute("Artist") == "me"
    assert spec.getattribute("XResolution") == pytest.approx(300, abs=0.01)
    assert spec.getattribute("ExposureTime") == pytest.approx(1 / 250)
    assert bytes(spec.getattribute("ICCProfile")) == ADOBE
    assert XMP in target.read_bytes()
    if to == "png":
        kinds = sorted(kind for kind, _ in files.png_chunks(target))
        assert kinds in ([b"eXIf", b"iCCP", b"iTXt", b"pHYs"], [b"eXIf", b"iCCP", b"iTXt"])
    else:
        assert 306 not in files.tiff_tags(target)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_kind_that_cannot_say_how_it_is_turned_is_written_turned(
    orientation: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = with_everything(tmp_path / "a.tif", orientation)
    assert call("run", source, "-o", tmp_path / "b.exr", *ZERO) == 0
    said = capsys.readouterr().err
    assert ("as it is to be seen" in said) == (orientation > 1)
    assert "ICC profile (Adobe RGB) cannot be kept in exr" in said
    # As Exif 2.3 says where row 0 and column 0 of the stored picture are seen.
    seen = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }
    wanted = seen[orientation](images.read(source)[1]) / np.float32(255)
    spec, found = images.read(tmp_path / "b.exr")
    assert np.abs(found.astype(float) - wanted).max() < 1e-3
    assert spec.getattribute("oiio:ColorSpace") not in ("srgb_rec709_scene", "sRGB")
    assert call("run", source, "-o", tmp_path / "c.exr", "--strict", *ZERO) == 4


@pytest.mark.parametrize("orientation", [2, 3, 5, 6, 8])
def test_a_movie_of_a_turned_image_is_shown_turned(orientation: int, tmp_path: Path) -> None:
    source = with_everything(tmp_path / "a.jpg", orientation, SRGB)
    assert call("run", source, "-o", tmp_path / "b.mov", "--codec", "prores", *ZERO) == 0
    info = probe(tmp_path / "b.mov")
    assert info.rotation == {2: 180, 3: 180, 5: 270, 6: 270, 8: 90}[orientation]
    assert call("run", tmp_path / "b.mov", "-o", tmp_path / "c.tif", *ZERO) == 0


@pytest.mark.parametrize(
    ("chunks", "primaries", "transfer"),
    [
        ((), "bt709", "iec61966-2-1"),
        ("sRGB", "bt709", "iec61966-2-1"),
        ("P3", "smpte432", "gamma22"),
        ("PQ", "bt2020", "smpte2084"),
        (((b"iCCP", b"x\0\0" + zlib.compress(SRGB)),), "bt709", "iec61966-2-1"),
        (((b"iCCP", b"x\0\0" + zlib.compress(P3)),), "smpte432", "iec61966-2-1"),
        (((b"iCCP", b"x\0\0" + zlib.compress(ADOBE)),), "unknown", "unknown"),
        (((b"gAMA", struct.pack(">I", 55556)),), "unknown", "unknown"),
    ],
)
def test_a_movie_is_told_the_color_of_its_images_and_no_other(
    chunks: Any, primaries: str, transfer: str, tmp_path: Path
) -> None:
    chunks = CHUNKS[chunks] if isinstance(chunks, str) else chunks
    source = files.png(tmp_path / "a.png", *chunks)
    assert call("run", source, "-o", tmp_path / "b.mov", "--codec", "prores", *ZERO) == 0
    info = probe(tmp_path / "b.mov")
    assert (info.primaries, info.transfer) == (primaries, transfer)


def test_a_jpeg_that_says_it_is_no_srgb_is_not_called_so(tmp_path: Path) -> None:
    inner: files.Tags = {40961: (3, (65535,))}
    at = 8 + len(files.directory({34665: (4, (0,))}, "<", 8))
    exif = b"II*\0\x08\0\0\0" + files.directory({34665: (4, (at,))}, "<", 8)
    exif += files.directory(inner, "<", at)
    source = files.jpeg(tmp_path / "a.jpg", (0xE1, b"Exif\0\0" + exif))
    assert call("run", source, "-o", tmp_path / "b.mov", "--codec", "prores", *ZERO) == 0
    assert probe(tmp_path / "b.mov").primaries == "unknown"
    assert call("run", source, "-o", tmp_path / "b.exr", *ZERO) == 0
    assert images.read(tmp_path / "b.exr")[0].getattribute("oiio:ColorSpace") == "unknown"


@pytest.mark.parametrize("to", ["tif", "exr", "dpx", "png"])
def test_color_tags_of_a_png_are_kept_or_named(
    to: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = files.png(tmp_path / "a.png", *CHUNKS["P3"])
    target = tmp_path / f"b.{to}"
    assert call("run", source, "-o", target, "--bit-depth", "16", *ZERO) == 0
    said = capsys.readouterr().err
    lost = {"tif": "gAMA", "exr": "gAMA", "dpx": "cHRM, gAMA", "png": ""}[to]
    assert (f"the color tags {lost} cannot be kept" in said) == (to != "png")
    if to == "png":
        assert dict(files.png_chunks(target)) == dict(CHUNKS["P3"])
    if to == "exr":
        wanted = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329)
        found = images.read(target)[0].getattribute("chromaticities")
        assert tuple(found) == pytest.approx(wanted, abs=1e-6)
    if to == "tif":
        values = struct.unpack("<12I", files.tiff_tags(target)[319][1])
        assert values[::2] == (68000, 32000, 26500, 69000, 15000, 6000)


@pytest.mark.parametrize("to", ["png", "tif", "exr", "dpx"])
def test_an_untagged_image_stays_untagged_in_another_kind(to: str, tmp_path: Path) -> None:
    source = files.tiff(tmp_path / "a.tif", files.codes())
    target = tmp_path / f"b.{to}"
    assert call("run", source, "-o", target, "--bit-depth", "16", "--strict", *ZERO) == 0
    if to == "png":
        assert files.png_chunks(target) == []
    elif to == "tif":
        assert not set(files.tiff_tags(target)) & {274, 305, 306, 700, 34665}
    else:
        assert images.read(target)[0].getattribute("ICCProfile") is None


def test_a_movies_color_goes_into_png(tmp_path: Path) -> None:
    movie = tmp_path / "a.mov"
    source = files.png(tmp_path / "a.png", *CHUNKS["PQ"])
    assert call("run", source, "-o", movie, "--codec", "prores", *ZERO) == 0
    assert call("run", movie, "-o", tmp_path / "b.png", *ZERO) == 0
    assert files.png_chunks(tmp_path / "b.png") == [(b"cICP", bytes((9, 16, 0, 1)))]


# -- OpenEXR -----------------------------------------------------------------------------------


def exr_attributes(path: Path) -> dict[bytes, tuple[bytes, bytes]]:
    """Type and value of each attribute of the first part."""
    data, at, found = path.read_bytes(), 8, {}
    while data[at]:
        name, kind, rest = data[at:].split(b"\0", 2)
        at += len(name) + len(kind) + 2
        size = struct.unpack_from("<i", data, at)[0]
        found[name] = (kind, rest[4 : 4 + size])
        at += 4 + size
    return found


def insert_attributes(path: Path, *more: tuple[bytes, bytes, bytes]) -> Path:
    """Put attributes in front of a file's, and move what the table of chunks points at."""
    data = path.read_bytes()
    new = b"".join(n + b"\0" + k + b"\0" + struct.pack("<i", len(v)) + v for n, k, v in more)
    at = 8
    for name, (kind, value) in exr_attributes(path).items():
        at += len(name) + len(kind) + 2 + 4 + len(value)
    at += 1
    count = (struct.unpack_from("<Q", data, at)[0] - at) // 8
    table = struct.unpack_from(f"<{count}Q", data, at)
    moved = struct.pack(f"<{count}Q", *(place + len(new) for place in table))
    path.write_bytes(data[:8] + new + data[8:at] + moved + data[at + 8 * count :])
    return path


@pytest.mark.parametrize("compression", ["none", "zip", "piz", "dwaa"])
def test_an_exr_keeps_attributes_that_nobody_knows_and_gains_none(
    compression: str, tmp_path: Path
) -> None:
    pixels = images.picture(0).astype(np.float16)
    source = images.write(
        tmp_path / "a.exr", pixels, "half", window=(-3, 2), compression=compression
    )
    more = (
        (b"dwaCompressionLevel", b"float", struct.pack("<f", 45)),
        (b"studio", b"studioType", b"\x80\xff\x01"),
        (b"strange", b"string", b"no \xff UTF-8"),
        (b"keyed", b"keycode", struct.pack("<7i", 1, 2, 3, 4, 5, 4, 64)),
        (b"words", b"stringvector", struct.pack("<i", 2) + b"ab" + struct.pack("<i", 1) + b"c"),
        (b"lens", b"rational", struct.pack("<iI", 50, 1)),
    )
    insert_attributes(source, *more)
    command = ("run", source, "-o", tmp_path / "b.exr", *ZERO)
    assert call(*command) == 0
    before, after = (exr_attributes(path) for path in (source, tmp_path / "b.exr"))
    if compression == "dwaa":
        assert after.pop(b"compression")[1] == b"\3" and before.pop(b"compression")
    assert after == before and (b"capDate" in after) == (b"capDate" in before)
    assert np.array_equal(images.read(source)[1], images.read(tmp_path / "b.exr")[1])
    assert call("run", source, "-o", tmp_path / "c.exr", "--bit-depth", "32", *ZERO) == 0
    wide = exr_attributes(tmp_path / "c.exr")
    for name in (b"dataWindow", b"displayWindow", *(name for name, _, _ in more)):
        assert wide[name] == before[name]


@pytest.mark.parametrize("parts", [1, 2])
def test_views_and_layers_that_keep_their_noise_are_named(
    parts: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.exr"
    pixels = images.picture(0, channels=7).astype(np.float16)
    if parts == 1:
        names = ("B", "G", "R", "right.B", "right.G", "right.R", "depth.Z")
        images.write(path, pixels, "half", names=names)
    else:
        specs = [oiio.ImageSpec(64, 48, 3, "half") for _ in range(2)]
        for spec, name in zip(specs, ("left", "right"), strict=True):
            spec.attribute("name", name)
            spec.attribute("view", name)
        out = oiio.ImageOutput.create(str(path))
        assert out.open(str(path), tuple(specs)) and out.write_image(pixels[..., :3].copy())
        assert out.open(str(path), specs[1], "AppendSubimage")
        assert out.write_image(pixels[..., 3:6].copy()) and out.close()
    assert call("run", path, "-o", tmp_path / "b.exr", *GIVEN) == 0
    name = "right" if parts == 1 else "part 1"
    assert f"other pictures in the file keep their noise: {name}" in capsys.readouterr().err
    assert call("run", path, "-o", tmp_path / "c.exr", "--strict", *GIVEN) == 4


def test_a_change_of_depth_says_that_layers_stay_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("B", "G", "R", "Z")
    pixels = images.picture(0, channels=4).astype(np.float16)
    images.write(tmp_path / "a.exr", pixels, "half", names=names)
    given = ("--bit-depth", "32", *ZERO)
    assert call("run", tmp_path / "a.exr", "-o", tmp_path / "b.exr", *given) == 0
    assert "other layers stay behind" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["m.exr", "m.tif"])
def test_smaller_copies_of_a_picture_are_left_out_by_name(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = images.write(tmp_path / "a.exr", images.picture(0).astype(np.float16), "half")
    made = oiio.ImageBufAlgo.make_texture(
        oiio.MakeTxTexture, oiio.ImageBuf(str(plain)), str(tmp_path / name), oiio.ImageSpec()
    )
    assert made, oiio.geterror()
    target = tmp_path / f"out{Path(name).suffix}"
    assert call("run", tmp_path / name, "-o", target, *ZERO, "--strict") == 4
    assert "smaller copies of the picture" in capsys.readouterr().err
    assert call("run", tmp_path / name, "-o", target, *ZERO) == 0
    assert np.array_equal(images.read(target)[1], images.read(tmp_path / name)[1])


def test_a_display_window_is_kept_in_exr_and_else_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = images.picture(0).astype(np.float32)
    source = images.write(tmp_path / "a.exr", pixels, "float", window=(-5, 7))
    assert call("run", source, "-o", tmp_path / "b.exr", *ZERO, "--strict") == 0
    assert exr_attributes(tmp_path / "b.exr")[b"displayWindow"][1] == struct.pack(
        "<4i", 0, 0, 63, 47
    )
    assert call("run", source, "-o", tmp_path / "b.tif", *ZERO, "--strict") == 4
    assert "the display window (64x48) around its pixels cannot" in capsys.readouterr().err


def test_luminance_and_chroma_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Taken for gray with further channels, the colors would keep their noise."""
    pixels, names = images.picture(0).astype(np.float16), ("BY", "RY", "Y")
    source = images.write(tmp_path / "a.exr", pixels, "half", names=names)
    assert call("run", source, "-o", tmp_path / "b.exr", *ZERO) == 3
    assert "luminance and chroma" in capsys.readouterr().err


def test_a_new_exr_has_no_date_that_nobody_gave(tmp_path: Path) -> None:
    source = files.png(tmp_path / "a.png")
    assert call("run", source, "-o", tmp_path / "b.exr", *ZERO) == 0
    assert b"capDate" not in exr_attributes(tmp_path / "b.exr")
    dated = images.write(
        tmp_path / "c.dpx", files.codes("uint16"), "uint16", bits=16, DateTime="2020:01:02 03:04:05"
    )
    assert call("run", dated, "-o", tmp_path / "d.exr", *ZERO) == 0
    assert exr_attributes(tmp_path / "d.exr")[b"capDate"][1] == b"2020:01:02 03:04:05"


@pytest.mark.parametrize("place", ["type", "name", "channel", "layer"])
def test_bytes_that_are_no_text_end_in_an_error_and_not_in_a_traceback(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = images.picture(0).astype(np.float16)
    source = images.write(tmp_path / "a.exr", pixels, "half", compression="none")
    data = source.read_bytes()
    match place:
        case "type":
            data = data.replace(b"compression\0compression", b"compression\0\xff\xfempression")
        case "name":
            data = data.replace(b"dataWindow\0", b"\xff\xfeataWindo\0")
        case "channel":
            data = data.replace(b"chlist\0\x37\0\0\0B\0", b"chlist\0\x37\0\0\0\xff\0")
        case "layer":
            data = data[: len(data) // 2]
            source = source.rename(tmp_path / "b\udcff.exr")
    source.write_bytes(data)
    assert call("run", source, "-o", tmp_path / "c.exr", *GIVEN) == 3
    said = capsys.readouterr().err
    assert "Traceback" not in said and "[exit 3]" in said.splitlines()[-1]


@pytest.mark.parametrize("name", [f"{'n' * 243}.png", f"{'ü' * 120}é.png"])
def test_a_name_as_long_as_a_file_system_takes_is_written(name: str, tmp_path: Path) -> None:
    source = files.png(tmp_path / "a.png")
    for target in (tmp_path / name, tmp_path / f"{name[:-4]}.mkv"):
        assert call("run", source, "-o", target, *ZERO) == 0
        assert target.exists()
    recipes = [path for path in tmp_path.iterdir() if path.name.endswith(".vdenoise.json")]
    assert len(recipes) == 2 and not list(tmp_path.glob(".*"))


@pytest.fixture
def gray(tmp_path: Path) -> tuple[Path, np.ndarray[Any, Any]]:
    """A gray TIFF, and its (H, W, 1) codes."""
    path, pixels = tmp_path / "g.tif", np.ascontiguousarray(files.codes()[..., :1])
    out = oiio.ImageOutput.create(str(path))
    out.open(str(path), oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 1, "uint8"))
    out.write_image(pixels)
    out.close()
    return path, pixels


@pytest.mark.parametrize("to", ["tif", "png", "dpx"])
def test_gray_stays_gray_in_another_kind(
    gray: tuple[Path, np.ndarray[Any, Any]], to: str, tmp_path: Path
) -> None:
    (source, pixels), target = gray, tmp_path / f"out.{to}"
    assert call("run", source, "-o", target, *ZERO) == 0
    assert np.array_equal(oiio.ImageBuf(str(target)).get_pixels(oiio.UINT8), pixels)


def test_gray_images_become_a_gray_movie(
    gray: tuple[Path, np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    """Which FFmpeg's H.264 decoder shows as 4:2:0 without color."""
    (source, pixels), target = gray, tmp_path / "out.mp4"
    assert call("run", source, "-o", target, "--crf", "1", *ZERO) == 0
    with av.open(str(target)) as movie:
        shown = next(movie.decode(video=0)).to_ndarray(format="gray").astype(int)
    assert np.abs(shown - pixels[..., 0]).mean() < 2
