"""Random numbers that depend on where they are, not on when they are drawn.

Each is a hash of (seed, frame, plane, row, column), so that every device and every split of a clip
into segments, blocks and tiles draws the same ones.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

_QUANTILES = 1 << 16


def random_bits(index: Tensor, *words: int) -> Tensor:
    """32 random bits for each entry of ``index`` (int32), as int32: the hash "lowbias32" (C.
    Wellons) of the entry and of ``words``."""
    key = 0
    for word in words:
        key = _mix_int(key ^ (word & 0xFFFFFFFF))
    return _mix(index ^ (key - (1 << 32) if key >= 1 << 31 else key))


def normal(rows: range, columns: range, *words: int, device: torch.device | str = "cpu") -> Tensor:
    """(H, W) float32 standard normal numbers for the pixels of a rectangle.

    Any two rectangles agree to the bit where they overlap. The numbers are 65536 quantiles of the
    bell, looked up: no two devices compute them differently. They end at 4.3 sigma.

    Args:
        rows, columns: of the rectangle in its plane; may be negative.
        words: what else the numbers depend on: seed, frame, plane.
        device: where they are wanted.
    """
    y = torch.arange(rows.start, rows.stop, dtype=torch.int32, device=device)
    x = torch.arange(columns.start, columns.stop, dtype=torch.int32, device=device)
    bits = _mix(random_bits(y, *words)[:, None] ^ x)
    bell: Tensor = _bell(torch.device(device))
    return bell[(bits & (_QUANTILES - 1)).to(torch.int64)]


@cache
def _bell(device: torch.device) -> Tensor:
    """Quantiles of the normal distribution, with variance 1."""
    middle = (torch.arange(_QUANTILES, dtype=torch.float64) + 0.5) / _QUANTILES
    values: Tensor = torch.special.ndtri(middle)
    return (values / values.square().mean().sqrt()).float().to(device)


def _mix(x: Tensor) -> Tensor:
    """The hash of int32 numbers."""
    x = (x ^ shift_right(x, 16)).mul_(0x7FEB352D)
    x = (x ^ shift_right(x, 15)).mul_(0x846CA68B - (1 << 32))
    return x ^ shift_right(x, 16)


def _mix_int(x: int) -> int:
    """The same hash of a Python integer below 2^32."""
    x = ((x ^ x >> 16) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ x >> 15) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ x >> 16


def shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of int32 (torch's own is arithmetic)."""
    return (x >> bits) & ((1 << (32 - bits)) - 1)
