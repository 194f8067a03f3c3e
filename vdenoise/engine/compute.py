"""One group of frames through one step: the block a stage is given, and what it makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

import torch
from torch import Tensor

from vdenoise.engine.correction import (
    Frame,
)
from vdenoise.engine.plan import Plan
from vdenoise.engine.steps import Step, precision_of
from vdenoise.engine.streams import Group
from vdenoise.engine.tiles import Area, apply_fitting
from vdenoise.masks.files import Mattes
from vdenoise.motion.flow import SharedMotion
from vdenoise.picture.block import Block, Signal, join_signals
from vdenoise.picture.findings import StageFindings
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise import NoiseProfile
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.stages import REMOVING, REPAIRING
from vdenoise.stages.base import Need, Stage
from vdenoise.stages.control.pilot import MODEL, pilot
from vdenoise.stages.net.bare import bare_network

T = TypeVar("T")


def is_piloted(step: Step, plan: Plan) -> bool:
    """Whether pilots guide motion: for all stages behind the repairs, if one asks for it."""
    asked = any("pilots" in step.stage.needs for step in plan.steps)
    return asked and step.stage.slot not in REPAIRING


def _pilots(frames: Sequence[Frame], noise: NoiseTable, device: str) -> Callable[[int], Tensor]:
    """What makes the pilot of a frame of a block."""
    compute: torch.dtype = getattr(torch, precision_of(bare_network(MODEL), device))

    def made(k: int) -> Tensor:
        return pilot(frames[k].repaired, noise, frames[k].present, compute)

    return made


def compute_group(
    step: Step,
    group: Group[Frame],
    plan: Plan,
    profile: NoiseProfile,
    motion: SharedMotion | None,
    mattes: Mattes,
    areas: Sequence[Area | None],
    pool: Executor | None,
) -> tuple[Picture[Signal], StageFindings]:
    """A group's core after ``step``, in float32, and what it found."""
    frames, stage = group.frames, step.stage
    noise = profile.at(group.shot[0]).table(plan.device, scale=plan.chain.noise.sigma_scale)
    exact = Picture.join([frame.picture for frame in frames], join_signals)
    given = exact.map(lambda signal: signal.map(Tensor.half)) if step.half else exact
    shares = [f.present for f in frames if f.present is not None]
    present = _joined(shares) if shares else None
    block = Block(
        first=frames[0].index,
        core=group.core,
        luma=given.luma,
        chroma=given.chroma,
        noise=noise,
        motion=None
        if motion is None
        else motion.block(
            frames[0].index,
            [f.repaired.luma[0] for f in frames],
            noise,
            present,
            _pilots(frames, noise, plan.device) if is_piloted(step, plan) else None,
        ),
        present=present,
        shot=group.shot,
        kept_original=_wanted("original", stage, (f.repaired for f in frames), _joined),
        averaged=_wanted("averaged", stage, (f.averaged for f in frames), join_signals),
        clean=_wanted("clean", stage, (f.clean for f in frames), _joined),
        residual_factor=_residual_factor(plan),
        seed=plan.seed,
        compute=getattr(torch, step.precision),
        lines=plan.info.lines,
        mattes=_mattes(frames[group.core], mattes) if "mattes" in stage.needs else None,
    )
    factors = plan.info.format.subsampling
    done = apply_fitting(stage, block, step.tile, factors, areas[0], pool)
    for follower, area in zip(stage.followed_by, areas[1:], strict=True):
        done = apply_fitting(follower, block.behind(done), None, factors, area, pool)
    if not step.half:
        return done.picture, done.findings
    changed = block.core_picture.pair(done.picture, _changed)
    return exact.map(lambda signal: signal[group.core]).pair(changed, _moved), done.findings


def _residual_factor(plan: Plan) -> float:
    """`Stage.residual_factor` of the last stage that removed noise."""
    stages = [step.stage for step in plan.steps]
    found = [s.residual_factor for s in stages if s.slot in REMOVING and s.role == "denoiser"]
    return found[-1] if found else 1.0


def _mattes(frames: Sequence[Frame], mattes: Mattes) -> Tensor | None:
    """(T, N, H, W) of the masks that come from files."""
    found = [mattes.lifted(frame.mattes) for frame in frames]
    there = [one.to(frames[0].original.luma.device) for one in found if one is not None]
    return torch.stack(there) if there else None


def _wanted(
    need: Need, stage: Stage, pictures: Iterable[Picture[T] | None], join: Callable[[list[T]], T]
) -> Picture[T] | None:
    """Pictures of consecutive frames as one; None where no frame has any or no stage asks."""
    there = [picture for picture in pictures if picture is not None and need in stage.needs]
    return Picture.join(there, join) if there else None


def _joined(frames: Sequence[Tensor]) -> Tensor:
    """Tensors of frames as one; a single one is not copied."""
    return frames[0] if len(frames) == 1 else torch.cat(list(frames))


def _changed(before: Signal, after: Signal) -> Signal:
    """What a float16 stage did to the pixels, with the residual it left."""
    return Signal(after.pixels.float() - before.pixels.float(), after.residual.float())


def _moved(exact: Signal, change: Signal) -> Signal:
    """A float16 stage's change on the float32 pixels: rounding the picture itself to float16 would
    lose half a 10-bit code."""
    return Signal(exact.pixels + change.pixels, change.residual)
