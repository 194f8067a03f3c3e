"""The registry: every denoiser and finisher by name, in the order in which slots run.

Each lies in the module of its name, ``vdenoise/stages/SLOT/METHOD.py``; values are the names of
their classes, so that listing them imports nothing heavy.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from vdenoise.errors import UsageError
from vdenoise.stages.plugins import plug_ins

if TYPE_CHECKING:
    from vdenoise.stages.base import Stage

# What was never in front of the camera: film damage, defects of sensors and of light. Each has a
# slot of its own, so that any can be on together; all else takes what they leave for the source.
REPAIRING: tuple[str, ...] = ("hot", "lines", "weave", "flicker", "scratches", "dust")
# What takes away. Averaging over time first leaves the spatial filter the least to do; block edges
# go first of all, before anything takes them for texture.
REMOVING: tuple[str, ...] = (
    *REPAIRING,
    "deblock",
    "temporal",
    "spatial",
    "net",
    "levels",
    "regrow",
)
# What invents: on where its strength is said, never by a preset of ours or another parameter of it
ONLY_ASKED: tuple[str, ...] = ("regrow",)
# What gives back, sharpens or adds: after denoising, always. Sharpening first would turn noise into
# detail that no denoiser takes away again (docs/finishing.md shows it).
FINISHING: tuple[str, ...] = ("detail", "deband", "sharpen", "grain")
SLOTS: tuple[str, ...] = (*REMOVING, *FINISHING)
OFF = "none"  # the method that switches a slot off
DECODER_GRAIN = "grain.av1"  # the one stage that changes no pixel: decoders draw its grain

STAGES: dict[str, str] = {
    "hot.fixed": "HotPixels",
    "lines.offsets": "LineOffsets",
    "weave.translation": "GateWeave",
    "flicker.levels": "Deflicker",
    "scratches.vertical": "VerticalScratches",
    "dust.spots": "DustSpots",
    "deblock.edges": "BlockEdges",
    "temporal.mean": "TemporalMean",
    "temporal.median": "TemporalMedian",
    "temporal.static": "TemporalStatic",
    "spatial.wiener": "Wiener",
    "spatial.nlm": "NonLocalMeans",
    "spatial.wavelet": "Wavelet",
    "spatial.tv": "TotalVariation",
    "spatial.bilateral": "Bilateral",
    "spatial.guided": "GuidedFilter",
    "spatial.median": "Median",
    "spatial.gaussian": "Gaussian",
    "spatial.mean": "Mean",
    "net.cnn": "Cnn",
    "levels.unclip": "Unclip",
    "regrow.posterior": "Posterior",
    "detail.contra": "ContraSharpening",
    "deband.smooth": "SmoothBands",
    "sharpen.cas": "ContrastAdaptive",
    "sharpen.unsharp": "Unsharp",
    "grain.keep": "KeptGrain",
    "grain.match": "MatchedGrain",
    "grain.synth": "SyntheticGrain",
    "grain.av1": "DecoderGrain",
}


@cache
def stage_class(name: str) -> type[Stage]:
    """The class registered under ``slot.method``, here or by another package.

    Raises:
        UsageError: no stage has this name, or the package that brings it is broken.
    """
    if name not in STAGES:
        if name in plug_ins():
            return plug_ins()[name].load()
        raise UsageError(
            f"There is no stage {name!r}.", "List them with: vdenoise stages", number=103
        )
    found: type[Stage] = getattr(import_module(f"{__name__}.{name}"), STAGES[name])
    return found


def methods(slot: str) -> tuple[str, ...]:
    """Our own method names of a slot, the default first."""
    return tuple(name.partition(".")[2] for name in STAGES if name.startswith(f"{slot}."))


def every_stage() -> tuple[str, ...]:
    """Our own stages and those of other packages."""
    return *STAGES, *(name for name in plug_ins() if name not in STAGES)
