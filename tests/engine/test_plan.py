from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from vdenoise.chain.presets import load
from vdenoise.chain.resolve import Chain, resolve
from vdenoise.engine import plan, steps
from vdenoise.engine.planning import plan_denoising
from vdenoise.engine.streams import Shots
from vdenoise.engine.tiles import SMALLEST_TILE
from vdenoise.errors import DeviceError, MemoryShort, UsageError
from vdenoise.machine.devices import find_device
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.picture.frame import ClipInfo, PixelFormat
from vdenoise.settings.groups import OutputSettings
from vdenoise.stages import stage_class
from vdenoise.stages.base import Footprint, Precision, Stage

YUV420 = PixelFormat("yuv420p", "yuv", 8, 1, 1)
CLIP = ClipInfo(
    path=Path("clip.mkv"),
    container="matroska",
    codec="h264",
    width=1920,
    height=1080,
    format=YUV420,
    source_format="yuv420p",
    time_base=Fraction(1, 25),
    rate=Fraction(25),
    frames=100,
    duration=4.0,
    start_pts=0,
    variable_rate=False,
    full_range=False,
    matrix="bt709",
    matrix_guessed=False,
    primaries="bt709",
    transfer="bt709",
    chroma_location="left",
    field_order="progressive",
    sample_aspect_ratio=Fraction(1),
)
ENCODE = EncodeSettings(
    container="matroska",
    codec="ffv1",
    encoder="ffv1",
    pixel_format=YUV420,
    coded_format="yuv420p",
    lossless=True,
)
OUT = Path("out.mkv")


class Whole(Stage):
    """Needs whole frames."""

    slot: ClassVar[str] = "temporal"
    method: ClassVar[str] = "whole"

    @property
    def footprint(self) -> Footprint:
        return Footprint(whole=True)

    @property
    def reach(self) -> int:
        return 3


class Tiled(Stage):
    """Can be tiled."""

    slot: ClassVar[str] = "spatial"
    method: ClassVar[str] = "tiled"

    @property
    def precision(self) -> Precision:
        return "float16"

    @property
    def footprint(self) -> Footprint:
        return Footprint(halo=10, multiple=8)


class Hungry(Tiled):
    """Takes more than a small machine has."""

    @property
    def footprint(self) -> Footprint:
        return replace(super().footprint, scratch=24)


def chain(*stages: Stage, luma: float = 100, chroma: float = 100) -> Chain:
    return Chain("test", "base", stages, output=OutputSettings(luma=luma, chroma=chroma))


def make(*stages: Stage, info: ClipInfo = CLIP, **options: object) -> plan.Plan:
    return plan_denoising(info, chain(*stages), OUT, ENCODE, device="cpu", **options)  # type: ignore[arg-type]


def with_memory(monkeypatch: pytest.MonkeyPatch, mib: int) -> None:
    monkeypatch.setattr(steps, "free_bytes", lambda device: mib * plan.MIB)


def test_handles_are_added_for_every_step_and_stop_at_cuts_and_ends() -> None:
    made = make(Whole(), Tiled(), frames=(20, 30))
    assert made.source_range(Shots(100)) == (17, 33)
    assert made.source_range(Shots(100, (19,))) == (19, 33)
    assert make(Whole(), frames=(0, 0)).source_range(Shots(100)) == (0, 6)
    assert make(Whole(), Whole(), frames=(50, 50)).source_range(Shots(100)) == (44, 56)


@pytest.mark.parametrize(("height", "least"), [(1080, 700), (2160, 2100)])
def test_less_memory_never_means_longer_blocks_or_larger_tiles(
    monkeypatch: pytest.MonkeyPatch, height: int, least: int
) -> None:
    sizes = []
    info = replace(CLIP, width=height * 16 // 9, height=height)
    monkeypatch.setattr(steps, "SCRATCH_BYTES", 10**12)
    for share in (20, 8, 4, 2, 1):
        with_memory(monkeypatch, least * share)
        step = make(Hungry(), info=info).steps[0]
        sizes.append((step.block, step.tile or 10**6))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] != sizes[-1]


def test_tiles_lie_on_the_stages_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, 1450)
    tile = make(Tiled(), info=replace(CLIP, width=3840, height=2160)).steps[0].tile
    assert tile is not None and tile % 16 == 0 and tile >= SMALLEST_TILE


def test_tiny_clips_are_taken_whole() -> None:
    step = make(Tiled(), info=replace(CLIP, width=16, height=16)).steps[0]
    assert step.tile is None and step.block == steps.LONGEST_BLOCK["cpu"]


def test_whole_frames_stay_whole_and_memory_that_does_not_suffice_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_memory(monkeypatch, 1000)
    assert make(Whole()).steps[0].tile is None
    with_memory(monkeypatch, 50)
    with pytest.raises(MemoryShort, match="MiB"):
        make(Whole(), info=replace(CLIP, width=7680, height=4320))


def test_the_cpu_computes_in_float32() -> None:
    made = make(Tiled())
    assert not made.steps[0].half
    assert made.bit_path == "8-bit 4:2:0 > float32 > 8-bit 4:2:0"


def test_nothing_to_remove_needs_no_stage() -> None:
    made = plan_denoising(CLIP, chain(Tiled(), luma=0, chroma=0), OUT, ENCODE, device="cpu")
    assert made.steps == ()
    assert made.bit_path == "8-bit 4:2:0 > 8-bit 4:2:0"


def test_dither_shows_in_the_bit_path() -> None:
    deep = replace(CLIP, format=PixelFormat("yuv420p10le", "yuv", 10, 1, 1))
    assert make(Tiled(), info=deep).bit_path.endswith("8-bit 4:2:0, dithered")


def test_what_becomes_of_fields_is_settled_in_the_plan() -> None:
    fields = replace(CLIP, field_order="tt")
    with pytest.raises(UsageError) as caught:
        make(Tiled(), info=fields, interlaced="refuse")
    assert "--interlaced fields" in caught.value.hint
    by_default = make(Tiled(), info=fields)
    assert by_default.interlaced == "fields" and by_default.info.by_field
    seen = make(Tiled(), info=replace(fields, fields=False))  # by its pictures
    assert seen.interlaced == "ignore" and not seen.info.by_field
    assert make(Tiled()).interlaced == "ignore"
    assert make(Tiled(), info=fields, interlaced="ignore").warnings
    deinterlaced = make(Tiled(), info=fields, interlaced="deinterlace")
    assert not deinterlaced.warnings and not deinterlaced.info.by_field


@pytest.mark.parametrize("frames", [(0, 100), (5, 4), (-1, 3), (100, 100)])
def test_frames_that_do_not_exist(frames: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="0-99"):
        make(Tiled(), frames=frames)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:", "CPU", ""])
def test_devices_that_are_none(name: str) -> None:
    with pytest.raises(UsageError):
        find_device(name)


def test_devices_that_are_not_here() -> None:
    with pytest.raises(DeviceError):
        find_device("cuda:99")
    assert find_device("cpu") == "cpu"
    assert find_device("auto") == ("cuda:0" if torch.cuda.is_available() else "cpu")


def test_the_estimate_grows_with_size_and_keeps_what_was_promised() -> None:
    auto = resolve(load("auto"))
    hd = plan_denoising(CLIP, auto, OUT, ENCODE, device="cpu").memory_bytes
    small = plan_denoising(replace(CLIP, width=640, height=360), auto, OUT, ENCODE, device="cpu")
    uhd = plan_denoising(replace(CLIP, width=3840, height=2160), auto, OUT, ENCODE, device="cpu")
    assert small.memory_bytes < hd < uhd.memory_bytes
    assert hd < 2500 * plan.MIB and uhd.memory_bytes < 6400 * plan.MIB


def test_a_plan_is_plain_json() -> None:
    import json

    text = json.dumps(make(Whole(), Tiled()).to_json())
    assert '"temporal.whole"' in text


class Net(Stage):
    """Computes inside in half precision, on all planes together."""

    slot: ClassVar[str] = "net"
    method: ClassVar[str] = "plain"
    radius: int = 31

    @property
    def precision(self) -> Precision:
        return "mixed"

    @property
    def footprint(self) -> Footprint:
        return Footprint(halo=self.radius, multiple=4, at_luma_size=True)


class WholeNet(Net):
    """Sees whole frames."""

    @property
    def footprint(self) -> Footprint:
        return replace(super().footprint, whole=True)


def test_what_needs_whole_frames_gets_them_however_large_they_are() -> None:
    """--regrow on a CPU ended in an assertion above 640 pixels."""
    for stage in (WholeNet(), stage_class("regrow.posterior")()):
        assert make(stage).steps[0].tile is None, stage.name


def test_networks_get_tiles_that_fit_the_cache_where_that_costs_little() -> None:
    (step,) = make(Net()).steps
    assert step.tile is not None and 384 <= step.tile <= 640 and step.tile % 8 == 0
    assert make(Net(radius=99)).steps[0].tile is None
    assert make(Net(), info=replace(CLIP, width=640, height=360)).steps[0].tile is None
    uhd = make(Net(), info=replace(CLIP, width=3840, height=2160)).steps[0]
    assert uhd.tile is not None and uhd.tile <= 640
