"""Which stages a chain comes to, and how each is run: precision, tiles, blocks, memory.

Results do not depend on these choices beyond floating-point rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from vdenoise.chain.resolve import Chain
from vdenoise.compiled import fast_bfloat16
from vdenoise.engine.streams import Shots
from vdenoise.engine.tiles import SMALLEST_TILE, Area, tile_halo, tile_unit
from vdenoise.errors import MemoryShort
from vdenoise.machine.devices import free_bytes
from vdenoise.masks.spec import DRAWN, REMOVED
from vdenoise.picture.block import Accuracy
from vdenoise.picture.frame import ClipInfo, PixelFormat
from vdenoise.picture.sizes import round_up
from vdenoise.stages import DECODER_GRAIN, FINISHING, REPAIRING
from vdenoise.stages.base import Stage
from vdenoise.stages.control.guards import GhostGuard
from vdenoise.stages.control.masked import MaskedStrength
from vdenoise.stages.control.strength import Settle

Precision = Literal["float32", "float16", "bfloat16"]

MIB = 1 << 20
BASE_BYTES = {"cpu": 550 * MIB, "cuda": 2500 * MIB}  # Python, torch, FFmpeg, OpenCV (and CUDA)
CODEC_FRAMES = 60  # source frames held by decoder and encoder (threads, x264's look-ahead)
MOTION_MEMORY = 1.5  # guides and flows of a frame, in copies of its signals
SCRATCH_BYTES = 640 * MIB  # for one block and a stage's work on it, on a CPU
CUDA_SHARE = 0.5  # of the free memory of a card
# A CPU's workers compute a frame each, so that all have work even in a short shot.
LONGEST_BLOCK = {"cpu": 1, "cuda": 8}
# Networks on a CPU: whole 1080p frames go through at half to four fifths the speed of such tiles.
# With more than this halo (in luma pixels) the pixels around tiles would cost more than that.
CACHE_TILES, CACHE_HALO = (384, 640), 40
QUEUE_FRAMES = 2  # decoded and denoised frames waiting between the threads


@dataclass(frozen=True)
class Step:
    """A stage and how it is run."""

    stage: Stage
    precision: Precision
    block: int  # frames computed at once
    tile: int | None  # side in luma pixels; None takes whole frames

    @property
    def half(self) -> bool:
        """Whether the stage itself is given float16 pixels; a mixed one gets float32."""
        return self.precision == "float16" and self.stage.precision != "mixed"

    def to_json(self) -> dict[str, Any]:
        """Make plain values of it, for ``--dry-run`` and the recipe."""
        return {
            "stage": self.stage.name,
            "parameters": self.stage.model_dump(mode="json"),
            "reach": self.stage.reach,
            "precision": self.precision,
            "block": self.block,
            "tile": self.tile,
        }


def ranges(
    steps: Sequence[Step], shots: Shots, first: int, last: int
) -> tuple[tuple[int, int], ...]:
    """The frames each step takes in, and at the end those that are written."""
    found = [(first, last)]
    for step in reversed(steps):
        found.insert(0, shots.needed(*found[0], step.stage.reach))
    return tuple(found)


def areas_wanted(
    stages: Sequence[Stage], only: Area | None, info: ClipInfo
) -> tuple[Area | None, ...]:
    """What must be right of each stage's result for ``only`` of the last one's to be.

    Args:
        stages: in order.
        only: luma pixels; None is the whole picture.
        info: the clip.
    """
    wanted = [only]
    for stage in reversed(stages[1:]):
        wanted.insert(0, _needed_around(stage, wanted[0], info))
    return tuple(wanted)


def _needed_around(stage: Stage, only: Area | None, info: ClipInfo) -> Area | None:
    if only is None or stage.footprint.whole:
        return None
    factors = info.format.subsampling
    reach = (tile_halo(stage, factors) + stage.footprint.tiling[1]) * max(factors)
    return only.grown(reach, (info.height, info.width))


def stages_of(chain: Chain, show: Sequence[str] = ()) -> tuple[Stage, ...]:
    """The chain's stages with what its dials, masks and guards add: the ghost guard behind the
    temporal stage, the settling of strengths behind the last denoiser.

    Args:
        chain: what to do.
        show: maps that somebody wants to see.
    """
    own = any(mask.strengths.get(plane) for mask in chain.masks for plane in REMOVED)
    stages = tuple(stage for stage in chain.stages if stage.name != DECODER_GRAIN)
    finishing = tuple(stage for stage in stages if stage.slot in FINISHING)
    repairs = tuple(stage for stage in stages if stage.slot in REPAIRING)
    drawn = "mask" in show or (chain.masks and (finishing or repairs))  # from the cleaned picture
    if chain.output.luma == chain.output.chroma == 0 and not own and not drawn:
        return (*repairs, *finishing)
    accuracy: Accuracy = next(
        (s.motion_accuracy for s in chain.stages if "motion" in s.needs), "fast"
    )
    settle = Settle(output=chain.output, masks=chain.masks, motion_est=accuracy, show=tuple(show))
    denoisers = [stage for stage in stages if stage.slot not in FINISHING]
    found: list[Stage] = []
    for stage in denoisers:
        inside = [m.strengths[stage.slot] / 100 for m in chain.masks if stage.slot in m.strengths]
        if stage.slot in DRAWN and inside:
            most = max(stage.strength, *inside)
            found.append(
                MaskedStrength(
                    behind=stage.slot,
                    usual=stage.strength / most,
                    most=most,
                    masks=chain.masks,
                    motion_est=accuracy,
                )
            )
            found.append(stage.model_copy(update={"strength": most}))
            continue
        found.append(stage)
        if stage.slot == "temporal" and "ghost" in chain.output.guards:
            found.append(GhostGuard())
    return (*found, *((settle,) if settle.scales else ()), *finishing)


def fit_steps(
    stages: Sequence[Stage], info: ClipInfo, device: str, frames: int
) -> tuple[tuple[Step, ...], int, int]:
    """How stages are run on a clip.

    Args:
        stages: in order.
        info: the clip.
        device: ``cpu`` or ``cuda:N``.
        frames: to be denoised.

    Returns:
        The steps; threads that compute, each a block of its own; and an estimate of the bytes of
        memory at the peak.

    Raises:
        MemoryShort: not even the smallest tile fits.
    """
    available = free_bytes(device)
    scratch = SCRATCH_BYTES if device == "cpu" else int(available * CUDA_SHARE)
    most = min(torch.get_num_threads(), frames) if device == "cpu" else 1
    for workers in range(most, 0, -1):
        room = min(scratch, available // 2 // workers)
        steps = tuple(_step(stage, info, device, room) for stage in stages)
        memory = _estimate(steps, info, device, workers)
        if memory <= available:
            break
    if memory > available + BASE_BYTES[torch.device(device).type]:
        raise MemoryShort(
            f"About {memory // MIB} MiB are needed and {available // MIB} MiB are free on "
            f"{device}.",
            "Use a smaller --temporal-radius or a faster --speed, or end other programs.",
            number=1,
        )
    return steps, workers, memory


def estimate_memory(stages: Sequence[Stage], info: ClipInfo, workers: int) -> int:
    """Bytes of memory at the peak on a processor with room, where so many threads compute."""
    steps = tuple(_step(stage, info, "cpu", SCRATCH_BYTES) for stage in stages)
    return _estimate(steps, info, "cpu", workers)


def signal_bytes(width: int, height: int, fmt: PixelFormat) -> int:
    """Bytes of the float32 signals of one frame, with their residual maps."""
    luma = width * height * 2
    fy, fx = fmt.subsampling
    chroma = 0 if fmt.family == "gray" else -(-width // fx) * -(-height // fy) * 3
    return 4 * (luma + chroma)


def _step(stage: Stage, info: ClipInfo, device: str, scratch: int) -> Step:
    """The longest block that fits, else the largest tile that does."""
    precision = precision_of(stage, device)
    half = precision == "float16" and stage.precision != "mixed"
    unit = signal_bytes(info.width, info.height, info.format) // (2 if half else 1)
    footprint = stage.footprint
    context = 2 * stage.reach * unit
    longest = LONGEST_BLOCK[torch.device(device).type]
    fits = int((scratch - context) / (unit * (1 + footprint.scratch)))
    grid = tile_unit(stage, info.format.subsampling)
    halo = tile_halo(stage, info.format.subsampling) * max(info.format.subsampling)
    network = footprint.at_luma_size and device == "cpu" and halo <= CACHE_HALO
    cached = (
        _cache_tile((info.height, info.width), halo, grid)
        if network and not footprint.whole
        else None
    )
    if fits >= 1 or footprint.whole:
        return Step(stage, precision, max(1, min(fits, longest)), cached)
    tile = cached or round_up(max(info.width, info.height), grid)
    while footprint.scratch * unit * _share(tile + 2 * halo, info) > scratch / 2 and (
        tile // 2 >= max(SMALLEST_TILE, grid)
    ):
        tile = round_up(tile // 2, grid)
    return Step(stage, precision, 1, tile)


def _share(side: int, info: ClipInfo) -> float:
    """Share of a frame's pixels that lie in a square."""
    return min(side, info.width) * min(side, info.height) / (info.width * info.height)


def _cache_tile(size: tuple[int, int], halo: int, grid: int) -> int | None:
    """The side of tiles that fit a processor's cache and need the least work around them; None
    where the whole picture is as small."""
    if max(size) <= CACHE_TILES[1]:
        return None

    def work(side: int) -> int:
        tiles = [-(-length // side) for length in size]
        return (size[0] + 2 * halo * tiles[0]) * (size[1] + 2 * halo * tiles[1])

    sides = range(round_up(CACHE_TILES[0], grid), CACHE_TILES[1] + 1, grid)
    return min(sides, key=work, default=None)


def precision_of(stage: Stage, device: str) -> Precision:
    """What a stage computes in: float16 where it may on CUDA; networks that gain by it in bfloat16
    on processors that multiply it in hardware (elsewhere it is many times slower), never float16
    there."""
    if device != "cpu":
        return "float32" if stage.precision == "float32" else "float16"
    gains = stage.precision == "mixed" and fast_bfloat16() and stage.gains_by_bfloat16
    return "bfloat16" if gains else "float32"


def _estimate(steps: Sequence[Step], info: ClipInfo, device: str, workers: int) -> int:
    """Bytes at the peak, from what stages declare: frames held by every step, the work of the
    hungriest one on all workers, and the fixed part."""
    unit = signal_bytes(info.width, info.height, info.format)
    source = info.width * info.height * (2 if info.format.bits > 8 else 1)
    source = source * (3 if info.format.family == "rgb" else 2)
    held = sum((2 * s.stage.reach + (workers + 1) * s.block) * (unit + source) for s in steps)
    work = motion = 0.0
    for step in steps:
        stage, share = step.stage, 1.0
        if step.tile is not None:
            around = tile_halo(stage, info.format.subsampling) * max(info.format.subsampling)
            share = _share(step.tile + 2 * around, info)
        own = (2 * stage.reach + step.block) + stage.footprint.scratch * step.block * share
        work = max(work, workers * own * unit * (0.5 if step.half else 1))
        if "motion" in stage.needs:
            known = 2 * stage.reach + (workers + 2) * step.block
            motion = max(motion, MOTION_MEMORY * known * unit)
    codecs = (CODEC_FRAMES + 2 * QUEUE_FRAMES) * source
    return int(BASE_BYTES[torch.device(device).type] + held + work + motion + codecs)
