"""Adapting a network to one clip, without clean material.

A small part of the weights learns from two kinds of examples, half of each (where noise repeats
from frame to frame, from the first kind only):

* What the network makes of some frames is taken for the truth, and the clip's own noise, drawn anew
  from what was removed, is added to it ("restore from restored"). The stages before run on that.
* A frame is to predict a neighbor that the stages did not see, moved onto it. Its noise is
  independent, so that what predicts it best is the clean picture (Lehtinen et al., "Noise2Noise",
  2018; Dewil et al., "Self-supervised training for blind multi-frame video denoising", 2021).

Whether that helped is judged on frames that were not learned from.
"""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vdenoise.chain.resolve import Chain
from vdenoise.engine.interlacing import tag_fields
from vdenoise.engine.run import Progress
from vdenoise.errors import UsageError, VerifyError
from vdenoise.nets.base import Network
from vdenoise.picture.color import to_rgb
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.noise import NoiseProfile
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.training.adapting.noise_bank import NoiseBank, Planes, collect
from vdenoise.training.adapting.views import (
    MASK,
    StagesBefore,
    both_ways,
    neighbor,
    neighbor_gain,
    read,
    windows,
)
from vdenoise.training.material.batches import Batch, batch
from vdenoise.training.material.examples import MARGIN
from vdenoise.training.material.pool import Crop
from vdenoise.workflows.propose import REPEATING
from vdenoise.workflows.reading import Reading

DRAWS = 2  # of noise, for each window that is learned from
CROP, BATCH = 96, 8
LEAST_CODES = 0.7  # sigma in 8-bit codes below which there is nothing to learn
LEAST_GAIN_DB = 0.05  # on held-out frames, where noise that repeats is drawn anew


@dataclass(frozen=True)
class Check:
    """How the adapted network compares with the one it came from, on frames not learned from."""

    repeating: bool  # whether the clip's noise repeats from frame to frame
    redrawn_db: float  # gain in PSNR where the clip's noise was drawn anew
    neighbor: float  # fall of the mean square error against unseen neighbors, 8-bit codes squared
    neighbor_error: float  # standard error of that

    @property
    def better(self) -> bool:
        """Whether unseen neighbors say so by more than chance, and noise drawn anew agrees.

        Neither is enough: moving an answer onto a neighbor softens it, so that an answer sharper
        than the truth (0.08 dB worse, measured) predicts it better; and with noise drawn anew the
        network's own mistakes count as the truth. Where noise repeats, neighbors say nothing.
        """
        if self.repeating:
            return self.redrawn_db >= LEAST_GAIN_DB
        return self.redrawn_db >= 0 and self.neighbor > 2 * self.neighbor_error

    @property
    def text(self) -> str:
        """What was reached, for people."""
        return (
            f"{self.redrawn_db:+.2f} dB with noise drawn anew, and the square error against "
            f"neighbors not seen falls by {self.neighbor:.2f} +- {self.neighbor_error:.2f} codes^2"
        )


@dataclass(frozen=True, eq=False)
class Adapted:
    """A network for one clip."""

    net: Network
    check: Check
    steps: int
    seconds: float
    share: float  # of the weights that were changed


def adapt(
    info: ClipInfo,
    reading: Reading,
    asked: Chain,
    net: Network,
    profile: NoiseProfile,
    cuts: tuple[int, ...],
    progress: Progress,
    *,
    steps: int = 300,
    rate: float = 3e-4,
    seed: int = 0,
    precision: torch.dtype = torch.float32,
) -> Adapted:
    """Adapt a network to a clip.

    Args:
        info: the clip.
        reading: how it is read, as for the run.
        asked: the chain of the run; of it count the stages before the network, and the factor on
            the noise.
        net: in float32; it is not changed.
        profile: measured noise of the clip.
        cuts: first frames of its shots but the first.
        progress: told of every step.
        steps: of learning.
        rate: largest learning rate.
        seed: of every random choice.
        precision: in which convolutions compute.

    Raises:
        UsageError: the clip is too short, has no color, or shows no noise; or the network is not
            one that stages guide.
        VerifyError: the adapted network is not better.
    """
    _check_adaptable(info, reading, net, profile)
    began = time.perf_counter()
    rng = np.random.Generator(np.random.Philox(key=[seed, 0]))
    stages = tuple(itertools.takewhile(lambda stage: stage.slot != "net", asked.stages))
    reach = max((stage.reach for stage in stages), default=0)
    learned, checked = windows(info, cuts, reach)
    here = StagesBefore(stages, precision)
    base = copy.deepcopy(net).float().eval().requires_grad_(False)
    progress.start("adapt", len(learned) + len(checked) + steps, unit="steps/s")

    def seen(first: int, frames: int) -> tuple[Planes, Planes, NoiseTable]:
        noisy = read(info, reading, first, frames, rng)
        table = profile.at(first).table(scale=asked.noise.sigma_scale)
        clean = here.answer(base, here.batch(noisy, noisy, table), noisy)
        progress.advance({})
        return noisy, clean, table

    sights = [seen(*window) for window in learned]
    held_out = [seen(*window) for window in checked]
    bank = collect(sights)
    examples = [
        [
            crop
            for _, clean, table in sights
            for _ in range(DRAWS)
            for crop in here.crops(clean, _added(clean, bank, table, rng), table)
        ],
        [neighbor(here, order, table) for noisy, _, table in sights for order in both_ways(noisy)],
    ]
    repeating = max(shot.temporal_correlation for shot in profile.shots) > REPEATING
    if repeating:
        del examples[1]
    student = _learn(base, examples, here, progress, steps, rate, rng)
    redrawn = [
        here.batch(clean, _added(clean, bank, table, rng), table) for _, clean, table in held_out
    ]
    neighbors = [(noisy, table) for noisy, _, table in held_out]
    check = _checked(base, student, here, redrawn, neighbors, repeating)
    if not check.better:
        raise VerifyError(
            f"Adapting made nothing better on frames that were not learned from: {check.text}.",
            "Use the network as it is; nothing was written.",
            number=70,
        )
    count = sum(p.numel() for p in _small_part(student))
    share = count / sum(p.numel() for p in student.parameters())
    return Adapted(student, check, steps, time.perf_counter() - began, share)


def _check_adaptable(info: ClipInfo, reading: Reading, net: Network, profile: NoiseProfile) -> None:
    """Refuse a network that cannot learn from a clip, and a clip that has nothing to learn."""
    if "temporal" not in net.inputs:
        raise UsageError(
            "Only networks that are guided by the other stages can be adapted.",
            "Use --model S, M or L.",
            number=82,
        )
    if tag_fields(info, reading.interlaced).by_field:
        raise UsageError(
            f"{info.path} holds fields, and a network is adapted to whole frames.",
            "Say --interlaced deinterlace, or use the network as it is.",
            number=191,
        )
    strongest = max(plane.codes for shot in profile.shots for plane in shot.planes)
    if strongest < LEAST_CODES:
        raise UsageError(
            f"{info.path} has hardly any noise ({strongest:.2f} codes): there is nothing to learn.",
            "Use the network as it is.",
            number=128,
        )


def _added(clean: Planes, bank: NoiseBank, table: NoiseTable, rng: np.random.Generator) -> Planes:
    """Frames with the clip's own noise on them again."""
    luma, chroma = bank.noise(clean, table, rng)
    return clean[0] + luma, clean[1] + chroma


def _small_part(net: Network) -> list[Tensor]:
    """What is learned: every bias, and the first and the last convolution."""
    named = dict(net.named_parameters())
    weights = [name for name, p in named.items() if p.ndim == 4]
    ends = {weights[0], weights[-1]}
    return [p for name, p in named.items() if p.ndim == 1 or name in ends]


def _learn(
    base: Network,
    examples: Sequence[Sequence[Crop]],
    chain: StagesBefore,
    progress: Progress,
    steps: int,
    rate: float,
    rng: np.random.Generator,
) -> Network:
    """Adam on squares of both kinds of examples, with a rate that falls along a half cosine."""
    scale = float(examples[0][0].noise.sigma.square().mean())
    student = copy.deepcopy(base)
    part = [weight.requires_grad_(True) for weight in _small_part(student)]
    optimiser = torch.optim.Adam(part, lr=rate)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rate * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        kinds = [examples[n % len(examples)] for n in range(BATCH)]
        chosen = [_square(kind[int(rng.integers(len(kind)))], rng) for kind in kinds]
        given = batch(chosen, None, rng)
        used = torch.stack([crop.planes[MASK:] for crop in chosen])
        error = (to_rgb(chain.correct(student, given)) - to_rgb(given.wanted)).square() * used
        loss = error.sum() / (3 * used.sum()).clamp(min=1) / scale
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(part, 1.0)
        optimiser.step()
        progress.advance({})
    return student.requires_grad_(False)


def _square(whole: Crop, rng: np.random.Generator) -> Crop:
    """A random square away from the edges, turned and flipped."""
    planes = whole.planes[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    size = min(CROP, *planes.shape[-2:])
    top, left = (2 * int(rng.integers((n - size) // 2 + 1)) for n in planes.shape[-2:])
    found = planes[:, top : top + size, left : left + size]
    found = torch.rot90(found, int(rng.integers(4)), (1, 2))
    return replace(whole, planes=found.flip(2) if rng.random() < 0.5 else found)


def _checked(
    base: Network,
    student: Network,
    chain: StagesBefore,
    redrawn: Sequence[Batch],
    held_out: Sequence[tuple[Planes, NoiseTable]],
    repeating: bool,
) -> Check:
    """Compare on frames that were not learned from."""
    gains, cells = [], []
    for given in redrawn:
        errors = [_square_error(chain, net, given) for net in (base, student)]
        gains.append(10 * math.log10(errors[0] / errors[1]))
    for noisy, table in held_out:
        for order in both_ways(noisy):
            cells.append(neighbor_gain(base, student, chain, order, table))
    found = torch.cat(cells) * 255**2
    error = float(found.std()) / math.sqrt(max(len(found), 1))
    return Check(repeating, float(np.mean(gains)), float(found.mean()), error)


def _square_error(chain: StagesBefore, net: Network, given: Batch) -> float:
    with torch.inference_mode():
        difference = to_rgb(chain.correct(net, given) - given.wanted)
    return float(difference[..., MARGIN:-MARGIN, MARGIN:-MARGIN].square().mean())
