from __future__ import annotations

import json
import resource
from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest
import torch

from tests.helpers import images
from tests.helpers.clips import Clip
from tests.helpers.clips import write as write_clip
from tests.helpers.rights import permissions_count
from vdenoise import cli
from vdenoise.errors import InputError, UsageError
from vdenoise.farm.segments import frame_hashes
from vdenoise.media.images import sequence
from vdenoise.media.images.linear import fit_curve
from vdenoise.media.movie.clock import timecode_of, timecode_word
from vdenoise.media.movie.pixels import planar_format
from vdenoise.media.movie.settings import choose
from vdenoise.media.output_names import split_name
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.noise.removed import restore_planes
from vdenoise.picture.color import apply_curve, undo_curve
from vdenoise.picture.frame import Curve, PixelFormat
from vdenoise.picture.samples import rgb_samples

FAST = ("--speed", "veryfast", "--temporal-radius", "1", "--spatial", "gaussian")
GIVEN = (*FAST, "--sigma", "5", "--cuts", "off")  # nothing is measured
ZERO = (*GIVEN, "--luma", "0", "--chroma", "0")
KINDS = (
    *("exr-half", "exr-float", "exr-halfa", "tif-8", "tif-16a", "tif-float"),
    *("png-8", "png-16", "png-16a", "dpx-10", "dpx-12", "dpx-16", "dpx-8"),
)


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


def same(a: images.Array, b: images.Array) -> bool:
    """Equal to the bit, NaN included."""
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


# -- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.####.exr", "a.@@@@.exr", "a.%04d.exr", "a.$F4.exr", "a.#.exr"])
def test_every_way_to_write_a_pattern(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "a.0998.exr", "a.0999.exr", "a.1000.exr", "b.0997.exr", "a.0997.png")
    found = sequence.find(tmp_path / name)
    assert found.numbers == (998, 999, 1000)
    assert found.path(7).name == "a.0007.exr" and found.pattern.name == "a.####.exr"


@pytest.mark.parametrize(
    ("clip", "wanted"),
    [
        ("s/plate.####.exr", ("plate", "####", "exr")),
        ("s/plate_%04d_v2.dpx", ("plate_v2", "%04d", "dpx")),
        ("s/a-$F4.tif", ("a", "$F4", "tif")),
        ("s/@@@@.png", ("s", "@@@@", "png")),
        ("s/####.jpg", ("s", "####", "png")),
        ("s/still.JPG", ("still", "", "png")),
        ("s/a.####.MOV", ("a.####", "", "MOV")),
        ("s/a.mpg", ("a", "", "mkv")),
    ],
)
def test_an_output_is_called_as_its_clip(clip: str, wanted: tuple[str, str, str]) -> None:
    assert split_name(Path(clip)) == wanted


def test_unpadded_numbers(tmp_path: Path) -> None:
    touch(tmp_path, "a.9.exr", "a.10.exr", "a.11.exr")
    for name in ("a.%d.exr", "a.#.exr", "a.$F.exr"):
        assert sequence.find(tmp_path / name).numbers == (9, 10, 11)


def test_a_gap_is_refused_skipped_or_held(tmp_path: Path) -> None:
    touch(tmp_path, *(f"a.{n:04d}.exr" for n in (1, 2, 4, 5, 9)))
    with pytest.raises(InputError, match=r"frames 3, 6, 7, 8") as caught:
        sequence.find(tmp_path / "a.####.exr")
    assert caught.value.code == "E0314" and "--on-missing" in caught.value.hint
    assert sequence.find(tmp_path / "a.####.exr", "skip").numbers == (1, 2, 4, 5, 9)
    held = sequence.find(tmp_path / "a.####.exr", "hold")
    assert held.numbers == tuple(range(1, 10)) and held.held == (3, 6, 7, 8)
    assert [held.source(p).name[2:6] for p in range(9)] == [
        *("0001", "0002", "0002", "0004", "0005", "0005", "0005", "0005", "0009")
    ]
    assert "3, 6, 7, 8" in sequence.notes(held)[0]


def test_a_sequence_on_twos_is_whole(tmp_path: Path) -> None:
    touch(tmp_path, *(f"a.{n}.exr" for n in (1001, 1003, 1005, 1007)))
    found = sequence.find(tmp_path / "a.####.exr")
    assert found.numbers == (1001, 1003, 1005, 1007)
    assert sequence.notes(found) == ("the frame numbers go in steps of 2",)


@pytest.mark.parametrize("pattern", ["a.####.exr", "a.#.exr", "a.%d.exr"])
def test_two_paddings_in_one_folder_are_refused(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "a.0001.exr", "a.0002.exr", "a.3.exr")
    with pytest.raises(InputError, match="another padding") as caught:
        sequence.find(tmp_path / pattern)
    assert caught.value.code == "E0315"


def test_what_is_not_there_says_what_is(tmp_path: Path) -> None:
    touch(tmp_path, "shot.0001.dpx", "shot.0002.dpx", "still.png")
    with pytest.raises(InputError) as caught:
        sequence.find(tmp_path / "a.####.exr")
    assert "shot.####.dpx" in caught.value.hint and "still.png" in caught.value.hint
    with pytest.raises(InputError, match="folder"):
        sequence.find(tmp_path / "none" / "a.####.exr")
    with pytest.raises(UsageError, match="2 places"):
        sequence.find(tmp_path / "a.####.%04d.exr")


def test_a_folder_lists_its_sequences(tmp_path: Path) -> None:
    touch(tmp_path, "a.9.exr", "a.10.exr", "b0099.png", "b0100.png", "c.jpg", "d_1.tif", "x.mov")
    names = [path.name for path in sequence.in_folder(tmp_path)]
    assert names == ["a.#.exr", "b####.png", "c.jpg", "d_1.tif"]


# -- samples ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_strength_0_gives_every_bit_back(tmp_path: Path, kind: str) -> None:
    pattern = images.sequence(tmp_path / "in", kind)
    target = tmp_path / pattern.name.replace("plate", "clean")
    assert call("run", pattern, "-o", target, *ZERO) == 0
    for n in range(1001, 1005):
        before, a = images.read(pattern.with_name(pattern.name.replace("####", str(n))))
        after, b = images.read(target.with_name(target.name.replace("####", str(n))))
        assert same(a, b) and before.channelnames == after.channelnames
        skipped = {"Software", "DateTime"}
        left, right = (
            {p.name: p.value for p in s.extra_attribs if p.name not in skipped}
            for s in (before, after)
        )
        assert left == right
    assert not list(tmp_path.glob(".*"))


def test_what_is_no_color_is_not_touched(tmp_path: Path) -> None:
    for n in range(3):
        layers = np.concatenate([images.picture(n), images.picture(9 + n, channels=2)], -1)
        images.write(
            tmp_path / f"p.{n}.exr",
            layers.astype(np.float16).astype(np.float32),
            "half",
            names=("R", "G", "B", "depth.Z", "mask"),
            formats=("half", "half", "half", "float", "half"),
            window=(-7, 5),
            compression="piz",
            artist="someone",
        )
    assert call("run", tmp_path / "p.#.exr", "-o", tmp_path / "q.#.exr", *GIVEN) == 0
    for n in range(3):
        before, a = images.read(tmp_path / f"p.{n}.exr")
        after, b = images.read(tmp_path / f"q.{n}.exr")
        assert after.channelnames == before.channelnames
        assert after.channelformats == before.channelformats
        assert (after.x, after.y, after.getattribute("compression")) == (-7, 5, "piz")
        assert after.getattribute("artist") == "someone"
        changed = [not same(a[..., c].copy(), b[..., c].copy()) for c in range(5)]
        assert changed == [True, True, True, False, False]


def test_further_parts_are_not_touched(tmp_path: Path) -> None:
    specs = [oiio.ImageSpec(64, 48, 3, "half"), oiio.ImageSpec(64, 48, 1, "float")]
    specs[1].channelnames = ("Z",)
    depth = images.picture(5, channels=1).astype(np.float32)
    for spec, name in zip(specs, ("beauty", "depth"), strict=True):
        spec.attribute("name", name)
    path = tmp_path / "p.exr"
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), tuple(specs))
    assert out.write_image(images.picture(0).astype(np.float16))
    assert out.open(str(path), specs[1], "AppendSubimage") and out.write_image(depth)
    assert out.close()
    assert call("run", path, "-o", tmp_path / "q.exr", *GIVEN) == 0
    file = oiio.ImageInput.open(str(tmp_path / "q.exr"))
    assert file.seek_subimage(1, 0) and file.spec().getattribute("name") == "depth"
    assert same(file.read_image(1, 0, 0, 1, "float"), depth)
    assert not same(images.read(path)[1], images.read(tmp_path / "q.exr")[1])


def test_linear_light_goes_into_no_movie_that_is_to_be_looked_at(tmp_path: Path) -> None:
    info = probe(images.sequence(tmp_path, "exr-half", frames=1))
    assert choose(info, tmp_path / "a.mkv").pixel_format.floating
    with pytest.raises(UsageError, match="does not hold 16-bit float RGB") as caught:
        choose(info, tmp_path / "a.mov")
    assert "--codec ffv1 in matroska" in caught.value.hint
    assert caught.value.hint.endswith("it needs a color transform first.")


@pytest.mark.parametrize("kind", ["exr-half", "exr-float", "tif-float"])
def test_denoising_harms_no_unusual_value(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = images.sequence(tmp_path / "in", kind)
    target = tmp_path / f"q.####{pattern.suffix}"
    assert call("run", pattern, "-o", target, *FAST) == 0
    assert "NaN or infinity" in capsys.readouterr().err
    for n in range(1001, 1005):
        a = images.read(pattern.with_name(pattern.name.replace("####", str(n))))[1]
        b = images.read(target.with_name(target.name.replace("####", str(n))))[1]
        strange = ~np.isfinite(a)
        assert strange.sum() == 3
        assert same(a[strange], b[strange]) and np.isfinite(b[~strange]).all()
        # The samples around a NaN keep their level.
        near = np.zeros_like(strange)
        near[2:5, 4:7] = True
        near &= ~strange
        assert np.abs(b[near] - a[near]).max() < 0.5


def test_a_correction_cannot_leave_the_range_of_half(tmp_path: Path) -> None:
    pixels = np.full((48, 64, 3), 65504, np.float16)
    pixels[::2, ::2] = 60000
    images.write(tmp_path / "a.exr", pixels, "half")
    assert call("run", tmp_path / "a.exr", "-o", tmp_path / "b.exr", *GIVEN) == 0
    assert np.isfinite(images.read(tmp_path / "b.exr")[1]).all()


@pytest.mark.parametrize("data", [-1.8e38, 3e38, 1e20])
def test_a_number_that_is_no_light_stays_and_spoils_nothing(tmp_path: Path, data: float) -> None:
    """Damage, or a value that says "nothing here"."""
    pixels = np.random.default_rng(0).uniform(0.4, 0.5, (48, 64, 3)).astype(np.float32)
    pixels[10, 20, 1] = data
    images.write(tmp_path / "a.exr", pixels, "float")
    assert call("run", tmp_path / "a.exr", "-o", tmp_path / "b.exr", *FAST) == 0
    made = images.read(tmp_path / "b.exr")[1]
    assert made[10, 20, 1] == pixels[10, 20, 1]
    made[10, 20, 1] = 0.45
    assert made.min() > 0.35 and made.max() < 0.55


def test_denoising_a_sequence_removes_noise(tmp_path: Path) -> None:
    pattern = images.sequence(tmp_path / "in", "exr-half", frames=6)
    clean = [images.picture(n, noise=0) * 4 for n in range(6)]
    assert call("run", pattern, "-o", tmp_path / "q.####.exr", "--speed", "fast") == 0
    inside = np.s_[16:40, 12:52]  # away from the strange samples
    before, after = (
        np.mean(
            [
                np.square(images.read(f)[1][inside].astype(float) - c[inside]).mean()
                for f, c in zip(sorted(where.glob("*.exr")), clean, strict=True)
            ]
        )
        for where in (pattern.parent, tmp_path)
    )
    assert after < before / 4


def test_clean_plus_noise_is_the_source(tmp_path: Path) -> None:
    for kind, noise in (("exr-half", "n.####.exr"), ("png-8", "n.####.png"), ("dpx-10", "n.mkv")):
        folder = tmp_path / kind
        pattern = images.sequence(folder, kind)
        target, removed = folder / f"q.####{pattern.suffix}", folder / noise
        assert call("run", pattern, "-o", target, "--noise-out", removed, *GIVEN) == 0
        infos = [probe(path) for path in (pattern, target, removed)]
        for source, clean, rest in zip(*(list(Reader(i)) for i in infos), strict=True):
            back = restore_planes(clean.planes, rest.planes, infos[1].format, infos[2].format)
            for a, b, c in zip(source.planes, back, clean.planes, strict=True):
                assert same(a.numpy(), b.numpy())
                assert not torch.equal(a, c)


# -- frames ----------------------------------------------------------------------------------


def test_parts_of_a_sequence_equal_the_whole(tmp_path: Path) -> None:
    pattern = images.sequence(tmp_path / "in", "png-8", frames=7)
    (tmp_path / "all").mkdir()
    assert call("run", pattern, "-o", tmp_path / "all" / "q.####.png", *GIVEN) == 0
    (tmp_path / "parts").mkdir()
    for part in ("1001-1002", "1003", "1004-1007x2", "1005,1007"):
        target = tmp_path / "parts" / "q.####.png"
        assert call("run", pattern, "-o", target, "--frames", part, *GIVEN) == 0
    whole, parts = (sorted((tmp_path / name).glob("*.png")) for name in ("all", "parts"))
    assert [p.name for p in whole] == [p.name for p in parts] and len(whole) == 7
    assert [p.read_bytes() for p in whole] == [p.read_bytes() for p in parts]


def test_skipped_and_held_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pattern = images.sequence(tmp_path / "in", "png-8", frames=5)
    (tmp_path / "in" / "plate.1003.png").unlink()
    target = tmp_path / "q.####.png"
    assert call("run", pattern, "-o", target, *GIVEN) == 3
    assert "lacks frame 1003" in capsys.readouterr().err and not list(tmp_path.glob("q.*"))
    assert call("run", pattern, "-o", target, "--on-missing", "skip", *GIVEN) == 0
    assert [p.name[2:6] for p in sorted(tmp_path.glob("q.*.png"))] == [
        *("1001", "1002", "1004", "1005")
    ]
    args = ("--on-missing", "hold", "--overwrite", *ZERO)
    assert call("run", pattern, "-o", target, *args) == 0
    names = ("in/plate.1002.png", "q.1003.png")
    assert same(*(images.read(tmp_path / name)[1] for name in names))
    recipe = json.loads((tmp_path / "q.####.png.vdenoise.json").read_text())
    assert "1003" in " ".join(recipe["plan"]["warnings"])


def test_a_frame_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = images.sequence(tmp_path / "in", "png-8")
    for frames in ("1001-1100", "1-3", "1005"):
        assert call("run", pattern, "-o", tmp_path / "q.####.png", "--frames", frames) == 2
        assert "1001-1004" in capsys.readouterr().err


def test_to_a_movie_and_back(tmp_path: Path) -> None:
    for kind in ("exr-half", "png-8", "dpx-10", "png-16a"):
        folder = tmp_path / kind
        pattern = images.sequence(folder / "in", kind) if folder.mkdir() is None else Path()
        movie, back = folder / "m.mkv", folder / f"back.####{pattern.suffix}"
        assert call("run", pattern, "-o", movie, "--fps", "23.976", "--codec", "ffv1", *ZERO) == 0
        assert str(probe(movie).rate) == "24000/1001"
        assert call("run", movie, "-o", back, *ZERO) == 0
        for n in range(4):
            a = images.read(folder / "in" / f"plate.{1001 + n}{pattern.suffix}")[1]
            b = images.read(folder / f"back.{n:04d}{pattern.suffix}")[1]
            assert same(a, b), kind


def test_the_shape_of_pixels_goes_from_images_into_a_movie(tmp_path: Path) -> None:
    """Also into what is written beside it, and where the ratio takes large numbers."""
    for aspect in (2.0, 1.8958333):
        for n in range(2):
            pixels = images.picture(n).astype(np.float16)
            path = tmp_path / f"plate.{n}.exr"
            images.write(path, pixels, "half", PixelAspectRatio=aspect)
        movie, noise, matte = (tmp_path / f"{name}.mkv" for name in ("clean", "noise", "matte"))
        beside = ("--noise-out", noise, "--matte-out", matte, "--codec", "ffv1", "--overwrite")
        assert call("run", tmp_path / "plate.#.exr", "-o", movie, *beside, *GIVEN) == 0
        for written in (movie, noise, matte):
            assert float(probe(written).sample_aspect_ratio) == pytest.approx(aspect, abs=1e-4)


def test_images_become_a_movie_that_plays(tmp_path: Path) -> None:
    info = probe(images.sequence(tmp_path, "png-8", frames=2))
    delivered = choose(info, tmp_path / "a.mp4")
    assert (delivered.codec, delivered.coded_format) == ("x264", "yuv420p")
    assert choose(info, tmp_path / "a.mov").codec == "png"


def test_yuv_becomes_the_rgb_it_stands_for() -> None:
    yuv = PixelFormat("yuv444p16le", "yuv", 16)
    out = planar_format("gbrp16le")
    assert out is not None
    rgb = torch.rand(3, 8, 8, dtype=torch.float64)
    for matrix, kr, kb in (("bt709", 0.2126, 0.0722), ("smpte170m", 0.299, 0.114)):
        y = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
        cb, cr = (rgb[2] - y) / (2 - 2 * kb), (rgb[0] - y) / (2 - 2 * kr)
        step = 256
        planes = (y * 219 * step + 16 * step, *(c * 224 * step + 128 * step for c in (cb, cr)))
        codes = [p.round().to(torch.int32).to(torch.uint16) for p in planes]
        found = rgb_samples(codes, yuv, False, matrix, out)
        for plane, wanted in zip(found, rgb[[1, 2, 0]], strict=True):
            assert (plane.double() / 65535 - wanted).abs().max() < 4e-5


def test_a_movie_becomes_images(tmp_path: Path) -> None:
    clip = write_clip(Clip("in.mkv", codec="ffv1", frames=3), tmp_path)
    for name, kind in (("a.####.png", "uint16"), ("a.####.exr", "half"), ("a.####.dpx", "uint16")):
        assert call("run", clip, "-o", tmp_path / name, *ZERO) == 0
        spec, pixels = images.read(tmp_path / name.replace("####", "0002"))
        assert str(spec.format) == kind and pixels.shape == (probe(clip).height, *pixels.shape[1:])


def test_a_still_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    images.write(tmp_path / "a.jpg", (images.picture(0).clip(0, 1) * 255).astype(np.uint8), "uint8")
    assert call("run", tmp_path / "a.jpg", "-o", tmp_path / "b.png", *FAST) == 0
    assert images.read(tmp_path / "b.png")[1].shape == (48, 64, 3)
    assert call("run", tmp_path / "a.jpg", "-o", tmp_path / "b.jpg", *FAST) == 2


def test_one_file_does_not_hold_a_sequence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = images.sequence(tmp_path / "in", "png-8")
    assert call("run", pattern, "-o", tmp_path / "q.png", *GIVEN) == 2
    assert "q.####.png" in capsys.readouterr().err
    assert call("run", pattern, "-o", pattern, "--overwrite", *GIVEN) == 2
    assert call("run", pattern, "-o", tmp_path / "q.mkv", "--frames", "1001-1004x2", *GIVEN) == 2


def test_a_lossy_compression_is_not_kept(tmp_path: Path) -> None:
    for name, kept in (("dwaa", "zip"), ("piz", "piz"), ("pxr24", "pxr24"), ("b44", "zip")):
        pixels = images.picture(0).astype(np.float16)
        images.write(tmp_path / f"{name}.exr", pixels, "half", compression=name)
        target = tmp_path / f"q{name}.exr"
        assert call("run", tmp_path / f"{name}.exr", "-o", target, *ZERO) == 0
        assert images.read(target)[0].getattribute("compression") == kept


# -- damage ----------------------------------------------------------------------------------


def damage(folder: Path, kind: str) -> None:
    """Do something to the third of four EXR images."""
    path = folder / "plate.1003.exr"
    match kind:
        case "truncated":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("no image at all")
        case "size":
            images.write(path, images.picture(0)[:40].astype(np.float16), "half")
        case "window":
            images.write(path, images.picture(0).astype(np.float16), "half", window=(1, 0))
        case "channels":
            images.write(path, images.picture(0, channels=4).astype(np.float16), "half")
        case "depth":
            images.write(path, images.picture(0).astype(np.float32), "float")
        case "huge":
            spec = oiio.ImageSpec(70000, 70000, 3, "half")
            spec.tile_width = spec.tile_height = 4096
            out = oiio.ImageOutput.create(str(path))
            assert out.open(str(path), spec) and out.close()


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("truncated", "E0308", "cut short"),
        ("empty", "E0303", "is empty"),
        ("text", "E0308", "damaged"),
        ("size", "E0312", "64x40"),
        ("window", "E0312", "64x48+1+0"),
        ("channels", "E0312", "R,G,B,A"),
        ("depth", "E0312", "32-bit float"),
        ("huge", "E0316", "70000x70000"),
    ],
)
def test_a_bad_frame_is_an_error_that_names_it(
    tmp_path: Path, kind: str, code: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = images.sequence(tmp_path / "in", "exr-half")
    damage(pattern.parent, kind)
    before = {path: path.read_bytes() for path in pattern.parent.iterdir() if kind != "huge"}
    assert call("run", pattern, "-o", tmp_path / "q.####.exr", *FAST) == 3
    said = capsys.readouterr().err
    last = said.splitlines()[-1]
    assert last.startswith(f"vdenoise: error {code} [exit 3]")
    assert "plate.1003.exr" in last and words in last
    assert "Traceback" not in said and not list(tmp_path.glob("*.exr*"))
    assert all(path.read_bytes() == data for path, data in before.items())


def test_a_damaged_frame_can_be_replaced(tmp_path: Path) -> None:
    pattern = images.sequence(tmp_path / "in", "exr-half")
    damage(pattern.parent, "truncated")
    target = tmp_path / "q.####.exr"
    assert call("run", pattern, "-o", target, "--on-bad-frame", "repeat", *ZERO) == 0
    held = images.read(tmp_path / "q.1003.exr")[1]
    assert same(held, images.read(pattern.parent / "plate.1002.exr")[1])
    recipe = json.loads((tmp_path / "q.####.exr.vdenoise.json").read_text())
    assert recipe["result"]["bad_frames"] == [2]


@pytest.mark.parametrize("kind", ["exr-half", "dpx-10"])
def test_a_frame_that_may_not_be_read(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = images.sequence(tmp_path / "in", kind)
    closed = tmp_path / "in" / f"plate.1003{pattern.suffix}"
    closed.chmod(0)
    for command in (
        ("run", pattern, "-o", tmp_path / f"q.####{pattern.suffix}"),
        ("plan", pattern, "-o", tmp_path / "p.json"),
    ):
        with permissions_count():
            assert call(*command, *GIVEN) == 3
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("vdenoise: error E0309 [exit 3]") and closed.name in last
    assert not (tmp_path / "p.json").exists() and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("kind", "room"),
    [
        *((kind, 2000) for kind in ("exr-half", "dpx-10", "png-16", "tif-8")),
        *((kind, 0) for kind in ("exr-half", "dpx-10", "png-16", "tif-8")),
        ("png-16", 100),
    ],
)
def test_a_file_that_may_not_be_so_large(
    kind: str, room: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no trouble that passes, as exit 75 would say."""
    pattern = images.sequence(tmp_path / "in", kind)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        assert call("run", pattern, "-o", tmp_path / f"q.####{pattern.suffix}", *GIVEN) == 4
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("vdenoise: error E0432 [exit 4]") and "larger than a file may be" in last
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_folder_that_may_not_be_read_or_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = images.sequence(tmp_path / "in", "png-8")
    for folder, mode, code, number in (
        ("in", 0o300, 3, "E03"),
        ("out", 0o500, 4, "E04"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder).chmod(mode)
        with permissions_count():
            assert call("run", pattern, "-o", tmp_path / "out" / "q.####.png", *GIVEN) == code
        (tmp_path / folder).chmod(0o700)
        last = capsys.readouterr().err.splitlines()[-1]
        assert number in last and folder in last and not (tmp_path / "out" / "q.1001.png").exists()


def test_what_cannot_be_copied_exactly_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.exr"
    formats = ("half", "half", "half", "uint")
    images.write(
        path,
        images.picture(0, channels=4).astype(np.float32),
        "half",
        names=("R", "G", "B", "id"),
        formats=formats,
    )
    assert call("run", path, "-o", tmp_path / "b.exr", *GIVEN) == 3
    assert "integer channels" in capsys.readouterr().err.splitlines()[-1]


def test_finished_frames_stay_when_a_run_fails(tmp_path: Path) -> None:
    pattern = images.sequence(tmp_path / "in", "exr-half", frames=12)
    path = tmp_path / "in" / "plate.1012.exr"
    path.write_bytes(path.read_bytes()[:2000])
    assert call("run", pattern, "-o", tmp_path / "q.####.exr", *GIVEN) == 3
    written = sorted(tmp_path.glob("q.*.exr"))
    assert not list(tmp_path.glob(".*")) and not list(tmp_path.glob("*.json"))
    for target in written:
        assert images.read(target)[1].shape == (48, 64, 3)


# -- the curve -------------------------------------------------------------------------------


def sensor(gain: float, read: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A textured picture from the dark to 8 times white, and the same with sensor noise."""
    random = torch.Generator().manual_seed(seed)
    x = torch.linspace(-7, 3, 512).exp2().expand(384, 512)
    y = 1 + 0.05 * torch.sin(torch.arange(384) / 5.0)[:, None]
    light = x * y
    noise = torch.randn(light.shape, generator=random)
    return light, light + noise * (gain * light + read**2).sqrt()


@pytest.mark.parametrize(("gain", "read"), [(1e-3, 2e-3), (2e-4, 1e-3), (0.0, 5e-3), (1e-2, 2e-2)])
def test_behind_the_curve_noise_is_even(gain: float, read: float) -> None:
    curve = fit_curve([[sensor(gain, read, seed)[1] for seed in range(3)]])
    light, noisy = sensor(gain, read, 9)
    rest = apply_curve(noisy, curve) - apply_curve(light, curve)
    sigma = [part.std().item() for part in rest[:, 64:].chunk(7, dim=1)]
    linear = [part.std().item() for part in (noisy - light)[:, 64:].chunk(7, dim=1)]
    assert max(sigma) / min(sigma) < 1.5
    assert gain == 0 or max(linear) / min(linear) > 4


def test_the_curve_can_be_undone() -> None:
    x = torch.cat([-torch.logspace(-6, 2, 200), torch.zeros(1), torch.logspace(-6, 4.8, 400)])
    for curve in (Curve(2e-4, 2e-3, 4.0), Curve(0.0, 1e-3, 1.0), Curve(1e-2, 1e-5, 16.0)):
        v = apply_curve(x.sort().values, curve)
        assert bool((v.diff() > 0).all())
        noise = curve.read  # next to black; what is lost there is some millionths of it
        assert torch.allclose(undo_curve(v, curve), x.sort().values, rtol=2e-5, atol=2e-6 * noise)
        white = apply_curve(torch.tensor([curve.white]), curve)
        assert white.item() == pytest.approx(1, abs=1e-5)


def test_a_dpx_header_holds_its_own_name(tmp_path: Path) -> None:
    source = images.sequence(tmp_path / "in", "dpx-10", frames=2)
    assert call("run", source, "-o", tmp_path / "clean.####.dpx", *ZERO) == 0
    for path in tmp_path.glob("clean.*.dpx"):
        name = path.read_bytes()[36:136]
        assert name.rstrip(b"\0").decode() == path.name


@pytest.mark.parametrize(
    ("kind", "target", "options", "form", "worst"),
    [
        ("png-8", "m.mp4", ("--crf", "0"), "yuv420p", 2.5),
        (
            "png-8",
            "m.mov",
            ("--codec", "x264", "--crf", "0", "--bit-depth", "10"),
            "yuv420p10le",
            2,
        ),
        ("dpx-10", "m.mov", ("--codec", "prores"), "yuv444p12le", 1.5),
        ("tif-16a", "m.mov", ("--codec", "prores"), "yuva444p12le", 1.5),
        ("tif-16", "m.mkv", ("--codec", "x265", "--crf", "0"), "yuv420p12le", 1.5),
    ],
)
def test_rgb_becomes_the_yuv_that_players_take_it_for(
    kind: str, target: str, options: tuple[str, ...], form: str, worst: float, tmp_path: Path
) -> None:
    """4:4:4 is turned back by FFmpeg, 4:2:0 by `rgb_samples`: FFmpeg repeats chroma."""
    ext, _, sort = kind.partition("-")
    folder, bits = tmp_path / "in", int(sort.rstrip("a"))
    folder.mkdir()
    y, x = np.mgrid[0:64, 0:80]
    smooth = [
        0.5 + 0.3 * np.sin(x / 13),
        0.5 + 0.3 * np.cos(y / 17),
        0.5 + 0.3 * np.sin((x + y) / 15),
    ]
    picture = np.stack([*smooth, 0.2 + x / 100][: 4 if sort.endswith("a") else 3], -1)
    codes = (picture * ((1 << bits) - 1)).round().astype(np.int64)
    full = (codes << (16 - bits)) | (codes >> max(2 * bits - 16, 0)) if bits == 10 else codes
    for n in range(3):
        given = full.astype(np.uint8 if bits == 8 else np.uint16)
        name = "uint8" if bits == 8 else "uint16"
        images.write(folder / f"a.{n:04d}.{ext}", given, name, bits=bits if bits == 10 else 0)
    movie = tmp_path / target
    command = ("run", folder / f"a.####.{ext}", "-o", movie, "--fps", "24", *options)
    assert call(*command, *ZERO) == 0
    info = probe(movie)
    assert (info.format.name, info.full_range, info.matrix) == (form, False, "bt709")
    assert not info.matrix_guessed and info.frames == 3 and info.rate == 24
    srgb = ("bt709", "iec61966-2-1") if ext == "png" else ("unknown", "unknown")
    assert (info.primaries, info.transfer) == srgb
    if info.format.sub_w:
        assert call("run", movie, "-o", tmp_path / "back.####.tif", *ZERO) == 0
        found = images.read(tmp_path / "back.0000.tif")[1] / 65535
    else:
        with av.open(str(movie)) as container:
            frame = next(container.decode(video=0))
            rgb = frame.reformat(format="rgb48le", src_colorspace="itu709", dst_colorspace="itu709")
            found = rgb.to_ndarray() / 65535
    error = np.abs(found - picture[..., :3])[4:-4, 4:-4] * 255  # at edges chroma is repeated
    assert error.max() < worst and error.mean() < worst / 2
    noise = ("--noise-out", tmp_path / "n.mkv", "--overwrite")
    assert call(*command, *ZERO, *noise) == 2  # clean + noise would not be the source


def test_a_plan_turns_rgb_into_yuv_as_a_single_pass_does(tmp_path: Path) -> None:
    pattern = images.sequence(tmp_path / "in", "png-8", frames=6)
    for name, options in (("p.mov", ("--codec", "prores")), ("d.mp4", ("--crf", "0"))):
        single, joined, plan = tmp_path / f"s{name}", tmp_path / name, tmp_path / f"{name}.json"
        assert call("run", pattern, "-o", single, *options, *GIVEN) == 0
        given = ("--to", joined, "--segment-frames", 2, *options, *GIVEN)
        assert call("plan", pattern, "-o", plan, *given) == 0
        assert call("run", "--plan", plan) == 0
        assert call("farm", "assemble", "--plan", plan, "--verify") == 0
        assert list(frame_hashes([joined])) == list(frame_hashes([single]))


def with_timecode(folder: Path, ext: str, drop: bool) -> Path:
    """Four frames from 01:02:03:28 on at 29.97, across a second."""
    folder.mkdir()
    for n, count in enumerate((0x28, 0x29, 0x100, 0x101)):
        word = 0x01020300 + count + (0x40 if drop else 0)
        spec = oiio.ImageSpec(64, 48, 3, "half" if ext == "exr" else "uint16")
        spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, (word, 7))
        if ext == "exr":
            spec.attribute("FramesPerSecond", oiio.TypeRational, (30000, 1001))
        else:
            spec.attribute("oiio:BitsPerSample", 10)
            spec.attribute("dpx:FrameRate", 30000 / 1001)
        path = folder / f"t.{n:04d}.{ext}"
        out = oiio.ImageOutput.create(str(path))
        assert out.open(str(path), spec)
        codes = images.picture(n) if ext == "exr" else images.picture(n).clip(0, 1) * 65535
        assert out.write_image(codes.astype(np.float16 if ext == "exr" else np.uint16))
        assert out.close()
    return folder / f"t.####.{ext}"


@pytest.mark.parametrize("ext", ["exr", "dpx"])
@pytest.mark.parametrize("drop", [False, True])
def test_timecode_and_rate_go_through_images(ext: str, drop: bool, tmp_path: Path) -> None:
    source = with_timecode(tmp_path / "in", ext, drop)
    mark = ";" if drop else ":"
    info = probe(source)
    assert (info.timecode, str(info.rate)) == (f"01:02:03{mark}28", "30000/1001")
    kept = [(0x01020328, 7), (0x01020329, 7), (0x01020400, 7), (0x01020401, 7)]
    kept = [(word + (0x40 if drop else 0), user) for word, user in kept]

    assert call("run", source, "-o", tmp_path / f"same.####.{ext}", *ZERO) == 0
    found = [images.read(tmp_path / f"same.{n:04d}.{ext}")[0] for n in range(4)]
    assert [tuple(spec.getattribute("smpte:TimeCode")) for spec in found] == kept
    if ext == "exr":
        assert found[0].getattribute("FramesPerSecond") == (30000, 1001)
        movie, options = tmp_path / "m.mkv", ("--codec", "ffv1")
    else:
        movie, options = tmp_path / "m.mov", ("--codec", "prores")
    frames = ("--frames", "1-3")
    assert call("run", source, "-o", movie, *options, *frames, *ZERO) == 0
    assert (probe(movie).timecode, str(probe(movie).rate)) == (f"01:02:03{mark}29", "30000/1001")

    assert call("run", movie, "-o", tmp_path / "back.####.exr", *ZERO) == 0
    back = [images.read(tmp_path / f"back.{n:04d}.exr")[0] for n in range(3)]
    assert [spec.getattribute("smpte:TimeCode")[0] for spec in back] == [w for w, _ in kept[1:]]
    assert back[0].getattribute("FramesPerSecond") == (30000, 1001)
    assert probe(tmp_path / "back.####.exr").timecode == f"01:02:03{mark}29"


def test_timecode_that_is_none_is_not_taken_for_one() -> None:
    assert timecode_of(0xFFFFFFFF) is None and timecode_of(0x0000000A) is None
    assert timecode_of(0x29000000) is None
    for text in ("23:59:59:29", "00:00:00:00", "10:20:30;02"):
        assert timecode_of(timecode_word(text)) == text
