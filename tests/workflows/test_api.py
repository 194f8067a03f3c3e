"""What programs call: the bits of the command line, and its errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

import vdenoise
from vdenoise import NoiseProfile, VdenoiseError, cli, denoise_clip, denoise_frames, measure

FAST = {"temporal.radius": 1, "net.method": "none", "spatial.method": "none"}


def frames(dtype: str = "uint8", gray: bool = False) -> np.ndarray:
    """(5, 48, 64[, 3]) of a slope with noise of 6 codes."""
    rng = np.random.default_rng(4)
    slope = np.linspace(0.2, 0.8, 64, dtype=np.float32)[None, None, :, None]
    noisy = slope + rng.normal(0, 6 / 255, (5, 48, 64, 3)).astype(np.float32)
    noisy = noisy[..., 0] if gray else noisy
    most = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    scaled = np.clip(noisy, 0, 1) * most
    return (scaled if dtype == "float32" else np.rint(scaled)).astype(dtype)


def written(path: Path, pictures: np.ndarray) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *pictures.shape[1:3], "bgr0"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def test_frames_files_and_the_command_line_give_the_same_bits(tmp_path: Path) -> None:
    source = written(tmp_path / "in.mkv", frames())
    done = denoise_clip(source, tmp_path / "api.mkv", settings=FAST, sigma=[6])
    words = [word for name, value in FAST.items() for word in ("--set", f"{name}={value}")]
    target = tmp_path / "cli.mkv"
    assert cli.status(["run", str(source), "-o", str(target), "--sigma", "6", *words]) == 0
    clean = denoise_frames(frames(), settings=FAST, sigma=[6])
    assert done.frames == 5 and done.chain.text == "temporal.mean"
    assert np.array_equal(read(tmp_path / "api.mkv"), read(target))
    assert np.array_equal(clean, read(target))
    assert not np.array_equal(clean, frames())


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("gray", [False, True])
def test_frames_keep_their_shape_and_kind_and_lose_noise(dtype: str, gray: bool) -> None:
    noisy = frames(dtype, gray)
    clean = denoise_frames(iter(noisy), settings=FAST)
    assert clean.shape == noisy.shape and clean.dtype == noisy.dtype
    rest = [np.diff(x.astype(np.float64), axis=2).std() for x in (noisy, clean)]
    assert rest[1] < 0.75 * rest[0]


def test_noise_is_measured_the_same_from_frames_and_file(tmp_path: Path) -> None:
    profile = measure(written(tmp_path / "in.mkv", frames()))
    assert isinstance(profile, NoiseProfile)
    assert measure(frames()).shots == profile.shots


def test_errors_are_those_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(VdenoiseError) as missing:
        denoise_clip(tmp_path / "none.mov", tmp_path / "out.mov")
    assert missing.value.exit_code == 3
    with pytest.raises(VdenoiseError, match="no such parameter"):
        denoise_frames(frames(), settings={"temporal.raduis": 2})
    for wrong in ([], np.zeros((2, 8, 8, 4), np.uint8), [np.zeros((8, 8)), np.zeros((9, 8))]):
        with pytest.raises(VdenoiseError):
            denoise_frames(wrong)  # type: ignore[arg-type]
    with pytest.raises(VdenoiseError):
        denoise_frames(frames(), sigma=[3], profile=measure(frames()))


def test_what_is_public_is_there_and_imports_nothing_heavy() -> None:
    assert all(hasattr(vdenoise, name) for name in vdenoise.__all__)
    assert set(vdenoise.__all__) <= set(dir(vdenoise))
    said = "import sys, vdenoise; sys.exit('torch' in sys.modules or 'av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", said], check=False).returncode == 0
    with pytest.raises(AttributeError, match="denoise_all"):
        _ = vdenoise.denoise_all  # type: ignore[attr-defined]
