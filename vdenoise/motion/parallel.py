"""One pool of threads for OpenCV work, which releases the GIL.

OpenCV's own threading is switched off: DIS flow depends on how many stripes it is cut into, and
a result must not depend on the number of cores. The cores are used by doing several images at
once instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import cv2
import torch

A = TypeVar("A")
B = TypeVar("B")


@cache
def _pool() -> ThreadPoolExecutor:
    cv2.setNumThreads(1)
    return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="vdenoise-cv")


def each(work: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """``[work(item) for item in items]`` on all cores; the first error wins."""
    return list(_pool().map(work, items))
