"""Networks with weights: those that are shipped by name, others by file."""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from vdenoise.errors import DeviceError, UsageError, VerifyError
from vdenoise.nets import ARCHITECTURES, build, fitting, shapes_of
from vdenoise.nets.base import Network, example
from vdenoise.nets.by_rows import Rows

FOLDER = Path(__file__).parent / "weights"
# Names people type, and the files shipped under them (weights and card).
SHIPPED = {"S": "guided-s", "M": "guided-m", "L": "guided-b"}
SUFFIXES = (".safetensors", ".pth")
_WRAPPERS = ("params_ema", "params", "state_dict", "model")


@dataclass(frozen=True)
class Model:
    """A network's weights, found but not loaded."""

    name: str  # as typed: a shipped name or a file
    path: Path
    architecture: str
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict, repr=False)

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

    def network(self) -> Network:
        """The network that these weights fit, with random ones.

        Raises:
            UsageError: no architecture has this name.
            DeviceError: the weights do not fit it.
        """
        net = build(self.architecture)
        if shapes_of(net) == self.shapes:
            return net
        found = fitting(self.shapes).get(self.architecture)
        if found is None:
            raise DeviceError(
                f"{self.path} does not fit the architecture {self.architecture}.",
                "Use the file that belongs to this version of vdenoise, or train it again.",
                number=6,
            )
        return found


def shipped() -> tuple[str, ...]:
    """Names of the models that came with this installation."""
    return tuple(n for n, stem in SHIPPED.items() if (FOLDER / f"{stem}.safetensors").exists())


def find(name: str) -> Model:
    """A model by its shipped name (in any case) or by file.

    Raises:
        DeviceError: it is not installed (exit 5), or the file cannot be read.
        UsageError: it is no model's name, or the file does not say what it is.
    """
    stem = SHIPPED.get(name.upper())
    path = FOLDER / f"{stem}.safetensors" if stem else Path(name)
    if stem is None and path.suffix not in SUFFIXES:
        raise UsageError(
            f"There is no model {name!r}.",
            f"Use {', '.join(shipped())}, or a file that ends in {' or '.join(SUFFIXES)}.",
            number=112,
        )
    if not path.is_file():
        raise DeviceError(
            f"The model {name} is not there ({path.name}).",
            f"Use one of {', '.join(shipped())}, or train it: vdenoise train.",
            number=4,
        )
    architecture, shapes = _labeled(path) if path.suffix == ".safetensors" else ("", None)
    if shapes is None:
        shapes = {key: tuple(value.shape) for key, value in _unpickled(path).items()}
    return Model(name, path, architecture or _recognized(path, shapes), shapes)


@lru_cache(8)
def load(name: str, device: torch.device, dtype: torch.dtype) -> Network:
    """The network, ready to run.

    Raises:
        DeviceError, UsageError: as `find`; or the weights do not fit the architecture, or are no
            numbers.
    """
    model = find(name)
    net = model.network()
    pickled = model.path.suffix != ".safetensors"
    net.load_state_dict(_unpickled(model.path) if pickled else load_file(model.path))
    net = net.to(device, dtype)
    if not all(bool(weights.isfinite().all()) for weights in net.state_dict().values()):
        raise DeviceError(
            f"Weights in {model.path} are no finite numbers: the file is damaged.",
            "Fetch it again, or use another --model.",
            number=10,
        )
    return channels_last(net).eval().requires_grad_(False)


@lru_cache(8)
def load_rows(name: str) -> Rows:
    """The same for a processor, in float32, where the network says it is computed `by_rows`."""
    return load(name, torch.device("cpu"), torch.float32).rows()


def check(model: Model) -> None:
    """See that a model is whole: the hash its card says, weights that fit, an answer in numbers.

    Raises:
        VerifyError: the hash differs, or the answer is not finite.
        DeviceError: the weights do not fit the architecture.
    """
    expected = model.card.get("sha256")
    if expected and expected != model.sha256:
        raise VerifyError(
            f"{model.path} is not the file its card describes: its hash is {model.sha256[:12]}, "
            f"not {str(expected)[:12]}.",
            "Fetch it again, or write a new card.",
            number=30,
        )
    net = load(model.name, torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        if not net(example(net)).isfinite().all():
            raise VerifyError(
                f"{model.path} answers with what is not a number.", "Train it again.", number=31
            )


def _labeled(path: Path) -> tuple[str, dict[str, tuple[int, ...]]]:
    """The architecture that a .safetensors file names ("" where it does not), and its shapes."""
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            return (file.metadata() or {}).get("architecture", ""), shapes
    except (SafetensorError, OSError) as error:
        raise DeviceError(
            f"{path} is not a readable weights file: {error}", "Fetch or train it again.", number=5
        ) from error


# What torch.load raises where a file is damaged: it follows it a long way before it notices.
_UNREADABLE = (
    *(pickle.UnpicklingError, RuntimeError, EOFError, OSError, LookupError, ValueError),
    *(TypeError, AttributeError, AssertionError, struct.error, zipfile.BadZipFile),
)


def _unpickled(path: Path) -> dict[str, torch.Tensor]:
    """The weights in a file of torch.save: nothing in it is ever run.

    Taken out of what training scripts wrap around them: DataParallel's ``module.``, and one table
    among others such as the optimizer's.
    """
    try:
        _see_size(path)
        held = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise DeviceError(
            f"{path} is not a readable weights file, or holds more than weights.",
            "Save its state_dict() alone, with torch.save.",
            number=5,
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(held, Mapping) and isinstance(held.get(wrapper), Mapping):
            held = held[wrapper]
    weights = held if isinstance(held, Mapping) else {}
    if not weights or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise DeviceError(
            f"{path} holds no table of weights.",
            "Save the network's state_dict(), with torch.save.",
            number=7,
        )
    return {str(key).removeprefix("module."): value for key, value in weights.items()}


def _see_size(path: Path) -> None:
    """See that an archive takes no more memory than its file is large: torch.save packs nothing.

    Raises:
        ValueError: it would.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > path.stat().st_size:
                raise ValueError("it is packed")


def _recognized(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The only architecture that has weights of these names and shapes."""
    found = list(fitting(shapes))
    if len(found) == 1:
        return found[0]
    some = ", ".join(list(shapes)[:3])
    raise UsageError(
        f"{path} does not name its architecture, and its weights ({some} ...) fit "
        f"{' and '.join(found) or 'none that is known'}.",
        f"Known are {', '.join(ARCHITECTURES)}; a .safetensors file can name one of them in its "
        'metadata, {"architecture": ...}.',
        number=113,
    )


def channels_last(net: Network) -> Network:
    """The same network with its weights where convolutions are fastest."""
    changed: Network = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return changed
