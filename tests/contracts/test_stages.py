"""The contract: what every registered stage must keep, whoever wrote it.

What a stage cannot keep stands, with the reason, in ``exemptions.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin

import annotated_types
import pytest
import torch
from torch import Tensor

from tests.contracts.exemptions import EXEMPT
from tests.helpers.pictures import (
    SIGMA,
    SUBSAMPLING,
    block,
    converted,
    example_for,
    finished,
    in_blocks,
    noisy,
    psnr,
    removed_by,
    scene,
)
from vdenoise import compiled
from vdenoise.engine.tiles import apply_tiled, tile_unit
from vdenoise.picture.block import Block, Signal, window
from vdenoise.picture.luma_chroma import Picture
from vdenoise.stages import SLOTS, STAGES, every_stage, stage_class
from vdenoise.stages.base import Stage
from vdenoise.stages.finishing import Finisher

LAYOUTS = tuple(SUBSAMPLING)
CLAUSES: set[str] = set()


def clause(name: str, claimed: Callable[[type[Stage]], bool] = lambda cls: True) -> Any:
    """Run a test on every stage, also of packages that are installed, that claims it and is not
    exempt from ``name``."""
    CLAUSES.add(name)
    stages = {stage: stage_class(stage) for stage in every_stage()}
    kept = {k: cls for k, cls in stages.items() if name not in EXEMPT.get(k, {}) and claimed(cls)}
    return pytest.mark.parametrize("cls", list(kept.values()), ids=list(kept))


def tileable(cls: type[Stage]) -> bool:
    return not cls().footprint.whole


def half(cls: type[Stage]) -> bool:
    return cls().precision == "float16"


def denoiser(cls: type[Stage]) -> bool:
    return cls.role == "denoiser"


def repair(cls: type[Stage]) -> bool:
    return cls.role == "repair"


def sharpener(cls: type[Stage]) -> bool:
    return cls.role == "sharpener"


def grain(cls: type[Stage]) -> bool:
    return cls.role == "grain"


def changed_by(cls: type[Stage]) -> tuple[str, ...]:
    """Signals that a stage computes; the others it hands on."""
    return cls.changes if issubclass(cls, Finisher) else ("luma", "chroma")


def keeps_flats(cls: type[Stage]) -> bool:
    return cls.role != "grain"


def signals(result: Block) -> list[tuple[str, Signal]]:
    return list(zip(("luma", "chroma"), result.signals, strict=False))


def assert_same(a: Block, b: Block, tolerance: float = 0.0) -> None:
    """Pixels and residual maps agree: to the bit unless a tolerance is given."""
    for (name, one), (_, other) in zip(signals(a), signals(b), strict=True):
        for what in ("pixels", "residual"):
            gap = (getattr(one, what).double() - getattr(other, what).double()).abs().max().item()
            assert gap <= tolerance, f"{name}.{what} differs by up to {gap:.3g}"


def frames_for(stage: Stage) -> int:
    return 2 * stage.reach + 1


def example(cls: type[Stage], height: int = 48, width: int = 64, layout: str = "420") -> Block:
    """A noisy still scene, long enough for the stage's window."""
    luma, chroma = scene(frames_for(cls()), height, width, layout)
    return example_for(cls, luma, chroma)


@clause("registered under its own name")
def test_name(cls: type[Stage]) -> None:
    assert stage_class(cls().name) is cls
    assert cls.slot in SLOTS


@clause("keeps shape, dtype, device and input")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_shape_and_input(cls: type[Stage], layout: str) -> None:
    source = example(cls, 37, 51, layout)
    core = slice(0, 1)
    before = [(s.pixels.clone(), s.residual.clone()) for s in source.signals]
    result = cls().apply(replace(source, core=core))
    assert (result.chroma is None) == (layout == "gray")
    for old, (name, new), copy in zip(source.signals, signals(result), before, strict=True):
        assert new.pixels.shape == old.pixels[core].shape
        assert new.pixels.dtype == old.pixels.dtype and new.residual.dtype == old.residual.dtype
        assert new.pixels.device == old.pixels.device
        assert new.pixels.isfinite().all()
        assert new.residual.min() >= 0 and new.residual.max() <= 1
        if name in changed_by(cls) and not cls().idle:  # else it is handed on
            new.pixels.fill_(9)
            new.residual.fill_(9)
        assert old.pixels.equal(copy[0]) and old.residual.equal(copy[1]), "writes to its input"


@clause("strength 0 is the identity to the bit")
def test_strength_zero(cls: type[Stage]) -> None:
    source = example(cls)
    assert_same(cls(strength=0).apply(source), source)


@clause("stronger is smoother", denoiser)
def test_monotone(cls: type[Stage]) -> None:
    """On flat noise the rest falls as the dial goes up."""
    luma, chroma = torch.full((1, 1, 48, 64), 0.5), torch.zeros(1, 2, 24, 32)
    frames = frames_for(cls())
    source = noisy(luma.repeat(frames, 1, 1, 1), chroma.repeat(frames, 1, 1, 1), removed_by(cls))
    rests = []
    slack = 1.001 if removed_by(cls) == "noise" else 1.02  # a sound pixel or two is repaired too
    for strength in (0.2, 0.5, 1.0, 1.5, 2.0):
        result = cls(strength=strength).apply(source)
        rests.append([s.pixels.std().item() for s in result.signals])
    for weaker, stronger in pairwise(rests):
        assert all(s <= w * slack for w, s in zip(weaker, stronger, strict=True)), rests
    noise = [s.pixels.std().item() for s in source.signals]
    assert all(last < 0.8 * first for first, last in zip(noise, rests[-1], strict=True)), rests


@clause("removes noise", denoiser)
def test_removes_noise(cls: type[Stage]) -> None:
    """At least 3 dB from luma and chroma of a picture with detail, 5 dB from impulses."""
    luma, chroma = scene(frames_for(cls()), 96, 128)
    source = noisy(luma, chroma, removed_by(cls))
    result = cls().apply(source)
    assert chroma is not None and source.chroma is not None and result.chroma is not None
    least = 3.0 if removed_by(cls) == "noise" else 5.0
    assert psnr(result.luma.pixels, luma) > psnr(source.luma.pixels, luma) + least
    assert psnr(result.chroma.pixels, chroma) > psnr(source.chroma.pixels, chroma) + least


@clause("says what it leaves", denoiser)
def test_left_is_honest(cls: type[Stage]) -> None:
    """On flat noise the residual map is within a fifth of the truth."""
    frames = frames_for(cls())
    luma = torch.full((frames, 1, 96, 128), 0.5)
    chroma = torch.zeros(frames, 2, 48, 64)
    source = noisy(luma, chroma, removed_by(cls))
    for (name, result), clean, sigma in zip(
        signals(cls().apply(source)), (luma, chroma), source.noise.sigma[:2, 0], strict=True
    ):
        true = ((result.pixels - clean).square().mean().sqrt() / sigma).item()
        said = result.residual.square().mean().sqrt().item()
        assert said == pytest.approx(true, rel=0.2), f"{name}: said {said:.3f}, is {true:.3f}"


@clause("heeds what is left", denoiser)
def test_residual_map_is_used(cls: type[Stage]) -> None:
    """Where nothing is left of the noise, hardly anything is done: the dial is sigma times left."""
    source = example(cls)
    clean = replace(
        source,
        luma=replace(source.luma, residual=torch.zeros_like(source.luma.residual)),
        chroma=None,
    )
    change = (cls().apply(clean).luma.pixels - source.luma.pixels).abs().max()
    assert change < 0.02 * source.noise.sigma[0, 0]


@clause("flat stays flat", keeps_flats)
def test_flat(cls: type[Stage], tolerances: dict[torch.dtype, float]) -> None:
    frames = frames_for(cls())
    luma, chroma = torch.full((frames, 1, 33, 47), 0.3), torch.full((frames, 2, 17, 24), -0.1)
    source = block(luma, chroma)
    for (_, new), old in zip(signals(cls().apply(source)), source.signals, strict=True):
        assert (new.pixels - old.pixels).abs().max() <= tolerances[torch.float32]


@clause("a level shift commutes", keeps_flats)
def test_level_shift(cls: type[Stage]) -> None:
    """With the same noise at all levels, brighter in is brighter out by as much.

    Float64, so that a sum of weights that is off by a little cannot hide in rounding.
    """
    if "motion" in cls().needs:
        dtype, tolerance = torch.float32, 1e-4  # warps and guides are float32
    else:
        dtype, tolerance = torch.float64, 1e-6  # tables and taps are float32
    source = converted(example(cls), dtype)
    up = replace(source, luma=replace(source.luma, pixels=source.luma.pixels + 0.125))
    if source.chroma is not None:
        up = replace(up, chroma=replace(source.chroma, pixels=source.chroma.pixels + 0.125))
    for name in ("kept_original", "clean"):
        planes = getattr(source, name)
        if planes is not None:
            up = replace(up, **{name: planes.map(lambda plane: plane + 0.125)})
    up = replace(up, motion=type(source.motion)(up.luma.pixels))  # type: ignore[call-arg, misc]
    for (_, a), (_, b) in zip(signals(cls().apply(source)), signals(cls().apply(up)), strict=True):
        assert (b.pixels - a.pixels - 0.125).abs().max() < tolerance


@clause("repairs its damage", repair)
def test_repairs(cls: type[Stage]) -> None:
    """What it is made for gets at least 1 dB nearer to the undamaged picture, at full strength
    more than at half."""
    luma, chroma = scene(1, 96, 128)
    damaged = example_for(cls, luma, chroma)
    if cls.slot == "deband":
        level = luma[..., :1, :1] + torch.linspace(0, 2.4 / 255, 128)
        luma = level.expand_as(luma)
    before = psnr(damaged.luma.pixels, luma)
    half, full = (psnr(cls(strength=s).apply(damaged).luma.pixels, luma) for s in (0.5, 1.0))
    assert full > before + 1
    assert before < half < full


@clause("leaves what is not damaged", repair)
def test_leaves_the_sound_picture(cls: type[Stage]) -> None:
    """A sound picture changes by an eighth of a code at most, in the mean."""
    luma, chroma = scene(1, 96, 128)
    sound = block(luma, chroma, sigma=0.3 / 255)
    result = cls().apply(sound)
    assert (result.luma.pixels - luma).abs().mean() < 0.125 / 255


@clause("stronger is sharper", sharpener)
def test_sharper(cls: type[Stage]) -> None:
    """The finest detail grows with the dial."""
    source = example_for(cls, *scene(1, 96, 128))

    def finest(luma: Tensor) -> float:
        return luma.diff(dim=-1).square().sum().item() + luma.diff(dim=-2).square().sum().item()

    found = [finest(source.luma.pixels)]
    for strength in (0.3, 0.7, 1.0, 2.0):
        found.append(finest(cls(strength=strength).apply(source).luma.pixels))
    assert all(a < b for a, b in pairwise(found)), found


@clause("leaves noise alone", sharpener)
def test_sharpening_does_not_raise_noise(cls: type[Stage]) -> None:
    """On a flat with known noise, all of it left, it grows by a fiftieth at most."""
    luma, chroma = torch.full((1, 1, 96, 128), 0.5), torch.zeros(1, 2, 48, 64)
    source = noisy(luma, chroma, "noise")
    clean = torch.full_like(luma, 0.5), torch.zeros_like(chroma)
    if "original" in cls().needs:  # the other case: all noise was removed, and none may come back
        source = replace(
            source,
            luma=Signal(clean[0], 0 * source.luma.residual),
            chroma=None,
            kept_original=Picture(source.luma.pixels),
            clean=Picture(clean[0] + 1e-4 * torch.randn(luma.shape)),
        )
        rest = cls().apply(source).luma.pixels - clean[0]
        assert rest.std() < 0.02 * SIGMA
        return
    noise = source.luma.pixels.std()
    assert cls().apply(source).luma.pixels.std() < 1.02 * noise


@clause("stronger is grainier", lambda cls: grain(cls) and not cls().idle)
def test_grainier(cls: type[Stage]) -> None:
    """Grain grows with the dial and does not move the mean; the picture below stays."""
    luma, chroma = torch.full((1, 1, 96, 128), 0.5), torch.zeros(1, 2, 48, 64)
    source = finished(luma, chroma, residual=0.0)
    found = [0.0]
    for strength in (0.25, 0.5, 1.0):
        added = cls(strength=strength).apply(source).luma.pixels - source.luma.pixels
        found.append(added.std().item())
        assert added.mean().abs() < 4 * added.std() / 96
    assert all(a < b for a, b in pairwise(found)), found


@cache
def influence(stage: Stage, dim: int) -> dict[str, int]:
    """How far a changed line of pixels is felt, for luma and chroma, in pixels of their own.

    Every line in a whole period of the stage's grid is changed once, some pixels a little,
    some by full scale. Networks are computed by torch: row by row, whole cells are rounded
    together, which `Footprint.rounded` allows for (tests/nets/test_by_rows.py).
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "serves_networks", lambda *_: False)
        return _influence(stage, dim)


def _influence(stage: Stage, dim: int) -> dict[str, int]:
    size = 2 * stage.footprint.halo + 2 * stage.footprint.multiple + 5
    shape = (240, size) if dim == -1 else (size, 240)
    luma, chroma = scene(frames_for(stage), *shape, "444")
    source = example_for(type(stage), luma, chroma)
    if removed_by(type(stage)) == "outliers":
        source = noisy(luma, chroma, "outliers", density=0.1)
    if "motion" not in stage.needs:
        source = converted(source, torch.float64)
    clean = stage.apply(source)
    felt = {"luma": 0, "chroma": 0}
    for line in range(stage.footprint.halo, stage.footprint.halo + stage.footprint.multiple + 1):
        poked = {}
        for name, signal in signals(source):
            pixels = signal.pixels.clone()
            target = pixels.select(dim, line)
            target += torch.randn(target.shape) * torch.rand(target.shape).square()
            poked[name] = replace(signal, pixels=pixels)
        changed = replace(source, **poked)
        if source.clean is not None:
            clean_now = changed.picture.map(lambda signal: signal.pixels)
            changed = replace(changed, clean=clean_now)
        result = stage.apply(changed)
        for (name, new), (_, old) in zip(signals(result), signals(clean), strict=True):
            changed = (new.pixels != old.pixels) | (new.residual != old.residual)
            lines = changed.any(0).any(0).any(0 if dim == -1 else 1)
            if lines.any():
                felt[name] = max(felt[name], (lines.nonzero() - line).abs().max().item())
    return felt


@clause("halo is enough", tileable)
@pytest.mark.parametrize("dim", [-1, -2], ids=["across", "down"])
def test_halo_is_enough(cls: type[Stage], dim: int) -> None:
    stage = cls()
    assert max(influence(stage, dim).values()) <= stage.footprint.halo


@clause("halo is used", tileable)
@pytest.mark.parametrize("dim", [-1, -2], ids=["across", "down"])
def test_halo_is_used(cls: type[Stage], dim: int) -> None:
    stage = cls()
    expected = {
        name: stage.footprint.halo if name in changed_by(cls) else 0 for name in ("luma", "chroma")
    }
    assert influence(stage, dim) == expected


@clause("tiling does not matter", tileable)
@pytest.mark.parametrize("layout", ["gray", "420", "422"])
def test_tiles(cls: type[Stage], layout: str) -> None:
    """To the bit on the CPU, also where tiles are cut by the frame's edge."""
    stage = cls()
    source = example(cls, 67, 91, layout)
    factors = SUBSAMPLING[layout] or (1, 1)
    tile = 16 * max(factors)
    assert tile % tile_unit(stage, factors) == 0
    assert_same(apply_tiled(stage, source, tile, factors), stage.apply(source))


@clause("reach is enough and used")
def test_reach(cls: type[Stage]) -> None:
    """Change one frame: exactly the frames whose window holds it may notice, and they do."""
    stage = cls()
    frames = 4 * stage.reach + 3
    source = example_for(cls, *scene(frames, 24, 32))
    clean = stage.apply(source)
    for poked in (0, stage.reach, frames // 2, frames - 1):
        pixels = source.luma.pixels.clone()
        pixels[poked] = torch.rand(pixels[poked].shape)
        changed = replace(source, luma=replace(source.luma, pixels=pixels))
        changed = replace(changed, motion=type(source.motion)(pixels))  # type: ignore[call-arg, misc]
        result = stage.apply(changed).luma
        noticed = {
            t
            for t in range(frames)
            if not result.pixels[t].equal(clean.luma.pixels[t])
            or not result.residual[t].equal(clean.luma.residual[t])
        }
        seen = {t for t in range(frames) if poked in window(t, stage.reach, 0, frames - 1)}
        assert noticed == seen


@clause("block length does not matter")
@pytest.mark.parametrize("length", [1, 2, 5])
def test_block_length(cls: type[Stage], length: int) -> None:
    """Cut into blocks with context, a shot comes out the same to the bit."""
    stage = cls()
    frames = 2 * stage.reach + 6
    source = example_for(cls, *scene(frames, 24, 33))
    whole = stage.apply(source)
    for part, inside in in_blocks(stage, source, length):
        chroma = None if whole.chroma is None else whole.chroma[inside]
        assert_same(part, replace(whole, luma=whole.luma[inside], chroma=chroma))


@clause("threads do not matter")
def test_threads(cls: type[Stage]) -> None:
    source = example(cls, 200, 260)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = cls().apply(source)
        torch.set_num_threads(3)
        assert_same(cls().apply(source), one)
    finally:
        torch.set_num_threads(before)


@clause("half precision is close if claimed", half)
def test_half(cls: type[Stage], device: torch.device, tolerances: dict[torch.dtype, float]) -> None:
    source = converted(converted(example(cls), torch.float16), torch.float32, device)
    full = cls().apply(source)
    half = cls().apply(converted(source, torch.float16, device))
    assert half.luma.pixels.dtype == torch.float16
    for (_, a), (_, b) in zip(signals(full), signals(half), strict=True):
        gap = (a.pixels - b.pixels.float()).abs()
        # a pixel on the verge of a decision may fall to the other side
        assert gap.flatten().kthvalue(int(0.999 * gap.numel())).values < tolerances[torch.float16]


@clause("CUDA and CPU agree")
def test_device(cls: type[Stage], cuda: torch.device) -> None:
    """Within float32 rounding as the operations of each stage enlarge it: 0.01 of a sigma."""
    source = example(cls)
    expected = cls().apply(source)
    result = cls().apply(converted(source, torch.float32, cuda))
    assert result.luma.pixels.device.type == "cuda"
    moved = converted(replace(result, core=slice(0, result.frames)), torch.float32)
    for (_, a), (_, b) in zip(signals(expected), signals(moved), strict=True):
        gap = (a.pixels - b.pixels).abs()
        assert gap.flatten().kthvalue(int(0.999 * gap.numel())).values < 0.01 * 12 / 255


@clause("tiny frames run")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4)], ids=str)
def test_tiny(cls: type[Stage], size: tuple[int, int], layout: str) -> None:
    source = example(cls, *size, layout)
    result = cls().apply(source)
    for (_, new), old in zip(signals(result), source.signals, strict=True):
        assert new.pixels.shape == old.pixels.shape
        assert new.pixels.isfinite().all() and new.residual.isfinite().all()


@clause("a shot of one frame runs")
def test_one_frame(cls: type[Stage]) -> None:
    source = example_for(cls, *scene(1, 24, 32))
    assert cls().apply(source).luma.pixels.isfinite().all()


def ends(cls: type[Stage]) -> list[tuple[str, Any]]:
    """Both ends of every range, all values of every choice."""
    found: list[tuple[str, Any]] = []
    for name, info in cls.model_fields.items():
        if get_origin(info.annotation) is Literal:
            found += [(name, value) for value in get_args(info.annotation)]
        elif info.annotation is bool:
            found += [(name, True), (name, False)]
        for bound in info.metadata:
            if isinstance(bound, annotated_types.Ge):
                found.append((name, bound.ge))
            if isinstance(bound, annotated_types.Le):
                found.append((name, bound.le))
    return found


@clause("both ends of every range run")
def test_ends_of_ranges(cls: type[Stage]) -> None:
    for name, value in ends(cls):
        stage = cls(**{name: value})
        luma, chroma = scene(min(frames_for(stage), 5), 20, 26)
        result = stage.apply(example_for(cls, luma, chroma))
        assert result.luma.pixels.isfinite().all(), f"{name} = {value}"
        assert result.luma.residual.min() >= 0 and result.luma.residual.max() <= 1, (
            f"{name} = {value}"
        )


@clause("speeds are settings of its own")
def test_speeds(cls: type[Stage]) -> None:
    assert set(cls.speeds) <= {"veryfast", "fast", "base", "slow", "veryslow"}
    for settings in cls.speeds.values():
        cls(**settings)


@clause("documented")
def test_documented(cls: type[Stage]) -> None:
    assert cls.__doc__ and cls.__doc__ != Stage.__doc__
    for name, info in cls.model_fields.items():
        text = info.description
        assert text and text[0].isupper() and text.endswith("."), f"{name} has no sentence"
        if info.annotation in (int, float):
            rules = {type(rule) for rule in info.metadata}
            assert {annotated_types.Ge, annotated_types.Le} <= rules, f"{name} has no range"


@pytest.mark.parametrize("name", EXEMPT)
def test_exemptions_name_a_stage_a_clause_and_a_reason(name: str) -> None:
    assert name in STAGES
    for which, reason in EXEMPT[name].items():
        assert which in CLAUSES
        assert len(reason.split()) > 3


def test_sound_pixels_are_left_alone_by_the_median() -> None:
    """The impulse filter touches next to nothing in a noisy picture without impulses."""
    source = noisy(*scene(1, 96, 128), "noise")
    result = stage_class("spatial.median")().apply(source)
    touched: Tensor = result.luma.pixels != source.luma.pixels
    assert touched.float().mean() < 0.003


def test_the_median_uses_its_halo_in_one_round() -> None:
    stage = stage_class("spatial.median").model_validate({"passes": 1})
    assert influence(stage, -1) == {"luma": stage.footprint.halo, "chroma": stage.footprint.halo}


@pytest.mark.parametrize("block", [8, 16])
def test_the_wiener_filter_uses_its_halo_at_a_fixed_block(block: int) -> None:
    cls = stage_class("spatial.wiener")
    stage = cls(block=block)  # type: ignore[call-arg]
    assert stage.footprint.halo == 2 * (block - 1)
    assert cls().footprint == cls(block=16).footprint  # type: ignore[call-arg]
