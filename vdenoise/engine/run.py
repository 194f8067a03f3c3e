"""Carry out a plan: decode, denoise and encode at the same time, holding only frames in flight."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from vdenoise.engine.correction import Done
from vdenoise.engine.denoise import denoise_and_tell
from vdenoise.engine.plan import Plan
from vdenoise.engine.planning import check_film_grain
from vdenoise.engine.steps import QUEUE_FRAMES
from vdenoise.engine.streams import Ahead, Shots, Sink
from vdenoise.filmgrain.table import GrainTable
from vdenoise.media.av1.grain import GrainBits
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.media.movie.tag import RecipeTag
from vdenoise.media.reader import Reader
from vdenoise.media.side_outputs import gray
from vdenoise.media.verify import Report
from vdenoise.media.writer import ClipWriter, open_writer
from vdenoise.noise.removed import removed_noise
from vdenoise.picture.frame import ClipInfo, PixelFormat, SourceFrame
from vdenoise.picture.noise import NoiseProfile
from vdenoise.settings.choices import OnBadFrame
from vdenoise.stages.control.guards import Tally

Watch = Callable[[Done], None]


class Progress(Protocol):
    """Who is told how far a run is. Called from the thread that runs it."""

    def start(self, phase: str, frames: int, *, unit: str = "fps") -> None:
        """A pass over ``frames`` frames, or other things done at so many ``unit``, begins."""
        ...

    def advance(self, busy: dict[str, float]) -> None:
        """One frame more is done; ``busy`` holds seconds of work so far, by kind."""
        ...


class Stopwatch:
    """Seconds of work by kind: decode, denoise, encode. Each kind is one thread's."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def busy(self, kind: str) -> Iterator[None]:
        """Count the time spent inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[kind] = self.seconds.get(kind, 0.0) + time.perf_counter() - start

    def reading(self, frames: Iterable[SourceFrame], kind: str) -> Iterator[SourceFrame]:
        """Count the time that ``frames`` takes to deliver."""
        source = iter(frames)
        while True:
            with self.busy(kind):
                frame = next(source, None)
            if frame is None:
                return
            yield frame
            del frame


@dataclass(frozen=True)
class Result:
    """What a run did."""

    frames: int
    seconds: float
    busy: dict[str, float]  # seconds of work by kind
    bad_frames: tuple[int, ...]
    report: Report
    guards: Mapping[str, float] = field(default_factory=dict)  # what the guards saw and did
    masks: Mapping[str, float] = field(default_factory=dict)  # percent of the picture, by name


def run(
    plan: Plan,
    profile: NoiseProfile,
    cuts: tuple[int, ...],
    progress: Progress,
    *,
    on_bad_frame: OnBadFrame = "fail",
    overwrite: bool = False,
    threads: int | None = None,
    segment: bool = False,
    watch: Watch | None = None,
    tag: RecipeTag | None = None,
    settled: Callable[[], None] | None = None,
) -> Result:
    """Denoise a clip: read, compute, write, check, rename.

    Whatever ends it early - an error in any thread, a signal - nothing is left under the final
    names and every thread has ended. The first error is raised.

    Args:
        plan: what to do.
        profile: measured noise of the clip.
        cuts: first frame of every shot but the first.
        progress: told of every frame written.
        on_bad_frame: ``fail`` or ``repeat``.
        overwrite: replace existing outputs.
        threads: decoder threads, None for one per core.
        segment: write a segment: the picture alone, which is checked when segments are joined.
        watch: is shown every frame that is written, before it is.
        tag: of the recipe that the clip is made by, for its container.
        settled: is called when all is written, before anything is checked and gets its name; what
            it raises ends the run.
    """
    started = time.perf_counter()
    if not segment:
        check_film_grain(plan)
    shots = Shots(plan.info.readable, tuple(c for c in cuts if c < plan.info.readable))
    first, last = plan.source_range(shots)
    clock, tally = Stopwatch(), Tally()
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(
            Reader(
                plan.info,
                first=first,
                last=last,
                threads=threads,
                on_bad_frame=on_bad_frame,
                deinterlace=plan.interlaced == "deinterlace",
            )
        )

        outputs = _Outputs(plan, reader.info, stack, overwrite=overwrite, segment=segment, tag=tag)

        def write(done: Done) -> None:
            with clock.busy("encode"):
                outputs.write(done, shots)

        progress.start("denoise", plan.frames)
        decoded = clock.reading(reader, "decode")
        with (
            Ahead(decoded, QUEUE_FRAMES, "decode") as ahead,
            Sink(write, QUEUE_FRAMES, "encode") as sink,
        ):
            source = clock.reading(ahead, "wait")
            with contextlib.closing(denoise_and_tell(source, plan, profile, shots)) as results:
                while True:
                    with clock.busy("compute"):
                        done = next(results, None)
                    if done is None:
                        break
                    tally.add(done[2], done[0].index)
                    if watch is not None:
                        with clock.busy("watch"):
                            watch(done)
                    sink.put(done._replace(repaired=None))  # nothing waits for it
                    del done
                    progress.advance(_busy(clock))
    report = outputs.commit(settled, check=not segment)
    return Result(
        frames=len(plan.positions),
        seconds=time.perf_counter() - started,
        busy=_busy(clock),
        bad_frames=tuple(reader.bad),
        report=report,
        guards=tally.guards(),
        masks=tally.masks(),
    )


class _Outputs:
    """Everything that a run writes: the clip, and what was asked for beside it.

    Args:
        plan: what to do.
        info: the frames as they are read.
        stack: what closes the writers, or aborts them after an error.
        overwrite: replace existing outputs.
        segment: the picture alone, without the other streams.
        tag: for the clip's container; what is written beside it has none.
    """

    def __init__(
        self,
        plan: Plan,
        info: ClipInfo,
        stack: contextlib.ExitStack,
        *,
        overwrite: bool,
        segment: bool,
        tag: RecipeTag | None,
    ) -> None:
        def opened(
            like: ClipInfo,
            target: Path,
            encode: EncodeSettings,
            streams: Path | None = None,
            grain: GrainBits | None = None,
            tag: RecipeTag | None = None,
        ) -> ClipWriter:
            writer = open_writer(
                like, target, encode, source=streams, positions=plan.positions,
                overwrite=overwrite, grain=grain, tag=tag,
            )  # fmt: skip
            self._writers.append(writer)
            return stack.enter_context(writer)

        self._writers: list[ClipWriter] = []
        stack.push(self._after_all)
        self._format, self._grain_path = plan.info.format, plan.grain_table
        drawn = None if segment else plan.film_grain
        self._table: GrainTable | None = None
        if drawn is not None or plan.grain_table is not None:
            self._table = GrainTable(
                plan.info, plan.encode.pixel_format, plan.encode.written,
                seed=plan.seed, share=drawn or 0.0,
            )  # fmt: skip
        grain = None if self._table is None or drawn is None else self._table.bits
        streams = None if segment else plan.info.path
        self._clean = opened(info, plan.output, plan.encode, streams, grain, tag)
        self._removed: tuple[ClipWriter, PixelFormat] | None = None
        if plan.noise_out is not None and plan.noise_encode is not None:
            writer = opened(info, plan.noise_out, plan.noise_encode)
            self._removed = writer, plan.noise_encode.pixel_format
        self._views = [
            (view.kind, opened(gray(info), view.path, view.encode)) for view in plan.views
        ]

    def _after_all(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Where the last writer to end fails, those that ended before it go as well."""
        if error is not None:
            for writer in self._writers:
                writer.abort()

    def write(self, done: Done, shots: Shots) -> None:
        """Write what there is of a frame."""
        source, planes, found, _ = done
        if self._table is not None:
            self._table.push(source, planes, shots.of(source.index))
        self._clean.write(source, planes)
        if self._removed is not None:
            writer, fmt = self._removed
            writer.write(source, removed_noise(source.planes, planes, self._format, fmt))
        for kind, writer in self._views:
            writer.write(source, (_gray_codes(found.picture(kind)),))

    def commit(self, settled: Callable[[], None] | None, *, check: bool) -> Report:
        """Check every file, then give each its name, the clip last; after an error none of the
        rest."""
        beside = [writer for _, writer in self._views]
        if self._removed is not None:
            beside.append(self._removed[0])
        try:
            if settled is not None:
                settled()
            if check:
                for writer in self._writers:
                    writer.check()
            for writer in beside:
                writer.commit(check=check)
            if self._table is not None and self._grain_path is not None:
                self._table.save(self._grain_path)
            return self._clean.commit(check=check)
        except BaseException:
            for writer in self._writers:
                writer.abort()
            raise


def _gray_codes(view: Tensor | None) -> Tensor:
    """(1, 1, H, W) in [0, 1] as codes (H, W) of `vdenoise.media.side_outputs.GRAY`, full range."""
    assert view is not None, "a stage shows what somebody wants to see"
    return (view[0, 0].clamp(0, 1) * 65535).round_().to(torch.int32).to(torch.uint16).cpu()


def _busy(clock: Stopwatch) -> dict[str, float]:
    """Seconds of work: what the computing thread spent waiting for frames is none."""
    seconds = clock.seconds
    return {
        "decode": seconds.get("decode", 0.0),
        "denoise": seconds.get("compute", 0.0) - seconds.get("wait", 0.0),
        "encode": seconds.get("encode", 0.0),
    }
