"""The frames of a clip through the steps of a plan, lazily: only frames in flight are held."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from vdenoise.engine.compute import compute_group, is_piloted
from vdenoise.engine.correction import (
    Done,
    Frame,
    adopt_cleaning,
    adopt_repairs,
    finish_frame,
    lift_frame,
)
from vdenoise.engine.fields import Heard, by_field
from vdenoise.engine.plan import Plan
from vdenoise.engine.remembered import Motions, Remembered
from vdenoise.engine.steps import Step, areas_wanted, ranges
from vdenoise.engine.streams import Group, Shots, map_in_order, windows
from vdenoise.engine.tiles import Area
from vdenoise.machine.devices import see_room_for_threads
from vdenoise.masks.files import Mattes
from vdenoise.motion.flow import SharedMotion
from vdenoise.motion.opencv import keep_on_one_thread
from vdenoise.picture.block import Signal
from vdenoise.picture.frame import SourceFrame
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise import NoiseProfile
from vdenoise.picture.subsampling import resize_to
from vdenoise.stages import FINISHING, REPAIRING

Check = Callable[[], None]  # raises where the work is not wanted any more


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
    with contextlib.closing(denoise_and_tell(sources, plan, profile, shots)) as done:
        for each in done:
            yield each.source, each.planes


def denoise_and_tell(
    sources: Iterable[SourceFrame],
    plan: Plan,
    profile: NoiseProfile,
    shots: Shots,
    *,
    only: Area | None = None,
    known: Remembered | None = None,
    heard: Heard | None = None,
    check: Check | None = None,
) -> Generator[Done, None, None]:
    """`denoise`, with what stages found in each frame.

    Args:
        sources, plan, profile, shots: as for `denoise`.
        only: luma pixels that are wanted, the same as in the whole picture to the bit; outside of
            them the samples mean nothing. None is all.
        known: what was found out about the same frames of the same clip; what is found is added.
            None starts anew.
        heard: is told what each stage made of each frame wanted.
        check: is called before each piece of work, from any thread; what it raises ends all.

    Yields:
        Each frame wanted; of its findings ``confidence`` is always there.
    """
    with _workers(plan, only) as threads:
        if not plan.info.by_field:
            yield from _frames(sources, plan, profile, only, heard, shots, known, threads, check)
            return
        work = partial(_frames, shots=shots, known=None, threads=threads, check=check)
        yield from by_field(sources, plan, profile, only, heard, work)


def _frames(
    sources: Iterable[SourceFrame],
    plan: Plan,
    profile: NoiseProfile,
    only: Area | None,
    heard: Heard | None,
    shots: Shots,
    known: Remembered | None,
    threads: _Threads,
    check: Check | None,
) -> Generator[Done, None, None]:
    """`denoise_and_tell` of whole pictures, be they frames or fields of one parity."""
    wanted = ranges(plan.steps, shots, plan.first, plan.last)
    chain = plan.chain
    known = known or Remembered()
    motions: Motions = {} if plan.repairs else known.motions
    damaged: Motions = {}  # motion seen before anything is repaired
    areas = _areas(plan, only)
    remembers = only is not None and heard is None and plan.frames == 1
    needed = [mine[-1] for _, mine in areas]
    done, there = known.resumed(plan, wanted, needed) if remembers else (0, [])
    frames: Iterator[Frame] = iter(there)
    mended = any(step.stage.slot not in REPAIRING for step in plan.steps[:done])
    removed = any(step.stage.slot in FINISHING for step in plan.steps[:done])
    with Mattes(chain.masks, plan.info, *wanted[0], chain.output.mask_fit) as mattes:
        if not there:
            frames = (lift_frame(source, plan, profile, mattes) for source in sources)
            frames = known.keeping(frames, plan, 0, None) if remembers else frames
        for n, (step, mine) in enumerate(areas[done:], done + 1):
            if step.stage.slot not in REPAIRING and not mended:
                frames, mended = map(adopt_repairs, frames), True
            if step.stage.slot in FINISHING and not removed:
                frames, removed = (adopt_cleaning(frame, plan) for frame in frames), True
            groups = windows(frames, step.stage.reach, step.block, shots, *wanted[n])
            moved = motions if mended else damaged
            frames = _through(step, groups, plan, profile, moved, mattes, threads, mine, check)
            if remembers:
                frames = known.keeping(frames, plan, n, _right(step, mine))
            if heard is not None:
                frames = _heard(frames, step.stage.name, plan, profile, heard)
        if not mended:
            frames = map(adopt_repairs, frames)
        if not removed:
            frames = (adopt_cleaning(frame, plan) for frame in frames)
        yield from map_in_order(
            partial(finish_frame, plan=plan, profile=profile), frames, threads.frames, plan.workers
        )


def _areas(plan: Plan, only: Area | None) -> list[tuple[Step, Sequence[Area | None]]]:
    """What must be right of the result of each step's stage and of those that follow it."""
    flat = [stage for step in plan.steps for stage in (step.stage, *step.stage.followed_by)]
    areas = iter(areas_wanted(flat, only, plan.info))
    return [(s, [next(areas) for _ in (s.stage, *s.stage.followed_by)]) for s in plan.steps]


def _right(step: Step, areas: Sequence[Area | None]) -> Area | None:
    """Where a step's result is right: everywhere, if its stage looks at whole pictures."""
    last = (step.stage, *step.stage.followed_by)[-1]
    return areas[-1] if not last.footprint.whole else None


def _heard(
    frames: Iterator[Frame], name: str, plan: Plan, profile: NoiseProfile, heard: Heard
) -> Iterator[Frame]:
    for frame in frames:
        if plan.first <= frame.index <= plan.last:
            heard(name, finish_frame(frame, plan, profile))
        yield frame


@dataclass(frozen=True)
class _Threads:
    """Pools of threads: one computes a frame each, one the tiles of a region beside it;
    None where a card computes, and where there is but one."""

    frames: Executor | None = None
    tiles: Executor | None = None


@contextlib.contextmanager
def _workers(plan: Plan, only: Area | None) -> Iterator[_Threads]:
    """Threads with one torch thread each.

    Frames side by side make far better use of a few cores than torch's own threads, which share
    out operations of a millisecond. And where torch cuts a row in two decides how some sums are
    rounded: even a single frame is computed by a worker, to be the same in every segment.
    """
    if plan.device != "cpu":
        yield _Threads()
        return
    keep_on_one_thread()
    before = torch.get_num_threads()
    alone = partial(torch.set_num_threads, 1)
    frames = ThreadPoolExecutor(plan.workers, "vdenoise-compute", initializer=alone)
    more = plan.workers - 1 if only is not None else 0
    see_room_for_threads(plan.workers + more)
    tiles = ThreadPoolExecutor(more, "vdenoise-tile", initializer=alone) if more else None
    try:
        yield _Threads(frames, tiles)
    finally:
        for pool in (frames, tiles):
            if pool is not None:
                pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _through(
    step: Step,
    groups: Iterator[Group[Frame]],
    plan: Plan,
    profile: NoiseProfile,
    motions: Motions,
    mattes: Mattes,
    threads: _Threads,
    areas: Sequence[Area | None],
    check: Check | None,
) -> Iterator[Frame]:
    """The frames of every group's core, after one step."""
    motion: SharedMotion | None = None
    if "motion" in step.stage.needs:
        accuracy = step.stage.motion_accuracy
        motion = motions.setdefault(
            (accuracy, is_piloted(step, plan)), SharedMotion(accuracy, keep=_kept(plan))
        )

    def compute(group: Group[Frame]) -> list[Frame]:
        if check is not None:
            check()
        with torch.inference_mode():
            result, found = compute_group(
                step, group, plan, profile, motion, mattes, areas, threads.tiles
            )
        done = []
        for n, frame in enumerate(group.frames[group.core]):
            part = slice(n, n + 1)
            now = _shared(frame, result.map(operator.itemgetter(part)), step)
            averaged = now if step.stage.slot in ("temporal", "guard") else frame.averaged
            findings = found.map(operator.itemgetter(part)).over(frame.findings)
            done.append(replace(frame, picture=now, averaged=averaged, findings=findings))
        return done

    for frames in map_in_order(compute, groups, threads.frames, plan.workers):
        yield from frames
        del frames


def _kept(plan: Plan) -> int:
    """Frames behind the newest whose motion is still needed: a later stage lags by what the
    stages before it hold, and groups that are begun together lie some blocks apart."""
    users = [n for n, step in enumerate(plan.steps) if "motion" in step.stage.needs]
    between = plan.steps[users[0] : users[-1] + 1]
    return sum(2 * step.stage.reach + (plan.workers + 2) * step.block for step in between)


def _shared(frame: Frame, result: Picture[Signal], step: Step) -> Picture[Signal]:
    """What a step made of a frame, where masks let only a share of this slot's work be done."""
    share = frame.findings.shares.get(step.stage.slot)
    if share is None:
        return result

    def mixed(before: Signal, after: Signal) -> Signal:
        own = resize_to(share, after.pixels)
        return Signal(torch.lerp(before.pixels, after.pixels, own), after.residual)

    return frame.picture.pair(result, mixed)
