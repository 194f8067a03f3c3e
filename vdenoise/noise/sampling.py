"""One measured frame: the blocks of each plane, compared with the frame before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.noise.bars import Bars
from vdenoise.noise.evidence import marks
from vdenoise.noise.fit import Sample
from vdenoise.noise.pairs import PlaneBlocks, compare
from vdenoise.noise.shifts import CellMotion, motion_between
from vdenoise.noise.still import change

_PATCH = 8  # cells of 2 x 2 pixels
_SMOOTHER = 0.3  # quantile of the patches' roughness
_NOTHING = (0.05 / 255) ** 2


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch on one thread: small matrices gain nothing from more, and lose on a busy machine.

    Sums are then taken in one order, so that a profile does not depend on the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def sample(
    index: int,
    luma: Tensor,
    chroma: Tensor | None,
    luma_before: Tensor | None,
    chroma_before: Tensor | None,
    bars: Bars,
) -> Sample:
    """Measure a frame against the one before, or alone where that is None; bars are left out."""
    shift = CellMotion(torch.zeros(2, 1, 1))
    if luma_before is not None:
        shift = motion_between(luma, luma_before)
    before = None if luma_before is None else luma_before[0]
    found = marks(luma[0], before)
    blocks, left_out = compare(luma[0], before, luma[0], shift, (1, 1), found, bars)
    planes: list[PlaneBlocks | None] = [blocks]
    if chroma is not None:
        chroma = chroma.float().cpu()
        ratio = ratios(luma, chroma)
        found = found.reduced(ratio)
        levels = functional.avg_pool2d(luma[None], ratio, ceil_mode=True)[0, 0]
        for c in range(2):
            other = None if chroma_before is None else chroma_before[c].float().cpu()
            planes.append(compare(chroma[c], other, levels, shift, ratio, found, bars)[0])
    size = luma.shape[-2], luma.shape[-1]
    differs = None if before is None else change(luma[0], before)
    return Sample(index, tuple(planes), left_out, size, differs)


def ratios(luma: Tensor, chroma: Tensor) -> tuple[int, int]:
    """Luma pixels per chroma pixel, down and across; odd sizes are rounded up in chroma."""
    down, across = (
        1 << (-(-a // b) - 1).bit_length()
        for a, b in zip(luma.shape[-2:], chroma.shape[-2:], strict=True)
    )
    return down, across


def light(luma: Tensor) -> tuple[float, float]:
    """Mean level of (1, H, W), and how rough its smoother parts are, by every fourth pixel's cell.

    Roughness is no noise yet, there may be texture in it, but noise that changes changes it.
    """
    if min(luma.shape[-2:]) < 2:
        return luma.mean().item(), 0.0
    cells = luma[0, : luma.shape[1] // 2 * 2, : luma.shape[2] // 2 * 2]
    mixed = cells[::2, ::2] - cells[1::2, ::2] - cells[::2, 1::2] + cells[1::2, 1::2]
    size = max(1, min(_PATCH, *mixed.shape))
    energy = functional.avg_pool2d(mixed.square()[None], size)[0].flatten()
    seen = energy[energy > _NOTHING]
    rough = seen.quantile(_SMOOTHER).sqrt().item() if len(seen) else 0.0
    return luma[0, ::4, ::4].mean().item(), rough
