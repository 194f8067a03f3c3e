"""Networks: architectures by name, one line each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from vdenoise.errors import UsageError

if TYPE_CHECKING:
    from vdenoise.nets.base import Network

ARCHITECTURES: dict[str, str] = {
    "guided-s": "guided:small",
    "guided-m": "guided:medium",
    "guided-l": "guided:large",
}


def build(architecture: str) -> Network:
    """A network with random weights.

    Raises:
        UsageError: no architecture has this name.
    """
    if architecture not in ARCHITECTURES:
        raise UsageError(
            f"There is no network architecture {architecture!r}.",
            f"Known are {', '.join(ARCHITECTURES)}.",
            number=70,
        )
    module, _, make = ARCHITECTURES[architecture].partition(":")
    found: Network = getattr(import_module(f"{__name__}.{module}"), make)()
    return found
