"""A network by itself, for stages that ask one for an answer of their own."""

from __future__ import annotations

from functools import cache

from vdenoise.stages.net.cnn import Cnn


@cache
def bare_network(model: str) -> Cnn:
    """Make a stage of a network, without a guard behind it."""
    return Cnn(model=model, structure_guard="off")
