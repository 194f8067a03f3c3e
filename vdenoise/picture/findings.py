"""What stages found in frames, beside the picture: to be shown, to be counted, to be obeyed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from torch import Tensor

from vdenoise.settings.choices import ViewKind

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class StageFindings:
    """What was found in T frames; None where no stage looked for it, or nobody wants it."""

    # Pictures of luma's size, (T, 1, H, W) in [0, 1]
    confidence: Tensor | None = None  # share of the noise that is gone
    mask: Tensor | None = None  # share of the luma noise that masks let be removed
    dust: Tensor | None = None  # how much of a pixel was replaced
    invented: Tensor | None = None  # how much of a pixel was drawn, not recorded
    uncertainty: Tensor | None = None  # how far several drawn pictures differ there
    ghost: Tensor | None = None  # how far averaging was taken back
    structure: Tensor | None = None  # share of what was removed that noise does not explain
    color: Tensor | None = None  # how far a level's shift was taken back, white is one code
    # What later work obeys, of the same form
    amount: Tensor | None = None  # share of the luma correction that dials and masks leave
    gate: Tensor | None = None  # share of any work that masks let be done
    shares: Mapping[str, Tensor] = field(default_factory=dict)  # of a later slot's work
    # Numbers, (T,)
    ghost_share: Tensor | None = None  # of the picture that averaging was taken back in
    structure_share: Tensor | None = None  # of the picture that was given back
    drift: Tensor | None = None  # largest mean change of a level, in 8-bit codes
    covers: Mapping[str, Tensor] = field(default_factory=dict)  # share of the picture, by mask

    def over(self, before: Self) -> Self:
        """Join these and what only ``before`` has."""

        def both(old: Any, new: Any) -> Any:
            return {**old, **new} if isinstance(new, Mapping) else old if new is None else new

        return self._made({name: both(getattr(before, name), own) for name, own in self._parts()})

    def map(self, change: Change) -> Self:
        """Do the same to every tensor, such as to take some of the frames."""

        def changed(part: Any) -> Any:
            if isinstance(part, Mapping):
                return {name: change(tensor) for name, tensor in part.items()}
            return None if part is None else change(part)

        return self._made({name: changed(part) for name, part in self._parts()})

    def pair(self, other: Self, change: Callable[[Tensor, Tensor], Tensor]) -> Self:
        """Make one of two that hold the same, such as those of a frame's two fields."""

        def changed(a: Any, b: Any) -> Any:
            if isinstance(a, Mapping):
                return {name: change(tensor, b[name]) for name, tensor in a.items()}
            return None if a is None else change(a, b)

        return self._made({name: changed(a, getattr(other, name)) for name, a in self._parts()})

    def picture(self, kind: ViewKind) -> Tensor | None:
        """One of the pictures by its name."""
        found: Tensor | None = getattr(self, kind)
        return found

    def _parts(self) -> list[tuple[str, Any]]:
        return [(part.name, getattr(self, part.name)) for part in fields(self)]

    def _made(self, parts: Mapping[str, Any]) -> Self:
        return type(self)(**parts)
