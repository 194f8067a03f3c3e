"""Interlaced kinds as tapes, discs and cameras hold them: flags and order are read as they are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from vdenoise import cli
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.workflows.reading import with_evidence

PAL = ("testsrc2=s=720x576:r=50:d=0.28,noise=alls=8:allf=t", "interlace=scan=")
TOP = ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-b:v", "8M")
DV = ("-c:v", "dvvideo")
CODE = "10:00:00:00"

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")


def made(folder: Path, name: str, order: str, layout: str, *coded: str) -> Path:
    """A scene of 50 moments a second, two in each frame."""
    scene, weave = PAL
    path = folder / name
    filters = f"{weave}{order},format={layout}"
    words = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", scene, "-vf", filters, *coded]
    timecode = ("-timecode", CODE) if path.suffix in (".mov", ".mxf") else ()
    subprocess.run([*words, *timecode, str(path)], check=True)
    return path


@pytest.mark.parametrize(
    ("name", "order", "layout", "coded"),
    [
        ("a.ts", "tff", "yuv420p", TOP),
        ("a.vob", "tff", "yuv420p", TOP),
        ("a.mxf", "tff", "yuv422p", TOP),
        ("a.mov", "tff", "yuv422p", TOP),  # QuickTime's code 9
        ("a25.mov", "bff", "yuv420p", DV),  # and 14
        ("a25.dv", "bff", "yuv420p", DV),
        ("a50.mov", "bff", "yuv422p", DV),
        ("mbaff.mp4", "tff", "yuv420p", ("-c:v", "libx264", "-flags", "+ildct+ilme")),
    ],
)
def test_order_and_flags_are_those_of_the_pictures(
    name: str, order: str, layout: str, coded: tuple[str, ...], tmp_path: Path
) -> None:
    source = made(tmp_path, name, order, layout, *coded)
    info = probe(source)
    assert info.by_field and info.field_order[-1] == order[0]
    assert with_evidence(info).warnings == info.warnings  # pictures and flags agree
    out = tmp_path / "out.mov"
    argv = ["run", str(source), "-o", str(out), "--luma", "0", "--chroma", "0", "--codec", "x264"]
    assert not cli.status([*argv, "--threads", "1"])
    written = probe(out)
    assert written.field_order[-1] == order[0]
    assert with_evidence(written).warnings == written.warnings
    if source.suffix in (".mov", ".mxf"):
        assert written.timecode == CODE


@pytest.mark.parametrize(
    ("name", "size", "order", "layout", "coded"),
    [
        ("hdv.ts", "1440x1080", "tff", "yuv420p", TOP),
        ("xdcam.mxf", "1920x1080", "tff", "yuv422p", TOP),
        ("a25.dv", "720x576", "bff", "yuv420p", DV),
        ("mbaff.mp4", "720x576", "tff", "yuv420p", ("-c:v", "libx264", *TOP[2:4])),
    ],
)
def test_strength_0_gives_every_sample_back(
    name: str, size: str, order: str, layout: str, coded: tuple[str, ...], tmp_path: Path
) -> None:
    source, out = tmp_path / name, tmp_path / "out.mkv"
    words = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s={size}:r=50:d=0.24"]
    words += ["-vf", f"interlace=scan={order},format={layout}", *coded]
    subprocess.run([*words, str(source)], check=True)
    info = probe(source)
    assert info.by_field and info.field_order[-1] == order[0]
    assert with_evidence(info).warnings == info.warnings
    argv = ["run", str(source), "-o", str(out), "--luma", "0", "--chroma", "0", "--sigma", "2"]
    assert not cli.status([*argv, "--codec", "ffv1", "--speed", "veryfast", "--threads", "1"])
    written = probe(out)
    assert (written.field_order, written.frames) == (info.field_order, info.frames)
    with Reader(info) as before, Reader(written) as after:
        for own, other in zip(before, after, strict=True):
            assert all(a.equal(b) for a, b in zip(own.planes, other.planes, strict=True))
