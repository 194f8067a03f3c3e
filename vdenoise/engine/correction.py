"""Where a frame enters the chain and where it leaves it: output = source + correction.

Stages work on a float copy of the frames; what they changed, times the share asked for, is added
to the decoded samples and rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from vdenoise.engine.plan import Plan
from vdenoise.masks.files import Mattes, Planes
from vdenoise.noise.bars import BENT_PURE, PURE, Bars, without_bars
from vdenoise.picture.block import Signal
from vdenoise.picture.color import lift
from vdenoise.picture.findings import StageFindings
from vdenoise.picture.frame import SourceFrame
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise import NoiseProfile
from vdenoise.picture.samples import apply_correction
from vdenoise.picture.subsampling import resize_to


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame on its way through the chain."""

    source: SourceFrame
    original: Picture[Tensor]  # (1, 1, H, W) and (1, 2, h, w) before any stage
    repaired: Picture[Tensor]  # what denoisers take for the original
    picture: Picture[Signal]  # as the last stage left it
    averaged: Picture[Signal] | None = None  # after the temporal stage
    clean: Picture[Tensor] | None = None  # once everything that removes is done
    present: Tensor | None = None  # (1, 1, H, W) share of the profile's noise; None: all of it
    mattes: tuple[Planes, ...] = ()  # masks from files, as decoded
    findings: StageFindings = field(default_factory=StageFindings)  # of its stages

    @property
    def index(self) -> int:
        """Absolute frame number."""
        return self.source.index


class Done(NamedTuple):
    """A finished frame.

    Attributes:
        source: as decoded.
        planes: its new samples, in the output's pixel format.
        findings: what stages found in it.
        repaired: (1, H, W) and (2, h, w): the source as its repairs left it, which is what a result
            is to be judged against; None where nothing is repaired.
    """

    source: SourceFrame
    planes: tuple[Tensor, ...]
    findings: StageFindings
    repaired: Picture[Tensor] | None = None


def lift_frame(source: SourceFrame, plan: Plan, profile: NoiseProfile, mattes: Mattes) -> Frame:
    """Take a decoded frame into the chain, as its first stage finds it, on the plan's device."""
    with torch.inference_mode():
        original = lift(source, plan.info, plan.device).map(lambda planes: planes[None])
        luma = original.luma
        size = (luma.shape[-2], luma.shape[-1])
        present = profile.at(source.index).present(source.index, size, luma.device)
        return Frame(
            source=source,
            original=original,
            repaired=original,
            picture=original.map(lambda pixels: _noisy(pixels, present)),
            present=present,
            mattes=mattes.read(source),
        )


def _noisy(pixels: Tensor, present: Tensor | None) -> Signal:
    """A signal with all of its noise. A map of ones takes no memory yet."""
    if present is not None:
        return Signal(pixels, resize_to(present, pixels))
    one = pixels.new_ones(()).expand(1, 1, *pixels.shape[-2:])
    return Signal(pixels, one)


def adopt_repairs(frame: Frame) -> Frame:
    """Make the repaired picture the original of all that follows, once damage is out, so that
    nothing takes it back for being unlike the film."""
    return replace(frame, repaired=frame.picture.map(lambda signal: signal.pixels))


def adopt_cleaning(frame: Frame, plan: Plan) -> Frame:
    """Make the picture what finishing starts from, once everything that removes is done.

    A plane of which no noise is to be removed is the repaired original's own; where masks protect,
    nothing is repaired either.
    """

    def kept(n: int) -> Signal:
        before, after = frame.original.planes[n], frame.repaired.planes[n]
        signal = frame.picture.planes[n] if plan.touches[n] else _noisy(after, frame.present)
        return _protected(signal, before, after, frame)

    picture = Picture.of([kept(n) for n in range(len(frame.picture.planes))])
    clean = picture.map(lambda signal: signal.pixels)
    return replace(frame, picture=picture, averaged=None, clean=clean)


def _protected(signal: Signal, before: Tensor, after: Tensor, frame: Frame) -> Signal:
    """Repairs, from ``before`` to ``after``, taken back where masks let no work be done."""
    gate = frame.findings.gate
    if gate is None or after is before:
        return signal
    back = (1 - resize_to(gate, before)) * (after - before)
    return Signal(signal.pixels - back, signal.residual)


def finish_frame(frame: Frame, plan: Plan, profile: NoiseProfile) -> Done:
    """Add what the chain changed to the source samples, which is nothing in bars."""
    with torch.inference_mode():
        residual = frame.picture.luma.residual
        if frame.present is not None:
            residual = torch.where(frame.present > 0, residual / frame.present.clamp(min=1e-6), 0.0)
        found = replace(frame.findings, confidence=1 - residual)
        if found.invented is not None and found.amount is not None:  # dials came after it
            kept = found.amount * found.shares.get("regrow", 1.0)
            found = replace(found, invented=found.invented * kept)
        bars = Bars(*profile.at(frame.index).bars)
        repaired = _repaired(frame, plan, bars) if plan.repairs else None
        return Done(frame.source, _corrected(frame, plan, bars), found, repaired)


def _repaired(frame: Frame, plan: Plan, bars: Bars) -> Picture[Tensor]:
    """The source and what its repairs changed: nothing in bars, nor where masks protect."""
    luma, pure = frame.original.luma, _pure(plan)

    def mended(before: Tensor, after: Tensor) -> Tensor:
        kept = _protected(_noisy(after, None), before, after, frame).pixels
        change = _correction(kept, before, luma, bars, pure)
        return before[0] if change is None else before[0] + change

    return frame.original.pair(frame.repaired, mended)


def _pure(plan: Plan) -> float:
    return PURE if plan.info.curve is None else BENT_PURE


def _corrected(frame: Frame, plan: Plan, bars: Bars) -> tuple[Tensor, ...]:
    info = plan.info
    luma = frame.original.luma
    pure = _pure(plan)
    changes = _masked(frame).pair(
        frame.original, lambda now, before: _correction(now, before, luma, bars, pure)
    )
    planes = apply_correction(
        [plane.to(plan.device) for plane in frame.source.planes],
        *changes,
        info.format,
        info.full_range,
        out=plan.encode.pixel_format,
        dither_seed=(plan.seed, frame.index) if plan.dithered else None,
        chroma_location=info.chroma_location,
        curve=info.curve,
        limit=plan.chain.output.limit,
    )
    return tuple(plane.cpu() for plane in planes)


def _masked(frame: Frame) -> Picture[Tensor]:
    """The pixels of a finished frame: what finishing did goes only where masks let work be done."""
    now = frame.picture.map(lambda signal: signal.pixels)
    gate = frame.findings.gate
    if gate is None or frame.clean is None or now.luma is frame.clean.luma:
        return now
    return now.pair(frame.clean, lambda x, start: start + resize_to(gate, x) * (x - start))


def _correction(
    pixels: Tensor, before: Tensor, luma: Tensor, bars: Bars, pure: float
) -> Tensor | None:
    """(C, H, W), or None where nothing changes: those planes are not touched at all."""
    return None if pixels is before else without_bars(pixels[0] - before[0], luma, bars, pure)
