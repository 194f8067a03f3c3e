"""What a training run is: one TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vdenoise.errors import UsageError, fault_of
from vdenoise.machine.files import load_toml, read_json
from vdenoise.training.adversary import Adversarial
from vdenoise.training.material.examples import Recipe
from vdenoise.training.material.fresh import Fresh

Loss = Literal["charbonnier", "mse", "l1", "psnr", "ssim-mixed"]

RECIPES = Path(__file__).parent / "recipes"  # how the shipped models are trained


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
    validation: int = Field(default=32, ge=0, description="Examples to validate on.")
    singles: bool = Field(
        default=False,
        description="Validate on single frames of the held-out sources, too: the network alone.",
    )
    newest: int | None = Field(
        default=None,
        ge=1,
        description="Learn from that many newest examples; older ones are deleted. None: from all.",
    )
    workers: int = Field(default=1, ge=0, description="Processes that make examples ahead.")
    loaders: int = Field(
        default=0, ge=0, description="Processes that put batches together ahead, for a GPU."
    )
    recipe: Recipe = Recipe()
    fresh: Fresh = Fresh()

    def drawn_from(self, step: int, steps: int) -> range:
        """The examples that a step out of ``steps`` learns from.

        They come in evenly over the first two thirds, so that training starts before all are made.
        """
        spread = min(1.0, 1.5 * step / steps) * (self.examples - self.first)
        known = min(self.examples, self.first + int(spread))
        return range(max(0, known - (self.newest or known)), known)


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
    start: Path | None = Field(
        default=None, description="Weights to begin with: of this network, or of a smaller one."
    )
    teacher: Path | None = Field(
        default=None, description="Weights of a network to learn from as well."
    )
    yardstick: Path | None = Field(
        default=None,
        description="Weights to validate beside these on single frames; never learned from.",
    )
    teacher_share: float = Field(default=0.5, ge=0, le=1, description="Of the loss.")
    steps: int = Field(default=10_000, ge=1)
    batch: int = Field(default=8, ge=1)
    crop: int = Field(default=128, ge=32, multiple_of=16, description="Side of a crop, pixels.")
    loss: Loss = "charbonnier"
    adversarial: Adversarial = Adversarial()
    optimiser: Optimiser = Optimiser()
    jitter: Jitter = Jitter()
    seed: int = 1
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    compile: bool = Field(default=False, description="torch.compile, which takes a minute first.")
    threads: int | None = Field(default=None, ge=1, description="On a CPU; None takes them all.")
    check_every: int = Field(
        default=1000, ge=1, description="Steps between validations and checkpoints."
    )
    patience: int | None = Field(
        default=None, ge=1, description="Validations without a better one after which it stops."
    )

    @property
    def batch_pixels(self) -> int:
        """Supervised in a step."""
        return self.batch * self.crop**2

    @classmethod
    def load(cls, name: Path | str, overrides: Sequence[str] = ()) -> Config:
        """Read a configuration; its relative paths start at the working directory.

        Args:
            name: a TOML file, or the name of a recipe that came with vdenoise.
            overrides: ``table.key=value``, with the value as in TOML; quotes may be left out.

        Raises:
            UsageError: it is missing or wrong.
        """
        return cls.of(overridden(read(name), overrides), str(name))

    @classmethod
    def of(cls, data: Mapping[str, Any], origin: str) -> Config:
        """Check what was read from ``origin``.

        Raises:
            UsageError: it is wrong.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise UsageError(
                f"{origin} is no training configuration: {fault_of(error)}.",
                "See docs/training.md.",
                number=111,
            ) from error


def recipes() -> tuple[str, ...]:
    """Names of the configurations that came with vdenoise."""
    return tuple(sorted(path.stem for path in RECIPES.glob("*.toml")))


def read(name: Path | str) -> dict[str, Any]:
    """A configuration as it is written: a TOML file, or the name of a shipped recipe.

    Raises:
        UsageError: it is missing or no TOML.
    """
    return read_toml(RECIPES / f"{name}.toml" if str(name) in recipes() else Path(name))


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file, or JSON where it is called .json.

    Raises:
        UsageError: it is missing or no TOML.
    """
    try:
        found: dict[str, Any]
        found = read_json(path) if path.suffix == ".json" else load_toml(path)
        return found
    except OSError as error:
        raise UsageError(
            f"Cannot read {path}: {error.strerror}.",
            f"Name a .toml file, or one of {', '.join(recipes())}.",
            number=110,
        ) from error
    except ValueError as error:
        raise UsageError(f"{path} is no TOML: {error}.", "Correct it.", number=114) from error


def overridden(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A nested table with other values.

    Args:
        data: as read from TOML.
        overrides: ``table.key=value``; later ones win.

    Raises:
        UsageError: one is not of that form.
    """
    found: dict[str, Any] = {**data}
    for text in overrides:
        name, equals, value = text.partition("=")
        keys = [key.strip() for key in name.split(".")]
        if not equals or not all(keys):
            raise UsageError(
                f"{text!r} is not of the form key=value.",
                "Example: optimiser.rate=3e-4",
                number=115,
            )
        table = found
        for key in keys[:-1]:
            table[key] = {**table.get(key, {})} if isinstance(table.get(key), dict) else {}
            table = table[key]
        table[keys[-1]] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    """Read a value as in TOML; what is none there is a word."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
