"""The settings of the chain as a whole: what a stage's parameters are to a stage.

A new one is declared here and used where it works; option checks, presets, plans, recipes and
`vdenoise tune` go by the declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

from vdenoise.settings.setting import Setting, percent

MASK = "mask"  # values named mask.NAME hold what was asked of a mask


def declare(setting: Setting) -> Any:
    """Make a field of a group of it."""
    return field(default=setting.default, metadata={"setting": setting})


@dataclass(frozen=True)
class SettingsGroup:
    """Settings whose full names begin alike: ``output.luma``, ``output.chroma``."""

    group: ClassVar[str]

    @classmethod
    def settings(cls) -> dict[str, Setting]:
        """What was declared, by full name."""
        return {f"{cls.group}.{each.name}": each.metadata["setting"] for each in fields(cls)}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Check values by full name, and take what is not said at its default.

        Raises:
            UsageError: a value is not accepted.
        """
        found = {
            name.partition(".")[2]: setting.check(name, values[name])
            for name, setting in cls.settings().items()
            if name in values
        }
        return cls(**found)

    def values(self) -> dict[str, Any]:
        """Give every value by its full name."""
        return {f"{self.group}.{each.name}": getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True)
class OutputSettings(SettingsGroup):
    """How much of what the chain found goes into the result."""

    group: ClassVar[str] = "output"

    luma: float = declare(
        percent(100.0, "Percent of the luma noise found that is removed; 0 is off.")
    )
    chroma: float = declare(
        percent(100.0, "Percent of the chroma noise found that is removed; 0 is off.")
    )
    blend: float = declare(
        percent(0.0, "Percent of the source's noise that is given back evenly; 0 is off.")
    )
    limit: float = declare(
        Setting(
            0.0, "No sample moves by more than this many 8-bit codes; 0 is off.", low=0, high=255
        )
    )
    bands: tuple[float, float, float, float] = declare(
        Setting(
            (100.0,) * 4,
            "Percent removed of coarse blotches, large, small and the finest grain, in this order.",
            low=0,
            high=100,
            count=4,
        )
    )
    shadows: float = declare(percent(100.0, "Percent of the strength that works in dark parts."))
    highlights: float = declare(
        percent(100.0, "Percent of the strength that works in bright parts.")
    )
    guards: tuple[str, ...] = declare(
        Setting(
            (),
            "What watches the removed signal: for a shift of levels, for picture in it, for "
            "ghosts.",
            words=("color", "structure", "ghost"),
            several=True,
        )
    )
    mask_fit: str = declare(
        Setting(
            "exact",
            "scale takes a mask of another size or length: resized, its last frame held.",
            words=("exact", "scale"),
        )
    )

    @property
    def scaling(self) -> Self:
        """The same without what works elsewhere: in the writer, in masks, behind the temporal
        stage. Equal to the defaults where nothing scales the correction."""
        own = tuple(guard for guard in self.guards if guard != "ghost")
        return replace(self, limit=0.0, mask_fit="exact", guards=own)


@dataclass(frozen=True)
class NoiseSettings(SettingsGroup):
    """How noisy the clip is taken to be."""

    group: ClassVar[str] = "noise"

    sigma_scale: float = declare(
        Setting(1.0, "Factor on the measured noise: above 1 is taken as more.", low=0, high=4)
    )


SETTINGS: Mapping[str, Setting] = {**OutputSettings.settings(), **NoiseSettings.settings()}
