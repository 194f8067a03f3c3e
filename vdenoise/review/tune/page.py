"""The page itself, as it is when it is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from vdenoise.chain import preset_files
from vdenoise.chain.preset_files import DEFAULT
from vdenoise.chain.presets import FACTORS, SPEEDS, usable
from vdenoise.review.report.html import as_data, render
from vdenoise.review.report.pictures import webp_uri
from vdenoise.review.spots import Spot
from vdenoise.review.tune.controls import Control
from vdenoise.review.tune.session import Session, box_of
from vdenoise.review.turning import as_seen, seen_size
from vdenoise.settings.text import counted
from vdenoise.stages import OFF, SLOTS

_THUMBNAIL = 328  # pixels across, on the strip


def tune_page(session: Session) -> str:
    """The page of a session, with nothing from elsewhere."""
    info, base = session.info, session.base
    found, _ = usable()
    presets = {name: preset.about for name, preset in found.items()}
    if base.preset.partition("+")[0] not in presets:
        presets = {base.preset: base.request.chain.preset.about, **presets}
    high, wide = seen_size(info)
    data = {
        "size": [wide, high],
        "gain": f"{session.gain:g}",
        "spots": [_spot(session, spot) for spot in session.spots],
        "first": _hardest(session.spots),
        "controls": [_control(control) for control in base.controls],
        "slots": [slot for slot in SLOTS if len(base.by_name[f"{slot}.method"].words) > 1],
        "off": OFF,
        "start": base.start.model_dump(),
        "modifiers": list(FACTORS),
        "own": list(preset_files.own()),
    }
    return render(
        "tune.html",
        styles=("page.css", "tune.css"),
        scripts=("viewer.js", "tune_controls.js", "tune_region.js", "tune.js"),
        asks=True,
        title=info.path.name,
        facts=_facts(session),
        presets=presets,
        speeds=SPEEDS,
        modifiers=list(FACTORS),
        output=str(session.output),
        sampled=not session.survey.whole,
        data=as_data(data),
    )


def _facts(session: Session) -> str:
    info, noise = session.info, session.noise
    high, wide = seen_size(info)
    text = f"{wide}x{high}, {info.format.label}, {counted(info.readable, 'frame')}"
    text += f" at {float(info.rate):.6g} per second. Noise: {noise.luma_codes:.1f} in luma"
    if info.format.color_planes == 3:
        text += f", {noise.chroma_codes:.1f} in chroma"
    text += " (8-bit codes)."
    another = session.survey.another
    if another is not None and session.base.preset == DEFAULT:
        text += f" Another preset for such footage: {another}."
    return text


def _hardest(spots: Sequence[Spot]) -> int:
    """The spot to begin with: one that is hard itself, not only first, last or beside a cut."""
    there = (n for n, spot in enumerate(spots) if {*spot.kinds} - {"first", "last", "cut"})
    return next(there, 0)


def _spot(session: Session, spot: Spot) -> dict[str, Any]:
    left, top, width, height = box_of(as_seen(spot.area, session.info))
    return {
        "frame": spot.frame,
        "why": f"{spot.reason}, {spot.amount}" if spot.amount else spot.reason,
        "place": session.place(spot.frame),
        "box": [left, top, width, height],
        "thumbnail": webp_uri(session.first_look(spot, _THUMBNAIL)),
        "overview": webp_uri(session.overview(spot.frame)),
    }


def _control(control: Control) -> dict[str, Any]:
    slot, _, key = control.name.partition(".")
    title = control.option.lstrip("-").replace("-", " ") or key.replace("_", " ")
    return {**asdict(control), "slot": slot, "key": key, "title": title}
