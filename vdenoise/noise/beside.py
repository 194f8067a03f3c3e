"""Samples of a clip, measured beside its reading: several at once, kept in the order of frames."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

import torch
from torch import Tensor

from vdenoise.machine.devices import see_room_for_threads
from vdenoise.noise.bars import Bars
from vdenoise.noise.fit import Sample
from vdenoise.noise.sampling import sample

_MOST = 4  # at once: what reads the clip is not much faster
_PIXELS = 34_000_000  # of frames that are held for it and worked on

Given = tuple[int, Tensor, Tensor | None, Tensor | None, Tensor | None, Bars]  # to `sample`


@contextmanager
def measuring_threads(pixels: int) -> Iterator[Beside]:
    """Threads for samples of frames of so many pixels, as many as torch may use.

    One is none: samples are then taken where they are asked for.
    """
    count = min(torch.get_num_threads(), _MOST, max(1, _PIXELS // max(pixels, 1)))
    if count == 1:
        yield Beside()
        return
    see_room_for_threads(count)
    with ThreadPoolExecutor(count, "measure") as threads:
        beside = Beside(threads, count)
        try:
            yield beside
        finally:
            beside.drop()


class Beside:
    """Where samples are taken: here, or in threads of their own."""

    def __init__(self, threads: ThreadPoolExecutor | None = None, count: int = 1) -> None:
        self._threads, self._count = threads, count
        self._open: set[Future[Sample]] = set()

    def take(self, *given: *Given) -> Future[Sample]:
        """`sample` of these; waits while as many as there are threads are under way."""
        if self._threads is None:
            done: Future[Sample] = Future()
            done.set_result(sample(*given))
            return done
        while len(self._open) >= self._count:
            _, self._open = wait(self._open, return_when=FIRST_COMPLETED)
        future = self._threads.submit(_alone, given)
        self._open.add(future)
        return future

    def drop(self) -> None:
        """Begin none that has not begun."""
        for future in self._open:
            future.cancel()


def _alone(given: Given) -> Sample:
    torch.set_num_threads(1)  # who measures sets it back at the end
    with torch.inference_mode():
        return sample(*given)
