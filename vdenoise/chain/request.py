"""A chain as it was asked for, kept until the noise of its clip is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vdenoise.chain.preset_files import DEFAULT
from vdenoise.chain.presets import Preset
from vdenoise.chain.resolve import Chain, Layer, resolve

MEASUREMENT = "measurement"


@dataclass(frozen=True)
class ChainRequest:
    """A preset and what was said on top of it; later layers win."""

    preset: Preset
    layers: tuple[Layer, ...] = ()
    speed: str | None = None  # as said; None for the preset's

    @property
    def is_auto(self) -> bool:
        """Whether a measurement may change it: ``auto`` with any modifier follows the noise that
        was found, all other presets mean what they say. Nothing else decides this."""
        return self.preset.name.partition("+")[0] == DEFAULT

    def chain(self) -> Chain:
        """The chain before anything was measured.

        Raises:
            UsageError: a name or value is not accepted.
        """
        return resolve(self.preset, self.layers, speed=self.speed)

    def after(self, proposed: Mapping[str, str]) -> Chain:
        """The chain once the noise was measured: `chain` again, unless it is ``auto``.

        Args:
            proposed: what ``auto`` does differently for that noise, named as for ``--set``; empty
                where noise was given instead of measured.

        Raises:
            UsageError: a name or value is not accepted.
        """
        if not proposed or not self.is_auto:
            return self.chain()
        layers = (Layer(MEASUREMENT, proposed), *self.layers)
        return resolve(self.preset, layers, speed=self.speed)

    def with_layer(self, layer: Layer) -> ChainRequest:
        """The same with a layer that wins over all that was said."""
        return replace(self, layers=(*self.layers, layer))
