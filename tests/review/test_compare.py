"""``vdenoise compare``: numbers that are known are found, unlike clips are refused with both."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch

from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.evaluation.unreferenced import Edges, banding

SIZE, FRAMES = (96, 64), 6
Picture = np.ndarray[Any, Any]


def scene(n: int) -> Picture:
    """(H, W) luma codes: a pattern that moves by a pixel a frame."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return np.asarray(120 + 50 * np.sin((x + n) / 6.0) * np.cos(y / 5.0))


def movie(
    path: Path,
    picture: Callable[[int], Picture],
    frames: int = FRAMES,
    rate: int = 25,
    size: tuple[int, int] = SIZE,
) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for n in range(frames):
            frame = av.VideoFrame(*size, "yuv420p")
            luma = np.clip(np.rint(picture(n)), 16, 235).astype(np.uint8)
            planes = [luma, *(np.full((size[1] // 2, size[0] // 2), 128, np.uint8),) * 2]
            for plane, values in zip(frame.planes, planes, strict=True):
                padded = np.zeros((plane.height, plane.line_size), np.uint8)
                padded[:, : values.shape[1]] = values
                plane.update(padded.tobytes())
            frame.pts, frame.time_base = n, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def noise(n: int, sigma: float, seed: int = 0) -> Picture:
    return np.asarray(np.random.default_rng((seed, n)).normal(0, sigma, (SIZE[1], SIZE[0])))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("compare")
    blurred = lambda n: cv2.GaussianBlur(scene(n), (0, 0), 2)  # noqa: E731
    pictures: dict[str, Callable[[int], Picture]] = {
        "truth": scene,
        "source": lambda n: scene(n) + noise(n, 8),
        "good": lambda n: scene(n) + noise(n, 1),
        "pulsing": lambda n: scene(n) + 4 * (n % 2),
        "blurred": blurred,
    }
    return {name: movie(folder / f"{name}.mkv", make) for name, make in pictures.items()}


def compared(capsys: pytest.CaptureFixture[str], *args: str | Path) -> dict[str, Any]:
    assert cli.status(["compare", *map(str, args), "--json", "--progress", "none"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_each_clip_is_measured_by_what_it_is(
    clips: dict[str, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = ("good", "pulsing", "blurred", "truth")
    sheet = tmp_path / "sheet.png"
    found = compared(
        capsys, *(clips[n] for n in names), "--source", clips["source"], "--reference",
        clips["truth"], "-o", sheet,
    )  # fmt: skip
    good, pulsing, blurred, truth = found["clips"]
    assert found["frames"] == FRAMES
    assert good["psnr_y"] == pytest.approx(46.1, abs=0.3)  # a code of 219, and rounding twice
    assert truth["psnr"] == 100 and truth["ssim"] == pytest.approx(1) and truth["flicker"] == 0
    assert pulsing["flicker"] > 4 > good["flicker"] > 0
    assert blurred["sharpness"] < 0.9 * truth["sharpness"]
    assert good["sharpness"] == pytest.approx(truth["sharpness"], rel=0.05)
    assert good["removed"] == pytest.approx(7 * 255 / 219, rel=0.05)  # the same noise, less of it
    assert set(found["missing"]) >= {"LPIPS"} and "weights" in found["missing"]["LPIPS"]
    assert cv2.imread(str(sheet)) is not None


def test_without_source_and_reference_the_rest_is_measured_and_what_is_not_is_named(
    clips: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["compare", str(clips["source"]), str(clips["good"]), "--progress", "none"]
    assert cli.status(args) == 0
    said = capsys.readouterr().out
    assert "noise left in Y" in said and "source.mkv" in said
    assert "not measured: PSNR, SSIM, LPIPS, VMAF: there is no --reference" in said
    found = compared(capsys, clips["source"], clips["good"])
    noisy, good = (clip["noise"]["Y"] for clip in found["clips"])
    assert noisy == pytest.approx(8 * 255 / 219, rel=0.2) and good < 2.5


def test_a_part_is_compared_with_the_frames_it_came_from(
    clips: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = movie(tmp_path / "part.mkv", scene, frames=4)
    found = compared(capsys, part, "--reference", clips["truth"])
    assert found["frames"] == 4 and found["clips"][0]["psnr"] == 100


def test_vmaf_is_asked_of_an_ffmpeg_that_has_it(
    clips: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    program = tmp_path / "ffmpeg"
    program.write_text(
        "#!/bin/sh\nfor a; do case $a in -filters) echo ' .. libvmaf  VV->V'; exit;; "
        '*log_path=*) echo \'{"pooled_metrics": {"vmaf": {"mean": 77.5}}}\' > '
        '"${a##*log_path=}";; esac; done\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = compared(capsys, clips["good"], "--reference", clips["truth"])
    assert found["clips"][0]["vmaf"] == 77.5 and "VMAF" not in found["missing"]
    program.write_text("#!/bin/sh\n")
    found = compared(capsys, clips["good"], "--reference", clips["truth"])
    assert found["missing"]["VMAF"] == "this ffmpeg was built without libvmaf"
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    found = compared(capsys, clips["good"], "--reference", clips["truth"])
    assert found["missing"]["VMAF"] == "there is no ffmpeg program"


@pytest.mark.parametrize("unlike", ["size", "rate", "alone", "picture"])
def test_what_cannot_be_compared_is_refused_with_both_numbers(
    clips: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], unlike: str
) -> None:
    args: list[str] = [str(clips["truth"])]
    if unlike == "size":
        args.append(str(write(Clip("b.mkv", codec="ffv1", frames=2), tmp_path)))
    elif unlike == "rate":
        args.append(str(movie(tmp_path / "b.mkv", scene, frames=7, rate=17)))
    elif unlike == "picture":
        args += [str(clips["good"]), "-o", str(tmp_path / "a.txt")]
    assert cli.status(["compare", *args]) == 2
    said = capsys.readouterr().err
    wanted = {
        "size": ("E02167", "96x64", "64x48"),
        "rate": ("E02168", "6 frames at 25 fps", "7 at 17 fps"),
        "alone": ("E02169",),
        "picture": ("E02160",),
    }
    assert all(text in said for text in wanted[unlike])


def test_a_clip_of_twice_the_rate_is_compared_where_times_meet(
    clips: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    double = movie(tmp_path / "b.mkv", lambda n: scene(n // 2), frames=2 * FRAMES, rate=50)
    found = compared(capsys, double, "--reference", clips["truth"])
    assert found["frames"] == FRAMES
    assert found["clips"][0]["psnr"] > 90


def test_a_slope_in_steps_is_banding_and_one_with_dither_is_not() -> None:
    slope = torch.linspace(40, 52, 160).expand(64, -1)
    bands = slope.round() / 255
    dithered = (slope + torch.rand(64, 160) - 0.5).round() / 255
    assert banding(bands) > 50 and banding(slope / 255) == 0 and banding(dithered) < 1
    assert banding(torch.rand(64, 160)) == 0 and banding(torch.full((5, 4), 0.5)) == 0


def test_sharpness_is_of_edges_and_not_of_noise() -> None:
    picture = torch.from_numpy(scene(0)).float() / 255
    edges = Edges(picture)
    noisy = picture + 0.05 * torch.randn(picture.shape)
    assert edges.sharpness(noisy) == pytest.approx(edges.sharpness(picture), rel=0.1)
    assert Edges(torch.zeros(8, 8)).sharpness(torch.rand(8, 8)) == 0
