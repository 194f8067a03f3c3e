"""From a run's folder to weights that are given away."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from vdenoise.errors import InputError
from vdenoise.machine.files import remove_orphans, replacing
from vdenoise.nets import build
from vdenoise.nets.base import Network
from vdenoise.nets.models import channels_last
from vdenoise.training.card import make_card, require_licences, save_card
from vdenoise.training.checkpoint import CHECKPOINT, CONFIG, WEIGHTS, save_weights, state_in
from vdenoise.training.config import Config
from vdenoise.training.validation import pools, singles, validate

HALF_LOSS_DB = 0.02  # most that rounding to float16 may cost


def export_weights(run: Path, target: Path, config: str | None = None) -> dict[str, Any]:
    """Write the best mean of the weights, rounded to float16 unless that costs quality, and a card.

    Args:
        run: folder of a training run.
        target: a .safetensors file; the card goes beside it.
        config: as for training; None takes what the run was last started with.

    Returns:
        the card.

    Raises:
        InputError: there is no such run.
        UsageError: the licence of some of the data is not stated.
    """
    weights = run / WEIGHTS
    if not weights.exists() or not (run / CHECKPOINT).exists():
        raise InputError(
            f"{run} holds no trained weights.", "Name the folder of a training run.", number=73
        )
    checked = Config.load(config if config is not None else run / CONFIG)
    state = state_in(run, checked.batch_pixels)
    exact = build(checked.network)
    exact.load_state_dict(load_file(weights))
    rounded = _rounded(exact)
    checks = pools(checked)[1]
    device, judges = torch.device("cpu"), singles(checked)
    score, half = (
        validate(channels_last(net).eval(), checked, checks, judges, device)
        for net in (exact, rounded)
    )
    use_half = score.psnr - half.psnr <= HALF_LOSS_DB
    remove_orphans(target.parent)
    with replacing(target) as new:
        save_weights(exact, checked.network, new, torch.float16 if use_half else torch.float32)
        card = make_card(checked, new, state, score, half if use_half else None)
        require_licences(card)
    save_card(card, target)
    return card


def _rounded(net: Network) -> Network:
    """The same weights as far as float16 holds them."""
    found = copy.deepcopy(net)
    with torch.no_grad():
        for weight in found.parameters():
            weight.copy_(weight.half())
    return found
