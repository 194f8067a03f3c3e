"""What there is to see of a frame: before and after, what was taken away, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vdenoise.engine.plan import Plan
from vdenoise.engine.tiles import Area
from vdenoise.picture.frame import ClipInfo, PixelFormat
from vdenoise.review.display import NOISE_GAIN, Picture, removed, rgb_within, shown
from vdenoise.review.excerpts import Excerpt
from vdenoise.settings.choices import PreviewView

_LINE = 0.94  # brightness of the line between before and after


@dataclass(frozen=True, eq=False)
class Variant:
    """One way to denoise the clip, to be put beside others."""

    name: str  # as people know it: "high-iso"
    plan: Plan


@dataclass(frozen=True, eq=False)
class Cell:
    """A picture and what it shows."""

    picture: Picture
    caption: str


def cells(
    view: PreviewView,
    variants: Sequence[Variant],
    excerpts: Sequence[Excerpt],
    info: ClipInfo,
    area: Area,
    *,
    wiped: float = 0.5,
    gain: float = NOISE_GAIN,
) -> list[Cell]:
    """A frame, seen by one view.

    Args:
        view: what to show.
        variants: ways to denoise it.
        excerpts: the same frame by each of them; for ``stages`` with its stages.
        info: the clip.
        area: the part to show, luma pixels.
        wiped: for ``wipe``: the share of the picture that is shown as it was.
        gain: how much what was removed is amplified.
    """
    first = excerpts[0]
    source = _part(first.source.planes, info.format, info, area)
    before_too = view not in ("split", "wipe")
    found = [Cell(shown(source), "source")] if before_too else []
    for variant, excerpt in zip(variants, excerpts, strict=True):
        fmt = variant.plan.encode.pixel_format
        result = _part(excerpt.planes, fmt, info, area)
        if view == "side":
            found.append(Cell(shown(result), variant.name))
        elif view == "split":
            found.append(Cell(shown(_split(source, result)), f"source | {variant.name}"))
        elif view == "wipe":
            found.append(Cell(shown(_wiped(source, result, wiped)), f"source / {variant.name}"))
        elif view == "noise":
            said = f"{variant.name}: removed, x{gain:g}"
            found.append(Cell(removed(source, result, gain), said))
        elif view == "stages":
            name = f"{variant.name}: " if len(variants) > 1 else ""
            found += _stages(name, variant, excerpt, source, info, area, gain)
        else:
            found.append(_map(view, variant, excerpt, area))
    return found


def _part(planes: Sequence[Tensor], fmt: PixelFormat, info: ClipInfo, area: Area) -> Tensor:
    return rgb_within(planes, fmt, info, area)


def _split(source: Tensor, result: Tensor) -> Tensor:
    """The left half as it was, the right half as it is."""
    width = source.shape[-1]
    found = result.clone()
    found[..., : width // 2] = source[..., : width // 2]
    found[..., max(width // 2 - 1, 0) : width // 2 + 1] = _LINE
    return found


def _wiped(source: Tensor, result: Tensor, share: float) -> Tensor:
    """Before and after on the two sides of a slanted line that travels over the picture."""
    height, width = source.shape[-2:]
    y = torch.linspace(-0.5, 0.5, height)[:, None]
    x = torch.arange(width)
    lean = min(width, height) / 2
    edge = share * (width + lean) - lean / 2 - lean * y
    found = torch.where(x < edge, source, result)
    if 0 < share < 1:
        found[:, (x - edge).abs() < 1] = _LINE
    return found


def _stages(
    prefix: str,
    variant: Variant,
    excerpt: Excerpt,
    source: Tensor,
    info: ClipInfo,
    area: Area,
    gain: float,
) -> list[Cell]:
    """What each stage left, and what it changed."""
    fmt = variant.plan.encode.pixel_format
    found, before = [], source
    for name, planes in excerpt.stages:
        now = _part(planes, fmt, info, area)
        found.append(Cell(shown(now), f"{prefix}after {name}"))
        changed = removed(before, now, gain)
        found.append(Cell(changed, f"{prefix}changed by {name}, x{gain:g}"))
        before = now
    return found


def _map(view: PreviewView, variant: Variant, excerpt: Excerpt, area: Area) -> Cell:
    """A map in [0, 1] in gray: white is all of it."""
    said = {"matte": "noise gone: white is all of it", "mask": "mask: white is worked on in full"}
    found = excerpt.findings
    picture = found.mask if view == "mask" else found.confidence
    if picture is None:
        picture = torch.ones(1, 1, area.bottom, area.right)
    return Cell(shown(area.of(picture[0].cpu().float())), f"{variant.name}: {said[view]}")
