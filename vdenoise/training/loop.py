"""The training loop: resumable to the bit, on any device.

The batch of a step is a function of (configuration, step), so a checkpoint holds no state but the
step, the weights and the optimiser's.
"""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from vdenoise.errors import UsageError
from vdenoise.machine.files import write_text
from vdenoise.nets import build, shapes_of
from vdenoise.nets.base import Network
from vdenoise.nets.grow import grow
from vdenoise.nets.guided import Guided
from vdenoise.nets.models import channels_last, find, load
from vdenoise.picture.color import to_rgb
from vdenoise.training import log
from vdenoise.training.adversary import Adversary
from vdenoise.training.card import machine, make_card, save_card
from vdenoise.training.checkpoint import CONFIG, WEIGHTS, Learner, State, check_folder, save_weights
from vdenoise.training.config import Config
from vdenoise.training.losses import LOSSES
from vdenoise.training.material.batches import Batch
from vdenoise.training.material.loading import batches
from vdenoise.training.material.pool import Pool, Producers
from vdenoise.training.validation import Score, Singles, pools, precision, singles, validate

Ended = Literal["done", "no better", "asked"]


class Watcher(Protocol):
    """Who is told how training goes."""

    def step(self, step: int, steps: int, loss: float, seconds: float) -> None:
        """A step is done; ``seconds`` since the run began or went on."""
        ...

    def validated(self, step: int, score: Score) -> None:
        """The mean of the weights was validated."""
        ...


@dataclass(frozen=True)
class Trained:
    """How a run ended."""

    step: int
    best: float  # dB
    weights: Path
    ended: Ended  # all steps done, no better for long, or asked to stop


def train(
    config: Config,
    folder: Path,
    device: str,
    watcher: Watcher,
    stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train, or go on where a checkpoint in ``folder`` left off.

    Args:
        config: what to train; ``steps`` may have grown since the checkpoint.
        folder: for checkpoint, weights, card and log.
        device: ``cpu`` or ``cuda:N``.
        watcher: told of every step.
        stop: asked before every step; a checkpoint is written when it says yes.

    Raises:
        UsageError: the network needs what examples do not have, or has stopped to learn.
        OutputError: the folder holds files of these names that are of no such run.
        InputError: there is nothing to learn from; the folder is not made then.
        ConflictError: the checkpoint is of another network.
    """
    where = torch.device(device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    learner = _learner(config, where)
    state = learner.restore(folder, where, config.batch_pixels)
    if _ended(state, config) is None:
        kept = config.model_dump_json(indent=1) + "\n"
        check_folder(folder, kept)
        examples = pools(config)
        folder.mkdir(parents=True, exist_ok=True)  # there is something to learn from
        write_text(folder / CONFIG, kept)
        log.forget_after(folder, state.step)
        if (name := machine(where)) not in state.machines:
            state.machines.append(name)
        _run(config, learner, state, examples, folder, where, watcher, stop)
    return Trained(state.step, state.best, folder / WEIGHTS, _ended(state, config) or "asked")


def _run(
    config: Config,
    learner: Learner,
    state: State,
    examples: tuple[Pool, Pool],
    folder: Path,
    device: torch.device,
    watcher: Watcher,
    stop: Callable[[], bool],
) -> None:
    """Steps until the end, or until asked to stop; with a checkpoint after the last.

    ``examples``: to learn from, and to validate on.
    """
    data = config.data
    pool, checks = examples
    judges = singles(config)
    teacher = None if config.teacher is None else load(str(config.teacher), device, torch.float32)
    forward = torch.compile(learner.net) if config.compile else learner.net
    began, before = time.perf_counter(), state.seconds
    first = data.drawn_from(state.step, config.steps).start
    with (
        Producers(checks, range(data.validation), min(1, data.workers)),
        Producers(pool, range(first, data.examples), data.workers if data.fresh.share < 1 else 0),
        contextlib.closing(batches(config, pool, state.step, device)) as given,
    ):
        while _ended(state, config) is None and not stop():
            loss = _step(config, learner, forward, next(given).to(device), teacher, state.step)
            state.step += 1
            state.pixels += config.batch_pixels
            state.losses.append(loss)
            elapsed = time.perf_counter() - began
            state.seconds = before + elapsed
            watcher.step(state.step, config.steps, loss, elapsed)
            if state.step % config.check_every == 0 or state.step == config.steps:
                _check(config, learner, state, checks, judges, folder, device, watcher)
                for number in range(data.drawn_from(state.step, config.steps).start):
                    pool.forget(number)
        learner.save(state, folder)


def _ended(state: State, config: Config) -> Ended | None:
    """Why a run is over; None while it is not."""
    if state.step >= config.steps:
        return "done"
    waited = state.step - state.best_step
    if config.patience is not None and waited >= config.patience * config.check_every:
        return "no better"
    return None


def rate(config: Config, step: int) -> float:
    """The learning rate of a step: warm-up, plateau, then a fall along a half cosine to 0."""
    o = config.optimiser
    up = min(1.0, (step + 1) / max(1, o.warm_up))
    to_go = min(1.0, (config.steps - step) / max(1, o.decay))
    return o.rate * up * (0.5 - 0.5 * math.cos(math.pi * to_go))


def _learner(config: Config, device: torch.device) -> Learner:
    torch.manual_seed(config.seed)
    net = build(config.network)
    if "neighbors" in net.inputs:
        raise UsageError(
            f"{config.network} looks at neighboring frames, which examples do not hold.",
            "Train one of the guided networks.",
            number=116,
        )
    if config.start is not None:
        _begin(net, config.start)
    net = channels_last(net.to(device))
    o = config.optimiser
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=o.rate, betas=(0.9, 0.99), weight_decay=o.weight_decay
    )
    scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "float16")
    adversary = Adversary(config.adversarial, device) if config.adversarial.share else None
    return Learner(net, copy.deepcopy(net).eval(), optimiser, scaler, adversary)


def _begin(net: Network, start: Path) -> None:
    """Go on from weights of the same network, or of a smaller one of the family."""
    small = find(str(start)).network()
    small.load_state_dict(load_file(start))
    if shapes_of(small) == shapes_of(net):
        net.load_state_dict(small.state_dict())
        return
    try:
        if not (isinstance(small, Guided) and isinstance(net, Guided)):
            raise ValueError("only the guided networks grow.")
        grow(small, net)
    except ValueError as error:
        raise UsageError(
            f"Training cannot start from {start}: {error}",
            "Name weights of the same architecture, or of a smaller guided one.",
            number=137,
        ) from error


def _step(
    config: Config,
    learner: Learner,
    forward: Callable[..., Tensor],
    given: Batch,
    teacher: Network | None,
    step: int,
) -> float:
    """Learn from a batch; the loss before it did."""
    optimiser, scaler = learner.optimiser, learner.scaler
    for group in optimiser.param_groups:
        group["lr"] = rate(config, step)
    with precision(config, given.wanted.device):
        answer = given.answer(forward(given.given))
        loss = _loss(config, given, answer, teacher)
    adversary = learner.adversary
    if adversary is not None:
        pictures = to_rgb(answer), to_rgb(given.wanted)
        loss = loss + adversary.against(*pictures)
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(scaler.scale(loss))
    scaler.unscale_(optimiser)
    torch.nn.utils.clip_grad_norm_(learner.net.parameters(), config.optimiser.clip)
    scaler.step(optimiser)
    scaler.update()
    if adversary is not None:
        adversary.learn(*pictures, step)
    _follow(learner.mean, learner.net, config.optimiser.average, step)
    return float(loss.detach())


def _loss(config: Config, given: Batch, answer: Tensor, teacher: Network | None) -> Tensor:
    measure = LOSSES[config.loss]
    loss = measure(to_rgb(answer), to_rgb(given.wanted))
    if teacher is None:
        return loss
    with torch.no_grad():
        taught = given.answer(teacher(given.given))
    share = config.teacher_share
    return (1 - share) * loss + share * measure(to_rgb(answer), to_rgb(taught))


def _follow(mean: Network, net: Network, decay: float, step: int) -> None:
    """Let the mean follow the weights, faster in the beginning."""
    decay = min(decay, (step + 1) / (step + 10))
    with torch.no_grad():
        torch._foreach_lerp_(list(mean.parameters()), list(net.parameters()), 1 - decay)
        for kept, seen in zip(mean.buffers(), net.buffers(), strict=True):
            kept.copy_(seen)  # what batch normalisation averages is a mean already


def _check(
    config: Config,
    learner: Learner,
    state: State,
    checks: Pool,
    judges: Singles,
    folder: Path,
    device: torch.device,
    watcher: Watcher,
) -> None:
    """Validate; keep the weights if they are the best so far; write log and checkpoint."""
    score = validate(learner.mean, config, checks, judges, device)
    watcher.validated(state.step, score)
    if score.psnr > state.best:
        state.best, state.best_step = score.psnr, state.step
        weights = folder / WEIGHTS
        save_weights(learner.mean, config.network, weights)
        save_card(make_card(config, weights, state, score), weights)
    log.append(
        folder,
        log.Line(
            step=state.step,
            loss=float(np.mean(state.losses)),
            rate=rate(config, state.step - 1),
            seconds=state.seconds,
            validation_db=score.psnr,
            gain_db=score.psnr - score.average,
            by_kind=score.by_kind,
        ),
    )
    state.losses.clear()
    learner.save(state, folder)
    if log.stuck(folder):
        raise UsageError(
            f"The network's answer does not change any more: {score.psnr:.2f} dB twice in "
            f"validation, {score.average - score.psnr:.1f} dB below what it is given.",
            "The first steps were too large. Begin again in another folder with a lower "
            "optimiser.rate or a longer optimiser.warm_up.",
            number=19,
        )
