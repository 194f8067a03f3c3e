"""From masks asked for to maps of how hard the denoiser works at each pixel.

Each mask is drawn (or came with the frames), steadied along the motion, feathered, inverted and
taken down to its opacity; masks that are combined become one. What is left of the strengths then
follows from their modes, in the order in which the masks were given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vdenoise.masks.ranges import drawn
from vdenoise.masks.shapes import shape
from vdenoise.masks.spec import REMOVED, MaskSpec
from vdenoise.motion.warp import box_mean, resize, warp
from vdenoise.picture.block import Block, Motion, window

_SNAP = 1e-4  # a running mean leaves crumbs: this near to 0 or 1 is 0 or 1, to the bit


@dataclass(frozen=True, eq=False)
class MaskLayer:
    """One mask, or several that are combined: coverage (T, H, W) of the core frames."""

    spec: MaskSpec
    cover: Tensor


def layers(specs: Sequence[MaskSpec], block: Block) -> list[MaskLayer]:
    """The masks of a block's core frames, combined ones as one.

    Args:
        specs: in the order given.
        block: with ``mattes`` for the external masks, and with motion where one is steadied.
    """
    found: list[MaskLayer] = []
    external = 0
    for spec in specs:
        if spec.external:
            assert block.mattes is not None, "masks from files come with the frames"
            raw = block.mattes[:, external]
            external += 1
        else:
            raw = _raw(spec, block)
        cover = _finished(raw, spec, down=1.0 if block.lines is None else 0.5)
        if spec.combine:
            before = found.pop()
            found.append(MaskLayer(before.spec, _combined(before.cover, cover, spec.combine)))
        else:
            found.append(MaskLayer(spec, cover))
    return found


def _raw(spec: MaskSpec, block: Block) -> Tensor:
    height, width = block.luma.pixels.shape[-2:]
    core = block.wanted
    if not spec.moving:
        still = shape(spec, height, width, block.lines).to(block.luma.pixels.device)
        return still.expand(len(core), -1, -1)
    seen = [
        [k - block.first for k in _seen(spec, block, block.first + t)] if spec.stabilize else [t]
        for t in core
    ]
    frames = {k: _of_frame(spec, block, k) for k in sorted({k for ks in seen for k in ks})}
    if not spec.stabilize:
        return torch.stack([frames[t] for t in core])
    assert block.motion is not None, "a steadied mask needs motion"
    return torch.stack(
        [_steadied(frames, t, ks, block.motion) for t, ks in zip(core, seen, strict=True)]
    )


def _seen(spec: MaskSpec, block: Block, index: int) -> range:
    return window(index, spec.stabilize, block.shot_first, block.shot_last)


def _of_frame(spec: MaskSpec, block: Block, k: int) -> Tensor:
    luma, chroma = block.luma, block.chroma
    sigma = block.noise.luma.sigma_at(luma.pixels[k : k + 1])[0, 0]
    return drawn(
        spec,
        luma.pixels[k],
        None if chroma is None else chroma.pixels[k],
        sigma * luma.residual[k, 0],
    )


def _steadied(frames: dict[int, Tensor], t: int, seen: Sequence[int], motion: Motion) -> Tensor:
    """The mean of a mask over its aligned neighbors, as far as the motion can be trusted.

    A mask drawn from each picture alone flickers with the noise that is left, and at its
    thresholds more than the picture; N frames take that down by about sqrt(N).
    """
    others = [k for k in seen if k != t]
    total, weight = frames[t].clone(), torch.ones_like(frames[t])
    size = (total.shape[-2], total.shape[-1])
    for k in others:
        trust = resize(motion.trust(t, k), size)
        total += warp(frames[k][None], motion.flow(t, k))[0].clamp_(0, 1) * trust
        weight += trust
    return total / weight


def _finished(raw: Tensor, spec: MaskSpec, down: float) -> Tensor:
    """Feathered, snapped, inverted, at its opacity: (T, H, W). ``down``: lines to a frame's one."""
    still = raw.stride(0) == 0  # one mask for all frames
    cover = raw[:1] if still else raw
    if spec.feather > 0:
        cover = torch.stack([_feathered(mask, spec.feather, down) for mask in cover])
    cover = torch.where(cover < _SNAP, torch.zeros_like(cover), cover)
    cover = torch.where(cover > 1 - _SNAP, torch.ones_like(cover), cover)
    if spec.invert:
        cover = 1 - cover
    if spec.opacity < 100:
        cover = cover * (spec.opacity / 100)
    return cover.expand(raw.shape)


def _feathered(mask: Tensor, feather: float, down: float) -> Tensor:
    """Three running means: nearly a Gaussian, and nothing of it beyond ``feather`` pixels, or
    ``down`` times as many lines."""
    for n in range(3):
        high, wide = (int((reach + n) // 3) for reach in (feather * down, feather))
        if high or wide:
            mask = box_mean(mask.contiguous(), (2 * high + 1, 2 * wide + 1))
    return mask


def _combined(a: Tensor, b: Tensor, how: str) -> Tensor:
    if how == "max":
        return torch.maximum(a, b)
    return a * b if how == "multiply" else a * (1 - b)


def strengths(
    found: Sequence[MaskLayer], usual: Mapping[str, float], like: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """How much of the work is done at each pixel, by masks alone.

    A mask of value m with mode ``apply`` scales the work by m, with ``protect`` by 1 - m; with
    ``set`` a strength goes from the chain's at m = 0 to the mask's own at m = 1. Masks act one
    after the other, so that two that apply leave the work to where they overlap.

    Args:
        found: from `layers`.
        usual: the chain's own strengths by name, in percent; of what it does not name, all.
        like: (T, 1, H, W), for size, type and device.

    Returns:
        (T, 1, H, W) in [0, 1] on luma's grid: the strength by each name in ``usual`` and, where a
        mask has one, of what a finishing stage does; and what lets any work through (apply and
        protect alone), which is in ``luma`` and ``chroma`` already.
    """
    gate = torch.ones_like(like)
    amounts = {name: gate * (percent / 100) for name, percent in usual.items()}
    for layer in found:
        cover, spec = layer.cover[:, None], layer.spec
        if spec.mode == "apply":
            gate = gate * cover
        elif spec.mode == "protect":
            gate = gate * (1 - cover)
        for name, own in spec.strengths.items():
            before = amounts.get(name, torch.ones_like(like))
            target = torch.full_like(like, own / 100)
            amounts[name] = target if spec.mode == "apply" else torch.lerp(before, target, cover)
    return {n: x * gate if n in REMOVED else x for n, x in amounts.items()}, gate
