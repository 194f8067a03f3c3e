"""``vdenoise verify``: each fault of a stream is found, and nothing else with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio  # noqa: N813 (its own documentation calls it so)
import pytest

from tests.helpers.clips import Clip, write
from vdenoise import cli

SOURCE = Clip(
    "clip.mov",
    codec="libx264",
    frames=8,
    field_order="tff",
    audio=("eng",),
    timecode="01:00:00:00",
    options={"crf": "30", "bf": "0"},
)
FAULTS: dict[str, tuple[Clip, tuple[str, ...]]] = {
    "shifted audio": (replace(SOURCE, audio_begins=0.1), ("audio",)),
    "lost timecode": (replace(SOURCE, timecode=None), ("timecode",)),
    "wrong timecode": (replace(SOURCE, timecode="01:00:00:01"), ("timecode",)),
    "swapped fields": (
        replace(SOURCE, options={**SOURCE.options, "x264-params": "bff=1"}),
        ("field order",),
    ),
    "lost fields": (replace(SOURCE, field_order=""), ("interlacing",)),
    "wrong range tag": (replace(SOURCE, tags=(1, 1, 1, 2)), ("range",)),
    "wrong matrix tag": (replace(SOURCE, tags=(1, 1, 5, 1)), ("matrix",)),
    "wrong aspect": (replace(SOURCE, aspect=SOURCE.aspect * 2), ("sample aspect ratio",)),
    "moved frame": (
        replace(SOURCE, pts=lambda n: 512 * n + (200 if n == 4 else 0)),
        ("timestamps",),
    ),
    "wrong language": (replace(SOURCE, audio=("fre",)), ("language",)),
    "lost sound": (replace(SOURCE, audio=()), ("streams",)),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(SOURCE, tmp_path_factory.mktemp("contract"))


def verified(
    capsys: pytest.CaptureFixture[str], source: Path, result: Path, *args: str
) -> tuple[int, list[str]]:
    capsys.readouterr()
    status = cli.status(["verify", str(source), str(result), "--json", *args])
    return status, json.loads(capsys.readouterr().out)["findings"]


def test_a_copy_is_the_same(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = write(SOURCE, tmp_path)
    assert cli.status(["verify", str(source), str(result)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("same: frames, timestamps, duration, size") and "field order" in said
    assert verified(capsys, source, result) == (0, [])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_only_that(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    clip, wanted = FAULTS[fault]
    status, findings = verified(capsys, source, write(clip, tmp_path))
    assert status == 9 and findings
    assert all(found.startswith(wanted) for found in findings)


def test_a_dropped_frame_is_told_with_both_numbers(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = write(replace(SOURCE, frames=7), tmp_path)
    assert cli.status(["verify", str(source), str(result)]) == 9
    said = capsys.readouterr()
    assert "differs: frames: 8 became 7" in said.out
    assert "E0960 [exit 9]" in said.err.splitlines()[-1]
    assert "--frames A-B" in said.err and "container" not in said.err


def test_the_frames_of_a_part_are_those_of_its_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(replace(SOURCE, field_order="", frames=9), tmp_path)
    result = tmp_path / "part.mov"
    args = ["--sigma", "3", "--temporal", "none", "--model", "none", "--device", "cpu"]
    part = ["--frames", "2-6", "--progress", "none", "--codec", "x264"]
    assert cli.status(["run", str(source), "-o", str(result), *args, *part]) == 0
    assert verified(capsys, source, result) == (0, [])
    assert verified(capsys, source, result, "--frames", "2-7")[0] == 9
    renamed = result.rename(tmp_path / "renamed.mov")  # it names its recipe itself
    assert verified(capsys, source, renamed) == (0, [])
    result = renamed
    (tmp_path / "part.mov.vdenoise.json").unlink()
    assert verified(capsys, source, result, "--frames", "2-6") == (0, [])


def test_images_keep_their_numbers_and_what_their_files_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def images(folder: Path, numbers: range, owner: str) -> Path:
        folder.mkdir()
        for number in numbers:
            spec = oiio.ImageSpec(16, 12, 3, oiio.UINT16)
            spec.attribute("Copyright", owner)
            spec.attribute("DateTime", "2020:01:02 03:04:05")  # else that of each second
            output = oiio.ImageOutput.create("a.tif")
            output.open(str(folder / f"p.{number:04d}.tif"), spec)
            output.write_image(np.zeros((12, 16, 3), np.uint16))
            output.close()
        return folder / "p.####.tif"

    source = images(tmp_path / "a", range(1001, 1004), "us")
    assert verified(capsys, source, images(tmp_path / "b", range(1001, 1004), "us")) == (0, [])
    status, (found,) = verified(capsys, source, images(tmp_path / "c", range(1001, 1003), "us"))
    assert status == 9 and found.startswith("frames: 3 images from 1001 to 1003 became 2 images")
    status, (found,) = verified(capsys, source, images(tmp_path / "d", range(1001, 1004), "me"))
    assert status == 9 and found.startswith("attributes: image 1001 lost or changed")


def test_what_is_no_clip_is_said(source: Path, tmp_path: Path) -> None:
    assert cli.status(["verify", str(source), str(tmp_path / "none.mov")]) == 3
    (tmp_path / "text.mov").write_text("no clip")
    assert cli.status(["verify", str(source), str(tmp_path / "text.mov")]) == 3
    with av.open(str(tmp_path / "still.png"), "w") as output:
        stream = output.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        output.mux(stream.encode(av.VideoFrame(64, 48, "rgb24")))
    assert cli.status(["verify", str(source), str(tmp_path / "still.png")]) == 2
