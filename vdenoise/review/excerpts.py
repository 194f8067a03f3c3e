"""Chosen frames of a clip, or a region of them, exactly as a run writes them: same plan, same
neighbors, same seed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from torch import Tensor

from vdenoise.chain.resolve import Chain
from vdenoise.engine.correction import Done
from vdenoise.engine.denoise import Check, denoise_and_tell
from vdenoise.engine.interlacing import progressive
from vdenoise.engine.plan import Plan, View
from vdenoise.engine.planning import plan_denoising
from vdenoise.engine.remembered import Remembered
from vdenoise.engine.streams import Shots
from vdenoise.engine.tiles import Area
from vdenoise.media.movie.settings import choose
from vdenoise.picture.findings import StageFindings
from vdenoise.picture.frame import ClipInfo, SourceFrame
from vdenoise.review.decoded import Decoded
from vdenoise.review.near_cuts import NearCuts
from vdenoise.review.survey import Survey
from vdenoise.workflows.request import ClipRequest

KEPT = 8  # stretches of frames of which is kept what was found out, for another look


@dataclass(frozen=True, eq=False)
class Excerpt:
    """One frame before and after.

    Attributes:
        source: as decoded; ``source.planes`` have the clip's own format.
        planes: the samples a run writes, in the output's format (`Plan.encode.pixel_format`).
        findings: what stages found: ``confidence``, and the masks' ``mask`` where asked for.
        stages: what each stage left, in order: its name and planes as if it were the last one.
    """

    source: SourceFrame
    planes: tuple[Tensor, ...]
    findings: StageFindings
    stages: tuple[tuple[str, tuple[Tensor, ...]], ...] = ()

    @property
    def index(self) -> int:
        """Absolute frame number."""
        return self.source.index


def excerpt_plan(request: ClipRequest, info: ClipInfo, chain: Chain, *, mask: bool = False) -> Plan:
    """The plan of a run, of which some frames are to be shown. Nothing is claimed or written.

    Args:
        request: as for a run; its output says in which format samples are shown.
        info: the clip.
        chain: what to do, the noise known.
        mask: whether `Excerpt.findings` is to hold what the masks come to.

    Raises:
        UsageError: something that was said cannot be done.
        DeviceError: there is no such device.
        MemoryShort: not even the smallest tile fits.
    """
    source = progressive(info) if request.reading.deinterlace else info
    encode = choose(
        source, request.output, codec=request.codec, crf=request.crf, bit_depth=request.bit_depth
    )
    return plan_denoising(
        info,
        chain,
        request.output,
        encode,
        frames=(0, info.readable - 1),
        device=request.device,
        interlaced=request.reading.interlaced,
        seed=request.seed,
        dither=request.dither,
        views=(View("mask", request.output, encode),) if mask else (),
    )


@dataclass(eq=False)
class Excerpts:
    """Frames of one clip, looked at again and again: what was decoded and the motion are kept, and
    of the frame that was looked at last what each stage left of it.

    Args:
        decoded: the frames of the clip.
        survey: what is known of it.
    """

    decoded: Decoded
    survey: Survey
    _cuts: NearCuts = field(init=False)
    _known: dict[tuple[int, int, float, int], Remembered] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._cuts = NearCuts(self.decoded, self.survey.cuts)

    def looks(
        self,
        plan: Plan,
        frames: Sequence[int],
        *,
        only: Area | None = None,
        stages: bool = False,
        check: Check | None = None,
    ) -> Iterator[Excerpt]:
        """Frames as a run of ``plan`` writes them, in ascending order.

        Args:
            plan: from `excerpt_plan`.
            frames: their numbers; neighbors are computed together.
            only: luma pixels that are wanted, for less work; outside of them the samples mean
                nothing. None is the whole picture.
            stages: whether to tell what each stage left as well.
            check: is called before each piece of work; what it raises ends all.

        Raises:
            InputError: they cannot be read.
        """
        for first, last in _stretches(sorted(set(frames))):
            part = replace(plan, first=first, last=last, chosen=None)
            yield from self._part(part, only, stages=stages, check=check)

    def _part(
        self,
        plan: Plan,
        only: Area | None,
        *,
        stages: bool,
        check: Check | None,
    ) -> Iterator[Excerpt]:
        left: dict[int, list[tuple[str, tuple[Tensor, ...]]]] = {}

        def heard(name: str, done: Done) -> None:
            left.setdefault(done[0].index, []).append((name, done[1]))

        shots = self._cuts.shots(plan, check)
        sources = _checked(self.decoded.frames(*plan.source_range(shots)), check)
        with contextlib.closing(
            denoise_and_tell(
                sources,
                plan,
                self.survey.profile,
                shots,
                only=only,
                known=self._known_about(plan, shots),
                heard=heard if stages else None,
                check=check,
            )
        ) as results:
            for source, planes, found, _ in results:
                yield Excerpt(source, planes, found, tuple(left.pop(source.index, ())))

    def _known_about(self, plan: Plan, shots: Shots) -> Remembered:
        """Motion follows from the frames and their noise, not from what is done with them; what
        stages left is kept of the frames that were looked at last."""
        noise = self.survey.profile.at(shots.of(plan.first)[0])
        key = plan.first, plan.last, plan.chain.noise.sigma_scale, noise.first
        found = self._known.pop(key, None) or Remembered()
        for other in self._known.values():
            other.forget_results()
        self._known[key] = found  # the last one is the one used last
        while len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        return found


def _checked(frames: Iterator[SourceFrame], check: Check | None) -> Iterator[SourceFrame]:
    for frame in frames:
        if check is not None:
            check()
        yield frame


def _stretches(frames: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    breaks = [n for n, (a, b) in enumerate(pairwise(frames), 1) if b != a + 1]
    for start, end in pairwise([0, *breaks, len(frames)]):
        if end > start:
            yield frames[start], frames[end - 1]
