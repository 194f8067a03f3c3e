"""What every network states about itself, and what it is given: one stage runs them all.

Pixels are in the working representation (`vdenoise.picture.frame`): Y'CbCr in the clip's own curve,
luma nominally in [0, 1], chroma centred at 0; chroma is repeated to luma's size where the clip has
less of it. Sigma is in full-scale units.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vdenoise.picture.noise_table import SPECTRUM
from vdenoise.picture.sizes import round_up

if TYPE_CHECKING:
    from vdenoise.nets.by_rows import Rows

Input = Literal["noisy", "average", "temporal", "neighbors", "sigma", "residual", "bands"]

# Edges, in cycles a pixel, of the bands in which a network is told the noise's color: octaves
# below Nyquist, as codecs and grain differ by octaves.
BAND_EDGES = (0.0, 0.0625, 0.125, 0.25, 0.75)
BANDS = len(BAND_EDGES) - 1

_SMALL = 128 * 128  # pixels; torch's own bound is 20480 numbers in a layer's input


@dataclass(frozen=True, eq=False)
class NetInput:
    """What N output frames are computed from."""

    noisy: Tensor  # (N, 3, H, W) before any stage
    average: Tensor  # (N, 3, H, W) after the stages before; the noisy frame where there were none
    sigma: Tensor  # (N, 3, H, W) of the noise to remove in ``noisy``
    residual: Tensor  # (N, 3, H, W) in [0, 1]: the share of it that ``average`` still carries
    bands: Tensor  # (N, 2 * BANDS) color of the noise in luma and in chroma, see `noise_bands`
    neighbors: Tensor | None = None  # (N, 2 * reach, 3, H, W), where a network asks for them
    # What the temporal stage made and the share of sigma left in that, both (N, 3, H, W), where a
    # spatial stage came after it; else both None, see `averaged`.
    temporal: Tensor | None = None
    temporal_residual: Tensor | None = None

    @property
    def averaged(self) -> tuple[Tensor, Tensor]:
        """The temporal stage's result and the share of sigma left in it, each (N, 3, H, W): the
        same as ``average`` and ``residual`` where no stage came after it."""
        if self.temporal is None or self.temporal_residual is None:
            return self.average, self.residual
        return self.temporal, self.temporal_residual

    def cropped(self, rows: slice, columns: slice) -> NetInput:
        """A rectangle of every picture."""
        return self.mapped(lambda t: t[..., rows, columns])

    def twice(self) -> NetInput:
        """Every picture two times, one set after the other."""
        found = self.mapped(lambda t: torch.cat([t, t]))
        return replace(found, bands=torch.cat([self.bands, self.bands]))

    def padded(self, down: int, right: int) -> NetInput:
        """Every picture with its last row and column repeated so many times."""

        def padded(t: Tensor) -> Tensor:
            height, width = t.shape[-2:]
            flat = t.reshape(-1, 1, height, width)
            flat = functional.pad(flat, (0, right, 0, down), mode="replicate")
            return flat.reshape(*t.shape[:-2], height + down, width + right)

        return self.mapped(padded) if down or right else self

    def mapped(self, change: Callable[[Tensor], Tensor]) -> NetInput:
        """The same done to every picture; ``bands`` is none."""
        optional = {
            name: None if value is None else change(value)
            for name in ("neighbors", "temporal", "temporal_residual")
            for value in (getattr(self, name),)
        }
        return NetInput(
            noisy=change(self.noisy),
            average=change(self.average),
            sigma=change(self.sigma),
            residual=change(self.residual),
            bands=self.bands,
            **optional,
        )


class Network(nn.Module):
    """A denoiser: given a `NetInput`, it says what to add to the average."""

    inputs: ClassVar[tuple[Input, ...]] = ("noisy", "sigma")
    reach: int = 0  # frames wanted on each side, unaligned
    # Frames that mix in the network: fixed blocks of this many, counted from frame 0 of the clip,
    # with ``reach`` frames around; N of its `NetInput` is time. 0: each frame for itself.
    clip: int = 0
    bounded: ClassVar[bool] = False  # corrects by a few sigmas of the noise at most
    half_ok: ClassVar[bool] = True  # float16 and bfloat16 are within 0.02 dB of float32
    memory: ClassVar[float] = 40.0  # scratch for a frame, in copies of its 4:2:0 signals

    @property
    def halo(self) -> int:
        """Pixels around an output pixel that can influence it, each way."""
        raise NotImplementedError

    @property
    def multiple(self) -> int:
        """Sides that are a multiple of this need no padding."""
        return 1

    @property
    def by_rows(self) -> bool:
        """Whether a processor computes it by `rows` and not in torch."""
        return False

    def rows(self) -> Rows:
        """Its layers for `vdenoise.nets.by_rows`, with the weights it has now."""
        raise NotImplementedError(f"{type(self).__name__} is computed in torch alone")

    @property
    def tiling(self) -> tuple[int, int]:
        """Pixels that a tile needs around it to equal the whole to the bit, and what its sides are
        multiples of: `halo` and `multiple`, and more where rounding depends on more."""
        return self.halo, self.multiple

    def correction(self, x: NetInput) -> Tensor:
        """(N, 3, H, W) float32, to be added to ``x.average``; sides a multiple of `multiple`."""
        raise NotImplementedError

    def forward(self, x: NetInput) -> Tensor:
        """The correction for a picture of any size: padded by repeating its edge, and cut."""
        height, width = x.noisy.shape[-2:]
        small = height * width < _SMALL and x.noisy.device.type == "cpu"
        if len(x.noisy) == 1 and small and not self.clip:
            # torch convolves small single pictures by other code, which rounds differently: a
            # small tile would not be equal to the bit to the same part of the whole.
            return self.forward(x.twice())[:1]
        down, right = -height % self.multiple, -width % self.multiple
        if down == right == 0:
            return self.correction(x)

        return self.correction(x.padded(down, right))[..., :height, :width]

    @property
    def dtype(self) -> torch.dtype:
        """Number type in which the convolutions compute."""
        return next(self.parameters()).dtype


def parameters(net: nn.Module) -> int:
    """Number of parameters."""
    return sum(p.numel() for p in net.parameters())


def macs_per_pixel(net: Network) -> float:
    """Multiply-accumulates of one output frame for each of its pixels, counted by running it."""
    from torch.utils.flop_counter import FlopCounterMode

    x = example(net)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        copy.deepcopy(net).float().cpu().eval().correction(x)
    return counter.get_total_flops() / 2 / x.noisy[0, 0].numel() / max(1, net.clip)


def example(net: Network) -> NetInput:
    """A gray square of 64 pixels or more with noise of 0.1, as the network takes it."""
    side = round_up(64, net.multiple)
    frames = net.clip + 2 * net.reach if net.clip else 1
    picture = torch.full((frames, 3, side, side), 0.5)
    neighbors = picture[:, None].repeat(1, 2 * net.reach, 1, 1, 1)
    return NetInput(
        noisy=picture,
        average=picture,
        sigma=torch.full_like(picture, 0.1),
        residual=torch.ones_like(picture),
        bands=torch.ones(frames, 2 * BANDS),
        neighbors=neighbors if "neighbors" in net.inputs else None,
    )


def halo(path: Iterable[tuple[int, int, int]], tile: int = 1) -> int:
    """Pixels around an output pixel that can influence it, each way, exactly.

    Args:
        path: what lies between output and input, from the output on: (cell, left, right) for
            values in cells of ``cell`` pixels each of which is computed from ``left`` cells before
            it (or above) to ``right`` cells behind it (or below). A 3x3 convolution is
            (cell, 1, 1).
        tile: pixels around whole tiles on a grid of this many pixels, in place of a pixel.
    """
    steps = list(path)
    worst = 0
    for place in range(0, max((cell for cell, _, _ in steps), default=1), tile):
        first, last = place, place + tile - 1
        for cell, left, right in steps:
            first = (first // cell - left) * cell
            last = (last // cell + right + 1) * cell - 1
        worst = max(worst, place - first, last - place - tile + 1)
    return worst


def noise_bands(spectrum: Tensor) -> Tensor:
    """The color of the noise in a few numbers.

    Args:
        spectrum: (P, 16, 16) as in a profile: mean square DCT coefficients, mean 1.

    Returns:
        (2 * BANDS,): for luma and for chroma, the square root of the mean power in each band of
        radial frequency (white noise: 1), at most 4. Gray clips repeat luma.
    """
    planes = (spectrum[0], spectrum[1:].mean(0) if len(spectrum) > 1 else spectrum[0])
    found = [
        plane.flatten().index_select(0, band).mean()
        for plane in planes
        for band in _bands(spectrum.device)
    ]
    return torch.stack(found).clamp(0, 16).sqrt()


@cache
def _bands(device: torch.device) -> tuple[Tensor, ...]:
    """Which coefficients of a block, row by row, are in each band."""
    place = torch.arange(SPECTRUM) / (2 * SPECTRUM)  # cycles a pixel
    radius = torch.hypot(place[:, None], place).flatten()
    return tuple(
        ((radius >= low) & (radius < high)).nonzero()[:, 0].to(device)
        for low, high in pairwise(BAND_EDGES)
    )
