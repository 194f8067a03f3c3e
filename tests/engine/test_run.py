from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.helpers.clips import Clip, write
from vdenoise.chain.presets import load
from vdenoise.chain.resolve import Chain, Layer, resolve
from vdenoise.engine import plan, run, tiles
from vdenoise.engine.denoise import denoise
from vdenoise.engine.planning import plan_denoising
from vdenoise.engine.streams import Shots
from vdenoise.errors import InputError, Interrupted, OutputError, VerifyError
from vdenoise.media.movie import writer as movie_writer
from vdenoise.media.movie.settings import choose
from vdenoise.media.movie.writer import MovieWriter
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.media.side_outputs import noise_settings
from vdenoise.media.verify import Report
from vdenoise.nets import build
from vdenoise.noise.removed import removed_noise, restore_planes
from vdenoise.picture.frame import ClipInfo, PixelFormat, SourceFrame
from vdenoise.picture.noise import NoiseProfile
from vdenoise.stages.plugins import fingerprint

NOISE = NoiseProfile.white(0.06, 0.06, 0.06)


class Quiet:
    """Hears progress; may raise like a signal handler would."""

    def __init__(self, stop_at: int = -1) -> None:
        self.phases: list[tuple[str, int]] = []
        self.done = 0
        self.stop_at = stop_at

    def start(self, phase: str, frames: int, *, unit: str = "fps") -> None:
        self.phases.append((phase, frames))

    def advance(self, busy: dict[str, float]) -> None:
        self.done += 1
        if self.done == self.stop_at:
            raise Interrupted("Interrupted.", "Again.")


def chain(**values: Any) -> Chain:
    typed = {key.replace("__", "."): value for key, value in values.items()}
    return resolve(load("auto"), [Layer("test", {"temporal.radius": 2, **typed})], speed="fast")


def planned(source: Path, target: Path, what: Chain, **options: Any) -> plan.Plan:
    info = probe(source)
    noise = options.get("noise_out")
    encode = choose(info, target, codec=options.pop("codec", "ffv1"))
    if noise is not None:
        options["noise_encode"] = noise_settings(info, encode, noise)
    return plan_denoising(info, what, target, encode, device="cpu", **options)


def planes(path: Path) -> list[tuple[Tensor, ...]]:
    with Reader(probe(path)) as reader:
        return [tuple(plane.clone() for plane in frame.planes) for frame in reader]


def same(a: Sequence[Tensor], b: Sequence[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(Clip("in.mkv", codec="ffv1", frames=12), tmp_path)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "in.mkv")


def test_a_run_denoises_every_frame_and_leaves_only_the_output(
    source: Path, tmp_path: Path
) -> None:
    heard = Quiet()
    made = planned(source, tmp_path / "out.mkv", chain())
    result = run.run(made, NOISE, (), heard)
    assert result.frames == heard.done == 12 and heard.phases == [("denoise", 12)]
    assert result.report.ok and leftovers(tmp_path) == ["out.mkv"]
    before, after = planes(source), planes(tmp_path / "out.mkv")
    for old, new in zip(before, after, strict=True):
        for a, b in zip(old, new, strict=True):
            assert b[2:, 2:].float().std() < a[2:, 2:].float().std()


@pytest.mark.parametrize("format", ["yuv420p", "yuv422p10le", "gbrp10le", "gray"])
def test_strength_zero_gives_every_sample_back(format: str, tmp_path: Path) -> None:
    source = write(Clip("in.mkv", codec="ffv1", format=format, frames=3), tmp_path)
    nothing = chain(temporal__strength=0, spatial__strength=0)
    for what in (nothing, chain(output__luma=0, output__chroma=0)):
        made = planned(source, tmp_path / "out.mkv", what)
        run.run(made, NOISE, (), Quiet(), overwrite=True)
        for a, b in zip(planes(source), planes(tmp_path / "out.mkv"), strict=True):
            assert same(a, b)


def test_luma_zero_leaves_luma_untouched_and_chroma_zero_chroma(
    source: Path, tmp_path: Path
) -> None:
    before = planes(source)
    for dial, kept, changed in (("luma", [0], [1, 2]), ("chroma", [1, 2], [0])):
        target = tmp_path / f"{dial}.mkv"
        run.run(planned(source, target, chain(**{f"output__{dial}": 0})), NOISE, (), Quiet())
        for a, b in zip(before, planes(target), strict=True):
            assert all(torch.equal(a[n], b[n]) for n in kept)
            assert not any(torch.equal(a[n], b[n]) for n in changed)


def test_the_share_asked_for_is_removed(source: Path, tmp_path: Path) -> None:
    found = {}
    for percent in (0, 50, 100):
        target = tmp_path / f"{percent}.mkv"
        run.run(planned(source, target, chain(output__luma=percent)), NOISE, (), Quiet())
        found[percent] = torch.stack([p[0] for p in planes(target)]).float()
    middle = (found[0] + found[100]) / 2
    assert (found[50] - middle).abs().max() <= 1  # each of the three is rounded once
    assert abs(float((found[50] - middle).mean())) < 0.05  # rounded, not cut off


def sources(path: Path, first: int, last: int) -> Iterator[SourceFrame]:
    with Reader(probe(path), first=first, last=last) as reader:
        yield from reader


def denoised(made: plan.Plan, shots: Shots) -> dict[int, tuple[Tensor, ...]]:
    first, last = made.source_range(shots)
    results = denoise(sources(made.info.path, first, last), made, NOISE, shots)
    return {frame.index: planes for frame, planes in results}


@pytest.mark.parametrize("guide", ["transform", "pilot"])
def test_the_length_of_blocks_and_where_frames_start_change_nothing(
    source: Path, tmp_path: Path, guide: str
) -> None:
    shots = Shots(12, (7,))
    made = planned(source, tmp_path / "out.mkv", chain(temporal__guide=guide))
    whole = denoised(made, shots)
    assert list(whole) == list(range(12))
    for length in (1, 2, 3):
        steps = tuple(replace(step, block=length) for step in made.steps)
        for first, last in ((0, 11), (2, 9), (11, 11), (6, 7), (0, 0)):
            part = denoised(replace(made, steps=steps, first=first, last=last), shots)
            assert list(part) == list(range(first, last + 1))
            assert all(same(part[n], whole[n]) for n in part)


def test_the_number_of_workers_and_of_threads_changes_nothing(source: Path, tmp_path: Path) -> None:
    made = planned(source, tmp_path / "out.mkv", chain())
    one = denoised(replace(made, workers=1), Shots(12))
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        many = denoised(replace(made, workers=4), Shots(12))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert one.keys() == many.keys()
    assert all(same(one[index], many[index]) for index in one)


def test_a_pilot_guides_motion_and_its_weights_are_named(source: Path, tmp_path: Path) -> None:
    plain = planned(source, tmp_path / "out.mkv", chain())
    piloted = planned(source, tmp_path / "out.mkv", chain(temporal__guide="pilot"))
    temporal = [made.steps[0].stage for made in (plain, piloted)]
    assert [fingerprint(stage) is None for stage in temporal] == [True, False]
    assert [len(stage.files) for stage in temporal] == [0, 1]
    one, other = (denoised(made, Shots(12)) for made in (plain, piloted))
    assert not all(same(one[n], other[n]) for n in one)


def test_tiles_change_nothing(source: Path, tmp_path: Path) -> None:
    made = planned(source, tmp_path / "out.mkv", chain(spatial__method="nlm"))
    small = tuple(
        replace(step, tile=16) if not step.stage.footprint.whole else step for step in made.steps
    )
    whole = denoised(made, Shots(12))
    part = denoised(replace(made, steps=small), Shots(12))
    assert all(same(part[n], whole[n]) for n in whole)


def test_nothing_bleeds_over_a_cut(source: Path, tmp_path: Path) -> None:
    made = planned(source, tmp_path / "out.mkv", chain(), frames=(0, 5))
    first, last = made.source_range(Shots(12, (6,)))
    assert (first, last) == (0, 5)  # frames behind the cut are not even read
    assert planned(source, tmp_path / "o.mkv", chain(), frames=(6, 7)).source_range(
        Shots(12, (6,))
    ) == (6, 10)


def test_frames_of_a_range_equal_those_of_the_whole(source: Path, tmp_path: Path) -> None:
    run.run(planned(source, tmp_path / "all.mkv", chain()), NOISE, (), Quiet())
    made = planned(source, tmp_path / "part.mkv", chain(), frames=(4, 8))
    assert run.run(made, NOISE, (), Quiet()).frames == 5
    whole, part = planes(tmp_path / "all.mkv"), planes(tmp_path / "part.mkv")
    assert all(same(a, b) for a, b in zip(part, whole[4:9], strict=True))


@pytest.mark.parametrize(
    "format", ["yuv420p", "yuv422p10le", "yuv444p12le", "yuv420p16le", "gray", "gbrp10le"]
)
def test_clean_and_noise_make_the_source(format: str, tmp_path: Path) -> None:
    source = write(Clip("in.mkv", codec="ffv1", format=format, frames=4), tmp_path)
    target, noise = tmp_path / "out.mkv", tmp_path / "noise.mkv"
    made = planned(source, target, chain(), noise_out=noise)
    run.run(made, NOISE, (), Quiet())
    assert made.noise_encode is not None and made.noise_encode.lossless
    fmt, noise_fmt = made.info.format, made.noise_encode.pixel_format
    assert noise_fmt.bits > fmt.bits or fmt.bits == 16
    before, after, removed = planes(source), planes(target), planes(noise)
    assert not same(before[0], after[0])
    for old, new, gone in zip(before, after, removed, strict=True):
        assert same(restore_planes(new, gone, fmt, noise_fmt), old)


def test_the_largest_differences_do_not_clip() -> None:
    for bits, deeper in ((8, 9), (16, 16)):
        top = (1 << bits) - 1
        dtype = torch.uint8 if bits == 8 else torch.uint16
        fmt = PixelFormat("", "gray", bits)
        out = PixelFormat("", "gray", deeper)
        a, b = torch.tensor([[0, top, 3]], dtype=dtype), torch.tensor([[top, 0, 3]], dtype=dtype)
        noise = removed_noise([a], [b], fmt, out)
        assert same(restore_planes([b], noise, fmt, out), [a])
        assert int(noise[0][0, 2]) == 1 << (deeper - 1)


def test_a_clip_that_is_not_kept_leaves_no_noise(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files are checked before one has its name: noise without its clip restores nothing."""
    sound = movie_writer.verify
    clean = tmp_path / "out.mkv"

    def verify(info: ClipInfo, written: Path, **more: Any) -> Report:
        report: Report = sound(info, written, **more)
        return replace(report, findings=("the frames",)) if clean.stem in written.name else report

    monkeypatch.setattr(movie_writer, "verify", verify)
    made = planned(source, clean, chain(), noise_out=tmp_path / "noise.mkv")
    with pytest.raises(VerifyError, match="would not keep"):
        run.run(made, NOISE, (), Quiet())
    assert [p.name for p in tmp_path.iterdir() if p != source] == []


def running() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name in ("decode", "encode")]


def test_an_interruption_leaves_nothing(source: Path, tmp_path: Path) -> None:
    made = planned(source, tmp_path / "out.mkv", chain(), noise_out=tmp_path / "noise.mkv")
    with pytest.raises(Interrupted):
        run.run(made, NOISE, (), Quiet(stop_at=3))
    assert leftovers(tmp_path) == [] and running() == []


def test_the_first_error_of_the_writer_is_the_one_raised(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: MovieWriter, frame: SourceFrame, planes: Sequence[Tensor]) -> None:
        raise OutputError(f"disk full at {frame.index}", "Free some room.", number=1)

    monkeypatch.setattr(MovieWriter, "write", full)
    with pytest.raises(OutputError, match="disk full at 0"):
        run.run(planned(source, tmp_path / "out.mkv", chain()), NOISE, (), Quiet())
    assert leftovers(tmp_path) == [] and running() == []


def test_an_error_of_the_reader_in_the_middle_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = Reader.__iter__

    def broken(self: Reader) -> Iterator[SourceFrame]:
        for frame in frames(self):
            if frame.index == 8:
                raise InputError("Frame 8 is damaged.", "Copy again.", number=8)
            yield frame

    made = planned(source, tmp_path / "out.mkv", chain())
    monkeypatch.setattr(Reader, "__iter__", broken)
    with pytest.raises(InputError, match="Frame 8"):
        run.run(made, NOISE, (), Quiet())
    assert leftovers(tmp_path) == [] and running() == []


def test_an_output_that_exists_is_kept_when_a_run_fails(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    target.write_bytes(b"precious")
    with pytest.raises(OutputError):
        run.run(planned(source, target, chain()), NOISE, (), Quiet())
    with pytest.raises(Interrupted):
        run.run(planned(source, target, chain()), NOISE, (), Quiet(stop_at=2), overwrite=True)
    assert target.read_bytes() == b"precious" and leftovers(tmp_path) == ["out.mkv"]


def test_few_frames_are_held_at_a_time(tmp_path: Path) -> None:
    """However long the clip: what the windows see, and what each step has begun."""
    source = write(Clip("in.mkv", codec="ffv1", frames=60, size=(16, 16)), tmp_path)
    made = planned(source, tmp_path / "out.mkv", chain())
    made = replace(made, steps=tuple(replace(step, block=2) for step in made.steps))
    read: list[int] = []

    def counted() -> Iterator[SourceFrame]:
        for frame in sources(source, 0, 59):
            read.append(frame.index)
            yield frame

    furthest = 0
    for frame, _ in denoise(counted(), made, NOISE, Shots(60)):
        furthest = max(furthest, read[-1] - frame.index)
    assert furthest <= sum(s.stage.reach + (made.workers + 1) * s.block for s in made.steps)


def test_inference_mode_does_not_leak_to_whoever_pulls(source: Path, tmp_path: Path) -> None:
    made = planned(source, tmp_path / "out.mkv", chain())
    for _ in denoise(sources(source, 0, 11), made, NOISE, Shots(12)):
        assert not torch.is_inference_mode_enabled()


def test_out_of_memory_is_met_with_smaller_pieces(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = planned(source, tmp_path / "out.mkv", chain())
    whole = denoised(made, Shots(12))
    real, tried = tiles.apply_tiled, []

    def short(stage: Any, block: Any, tile: Any, factors: Any, only: Any, *_: Any) -> Any:
        tried.append(tile)
        if block.core.stop - block.core.start > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(stage, block, tile, factors, only)

    monkeypatch.setattr(tiles, "apply_tiled", short)
    part = denoised(made, Shots(12))
    assert len(tried) > 12 and all(same(part[n], whole[n]) for n in whole)


def test_no_memory_at_all_is_said_and_other_errors_are_not_taken_for_it(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vdenoise.errors import MemoryShort

    made = planned(source, tmp_path / "out.mkv", chain())

    def short(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    def wrong(*_: Any) -> Any:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(tiles, "apply_tiled", short)
    with pytest.raises(MemoryShort):
        denoised(made, Shots(12))
    monkeypatch.setattr(tiles, "apply_tiled", wrong)
    with pytest.raises(RuntimeError, match="shapes differ"):
        denoised(made, Shots(12))


def test_a_network_goes_on_with_smaller_tiles_where_memory_runs_out(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the same frame, and to the same bits; so does the guard behind it."""
    net = build("guided-s")
    torch.nn.init.normal_(net.get_parameter("tail.weight"), std=0.02)
    path = tmp_path / "net.safetensors"
    save_file(net.state_dict(), path, metadata={"architecture": "guided-s"})
    what = chain(temporal__method="none", spatial__method="none", net__model=str(path))
    made = planned(source, tmp_path / "out.mkv", what, frames=(0, 2))
    whole = denoised(made, Shots(12))
    real, done = tiles.apply_tiled, []

    def short(stage: Any, block: Any, tile: Any, factors: Any, only: Any, *_: Any) -> Any:
        if tile is None or tile > 32:
            raise torch.OutOfMemoryError("CUDA out of memory")
        done.append((stage.name, tile))
        return real(stage, block, tile, factors, only)

    monkeypatch.setattr(tiles, "apply_tiled", short)
    monkeypatch.setattr(tiles, "SMALLEST_TILE", 16)
    part = denoised(made, Shots(12))
    assert all(16 <= tile <= 32 for _, tile in done)
    assert sorted(name for name, _ in done) == ["net.cnn"] * 3 + ["texture.guard"] * 3
    assert list(part) == [0, 1, 2] and all(same(part[n], whole[n]) for n in whole)
