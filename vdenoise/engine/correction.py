"""Where a frame enters the chain and where it leaves it: output = source + correction.

Stages work on a float copy of the frames; what they changed, times the share asked for, is added
to the decoded samples and rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from vdenoise.engine.plan import Plan
from vdenoise.masks.files import Mattes, Planes
from vdenoise.noise.bars import Bars, without_bars
from vdenoise.picture.color import lift
from vdenoise.picture.frame import Signal, SourceFrame
from vdenoise.picture.noise import NoiseProfile
from vdenoise.picture.samples import apply_correction
from vdenoise.picture.subsampling import resize_to


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame on its way through the chain."""

    source: SourceFrame
    lifted: tuple[Tensor, Tensor | None]  # (1, 1, H, W) and (1, 2, h, w) before any stage
    repaired: tuple[Tensor, Tensor | None]  # what denoisers take for the source
    luma: Signal  # of this one frame
    chroma: Signal | None
    averaged: tuple[Signal, Signal | None] | None = None  # after the temporal stage
    clean: tuple[Tensor, Tensor | None] | None = None  # once everything that removes is done
    present: Tensor | None = None  # (1, 1, H, W) share of the profile's noise; None: all of it
    mattes: tuple[Planes, ...] = ()  # masks from files, as decoded
    maps: Mapping[str, Tensor] = field(default_factory=dict)  # what stages have to show of it

    @property
    def index(self) -> int:
        """Absolute frame number."""
        return self.source.index


# A frame, its new samples in the output's pixel format, and what there is to see of it
Done = tuple[SourceFrame, tuple[Tensor, ...], Mapping[str, Tensor]]


def lifted(source: SourceFrame, plan: Plan, profile: NoiseProfile, mattes: Mattes) -> Frame:
    """A decoded frame as the first stage finds it, on the plan's device."""
    with torch.inference_mode():
        luma, chroma = lift(source, plan.info, plan.device)
        luma = luma[None]
        chroma = None if chroma is None else chroma[None]
        size = (luma.shape[-2], luma.shape[-1])
        present = profile.at(source.index).present(source.index, size, luma.device)
        return Frame(
            source=source,
            lifted=(luma, chroma),
            repaired=(luma, chroma),
            luma=_noisy(luma, present),
            chroma=None if chroma is None else _noisy(chroma, present),
            present=present,
            mattes=mattes.read(source),
        )


def _noisy(pixels: Tensor, present: Tensor | None) -> Signal:
    """A signal with all of its noise. A map of ones takes no memory yet."""
    if present is not None:
        return Signal(pixels, resize_to(present, pixels))
    one = pixels.new_ones(()).expand(1, 1, *pixels.shape[-2:])
    return Signal(pixels, one)


def repaired(frame: Frame) -> Frame:
    """Damage is out: what is in the picture now is the source to all that follows, so that nothing
    takes it back for being unlike the film."""
    return replace(
        frame,
        repaired=(frame.luma.pixels, None if frame.chroma is None else frame.chroma.pixels),
    )


def cleaned(frame: Frame, plan: Plan) -> Frame:
    """Everything that removes is done: what finishing starts from. A plane of which no noise is to
    be removed is the repaired source's own; where masks protect, nothing is repaired either."""
    of_luma, of_chroma = plan.touches
    luma = frame.luma if of_luma else _noisy(frame.repaired[0], frame.present)
    luma = _protected(luma, frame.lifted[0], frame.repaired[0], frame)
    chroma = frame.chroma
    if frame.lifted[1] is not None and frame.repaired[1] is not None and chroma is not None:
        chroma = chroma if of_chroma else _noisy(frame.repaired[1], frame.present)
        chroma = _protected(chroma, frame.lifted[1], frame.repaired[1], frame)
    clean = luma.pixels, None if chroma is None else chroma.pixels
    return replace(frame, luma=luma, chroma=chroma, averaged=None, clean=clean)


def _protected(signal: Signal, before: Tensor, after: Tensor, frame: Frame) -> Signal:
    """Repairs, from ``before`` to ``after``, taken back where masks let no work be done."""
    gate = frame.maps.get("gate")
    if gate is None or after is before:
        return signal
    back = (1 - resize_to(gate, before)) * (after - before)
    return Signal(signal.pixels - back, signal.residual)


def finished(frame: Frame, plan: Plan, profile: NoiseProfile) -> Done:
    """A frame behind the last stage: the source samples plus what the chain changed, which is
    nothing in bars."""
    with torch.inference_mode():
        residual = frame.luma.residual
        if frame.present is not None:
            residual = torch.where(frame.present > 0, residual / frame.present.clamp(min=1e-6), 0.0)
        maps = {**frame.maps, "confidence": 1 - residual}
        if "invented" in maps and "amount" in maps:  # dials and masks came after it
            maps["invented"] = maps["invented"] * maps["amount"]
        bars = Bars(*profile.at(frame.index).bars)
        return frame.source, _corrected(frame, plan, bars), maps


def _corrected(frame: Frame, plan: Plan, bars: Bars) -> tuple[Tensor, ...]:
    info, chain = plan.info, plan.chain
    luma, chroma = _masked(frame)
    before = frame.lifted[0]
    d_luma = _correction(luma, before, before, bars)
    d_chroma = None
    if chroma is not None and frame.lifted[1] is not None:
        d_chroma = _correction(chroma, frame.lifted[1], before, bars)
    planes = apply_correction(
        [plane.to(plan.device) for plane in frame.source.planes],
        d_luma,
        d_chroma,
        info.format,
        info.full_range,
        out=plan.encode.pixel_format,
        dither_seed=(plan.seed, frame.index) if plan.dithered else None,
        chroma_location=info.chroma_location,
        curve=info.curve,
        limit=chain.limit,
    )
    return tuple(plane.cpu() for plane in planes)


def _masked(frame: Frame) -> tuple[Tensor, Tensor | None]:
    """The pixels of a finished frame: what finishing did goes only where masks let work be done."""
    luma, chroma = frame.luma.pixels, None if frame.chroma is None else frame.chroma.pixels
    gate = frame.maps.get("gate")
    if gate is None or frame.clean is None or luma is frame.clean[0]:
        return luma, chroma
    luma_start, chroma_start = frame.clean
    if chroma is not None and chroma_start is not None:
        chroma = chroma_start + resize_to(gate, chroma) * (chroma - chroma_start)
    return luma_start + gate * (luma - luma_start), chroma


def _correction(pixels: Tensor, before: Tensor, luma: Tensor, bars: Bars) -> Tensor | None:
    """(C, H, W), or None where nothing changes: those planes are not touched at all."""
    return None if pixels is before else without_bars(pixels[0] - before[0], luma, bars)
