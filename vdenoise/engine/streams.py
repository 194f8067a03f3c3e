"""Windows over a stream of frames, and the threads that read and write ahead.

Nothing here holds a clip: memory is bounded by the windows and the queues.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Generic, Protocol, Self, TypeVar

from vdenoise.machine.devices import see_room_for_threads
from vdenoise.picture.block import window

_POLL_SECONDS = 0.1  # how soon a waiting thread notices that it is to stop


class Indexed(Protocol):
    """Anything with an absolute frame number."""

    @property
    def index(self) -> int:
        """Absolute frame number."""
        ...


T = TypeVar("T")
R = TypeVar("R")
F = TypeVar("F", bound=Indexed)


@dataclass(frozen=True)
class Shots:
    """Where the shots of a clip begin and end. Windows never reach over a cut."""

    frames: int  # of the whole clip
    cuts: tuple[int, ...] = ()  # first frame of every shot but the first, ascending

    def of(self, index: int) -> tuple[int, int]:
        """First and last frame of the shot that frame ``index`` lies in."""
        n = bisect_right(self.cuts, index)
        first = self.cuts[n - 1] if n else 0
        last = self.cuts[n] - 1 if n < len(self.cuts) else self.frames - 1
        return first, last

    def window(self, index: int, reach: int) -> range:
        """The frames that frame ``index`` is computed from (`vdenoise.picture.block.window`)."""
        return window(index, reach, *self.of(index))

    def needed(self, first: int, last: int, reach: int) -> tuple[int, int]:
        """First and last frame needed to compute the frames ``first`` to ``last``."""
        return self.window(first, reach).start, self.window(last, reach).stop - 1


@dataclass(frozen=True)
class Group(Generic[F]):
    """Consecutive frames of one shot: ``core`` is to be computed, the rest is context."""

    frames: Sequence[F]
    core: slice
    shot: tuple[int, int]  # absolute first and last frame


def windows(
    frames: Iterable[F], reach: int, length: int, shots: Shots, first: int, last: int
) -> Iterator[Group[F]]:
    """Cut a stream into groups of up to ``length`` frames with their context.

    Args:
        frames: consecutive frames, at least ``shots.needed(first, last, reach)``.
        reach: frames looked at on each side.
        length: most core frames in a group. What is computed does not depend on it.
        shots: of the clip.
        first, last: the frames wanted; each is in the core of exactly one group.
    """
    held: deque[F] = deque()
    todo = first
    for frame in frames:
        if held and frame.index == shots.of(held[-1].index)[1] + 1:
            held.clear()
        held.append(frame)
        while todo <= last and held and held[0].index <= todo:
            shot = shots.of(todo)
            end = min(todo + length - 1, last, shot[1])
            needs = range(shots.window(todo, reach).start, shots.window(end, reach).stop)
            if frame.index < needs[-1]:
                break
            here = [f for f in held if f.index in needs]
            start = todo - needs.start
            yield Group(here, slice(start, start + end - todo + 1), shot)
            del here
            todo = end + 1
            if todo > last:
                return
            oldest = shots.window(todo, reach).start
            while held and held[0].index < oldest:
                held.popleft()
    assert todo > last, f"the stream ended before frame {todo}"


def map_in_order(
    work: Callable[[T], R], items: Iterable[T], pool: Executor | None, ahead: int
) -> Iterator[R]:
    """``work`` of each item, in order.

    Args:
        work: called from several threads, or not where there is no pool.
        items: taken from the caller's thread.
        pool: whose threads work; None works here, one item after the other.
        ahead: items that are begun before the result of the first is asked for.
    """
    if pool is None:
        yield from map(work, items)
        return
    begun: deque[Future[R]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            del item
            if len(begun) > ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()


class _Stopped(Exception):
    """The other side is gone."""


class _Lane(Generic[T]):
    """A bounded queue between two threads that either side can end without the other hanging."""

    def __init__(self, depth: int) -> None:
        self._queue: Queue[T] = Queue(depth)
        self._ended = threading.Event()  # no more will be put
        self._stopped = threading.Event()  # no more will be taken

    def put(self, item: T) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
                return
            except Full:
                continue
        raise _Stopped

    def end(self) -> None:
        self._ended.set()

    def stop(self) -> None:
        self._stopped.set()
        while True:
            try:
                self._queue.get_nowait()
            except Empty:
                return

    def __iter__(self) -> Iterator[T]:
        while not self._stopped.is_set():
            ended = self._ended.is_set()  # before looking: what was put earlier is still there
            try:
                item = self._queue.get(timeout=0 if ended else _POLL_SECONDS)
            except Empty:
                if ended:
                    return
                continue
            yield item
            del item


class _Threaded(Generic[T]):
    """A context manager that works on one end of a lane in a thread of its own."""

    def __init__(self, depth: int, name: str) -> None:
        self._lane: _Lane[T] = _Lane(depth)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def __enter__(self) -> Self:
        see_room_for_threads(1)
        self._thread.start()
        return self

    def _work(self) -> None:
        raise NotImplementedError


class Ahead(_Threaded[T]):
    """Iterates over ``items`` in a thread of its own, ``depth`` items ahead.

    A context manager: on leaving it the thread has ended, whatever happened. An error in
    ``items`` is raised here, after the items before it.
    """

    def __init__(self, items: Iterable[T], depth: int, name: str) -> None:
        super().__init__(depth, name)
        self._items = items

    def _work(self) -> None:
        try:
            for item in self._items:
                self._lane.put(item)
                del item
        except _Stopped:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._lane.end()

    def __iter__(self) -> Iterator[T]:
        yield from self._lane
        if self._error is not None:
            raise self._error

    def __exit__(self, *_: object) -> None:
        self._lane.stop()
        self._thread.join()
        self._lane.stop()


class Sink(_Threaded[T]):
    """Hands items to ``consume`` in a thread of its own, ``depth`` items behind.

    A context manager: on a clean exit everything was consumed; after an error what is waiting is
    dropped. An error in ``consume`` is raised by the next ``put``, or on leaving.
    """

    def __init__(self, consume: Callable[[T], None], depth: int, name: str) -> None:
        super().__init__(depth, name)
        self._consume = consume

    def _work(self) -> None:
        try:
            for item in self._lane:
                self._consume(item)
                del item
        except BaseException as error:
            self._error = error
            self._lane.stop()

    def put(self, item: T) -> None:
        """Hand one item over; waits while ``depth`` are waiting."""
        try:
            self._lane.put(item)
        except _Stopped:
            assert self._error is not None
            raise self._error from None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            self._lane.end()
        else:
            self._lane.stop()
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error
