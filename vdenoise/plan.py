"""Everything decided before the first frame: device, precision, tiles, blocks, conversions.

The only place that chooses these. Results do not depend on the choices beyond floating-point
rounding (float16 on CUDA where a stage claims it).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch

from vdenoise.errors import DeviceError, MemoryShort, UsageError
from vdenoise.frame import ClipInfo, PixelFormat
from vdenoise.guards import GhostGuard
from vdenoise.masks import files
from vdenoise.media.encode import choose
from vdenoise.media.encoder import IMAGES, EncodeSettings
from vdenoise.media.sequence import is_image
from vdenoise.preset import Chain
from vdenoise.settle import Settle
from vdenoise.stages import FINISHING
from vdenoise.stages.base import Stage
from vdenoise.stream import Shots
from vdenoise.tile import SMALLEST_TILE, round_up, tile_halo, tile_unit

Precision = Literal["float32", "float16", "bfloat16"]
Accuracy = Literal["fast", "better"]
Interlaced = Literal["refuse", "ignore", "deinterlace"]
Dither = Literal["auto", "on", "off"]

GRAY = PixelFormat("gray16le", "gray", 16)  # what maps are written in
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
_FLOATS = ("f16le", "f32le")  # how FFmpeg's names of floating-point formats end
SUBCODE_BITS = 10  # depths up to this show bands where a slope was made smooth
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
        return self.precision == "float16" and not self.stage.mixed

    def to_json(self) -> dict[str, Any]:
        """For ``--dry-run`` and the recipe."""
        return {
            "stage": self.stage.name,
            "parameters": self.stage.model_dump(mode="json"),
            "reach": self.stage.reach,
            "precision": self.precision,
            "block": self.block,
            "tile": self.tile,
        }


ViewKind = Literal["mask", "confidence", "structure", "ghost"]


@dataclass(frozen=True)
class View:
    """A map that is written as a gray clip, to be looked at or used elsewhere."""

    kind: ViewKind
    path: Path
    encode: EncodeSettings


@dataclass(frozen=True)
class Plan:
    """What will be done, complete before the first frame."""

    info: ClipInfo
    output: Path
    encode: EncodeSettings
    chain: Chain
    steps: tuple[Step, ...]
    device: str
    first: int  # frames to write, both inclusive
    last: int
    memory_bytes: int  # estimate of the peak
    workers: int = 1  # threads that compute, each a block of its own
    interlaced: Interlaced = "refuse"
    seed: int = 0
    noise_out: Path | None = None
    noise_encode: EncodeSettings | None = None
    views: tuple[View, ...] = ()
    warnings: tuple[str, ...] = ()
    chosen: tuple[int, ...] | None = None  # the frames to write, if not all of first..last
    dither: Dither = "auto"
    grain_table: Path | None = None  # where the film grain of what was removed goes

    @property
    def positions(self) -> Sequence[int]:
        """Absolute numbers of the frames to write."""
        return range(self.first, self.last + 1) if self.chosen is None else self.chosen

    @property
    def dithered(self) -> bool:
        """Whether the writer dithers what it rounds: where bits are dropped, and where a stage's
        result lies between the codes and there are few of them."""
        fmt = self.encode.pixel_format
        if self.dither != "auto" or fmt.floating:
            return self.dither == "on" and not fmt.floating
        fine = any(step.stage.subcode for step in self.steps) and fmt.bits <= SUBCODE_BITS
        return fine or self.encode.dithers(self.info)

    @property
    def touches(self) -> tuple[bool, bool]:
        """Whether luma and chroma may change at all; where not, they stay as they are."""
        chain = self.chain
        return (
            chain.luma > 0 or any(mask.luma for mask in chain.masks),
            chain.chroma > 0 or any(mask.chroma for mask in chain.masks),
        )

    @property
    def frames(self) -> int:
        """Number of frames to denoise."""
        return self.last - self.first + 1

    @property
    def bit_path(self) -> str:
        """For people: ``10-bit 4:2:2 > float32 > 8-bit 4:2:2, dithered``."""
        used = {step.precision for step in self.steps}
        middle = [word for word in ("float16", "bfloat16", "float32") if word in used][:1]
        path = " > ".join([self.info.format.label, *middle, self.encode.pixel_format.label])
        return path + (", dithered" if self.dithered else "")

    def source_range(self, shots: Shots) -> tuple[int, int]:
        """First and last frame that must be decoded, context included."""
        return ranges(self.steps, shots, self.first, self.last)[0]

    def to_json(self) -> dict[str, Any]:
        """For ``--dry-run --progress json`` and the recipe."""
        return {
            "input": str(self.info.path),
            "output": str(self.output),
            "noise_out": None if self.noise_out is None else str(self.noise_out),
            "frames": [self.first, self.last],
            "chosen": None if self.chosen is None else list(self.chosen),
            "size": [self.info.width, self.info.height],
            "preset": self.chain.preset,
            "speed": self.chain.speed,
            "luma": self.chain.luma,
            "chroma": self.chain.chroma,
            "sigma_scale": self.chain.sigma_scale,
            "limit": self.chain.limit,
            "mask_fit": self.chain.mask_fit,
            "views": {view.kind: str(view.path) for view in self.views},
            "steps": [step.to_json() for step in self.steps],
            "device": self.device,
            "workers": self.workers,
            "memory_mib": self.memory_bytes // MIB,
            "bit_path": self.bit_path,
            "encode": self.encode.model_dump(mode="json"),
            "interlaced": self.interlaced,
            "seed": self.seed,
            "dither": self.dither,
            "grain_table": None if self.grain_table is None else str(self.grain_table),
            "warnings": list(self.warnings),
        }


def ranges(
    steps: Sequence[Step], shots: Shots, first: int, last: int
) -> tuple[tuple[int, int], ...]:
    """The frames each step takes in, and at the end those that are written."""
    found = [(first, last)]
    for step in reversed(steps):
        found.insert(0, shots.needed(*found[0], step.stage.reach))
    return tuple(found)


def make(
    info: ClipInfo,
    chain: Chain,
    output: Path,
    encode: EncodeSettings,
    *,
    frames: tuple[int, int] | None = None,
    chosen: Sequence[int] | None = None,
    device: str = "auto",
    interlaced: Interlaced = "refuse",
    seed: int = 0,
    noise_out: Path | None = None,
    noise_encode: EncodeSettings | None = None,
    dither: Dither = "auto",
    grain_table: Path | None = None,
    views: tuple[View, ...] = (),
) -> Plan:
    """Decide how a clip is denoised.

    Args:
        info: the clip as it is.
        chain: what to do.
        output: where the result goes.
        encode: how it is written.
        frames: first and last frame wanted, None for all.
        chosen: the frames wanted where they are not all between two; ``frames`` is then ignored.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        interlaced: what to do if the clip holds fields.
        seed: of the dither.
        noise_out: where the removed noise goes.
        noise_encode: how that is written.
        dither: when the result is dithered before it is rounded.
        grain_table: where a film-grain table of what was removed goes.
        views: maps to write as clips.

    Raises:
        UsageError: the frames do not exist, the clip is interlaced and nothing was said, or a mask
            does not fit the clip.
        InputError: a mask cannot be read.
        DeviceError: there is no such device.
        MemoryShort: not even the smallest tile fits.
    """
    check_interlaced(info, interlaced)
    count = info.frames or 0
    first, last = (0, count - 1) if frames is None else frames
    if chosen is not None:
        first, last = chosen[0], chosen[-1]
        if encode.container != IMAGES and len(chosen) <= last - first:
            raise UsageError(
                "A movie holds every frame between its first and its last.",
                "Give --frames one range without a step, or write images.",
                number=88,
            )
        chosen = None if len(chosen) > last - first else tuple(chosen)
    if not 0 <= first <= last < count:
        raise UsageError(
            f"The clip has the frames 0-{count - 1}, not {first}-{last}.",
            f"Say --frames A-B with numbers between 0 and {count - 1}.",
            number=20,
        )
    where = find_device(device)
    files.check(chain.masks, info, chain.mask_fit)
    for view in views:
        _check_view(view.kind, chain)
    stages = settled(chain, tuple(view.kind for view in views))
    available = free_bytes(where)
    scratch = SCRATCH_BYTES if where == "cpu" else int(available * CUDA_SHARE)
    most = min(torch.get_num_threads(), last - first + 1) if where == "cpu" else 1
    for workers in range(most, 0, -1):
        room = min(scratch, available // 2 // workers)
        steps = tuple(_step(stage, info, where, room) for stage in stages)
        memory = _estimate(steps, info, where, workers)
        if memory <= available:
            break
    if memory > available + BASE_BYTES[torch.device(where).type]:
        raise MemoryShort(
            f"About {memory // MIB} MiB are needed and {available // MIB} MiB are free on {where}.",
            "Use a smaller --temporal-radius or a faster --speed, or end other programs.",
        )
    warnings = list(info.warnings) + list(encode.notes)
    if info.interlaced and interlaced == "ignore":
        warnings.append("the clip is interlaced and is treated as if it were not")
    return Plan(
        info=info,
        output=output,
        encode=encode,
        chain=chain,
        steps=steps,
        device=where,
        first=first,
        last=last,
        memory_bytes=memory,
        workers=workers,
        interlaced=interlaced,
        seed=seed,
        noise_out=noise_out,
        noise_encode=noise_encode,
        views=views,
        warnings=tuple(dict.fromkeys(warnings)),
        chosen=None if chosen is None else tuple(chosen),
        dither=dither,
        grain_table=grain_table,
    )


def _check_view(kind: ViewKind, chain: Chain) -> None:
    """A map of what is not there cannot be written."""
    if kind == "mask" and not chain.masks:
        raise UsageError(
            "--mask-out has nothing to show: there is no mask.",
            "For example: --mask sky=luma:70-100,luma=30.",
            number=67,
        )
    if kind in ("structure", "ghost") and kind not in chain.guards:
        raise UsageError(
            f"--matte {kind} has nothing to show: that guard is off.",
            f"Switch it on with --guards {','.join((*chain.guards, kind))}.",
            number=67,
        )


def settled(chain: Chain, show: Sequence[str] = ()) -> tuple[Stage, ...]:
    """The chain's stages with what its dials, masks and guards add: the ghost guard behind the
    temporal stage, the settling of strengths behind the last denoiser.

    Args:
        chain: what to do.
        show: maps that somebody wants to see.
    """
    own = any(mask.luma or mask.chroma for mask in chain.masks)
    if chain.luma == chain.chroma == 0 and not own and "mask" not in show:
        return tuple(stage for stage in chain.stages if stage.slot in FINISHING)
    accuracy: Accuracy = next((s.motion_accuracy for s in chain.stages if s.needs_motion), "fast")
    plain = Settle(motion_est=accuracy, show=tuple(show))
    settle = Settle(
        luma=chain.luma,
        chroma=chain.chroma,
        blend=chain.blend,
        bands=chain.bands,
        shadows=chain.shadows,
        highlights=chain.highlights,
        guards=tuple(guard for guard in chain.guards if guard != "ghost"),
        masks=chain.masks,
        motion_est=plain.motion_est,
        show=plain.show,
    )
    denoisers = [stage for stage in chain.stages if stage.slot not in FINISHING]
    finishers = [stage for stage in chain.stages if stage.slot in FINISHING]
    found: list[Stage] = []
    for stage in denoisers:
        found.append(stage)
        if stage.slot == "temporal" and "ghost" in chain.guards:
            found.append(GhostGuard())
    return (*found, *(() if settle == plain else (settle,)), *finishers)


def with_chain(plan: Plan, chain: Chain) -> Plan:
    """The same plan for another chain: what ``auto`` does once it has measured.

    Raises:
        MemoryShort: not even the smallest tile fits.
    """
    return make(
        plan.info,
        chain,
        plan.output,
        plan.encode,
        frames=(plan.first, plan.last),
        chosen=plan.chosen,
        device=plan.device,
        interlaced=plan.interlaced,
        seed=plan.seed,
        noise_out=plan.noise_out,
        noise_encode=plan.noise_encode,
        dither=plan.dither,
        grain_table=plan.grain_table,
        views=plan.views,
    )


def check_interlaced(info: ClipInfo, interlaced: Interlaced) -> None:
    """Refuse fields unless told what to do with them.

    Raises:
        UsageError: the clip is interlaced and nothing was said.
    """
    if info.interlaced and interlaced == "refuse":
        raise UsageError(
            f"{info.path} is interlaced ({info.field_order}); denoising it as if it were not would "
            "mix its fields.",
            "Say --interlaced deinterlace, or --interlaced ignore if the tag is wrong.",
            number=50,
        )


def progressive(info: ClipInfo) -> ClipInfo:
    """The clip as it is after deinterlacing."""
    return replace(info, field_order="progressive")


def noise_settings(info: ClipInfo, encode: EncodeSettings, target: Path) -> EncodeSettings:
    """How the removed noise is written: lossless FFV1 with a bit more than the source has, or
    images with 16; floating point with 32.

    Raises:
        UsageError: clean + noise = source cannot hold, or FFV1 does not fit the target.
    """
    fmt = info.format
    if encode.pixel_format != fmt or fmt.floating != encode.coded_format.endswith(_FLOATS):
        raise UsageError(
            f"clean + noise = source cannot hold when {fmt.label} is written as "
            f"{encode.pixel_format.label}.",
            "Leave --noise-out away, or keep the source's own samples (--bit-depth, --codec ffv1).",
            number=54,
        )
    images = is_image(target)
    if fmt.floating:
        return choose(info, target, codec=None if images else "ffv1", bit_depth=32)
    if images:
        return choose(info, target, bit_depth=16)
    deeper = [bits for bits in (9, 10, 12, 14, 16) if bits > fmt.bits] or [16]
    for bits in deeper[:-1]:
        try:
            return choose(info, target, codec="ffv1", bit_depth=bits)
        except UsageError:
            continue  # not every layout exists at every depth
    return choose(info, target, codec="ffv1", bit_depth=deeper[-1])


def view_settings(info: ClipInfo, target: Path) -> EncodeSettings:
    """How a map is written: 16-bit gray without loss, black for none and white for all.

    Raises:
        UsageError: FFV1 does not fit the target.
    """
    return choose(gray(info), target, codec="ffv1", bit_depth=16)


def gray(info: ClipInfo) -> ClipInfo:
    """The clip as a map of it is written."""
    return replace(info, format=GRAY, full_range=True)


def find_device(name: str) -> str:
    """``auto``, ``cpu`` or ``cuda:N`` to a device that exists.

    Raises:
        UsageError: it is none of these words.
        DeviceError: there is no such device.
    """
    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    kind, colon, number = name.partition(":")
    if name != "cpu" and (kind != "cuda" or (colon and not number.isdecimal())):
        raise UsageError(f"There is no device {name!r}.", "Use auto, cpu or cuda:N.", number=51)
    if name == "cpu":
        return name
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number or 0) >= count:
        raise DeviceError(
            f"There is no {name}: this machine has {count} CUDA devices that torch can use.",
            "Use --device cpu, or see: vdenoise doctor",
        )
    return f"cuda:{int(number or 0)}"


def subsampling(fmt: PixelFormat) -> tuple[int, int]:
    """Luma pixels per chroma pixel: (vertical, horizontal)."""
    return (1, 1) if fmt.family != "yuv" else (1 << fmt.sub_h, 1 << fmt.sub_w)


def signal_bytes(width: int, height: int, fmt: PixelFormat) -> int:
    """Bytes of the float32 signals of one frame, with their residual maps."""
    luma = width * height * 2
    fy, fx = subsampling(fmt)
    chroma = 0 if fmt.family == "gray" else -(-width // fx) * -(-height // fy) * 3
    return 4 * (luma + chroma)


def _step(stage: Stage, info: ClipInfo, device: str, scratch: int) -> Step:
    """The longest block that fits, else the largest tile that does."""
    precision = _precision(stage, device)
    half = precision == "float16" and not stage.mixed
    unit = signal_bytes(info.width, info.height, info.format) // (2 if half else 1)
    context = 2 * stage.reach * unit
    longest = LONGEST_BLOCK[torch.device(device).type]
    fits = int((scratch - context) / (unit * (1 + stage.scratch)))
    grid = tile_unit(stage, subsampling(info.format))
    halo = tile_halo(stage, subsampling(info.format)) * max(subsampling(info.format))
    network = stage.mixed and device == "cpu" and halo <= CACHE_HALO
    cached = _cache_tile((info.height, info.width), halo, grid) if network else None
    if fits >= 1 or not stage.tileable:
        return Step(stage, precision, max(1, min(fits, longest)), cached)
    tile = round_up(max(info.width, info.height), grid)
    while tile // 2 >= max(SMALLEST_TILE, grid):
        tile = round_up(tile // 2, grid)
        side = tile + 2 * halo
        share = min(side, info.width) * min(side, info.height) / (info.width * info.height)
        if stage.scratch * unit * share <= scratch / 2:
            break
    return Step(stage, precision, 1, tile if cached is None else min(tile, cached))


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


def _precision(stage: Stage, device: str) -> Precision:
    """What a stage computes in: float16 where it may on CUDA; networks in bfloat16 on processors
    that multiply it in hardware (elsewhere it is many times slower), never float16 there."""
    if device != "cpu":
        return "float16" if stage.half or stage.half_inside else "float32"
    return "bfloat16" if stage.half_inside and fast_bfloat16() else "float32"


@cache
def fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware."""
    flags = Path("/proc/cpuinfo")
    text = flags.read_text() if flags.exists() else ""
    return "avx512_bf16" in text or "amx_bf16" in text


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
            around = tile_halo(stage, subsampling(info.format)) * max(subsampling(info.format))
            side = step.tile + 2 * around
            share = min(side, info.width) * min(side, info.height) / (info.width * info.height)
        own = (2 * stage.reach + step.block) + stage.scratch * step.block * share
        work = max(work, workers * own * unit * (0.5 if step.half else 1))
        if stage.needs_motion:
            known = 2 * stage.reach + (workers + 2) * step.block
            motion = max(motion, MOTION_MEMORY * known * unit)
    codecs = (CODEC_FRAMES + 2 * QUEUE_FRAMES) * source
    return int(BASE_BYTES[torch.device(device).type] + held + work + motion + codecs)


def free_bytes(device: str) -> int:
    """Free memory of a device; for the CPU also within the limits of a container."""
    if device != "cpu":
        return int(torch.cuda.mem_get_info(device)[0])
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        if "MemAvailable" in lines:
            free = int(lines["MemAvailable"].split()[0]) * 1024
    limit, used = (Path(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return free
