"""Networks with weights: those that are shipped by name, others by file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from vdenoise.errors import DeviceError, UsageError
from vdenoise.nets import build
from vdenoise.nets.base import Network

FOLDER = Path(__file__).parent / "weights"
# Names people type, and the files shipped under them (weights and card).
SHIPPED = {"S": "guided-s", "M": "guided-m", "L": "guided-l"}


@dataclass(frozen=True)
class Model:
    """A network's weights, found but not loaded."""

    name: str  # as typed: a shipped name or a file
    path: Path
    architecture: str

    @property
    def sha256(self) -> str:
        """Hash of the weights file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @property
    def card(self) -> dict[str, Any]:
        """What is known of its making; empty where there is no card beside the file."""
        path = self.path.with_suffix(".json")
        found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return found


def shipped() -> tuple[str, ...]:
    """Names of the models that came with this installation."""
    return tuple(n for n, stem in SHIPPED.items() if (FOLDER / f"{stem}.safetensors").exists())


def find(name: str) -> Model:
    """A model by its shipped name (in any case) or by file.

    Raises:
        DeviceError: it is not installed (exit 5), or the file cannot be read.
        UsageError: the file does not say what it is.
    """
    stem = SHIPPED.get(name.upper())
    path = FOLDER / f"{stem}.safetensors" if stem else Path(name)
    if stem is None and path.suffix != ".safetensors":
        raise UsageError(
            f"There is no model {name!r}.",
            f"Use {', '.join(shipped())}, or a .safetensors file.",
            number=73,
        )
    if not path.is_file():
        raise DeviceError(
            f"The model {name} is not there ({path.name}).",
            f"Use one of {', '.join(shipped())}, or train it: vdenoise train.",
            number=4,
        )
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise DeviceError(
            f"{path} is not a readable weights file: {error}", "Fetch or train it again.", number=5
        ) from error
    if "architecture" not in about:
        raise UsageError(
            f"{path} does not name its architecture.",
            "Write it with vdenoise, which notes the architecture in the file.",
            number=74,
        )
    return Model(name, path, about["architecture"])


@lru_cache(8)
def load(name: str, device: torch.device, dtype: torch.dtype) -> Network:
    """The network, ready to run.

    Raises:
        DeviceError, UsageError: as `find`; or the weights do not fit the architecture.
    """
    model = find(name)
    net = build(model.architecture)
    try:
        net.load_state_dict(load_file(model.path))
    except RuntimeError as error:
        raise DeviceError(
            f"{model.path} does not fit the architecture {model.architecture}.",
            "Use the file that belongs to this version of vdenoise, or train it again.",
            number=6,
        ) from error
    return channels_last(net.to(device, dtype)).eval().requires_grad_(False)


def channels_last(net: Network) -> Network:
    """The same network with its weights where convolutions are fastest."""
    changed: Network = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return changed
