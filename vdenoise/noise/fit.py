"""From the blocks of a shot's samples to its `ShotNoise`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor

from vdenoise.noise.bands import band_sizes
from vdenoise.noise.bars import Bars
from vdenoise.noise.between import between
from vdenoise.noise.cells import beside
from vdenoise.noise.colored import chroma_is_noisy_everywhere
from vdenoise.noise.evidence import LeftOut, evidence
from vdenoise.noise.followed import DOUBTFUL, LOST, MOSTLY, dependence, read_better_alone
from vdenoise.noise.levels import look_up, variance_by_level
from vdenoise.noise.pairs import PlaneBlocks
from vdenoise.noise.places import Seen, Strength, strength
from vdenoise.noise.quietest import variance_of_quietest
from vdenoise.noise.spectrum import as_rows, plausible, spectrum_of
from vdenoise.noise.still import CellChange, still_areas
from vdenoise.picture.areas import to_text
from vdenoise.picture.noise import PlaneNoise, ShotNoise

_FEW = 100  # blocks: with fewer the reading is uncertain by 5 % or more
_TINY = 1e-14
_HARDLY = 0.15**2  # of the noisiest place's energy: less is no evidence of noise
_SPEAKING = 0.15  # share of the blocks where there is noise, which may speak for all of them
_VISIBLE = 0.6 / 255  # standing noise below this is rounding
_MANY = 300  # blocks that it takes to tell standing noise from texture
_STANDING = 1.3  # sum / difference in flat blocks above which noise may stand still
_FLATTEST = (0.05, 0.25)  # quantiles of the sums' energies ...
_ALIKE = 1.6  # ... and the largest ratio of the two for noise: texture differs more


# What tells of the noise: most differences of pairs of frames, the quietest of them, or flat areas
# of single frames
Reading = Literal["pairs", "quietest", "single"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One measured frame: each plane's blocks, None where the plane is too small."""

    index: int
    planes: tuple[PlaneBlocks | None, ...]
    left_out: LeftOut  # of luma
    size: tuple[int, int]  # height and width of the picture
    change: CellChange | None  # from the frame before; None: measured alone


@dataclass(frozen=True, eq=False)
class PlaneFit:
    """A plane's noise and what speaks for it."""

    noise: PlaneNoise
    correlation: float
    blocks: float
    reasons: tuple[str, ...]


def fit_shot(
    first: int,
    last: int,
    pairs: Sequence[Sample],
    stills: Sequence[Sample],
    repeats: int,
    bars: Bars,
    roughness: Mapping[int, float],
) -> ShotNoise | None:
    """Noise of a shot from its pairs of frames; from single frames where it has none, or where the
    motion between them was lost and single frames hold far less.

    Args:
        first, last: its frames.
        pairs: samples of frames compared with the one before.
        stills: samples of single frames.
        repeats: how many of its frames show the one before again.
        bars: of the shot.
        roughness: of each of its frames.

    Returns:
        None where nothing could be measured.
    """
    pairs = [s for s in pairs if s.planes[0] is not None]
    if not pairs:
        why = "no two different frames to compare: read from flat areas of single frames"
        return _put_together(
            first, last, stills, [], repeats, bars, Strength(None, None), "single", why
        )
    here = _strength(pairs, roughness)
    changes = [s.change for s in pairs if s.change is not None]

    def read(samples: Sequence[Sample], at: Strength, how: Reading, why: str) -> ShotNoise | None:
        return _put_together(first, last, samples, changes, repeats, bars, at, how, why)

    found = read(pairs, here, "pairs", "")
    luma = [b for s in pairs if (b := s.planes[0])]
    noisy = [here.tells(b.place, pairs[0].size) for b in luma]
    together = dependence(luma, noisy, pairs[0].size)
    if found is None or together.most < LOST:
        return found
    most = found.y
    # Places are told apart by the finest bands: where those are lost, too, so are the places
    there = replace(here, cells=None) if together.fine >= LOST else here
    if together.fine >= DOUBTFUL and there.moments is None:  # else they may be a moment's own
        why = "motion that was lost in much of the picture: read from the quietest of it"
        quietest = read(pairs, there, "quietest", why)
        if quietest and quietest.y.codes < found.y.codes:
            found = quietest if together.fine >= MOSTLY else between(quietest, found)
    why = "motion that nothing could follow: read from flat areas of single frames"
    alone = read(stills, there, "single", why)
    better = "no" if alone is None else read_better_alone(most, found.y, alone.y, together)
    if alone is None or better == "no":
        return found
    return alone if better == "yes" else between(found, alone)


def _put_together(
    first: int,
    last: int,
    samples: Sequence[Sample],
    changes: Sequence[CellChange],
    repeats: int,
    bars: Bars,
    here: Strength,
    reading: Reading,
    why: str,
) -> ShotNoise | None:
    """`fit_shot`, of noise that is as strong as ``here`` says; ``why`` it is not read from pairs.
    ``changes`` from frame to frame tell what stands still."""
    if not samples:
        return None
    fits = []
    for plane in range(len(samples[0].planes)):
        seen = [(b, s) for s in samples if (b := s.planes[plane]) is not None]
        relative = [here.at(b.place, s.size, s.index) for b, s in seen]
        telling = [here.tells(b.place, s.size) for b, s in seen]
        blocks = [b for b, _ in seen]
        fits.append(_fit(blocks, relative, telling, reading) if seen else None)
    luma = fits[0]
    if luma is None:
        return None
    # A chroma plane smaller than a block: nothing is known of it, nothing is taken away.
    zero = PlaneNoise.white(0.0)
    planes = [zero if f is None else f.noise for f in fits]
    still = still_areas(changes, torch.tensor(luma.noise.sigma).square(), bars)
    cells = here.cells if still is None else beside(here.cells, still)
    told = evidence([s.left_out for s in samples])
    impulses = torch.cat([b.impulses[b.chosen] for s in samples if (b := s.planes[0]) is not None])
    reasons = list(luma.reasons)
    if why:
        reasons.append(why)
    if luma.blocks < _FEW:
        reasons.append(f"only {luma.blocks:.0f} blocks could be used")
    confidence = min(1.0, luma.blocks / _FEW) * 0.7 ** len(reasons)
    return ShotNoise(
        first=first,
        last=last,
        y=planes[0],
        cb=planes[1] if len(planes) == 3 else None,
        cr=planes[2] if len(planes) == 3 else None,
        temporal_correlation=luma.correlation,
        impulse_rate=impulses.mean().item(),
        repeat_share=repeats / max(last - first, 1),
        confidence=round(confidence, 3),
        reasons=tuple(reasons),
        measured_share=round(told.share, 3),
        left_out=told.left_out,
        bars=bars,
        places=() if cells is None else _rounded(cells),
        still="" if still is None else to_text(still.areas),
        moments=here.moments or (),
    )


def _strength(pairs: Sequence[Sample], roughness: Mapping[int, float]) -> Strength:
    """How strong noise is where and when, by luma; everywhere alike if both chroma planes are."""
    luma, *chroma = (
        [(b, s.size, s.index) for s in pairs if (b := s.planes[plane]) and b.odd is not None]
        for plane in range(len(pairs[0].planes))
    )
    drawn = {s.index: s.left_out.drawn for s in pairs}
    seen = [Seen(index, blocks, drawn[index]) for blocks, _, index in luma]
    found = strength(seen, pairs[0].size, roughness)
    if chroma and all(chroma_is_noisy_everywhere(found, plane) for plane in chroma):
        return replace(found, cells=None)
    return found


def _rounded(cells: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(value, 3) for value in row) for row in cells.tolist())


def _fit(
    blocks: Sequence[PlaneBlocks],
    relative: Sequence[Tensor],
    telling: Sequence[Tensor],
    reading: Reading,
) -> PlaneFit:
    """A plane's noise, from blocks whose sigma is ``relative`` to that of the noisiest.

    Those that are ``telling`` speak for all, where they are enough.
    """
    share = torch.cat([r.square() for r in relative]).float()
    there = share > _HARDLY
    if not there.any():  # all that was seen of the plane lies where there is none
        return PlaneFit(PlaneNoise.white(0.0), 0.0, float(len(share)), ())
    noisy = there & torch.cat(list(telling))
    if noisy.sum() < _SPEAKING * there.sum():
        noisy = there
    levels, shares = torch.cat([b.level for b in blocks])[there], share[there]
    share = share[noisy]
    level = torch.cat([b.level for b in blocks])[noisy]
    even = torch.cat([b.even for b in blocks])[noisy] / share[:, None]
    single, odd = reading == "single", even
    if not single:
        odd = torch.cat([b.odd for b in blocks if b.odd is not None])[noisy] / share[:, None]
    if reading == "quietest":
        curve, bands, used = variance_of_quietest(level, odd)
    else:
        curve, bands, used = variance_by_level(level, even, odd, single=single)
    if single:
        bands = plausible(bands)

    starts = [0, *accumulate(len(b.level) for b in blocks)]
    chosen = torch.cat([b.chosen + start for b, start in zip(blocks, starts, strict=False)])
    kept = [b.even_spectrum if single else b.odd_spectrum for b in blocks]
    squares = torch.cat([k for k in kept if k is not None])[noisy[chosen]]
    chosen = (noisy.cumsum(0) - 1)[chosen[noisy[chosen]]]
    squares = squares / share[chosen][:, None, None]
    here = look_up(curve, level[chosen]).clamp(min=_TINY)
    spectrum = spectrum_of(squares / here[:, None, None], odd[chosen] / here[:, None], bands)

    variance = curve * spectrum.mean()
    reasons: list[str] = []
    correlation = 0.0 if single else _standing(even, odd)
    if correlation > 0:
        variance = variance / (1 - correlation)
        reasons.append("part of the noise stands still from frame to frame")
    noise = PlaneNoise(
        sigma=tuple(variance.clamp(min=0).sqrt().tolist()),
        mean_sigma=(look_up(variance, levels) * shares).mean().clamp(min=0).sqrt().item(),
        spectrum=as_rows(spectrum),
    )
    return PlaneFit(noise, correlation, used.float().mean().item() * len(level), tuple(reasons))


def _standing(even: Tensor, odd: Tensor) -> float:
    """Lag-1 correlation r of the noise, 0 where it cannot be told from texture.

    In flat blocks the sum's energy is (1 + r) and the difference's (1 - r) times the noise's.
    Texture raises the sum as well, but differently in each block, and less in fine bands than in
    coarse ones: the band that shows the least of it counts.
    """
    sizes = band_sizes()
    sizes[0] = 0  # smooth shading is in the coarsest band
    total = even @ sizes / sizes.sum()
    flattest, flat = total.quantile(torch.tensor(_FLATTEST))
    if len(total) < _MANY or flattest < _VISIBLE**2 or flat > _ALIKE * flattest:
        return 0.0
    chosen = total <= _ALIKE * flattest
    standing, changing = even[chosen].mean(0), odd[chosen].mean(0).clamp(min=_TINY)
    ratio = (standing / changing)[1:].min().item()
    return (ratio - 1) / (ratio + 1) if ratio > _STANDING else 0.0
