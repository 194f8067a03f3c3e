"""Carry out a plan: decode, denoise and encode at the same time, holding only frames in flight.

Output = source + correction. Stages work on a float copy of the frames; what they changed, times
the share asked for, is added to the decoded samples and rounded once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from vdenoise.color import apply_correction, lift
from vdenoise.errors import MemoryShort
from vdenoise.frame import Block, Signal, SourceFrame, joined
from vdenoise.guards import Tally
from vdenoise.masks.files import Mattes, Planes
from vdenoise.media.reader import OnBadFrame, Reader
from vdenoise.media.verify import Report
from vdenoise.media.writer import ClipWriter, open_writer
from vdenoise.motion.flow import Accuracy, SharedMotion
from vdenoise.noise.filmgrain import GrainTable
from vdenoise.noise.profile import NoiseProfile
from vdenoise.noise.removed import removed_noise
from vdenoise.plan import QUEUE_FRAMES, SMALLEST_TILE, Plan, Step, gray, ranges, subsampling
from vdenoise.settle import Settle
from vdenoise.stages import FINISHING
from vdenoise.stages.base import resize_to
from vdenoise.stream import Ahead, Group, Shots, Sink, mapped, windows
from vdenoise.tile import apply_tiled, round_up, tile_unit


class Progress(Protocol):
    """Who is told how far a run is. Called from the thread that runs it."""

    def start(self, phase: str, frames: int) -> None:
        """A pass over ``frames`` frames begins."""
        ...

    def advance(self, busy: dict[str, float]) -> None:
        """One frame more is done; ``busy`` holds seconds of work so far, by kind."""
        ...


class Clock:
    """Seconds of work by kind: decode, denoise, encode. Each kind is one thread's."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def busy(self, kind: str) -> Iterator[None]:
        """Count the time spent inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[kind] = self.seconds.get(kind, 0.0) + time.perf_counter() - start

    def reading(self, frames: Iterable[SourceFrame], kind: str) -> Iterator[SourceFrame]:
        """Count the time that ``frames`` takes to deliver."""
        source = iter(frames)
        while True:
            with self.busy(kind):
                frame = next(source, None)
            if frame is None:
                return
            yield frame
            del frame


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame on its way through the chain."""

    source: SourceFrame
    lifted: tuple[Tensor, Tensor | None]  # (1, 1, H, W) and (1, 2, h, w) before any stage
    luma: Signal  # of this one frame
    chroma: Signal | None
    averaged: tuple[Signal, Signal | None] | None = None  # after the temporal stage
    clean: tuple[Tensor, Tensor | None] | None = None  # once everything that removes is done
    mattes: tuple[Planes, ...] = ()  # masks from files, as decoded
    maps: Mapping[str, Tensor] = field(default_factory=dict)  # what stages have to show of it

    @property
    def index(self) -> int:
        """Absolute frame number."""
        return self.source.index


@dataclass(frozen=True)
class Result:
    """What a run did."""

    frames: int
    seconds: float
    busy: dict[str, float]  # seconds of work by kind
    bad_frames: tuple[int, ...]
    report: Report
    guards: Mapping[str, float] = field(default_factory=dict)  # what the guards saw and did


# A frame, its new samples in the output's pixel format, and what there is to see of it
Done = tuple[SourceFrame, tuple[Tensor, ...], Mapping[str, Tensor]]


def denoise(
    sources: Iterable[SourceFrame], plan: Plan, profile: NoiseProfile, shots: Shots
) -> Generator[tuple[SourceFrame, tuple[Tensor, ...]], None, None]:
    """Denoise a stream lazily.

    Args:
        sources: the frames of ``plan.source_range(shots)``, in order.
        plan: what to do.
        profile: measured noise of the clip.
        shots: of the clip.

    Yields:
        Each frame wanted, in order, with its new samples in the output's pixel format.
    """
    with contextlib.closing(with_maps(sources, plan, profile, shots)) as done:
        for source, planes, _ in done:
            yield source, planes


def with_maps(
    sources: Iterable[SourceFrame], plan: Plan, profile: NoiseProfile, shots: Shots
) -> Generator[Done, None, None]:
    """`denoise`, with what there is to see of each frame.

    Yields:
        Frame, new samples and maps by name: (1, 1, H, W) pictures in [0, 1] and (1,) numbers;
        ``confidence`` is always there.
    """
    wanted = ranges(plan.steps, shots, plan.first, plan.last)
    chain = plan.chain
    motions: dict[Accuracy, SharedMotion] = {}
    settled = False
    with (
        Mattes(chain.masks, plan.info, *wanted[0], chain.mask_fit) as mattes,
        _workers(plan) as pool,
    ):
        frames: Iterator[Frame] = (_lifted(source, plan, mattes) for source in sources)
        for step, (first, last) in zip(plan.steps, wanted[1:], strict=True):
            if step.stage.slot in FINISHING and not settled:
                frames, settled = (_settled(frame, plan) for frame in frames), True
            groups = windows(frames, step.stage.reach, step.block, shots, first, last)
            frames = _through(step, groups, plan, profile, motions, mattes, pool)
        if not settled:
            frames = (_settled(frame, plan) for frame in frames)
        yield from mapped(partial(_finished, plan=plan), frames, pool, plan.workers)


@contextlib.contextmanager
def _workers(plan: Plan) -> Iterator[Executor | None]:
    """Threads that compute a frame each, with one torch thread; None where a card computes.

    Frames side by side make far better use of a few cores than torch's own threads, which share
    out operations of a millisecond. And where torch cuts a row in two decides how some sums are
    rounded: even a single frame is computed by a worker, to be the same in every segment.
    """
    if plan.device != "cpu":
        yield None
        return
    before = torch.get_num_threads()
    alone = partial(torch.set_num_threads, 1)
    pool = ThreadPoolExecutor(plan.workers, "vdenoise-compute", initializer=alone)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _finished(frame: Frame, plan: Plan) -> Done:
    with torch.inference_mode():
        maps = {**frame.maps, "confidence": 1 - frame.luma.left}
        return frame.source, _corrected(frame, plan), maps


def _lifted(source: SourceFrame, plan: Plan, mattes: Mattes) -> Frame:
    with torch.inference_mode():
        planes = [plane.to(plan.device) for plane in source.planes]
        luma, chroma = lift(planes, plan.info.format, plan.info.full_range, plan.info.curve)
        luma = luma[None]
        chroma = None if chroma is None else chroma[None]
        return Frame(
            source=source,
            lifted=(luma, chroma),
            luma=_noisy(luma),
            chroma=None if chroma is None else _noisy(chroma),
            mattes=mattes.read(source),
        )


def _noisy(pixels: Tensor) -> Signal:
    """A signal with all of its noise. The map of ones takes no memory yet."""
    one = pixels.new_ones(()).expand(1, 1, *pixels.shape[-2:])
    return Signal(pixels, one)


def _through(
    step: Step,
    groups: Iterator[Group[Frame]],
    plan: Plan,
    profile: NoiseProfile,
    motions: dict[Accuracy, SharedMotion],
    mattes: Mattes,
    pool: Executor | None,
) -> Iterator[Frame]:
    """The frames of every group's core, after one step."""
    motion: SharedMotion | None = None
    if step.stage.needs_motion:
        motion = motions.setdefault(
            step.stage.motion_accuracy,
            SharedMotion(step.stage.motion_accuracy, keep=_kept(plan)),
        )

    def compute(group: Group[Frame]) -> list[Frame]:
        with torch.inference_mode():
            luma, chroma, maps = _compute(step, group, plan, profile, motion, mattes)
        done = []
        for n, frame in enumerate(group.frames[group.core]):
            part = slice(n, n + 1)
            now = luma[part], None if chroma is None else chroma[part]
            averaged = now if step.stage.slot in ("temporal", "guard") else frame.averaged
            shown = {**frame.maps, **{name: found[part] for name, found in maps.items()}}
            done.append(replace(frame, luma=now[0], chroma=now[1], averaged=averaged, maps=shown))
        return done

    for frames in mapped(compute, groups, pool, plan.workers):
        yield from frames
        del frames


def _kept(plan: Plan) -> int:
    """Frames behind the newest whose motion is still needed: a later stage lags by what the
    stages before it hold, and groups that are begun together lie some blocks apart."""
    users = [n for n, step in enumerate(plan.steps) if step.stage.needs_motion]
    between = plan.steps[users[0] : users[-1] + 1]
    return sum(2 * step.stage.reach + (plan.workers + 2) * step.block for step in between)


def _compute(
    step: Step,
    group: Group[Frame],
    plan: Plan,
    profile: NoiseProfile,
    motion: SharedMotion | None,
    mattes: Mattes,
) -> tuple[Signal, Signal | None, Mapping[str, Tensor]]:
    """Luma and chroma of a group's core after ``step``, in float32, and what it has to show."""
    frames, stage = group.frames, step.stage
    finishing = stage.slot in FINISHING
    noise = profile.at(group.shot[0]).table(plan.device, scale=plan.chain.sigma_scale)
    luma = joined([frame.luma for frame in frames])
    chroma = joined([frame.chroma for frame in frames if frame.chroma is not None])
    assert luma is not None
    block = Block(
        first=frames[0].index,
        core=group.core,
        luma=_half(luma) if step.half else luma,
        chroma=_half(chroma) if step.half and chroma is not None else chroma,
        noise=noise,
        motion=None
        if motion is None
        else motion.block(frames[0].index, [f.lifted[0][0] for f in frames], noise),
        shot=group.shot,
        source=_sources(frames) if stage.needs_source else None,
        averaged=_averaged(frames) if stage.needs_source and not finishing else None,
        clean=_clean(frames) if stage.needs_source and finishing else None,
        seed=plan.seed,
        compute=getattr(torch, step.precision),
        mattes=_mattes(frames[group.core], mattes) if isinstance(step.stage, Settle) else None,
    )
    done = _apply(step, block, subsampling(plan.info.format))
    if not step.half:
        return done.luma, done.chroma, done.maps
    core = group.core
    return (
        _refined(luma[core], block.luma[core], done.luma),
        None
        if chroma is None or block.chroma is None or done.chroma is None
        else _refined(chroma[core], block.chroma[core], done.chroma),
        done.maps,
    )


def _mattes(frames: Sequence[Frame], mattes: Mattes) -> Tensor | None:
    """(T, N, H, W) of the masks that come from files."""
    found = [mattes.lifted(frame.mattes) for frame in frames]
    there = [one.to(frames[0].luma.pixels.device) for one in found if one is not None]
    return torch.stack(there) if there else None


def _sources(frames: Sequence[Frame]) -> tuple[Tensor, Tensor | None]:
    """Luma and chroma of consecutive frames before any stage."""
    chroma = [frame.lifted[1] for frame in frames if frame.lifted[1] is not None]
    return torch.cat([frame.lifted[0] for frame in frames]), torch.cat(chroma) if chroma else None


def _averaged(frames: Sequence[Frame]) -> tuple[Signal, Signal | None] | None:
    """Consecutive frames as the temporal stage left them, None without one."""
    found = [frame.averaged for frame in frames if frame.averaged is not None]
    luma = joined([luma for luma, _ in found])
    if luma is None:
        return None
    return luma, joined([chroma for _, chroma in found if chroma is not None])


def _clean(frames: Sequence[Frame]) -> tuple[Tensor, Tensor | None]:
    """Luma and chroma of consecutive frames as finishing finds them."""
    found = [frame.clean for frame in frames if frame.clean is not None]
    chroma = [chroma for _, chroma in found if chroma is not None]
    return torch.cat([luma for luma, _ in found]), torch.cat(chroma) if chroma else None


def _half(signal: Signal) -> Signal:
    return Signal(signal.pixels.half(), signal.left.half())


def _refined(exact: Signal, before: Signal, after: Signal) -> Signal:
    """What a float16 stage changed, added to the float32 pixels: rounding the picture itself to
    float16 would lose half a 10-bit code."""
    change = after.pixels.float() - before.pixels.float()
    return Signal(exact.pixels + change, after.left.float())


def _apply(step: Step, block: Block, factors: tuple[int, int]) -> Block:
    """Run a stage as planned; where memory runs out, frame by frame, then on smaller tiles.

    Raises:
        MemoryShort: not even the smallest tile fits.
    """
    try:
        return apply_tiled(step.stage, block, step.tile, factors)
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
    for tile in _smaller_tiles(step, block, factors):
        try:
            return _frame_by_frame(step, block, tile, factors)
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
    raise MemoryShort(
        f"{step.stage.name} runs out of memory even at its smallest tile.",
        "End other programs that use the device, or say --device cpu or a faster --speed.",
        number=2,
    )


def _out_of_memory(error: BaseException) -> bool:
    # On the CPU torch says so in words only.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        "can't allocate memory" in str(error)
    )


def _smaller_tiles(step: Step, block: Block, factors: tuple[int, int]) -> Iterator[int | None]:
    yield step.tile
    tile = step.tile or max(block.luma.pixels.shape[-2:])
    unit = tile_unit(step.stage, factors)
    while step.stage.tileable and tile // 2 >= max(SMALLEST_TILE, unit):
        tile = round_up(tile // 2, unit)
        yield tile


def _frame_by_frame(step: Step, block: Block, tile: int | None, factors: tuple[int, int]) -> Block:
    parts = [
        apply_tiled(step.stage, replace(block, core=slice(t, t + 1)), tile, factors)
        for t in range(*block.core.indices(block.frames))
    ]
    luma = joined([part.luma for part in parts])
    assert luma is not None
    return block.with_signals(luma, joined([p.chroma for p in parts if p.chroma is not None]))


def _settled(frame: Frame, plan: Plan) -> Frame:
    """Everything that removes is done: what finishing starts from. A plane of which nothing is to
    be removed is the source's own."""
    of_luma, of_chroma = plan.touches
    luma = frame.luma if of_luma else _noisy(frame.lifted[0])
    chroma = frame.chroma
    if not of_chroma and frame.lifted[1] is not None:
        chroma = _noisy(frame.lifted[1])
    clean = luma.pixels, None if chroma is None else chroma.pixels
    return replace(frame, luma=luma, chroma=chroma, averaged=None, clean=clean)


def _corrected(frame: Frame, plan: Plan) -> tuple[Tensor, ...]:
    """The source samples plus what the chain changed."""
    info, chain = plan.info, plan.chain
    luma, chroma = _masked(frame)
    d_luma = _correction(luma, frame.lifted[0])
    d_chroma = None
    if chroma is not None and frame.lifted[1] is not None:
        d_chroma = _correction(chroma, frame.lifted[1])
    planes = apply_correction(
        [plane.to(plan.device) for plane in frame.source.planes],
        d_luma,
        d_chroma,
        info.format,
        info.full_range,
        out=plan.encode.pixel_format,
        dither_seed=(plan.seed, frame.index) if plan.dithered else None,
        chroma_location=info.chroma_location,
        curve=info.curve,
        limit=chain.limit,
    )
    return tuple(plane.cpu() for plane in planes)


def _masked(frame: Frame) -> tuple[Tensor, Tensor | None]:
    """The pixels of a finished frame: what finishing did goes only where masks let work be done."""
    luma, chroma = frame.luma.pixels, None if frame.chroma is None else frame.chroma.pixels
    gate = frame.maps.get("gate")
    if gate is None or frame.clean is None or luma is frame.clean[0]:
        return luma, chroma
    luma_start, chroma_start = frame.clean
    if chroma is not None and chroma_start is not None:
        chroma = chroma_start + resize_to(gate, chroma) * (chroma - chroma_start)
    return luma_start + gate * (luma - luma_start), chroma


def _correction(pixels: Tensor, before: Tensor) -> Tensor | None:
    """(C, H, W), or None where nothing changes: those planes are not touched at all."""
    return None if pixels is before else pixels[0] - before[0]


def run(
    plan: Plan,
    profile: NoiseProfile,
    cuts: tuple[int, ...],
    progress: Progress,
    *,
    on_bad_frame: OnBadFrame = "fail",
    overwrite: bool = False,
    threads: int | None = None,
    segment: bool = False,
) -> Result:
    """Denoise a clip: read, compute, write, check, rename.

    Whatever ends it early - an error in any thread, a signal - nothing is left under the final
    names and every thread has ended. The first error is raised.

    Args:
        plan: what to do.
        profile: measured noise of the clip.
        cuts: first frame of every shot but the first.
        progress: told of every frame written.
        on_bad_frame: ``fail`` or ``repeat``.
        overwrite: replace existing outputs.
        threads: decoder threads, None for one per core.
        segment: write a segment: the picture alone, which is checked when segments are joined.
    """
    started = time.perf_counter()
    shots = Shots(plan.info.frames or 0, cuts)
    first, last = plan.source_range(shots)
    clock, tally = Clock(), Tally()
    with contextlib.ExitStack() as outputs:
        reader = outputs.enter_context(
            Reader(
                plan.info,
                first=first,
                last=last,
                threads=threads,
                on_bad_frame=on_bad_frame,
                deinterlace=plan.interlaced == "deinterlace",
            )
        )
        writers: list[ClipWriter] = [
            outputs.enter_context(
                open_writer(
                    reader.info,
                    plan.output,
                    plan.encode,
                    source=None if segment else plan.info.path,
                    positions=plan.positions,
                    overwrite=overwrite,
                )
            )
        ]
        if plan.noise_out is not None and plan.noise_encode is not None:
            writers.append(
                outputs.enter_context(
                    open_writer(
                        reader.info,
                        plan.noise_out,
                        plan.noise_encode,
                        positions=plan.positions,
                        overwrite=overwrite,
                    )
                )
            )

        table: GrainTable | None = None
        if plan.grain_table is not None:
            out = plan.encode.pixel_format
            table = GrainTable(plan.info, out, plan.grain_table, plan.seed)

        viewers = [
            outputs.enter_context(
                open_writer(
                    gray(reader.info),
                    view.path,
                    view.encode,
                    positions=plan.positions,
                    overwrite=overwrite,
                )
            )
            for view in plan.views
        ]

        def write(done: Done) -> None:
            source, planes, maps = done
            with clock.busy("encode"):
                if table is not None:
                    table.push(source, planes, shots.of(source.index))
                writers[0].write(source, planes)
                if plan.noise_encode is not None and len(writers) == 2:
                    fmt = plan.noise_encode.pixel_format
                    writers[1].write(
                        source, removed_noise(source.planes, planes, plan.info.format, fmt)
                    )
                for view, viewer in zip(plan.views, viewers, strict=True):
                    viewer.write(source, (_gray_codes(maps[view.kind]),))

        progress.start("denoise", plan.frames)
        decoded = clock.reading(reader, "decode")
        with (
            Ahead(decoded, QUEUE_FRAMES, "decode") as ahead,
            Sink(write, QUEUE_FRAMES, "encode") as sink,
        ):
            source = clock.reading(ahead, "wait")
            with contextlib.closing(with_maps(source, plan, profile, shots)) as results:
                while True:
                    with clock.busy("compute"):
                        done = next(results, None)
                    if done is None:
                        break
                    tally.add(done[2])
                    sink.put(done)
                    del done
                    progress.advance(_busy(clock))
    try:
        report = [w.commit(check=not segment) for w in (*viewers, *reversed(writers))][-1]
    except BaseException:
        for writer in (*viewers, *writers):
            writer.abort()
        raise
    if table is not None:
        table.save()
    return Result(
        frames=len(plan.positions),
        seconds=time.perf_counter() - started,
        busy=_busy(clock),
        bad_frames=tuple(reader.bad),
        report=report,
        guards=tally.summary(),
    )


def _gray_codes(view: Tensor) -> Tensor:
    """(1, 1, H, W) in [0, 1] as codes (H, W) of `vdenoise.plan.GRAY`, full range."""
    return (view[0, 0].clamp(0, 1) * 65535).round_().to(torch.int32).to(torch.uint16).cpu()


def _busy(clock: Clock) -> dict[str, float]:
    """Seconds of work: what the computing thread spent waiting for frames is none."""
    seconds = clock.seconds
    return {
        "decode": seconds.get("decode", 0.0),
        "denoise": seconds.get("compute", 0.0) - seconds.get("wait", 0.0),
        "encode": seconds.get("encode", 0.0),
    }
