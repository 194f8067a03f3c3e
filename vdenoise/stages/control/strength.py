"""How much of what the denoisers found is taken away: dials, masks and guards, at each pixel.

Stages say what is noise; this says how much of it goes, as a factor in [0, 1] on the correction.
It runs after the last denoiser and before anything that finishes the picture.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import SkipValidation, model_serializer
from torch import Tensor
from torch.nn import functional

from vdenoise.masks.coverage import layers, strengths
from vdenoise.masks.spec import FINISHED, MaskSpec
from vdenoise.picture.block import Accuracy, Block, Signal
from vdenoise.picture.findings import StageFindings
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.subsampling import resize_to
from vdenoise.picture.windows import pad, taps_sum
from vdenoise.settings.groups import OutputSettings
from vdenoise.stages.base import Footprint, Need, Stage, noise_present
from vdenoise.stages.control.guards import excess, sigma_of, without_drift

FULL = 100.0
_SPLINE = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)  # cubic B-spline, of the "a trous" transform
_SHOWN_CODES = 1.0  # 8-bit codes of a level's shift that --matte color shows as white
# Luma over which --shadows and --highlights fade: all of it at the first, none at the second.
SHADOWS, HIGHLIGHTS = (0.15, 0.4), (0.85, 0.6)


class Settle(Stage):
    """Takes as much of the correction as dials, masks and guards leave."""

    slot: ClassVar[str] = "output"
    method: ClassVar[str] = "settle"

    output: SkipValidation[OutputSettings] = OutputSettings()
    masks: tuple[SkipValidation[MaskSpec], ...] = ()
    motion_est: Accuracy = "fast"
    show: tuple[str, ...] = ()  # pictures that somebody wants to see

    @model_serializer
    def _as_asked(self) -> dict[str, Any]:
        own = {name.partition(".")[2]: value for name, value in self.output.values().items()}
        masks = {mask.name: mask.values() for mask in self.masks}
        return {"strength": self.strength, **own, "masks": masks, "motion_est": self.motion_est}

    @property
    def scales(self) -> bool:
        """Whether there is anything to do: nothing is lost by leaving it out where not."""
        return bool(self.masks) or self.output.scaling != OutputSettings()

    @property
    def reach(self) -> int:
        """Frames over which the masks are steadied."""
        return max((mask.stabilize for mask in self.masks), default=0)

    @property
    def footprint(self) -> Footprint:
        """The filters of the bands, if any is weighted; masks and guards look at whole frames."""
        levels = len(self.output.bands) - 1 if _weighs(self.output.bands) else 0
        halo = sum(2 << level for level in range(levels))
        return Footprint(halo=halo, whole=bool(self.masks or self.output.guards or self.show))

    @property
    def needs(self) -> frozenset[Need]:
        """Masks of files, and motion where a mask is steadied."""
        steadied: frozenset[Need] = frozenset({"motion"} if self.reach > 0 else ())
        return steadied | {"original", "mattes"}

    @property
    def motion_accuracy(self) -> Accuracy:
        """Accuracy of the temporal stage, whose motion is there already."""
        return self.motion_est

    def denoise(self, block: Block) -> Block:
        """Scale what the chain has changed."""
        core, original = block.core_picture, block.core_original
        clean = core.luma.pixels
        amounts, found = self._amounts(block, clean)
        sigma = sigma_of(block) if "structure" in self.output.guards else None
        done, drifts = [], []
        for n, (signal, before) in enumerate(zip(core.planes, original.planes, strict=True)):
            correction = _weighted_bands(signal.pixels - before, self.output.bands)
            if "color" in self.output.guards:
                correction, drift = self._level(correction, resize_to(clean, before), clean)
                drifts.append(drift)
            amount = amounts[n]
            if sigma is not None:
                picture = excess(correction, sigma.planes[n], block.noise.grain_area)
                amount = amount * (1 - picture)
                if n == 0:
                    found = StageFindings(
                        structure=picture if "structure" in self.show else None,
                        structure_share=picture.mean(dim=(1, 2, 3)),
                    ).over(found)
            start = noise_present(block, before)
            residual = start - amount * (start - signal.residual)
            done.append(Signal(before + correction * amount, residual))
        for drift in drifts[1:]:
            drifts[0] = drifts[0].pair(drift, torch.maximum)
        found = drifts[0].over(found) if drifts else found
        return block.with_picture(Picture.of(done)).with_findings(found)

    def _amounts(self, block: Block, clean: Tensor) -> tuple[tuple[Tensor, Tensor], StageFindings]:
        """Factors on the correction of luma and chroma, each on its own grid, and what of them
        later stages obey."""
        masks = layers(self.masks, block)
        shares, gate = strengths(
            masks, {"luma": self.output.luma, "chroma": self.output.chroma}, clean
        )
        of_luma, of_chroma = shares.pop("luma"), shares.pop("chroma")
        rest = self._tone(clean) * (1 - self.output.blend / 100)
        found = StageFindings(
            mask=of_luma if masks and "mask" in self.show else None,
            gate=gate if masks else None,
            shares={name: shares[name] for name in FINISHED if name in shares},
            covers={mask.spec.name: mask.cover.mean(dim=(1, 2)) for mask in masks},
            amount=of_luma * rest if "invented" in self.show else None,
        )
        of_luma, of_chroma = of_luma * rest, of_chroma * rest
        if block.chroma is not None:
            of_chroma = resize_to(of_chroma, block.chroma.pixels)
        return (of_luma, of_chroma), found

    def _tone(self, luma: Tensor) -> Tensor:
        """--shadows and --highlights: (T, 1, H, W) in [0, 1], by the clean luma."""
        factor = torch.ones_like(luma)
        for percent, (full, none) in (
            (self.output.shadows, SHADOWS),
            (self.output.highlights, HIGHLIGHTS),
        ):
            if percent < FULL:
                part = ((luma - none) / (full - none)).clamp(0, 1)
                factor = factor * (1 - part * (1 - percent / 100))
        return factor

    def _level(
        self, correction: Tensor, luma: Tensor, like: Tensor
    ) -> tuple[Tensor, StageFindings]:
        """The correction without a drift of levels; the worst drift of each frame, and how far the
        samples of any plane were taken back at each pixel of ``like``."""
        leveled, worst = zip(
            *(without_drift(c, y) for c, y in zip(correction, luma, strict=True)), strict=True
        )
        done = torch.stack(leveled)
        back = None
        if "color" in self.show:
            back = (correction - done).abs().amax(1, keepdim=True) * (255 / _SHOWN_CODES)
            back = functional.interpolate(back, like.shape[-2:])
        return done, StageFindings(drift=torch.tensor(worst), color=back)


def _weighs(percents: tuple[float, ...]) -> bool:
    return any(percent != FULL for percent in percents)


def _weighted_bands(correction: Tensor, percents: tuple[float, ...]) -> Tensor:
    """Weigh the correction by frequency, lowest band first.

    The bands are those of an undecimated B-spline wavelet transform (Starck et al. 2007), whose
    sum is the input: above 1/4 cycle a pixel, 1/8 to 1/4, 1/16 to 1/8 and below, roughly.
    """
    if not _weighs(percents):
        return correction
    low, *others = percents
    total, smooth = torch.zeros_like(correction), correction
    for level, percent in enumerate(reversed(others)):
        step = 1 << level
        padded = pad(smooth, 2 * step)
        coarser = taps_sum(taps_sum(padded, _SPLINE, -1, step), _SPLINE, -2, step)
        total += (smooth - coarser) * (percent / 100)
        smooth = coarser
    return total + smooth * (low / 100)
