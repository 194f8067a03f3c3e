"""What adapting sees of a clip: stretches of frames, what the stages make of them, neighbors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.engine.streams import Shots
from vdenoise.errors import UsageError
from vdenoise.motion.flow import SharedMotion
from vdenoise.motion.warp import resize, warp
from vdenoise.nets.base import Network
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.color import lift, to_rgb
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import subsampling
from vdenoise.stages.base import Stage
from vdenoise.training.adapting.noise_bank import SIDE, Planes
from vdenoise.training.material.batches import Batch, batch
from vdenoise.training.material.examples import MARGIN, planes_of
from vdenoise.training.material.pool import Crop
from vdenoise.workflows.reading import Reading

LEARNED, CHECKED = 8, 3  # stretches of frames
REGION = 416  # side of what is looked at of a frame, luma pixels
MASK = 14  # plane of a crop behind `Example.planes`: where the answer is known

_TRUST = 0.5  # of the flow, where a neighbor is compared with
_ALIKE = 0.04  # most that guides may differ there, full scale
_CELL = 16  # pixels: differences are averaged over cells before their error is told


@dataclass(frozen=True, eq=False)
class StagesBefore:
    """The stages before a network, and how it computes."""

    stages: tuple[Stage, ...]
    precision: torch.dtype

    def crops(self, clean: Planes, noisy: Planes, table: NoiseTable) -> list[Crop]:
        """What the network is given for each frame of a shot, and what it should answer.

        Behind `Example.planes` comes one that says where the answer is known.
        """
        one = Block(
            first=0,
            core=slice(0, len(noisy[0])),
            luma=Signal(noisy[0], torch.ones_like(noisy[0])),
            chroma=Signal(noisy[1], torch.ones_like(noisy[1][:, :1])),
            noise=table,
        )
        averaged = one
        with torch.inference_mode():
            for stage in self.stages:
                motion = None
                if "motion" in stage.needs:
                    shared = SharedMotion(stage.motion_accuracy, keep=len(noisy[0]))
                    motion = shared.block(0, noisy[0], table)
                one = stage.apply(replace(one, motion=motion))
                averaged = one if stage.slot == "temporal" else averaged
            planes = planes_of(clean, noisy, averaged, one)
        halved = noisy[1].shape[-2:] != noisy[0].shape[-2:]
        planes = functional.pad(planes, (0, 0, 0, 0, 0, 1), value=1.0)
        return [Crop(frame.clone(), table, halved, "gaussian") for frame in planes]

    def batch(self, clean: Planes, noisy: Planes, table: NoiseTable) -> Batch:
        """The same as a batch of whole frames."""
        return batch(self.crops(clean, noisy, table), None, np.random.default_rng(0))

    def correct(self, net: Network, given: Batch) -> Tensor:
        """(N, 3, H, W): the network's answer, frame by frame."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == torch.bfloat16):
            return given.answer(net(given.given))

    def answer(self, net: Network, given: Batch, like: Planes) -> Planes:
        """The same as luma and chroma of their own size."""
        with torch.inference_mode():
            found = self.correct(net, given)
        chroma = functional.interpolate(found[:, 1:], like[1].shape[-2:], mode="area")
        return found[:, :1].clone(), chroma.clone()


def windows(
    info: ClipInfo, cuts: tuple[int, ...], reach: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Stretches of frames (first, count) to learn from and to check on; none overlap."""
    frames = info.frames or 0
    if info.format.color_planes != 3:
        raise UsageError(
            "Only clips with color can be adapted to.", "Use the network as it is.", number=120
        )
    shots = Shots(frames, cuts)
    count = 2 * reach + 3
    while count > 3 and len(_places(shots, count)) < 2:
        count -= 1
    places = _places(shots, count)
    if len(places) < 2:
        raise UsageError(
            f"{info.path} is too short to adapt to: no two stretches of 3 frames.",
            "Use the network as it is.",
            number=121,
        )
    wanted = min(len(places), LEARNED + CHECKED)
    chosen = [places[round(n)] for n in np.linspace(0, len(places) - 1, wanted)]
    held = max(1, round(wanted * CHECKED / (LEARNED + CHECKED)))
    marks = {round((n + 0.5) * wanted / held - 0.5) for n in range(held)}
    learned = [(first, count) for n, first in enumerate(chosen) if n not in marks]
    return learned, [(first, count) for n, first in enumerate(chosen) if n in marks]


def _places(shots: Shots, count: int) -> list[int]:
    """First frames of all stretches of ``count`` frames that lie in one shot, side by side."""
    found: list[int] = []
    at = 0
    while at < shots.frames:
        last = shots.of(at)[1]
        found += range(at, last - count + 2, count)
        at = last + 1
    return found


def read(
    info: ClipInfo, reading: Reading, first: int, frames: int, rng: np.random.Generator
) -> Planes:
    """The same square of consecutive frames; sides are multiples of a piece of noise."""
    height, width = (min(REGION, side // SIDE * SIDE) for side in (info.height, info.width))
    if min(height, width) <= 2 * MARGIN + SIDE:
        raise UsageError(
            f"{info.path} is too small to adapt to.", "Use the network as it is.", number=123
        )
    top, left = (
        int(rng.integers((whole - part) // SIDE + 1)) * SIDE
        for whole, part in ((info.height, height), (info.width, width))
    )
    luma, chroma = [], []
    with reading.reader(info, first, first + frames - 1) as reader:
        for frame in reader:
            y, c = lift(frame, info)
            assert c is not None, "clips without color were refused"
            down, across = subsampling(y, c)
            luma.append(y[..., top : top + height, left : left + width])
            rows = slice(top // down, (top + height) // down)
            chroma.append(c[..., rows, left // across : (left + width) // across])
    return torch.stack(luma), torch.stack(chroma)


def both_ways(noisy: Planes) -> tuple[Planes, Planes]:
    """Frames whose last one is not to be seen: as they are, and backwards."""
    return noisy, (noisy[0].flip(0), noisy[1].flip(0))


def neighbor(chain: StagesBefore, noisy: Planes, table: NoiseTable) -> Crop:
    """The last frame but one, to be answered by the last, moved onto it."""
    past = (noisy[0][:-1], noisy[1][:-1])
    found = chain.crops(past, past, table)[-1]
    motion = SharedMotion("better", keep=2).block(0, noisy[0][-2:], table)
    flow = motion.flow(0, 1)
    moved = warp(_whole(noisy, -1), flow)
    alike = (warp(motion.guide(1), flow) - motion.guide(0)).abs()[0] < _ALIKE
    mask = alike & (resize(motion.trust(0, 1), (alike.shape[0], alike.shape[1])) > _TRUST)
    planes = torch.cat([moved, found.planes[3:MASK], mask[None].float()])
    return replace(found, planes=planes)


def neighbor_gain(
    base: Network, student: Network, chain: StagesBefore, noisy: Planes, table: NoiseTable
) -> Tensor:
    """(cells,): by how much the student predicts the last frame better, which neither has seen.

    Here the answers are moved and the unseen frame is left as it is. Learning goes the other way,
    so that a student who has learned the blur of moving gains nothing by it.
    """
    past = (noisy[0][:-1], noisy[1][:-1])
    given = batch(chain.crops(past, past, table)[-1:], None, np.random.default_rng(0))
    motion = SharedMotion("better", keep=2).block(0, noisy[0][-2:], table)
    flow = motion.flow(1, 0)
    alike = (warp(motion.guide(0), flow) - motion.guide(1)).abs()[0] < _ALIKE
    used = alike & (resize(motion.trust(1, 0), (alike.shape[0], alike.shape[1])) > _TRUST)
    seen, errors = _whole(noisy, -1), []
    for net in (base, student):
        with torch.inference_mode():
            moved = warp(chain.correct(net, given)[0], flow)
            errors.append(to_rgb((moved - seen)[None]).square().mean(1)[0])
    inner = slice(MARGIN, -MARGIN)
    weight, gain = used[inner, inner].float(), (errors[0] - errors[1])[inner, inner]
    weights = functional.avg_pool2d(weight[None, None], _CELL).flatten()
    means = functional.avg_pool2d((gain * weight)[None, None], _CELL).flatten()
    return (means / weights.clamp(min=1e-6))[weights > 0.5]


def _whole(planes: Planes, frame: int) -> Tensor:
    """One frame, (3, H, W): chroma repeated to luma's size."""
    luma, chroma = planes[0][frame], planes[1][frame]
    size = (luma.shape[-2], luma.shape[-1])
    return torch.cat([luma, functional.interpolate(chroma[None], size, mode="nearest")[0]])
