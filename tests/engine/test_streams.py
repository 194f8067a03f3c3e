from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from vdenoise.engine.streams import Ahead, Shots, Sink, map_in_order, windows
from vdenoise.picture.block import window


@dataclass(frozen=True)
class Numbered:
    index: int


def numbered(first: int, last: int, seen: list[int] | None = None) -> Iterator[Numbered]:
    for index in range(first, last + 1):
        if seen is not None:
            seen.append(index)
        yield Numbered(index)


def test_a_window_slides_inward_and_holds_the_nearest_distinct_frames() -> None:
    assert list(window(10, 2, 0, 99)) == [8, 9, 10, 11, 12]
    assert list(window(0, 2, 0, 99)) == [0, 1, 2, 3, 4]
    assert list(window(1, 2, 0, 99)) == [0, 1, 2, 3, 4]
    assert list(window(99, 2, 0, 99)) == [95, 96, 97, 98, 99]
    assert list(window(51, 2, 50, 52)) == [50, 51, 52]
    assert list(window(7, 0, 0, 99)) == [7]


@pytest.mark.parametrize(
    ("index", "shot"), [(0, (0, 3)), (3, (0, 3)), (4, (4, 8)), (8, (4, 8)), (9, (9, 19))]
)
def test_shots_lie_between_cuts(index: int, shot: tuple[int, int]) -> None:
    assert Shots(20, (4, 9)).of(index) == shot


@pytest.mark.parametrize("length", [1, 2, 3, 8, 100])
@pytest.mark.parametrize("reach", [0, 1, 3])
@pytest.mark.parametrize(("first", "last"), [(0, 29), (5, 22), (13, 13), (0, 0), (29, 29)])
def test_every_frame_once_with_exactly_its_window(
    length: int, reach: int, first: int, last: int
) -> None:
    shots = Shots(30, (7, 8, 20))
    found = []
    source = numbered(*shots.needed(first, last, reach))
    for group in windows(source, reach, length, shots, first, last):
        indices = [frame.index for frame in group.frames]
        assert indices == list(range(indices[0], indices[-1] + 1))
        core = indices[group.core]
        assert 1 <= len(core) <= length
        for index in core:
            assert shots.of(index) == group.shot
            assert set(window(index, reach, *group.shot)) <= set(indices)
        assert group.shot[0] <= indices[0] and indices[-1] <= group.shot[1]
        found += core
    assert found == list(range(first, last + 1))


def test_a_window_reads_no_further_than_it_must() -> None:
    seen: list[int] = []
    groups = windows(numbered(0, 999, seen), 3, 4, Shots(1000), 0, 999)
    next(groups)
    assert seen[-1] == 6  # frames 0 to 3 see 0 to 6
    next(groups)
    assert seen[-1] == 10


def test_ahead_keeps_order_and_reads_no_further_than_its_depth() -> None:
    seen: list[int] = []
    with Ahead(numbered(0, 49, seen), 3, "test") as ahead:
        for count, frame in enumerate(ahead):
            assert frame.index == count
            assert len(seen) <= count + 1 + 3 + 1  # taken, waiting, and one in hand
    assert len(seen) == 50


def test_an_error_of_the_source_comes_after_the_items_before_it() -> None:
    def broken() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("bad frame")

    found = []
    with pytest.raises(ValueError, match="bad frame"), Ahead(broken(), 5, "test") as ahead:
        for item in ahead:
            found.append(item)
    assert found == [1, 2]


def test_leaving_early_ends_the_thread() -> None:
    with Ahead(iter(range(10**9)), 2, "endless") as ahead:
        assert next(iter(ahead)) == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "endless"]


def test_a_sink_consumes_everything_in_order() -> None:
    found: list[int] = []
    with Sink(found.append, 2, "test") as sink:
        for item in range(50):
            sink.put(item)
    assert found == list(range(50))


def test_an_error_of_a_sink_reaches_whoever_puts() -> None:
    def consume(item: int) -> None:
        if item == 3:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Sink(consume, 2, "failing") as sink:
        for item in range(1000):
            sink.put(item)
    assert not [thread for thread in threading.enumerate() if thread.name == "failing"]


def test_an_error_on_the_last_item_of_a_sink_is_not_lost() -> None:
    def consume(item: int) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Sink(consume, 2, "test") as sink:
        sink.put(1)


def test_after_an_error_outside_a_sink_drops_what_waits() -> None:
    found: list[int] = []
    gate = threading.Event()

    def consume(item: int) -> None:
        gate.wait(10)
        found.append(item)

    with pytest.raises(KeyError), Sink(consume, 5, "test") as sink:
        for item in range(4):
            sink.put(item)
        threading.Timer(0.05, gate.set).start()
        raise KeyError("stop")
    assert len(found) <= 1


def test_mapped_keeps_the_order_and_begins_only_so_many_items() -> None:
    begun: list[int] = []
    with ThreadPoolExecutor(3) as pool:
        results = map_in_order(lambda item: item.index, numbered(0, 19, begun), pool, 3)
        for index in range(20):
            assert next(results) == index
            assert len(begun) <= index + 4


def test_an_error_of_a_worker_reaches_whoever_asked() -> None:
    def work(item: Numbered) -> int:
        return 1 // (item.index - 3)

    with ThreadPoolExecutor(2) as pool:
        results = map_in_order(work, numbered(0, 9), pool, 2)
        assert [next(results) for _ in range(3)] == [1 // -3, 1 // -2, 1 // -1]
        with pytest.raises(ZeroDivisionError):
            next(results)
