"""A card works while the processor goes on, until a number is read from it: then that waits.

Counted on a processor, in the operations that a card would be given.
"""

from __future__ import annotations

import traceback
from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.profile import Run
from vdenoise.compiled import TORCH_PATHS

READING = {"_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select"}
FRAMES = 2

# By module and frame: what must be known before more is done.
ALLOWED = {
    "samples": 3,  # whether new samples are numbers: of each plane, when they are fetched anyway
    "cnn": 1,  # whether the network's answer can be a picture
    "flow": 1,  # kornia's blur looks at its sigma
}


class Waits(TorchDispatchMode):
    """Counts operations whose result the processor waits for, by the module of ours that asks."""

    def __init__(self) -> None:
        super().__init__()
        self.by_module: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._overloadpacket.__name__
        chosen = name in ("index", "index_put_") and any(
            x is not None and x.dtype == torch.bool for x in args[1]
        )
        if name in READING or chosen:
            ours = [f for f in traceback.extract_stack() if "/vdenoise/" in f.filename]
            self.by_module[ours[-1].filename.split("/")[-1].removesuffix(".py")] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("speed", ["fast", "base"])
def test_nothing_waits_for_a_card_in_the_middle_of_a_frame(
    speed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TORCH_PATHS, "1")
    run = Run("auto", speed, {}, (96, 128), FRAMES)
    waits = Waits()
    for frame in run.counted():
        with waits:
            frame()
    assert waits.by_module["samples"] == 3 * FRAMES, "they are seen"
    many = {name: n for name, n in waits.by_module.items() if n > FRAMES * ALLOWED.get(name, 0)}
    assert not many
