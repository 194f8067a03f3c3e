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
_VERSION = 8  # of the functions and their arguments: as vdenoise_version in kernels.c

_POINTER, _LONG, _FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_float
_FUNCTIONS: dict[str, tuple[type, ...]] = {
    "cell_means": (_POINTER, *[_LONG] * 4, _POINTER),
    "looked_up": (_POINTER, _LONG, _POINTER, _LONG, _LONG, _POINTER),
    "pack": (*[_POINTER] * 6, *[_LONG] * 3, _FLOAT, _LONG, _POINTER),
    "unpack": (*[_POINTER] * 3, _LONG, _LONG, _FLOAT, _FLOAT, _POINTER),
    "network": (
        *(_POINTER, _LONG, _POINTER, *[_LONG] * 5, _POINTER, _LONG),
        *(*[_FLOAT] * 4, _POINTER, _POINTER),
    ),
    "neighbor": (*[_POINTER] * 6, _FLOAT, *[_POINTER] * 3),
    "scales_room": (_LONG,) * 4,
    "scales": (_POINTER, *[_LONG] * 4, _POINTER),
    "flow": (_POINTER, _POINTER, *[_LONG] * 5, _POINTER),
    "agreement": (_POINTER, _POINTER, _LONG, _LONG, _FLOAT, _POINTER),
    "dct_pass": (*[_POINTER] * 4, *[_LONG] * 3, _POINTER, _LONG, _LONG, _FLOAT, *[_POINTER] * 3),
}

_WIDE_ONLY = ("network",)  # where there is no AVX2 and FMA, torch's convolutions are as good
_ANSWERING = ("network", "neighbor", "scales_room", "scales", "flow")  # with a number


@cache
def library() -> ctypes.CDLL | None:
    """The compiled functions, with their arguments declared; None where torch is to compute."""
    if os.environ.get(SWITCH) == "0" or not LIBRARY.exists():
        return None
    found = ctypes.CDLL(str(LIBRARY))
    if found.vdenoise_version() != _VERSION:  # built from other sources
        return None
    for name, arguments in _FUNCTIONS.items():
        if name in _WIDE_ONLY and not _wide():
            continue
        function = getattr(found, _symbol(name))
        function.argtypes, function.restype = arguments, _LONG if name in _ANSWERING else None
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


def serves_networks(*pictures: Tensor | None) -> bool:
    """`serves`, for networks row by row: on processors with AVX2 and FMA. Where one multiplies
    whole matrices of bfloat16 (Intel's AMX), torch's convolutions are faster still."""
    here = os.environ.get(TORCH_PATHS) != "1" and _wide() and "amx_bf16" not in _flags()
    return here and serves(*pictures)


def call(name: str, *arguments: Tensor | float | None) -> int:
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
    return getattr(known, _symbol(name))(*plain) or 0


def described() -> str:
    """What computes the inner loops here: results of either differ in their last bits."""
    if os.environ.get(TORCH_PATHS) == "1":
        return "torch, as on a card"
    return "torch" if library() is None else f"compiled, {_VERSION}"


def _symbol(name: str) -> str:
    """Functions are there for any processor, for AVX2 and for AVX-512, with equal results."""
    added = {"AVX2": "_avx2", "AVX512": "_avx512"}.get(_capability(), "")
    return f"vdenoise_{name}{added}"


def _wide() -> bool:
    """Whether this is an x86 processor of the last ten years."""
    return _capability() in ("AVX2", "AVX512")


def _capability() -> str:
    """What torch takes this processor for; ``ATEN_CPU_CAPABILITY`` can say less."""
    return str(torch.backends.cpu.get_cpu_capability())


def fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware."""
    return not _flags().isdisjoint(("avx512_bf16", "amx_bf16"))


@cache
def _flags() -> frozenset[str]:
    """What Linux says this processor has."""
    told = Path("/proc/cpuinfo")
    return frozenset(told.read_text().split()) if told.exists() else frozenset()
