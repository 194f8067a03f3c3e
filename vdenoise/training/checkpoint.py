"""What a run leaves in its folder to go on from, and the weights it is for."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from vdenoise.errors import ConflictError, OutputError
from vdenoise.machine.files import leftovers, replacing
from vdenoise.nets.base import Network
from vdenoise.training import log
from vdenoise.training.adversary import Adversary

CHECKPOINT = "checkpoint.pt"
CONFIG = "config.json"  # as the run was last started
WEIGHTS = "weights.safetensors"  # the best mean of the weights so far


@dataclass
class State:
    """How far a run has come."""

    step: int = 0
    best: float = -math.inf  # validation, dB
    best_step: int = 0
    seconds: float = 0.0  # trained, in all runs
    pixels: int = 0  # supervised: steps x batch x crop^2
    machines: list[str] = field(default_factory=list)  # that trained
    losses: list[float] = field(default_factory=list)  # since the last line of the log


@dataclass(frozen=True, eq=False)
class Learner:
    """Everything that a step changes."""

    net: Network
    mean: Network  # exponential mean of the weights
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler  # of the gradients, in float16
    adversary: Adversary | None = None

    def save(self, state: State, folder: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        held = {
            "net": self.net.state_dict(),
            "mean": self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "adversary": None if self.adversary is None else self.adversary.state_dict(),
            "state": vars(state),
        }
        with replacing(folder / CHECKPOINT) as temporary:
            torch.save(held, temporary)

    def restore(self, folder: Path, device: torch.device, batch_pixels: int) -> State:
        """Go on from the checkpoint in a folder; the beginning where there is none.

        Args:
            folder: of the run.
            device: that the learner is on.
            batch_pixels: supervised in a step, see `state_in`.

        Raises:
            ConflictError: it is of another architecture.
        """
        for part in leftovers(folder):  # of a run that was killed while it wrote
            part.unlink(missing_ok=True)
        path = folder / CHECKPOINT
        if not path.exists():
            return State()
        held = _loaded(path, device)
        try:
            self.net.load_state_dict(held["net"])
        except RuntimeError as error:
            raise ConflictError(
                f"{path} holds another architecture than the configuration names.",
                "Name another folder, or train the network that lies there.",
                number=70,
            ) from error
        self.mean.load_state_dict(held["mean"])
        self.optimiser.load_state_dict(held["optimiser"])
        if held.get("scaler"):
            self.scaler.load_state_dict(held["scaler"])
        if self.adversary is not None and held.get("adversary"):
            self.adversary.load_state_dict(held["adversary"])
        return _state(held, batch_pixels)


def check_folder(folder: Path, config: str) -> None:
    """See that a run writes over nothing but its own: a folder without a checkpoint is that of a
    run with this configuration which was stopped before the first, or of something else.

    Raises:
        OutputError: it holds something else under the names of a run's files.
    """
    own = folder / CONFIG
    if (folder / CHECKPOINT).exists() or (own.is_file() and own.read_bytes() == config.encode()):
        return
    for name in (CONFIG, WEIGHTS, Path(WEIGHTS).with_suffix(".json"), log.CSV, log.JSON):
        if os.path.lexists(folder / name):
            raise OutputError(
                f"{folder / name} exists, and {folder} holds no training that could go on.",
                "Name a new folder.",
                number=33,
            )


def state_in(folder: Path, batch_pixels: int) -> State:
    """How far the run in a folder has come.

    Args:
        folder: it holds a checkpoint.
        batch_pixels: supervised in a step, for checkpoints from before they were counted.
    """
    return _state(_loaded(folder / CHECKPOINT, torch.device("cpu")), batch_pixels)


def _loaded(path: Path, device: torch.device) -> dict[str, Any]:
    held: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return held


def _state(held: dict[str, Any], batch_pixels: int) -> State:
    state = State(**held["state"])
    if "pixels" not in held["state"]:
        state.pixels = state.step * batch_pixels
    return state


def save_weights(
    net: Network, architecture: str, path: Path, dtype: torch.dtype = torch.float32
) -> None:
    """Weights with the name of their architecture, written whole or not at all."""
    tensors = {k: v.detach().to("cpu", dtype).contiguous() for k, v in net.state_dict().items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"architecture": architecture})
