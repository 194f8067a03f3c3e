"""Networks of ours on a processor, row by row: ``compiled/network.c`` says how.

The same as in torch, to rounding. Whole pictures go through, planes at their own size, and nothing
is held of them but the rows that are still to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vdenoise import compiled
from vdenoise.nets.ensemble import VIEWS, View, back, seen
from vdenoise.picture.sizes import round_up

CELL = 4  # pixels each way that are computed together, at each level: as in network.c
_INPUTS, _OUTPUTS = 8, 16  # channels come in multiples of these

_KINDS = ("pack", "convolution", "down", "up")  # as in network.c

# F(4x4, 3x3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016): what
# three weights in a line are at each of its six points.
_POINTS = (
    torch.tensor(
        [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]],
        dtype=torch.float64,
    )
    / 24
)


class Plane(NamedTuple):
    """One plane of a picture, at its own size."""

    pixels: Tensor | None  # (h, w); None is 0 everywhere
    down: int = 1  # rows of the picture to one of its own
    across: int = 1


class Constants(NamedTuple):
    """What a network is made with."""

    multiple: int  # to which the sides of pictures are padded
    gain: float  # of differences and sigmas
    slope: float  # of leaky ReLU
    bound: float  # sigmas of a correction at most
    blind_sigma: float  # unit of a correction where sigma is not told


class Rows:
    """A network's layers, in order; the last one answers.

    Layers are known by their number. Weights are copied.
    """

    def __init__(self, channels: int, constants: Constants) -> None:
        """Begin with the packed input at half size, of so many planes."""
        self.constants = constants
        self._held: list[Tensor] = []  # what the table points at
        # Kind, source, added, channels, whether leaky, how often halved, weights, bias
        self._lines = [(0, -1, -1, round_up(channels, _INPUTS), 0, 1, 0, 0)]

    def convolution(
        self, layer: nn.Conv2d, source: int, *, leaky: bool = False, added: int | None = None
    ) -> int:
        """3x3, padded with 0; then leaky ReLU; then what another layer has is added."""
        weights = layer.weight.detach().double()
        points = torch.einsum("pk,oikl,ql->pqio", _POINTS, weights, _POINTS).flatten(0, 1)
        points = functional.pad(points, (0, 0, 0, self._lines[source][3] - layer.in_channels))
        return self._line("convolution", source, added, 0, layer, points, leaky=leaky)

    def down(self, layer: nn.Conv2d, source: int) -> int:
        """2x2 pixels to one."""
        weights = layer.weight.detach().permute(2, 3, 1, 0).flatten(0, 2)[None]
        return self._line("down", source, None, 1, layer, weights)

    def up(self, layer: nn.ConvTranspose2d, source: int, added: int) -> int:
        """One pixel to 2x2; then what another layer has is added."""
        weights = layer.weight.detach().permute(2, 3, 0, 1).flatten(0, 1)
        return self._line("up", source, added, -1, layer, weights)

    def correction(
        self,
        planes: Sequence[Plane],
        size: tuple[int, int],
        bands: Tensor,
        counted_from_end: tuple[bool, bool] = (False, False),
    ) -> Tensor:
        """What to add to one picture.

        Args:
            planes: three (luma, Cb, Cr) each of the estimate, what was averaged, the noisy frame,
                sigma, and the share of it that is left in what was averaged.
            size: (height, width) of the picture and of the result.
            bands: color of the noise, see `vdenoise.nets.base.noise_bands`.
            counted_from_end: whether cells are counted from the last (row, column): so they lie
                on the same pixels in a mirrored picture.

        Returns:
            (3, height, width).
        """
        kept = [None if p.pixels is None else p.pixels.float().contiguous() for p in planes]
        described = torch.tensor(
            [
                (0, 1, 1, 1, 1)
                if x is None
                else (x.data_ptr(), x.shape[0], x.shape[1], plane.down, plane.across)
                for plane, x in zip(planes, kept, strict=True)
            ],
            dtype=torch.int64,
        )
        table = torch.tensor(self._lines, dtype=torch.int64)
        correction = torch.empty(3, *size)
        made, bands = self.constants, bands.float().contiguous()
        sides = (*size, made.multiple, *map(int, counted_from_end))
        numbers = (made.gain, made.slope, made.bound, made.blind_sigma)
        given: tuple[Tensor | float, ...]
        given = (table, len(table), described, *sides, bands, len(bands), *numbers)
        room = torch.zeros(compiled.call("network", *given, None, None))
        compiled.call("network", *given, room, correction)
        return correction

    def ensembled(
        self, planes: Sequence[Plane], size: tuple[int, int], bands: Tensor, views: int
    ) -> Tensor:
        """`correction` as the mean over views: `vdenoise.nets.ensemble.ensembled`."""
        if views == 1:
            return self.correction(planes, size, bands)
        height, width = (round_up(length, self.constants.multiple) for length in size)
        whole = [_filled(plane, (height, width)) for plane in planes]
        total = self.correction(whole, (height, width), bands)
        for view in VIEWS[1:views]:
            turned, down, across = view
            mirrored = [_seen(plane, view) for plane in whole]
            shape = (width, height) if turned else (height, width)
            ends = (across, down) if turned else (down, across)
            total = total + back(self.correction(mirrored, shape, bands, ends), view)
        mean: Tensor = total / views
        return mean[..., : size[0], : size[1]]

    def _line(
        self,
        kind: str,
        source: int,
        added: int | None,
        halvings: int,
        layer: nn.Conv2d | nn.ConvTranspose2d,
        weights: Tensor,
        *,
        leaky: bool = False,
    ) -> int:
        """Add a layer with weights (matrices, inputs, outputs)."""
        before = self._lines[source]
        outputs = round_up(weights.shape[-1], _OUTPUTS)
        missing = (0, outputs - weights.shape[-1])
        full = functional.pad(weights, missing)
        blocks = full.reshape(len(full), -1, outputs // _OUTPUTS, _OUTPUTS).transpose(1, 2).float()
        assert layer.bias is not None
        bias = functional.pad(layer.bias.detach(), missing)
        blocks, bias = blocks.contiguous(), bias.contiguous()
        self._held += [blocks, bias]
        place = (_KINDS.index(kind), source, -1 if added is None else added)
        pointers = (blocks.data_ptr(), bias.data_ptr())
        self._lines.append((*place, outputs, int(leaky), before[5] + halvings, *pointers))
        return len(self._lines) - 1


def _filled(plane: Plane, size: tuple[int, int]) -> Plane:
    """The plane of a picture that was padded to ``size`` by repeating its last row and column."""
    pixels, down, across = plane
    if pixels is None:
        return plane
    height, width = (-(-length // step) for length, step in zip(size, (down, across), strict=True))
    missing = (0, width - pixels.shape[-1], 0, height - pixels.shape[-2])
    return plane._replace(pixels=functional.pad(pixels[None], missing, mode="replicate")[0])


def _seen(plane: Plane, view: View) -> Plane:
    """The plane of a picture that is mirrored and turned."""
    pixels, down, across = plane
    factors = (across, down) if view[0] else (down, across)
    return Plane(None if pixels is None else seen(pixels, view), *factors)
