"""Settings as they stand on the page, and what they are elsewhere: a chain, a command line, a
preset of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from vdenoise.chain import preset_files
from vdenoise.chain.presets import FACTORS, SPEEDS, load, names, saved_text
from vdenoise.chain.request import ChainRequest
from vdenoise.chain.resolve import Layer
from vdenoise.errors import UsageError
from vdenoise.machine.claims import Claims
from vdenoise.review.tune.controls import Control
from vdenoise.settings.groups import MASK
from vdenoise.workflows.request import ClipRequest

PAGE = "page"  # where a value comes from


class Settings(BaseModel):
    """What is set on the page: a preset with its modifiers, and what is turned on top of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    preset: str = Field(max_length=200)
    speed: str | None = None
    values: dict[str, str] = Field(default_factory=dict, max_length=200)


@dataclass(frozen=True)
class Base:
    """What the command line of ``tune`` said, below all that is set on the page.

    Attributes:
        request: of a run; its chain without what the page may turn.
        preset: as it was typed, with its gauge.
        start: settings that the page begins with.
        controls: what the page may turn.
        words: all else that was typed and that a run needs too, as it is typed.
    """

    request: ClipRequest
    preset: str
    start: Settings
    controls: tuple[Control, ...]
    words: tuple[str, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, Control]:
        """Controls by their full names."""
        return {control.name: control for control in self.controls}

    def chain(self, settings: Settings) -> ChainRequest:
        """The chain that settings ask for.

        Raises:
            UsageError: a preset, a name or a value is none that the page may choose.
        """
        self._check(settings)
        preset = load(settings.preset)
        kept = tuple(replace(one, values=self._kept(one, settings)) for one in self._fixed)
        layers = (*kept, Layer(PAGE, dict(settings.values)))
        return ChainRequest(preset, tuple(one for one in layers if one.values), settings.speed)

    def run_request(self, settings: Settings) -> ClipRequest:
        """The run that settings ask for."""
        return replace(self.request, chain=self.chain(settings))

    def command(self, settings: Settings, output: Path) -> list[str]:
        """What to type to run the same: ``vdenoise run CLIP -o OUT --preset ...``."""
        self._check(settings)
        found = ["vdenoise", "run", str(self.request.reading.path), "-o", str(output)]
        found += ["--preset", settings.preset]
        if settings.speed is not None:
            found += ["--speed", settings.speed]
        typed: dict[str, str] = {}
        for layer in self._fixed:
            if layer.origin != "environment":  # which a shell adds again
                values = self._kept(layer, settings)
                typed |= {k: str(v) for k, v in values.items() if not k.startswith(f"{MASK}.")}
        for name, value in (typed | settings.values).items():
            control = self.by_name.get(name)
            option = "" if control is None else control.option
            found += [option, value] if option else ["--set", f"{name}={value}"]
        return found + list(self.words)

    def save(self, settings: Settings, name: str, about: str, *, overwrite: bool) -> Path:
        """Keep settings as a preset of one's own.

        Args:
            settings: what to keep.
            name: of letters, digits, - and _.
            about: what it is for; empty takes the preset's own words.
            overwrite: replace a preset of this name.

        Returns:
            Where it is.

        Raises:
            UsageError: the name cannot be used, or a value is not accepted.
            OutputError: it exists, or cannot be written.
        """
        asked = self.chain(settings)
        asked.chain()  # what is not accepted is said now
        target = preset_files.new_path(name)
        claims = Claims()
        for path in asked.preset.files:
            claims.read(path, "a preset it inherits from")
        claims.write(target, "the preset", overwrite=overwrite)
        values: dict[str, Any] = {}
        for layer in asked.layers:
            values |= layer.values
        said = about.strip() or asked.preset.about
        text = saved_text(said, settings.preset, settings.speed, values)
        preset_files.write(target, text)
        return target

    @property
    def _fixed(self) -> tuple[Layer, ...]:
        return self.request.chain.layers

    def _kept(self, layer: Layer, settings: Settings) -> dict[str, Any]:
        """What a fixed layer says of slots whose method the page leaves alone: values of another
        method mean nothing."""
        changed = {k.partition(".")[0] for k in settings.values if k.endswith(".method")}
        return {k: v for k, v in layer.values.items() if k.partition(".")[0] not in changed}

    def _check(self, settings: Settings) -> None:
        base, *modifiers = settings.preset.split("+")
        if settings.preset != self.preset and (base not in names() or len(modifiers) > 2):
            own = self.preset.partition("+")[0]
            if not (base == own and all(word in FACTORS for word in modifiers)):
                raise UsageError(
                    f"There is no preset {settings.preset!r} to choose here.",
                    f"Presets are {', '.join(names())}.",
                    number=200,
                )
        if settings.speed is not None and settings.speed not in SPEEDS:
            raise UsageError(
                f"There is no speed {settings.speed!r}.",
                f"Speeds are {', '.join(SPEEDS)}.",
                number=201,
            )
        for name, value in settings.values.items():
            control = self.by_name.get(name)
            if control is None or not control.takes(value):
                raise UsageError(
                    f"{name} = {value} cannot be set on the page.",
                    "Give it on the command line: vdenoise tune takes all options of a run.",
                    number=202,
                )


def begin(
    request: ClipRequest,
    preset: str,
    controls: tuple[Control, ...],
    words: tuple[str, ...],
    typed: str,
) -> Base:
    """What the page begins with: of what was typed, all that it can turn is set on it.

    Args:
        request: as the command line has it.
        preset: as it was typed, with its gauge.
        controls: what the page may turn.
        words: all else that was typed and that a run needs too.
        typed: the origin of layers that were typed.
    """
    by_name = {control.name: control for control in controls}
    values: dict[str, str] = {}
    layers = []
    for layer in request.chain.layers:
        mine: dict[str, str] = {}
        if layer.origin == typed:
            mine = {
                name: str(value)
                for name, value in layer.values.items()
                if name in by_name and by_name[name].takes(str(value))
            }
            values |= mine
        rest = {name: value for name, value in layer.values.items() if name not in mine}
        layers += [Layer(layer.origin, rest)] if rest else []
    chain = replace(request.chain, layers=tuple(layers))
    start = Settings(preset=preset, speed=request.chain.speed, values=values)
    return Base(replace(request, chain=chain), preset, start, controls, words)
