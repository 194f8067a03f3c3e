"""Plans of image sequences, and of what is written beside the clean clip."""

from __future__ import annotations

import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers import images
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.errors import ConflictError
from vdenoise.farm.job import Job, open_job
from vdenoise.farm.planfile import PlanFile
from vdenoise.farm.record import digest, write_record
from vdenoise.farm.segments import frame_hashes, run_segment
from vdenoise.media.probe import probe
from vdenoise.workflows.contents import EDGE_BYTES, fingerprint

FAST = ("--speed", "veryfast", "--temporal-radius", 2, "--spatial", "gaussian")
NET = ("--speed", "veryfast", "--temporal-radius", 1, "--model", "S")


class Quiet:
    def start(self, phase: str, frames: int, *, unit: str = "fps") -> None: ...

    def advance(self, busy: dict[str, float]) -> None: ...


def call(*args: object) -> int:
    return cli.status([str(arg) for arg in args])


def planned(
    source: Path,
    target: Path,
    edges: list[tuple[int, int]] | None = None,
    options: tuple[object, ...] = FAST,
) -> Path:
    """A plan with the segments given: they alter nothing in the result."""
    path = target.parent / "plan.json"
    given = ("--to", target, "--segment-frames", 5, *options)
    assert call("plan", source, "-o", path, *given) == 0
    if edges is not None:
        file = PlanFile.load(path).model_copy(update={"segments": tuple(edges)})
        assert file.analysis is not None
        found = file.analysis.model_copy(update={"request_id": file.request_id})
        write_record(file.model_copy(update={"analysis": found}).sealed(), path)
    return path


def two_at_a_time(job: Job, seed: int) -> None:
    order = list(range(len(job.file.segments)))
    random.Random(seed).shuffle(order)
    with ThreadPoolExecutor(2) as two:
        tasks = [two.submit(run_segment, job, n, Quiet(), device="cpu") for n in order]
    assert all(task.result() for task in tasks)


def bytes_of(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.iterdir() if "#" not in path.name and path.suffix != ".json"]
    return {path.name: path.read_bytes() for path in found if path.is_file()}


@pytest.mark.parametrize(
    ("kind", "gap", "net"),
    [
        *(("exr-half", "", False), ("exr-half", "hold", False), ("exr-half", "skip", True)),
        *(("dpx-10", "", False), ("dpx-10", "", True), ("tif-16a", "", False)),
    ],
)
def test_segments_of_a_sequence_write_the_single_pass(
    kind: str, gap: str, net: bool, tmp_path: Path
) -> None:
    """With an edge at a cut, a segment of one frame before it, and a frame that is not there."""
    source = images.sequence(tmp_path / "in", kind, frames=12)
    (tmp_path / "cuts.txt").write_text("6\n")
    options = (*(NET if net else FAST), "--cuts", tmp_path / "cuts.txt")
    if gap:
        (tmp_path / "in" / f"plate.1005{source.suffix}").unlink()
        options = (*options, "--on-missing", gap)
    count = 11 if gap == "skip" else 12
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    assert call("run", source, "-o", tmp_path / "one" / f"clean.####{source.suffix}", *options) == 0
    target = tmp_path / "many" / f"clean.####{source.suffix}"
    edges = [(0, 3), (4, 4), (5, 5), (6, 7), (8, count - 1)]
    plan = planned(source, target, edges, options)
    plan = plan.rename(tmp_path / "plan.json")
    two_at_a_time(open_job(plan), seed=1)
    assert call("farm", "assemble", "--plan", plan, "--verify") == 0
    expected = bytes_of(tmp_path / "one")
    assert len(expected) == count and bytes_of(tmp_path / "many") == expected
    assert call("farm", "assemble", "--plan", plan, "--resume") == 0  # it is this job's
    names = sorted(path.name for path in (tmp_path / "plan.work").iterdir())
    first = 1006 if gap == "skip" else 1005  # numbers of files, not places among them
    assert names[1] == f"seg_000001_000{first}-000{first}.json" and len(names) == 5


@pytest.mark.parametrize("target", ["out/a.####.exr", "out/a.mkv"])
def test_two_tasks_on_one_segment_at_once_do_no_harm(target: str, tmp_path: Path) -> None:
    source = images.sequence(tmp_path / "in", "exr-half", frames=6)
    (tmp_path / "out").mkdir()
    codec = ("--codec", "ffv1") if target.endswith("mkv") else ()
    plan = planned(source, tmp_path / target, [(0, 5)], (*FAST, *codec)).rename(
        tmp_path / "plan.json"
    )
    job = open_job(plan)
    with ThreadPoolExecutor(2) as two:
        tasks = [
            two.submit(run_segment, job, 0, Quiet(), device="cpu", overwrite=True) for _ in "ab"
        ]
    first, second = (task.result().parts for task in tasks)
    assert first == second
    assert call("farm", "assemble", "--plan", plan, "--verify") == 0
    left = [path for path in tmp_path.rglob("*") if path.name.endswith(".partial")]
    assert left == []


def test_what_killed_tasks_left_beside_images_goes_after_a_day(tmp_path: Path) -> None:
    source = images.sequence(tmp_path / "in", "png-8", frames=2)
    (tmp_path / "out").mkdir()
    plan = planned(source, tmp_path / "out" / "a.####.png").rename(tmp_path / "plan.json")
    assert call("run", "--plan", plan) == 0
    names = (".a.1001.png.1.abc.partial", ".a.1002.png.1.abc.partial", ".b.mkv.1.abc.partial")
    old, new, other = (tmp_path / "out" / name for name in names)
    day_before = time.time() - 25 * 3600
    for path in (old, new, other):
        path.touch()
        if path != new:
            os.utime(path, (day_before, day_before))
    assert call("farm", "assemble", "--plan", plan) == 0
    assert [path.exists() for path in (old, new, other)] == [False, True, True]


def test_a_step_leaves_frames_out_in_segments_too(tmp_path: Path) -> None:
    source = images.sequence(tmp_path / "in", "png-16", frames=12)
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "clean.####.png"
    plan = planned(source, target, options=(*FAST, "--frames", "1001-1012x4"))
    assert call("run", "--plan", plan) == 0
    assert call("farm", "assemble", "--plan", plan, "--verify") == 0
    found = bytes_of(tmp_path / "out")
    assert sorted(found) == [f"clean.{n}.png" for n in (1001, 1005, 1009)]
    told = json.loads(plan.read_text())
    told["chosen"] = told["chosen"][:1]  # as nobody plans it: the last segment writes none
    told["plan_id"] = digest({k: v for k, v in told.items() if k != "plan_id"})
    (tmp_path / "empty.json").write_text(json.dumps(told))
    assert call("run", "--plan", tmp_path / "empty.json") == 2
    movie = ("--to", tmp_path / "a.mov", "--frames", "1001-1012x4")
    assert call("plan", source, "-o", tmp_path / "p.json", *movie) == 2


@pytest.mark.parametrize("target", ["out.mov", "out.mp4"])
def test_a_sequence_becomes_a_movie_and_a_movie_a_sequence(target: str, tmp_path: Path) -> None:
    source = images.sequence(tmp_path / "in", "png-8", frames=10)
    given = (*FAST, "--fps", "23.976", *(("--crf", 0) if target.endswith("4") else ()))
    single, joined = tmp_path / f"single-{target}", tmp_path / target
    assert call("run", source, "-o", single, *given) == 0
    plan = planned(source, joined, [(0, 2), (3, 9)], given)
    assert call("run", "--plan", plan) == 0
    assert call("farm", "assemble", "--plan", plan, "--verify") == 0
    assert list(frame_hashes([joined])) == list(frame_hashes([single]))
    assert probe(joined).rate == Fraction(24000, 1001)

    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    assert call("run", joined, "-o", tmp_path / "one" / "a.####.png", *FAST) == 0
    plan = planned(joined, tmp_path / "many" / "a.####.png", [(0, 6), (7, 9)])
    plan = plan.rename(tmp_path / "back.json")
    assert call("run", "--plan", plan) == 0
    assert call("farm", "assemble", "--plan", plan, "--verify") == 0
    assert bytes_of(tmp_path / "many") == bytes_of(tmp_path / "one")


def test_what_is_written_beside_the_clip_is_joined_too(tmp_path: Path) -> None:
    clip = write(Clip("in.mkv", "ffv1", frames=12, time_base=Fraction(1, 1000)), tmp_path)
    beside = ("noise", "mask", "matte")

    def options(name: str) -> tuple[object, ...]:
        outs = [(f"--{kind}-out", tmp_path / f"{name}-{kind}.mkv") for kind in beside]
        return (*FAST, "--mask", "m=luma:10-60,luma=50", *(word for out in outs for word in out))

    assert call("run", clip, "-o", tmp_path / "one.mkv", *options("one")) == 0
    plan = planned(clip, tmp_path / "many.mkv", [(0, 3), (4, 11)], options("many"))
    assert call("run", "--plan", plan, "--segments", 1) == 0
    assert call("run", "--plan", plan, "--resume") == 0
    lost = next((tmp_path / "plan.work").glob("seg_000001*_noise.mkv"))
    lost.unlink()
    assert call("farm", "assemble", "--plan", plan) == 75
    assert call("run", "--plan", plan, "--resume") == 0
    assert call("farm", "assemble", "--plan", plan, "--verify") == 0
    for kind in beside:
        made, single = (tmp_path / f"{name}-{kind}.mkv" for name in ("many", "one"))
        assert list(frame_hashes([made])) == list(frame_hashes([single])), kind
        assert len(set(frame_hashes([made]))) == 12


@pytest.mark.parametrize(
    ("name", "options"),
    [("t.mp4", ("--crf", 0)), ("t.mkv", ("--codec", "ffv1")), ("t.####.tif", ("--bit-depth", 16))],
)
def test_a_grain_table_is_that_of_a_single_pass(
    name: str, options: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of images too, where they hold the samples that were computed: not of YUV made RGB."""
    if name.endswith("tif"):
        clip = images.sequence(tmp_path / "in", "tif-16", frames=12)
    else:
        clip = write(Clip("in.mkv", "ffv1", frames=12, time_base=Fraction(1, 1000)), tmp_path)
    (tmp_path / "cuts.txt").write_text("7\n")
    given = (*FAST, *options, "--cuts", tmp_path / "cuts.txt", "--grain-table")
    one, many = tmp_path / "one.tbl", tmp_path / "many.tbl"
    assert call("run", clip, "-o", tmp_path / f"one-{name}", *given, one) == 0
    plan = planned(clip, tmp_path / name, [(0, 2), (3, 3), (4, 11)], (*given, many))
    assert call("run", "--plan", plan) == 0 and not many.exists()
    assert call("farm", "assemble", "--plan", plan, "--verify") == 0
    assert many.read_bytes() == one.read_bytes()
    assert many.read_text().count("\nE ") == 2  # shots
    recipe = json.loads((tmp_path / f"{name}.vdenoise.json").read_text())
    assert recipe["plan"]["grain_table"] == str(many)


def test_a_grain_table_is_refused_where_segments_hold_other_frames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write(Clip("in.mkv", "ffv1", frames=3, time_base=Fraction(1, 1000)), tmp_path)
    for target in ("a.mov", "a.####.png"):
        codec = ("--codec", "prores") if target == "a.mov" else ()
        given = ("--to", tmp_path / target, "--grain-table", tmp_path / "g.tbl", *codec)
        assert call("plan", clip, "-o", tmp_path / "p.json", *given, *FAST) == 2
        assert "E0297" in capsys.readouterr().err.splitlines()[-1]


def test_an_image_that_changed_is_noticed_where_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = images.sequence(tmp_path / "in", "dpx-10", frames=15)
    (tmp_path / "out").mkdir()
    plan = planned(source, tmp_path / "out" / "clean.####.dpx")
    changed = tmp_path / "in" / "plate.1014.dpx"
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    assert call("run", "--plan", plan, "--segments", 2) == 10
    assert "plate.1014.dpx" in capsys.readouterr().err.splitlines()[-1]
    assert call("run", "--plan", plan, "--segments", "0-1") == 0
    changed.unlink()
    assert call("run", "--plan", plan, "--segments", 2, "--resume") == 3
    assert "plate.1014.dpx does not exist" in capsys.readouterr().err.splitlines()[-1]
    assert call("farm", "assemble", "--plan", plan) == 75


def test_reading_a_sequence_for_a_plan_shows_how_far_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = images.sequence(tmp_path / "in", "png-8", frames=5)
    (tmp_path / "in" / "plate.1003.png").unlink()
    (tmp_path / "out").mkdir()
    given = (*FAST, "--on-missing", "hold", "--progress", "json")
    planned(source, tmp_path / "out" / "clean.####.png", options=given)
    lines = capsys.readouterr().err.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    read = [e for e in events if e["event"] == "progress" and e["phase"] == "read"]
    assert (read[-1]["done"], read[-1]["total"]) == (4, 4)  # a frame held is not read again


def test_a_plan_of_images_that_are_only_read_has_a_name_for_its_output(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for n in (1, 2):
        codes = (images.picture(n).clip(0, 1) * 255).astype(np.uint8)
        images.write(tmp_path / "in" / f"{n:05d}.jpg", codes, "uint8")
    path = tmp_path / "plan.json"
    assert call("plan", tmp_path / "in" / "#####.jpg", "-o", path, *FAST) == 0
    assert PlanFile.load(path).clean.output == str(tmp_path / "in_dn.#####.png")
    assert call("run", "--plan", path) == 0
    assert len(list(tmp_path.glob("in_dn.0000*.png"))) == 2


def test_a_moved_sequence_and_a_moved_output_can_be_named(tmp_path: Path) -> None:
    source = images.sequence(tmp_path / "in", "exr-half", frames=6)
    for name in ("out", "there"):
        (tmp_path / name).mkdir()
    plan = planned(source, tmp_path / "out" / "clean.####.exr")
    (tmp_path / "in").rename(tmp_path / "moved")
    assert call("run", "--plan", plan) == 3
    places = ("--source", tmp_path / "moved" / "plate.%04d.exr")
    places = (*places, "-o", tmp_path / "there" / "clean.####.exr")
    assert call("run", "--plan", plan, *places) == 0
    assert call("farm", "assemble", "--plan", plan, "--verify", *places) == 0
    assert len(list((tmp_path / "there").glob("clean.*.exr"))) == 6
    assert not list((tmp_path / "out").glob("clean*"))


def test_images_that_are_there_are_not_replaced_unless_told(tmp_path: Path) -> None:
    source = images.sequence(tmp_path / "in", "png-8", frames=4)
    images.sequence(tmp_path / "out", "png-8", frames=4)
    options = ("--to", tmp_path / "out" / "plate.####.png", *FAST)
    assert call("plan", source, "-o", tmp_path / "plan.json", *options) == 4
    assert call("plan", source, "-o", tmp_path / "plan.json", *options, "--overwrite") == 0
    before = bytes_of(tmp_path / "out")
    assert call("run", "--plan", tmp_path / "plan.json") == 4
    assert bytes_of(tmp_path / "out") == before
    assert call("run", "--plan", tmp_path / "plan.json", "--resume") == 0
    assert bytes_of(tmp_path / "out") != before


def test_the_curve_of_scene_linear_images_is_in_the_plan(tmp_path: Path) -> None:
    source = images.sequence(tmp_path / "in", "exr-half", frames=3)
    (tmp_path / "out").mkdir()
    job = open_job(planned(source, tmp_path / "out" / "clean.####.exr"))
    assert job.info.curve is not None and job.info == probe(source).__class__(
        **{**vars(probe(source)), "sequence": job.info.sequence}
    )
    text = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert text["source"]["curve"] == vars(job.info.curve)


def test_a_change_in_the_middle_of_a_large_movie_is_noticed_where_it_is_read(
    tmp_path: Path,
) -> None:
    """Between the bytes that are sampled, with the same size: a packet's checksum tells."""
    path, rng = tmp_path / "in.nut", np.random.default_rng(1)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for _ in range(20):
            codes = rng.integers(90, 120, (540, 640), dtype=np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(codes, format="yuv420p")))
        output.mux(stream.encode(None))
    options = (*FAST, "--sigma", 5, "--cuts", "off", "--codec", "ffv1")
    plan = planned(path, tmp_path / "out.mkv", [(0, 1), (10, 11)], options)
    before, data = fingerprint(path), bytearray(path.read_bytes())
    assert len(data) > 3 * EDGE_BYTES
    middle = range(len(data) * 21 // 40, len(data) * 23 // 40, 4096)  # of frames 10 and 11
    assert any(fingerprint_with(path, data, offset) == before for offset in middle)
    assert call("run", "--plan", plan, "--segments", 0) == 0
    job = open_job(plan)  # what is sampled is the same
    with pytest.raises(ConflictError, match=r"frame 1[01] has changed"):
        run_segment(job, 1, Quiet(), device="cpu")


def fingerprint_with(path: Path, data: bytearray, offset: int) -> dict[str, object]:
    """Of the file with another byte at an offset, which stays."""
    changed = bytearray(data)
    changed[offset] ^= 1
    path.write_bytes(changed)
    return fingerprint(path)
