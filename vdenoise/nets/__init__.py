"""Networks: architectures by name, one line each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from vdenoise.errors import UsageError

if TYPE_CHECKING:
    from vdenoise.nets.base import Network

# Name: module and what makes it. A module whose weights come in other widths or depths, too, has
# a function ``fitting``: names and shapes of weights to the network they belong to, or None.
ARCHITECTURES: dict[str, str] = {
    "guided-s": "guided:small",
    "guided-m": "guided:medium",
    "guided-l": "guided:large",
    "guided-b": "guided:alone",
    "dncnn": "dncnn:plain",
    "fdncnn": "dncnn:told",
    "ffdnet": "ffdnet:color",
    "drunet": "drunet:color",
    "autoencoder": "autoencoder:plain",
    "fastdvdnet": "fastdvdnet:published",
    "shift": "shift:plain",
}

Shapes = Mapping[str, tuple[int, ...]]


def build(architecture: str) -> Network:
    """A network with random weights.

    Raises:
        UsageError: no architecture has this name.
    """
    if architecture not in ARCHITECTURES:
        raise UsageError(
            f"There is no network architecture {architecture!r}.",
            f"Known are {', '.join(ARCHITECTURES)}.",
            number=109,
        )
    module, _, make = ARCHITECTURES[architecture].partition(":")
    found: Network = getattr(import_module(f"{__name__}.{module}"), make)()
    return found


def shapes_of(net: Network) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a network's weights."""
    return {name: tuple(value.shape) for name, value in net.state_dict().items()}


def fitting(shapes: Shapes) -> dict[str, Network]:
    """The networks, by architecture, that have weights of exactly these names and shapes.

    Raises:
        UsageError: the weights may belong to a network that is not supported.
    """
    found: dict[str, Network] = {}
    for architecture, place in ARCHITECTURES.items():
        kind, default = _default(architecture)
        module = import_module(f"{__name__}.{place.partition(':')[0]}")
        net = module.fitting(shapes) if hasattr(module, "fitting") else None
        if net is None and default == dict(shapes):
            net = build(architecture)
        if type(net) is kind and shapes_of(net) == dict(shapes):
            found[architecture] = net
    return found


@cache
def _default(architecture: str) -> tuple[type[Network], dict[str, tuple[int, ...]]]:
    """What `build` makes: its kind, and names and shapes of its weights."""
    import torch

    with torch.device("meta"):
        net = build(architecture)
    return type(net), shapes_of(net)
