"""Validation: PSNR on examples whose sources no training example shares."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vdenoise.compiled import fast_bfloat16
from vdenoise.nets.base import Network
from vdenoise.nets.models import load
from vdenoise.picture.color import to_rgb
from vdenoise.picture.quality import psnr
from vdenoise.training.config import Config
from vdenoise.training.material.batches import batch
from vdenoise.training.material.degrade import Kind, degraded, unshifted
from vdenoise.training.material.fresh import Noisy, given
from vdenoise.training.material.pool import Crop, Pool, crop
from vdenoise.training.material.sources import Source, decoded, find

_SEED = 1_000_003  # added to the seed: other examples than those trained on


_SINGLE = 256  # side of a single frame's square, pixels
_SIGMAS = (10, 30, 50)  # of white noise, 8-bit codes, not clipped
_KINDS: tuple[Kind, ...] = ("sensor", "film", "colored")

Singles = tuple[tuple[str, Crop, float | None], ...]


@dataclass(frozen=True)
class Score:
    """A validation."""

    psnr: float  # dB, R'G'B', mean over examples and single frames, each half where there are both
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


def singles(config: Config) -> Singles:
    """Single frames from what is held out, each with white, camera and other noise: a name, what a
    network is given, and what the yardstick makes of it (dB; None where it is not asked)."""
    if not config.data.singles:
        return ()
    yard = None
    if config.yardstick is not None:
        yard = load(str(config.yardstick), torch.device("cpu"), torch.float32)
    found: list[tuple[str, Crop, float | None]] = []
    for number, source in enumerate(sources(config)[1]):
        pictures = decoded(source)
        picture = torch.from_numpy(pictures[len(pictures) // 2]).permute(2, 0, 1)
        top, left = ((n - _SINGLE) // 2 for n in picture.shape[-2:])
        square = picture[None, :, max(top, 0) :, max(left, 0) :][..., :_SINGLE, :_SINGLE]
        clean = square[..., : square.shape[-2] // 16 * 16, : square.shape[-1] // 16 * 16] / 255
        rng = np.random.Generator(np.random.Philox(key=[_SEED, number]))
        for sigma in _SIGMAS:
            noisy = clean + sigma / 255 * torch.from_numpy(
                rng.standard_normal(tuple(clean.shape), np.float32)
            )
            made = given(Noisy(clean, noisy, noisy, torch.zeros_like(clean)), "gaussian", False)
            told = None if yard is None else _answered(yard, made)
            found.append((f"alone gaussian:{sigma}", made, told))
        for kind in _KINDS:
            noisy = degraded(clean, kind, rng)[0]
            centered = unshifted(noisy, clean)
            made = given(Noisy(clean, noisy, centered, noisy - centered), kind, kind == "sensor")
            found.append((f"alone {kind}", made, None))
    return tuple(found)


def _answered(net: Network, single: Crop) -> float:
    """PSNR of a network's answer to one crop, dB."""
    one = batch([single], None, np.random.default_rng(0))
    with torch.inference_mode():
        return psnr(to_rgb(one.wanted), to_rgb(one.answer(net(one.given))))


def validate(
    net: Network, config: Config, pool: Pool, judges: Singles, device: torch.device
) -> Score:
    """Measure a network on the first whole frame of every validation example, and on single
    frames."""
    kinds: dict[str, list[float]] = {}
    before, after = [], []
    rng = np.random.default_rng(0)
    examples = (
        crop(pool.wait(number, producing=config.data.workers > 0), None, rng)
        for number in range(config.data.validation)
    )
    judged = ((name, found, yard) for name, found, yard in judges)
    named = itertools.chain(((e.kind, e, None) for e in examples), judged)
    for name, found, yard in named:
        one = batch([found], None, rng).to(device)
        by_rows = device.type == "cpu" and net.by_rows  # in float32, and so is what is judged
        computed = contextlib.nullcontext() if by_rows else precision(config, device)
        with torch.inference_mode(), computed:
            answer = one.answer(net(one.given))
        kinds.setdefault(name, []).append(psnr(to_rgb(one.wanted), to_rgb(answer)))
        if yard is not None:
            kinds.setdefault(f"yardstick {name}", []).append(yard)
        alone = name.startswith("alone")
        after.append((alone, kinds[name][-1]))
        before.append((alone, psnr(to_rgb(one.wanted), to_rgb(one.given.average))))
    return Score(
        _mean(after),
        _mean(before),
        {kind: float(np.mean(values)) for kind, values in sorted(kinds.items())},
    )


def _mean(values: list[tuple[bool, float]]) -> float:
    """Mean of that over examples and of that over single frames."""
    groups = ([value for alone, value in values if alone is side] for side in (False, True))
    return float(np.mean([np.mean(group) for group in groups if group]))


def precision(config: Config, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Autocast, as far as the device is fast at it."""
    wanted = config.precision
    if wanted == "auto":
        wanted = "bfloat16" if device.type == "cuda" or fast_bfloat16() else "float32"
    if wanted == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, getattr(torch, wanted))
