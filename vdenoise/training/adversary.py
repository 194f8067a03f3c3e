"""An adversary in training: a network that tells denoised pictures from clean ones, patch by patch.

What denoises is made to fool it as well as to be near the truth, so that a result is not smoother
than pictures are. Off unless a configuration gives it a share: it buys texture with accuracy, and
where it goes too far with texture that was never there.

The discriminator is that of Isola et al., "Image-to-Image Translation with Conditional Adversarial
Networks" (2017); the loss the relativistic average one of Jolicoeur-Martineau, "The Relativistic
Discriminator" (2018); R1 that of Mescheder, Geiger and Nowozin, "Which Training Methods for GANs do
actually Converge?" (2018), once in some steps as in Karras et al., StyleGAN2 (2020).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

_SLOPE = 0.2
_R1_EVERY = 8  # steps


class Adversarial(BaseModel):
    """How an adversary takes part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Of its loss, which is added to the other; 0 is off. The PSNR loss has 0.01 "
        "for a decibel, so 0.002 to 0.01 are felt.",
    )
    width: int = Field(default=32, ge=8, description="Channels of its first layer; then twice.")
    rate: float = Field(default=1e-4, gt=0, description="Its learning rate.")
    r1: float = Field(
        default=0.1,
        ge=0,
        description="Weight of the square of its slope at clean pictures, for each patch.",
    )


class Discriminator(nn.Sequential):
    """How real each patch of some 46 pixels looks: (N, 3, H, W) R'G'B' to (N, 1, H/8, W/8)."""

    def __init__(self, width: int) -> None:
        """Build with random weights; ``width``: channels of the first layer."""
        channels = (3, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(_SLOPE)]
        super().__init__(*layers, nn.Conv2d(channels[-1], 1, 3, padding=1))


class Adversary:
    """The discriminator and how it learns. It computes in float32."""

    def __init__(self, given: Adversarial, device: torch.device) -> None:
        self._given = given
        self._net = Discriminator(given.width).to(device)
        self._optimiser = torch.optim.Adam(self._net.parameters(), lr=given.rate, betas=(0.0, 0.99))

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"net": self._net.state_dict(), "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, held: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._net.load_state_dict(held["net"])
        self._optimiser.load_state_dict(held["optimiser"])

    def against(self, answer: Tensor, wanted: Tensor) -> Tensor:
        """What it adds to the loss of the network that denoises.

        Args:
            answer: (N, 3, H, W) R'G'B', denoised.
            wanted: the clean pictures.
        """
        with torch.autocast(answer.device.type, enabled=False):
            found, real = self._net(answer.float()), self._net(wanted.float())
            return self._given.share * relativistic(found, real)

    def learn(self, answer: Tensor, wanted: Tensor, step: int) -> float:
        """Learn to tell them apart; the loss before it did.

        Args:
            answer, wanted: as `against`.
            step: number of the step, which says whether R1 is due.
        """
        answer, wanted = answer.detach().float(), wanted.detach().float()
        due = self._given.r1 > 0 and step % _R1_EVERY == 0
        wanted = wanted.clone().requires_grad_(due)
        real = self._net(wanted)
        loss = relativistic(real, self._net(answer))
        told = float(loss.detach())
        if due:
            (slope,) = torch.autograd.grad(real.sum(), wanted, create_graph=True)
            penalty = slope.square().sum() / real.numel()
            loss = loss + _R1_EVERY * self._given.r1 / 2 * penalty
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._optimiser.step()
        return told


def relativistic(higher: Tensor, lower: Tensor) -> Tensor:
    """The relativistic average loss of those that should look more real than the others do on
    average, and the others less; log 2 where they look the same."""
    above = functional.softplus(lower.mean() - higher).mean()
    below = functional.softplus(lower - higher.mean()).mean()
    return (above + below) / 2
