"""Validation: PSNR on examples whose sources no training example shares."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vdenoise.machine.devices import fast_bfloat16
from vdenoise.nets.base import Network
from vdenoise.training.config import Config
from vdenoise.training.losses import rgb
from vdenoise.training.material.batches import batch
from vdenoise.training.material.pool import Pool, crop
from vdenoise.training.material.sources import Source, find

_SEED = 1_000_003  # added to the seed: other examples than those trained on


@dataclass(frozen=True)
class Score:
    """A validation."""

    psnr: float  # dB, R'G'B', mean over examples
    average: float  # dB of what the network was given: the stages before
    by_kind: dict[str, float]  # dB for each kind of noise


def sources(config: Config) -> tuple[tuple[Source, ...], tuple[Source, ...]]:
    """Clips and stills to learn from, and those held out."""
    data = config.data
    everything = find(data.folder, without=data.without)
    learning = tuple(s for s in everything if s.name not in data.held_out)
    return learning, tuple(s for s in everything if s.name in data.held_out)


def pools(config: Config) -> tuple[Pool, Pool]:
    """Examples to learn from, and to validate on: from what is held out, where anything is."""
    data = config.data
    learning, held_out = sources(config)
    checked = held_out or learning
    return (
        Pool(data.pool / "train", data.recipe, learning, data.seed),
        Pool(data.pool / "validation", data.recipe, checked, data.seed + _SEED),
    )


def validate(net: Network, config: Config, pool: Pool, device: torch.device) -> Score:
    """Measure a network on the first whole frame of every validation example."""
    kinds: dict[str, list[float]] = {}
    before, after = [], []
    rng = np.random.default_rng(0)
    for number in range(config.data.validation):
        found = crop(pool.wait(number, producing=config.data.workers > 0), None, rng)
        one = batch([found], None, rng).to(device)
        with torch.inference_mode(), precision(config, device):
            answer = one.answer(net(one.given))
        after.append(psnr(answer, one.wanted))
        before.append(psnr(one.given.average, one.wanted))
        kinds.setdefault(found.kind, []).append(after[-1])
    return Score(
        float(np.mean(after)),
        float(np.mean(before)),
        {kind: float(np.mean(values)) for kind, values in sorted(kinds.items())},
    )


def precision(config: Config, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Autocast, as far as the device is fast at it."""
    wanted = config.precision
    if wanted == "auto":
        wanted = "bfloat16" if device.type == "cuda" or fast_bfloat16() else "float32"
    if wanted == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, getattr(torch, wanted))


def psnr(a: Tensor, b: Tensor) -> float:
    """Of two Y'CbCr pictures, over R'G'B', dB."""
    error = float((rgb(a) - rgb(b)).square().mean())
    return -10 * math.log10(max(error, 1e-10))
