"""Segments of a plan, in whatever way they are cut and done, make the clip of a single pass."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from tests.helpers.clips import Clip, write
from vdenoise.chain.presets import load
from vdenoise.chain.request import ChainRequest
from vdenoise.chain.resolve import Layer
from vdenoise.engine import run
from vdenoise.engine.plan import Plan
from vdenoise.engine.planning import plan_denoising
from vdenoise.errors import ConflictError, TryAgain, UsageError
from vdenoise.farm.assemble import assemble
from vdenoise.farm.chain_record import Request
from vdenoise.farm.collect import check_engines, collect
from vdenoise.farm.job import Job, analysis_of, open_job, run_plan
from vdenoise.farm.make_plan import make_plan
from vdenoise.farm.measure import measure
from vdenoise.farm.planfile import PlanFile
from vdenoise.farm.record import write_record
from vdenoise.farm.segments import clip_path, frame_hashes, report_path, run_segment
from vdenoise.farm.source import IndexRecord
from vdenoise.farm.split import as_text, parse_numbers, segment_length, split
from vdenoise.media.movie.codecs import CODECS
from vdenoise.media.movie.index import scan
from vdenoise.media.movie.settings import choose
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.noise.estimate import Analyzer
from vdenoise.picture.color import lift
from vdenoise.workflows import measure as measuring

CUT = 13  # first frame of the second shot, as --cuts would say
LAYERS = [Layer("test", {"temporal.radius": 2, "spatial.method": "gaussian"})]


WITH_NET = [Layer("test", {"temporal.radius": 1, "net.method": "cnn", "net.model": "S"})]


class Quiet:
    def start(self, phase: str, frames: int, *, unit: str = "fps") -> None: ...

    def advance(self, busy: dict[str, float]) -> None: ...


@dataclass(frozen=True)
class Case:
    """A source, and what is delivered of it."""

    source: Callable[[Path], Path]
    target: str
    codec: str
    crf: int | None = None


def made(clip: Clip) -> Callable[[Path], Path]:
    return lambda folder: write(replace(clip, frames=26), folder)


def with_edit_list(folder: Path) -> Path:
    """The first frames are there but hidden, as after a cut without re-encoding."""
    whole = write(Clip("whole.mp4", frames=32, options={"g": "8", "bf": "2"}), folder)
    target = folder / "edited.mp4"
    with av.open(str(whole)) as source:
        video = source.streams.video[0]
        options = {"avoid_negative_ts": "disabled"}
        with av.open(str(target), "w", container_options=options) as output:
            copy = output.add_stream_from_template(video)
            for packet in source.demux(video):
                if packet.size:
                    packet.pts, packet.dts = packet.pts - 5 * 512, packet.dts - 5 * 512
                    packet.stream = copy
                    output.mux(packet)
    return target


OPEN_GOP = {
    "libx264": {"x264-params": "keyint=6:min-keyint=6:scenecut=0:open-gop=1", "bf": "3"},
    "libx265": {"x265-params": "keyint=6:min-keyint=6:scenecut=0:open-gop=1:log-level=none"},
}
CASES = {
    "open GOP H.264": Case(
        made(Clip("in.mp4", options=OPEN_GOP["libx264"], audio=("eng",))), "out.mp4", "x264", 0
    ),
    "open GOP HEVC": Case(
        made(Clip("in.mkv", "libx265", options=OPEN_GOP["libx265"], time_base=Fraction(1, 1000))),
        "out.mkv",
        "ffv1",
    ),
    "MPEG-TS": Case(
        made(Clip("in.ts", "mpeg2video", time_base=Fraction(1, 25), audio=("eng",))),
        "out.ts",
        "x264",
        0,
    ),
    "edit list": Case(with_edit_list, "out.mp4", "x264", 0),
    "VFR": Case(
        made(Clip("in.mp4", pts=lambda n: n * 512 + 37 * (n % 4), options={"bf": "2"})),
        "out.mp4",
        "x264",
        0,
    ),
    "ProRes": Case(
        made(
            Clip(
                "in.mov",
                "prores_ks",
                "yuv422p10le",
                rate=Fraction(24000, 1001),
                time_base=Fraction(1, 24000),
                timecode="01:02:03:04",
                audio=("eng",),
                chapters=True,
            )
        ),
        "out.mov",
        "prores",
    ),
}


def planned(
    source: Path, target: Path, codec: str, crf: int | None = None, layers: list[Layer] = LAYERS
) -> Plan:
    info = probe(source)
    chain = ChainRequest(load("auto"), tuple(layers), "veryfast").chain()
    return plan_denoising(
        info, chain, target, choose(info, target, codec=codec, crf=crf), device="cpu"
    )


def job_for(
    case: Case,
    folder: Path,
    segments: list[tuple[int, int]] | None = None,
    layers: list[Layer] = LAYERS,
) -> Job:
    plan = planned(case.source(folder), folder / case.target, case.codec, case.crf, layers)
    request = Request.of(ChainRequest(load("auto"), tuple(layers), "veryfast"))
    file = make_plan(plan, request, profile=None, cuts=(CUT,), segment_frames=7, progress=Quiet())
    file = file.model_copy(update={"analysis": measure(file, plan.info, Quiet(), None)})
    return saved(file, folder / "plan.json", segments)


def saved(file: PlanFile, path: Path, segments: list[tuple[int, int]] | None = None) -> Job:
    """The job of a plan, of which only the segments may be changed: they alter nothing."""
    if segments is not None:
        file = file.model_copy(update={"segments": tuple(segments)})
        assert file.analysis is not None
        found = file.analysis.model_copy(update={"request_id": file.request_id})
        file = file.model_copy(update={"analysis": found})
    write_record(file.sealed(), path)
    return open_job(path)


def partition(count: int, seed: int) -> list[tuple[int, int]]:
    """A random one with a segment of one frame, and edges at the cut and a frame beside it."""
    chosen = random.Random(seed)
    edges = {0, CUT, CUT + chosen.choice((-1, 1)), count}
    edges |= set(chosen.sample(range(1, count), 3))
    first = chosen.choice([n for n in sorted(edges) if n < count - 1])
    ordered = sorted(edges | {first + 1})
    return [(a, b - 1) for a, b in pairwise(ordered)]


def single_pass(job: Job, target: Path) -> Path:
    analysis, (first, last) = analysis_of(job), job.file.frames
    plan = run_plan(
        job,
        analysis,
        frames=(first, last),
        targets={"clean": (target, job.file.clean.encode)},
        device="cpu",
    )
    run.run(plan, analysis.profile, analysis.cuts, Quiet())
    return target


def facts(path: Path) -> dict[str, Any]:
    """Everything that must be the same."""
    info, index = probe(path), scan(path)
    sound = hashlib.sha256()
    with av.open(str(path)) as container:
        if container.streams.audio:
            for frame in container.decode(audio=0):
                sound.update(frame.to_ndarray().tobytes())
    return {
        "frames": list(frame_hashes([path])),
        "pts": index.pts,
        "durations": index.durations,
        "rate": (index.rate, info.duration),
        "timecode": info.timecode,
        "streams": info.streams,
        "sound": sound.hexdigest(),
    }


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("with_net", [False, True], ids=["", "net"])
def test_any_partition_in_any_order_makes_the_single_pass(
    with_net: bool, name: str, tmp_path: Path
) -> None:
    case = CASES[name]
    job = job_for(case, tmp_path, layers=WITH_NET if with_net else LAYERS)
    frames = job.info.frames or 0
    expected = facts(single_pass(job, tmp_path / f"single-{case.target}"))
    assert len(expected["frames"]) == frames > 20
    for seed in (2,) if with_net else (0, 1):
        segments = partition(frames, seed)
        assert min(b - a for a, b in segments) == 0
        job = saved(job.file, tmp_path / f"{seed}.json", segments)
        order = list(range(len(segments)))
        random.Random(seed).shuffle(order)
        with ThreadPoolExecutor(2) as two:
            tasks = [two.submit(run_segment, job, n, Quiet(), device="cpu") for n in order]
        assert all(task.result() for task in tasks)
        target = tmp_path / f"{seed}-{case.target}"
        job = replace(job, moved={"clean": target})
        assemble(job, collect(job), Quiet(), list, verify=True)
        assert facts(target) == expected
        if job.file.clean.join == "copy":
            assert packets(target) == packets(tmp_path / f"single-{case.target}")


def test_a_network_is_in_the_plan_and_changes_nothing_at_edges(tmp_path: Path) -> None:
    clip = Clip("in.mkv", "ffv1", frames=16, time_base=Fraction(1, 1000))
    case = Case(lambda folder: write(clip, folder), "out.mkv", "ffv1")
    job = job_for(case, tmp_path, [(0, 4), (5, 5), (6, 15)], WITH_NET)
    stages = {stage.stage: stage.fingerprint for stage in analysis_of(job).chain.stages}
    assert len(stages["net.cnn"] or "") == 64 and stages["temporal.mean"] is None
    assert done(job) == list(frame_hashes([single_pass(job, tmp_path / "single.mkv")]))


@pytest.mark.parametrize(
    ("codec", "target", "format"),
    [
        ("prores", "mov", "yuv422p10le"),
        ("dnxhr", "mov", "yuv422p10le"),
        ("dnxhr", "mxf", "yuv422p10le"),
        ("ffv1", "mkv", "yuv420p"),
        ("ffv1", "avi", "yuv422p10le"),
        ("ffv1", "mkv", "gbrp10le"),
        ("v210", "mov", "yuv422p10le"),
        ("rawvideo", "nut", "yuv420p"),
        ("utvideo", "avi", "yuv422p"),
        ("magicyuv", "avi", "yuv444p"),
        ("huffyuv", "avi", "yuv422p"),
        ("ffvhuff", "avi", "yuv420p"),
        ("png", "mov", "gbrp16le"),
    ],
)
def test_packets_of_segments_are_those_of_a_single_pass(
    codec: str, target: str, format: str, tmp_path: Path
) -> None:
    clip = Clip("in.mkv", "ffv1", format, (256, 128), 5, tags=(1, 1, 0 if "g" in format else 1, 1))
    job = job_for(Case(lambda folder: write(clip, folder), f"out.{target}", codec), tmp_path,
                  [(0, 0), (1, 2), (3, 4)])  # fmt: skip
    assert CODECS[codec].intra and job.file.clean.join == "copy"
    for number in range(3):
        run_segment(job, number, Quiet(), device="cpu")
    joined = tmp_path / f"joined.{target}"
    assemble(replace(job, moved={"clean": joined}), collect(job), Quiet(), list, verify=True)
    single = single_pass(job, tmp_path / f"single.{target}")
    assert packets(joined) == packets(single)


def packets(path: Path) -> list[tuple[int | None, int | None, str]]:
    with av.open(str(path)) as container:
        return [
            (packet.pts, packet.dts, hashlib.sha256(bytes(packet)).hexdigest())
            for packet in container.demux(video=0)
            if packet.size
        ]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    clip = Clip("in.mkv", "ffv1", frames=20, time_base=Fraction(1, 1000))
    return job_for(Case(lambda folder: write(clip, folder), "out.mkv", "ffv1"), tmp_path)


def done(job: Job) -> list[str]:
    reports = [run_segment(job, n, Quiet(), device="cpu") for n in range(len(job.file.segments))]
    return [text for report in reports for text in report.parts[0].frame_hashes]


def test_without_handles_the_frames_at_the_edges_differ(job: Job, tmp_path: Path) -> None:
    """That the test above can fail: as many cuts as segments keep every window inside its own."""
    expected = list(frame_hashes([single_pass(job, tmp_path / "single.mkv")]))
    assert done(job) == expected
    analysis = analysis_of(job)
    edges = tuple(sorted({CUT, *(first for first, _ in job.file.segments[1:])}))
    blind = job.file.model_copy(update={"analysis": analysis.model_copy(update={"cuts": edges})})
    found = done(saved(blind, tmp_path / "blind.json"))
    different = [n for n, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b]
    assert different and all(min(abs(n - edge) for edge in edges) <= 4 for n in different)


def test_with_a_noise_profile_of_each_segment_all_frames_differ(job: Job, tmp_path: Path) -> None:
    expected = list(frame_hashes([single_pass(job, tmp_path / "single.mkv")]))
    first, last = job.file.segments[0]
    analyzer = Analyzer((), str(job.source))
    with Reader(job.info, first=first, last=last) as reader:
        for frame in reader:
            luma, chroma = lift(frame, job.info)
            analyzer.push(frame.index, luma, chroma)
    own = analysis_of(job).model_copy(update={"profile": analyzer.finish().profile})
    report = run_segment(job, 0, Quiet(), device="cpu", analysis=own)
    found = report.parts[0].frame_hashes
    assert all(a != b for a, b in zip(found, expected, strict=False))


def test_an_altered_plan_is_refused(job: Job) -> None:
    data = json.loads(job.plan_path.read_text())
    data["seed"] = 1
    job.plan_path.write_text(json.dumps(data))
    with pytest.raises(ConflictError, match="changed") as error:
        open_job(job.plan_path)
    assert error.value.exit_code == 10


def test_an_altered_source_is_refused(job: Job) -> None:
    data = bytearray(job.source.read_bytes())
    data[len(data) // 2] ^= 1
    job.source.write_bytes(data)
    with pytest.raises(ConflictError, match="not the clip"):
        open_job(job.plan_path)


def test_another_version_is_refused_unless_told(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdenoise.farm.job.__version__", "9.9.9")
    with pytest.raises(ConflictError, match=r"9\.9\.9"):
        open_job(job.plan_path)
    assert open_job(job.plan_path, allow_version_skew=True).file == job.file


def test_a_plan_and_a_report_of_another_schema_are_refused(job: Job) -> None:
    run_segment(job, 0, Quiet(), device="cpu")
    for path, read in (
        (report_path(job, 0), lambda: collect(job)),
        (job.plan_path, lambda: open_job(job.plan_path)),
    ):
        data = json.loads(path.read_text())
        data["schema_version"] -= 1
        path.write_text(json.dumps(data))
        with pytest.raises(ConflictError, match="another version") as error:
            read()
        assert error.value.exit_code == 10


def test_a_stage_with_another_model_is_refused(job: Job) -> None:
    analysis = analysis_of(job)
    first, *rest = analysis.chain.stages
    other = first.model_copy(update={"fingerprint": "00"})
    chain = analysis.chain.model_copy(update={"stages": (other, *rest)})
    with pytest.raises(ConflictError, match="fingerprint"):
        chain.chain()


def test_a_source_that_was_moved_can_be_named(job: Job, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere.mkv"
    job.source.rename(moved)
    found = open_job(job.plan_path, source=moved)
    assert found.source == moved and found.info.frames == 20


def test_a_task_does_not_scan_its_source(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def scanned(*_: object) -> None:
        raise AssertionError("read the whole source")

    monkeypatch.setattr("vdenoise.media.movie.index._scan", scanned)
    assert open_job(job.plan_path).info.frames == 20


@pytest.mark.parametrize("broken", ["missing", "short", "flipped", "no report"])
def test_a_segment_that_is_not_sound_is_not_joined(broken: str, job: Job) -> None:
    done(job)
    clip = clip_path(job, 1, job.file.clean)
    data = bytearray(clip.read_bytes())
    if broken == "missing":
        clip.unlink()
    elif broken == "short":
        clip.write_bytes(data[:-100])
    elif broken == "no report":
        report_path(job, 1).unlink()
    else:
        data[len(data) // 2] ^= 1
        clip.write_bytes(data)
    with pytest.raises(TryAgain, match="1 of 3 segments are missing or damaged: 1") as error:
        collect(job)
    assert "--segments 1 --resume" in error.value.hint


def test_segments_of_another_plan_are_refused(job: Job, tmp_path: Path) -> None:
    done(job)
    other = job.file.model_copy(update={"seed": 5})
    with pytest.raises(ConflictError, match="another plan"):
        collect(replace(saved(other, tmp_path / "other.json"), work=job.work))


def test_segments_of_different_engines_are_joined_only_when_told(job: Job) -> None:
    done(job)
    reports = list(collect(job))
    assert check_engines(reports, allow_mixed=False) == ()
    other = {**reports[1].engine, "device": "NVIDIA H100"}
    reports[1] = reports[1].model_copy(update={"engine": other})
    with pytest.raises(ConflictError, match=r"2 kinds of machine.*device NVIDIA H100"):
        check_engines(reports, allow_mixed=False)
    assert len(check_engines(reports, allow_mixed=True)) == 2


def test_the_number_of_threads_changes_nothing(job: Job) -> None:
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        report = run_segment(job, 1, Quiet(), device="cpu", overwrite=True, threads=threads)
        found.append(report.parts)
    torch.set_num_threads(before)
    assert found[0] == found[1]


def test_a_range_of_frames_has_the_edges_of_the_whole(tmp_path: Path) -> None:
    assert split(0, 99, 24) == ((0, 23), (24, 47), (48, 71), (72, 99))
    assert split(0, 99, 26) == ((0, 25), (26, 51), (52, 77), (78, 99))
    assert split(30, 99, 26) == ((30, 51), (52, 77), (78, 99))
    assert split(5, 5, 26) == ((5, 5),)


def test_segments_are_long_against_their_handles_and_short_against_a_day() -> None:
    assert segment_length(64 * 48, "base", 2) == 2000
    assert segment_length(1920 * 1080, "base", 2) == 386
    assert segment_length(8192 * 4320, "veryslow", 8) == 128


def test_segment_numbers_are_read_and_said_alike() -> None:
    assert parse_numbers("3-5,9, 4", 10) == (3, 4, 5, 9)
    assert as_text((3, 4, 5, 9)) == "3-5,9" and as_text(()) == ""
    for wrong in ("", "a", "5-3", "10", "-1", "1-"):
        with pytest.raises(UsageError):
            parse_numbers(wrong, 10)


def test_an_index_comes_back_as_it_was(tmp_path: Path) -> None:
    source = write(Clip("vfr.mp4", pts=lambda n: n * 512 + 37 * (n % 4) ** 2), tmp_path)
    index = scan(source)
    record = IndexRecord.model_validate(json.loads(IndexRecord.of(index).model_dump_json()))
    assert record.index() == index


def test_what_was_measured_is_kept_to_the_last_bit(job: Job) -> None:
    again = open_job(job.plan_path).file
    assert again.analysis is not None and job.file.analysis is not None
    assert again.analysis.profile == job.file.analysis.profile
    measuring.check_profile(again.analysis.profile, job.info)
