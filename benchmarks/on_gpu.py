"""What a card does with vdenoise: tests, speed, accuracy, memory. Run by ``benchmarks/on_gpu.sh``.

Parts, each a kind of row in the file that is written:

* ``tests``: those that need a card, with ``VDENOISE_REQUIRE_CUDA=1``, so that none is skipped;
* ``accuracy``: a chain on the device against the processor, in 8-bit codes;
* ``network``: the shipped networks alone in float16, as called and as one CUDA graph;
* ``stages``: milliseconds a frame by part of the chain, the device waited for behind each, and the
  most memory of the device that was in use;
* ``end to end``: ``vdenoise run`` from file to file, with the start of the program.

What there is no time left for is written down as such. Nothing is compared with anything here: a
figure of another machine says little.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.video.stream import VideoStream

from benchmarks import networks, profile, results
from benchmarks.speed import measure
from vdenoise.engine.steps import Precision
from vdenoise.nets.base import example
from vdenoise.nets.models import load, shipped

Row = dict[str, Any]

SIZES = ((1080, 1920), (2160, 3840))
SPEEDS = ("fast", "base", "slow")
TINY = (72, 96)  # of a dry run
SMALL = (270, 480)  # for accuracy: the processor computes it, too
FRAMES, FEW = 48, 4
LEAST_SECONDS = 20  # left: with less nothing is begun
TESTED = ("tests/nets", "tests/engine", "tests/media", "tests/stages", "tests/contracts")


class Card:
    """The device, waited for where time or memory is read."""

    def __init__(self, name: str) -> None:
        self.name, self.cuda = name, name.startswith("cuda")

    def wait(self) -> None:
        """Until all that was begun is done."""
        if self.cuda:
            torch.cuda.synchronize()

    def row(self) -> Row:
        """What it is."""
        if not self.cuda:
            return {"name": "cpu"}
        told = torch.cuda.get_device_properties(0)
        version = torch.version.cuda
        return {"name": told.name, "memory_gb": round(told.total_memory / 1e9), "cuda": version}

    def most_memory(self) -> float | None:
        """GB in use at most since the last call; None on a processor."""
        if not self.cuda:
            return None
        most = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return round(most / 1e9, 3)


class WaitingClock(profile.Clock):
    """Wall time by part, of a device that is waited for behind each."""

    def __init__(self, card: Card) -> None:
        super().__init__()
        self._card = card
        self._since = time.perf_counter()

    def stop(self) -> None:
        """Count what was done until now."""
        self._card.wait()
        now = time.perf_counter()
        self.seconds[self.part] += now - self._since
        self._since = now


def tests(card: Card, *, dry: bool, seconds: float) -> Row:
    """Those that need a card. A dry run has one test file, in which they are skipped."""
    where = ["tests/nets/test_nets.py"] if dry else list(TESTED)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "cuda", *where]
    environment = os.environ | ({"VDENOISE_REQUIRE_CUDA": "1"} if card.cuda else {})
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": [f"not over after {seconds:.0f} s"]}
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    return {"status": done.returncode, "said": done.stdout.splitlines()[-1], "failed": failed}


def accuracy(card: Card, speed: str, size: tuple[int, int]) -> Row:
    """Differences of the device's samples from the processor's, 8-bit codes of luma."""
    ours, theirs = (_samples(speed, size, name) for name in (card.name, "cpu"))
    apart = (ours - theirs).abs()
    return {
        "speed": speed,
        "size": list(size),
        "rms_codes": round(apart.square().mean().sqrt().item(), 4),
        "most_codes": int(apart.max()),
        "same_share": round((apart == 0).float().mean().item(), 5),
    }


def _samples(speed: str, size: tuple[int, int], device: str) -> torch.Tensor:
    run = profile.Run("auto", speed, {}, size, FEW, device)
    return torch.stack([frame()[1][0].cpu().float() for frame in run.counted()])


def network(card: Card, model: str) -> Row:
    """Frames of 1080p a second, as called and, on a card, as one graph."""
    precision: Precision = "float16" if card.cuda else "float32"
    row = networks._speed(model, precision, card.name)
    kept = ("competitor", "told", "fps_1080p", "gmacs_per_second", "roof_gmacs_per_second")
    graph = _graph_fps(model) if card.cuda else None
    return {key: row[key] for key in kept} | {"fps_1080p_graph": graph}


def _graph_fps(model: str, repeats: int = 10) -> float:
    """The same as one CUDA graph: what Python and launching cost is left out."""
    device = torch.device("cuda")
    net = load(model, device, torch.float16)
    x = networks._sized(example(net), *networks.HD, device)
    graph, beside = torch.cuda.CUDAGraph(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):  # libraries choose their kernels before it is recorded
            for _ in range(3):
                net(x)
        torch.cuda.current_stream().wait_stream(beside)
        with torch.cuda.graph(graph):
            net(x)
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(repeats):
            graph.replay()
        torch.cuda.synchronize()
    return round(repeats * max(1, net.clip) / (time.perf_counter() - begun), 2)


def stages(card: Card, speed: str, size: tuple[int, int]) -> Row:
    """The least milliseconds of some frames, by part of the chain."""
    card.most_memory()
    run, each = profile.Run("auto", speed, {}, size, FEW, card.name), []
    clock = WaitingClock(card)
    with profile.clocked(clock):
        for frame in run.counted():
            clock.seconds.clear()
            frame()
            clock.stop()
            each.append(dict(clock.seconds))
    least = {part: min(one.get(part, 0.0) for one in each) for part in each[0]}
    parts = {part: round(1000 * seconds, 2) for part, seconds in least.items()}
    memory = card.most_memory()
    return {"speed": speed, "size": list(size), "ms": parts, "device_memory_gb": memory}


def end_to_end(card: Card, speed: str, size: tuple[int, int], frames: int) -> Row:
    """From file to file, decoded and encoded by the processor."""
    with tempfile.TemporaryDirectory(prefix="vdenoise-gpu-") as name:
        clip = Path(name) / f"noisy-{size[0]}-{frames}.mkv"
        _write(clip, size, frames)
        command = [sys.executable, "-m", "vdenoise", "run", str(clip), "-o", f"{name}/out.mkv"]
        command += ["--codec", "ffv1", "--speed", speed, "--device", card.name]
        row = measure("vdenoise", clip, command)
    kept = ("size", "frames", "seconds", "fps", "peak_mb")
    return {"speed": speed} | {key: row[key] for key in kept}


def _write(target: Path, size: tuple[int, int], frames: int) -> None:
    """A noisy clip, by PyAV: a bare machine has no ffmpeg."""
    height, width = size
    with av.open(str(target), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(24))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        drawn = profile.noisy_planes(size, min(frames, 2 * profile.DRAWN - 2))
        for n in range(frames):
            rows = [plane.reshape(-1, width) for plane in map(np.asarray, drawn[n % len(drawn)])]
            frame = av.VideoFrame.from_ndarray(np.concatenate(rows), format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def jobs(card: Card, *, dry: bool, seconds: float) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Parts, the most telling first; tests may take a third of the time."""
    speeds, sizes = (SPEEDS[:1], (TINY,)) if dry else (SPEEDS, SIZES)
    yield "tests", partial(tests, card, dry=dry, seconds=seconds / 3)
    for speed in speeds:
        yield "accuracy", partial(accuracy, card, speed, TINY if dry else SMALL)
    for model in () if dry else shipped():
        yield "network", partial(network, card, model)
    for size in sizes:
        for speed in speeds:
            yield "stages", partial(stages, card, speed, size)
            yield "end to end", partial(end_to_end, card, speed, size, FEW if dry else FRAMES)


def main() -> int:
    """Do every part that there is time for; the status is that of the tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--dry", action="store_true", help="tiny, on a processor")
    given = parser.parse_args()
    end = time.monotonic() + 60 * given.minutes
    card = Card("cpu" if given.dry else "cuda")
    rows: list[Row] = []
    head = {"schema": results.SCHEMA, "machine": results.machine() | {"device": card.row()}}
    for part, work in jobs(card, dry=given.dry, seconds=60 * given.minutes):
        left, begun = end - time.monotonic(), time.monotonic()
        row: Row = {"skipped": "no time was left"}
        if left > LEAST_SECONDS:
            try:
                row = work()
            except (Exception, SystemExit) as error:  # the other parts still tell something
                row = {"failed": [f"{type(error).__name__}: {error}"[:2000]]}
        rows.append({"part": part} | row | {"took_seconds": round(time.monotonic() - begun, 1)})
        print(rows[-1], flush=True)
        results.save(given.output, head | {"rows": rows})
    return int(any(row.get("failed") or row.get("status") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
