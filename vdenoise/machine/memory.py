"""Whether this process is given memory, asked of the system alone: no library needs any for it."""

from __future__ import annotations

import mmap


def may_take(count: int) -> bool:
    """Whether this process is given so many bytes more: a limit of its own (``ulimit -v``) may say
    no where memory is free. None of them is touched."""
    try:
        mmap.mmap(-1, count).close()
    except OSError:
        return False
    return True
