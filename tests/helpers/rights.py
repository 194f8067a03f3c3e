"""Permissions of files that count, also where the tests run as root."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

_VERSION_3 = 0x20080522  # of the structures below (capabilities(7))
_PASS_OVER = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@contextlib.contextmanager
def permissions_count() -> Iterator[None]:
    """Take from this thread, and from those it starts, what lets root pass permissions over."""
    if os.geteuid() != 0:
        yield
        return
    head, words = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.capget(head, words) == 0
    effective = words[0]
    words[0] = effective & ~_PASS_OVER
    assert libc.capset(head, words) == 0
    try:
        yield
    finally:
        words[0] = effective
        assert libc.capset(head, words) == 0
