"""Where the time of a run goes: ``python -m benchmarks.profile``.

Frames of our scene with sensor noise go through the chain of a preset on one thread, from decoded
samples to new ones, and everything is counted in seconds of the processor (``time.thread_time``),
which other programs of a shared machine disturb little. The first frames are not counted: they
fill the windows, and a later frame costs what each frame of a long clip costs.

Three passes, because each would disturb the others: parts of the chain by a clock of their own (the
least of some frames), operations by Python's profiler, bytes and multiply-accumulates by what torch
says of each of its operations (OpenCV's and our own compiled ones are not seen). Beside each part
stands what this processor could do it in, one core alone: the larger of bytes at the speed at which
it copies memory, and multiply-accumulates at the speed of a large float32 product. Bytes count
every operand as if it came from memory, so a part that keeps to a cache may be faster.
"""

from __future__ import annotations

import argparse
import cProfile
import functools
import pstats
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import flop_registry

from benchmarks import clips, results
from samples import scene
from vdenoise.chain.presets import load as preset
from vdenoise.chain.resolve import Layer, resolve
from vdenoise.degrade import synth
from vdenoise.engine import denoise as engine
from vdenoise.engine.planning import plan_denoising
from vdenoise.engine.streams import Shots
from vdenoise.evaluation import measure
from vdenoise.evaluation.protocol import Given, encoded
from vdenoise.machine.process import prepare
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.motion import flow
from vdenoise.motion.opencv import keep_on_one_thread
from vdenoise.nets.base import Network
from vdenoise.nets.by_rows import Rows
from vdenoise.picture.noise import NoiseProfile
from vdenoise.stages import stage_class
from vdenoise.stages.net.texture_guard import TextureGuard

RESULTS = results.FOLDER / "profile.json"
DRAWN = 6  # frames that are drawn; longer clips go back and forth through them
OPERATIONS = 25  # most costly ones that are written down


class Clock:
    """Processor seconds of the calling thread by part; what a part calls counts for the callee."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = time.thread_time()

    @property
    def part(self) -> str:
        """The part that is running."""
        return self._open[-1] if self._open else "handing on"

    @contextmanager
    def running(self, part: str) -> Iterator[None]:
        """Count what is done inside for ``part``."""
        self.stop()
        self._open.append(part)
        try:
            yield
        finally:
            self.stop()
            self._open.pop()

    def stop(self) -> None:
        """Count what was done until now."""
        now = time.thread_time()
        self.seconds[self.part] += now - self._since
        self._since = now


class Traffic(TorchDispatchMode):
    """Bytes of all operands and results, and multiply-accumulates, by part."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.bytes: dict[str, int] = defaultdict(int)
        self.macs: dict[str, float] = defaultdict(float)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called by torch for each operation."""
        kwargs = kwargs or {}
        with self:  # without gradients, operations made of others arrive whole
            out = func.decompose(*args, **kwargs)
        if out is not NotImplemented:
            return out
        out = func(*args, **kwargs)
        if not func.is_view:
            found = tree_flatten((args, kwargs, out))[0]
            operands = {x.data_ptr(): x for x in found if isinstance(x, torch.Tensor)}
            self.bytes[self.clock.part] += sum(x.nbytes for x in operands.values())
        counted = flop_registry.get(func._overloadpacket)
        if counted is not None:
            self.macs[self.clock.part] += counted(*args, **kwargs, out_val=out) / 2
        return out


def main() -> None:
    """Measure, print and store every row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speeds", nargs="+", default=["fast", "base"])
    parser.add_argument("--preset", default="auto")
    parser.add_argument("--size", type=int, nargs=2, default=(1080, 1920), help="height width")
    parser.add_argument("--frames", type=int, default=3, help="that are counted")
    parser.add_argument("--set", nargs="*", default=[], metavar="STAGE.PARAM=VALUE")
    parser.add_argument("--label", default="", help="what is measured, to tell rows apart")
    parser.add_argument("--note", help="what else the machine was doing")
    given = parser.parse_args()
    prepare()  # memory is kept as in a run: taking every page anew cost a tenth of the time
    torch.set_num_threads(1)
    keep_on_one_thread()
    values = dict(pair.split("=", 1) for pair in given.set)
    rows = {_key(row): row for row in results.load(RESULTS).get("rows", [])}
    roof = roofline()
    for speed in given.speeds:
        row = measured(given.preset, speed, values, tuple(given.size), given.frames, roof)
        row = {"label": given.label} | row
        rows[_key(row)] = row
        print(table(row), flush=True)
        content = {"schema": results.SCHEMA, "machine": results.machine(), "note": given.note}
        results.save(RESULTS, content | {"rows": list(rows.values())})


def measured(
    name: str,
    speed: str,
    values: dict[str, str],
    size: tuple[int, int],
    frames: int,
    roof: tuple[float, float],
) -> dict[str, Any]:
    """One row of the file: the chain of a preset at a speed."""
    run = Run(name, speed, values, size, frames)
    each = []
    clock = Clock()
    with clocked(clock):
        for frame in run.counted():
            frame()
            clock.stop()
            each.append(dict(clock.seconds))
            clock.seconds.clear()
    least = {part: min(one.get(part, 0.0) for one in each) for part in each[0]}
    clock = Clock()
    with clocked(clock), Traffic(clock) as traffic:
        for frame in run.counted():
            traffic.bytes.clear()
            traffic.macs.clear()
            frame()
    profiler = cProfile.Profile(time.thread_time)
    for frame in run.counted():
        with profiler:
            frame()
    bytes_a_second, macs_a_second = roof
    parts = [
        {
            "part": part,
            "ms": round(1000 * seconds, 1),
            "megabytes": round(traffic.bytes[part] / 1e6),
            "megamacs": round(traffic.macs[part] / 1e6),
            "roof_ms": round(
                1000
                * max(traffic.bytes[part] / bytes_a_second, traffic.macs[part] / macs_a_second),
                1,
            ),
        }
        for part, seconds in sorted(least.items(), key=lambda item: -item[1])
    ]
    return {
        "preset": name,
        "speed": speed,
        "values": values,
        "size": list(size),
        "core_seconds": round(sum(least.values()), 4),
        "gb_a_second": round(bytes_a_second / 1e9, 1),
        "gmacs_a_second": round(macs_a_second / 1e9, 1),
        "parts": parts,
        "operations": operations(profiler, frames),
    }


class Run:
    """The chain of a preset over a clip in memory."""

    def __init__(
        self,
        name: str,
        speed: str,
        values: dict[str, str],
        size: tuple[int, int],
        frames: int,
        device: str = "cpu",
    ) -> None:
        chain = resolve(preset(name), [Layer("--set", values)], speed=speed)
        reach = sum(stage.reach for stage in chain.stages)
        self.skipped, self.frames = 2 * reach + 1, frames
        count = self.skipped + frames + reach
        planes = noisy_planes(size, count)
        given = Given("420", tuple(planes), torch.empty(count, 3, *size))
        self.info = measure._info(given)
        self.sources = [measure._source(n, frame) for n, frame in enumerate(planes)]
        self.profile = NoiseProfile.white(8 / 255, 4 / 255, 4 / 255)
        encode = EncodeSettings(
            container="", codec="", encoder="", pixel_format=given.format, coded_format=""
        )
        self.plan = plan_denoising(self.info, chain, Path(), encode, device=device)

    def counted(self) -> Iterator[Callable[[], Any]]:
        """Calls that make one frame each, after those that fill the windows were made."""
        alone = patch.object(engine, "_workers", _here)
        with alone:
            done = engine.denoise(self.sources, self.plan, self.profile, Shots(len(self.sources)))
            for _ in range(self.skipped):
                next(done)
            for _ in range(self.frames):
                yield functools.partial(next, done)
            done.close()


@contextmanager
def _here(*_: object) -> Iterator[engine._Threads]:
    """In place of the engine's workers: everything in this thread."""
    yield engine._Threads()


def noisy_planes(size: tuple[int, int], count: int) -> list[tuple[torch.Tensor, ...]]:
    """Sensor noise on our scene, 8-bit 4:2:0: planes of ``count`` frames."""
    height, width = size
    drawn = list(scene.frames(width // 2, height // 2, DRAWN, cut=DRAWN))
    there_and_back = [*range(DRAWN), *range(DRAWN - 2, 0, -1)]
    planes = []
    for t in range(count):
        picture = torch.from_numpy(drawn[there_and_back[t % len(there_and_back)]])
        large = torch.nn.functional.interpolate(
            picture.permute(2, 0, 1)[None].float(), size, mode="bilinear", align_corners=False
        )
        noisy = synth.sensor(large, 0.004, 1e-4, seed=clips.SEED, first=t)
        planes += encoded(noisy, "420")
    return planes


@contextmanager
def clocked(clock: Clock) -> Iterator[None]:
    """Every part of the chain counts for itself."""
    with ExitStack() as stack:

        def of(owner: Any, name: str, part: str) -> None:
            inner = getattr(owner, name)

            @functools.wraps(inner)
            def counted(*args: Any, **kwargs: Any) -> Any:
                with clock.running(part):
                    return inner(*args, **kwargs)

            stack.enter_context(patch.object(owner, name, counted))

        of(flow, "make_guide", "motion: guide")
        of(flow, "_between", "motion: search")
        of(flow, "agreement", "motion: both ways")
        of(engine, "lift_frame", "samples to float")
        of(engine, "finish_frame", "float to samples")
        of(Network, "__call__", "net.cnn: network")
        of(Rows, "correction", "net.cnn: network")
        for name in ("temporal.mean", "spatial.wiener", "net.cnn"):
            of(stage_class(name), "denoise", name)
        of(TextureGuard, "denoise", "net.cnn: texture guard")
        yield


def operations(profiler: cProfile.Profile, frames: int) -> list[dict[str, Any]]:
    """The operations that took longest by themselves, as milliseconds a frame."""
    found = []
    stats: Any = pstats.Stats(profiler)
    for (file, _, name), (_, calls, own, _, _) in stats.stats.items():
        where = "" if file == "~" else f"{Path(file).stem}."
        operation = name.removeprefix("<").removesuffix(">").removeprefix("built-in method ")
        found.append((own / frames, f"{where}{operation}", calls / frames))
    return [
        {"operation": name, "ms": round(1000 * own, 1), "calls": round(calls, 1)}
        for own, name, calls in sorted(found, reverse=True)[:OPERATIONS]
    ]


def roofline(repeats: int = 5) -> tuple[float, float]:
    """Bytes a second that one core copies, read and write counted, and float32 multiply-accumulates
    a second of a large product: the best of some."""
    source = torch.ones(1 << 26)
    target = torch.empty_like(source)
    square = torch.rand(1024, 1024)
    copying = _least(repeats, lambda: target.copy_(source))
    product = _least(repeats, lambda: square @ square)
    return 2 * source.nbytes / copying, 1024**3 / product


def _least(repeats: int, work: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(repeats):
        began = time.thread_time()
        work()
        seconds.append(time.thread_time() - began)
    return min(seconds)


def table(row: dict[str, Any]) -> str:
    """For a terminal."""
    height, width = row["size"]
    lines = [f"{row['preset']} {row['speed']} {width}x{height}: {row['core_seconds']} core-s/frame"]
    total = 10 * row["core_seconds"]
    lines += [
        f"{one['part']:26} {one['ms']:8.1f} ms {one['ms'] / total:5.1f} %  {one['megabytes']:6} MB"
        f" {one['megamacs']:7} MMAC  roof {one['roof_ms']:7.1f} ms"
        for one in row["parts"]
    ]
    lines += [
        f"    {one['operation']:60} {one['ms']:8.1f} ms {one['calls']:7.1f} calls"
        for one in row["operations"]
    ]
    return "\n".join(lines)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    values: Sequence[Any] = (row["preset"], row["speed"], row["values"], row["size"], row["label"])
    return tuple(map(str, values))


if __name__ == "__main__":
    main()
