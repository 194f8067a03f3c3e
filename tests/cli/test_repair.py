"""Repair from the command line: alone, with its map, and where a mask protects."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from samples import damage
from vdenoise import cli

FAST = ("--sigma", "1", "--cuts", "off", "--speed", "veryfast", "--progress", "none")


def written(path: Path, frames: np.ndarray) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "gray"
        for frame in (frames.mean(-1) * 255).round().astype(np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())
    return path


def read(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="gray") for f in container.decode(video=0)]
    return np.stack(frames).astype(np.float64)


@pytest.fixture
def dirty(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """A file, its clean samples, and where dust is."""
    rng = np.random.default_rng(1)
    ys, xs = np.mgrid[0:64, 0:96].astype(np.float32)
    picture = 0.5 + 0.2 * np.sin(xs / 7) * np.cos(ys / 9)
    clean = np.repeat(picture[None, ..., None], 4, 0).repeat(3, -1).astype(np.float32)
    clean += rng.normal(0, 1 / 255, clean.shape).astype(np.float32)
    bad, where = damage.dust(clean, 2, specks=5, hairs=0, sizes=(3, 6))
    return written(tmp_path / "dirty.mkv", bad), clean.mean(-1) * 255, where


def test_dust_alone_leaves_all_else_to_the_bit(
    dirty: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    source, clean, where = dirty
    target, map_ = tmp_path / "out.mkv", tmp_path / "dust.mkv"
    words = ["--dust", "--luma", "0", "--chroma", "0", "--matte", "dust", "--matte-out", str(map_)]
    assert cli.status(["run", str(source), "-o", str(target), *FAST, *words]) == 0
    before, after, shown = read(source), read(target), read(map_)
    assert np.array_equal(before[shown == 0], after[shown == 0])
    error = [np.sqrt(((x - clean)[where] ** 2).mean()) for x in (before, after)]
    assert error[1] < 0.5 * error[0]


def test_a_map_of_dust_needs_dust(
    dirty: tuple[Path, np.ndarray, np.ndarray],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["-o", str(tmp_path / "out.mkv"), "--matte", "dust"]
    matte = ["--matte-out", str(tmp_path / "dust.mkv")]
    assert cli.status(["run", str(dirty[0]), *words, *matte, *FAST]) == 2
    assert "no dust is looked for" in capsys.readouterr().err
    assert not (tmp_path / "out.mkv").exists()


def test_where_a_mask_protects_dust_stays(
    dirty: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    source, _, where = dirty
    target = tmp_path / "out.mkv"
    mask = ["--mask", "left=rect:0,0,48,64,mode=protect"]
    assert cli.status(["run", str(source), "-o", str(target), *FAST, "--dust", *mask]) == 0
    before, after = read(source), read(target)
    assert np.array_equal(before[..., :40], after[..., :40])
    right = where.copy()
    right[..., :56] = False
    assert np.abs(before - after)[right].mean() > 20


def test_where_a_mask_protects_the_picture_is_not_steadied(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    blobs = cv2.GaussianBlur(rng.normal(0, 1, (96, 128)).astype(np.float32), (0, 0), 2.0)
    picture = 0.5 + 0.15 * blobs / blobs.std()
    clean = np.repeat(picture[None, ..., None], 12, 0).repeat(3, -1).astype(np.float32)
    bad, _ = damage.weave(clean, 2)
    source, target = written(tmp_path / "in.mkv", bad), tmp_path / "out.mkv"
    words = ["--stabilise", "--luma", "0", "--chroma", "0"]
    mask = ["--mask", "left=rect:0,0,48,96,mode=protect"]
    assert cli.status(["run", str(source), "-o", str(target), *FAST, *words, *mask]) == 0
    before, after = read(source), read(target)
    assert np.array_equal(before[..., :40], after[..., :40])
    sways = [x[:, 8:-8, 64:-8].std(0).mean() for x in (before, after)]
    assert sways[1] < 0.3 * sways[0]
