"""Detail that noise destroyed, drawn anew from what is possible: invented, and labelled so."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from vdenoise.nets.models import find
from vdenoise.picture.block import Block, Signal
from vdenoise.picture.findings import StageFindings
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.subsampling import resize_to
from vdenoise.sampling.samplers import Sampler, draws, sample
from vdenoise.sampling.schedules import Schedule, noise_levels
from vdenoise.stages.base import Footprint, Need, Precision, Role, Stage, StageFile, param
from vdenoise.stages.net.bare import bare_network
from vdenoise.stages.regrow.carried import REACH
from vdenoise.stages.regrow.consistency import consistent
from vdenoise.stages.regrow.prior import Prior

_SHOWN = 8 / 255  # RMS of what was invented, or of the spread, that its matte shows as white
# A flow comes to the nearest picture with the energy of clean ones, as far as the network knows it.
# Exaggerated so much, 60 % of what it invents is what it came to, and its bands have that energy.
_FLOW_GAIN = 5 / 3
_MOST_DRAWS = 1000  # of a picture: 50 steps of the sampler that draws twice in each take a tenth
_AROUND = 9  # px: side of the window of that RMS


class Posterior(Stage):
    """Draws one of the pictures that could lie under the noise, instead of their mean.

    A denoiser answers with the mean of all that is possible, which is the most accurate single
    answer and, under strong noise, a smooth one. This takes the noise off in small steps, from the
    noisy frame at its own noise level on, and comes to one picture among the possible ones. What
    that differs by from the network's single answer is invented detail: it is likely, it is not
    known, and a strength of it is added to the denoised picture. Random numbers are drawn by seed
    and frame number, and follow the motion for some frames.
    """

    slot: ClassVar[str] = "regrow"
    method: ClassVar[str] = "posterior"
    role: ClassVar[Role] = "sampler"

    strength: float = param(
        1.0, "Share of the invented detail that is added: 0 is off.", low=0, high=1
    )
    # Eight steps, and other solvers of this kind, hardly change anything
    sampler: Sampler = param(
        "dpm++2m",
        "How the noise is taken off: euler, heun, dpm++2m and ddim (eta 0) draw nothing and follow "
        "the noise itself, ddpm, langevin and ddim with eta draw by --seed.",
    )
    steps: int = param(
        4,
        "Noise levels on the way: more is more exact and sharper, and takes longer.",
        low=1,
        high=50,
    )
    schedule: Schedule = param("karras", "How the noise level falls from step to step.")
    eta: float = param(
        0.0, "How much ddim draws: 0 nothing, 1 as much as ancestral sampling.", low=0, high=1
    )
    guidance: float = param(
        1.0,
        "How far the aligned neighbors are followed: 0 the frame alone, 1 as they deserve, more "
        "exaggerates what they say.",
        low=0,
        high=3,
    )
    consistency: float = param(
        1.0,
        "How strictly source less result is held to the measured noise, by block and frequency: 0 "
        "is off, 1 allows what chance does.",
        low=0,
        high=1,
    )
    samples: int = param(
        1,
        "Pictures that are drawn, whose mean is taken: the more, the nearer to the plain answer; "
        "--matte uncertainty shows how far they differ.",
        low=1,
        high=16,
    )
    model: str = param("S", "Network that knows what is possible: S, M, L, or a file.")

    @property
    def reach(self) -> int:
        """Frames that what is drawn has been carried through."""
        return REACH if draws(self.sampler, self.eta) else 0

    @property
    def needs(self) -> frozenset[Need]:
        """The noise, what its neighbors know, and the motion that what is drawn follows."""
        always: frozenset[Need] = frozenset({"original", "averaged"})
        return always | {"motion"} if self.reach else always

    @property
    def files(self) -> tuple[StageFile, ...]:
        """The weights."""
        return (find(self.model),)

    @property
    def precision(self) -> Precision:
        """What the network claims for itself."""
        return bare_network(self.model).precision

    @property
    def gains_by_bfloat16(self) -> bool:
        """What the network says of itself."""
        return bare_network(self.model).gains_by_bfloat16

    @property
    def footprint(self) -> Footprint:
        """Whole frames: networks one after the other see far. Memory for the network, and for the
        pictures of a step."""
        return Footprint(whole=True, scratch=bare_network(self.model).footprint.scratch + 8)

    def denoise(self, block: Block) -> Block:
        """Frame by frame: the result cannot depend on how many come at once."""
        made = [self._regrown(replace(block, core=slice(t, t + 1))) for t in block.wanted]
        pictures, invented, spreads = zip(*made, strict=True)
        drawn = Picture.join(pictures, torch.cat)
        done = block.core_picture.pair(drawn, lambda s, pixels: Signal(pixels, s.residual.clone()))
        found = StageFindings(
            invented=torch.cat(invented),
            uncertainty=None if self.samples == 1 else torch.cat(spreads),
        )
        return block.with_picture(done).with_findings(found)

    def _regrown(self, block: Block) -> tuple[Picture[Tensor], Tensor, Tensor | None]:
        """Luma and chroma of one frame, and how much of its luma is invented and uncertain; of one
        sample nothing is known about that."""
        prior = Prior(block, self.model, self.guidance)
        start = prior.start
        single = prior.denoise(start, 1.0)
        levels = noise_levels(self.schedule, self.steps)

        def denoise(x: Tensor, sigma: float) -> Tensor:
            return single if x is start else prior.denoise(x, sigma)

        def one(n: int) -> Tensor:
            def noise(draw: int) -> Tensor:
                return prior.noise(draw + n * _MOST_DRAWS, block.seed)

            return sample(self.sampler, denoise, start, levels, noise, eta=self.eta)

        found = torch.stack([one(n) for n in range(self.samples)])
        drawn = found.mean(0)
        spread = None
        if self.samples > 1:
            spread = _shown(prior.planes(found.std(0))[0] * (prior.present[0] > 0))
        gain = 1.0 if draws(self.sampler, self.eta) else _FLOW_GAIN
        planes = []
        for n, invented in enumerate(prior.planes((drawn - single) * gain)):
            plain = block.signals[n].pixels[block.core]
            if self.consistency > 0:
                held = self._held(invented, prior, n, plain)
                invented = torch.lerp(invented, held, self.consistency)
            invented = invented * (self.strength * (prior.present[n] > 0))
            if n == 0:
                shown = _shown(invented)
            planes.append(plain + invented)
        return Picture.of(planes), shown, spread

    def _held(self, invented: Tensor, prior: Prior, n: int, plain: Tensor) -> Tensor:
        """What leaves a residual that can be noise, plane by plane."""
        noise = prior.block.noise.picture.planes[n]
        luma = resize_to(prior.average[0].pixels, plain)
        sigma = noise.sigma_at(luma) * prior.present[n]
        removed = prior.noisy[n] - plain
        found = [
            consistent(invented[0, c], removed[0, c], sigma[0, c], noise.spectrum[c])
            for c in range(plain.shape[1])
        ]
        return torch.stack(found)[None]


def _shown(pixels: Tensor) -> Tensor:
    """(1, 1, H, W) in [0, 1]: root of the mean square around each pixel, as mattes show it."""
    half = _AROUND // 2
    framed = functional.pad(pixels.square(), (half,) * 4, mode="replicate")
    return functional.avg_pool2d(framed, _AROUND, 1).sqrt().div(_SHOWN).clamp(max=1)
