"""Inner loops in C, for processors; `vdenoise.picture` and others say the same in torch.

A wheel holds them, and an installation from source builds them where there is a C compiler
(``hatch_build.py``). Where there are none, and under ``VDENOISE_COMPILED=0``, torch computes: the
same to rounding, and slower. docs/speed.md says why they are plain C behind ctypes.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

SWITCH = "VDENOISE_COMPILED"
TORCH_PATHS = "VDENOISE_TORCH_PATHS"  # 1: a processor computes what a card would, in torch
LIBRARY = Path(__file__).with_name("kernels.so")
_VERSION = 2  # of the functions' arguments: as vdenoise_version in kernels.c

_POINTER, _LONG, _FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_float
_FUNCTIONS: dict[str, tuple[type, ...]] = {
    "pack": (*[_POINTER] * 6, *[_LONG] * 3, _FLOAT, _LONG, _POINTER),
    "unpack": (*[_POINTER] * 3, _LONG, _LONG, _FLOAT, _FLOAT, _POINTER),
    "dct_pass": (*[_POINTER] * 4, *[_LONG] * 3, _POINTER, _LONG, _LONG, _FLOAT, *[_POINTER] * 3),
}


@cache
def library() -> ctypes.CDLL | None:
    """The compiled functions, with their arguments declared; None where torch is to compute."""
    if os.environ.get(SWITCH) == "0" or not LIBRARY.exists():
        return None
    found = ctypes.CDLL(str(LIBRARY))
    if found.vdenoise_version() != _VERSION:  # built from other sources
        return None
    for name, arguments in _FUNCTIONS.items():
        function = getattr(found, _symbol(name))
        function.argtypes, function.restype = arguments, None
    return found


def on_processor(x: Tensor) -> bool:
    """Whether a processor's own code (compiled, OpenCV) works on this, and not what cards take.

    Under ``VDENOISE_TORCH_PATHS=1`` it never does: that shows without a card that those paths work.
    """
    return x.device.type == "cpu" and os.environ.get(TORCH_PATHS) != "1"


def serves(*pictures: Tensor | None) -> bool:
    """Whether there are compiled functions, and these are what they take: float32 on a CPU."""
    return library() is not None and all(
        x is None or (on_processor(x) and x.dtype == torch.float32) for x in pictures
    )


def call(name: str, *arguments: Tensor | float | None) -> None:
    """Call a compiled function: tensors become pointers to their numbers, which lie in one piece.

    Other threads of Python go on meanwhile.
    """
    known = library()
    assert known is not None, "ask `serves` first"
    plain = []
    for given in arguments:
        if isinstance(given, Tensor):
            assert given.is_contiguous(), f"{name} takes tensors in one piece"
        plain.append(given.data_ptr() if isinstance(given, Tensor) else given)
    getattr(known, _symbol(name))(*plain)


def described() -> str:
    """What computes the inner loops here: results of either differ in their last bits."""
    if os.environ.get(TORCH_PATHS) == "1":
        return "torch, as on a card"
    return "torch" if library() is None else f"compiled, {_VERSION}"


def _symbol(name: str) -> str:
    """Functions are there twice: for what AVX2 adds, and for any processor, with equal results."""
    wide = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    return f"vdenoise_{name}_avx2" if wide else f"vdenoise_{name}"
