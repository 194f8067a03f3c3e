"""The training loop: resumable to the bit, on any device.

The batch of a step is a function of (seed, step), so a checkpoint holds no state but the step, the
weights and the optimiser's.
"""

from __future__ import annotations

import contextlib
import copy
import csv
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vdenoise.nets import build
from vdenoise.nets.base import Network
from vdenoise.nets.models import channels_last, load
from vdenoise.plan import fast_bfloat16
from vdenoise.training.batches import Batch, batch
from vdenoise.training.config import Config
from vdenoise.training.losses import LOSSES, rgb
from vdenoise.training.pool import Pool, Producers, crop
from vdenoise.training.sources import find

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"  # the best mean of the weights so far
LOG = "log.csv"
_COLUMNS = ("step", "loss", "rate", "seconds", "validation_db", "gain_db")
_VALIDATION_SEED = 1_000_003  # added to the seed: other examples than those trained on


class Watcher(Protocol):
    """Who is told how training goes."""

    def step(self, step: int, steps: int, loss: float, seconds: float) -> None:
        """A step is done; ``seconds`` since the run began or went on."""
        ...

    def validated(self, step: int, score: Score) -> None:
        """The mean of the weights was validated."""
        ...


@dataclass(frozen=True)
class Score:
    """A validation."""

    psnr: float  # dB, R'G'B', mean over examples
    average: float  # dB of what the network was given: the temporal stage's result
    by_kind: dict[str, float]


@dataclass(frozen=True)
class Trained:
    """How a run ended."""

    step: int
    best: float  # dB
    weights: Path
    stopped_early: bool


def train(config: Config, folder: Path, device: str, watcher: Watcher) -> Trained:
    """Train, or go on where a checkpoint in ``folder`` left off.

    Args:
        config: what to train; ``steps`` may have grown since the checkpoint.
        folder: for checkpoint, weights and log.
        device: ``cpu`` or ``cuda:N``.
        watcher: told of every step.
    """
    where = torch.device(device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    net = _network(config, where)
    mean = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(
        net.parameters(),
        lr=config.optimiser.rate,
        betas=(0.9, 0.99),
        weight_decay=config.optimiser.weight_decay,
    )
    state = _restored(folder, net, mean, optimiser, where)
    data = config.data
    learning, held_out = _sources(config)
    pool = Pool(data.pool / "train", data.recipe, learning, data.seed)
    checks = Pool(data.pool / "validation", data.recipe, held_out, data.seed + _VALIDATION_SEED)
    teacher = _teacher(config, where)
    forward = torch.compile(net) if config.compile else net
    began, losses = time.perf_counter(), list[float]()
    with (
        Producers(checks, data.validation, min(1, data.workers)),
        Producers(pool, data.examples, data.workers),
    ):
        while state.step < config.steps and not _stale(state, config):
            given = _draw(config, pool, state.step).to(where)
            for group in optimiser.param_groups:
                group["lr"] = rate(config, state.step)
            with _precision(config, where):
                answer = given.answer(forward(given.given))
                loss = _loss(config, given, answer, teacher)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(net.parameters(), config.optimiser.clip)
            optimiser.step()
            _follow(mean, net, config.optimiser.average, state.step)
            state.step += 1
            losses.append(float(loss.detach()))
            watcher.step(state.step, config.steps, losses[-1], time.perf_counter() - began)
            if state.step % config.check_every == 0 or state.step == config.steps:
                score = validate(mean, config, checks, where)
                watcher.validated(state.step, score)
                if score.psnr > state.best:
                    state.best, state.best_step = score.psnr, state.step
                    save_weights(mean, config.network, folder / WEIGHTS)
                seconds = state.seconds + time.perf_counter() - began
                _log(folder / LOG, state.step, losses, rate(config, state.step - 1), seconds, score)
                losses.clear()
                _keep(folder, net, mean, optimiser, state, seconds)
    return Trained(state.step, state.best, folder / WEIGHTS, state.step < config.steps)


def rate(config: Config, step: int) -> float:
    """The learning rate of a step: warm-up, plateau, then a fall along a half cosine to 0."""
    o = config.optimiser
    up = min(1.0, (step + 1) / max(1, o.warm_up))
    to_go = min(1.0, (config.steps - step) / max(1, o.decay))
    return o.rate * up * (0.5 - 0.5 * math.cos(math.pi * to_go))


def validate(net: Network, config: Config, pool: Pool, device: torch.device) -> Score:
    """PSNR over R'G'B' of whole frames that no training example shares a source with."""
    kinds: dict[str, list[float]] = {}
    before, after = [], []
    rng = np.random.default_rng(0)
    for number in range(config.data.validation):
        found = crop(pool.wait(number, producing=config.data.workers > 0), None, rng)
        one = batch([found], None, rng).to(device)
        with torch.inference_mode(), _precision(config, device):
            answer = one.answer(net(one.given))
        after.append(_psnr(answer, one.wanted))
        before.append(_psnr(one.given.average, one.wanted))
        kinds.setdefault(found.kind, []).append(after[-1])
    return Score(
        float(np.mean(after)),
        float(np.mean(before)),
        {kind: float(np.mean(values)) for kind, values in sorted(kinds.items())},
    )


def save_weights(net: Network, architecture: str, path: Path) -> None:
    """Float32 weights with the name of their architecture, written whole or not at all."""
    temporary = path.with_suffix(".part")
    tensors = {k: v.detach().float().cpu().contiguous() for k, v in net.state_dict().items()}
    save_file(tensors, temporary, metadata={"architecture": architecture})
    temporary.replace(path)


@dataclass
class _State:
    step: int = 0
    best: float = -math.inf
    best_step: int = 0
    seconds: float = 0.0


def _network(config: Config, device: torch.device) -> Network:
    net = build(config.network)
    if config.start is not None:
        net.load_state_dict(load_file(config.start))
    return channels_last(net.to(device))


def _teacher(config: Config, device: torch.device) -> Network | None:
    if config.teacher is None:
        return None
    return load(str(config.teacher), device, torch.float32)


def _sources(config: Config) -> tuple[Any, Any]:
    data = config.data
    everything = find(data.folder, without=data.without)
    learning = tuple(s for s in everything if s.name not in data.held_out)
    held_out = tuple(s for s in everything if s.name in data.held_out)
    return learning, held_out or learning


def _draw(config: Config, pool: Pool, step: int) -> Batch:
    """The batch of a step. Examples come in evenly, so that training starts before all are made."""
    data = config.data
    rng = np.random.Generator(np.random.Philox(key=[config.seed, step]))
    share = min(1.0, 1.5 * step / config.steps)
    known = min(data.examples, data.first + int(share * (data.examples - data.first)))
    crops = [
        crop(pool.wait(int(n), producing=data.workers > 0), config.crop, rng)
        for n in rng.integers(known, size=config.batch)
    ]
    return batch(crops, config.jitter, rng)


def _loss(config: Config, given: Batch, answer: Tensor, teacher: Network | None) -> Tensor:
    measure = LOSSES[config.loss]
    loss = measure(rgb(answer), rgb(given.wanted))
    if teacher is None:
        return loss
    with torch.no_grad():
        taught = given.answer(teacher(given.given))
    share = config.teacher_share
    return (1 - share) * loss + share * measure(rgb(answer), rgb(taught))


def _precision(config: Config, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Autocast, as far as the device is fast at it."""
    wanted = config.precision
    if wanted == "auto":
        wanted = "bfloat16" if device.type == "cuda" or fast_bfloat16() else "float32"
    if wanted == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, getattr(torch, wanted))


def _follow(mean: Network, net: Network, decay: float, step: int) -> None:
    """Let the mean follow the weights, faster in the beginning."""
    decay = min(decay, (step + 1) / (step + 10))
    with torch.no_grad():
        torch._foreach_lerp_(list(mean.parameters()), list(net.parameters()), 1 - decay)


def _psnr(a: Tensor, b: Tensor) -> float:
    error = float((rgb(a) - rgb(b)).square().mean())
    return -10 * math.log10(max(error, 1e-10))


def _stale(state: _State, config: Config) -> bool:
    waited = state.step - state.best_step
    return config.patience is not None and waited >= config.patience * config.check_every


def _log(
    path: Path, step: int, losses: list[float], rate: float, seconds: float, score: Score
) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(_COLUMNS)
        gain = score.psnr - score.average
        mean = float(np.mean(losses))
        numbers = (f"{mean:.6f}", f"{rate:.2e}", f"{seconds:.0f}")
        writer.writerow((step, *numbers, f"{score.psnr:.3f}", f"{gain:.3f}"))


def _keep(
    folder: Path,
    net: Network,
    mean: Network,
    optimiser: torch.optim.Optimizer,
    state: _State,
    seconds: float,
) -> None:
    temporary = folder / f"{CHECKPOINT}.part"
    state = _State(state.step, state.best, state.best_step, seconds)
    torch.save(
        {
            "net": net.state_dict(),
            "mean": mean.state_dict(),
            "optimiser": optimiser.state_dict(),
            "state": vars(state),
        },
        temporary,
    )
    temporary.replace(folder / CHECKPOINT)


def _restored(
    folder: Path,
    net: Network,
    mean: Network,
    optimiser: torch.optim.Optimizer,
    device: torch.device,
) -> _State:
    path = folder / CHECKPOINT
    if not path.exists():
        return _State()
    held = torch.load(path, map_location=device, weights_only=True)
    net.load_state_dict(held["net"])
    mean.load_state_dict(held["mean"])
    optimiser.load_state_dict(held["optimiser"])
    return _State(**held["state"])
