"""Networks as a stage: guided by the stages before, driven by the measured noise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar, Literal

import torch
from pydantic import field_validator
from torch import Tensor

from vdenoise.compiled import on_processor
from vdenoise.errors import DeviceError
from vdenoise.nets.base import Network
from vdenoise.nets.ensemble import VIEWS, ensembled
from vdenoise.nets.models import find, load, load_rows
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.subsampling import resize_to
from vdenoise.stages.base import Footprint, Need, Precision, Stage, StageFile, noise_present, param
from vdenoise.stages.net import energy_guard
from vdenoise.stages.net.inputs import Pictures, fixed_clips, relative_to_present
from vdenoise.stages.net.texture_guard import TextureGuard

# What a network leaves is its own error, which no map foretells to the pixel, but it is the larger
# the less the stages before could do. In flats of camera noise and film grain it was 0.47 of the
# noise where the network worked alone, 0.23 where averaging had left 0.44: this much of the square
# root of what was left. Where a spatial filter had been there before, it was within a tenth of what
# it had been, and as much in textures, where the square root would say two thirds of it.
_LEAVES = 0.4
_ABSURD = 16.0  # full scales: no correction is that large, also of scene-linear lights
# Scratch for a frame whose rows go through one by one, in copies of its 4:2:0 signals: sigma, the
# correction, and the planes of mirrored views.
_BY_ROWS = 10.0


class Cnn(Stage):
    """Runs a network on each frame: S is fast, M cleaner, L cleanest, or your own by file.

    It sees what the stages before made of the frame, the flow-aligned average, the noisy frame, and
    for every pixel how strong the noise was and how much of it the average left; strength, masks
    and levels of brightness all act through that. Weights of DnCNN, FDnCNN, FFDNet, DRUNet and
    FastDVDnet as published run as well: they work on R'G'B', are given the average instead of what
    a spatial stage made of it, and one sigma where they take it.
    """

    slot: ClassVar[str] = "net"
    method: ClassVar[str] = "cnn"
    speeds: ClassVar[dict[str, dict[str, Any]]] = {
        # Where a preset has the network, the quickest speeds do without: it doubles their cost.
        "veryfast": {"model": "none"},
        "fast": {"model": "none"},
        "base": {"model": "S"},
        "slow": {"model": "L", "ensemble": 2},
        "veryslow": {"model": "L", "ensemble": 4},
    }

    model: str = param("S", "Network to run: S, M, L, a .safetensors or .pth file, or none.")

    weight: float = param(
        1.0,
        "Share of the network's correction that is taken: 0 leaves what the stages before made.",
        low=0,
        high=1,
    )

    ensemble: int = param(
        1,
        "Views of the picture, mirrored and turned, that the network answers and the mean is taken "
        "of: 2 are a little cleaner, 8 half as much again; each costs one run of the network.",
        low=1,
        high=len(VIEWS),
    )

    structure_guard: Literal["auto", "on", "off"] = param(
        "auto",
        "Whether what went with the noise is looked through for picture, which is given back: fine "
        "textures stay. On, a network of others also gives way where it removes more than the "
        "noise measured. Auto is on for networks of ours and off for others, whose published "
        "weights give what they were published for.",
    )

    @field_validator("structure_guard", mode="before")
    @classmethod
    def _from_bool(cls, value: object) -> object:
        """True and false, as plans and recipes of older versions hold."""
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value

    @property
    def followed_by(self) -> tuple[Stage, ...]:
        """The guard over fine textures."""
        guarded = not self.idle and (
            self.structure_guard == "on"
            or (self.structure_guard == "auto" and _facts(self.model).bounded)
        )
        return (TextureGuard(strength=self.strength),) if guarded else ()

    @property
    def _held_back(self) -> bool:
        """Whether the network gives way where it removes more energy than the noise had."""
        return self.structure_guard == "on" and not _facts(self.model).bounded

    @property
    def idle(self) -> bool:
        """Whether it is off, or its correction has no weight."""
        return self.weight == 0 or super().idle

    @property
    def reach(self) -> int:
        """The network's own; where it mixes frames in fixed clips, the whole of such a clip."""
        net = _facts(self.model)
        return net.reach + max(0, net.clip - 1)

    @property
    def residual_factor(self) -> float:
        """Luma 1.2, chroma 1.0 to 1.15 times."""
        return 1.2

    @property
    def footprint(self) -> Footprint:
        """What the network states, and what the guard sees around one that is not bounded; tiles
        lie on cells of its coarsest level, on 4:4:4 as on 4:2:0."""
        net = _facts(self.model)
        guard = energy_guard.REACH if self._held_back else 0
        halo, multiple = net.tiling
        return Footprint(
            halo=net.halo + guard,
            multiple=net.multiple,
            rounded=(halo + guard, multiple),
            at_luma_size=True,
            scratch=_BY_ROWS if net.by_rows else net.memory,
        )

    @property
    def files(self) -> tuple[StageFile, ...]:
        """The weights."""
        return (find(self.model),)

    @property
    def needs(self) -> frozenset[Need]:
        """What a network is shown beside the picture."""
        return frozenset({"original", "averaged"})

    @property
    def precision(self) -> Precision:
        """What the network claims for itself."""
        return "mixed" if _facts(self.model).half_ok else "float32"

    @property
    def gains_by_bfloat16(self) -> bool:
        """False where rows go through one by one, which takes less time in float32."""
        return not _facts(self.model).by_rows

    def denoise(self, block: Block) -> Block:
        """A network is told of the noise that was there, and of the share of that which is left."""
        if block.present is None:
            return self._denoised(block)
        done = self._denoised(relative_to_present(block))

        def absolute(signal: Signal) -> Signal:
            return Signal(signal.pixels, signal.residual * noise_present(block, signal.pixels))

        return block.with_picture(done.picture.map(absolute))

    def _denoised(self, block: Block) -> Block:
        """Frame by frame, or clip by fixed clip: the result cannot depend on how many come at
        once."""
        found = _facts(self.model)
        dtype = block.compute if found.half_ok else torch.float32
        net = load(self.model, block.luma.pixels.device, dtype)
        pictures = Pictures(block, self.strength)
        if net.by_rows and on_processor(block.luma.pixels):
            rows = load_rows(self.model)
            size = (block.luma.pixels.shape[-2], block.luma.pixels.shape[-1])
            changes = [
                rows.ensembled(pictures.planes(t), size, pictures.bands, self.ensemble)[None]
                for t in block.wanted
            ]
        else:
            changes = list(self._corrections(block, net, pictures))
        change = (changes[0] if len(changes) == 1 else torch.cat(changes)).to(block.luma.pixels)
        low, high = torch.aminmax(change)
        if not bool(torch.maximum(-low, high) <= _ABSURD):  # written so that it holds for NaN, too
            raise DeviceError(
                f"The network {self.model} answers with what can be no picture.",
                "Its weights are damaged or of another kind of network: use another --model.",
                number=11,
            )
        if "sigma" not in net.inputs:  # not told how much to remove
            change *= min(self.strength, 1.0)
        if self.weight != 1:
            change *= self.weight

        def changed(n: int, signal: Signal, averaged: Signal) -> Signal:
            own = resize_to(change[:, (slice(0, 1), slice(1, 3))[n]], signal.pixels)
            residual = self._residual(signal.residual, averaged.residual[block.core])
            return Signal(signal.pixels + own, residual)

        planes = zip(block.core_picture.planes, pictures.averaged.planes, strict=True)
        return block.with_picture(Picture.of([changed(n, *both) for n, both in enumerate(planes)]))

    def _corrections(self, block: Block, net: Network, pictures: Pictures) -> Iterator[Tensor]:
        """What torch says to the core frames."""
        core = block.wanted
        groups = (
            fixed_clips(block, core, net) if net.clip else [(range(t, t + 1),) * 2 for t in core]
        )
        for given, wanted in groups:
            x = pictures.given(list(given), net)
            # Where no noise is left, nothing is done.
            correction = ensembled(net, x, self.ensemble) * (x.sigma * x.averaged[1] != 0)
            if self._held_back:
                correction = energy_guard.hold_back(correction, x, block.noise.grain_area)
            yield correction[wanted.start - given.start : wanted.stop - given.start]

    def _residual(self, residual: Tensor, averaged: Tensor) -> Tensor:
        """The residual map behind the network, from that before it and that behind the average."""
        done = torch.where(
            residual < averaged, residual, torch.minimum(residual, _LEAVES * residual.sqrt())
        )
        return torch.lerp(residual, done, self.weight * min(self.strength, 1.0))


@cache
def _facts(model: str) -> Network:
    """A network like the model's, for what it states about itself."""
    return find(model).network()
