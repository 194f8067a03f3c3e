"""A first answer for each frame by itself, by which motion and weights of the second are found.

Two steps instead of one, as in V-BM3D (Dabov, Foi, Egiazarian 2007): what the small network makes
of a single frame is a better guide than one that a transform has thresholded.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vdenoise.picture.block import Block, Signal
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.stages.net.bare import bare_network

# No spatial filter goes before it: what that takes for noise, fine detail, is what likeness is
# judged by (0.07 dB on three clips at sigma 30).
MODEL = "S"


def pilot(
    picture: Picture[Tensor],
    noise: NoiseTable,
    present: Tensor | None,
    compute: torch.dtype,
) -> Tensor:
    """The luma of a frame with its noise removed, from nothing but the frame.

    Args:
        picture: luma (1, 1, H, W) and chroma (1, 2, h, w) before any denoising.
        noise: measured noise of the shot.
        present: (1, 1, H, W) share of it in this frame; None: all of it.
        compute: what convolutions run in.

    Returns:
        (1, H, W).
    """
    luma, chroma = picture.map(_signal)
    given = Block(
        first=0,
        core=slice(0, 1),
        luma=luma,
        chroma=chroma,
        noise=noise,
        present=present,
        compute=compute,
    )
    return bare_network(MODEL).apply(given).luma.pixels[0]


def _signal(pixels: Tensor) -> Signal:
    return Signal(pixels, pixels.new_ones(()).expand(1, 1, *pixels.shape[-2:]))
