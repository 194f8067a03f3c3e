"""What every stage is: a frozen set of parameters, declared needs, and a pure function.

A stage never chooses device, precision, tile or block length: it follows the tensors it gets.
``vdenoise.engine.steps`` reads the declared needs and decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from vdenoise.picture.block import Accuracy, Block, Signal
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.noise_table import NoiseTable
from vdenoise.picture.subsampling import resize_to


def param(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
) -> Any:
    """Declare a parameter once: default, inclusive range, unit and one sentence."""
    return Field(
        default,
        description=help,
        ge=low,
        le=high,
        allow_inf_nan=False if isinstance(default, float) else None,
        json_schema_extra={"unit": unit} if unit else None,
    )


# What a stage is for, which decides what the contract tests expect of it
Role = Literal[
    "denoiser",  # removes noise
    "repair",  # removes what else a picture suffers from: block edges, bands
    "sharpener",  # makes detail stronger, flats stay as they are
    "grain",  # puts grain into the picture
    "sampler",  # draws what may have been there
]
# What a stage may ask for beside the picture, by the name of what it finds in the block; with
# "pilots" a first answer for each frame guides the motion, with "dither" the writer is to dither,
# as steps finer than codes come out
Need = Literal["original", "averaged", "clean", "motion", "pilots", "mattes", "dither"]
# float16: is given such pixels on CUDA. mixed: is given float32, and computes in `Block.compute`.
Precision = Literal["float32", "float16", "mixed"]


@dataclass(frozen=True)
class Footprint:
    """What computing a part of a picture takes: pixels around it, and memory.

    Pixels are those of a signal's own plane, luma's where a stage filters all planes at that size.
    """

    halo: int = 0  # pixels needed around a tile (exact: enough, and used)
    multiple: int = 1  # tile edges and halos lie on multiples of so many pixels
    whole: bool = False  # needs whole frames: no halo is enough
    at_luma_size: bool = False  # filters all planes at luma's size
    scratch: float = 8.0  # memory, in copies of the block's core signals
    # Halo and multiple that make a tile equal the whole to the bit where this machine's code rounds
    # more pixels together than they say; None where it does not
    rounded: tuple[int, int] | None = None

    @property
    def tiling(self) -> tuple[int, int]:
        """Pixels that a tile needs around it to equal the whole to the bit on this machine, and
        what its sides are multiples of."""
        return self.rounded or (self.halo, self.multiple)


class StageFile(Protocol):
    """A file that a stage computes with, such as a model or a profile."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    @property
    def sha256(self) -> str:
        """SHA-256 of all in it that counts, in hexadecimal."""
        ...


class Stage(BaseModel):
    """One step of the chain.

    ``strength`` is the same dial on every stage: 0 gives the input back to the bit, more is
    smoother, 1 is the stage's own idea of right for the measured noise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    slot: ClassVar[str]  # place in the fixed order: "temporal", "spatial", ...
    method: ClassVar[str]  # name inside the slot
    role: ClassVar[Role] = "denoiser"
    speeds: ClassVar[dict[str, dict[str, Any]]] = {}  # cost parameters for each --speed word

    strength: float = param(
        1.0, "How hard this stage works: 0 is off, 1 fits the measured noise.", low=0, high=2
    )

    @property
    def residual_factor(self) -> float:
        """Noise that is left in real pictures, as a multiple of what `Signal.residual` says.

        A stage knows what it does to even noise; measured on clips of camera noise and film grain.
        """
        return 1.1

    @property
    def name(self) -> str:
        """Registry key, ``slot.method``."""
        return f"{self.slot}.{self.method}"

    @property
    def reach(self) -> int:
        """Frames needed on each side."""
        return 0

    @property
    def footprint(self) -> Footprint:
        """What computing a part of a picture takes."""
        return Footprint()

    @property
    def files(self) -> tuple[StageFile, ...]:
        """What it computes with beside the clip and its parameters. A farm plan records the hashes,
        and a task that finds others refuses to start."""
        return ()

    @property
    def precision(self) -> Precision:
        """What it may be computed in, held to it by tests."""
        return "float32"

    @property
    def gains_by_bfloat16(self) -> bool:
        """Whether a processor that multiplies bfloat16 is quicker in it, where it may."""
        return True

    @property
    def needs(self) -> frozenset[Need]:
        """What the block must carry beside the picture, and what must be done with the result."""
        return frozenset()

    @property
    def motion_accuracy(self) -> Accuracy:
        """How well that motion should be estimated."""
        return "better"

    @property
    def followed_by(self) -> tuple[Stage, ...]:
        """Stages that run right behind this one and belong to it, such as a guard over what it
        did: they look at no other frames, need no more memory, and are no steps of a plan."""
        return ()

    @property
    def idle(self) -> bool:
        """Whether the parameters switch the stage off."""
        return self.strength == 0

    def check(self, info: ClipInfo) -> None:
        """See, before the start, that what it is given goes with a clip.

        Raises:
            UsageError: it does not.
            InputError: a file of it cannot be read.
        """

    def apply(self, block: Block) -> Block:
        """Compute the core frames of ``block``; the result holds these only.

        Never changes its input, keeps device and dtype.
        """
        if self.idle:
            return block.with_picture(block.core_picture)
        return self.denoise(block)

    def denoise(self, block: Block) -> Block:
        """What a stage implements; ``strength`` is above 0 here."""
        raise NotImplementedError


class SpatialStage(Stage):
    """A stage that looks at one frame and treats luma and chroma alike."""

    slot: ClassVar[str] = "spatial"

    def denoise(self, block: Block) -> Block:
        """Filter luma and chroma of the core frames, each at its own resolution."""
        luma = block.luma.pixels[block.core]

        def filtered(signal: Signal, noise: NoiseTable) -> Signal:
            return self.filter(signal, noise, resize_to(luma, signal.pixels))

        return block.with_picture(block.core_picture.pair(block.noise.picture, filtered))

    def filter(self, signal: Signal, noise: NoiseTable, luma: Tensor) -> Signal:
        """Denoise one signal.

        Args:
            signal: (T, C, H, W) pixels and what noise is left in them.
            noise: the measured noise of these C planes, before any stage.
            luma: (T, 1, H, W) luma at the signal's resolution, to look sigma up by level.
        """
        raise NotImplementedError

    def sigma(self, signal: Signal, noise: NoiseTable, luma: Tensor) -> Tensor:
        """(T, C, H, W): the sigma to remove, in full-scale units, ``strength`` included."""
        return noise.sigma_at(luma) * (signal.residual * self.strength)


def noise_present(block: Block, like: Tensor) -> Tensor | float:
    """Share of the profile's sigma that the source had at each pixel of the block's core frames.

    Args:
        block: what is computed.
        like: pixels of luma or chroma.

    Returns:
        (T, 1, h, w) at the density of ``like``; 1 where noise is alike everywhere.
    """
    return 1.0 if block.present is None else resize_to(block.present[block.core], like)
