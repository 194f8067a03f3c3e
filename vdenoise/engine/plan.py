"""What is decided before the first frame; `vdenoise.engine.planning` decides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vdenoise.chain.resolve import Chain
from vdenoise.engine.steps import Step, ranges
from vdenoise.engine.streams import Shots
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.picture.frame import ClipInfo
from vdenoise.settings.choices import Dither, Interlaced, ViewKind
from vdenoise.stages import DECODER_GRAIN, ONLY_ASKED, REPAIRING

MIB = 1 << 20
SUBCODE_BITS = 10  # depths up to this show bands where a slope was made smooth


@dataclass(frozen=True)
class View:
    """A map that is written as a gray clip, to be looked at or used elsewhere."""

    kind: ViewKind
    path: Path
    encode: EncodeSettings


@dataclass(frozen=True)
class Plan:
    """What will be done, complete before the first frame."""

    info: ClipInfo
    output: Path
    encode: EncodeSettings
    chain: Chain
    steps: tuple[Step, ...]
    device: str
    first: int  # frames to write, both inclusive
    last: int
    memory_bytes: int  # estimate of the peak
    workers: int = 1  # threads that compute, each a block of its own
    interlaced: Interlaced = "ignore"
    seed: int = 0
    noise_out: Path | None = None
    noise_encode: EncodeSettings | None = None
    views: tuple[View, ...] = ()
    warnings: tuple[str, ...] = ()
    translated: tuple[str, ...] = ()  # what is written in another form, with nothing lost
    chosen: tuple[int, ...] | None = None  # the frames to write, if not all of first..last
    dither: Dither = "auto"
    grain_table: Path | None = None  # where the film grain of what was removed goes

    @property
    def positions(self) -> Sequence[int]:
        """Absolute numbers of the frames to write."""
        return range(self.first, self.last + 1) if self.chosen is None else self.chosen

    @property
    def dithered(self) -> bool:
        """Whether the writer dithers what it rounds: where bits are dropped, and where a stage's
        result lies between the codes and there are few of them."""
        fmt = self.encode.pixel_format
        if self.dither != "auto" or fmt.floating:
            return self.dither == "on" and not fmt.floating
        fine = any("dither" in step.stage.needs for step in self.steps) and fmt.bits <= SUBCODE_BITS
        return fine or self.encode.dithers(self.info)

    @property
    def film_grain(self) -> float | None:
        """Share of the removed grain that AV1 decoders are to draw; None for none."""
        return next((s.strength for s in self.chain.stages if s.name == DECODER_GRAIN), None)

    @property
    def invented(self) -> str | None:
        """What to call detail that was drawn and not recorded: how much of it, by what; None for
        none."""
        for stage in (s for s in self.chain.stages if s.slot in ONLY_ASKED):
            how = stage.model_dump()
            shares = [f"{100 * stage.strength:g} %"]
            for mask in (m for m in self.chain.masks if stage.slot in m.strengths):
                shares.append(f"{mask.strengths[stage.slot]:g} % in mask {mask.name}")
            return (
                f"invented detail: {', '.join(shares)} of what {stage.slot} drew "
                f"({how['sampler']}, {how['steps']} steps, seed {self.seed}, model {how['model']})"
            )
        return None

    @property
    def touches(self) -> tuple[bool, bool]:
        """Whether luma and chroma may change at all; where not, they stay as they are."""
        chain = self.chain
        return (
            chain.output.luma > 0 or any(mask.strengths.get("luma") for mask in chain.masks),
            chain.output.chroma > 0 or any(mask.strengths.get("chroma") for mask in chain.masks),
        )

    @property
    def repairs(self) -> bool:
        """Whether damage is taken out before noise is."""
        return any(step.stage.slot in REPAIRING for step in self.steps)

    @property
    def frames(self) -> int:
        """Number of frames to denoise."""
        return self.last - self.first + 1

    @property
    def bit_path(self) -> str:
        """The bits from source to output, for people: ``10-bit 4:2:2 > float32 > 8-bit 4:2:2,
        dithered``."""
        used = {step.precision for step in self.steps}
        middle = [word for word in ("float16", "bfloat16", "float32") if word in used][:1]
        path = " > ".join([self.info.format.label, *middle, self.encode.written.label])
        return path + (", dithered" if self.dithered else "")

    def source_range(self, shots: Shots) -> tuple[int, int]:
        """First and last frame that must be decoded, context included."""
        return ranges(self.steps, shots, self.first, self.last)[0]

    def to_json(self) -> dict[str, Any]:
        """Make plain values of it, for ``--dry-run --progress json`` and the recipe."""
        return {
            "input": str(self.info.path),
            "output": str(self.output),
            "noise_out": None if self.noise_out is None else str(self.noise_out),
            "frames": [self.first, self.last],
            "chosen": None if self.chosen is None else list(self.chosen),
            "size": [self.info.width, self.info.height],
            "preset": self.chain.preset,
            "speed": self.chain.speed,
            "luma": self.chain.output.luma,
            "chroma": self.chain.output.chroma,
            "sigma_scale": self.chain.noise.sigma_scale,
            "limit": self.chain.output.limit,
            "mask_fit": self.chain.output.mask_fit,
            "views": {view.kind: str(view.path) for view in self.views},
            "steps": [step.to_json() for step in self.steps],
            "device": self.device,
            "workers": self.workers,
            "memory_mib": self.memory_bytes // MIB,
            "bit_path": self.bit_path,
            "encode": self.encode.model_dump(mode="json"),
            "interlaced": self.interlaced,
            "encoding": self.info.encoding,
            "seed": self.seed,
            "invented": self.invented,
            "dither": self.dither,
            "grain_table": None if self.grain_table is None else str(self.grain_table),
            "warnings": list(self.warnings),
            "translated": list(self.translated),
        }
