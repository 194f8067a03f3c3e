"""Samples beside the reading: the same profile however many are measured at once."""

from __future__ import annotations

import threading

import pytest
import torch

from vdenoise.noise import beside as module
from vdenoise.noise.bars import NO_BARS
from vdenoise.noise.beside import Beside, measuring_threads
from vdenoise.noise.estimate import Analysis, Analyzer


def measured(threads: int) -> Analysis:
    """A small moving picture with a cut, in noise."""
    generator = torch.Generator().manual_seed(4)
    pictures = [torch.rand(1, 96, 128, generator=generator) for _ in range(2)]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with measuring_threads(96 * 128) as beside:
            analyzer = Analyzer(beside=beside)
            for t in range(24):
                smooth = torch.nn.functional.avg_pool2d(pictures[t // 14], 9, 1, 4)
                noise = 0.03 * torch.randn(1, 96, 128, generator=generator)
                analyzer.push(t, smooth.roll(t, 2) + noise)
            found = analyzer.finish()
        assert torch.get_num_threads() == threads
        return found
    finally:
        torch.set_num_threads(before)


def test_a_profile_does_not_depend_on_threads() -> None:
    assert measured(1) == measured(3)


def test_no_more_frames_wait_than_there_are_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    going, most, lock, go = 0, 0, threading.Lock(), threading.Event()

    def slow(*_: object) -> object:
        nonlocal going, most
        with lock:
            going += 1
            most = max(most, going)
        go.wait(10)
        with lock:
            going -= 1
        return object()

    monkeypatch.setattr(module, "sample", slow)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with measuring_threads(100) as beside:
        luma = torch.zeros(1, 32, 32)
        futures = [beside.take(i, luma, None, None, None, NO_BARS) for i in range(2)]
        late = threading.Thread(
            target=lambda: futures.append(beside.take(2, luma, None, None, None, NO_BARS))
        )
        late.start()
        late.join(0.2)
        assert late.is_alive() and len(futures) == 2, "it waits for one of the two"
        go.set()
        late.join(10)
        assert len({id(f.result()) for f in futures}) == 3
    assert most == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_what_goes_wrong_in_a_sample_is_told(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> object:
        raise MemoryError("none left")

    monkeypatch.setattr(module, "sample", fails)
    with pytest.raises(MemoryError):
        measured(threads)


def test_large_frames_are_measured_one_at_a_time() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    try:
        with measuring_threads(7680 * 4320) as beside:
            assert beside._threads is None
        with measuring_threads(1920 * 1080) as beside:
            assert isinstance(beside, Beside) and beside._count == 4
    finally:
        torch.set_num_threads(before)
