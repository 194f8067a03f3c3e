"""The registry: every denoiser by name, in the order in which slots run.

Values are ``module:Class`` strings so that listing them imports nothing heavy.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from vdenoise.errors import UsageError

if TYPE_CHECKING:
    from vdenoise.stages.base import Stage

# Denoise before anything that sharpens or adds: sharpening first would turn noise into detail,
# and averaging over time first leaves the spatial filter the least to do.
SLOTS: tuple[str, ...] = ("temporal", "spatial", "net")

STAGES: dict[str, str] = {
    "temporal.mean": "temporal:TemporalMean",
    "temporal.median": "temporal_median:TemporalMedian",
    "temporal.static": "temporal_static:TemporalStatic",
    "spatial.wiener": "wiener:Wiener",
    "spatial.nlm": "nlm:NonLocalMeans",
    "spatial.wavelet": "wavelet:Wavelet",
    "spatial.tv": "tv:TotalVariation",
    "spatial.bilateral": "bilateral:Bilateral",
    "spatial.guided": "guided:Guided",
    "spatial.median": "median:Median",
    "spatial.gaussian": "gaussian:Gaussian",
    "spatial.mean": "mean:Mean",
    "net.cnn": "cnn:Cnn",
}


@cache
def stage_class(name: str) -> type[Stage]:
    """The class registered under ``slot.method``.

    Raises:
        UsageError: no stage has this name.
    """
    if name not in STAGES:
        raise UsageError(f"There is no stage {name!r}.", "List them with: vdenoise stages")
    module, _, cls = STAGES[name].partition(":")
    found: type[Stage] = getattr(import_module(f"{__name__}.{module}"), cls)
    return found


def methods(slot: str) -> tuple[str, ...]:
    """Method names registered for a slot, the default first."""
    return tuple(name.partition(".")[2] for name in STAGES if name.startswith(f"{slot}."))
