"""What a training run is: one TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vdenoise.errors import UsageError
from vdenoise.training.examples import Recipe

Loss = Literal["charbonnier", "mse", "l1", "psnr", "ssim-mixed"]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(_Table):
    """Where examples come from."""

    folder: Path = Field(description="Clean clips and stills.")
    pool: Path = Field(description="Where examples are kept; shared by runs that ask for the same.")
    without: tuple[str, ...] = Field(default=(), description="Names to leave out.")
    held_out: tuple[str, ...] = Field(default=(), description="Names kept for validation.")
    seed: int = 1
    examples: int = Field(default=1000, ge=1, description="Examples in all.")
    first: int = Field(
        default=32, ge=1, description="Examples to begin with; the rest come in evenly."
    )
    validation: int = Field(default=32, ge=1, description="Examples to validate on.")
    workers: int = Field(default=1, ge=0, description="Processes that make examples ahead.")
    recipe: Recipe = Recipe()


class Optimiser(_Table):
    """How the weights move. The rate warms up, stays, and falls to 0 over the last steps, so that
    a run can be made longer at any time before it falls."""

    rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    warm_up: int = Field(default=300, ge=0, description="Steps.")
    decay: int = Field(
        default=2000, ge=0, description="Steps at the end over which the rate falls to 0."
    )
    clip: float = Field(default=1.0, gt=0, description="Largest norm of the gradient.")
    average: float = Field(
        default=0.999, ge=0, lt=1, description="Decay of the mean of the weights."
    )


class Jitter(_Table):
    """What a network is told wrongly, because a measurement is never exact, and what it is not
    given, because stages can be off."""

    sigma: float = Field(
        default=0.12, ge=0, description="Standard deviation of the log of sigma told."
    )
    blind: float = Field(default=0.04, ge=0, le=1, description="Share told nothing (sigma -1).")
    alone: float = Field(
        default=0.1, ge=0, le=1, description="Share given the noisy frame only: no other stage."
    )
    unfiltered: float = Field(
        default=0.08, ge=0, le=1, description="Share given the average only: no spatial stage."
    )


class Config(_Table):
    """A training run."""

    network: str = Field(description="Architecture, for example guided-s.")
    data: Data
    start: Path | None = Field(default=None, description="Weights to begin with.")
    teacher: Path | None = Field(
        default=None, description="Weights of a network to learn from as well."
    )
    teacher_share: float = Field(default=0.5, ge=0, le=1, description="Of the loss.")
    steps: int = Field(default=10_000, ge=1)
    batch: int = Field(default=8, ge=1)
    crop: int = Field(default=128, ge=32, multiple_of=16, description="Side of a crop, pixels.")
    loss: Loss = "charbonnier"
    optimiser: Optimiser = Optimiser()
    jitter: Jitter = Jitter()
    seed: int = 1
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    compile: bool = False
    threads: int | None = Field(default=None, ge=1, description="On a CPU; None takes them all.")
    check_every: int = Field(
        default=1000, ge=1, description="Steps between validations and checkpoints."
    )
    patience: int | None = Field(
        default=None, ge=1, description="Validations without a better one after which it stops."
    )

    @classmethod
    def load(cls, path: Path) -> Config:
        """Read a configuration; its paths are relative to its folder.

        Raises:
            UsageError: it is missing or wrong.
        """
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
            return cls.model_validate(data)
        except OSError as error:
            raise UsageError(
                f"Cannot read {path}: {error.strerror}.", "See docs/training.md.", number=71
            ) from error
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            raise UsageError(
                f"{path} is no training configuration: {error}", "See docs/training.md.", number=72
            ) from error
