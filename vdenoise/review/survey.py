"""What must be known of a clip before any of its frames can be shown, from no more of it than that
takes: all of a short clip, as a run measures it; of a long one a few stretches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from vdenoise.chain.preset_files import DEFAULT
from vdenoise.chain.request import ChainRequest
from vdenoise.chain.resolve import Chain
from vdenoise.engine.run import Progress
from vdenoise.media.movie.index import index_of
from vdenoise.noise.estimate import Analysis
from vdenoise.picture.color import lift
from vdenoise.picture.frame import ClipInfo, SourceFrame
from vdenoise.picture.noise import NoiseProfile, ShotNoise
from vdenoise.review.decoded import Decoded
from vdenoise.review.spots import Scout, Spot
from vdenoise.workflows.measure import ClipAnalyzer
from vdenoise.workflows.propose import propose
from vdenoise.workflows.request import Knowledge

WHOLE_PIXELS = 400_000_000  # of all frames: up to this a clip is measured whole, as a run does
STRETCHES, LENGTH = 4, 3  # of a longer clip: so many stretches of so many frames are measured


@dataclass(frozen=True)
class Survey:
    """What is known of a clip.

    Attributes:
        profile: its noise.
        cuts: first frames of the shots but the first; None where not all of them are known.
        spots: where it is hard to denoise; empty where nothing had to be looked at.
        whole: every frame was looked at (or noise and cuts were given): what a run would know.
        proposed: what ``auto`` does differently for this noise.
        notes: what was found, for people.
        another: the preset that is made for such noise; None where that is ``auto``.
    """

    profile: NoiseProfile
    cuts: tuple[int, ...] | None
    spots: tuple[Spot, ...]
    whole: bool
    proposed: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    another: str | None = None

    def chain(self, asked: ChainRequest) -> Chain:
        """The chain as it is once the noise is known."""
        return asked.after(self.proposed)


def survey(
    decoded: Decoded,
    known: Knowledge,
    window: tuple[int, int],
    progress: Progress,
    *,
    wanted: Sequence[int] = (),
    spots: bool = True,
) -> Survey:
    """Look at a clip: its noise, its cuts, and where it is hard.

    Args:
        decoded: the frames of the clip.
        known: what is known beforehand.
        window: height and width of a spot, luma pixels.
        progress: told of every frame that is looked at.
        wanted: frames that will be shown.
        spots: whether hard spots are looked for; else only ``wanted`` frames are.

    Raises:
        InputError: the clip cannot be read.
        UsageError: what is known does not fit the clip.
    """
    info = decoded.info
    profile, cuts = known.noise(info), known.first_frames(info)
    count = info.readable
    whole = info.width * info.height * count <= WHOLE_PIXELS
    given = profile is not None and cuts is not None
    if whole and not given:
        stretches = [range(count)]
    elif given and not spots:
        stretches = []
    else:
        stretches = _stretches(info, wanted, sampled=spots or profile is None)
    scout = Scout((info.height, info.width), window)
    progress.start("look", sum(len(stretch) for stretch in stretches))
    found = [_analysis(decoded, stretch, scout, cuts, progress) for stretch in stretches]
    may_be_cuts = cuts
    if may_be_cuts is None:
        may_be_cuts = tuple(sorted({cut for one in found for cut in one.cuts}))
    proposed: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    another: str | None = None
    if profile is None:
        profile = joined([one.profile for one in found], count)
        proposal = propose(profile, info)
        proposed = proposal.values
        notes = (*dict.fromkeys(n for one in found for n in one.notes),)
        notes += (f"measured: {'; '.join(proposal.reasons)}",)
        if proposal.preset != DEFAULT:
            another = proposal.preset
            notes += (f"another choice for such footage: --preset {another}",)
    looked = tuple(scout.spots(count, may_be_cuts)) if spots else ()
    asked = tuple(scout.asked(frame) for frame in wanted)
    if cuts is None and whole:
        cuts = may_be_cuts
    return Survey(profile, cuts, (*asked, *looked), whole or given, proposed, notes, another)


def _stretches(info: ClipInfo, wanted: Sequence[int], *, sampled: bool) -> list[range]:
    """Where to measure: at what is wanted, and about evenly over the clip."""
    count, index = info.readable, index_of(info)
    pieces = [(max(frame - 1, 0), min(frame + LENGTH - 1, count)) for frame in wanted]
    if sampled:
        step = (count - LENGTH) / (STRETCHES - 1)
        starts = [round(n * step) for n in range(STRETCHES)] if count > LENGTH else [0]
        starts = [index.soonest(start, LENGTH) for start in starts]
        pieces += [(start, min(start + LENGTH, count)) for start in starts]
    return _merged(pieces)


def _merged(pieces: Sequence[tuple[int, int]]) -> list[range]:
    """Stretches (first, end) in order, those that touch as one."""
    joined: list[tuple[int, int]] = []
    for first, end in sorted(pieces):
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((first, end))
    return [range(first, end) for first, end in joined]


def _analysis(
    decoded: Decoded,
    stretch: range,
    scout: Scout,
    cuts: Sequence[int] | None,
    progress: Progress,
) -> Analysis:
    info = decoded.info
    analyzer = ClipAnalyzer(info, cuts)
    with torch.inference_mode():
        for frame in _told(decoded.frames(stretch[0], stretch[-1]), progress):
            luma, chroma = lift(frame, info)
            analyzer.push(frame)
            scout.push(frame.index, luma, chroma)
    return analyzer.finish()


def _told(frames: Iterator[SourceFrame], progress: Progress) -> Iterator[SourceFrame]:
    for frame in frames:
        yield frame
        progress.advance({})


def joined(profiles: Sequence[NoiseProfile], count: int) -> NoiseProfile:
    """One profile for all of a clip: between two stretches each reaches half way, and where
    nothing could be measured the nearest one that could counts."""
    if len(profiles) == 1:
        return profiles[0]
    source = profiles[0].source
    shots, bottom = (
        _reaching([shot for one in profiles for shot in getattr(one, name)], count)
        for name in ("shots", "bottom")
    )
    return NoiseProfile(source=source, shots=shots, bottom=bottom)


def _reaching(shots: Sequence[ShotNoise], count: int) -> tuple[ShotNoise, ...]:
    sure = [shot for shot in shots if shot.confidence > 0]
    found: list[ShotNoise] = []
    for n, shot in enumerate(shots):
        first = 0 if n == 0 else found[-1].last + 1
        last = count - 1
        if n + 1 < len(shots):
            behind = shots[n + 1].first
            last = shot.last if behind == shot.last + 1 else (shot.last + behind) // 2
        noise = shot
        if shot.confidence == 0 and sure:
            near = min(sure, key=lambda other: abs(other.first - shot.first))
            noise = near.model_copy(update={"places": (), "moments": (), "bars": shot.bars})
        found.append(noise.model_copy(update={"first": first, "last": last}))
    return tuple(found)
