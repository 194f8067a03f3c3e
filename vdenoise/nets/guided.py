"""Our own family: a small U-Net at half resolution that is guided by the stages before.

It sees what they made of the frame, what the flow-aligned average and the noisy frame differ from
that by, how strong the noise was, what the average left of it, and the noise's color; it says what
to add. Plain 3x3 convolutions, because they are what processors do best; leaky ReLU, because
without normalisation plain ones died in training (all of the coarsest level's, in the first
thousand steps); no normalisation and no pooling over the picture, because tiles must agree with
the whole.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from vdenoise import compiled
from vdenoise.nets.base import BANDS, Input, NetInput, Network, halo
from vdenoise.nets.by_rows import CELL, Constants, Rows

# Differences and sigmas are some hundredths; the pictures beside them are around a half.
_GAIN = 4.0
_SLOPE = 0.1
# Most sigmas (of what the average left) that a pixel is moved by. Errors of the stages before are
# smaller; without a bound a network takes a fine regular texture, which it has seen little of, for
# noise and wipes it out.
_BOUND = 2.5
_ALONE_BOUND = 64.0  # hardly one: with 2.5 or 4 a network that begins from nothing diverged
_BLIND_SIGMA = 0.1  # unit of the correction where sigma is not told (-1)
# Planes at full size: the estimate, and what average and noisy frame differ by, one from the other.
_FULL = 9
# Planes at half size: sigma, sigma that is left, color of the noise.
_MAPS = 6 + 2 * BANDS


class ResidualBlock(nn.Module):
    """x + conv(leaky(conv(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        change: Tensor = self.second(functional.leaky_relu_(self.first(x), _SLOPE))
        return change.add_(x)


class Guided(Network):
    """Pixel-unshuffle, U-Net of residual blocks, pixel-shuffle."""

    inputs: ClassVar[tuple[Input, ...]] = (
        "noisy",
        "average",
        "temporal",
        "sigma",
        "residual",
        "bands",
    )
    bounded: ClassVar[bool] = True

    def __init__(
        self, widths: tuple[int, ...], blocks: tuple[int, ...], bound: float = _BOUND
    ) -> None:
        """Build with random weights; the last convolution is 0, so the picture comes back.

        Args:
            widths: channels at 1/2, 1/4 ... of the size.
            blocks: residual blocks at each of these levels (the upper ones once going down and
                once going up).
            bound: sigmas, of what the average left, that a pixel is moved by at most.
        """
        super().__init__()
        assert len(widths) == len(blocks)
        self.widths, self.blocks, self.bound = tuple(widths), tuple(blocks), bound
        self.head = nn.Conv2d(4 * _FULL + _MAPS, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            _blocks(w, n) for w, n in zip(widths[:-1], blocks[:-1], strict=True)
        )
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairs)
        self.middle = _blocks(widths[-1], blocks[-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairs)
        self.decoder = nn.ModuleList(
            _blocks(w, n) for w, n in zip(widths[:-1], blocks[:-1], strict=True)
        )
        self.tail = nn.Conv2d(widths[0], 12, 3, padding=1)
        self.apply(_started)
        nn.init.zeros_(self.tail.weight)

    @property
    def multiple(self) -> int:
        """Cells of the coarsest level."""
        return 1 << len(self.widths)

    @property
    def halo(self) -> int:
        """Convolutions one after the other, times the size of a cell at their level."""
        reach = 2 * 2 + self.multiple * 2 * self.blocks[-1]
        reach += sum((4 << (i + 1)) * n for i, n in enumerate(self.blocks[:-1]))
        return reach + self.multiple - 1

    @property
    def tiling(self) -> tuple[int, int]:
        """`Network.tiling`: by rows, whole cells are rounded together, at every level."""
        if not self.by_rows:
            return self.halo, self.multiple
        cells = [2 << level for level in range(len(self.widths))]  # pixels of a level's pixel

        def path(level: int, convolutions: int) -> list[tuple[int, int, int]]:
            return [(CELL * cells[level], 0, 0), (cells[level], 1, 1)] * convolutions

        upper = list(enumerate(self.blocks[:-1]))
        seen = path(0, 1)
        for level, blocks in upper:
            seen += [*path(level, 2 * blocks), (cells[level + 1], 0, 0)]
        seen += path(-1, 2 * self.blocks[-1])
        for level, blocks in reversed(upper):
            seen += path(level, 2 * blocks)
        grid = CELL * self.multiple
        return halo([*seen, *path(0, 1)], grid), grid

    @property
    def by_rows(self) -> bool:
        """Where there is the code and all channels fit it."""
        fits = all(width % 16 == 0 for width in self.widths) and self.dtype == torch.float32
        return fits and compiled.serves_networks()

    def rows(self) -> Rows:
        """Its layers in the order of `correction`."""
        constants = Constants(self.multiple, _GAIN, _SLOPE, self.bound, _BLIND_SIGMA)
        rows = Rows(4 * _FULL + _MAPS, constants)

        def through(blocks: nn.Module, place: int) -> int:
            for block in blocks.children():
                assert isinstance(block, ResidualBlock)
                between = rows.convolution(block.first, place, leaky=True)
                place = rows.convolution(block.second, between, added=place)
            return place

        place, kept = rows.convolution(self.head, 0), []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            kept.append(through(blocks, place))
            assert isinstance(down, nn.Conv2d)
            place = rows.down(down, kept[-1])
        place = through(self.middle, place)
        for blocks, up in zip(reversed(self.decoder), reversed(self.up), strict=True):
            assert isinstance(up, nn.ConvTranspose2d)
            place = through(blocks, rows.up(up, place, kept.pop()))
        rows.convolution(self.tail, place)
        return rows

    def correction(self, x: NetInput) -> Tensor:
        """(N, 3, H, W) float32; the convolutions run in the weights' own precision."""
        compiled_too = not torch.is_grad_enabled() and compiled.serves(x.noisy, x.average, x.sigma)
        features = self.head(self._packed_in_c(x) if compiled_too else self._packed(x))
        kept = []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            features = blocks(features)
            kept.append(features)
            features = down(features)
        features = self.middle(features)
        for blocks, up in zip(reversed(self.decoder), reversed(self.up), strict=True):
            features = blocks(up(features).add_(kept.pop()))
        out: Tensor = self.tail(features).float()
        if compiled_too:
            return _unpacked_in_c(out, x, self.bound)
        bounded = self.bound * torch.tanh(functional.pixel_shuffle(out, 2) / self.bound)
        return bounded * _scale(x)

    def _packed(self, x: NetInput) -> Tensor:
        """What the first convolution sees, (N, 4 * _FULL + _MAPS, H/2, W/2), in its precision.

        The difference is small, so float16 and bfloat16 keep it well; the picture itself only
        guides, and what is added to it is added in float32.
        """
        dtype = self.dtype
        temporal, residual = x.averaged
        full = torch.cat(
            [
                (x.average - 0.5 * _luma_only(x)).to(dtype),
                (temporal - x.average).mul_(_GAIN).to(dtype),
                (x.noisy - temporal).mul_(_GAIN).to(dtype),
            ],
            1,
        )
        sigma, rest = (functional.avg_pool2d(m, 2) for m in (x.sigma, x.sigma * residual))
        maps = torch.cat([sigma, rest], 1).mul_(_GAIN).to(dtype)
        bands = x.bands.to(dtype)[:, :, None, None].expand(-1, -1, *maps.shape[-2:])
        packed = torch.cat([functional.pixel_unshuffle(full, 2), maps, bands], 1)
        return packed.contiguous(memory_format=torch.channels_last)

    def _packed_in_c(self, x: NetInput) -> Tensor:
        """`_packed` in one go."""
        count, _, height, width = x.noisy.shape
        half = self.dtype == torch.bfloat16
        packed = torch.empty(
            (count, 4 * _FULL + _MAPS, height // 2, width // 2),
            dtype=torch.bfloat16 if half else torch.float32,
            memory_format=torch.channels_last,
        )
        pictures = (x.average, x.averaged[0], x.noisy, x.sigma, x.averaged[1])
        whole = [picture.contiguous() for picture in pictures]
        bands = x.bands.contiguous()
        for n in range(count):
            sizes = (2 * BANDS, height, width, _GAIN, int(half))
            compiled.call("pack", *(p[n] for p in whole), bands[n], *sizes, packed[n].data_ptr())
        return packed.to(self.dtype)


def _unpacked_in_c(out: Tensor, x: NetInput, bound: float) -> Tensor:
    """The correction for the last convolution's answer (N, 12, H/2, W/2)."""
    answer = out.contiguous(memory_format=torch.channels_last).div_(bound).tanh_()
    sigma, residual = x.sigma.contiguous(), x.averaged[1].contiguous()
    correction = torch.empty_like(sigma)
    height, width = sigma.shape[-2:]
    for n in range(len(sigma)):
        one = (answer[n].data_ptr(), sigma[n], residual[n], height, width)
        compiled.call("unpack", *one, bound, _BLIND_SIGMA, correction[n])
    return correction


def _scale(x: NetInput) -> Tensor:
    """Corrections are counted in sigmas that the average left: where none is, nothing is done."""
    return torch.where(x.sigma < 0, _BLIND_SIGMA, x.sigma) * x.averaged[1]


def _started(module: nn.Module) -> None:
    """He et al. 2015; sums of residuals start small."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, _SLOPE)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
    if isinstance(module, ResidualBlock):
        with torch.no_grad():
            module.second.weight.mul_(0.3)


def _luma_only(x: NetInput) -> Tensor:
    """1 for luma and 0 for chroma: what is to be centred."""
    return x.average.new_tensor([1.0, 0.0, 0.0])[:, None, None]


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(count)))


def small() -> Guided:
    """S: for live use and plain processors."""
    return Guided((32, 64), (1, 2))


def medium() -> Guided:
    """M: the default on CUDA."""
    return Guided((48, 96, 160), (1, 2, 3))


def large() -> Guided:
    """Larger than any that is shipped."""
    return Guided((64, 112, 192), (3, 4, 5))


def alone() -> Guided:
    """L: for the best picture. Begun to denoise a frame by itself."""
    return Guided((64, 96, 128), (2, 2, 2), _ALONE_BOUND)
