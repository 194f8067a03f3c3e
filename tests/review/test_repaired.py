"""A repaired clip is judged against its repaired source: repairs fire no gate, faults still do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from samples import damage
from tests.helpers.interlaced import interlaced, write_frames
from vdenoise import cli

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "scene_clean.mp4"
COUNT, PART = 8, (slice(100, 228), slice(160, 352))
Pixels = np.ndarray[Any, Any]
DAMAGE: dict[str, Callable[[Pixels], Pixels]] = {
    "--deflicker": lambda frames: damage.flicker(frames, 3)[0],
    "--stabilise": lambda frames: damage.weave(frames, 3)[0],
    "--dust": lambda frames: damage.dust(frames, 3)[0],
}


def pictures(count: int) -> Pixels:
    """(T, H, W, 3) of our own scene in [0, 1], without noise."""
    with av.open(str(SAMPLE)) as container:
        frames = [
            f.to_ndarray(format="rgb24")
            for f, _ in zip(container.decode(), range(count), strict=False)
        ]
    return np.stack(frames)[:, *PART].astype(np.float32) / 255


def planes_of(rgb: Pixels) -> list[Pixels]:
    height, width = rgb.shape[:2]
    yuv = cv2.cvtColor((255 * rgb).round().astype(np.uint8), cv2.COLOR_RGB2YUV_I420)
    chroma = yuv[height:].reshape(2, height // 2, width // 2)
    return [yuv[:height].astype(float), *chroma.astype(float)]


def noisy(frames: list[list[Pixels]]) -> list[list[Pixels]]:
    rng = np.random.default_rng(4)

    def drawn(plane: Pixels) -> Pixels:
        return np.clip((plane + rng.normal(0, 5, plane.shape)).round(), 0, 255).astype(np.uint8)

    return [[drawn(plane) for plane in frame] for frame in frames]


def frames_of(clip: Path) -> list[list[Pixels]]:
    with av.open(str(clip)) as container:
        decoded = [f.to_ndarray(format="yuv420p") for f in container.decode(video=0)]
    return [
        [f[: 2 * len(f) // 3], *f[2 * len(f) // 3 :].reshape(2, len(f) // 3, -1)] for f in decoded
    ]


def judged(capsys: pytest.CaptureFixture[str], source: Path, result: Path) -> dict[str, Any]:
    capsys.readouterr()
    status = cli.status(["qc", str(source), str(result), "--json", "--progress", "none"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    found["fired"] = {gate["gate"] for gate in found["gates"] if not gate["ok"]}
    assert status == (7 if found["fired"] else 0)
    return found


def run(source: Path, result: Path, *words: str) -> int:
    how = ["--codec", "ffv1", "--speed", "veryfast", "--device", "cpu", "--progress", "none"]
    return cli.status(["run", str(source), "-o", str(result), "--qc", "fail", *how, *words])


@pytest.mark.parametrize("option", DAMAGE)
def test_repairs_fire_no_gate_and_what_is_planted_behind_them_does(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [planes_of(frame) for frame in DAMAGE[option](pictures(COUNT)).clip(0, 1)]
    source = write_frames(tmp_path / "source.mkv", noisy(frames))
    result = tmp_path / "clean.mkv"
    assert run(source, result, option) == 0
    found = judged(capsys, source, result)
    assert found["fired"] == set() and len(found["repairs"]) == 1
    made = frames_of(result)
    for gate, plant in (
        ("structure", lambda planes: [cv2.GaussianBlur(planes[0], (0, 0), 3), *planes[1:]]),
        ("color", lambda planes: [planes[0], planes[1] + 2, planes[2]]),
    ):
        write_frames(result, [plant(planes) for planes in made])
        assert judged(capsys, source, result)["fired"] == {gate}
    write_frames(result, made)
    (tmp_path / "clean.mkv.vdenoise.json").unlink()  # nothing tells of the repairs then
    found = judged(capsys, source, result)
    assert found["repairs"] == [] and bool(found["fired"]) == (option != "--dust")


@pytest.mark.parametrize("how", ["fields", "deinterlace"])
def test_fields_are_judged_as_they_were_denoised(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A deinterlaced result is judged against the source's frames, not its combs; repairs of
    fields are woven as the fields are."""
    fields = [planes_of(frame) for frame in pictures(2 * COUNT)]
    frames = noisy(interlaced(fields, "t"))
    source = write_frames(tmp_path / "source.mkv", frames, flag="tff")
    result = tmp_path / "clean.mkv"
    assert run(source, result, "--interlaced", how, "--dust") == 0
    found = judged(capsys, source, result)
    assert found["fired"] == set() and found["repairs"] == ["dust.spots"]
