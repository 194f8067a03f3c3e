"""What a mask is, as asked for: ``NAME=SOURCE[,key=value...]`` or a ``[[mask]]`` table.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vdenoise.settings.setting import Setting, percent

# Kinds of sources and how many numbers follow them (a polygon takes any number of points).
SHAPES: dict[str, int] = {"rect": 4, "ellipse": 4, "polygon": 6}
RANGES: dict[str, Setting] = {
    "luma": percent(0.0, "Percent of the way from black to white, such as luma:70-100."),
    "hue": Setting(
        0.0, "Degrees: red 0, green 120, blue 240; 330-30 goes through red.", low=0, high=360
    ),
    "saturation": percent(0.0, "Percent, 0 is gray, such as saturation:25-100."),
}
AUTOMATIC = ("shadows", "edges", "flat", "skin")
EXTERNAL = ("file", "alpha")

# Everything that may follow a source. Strengths are the chain's dials, inside the mask, and shares
# of what the finishing stages do there.
REMOVED: dict[str, Setting] = {
    "luma": percent(None, "Percent of the luma noise that is removed inside the mask."),
    "chroma": percent(None, "Percent of the chroma noise that is removed inside the mask."),
}
FINISHED: dict[str, Setting] = {
    slot: percent(None, f"Percent of what {slot} does that is done inside the mask.")
    for slot in ("detail", "deband", "sharpen", "grain")
}
# What draws detail, before the dials: its strength inside, as the stage's own says it for outside
DRAWN: dict[str, Setting] = {
    "regrow": percent(
        None, "Percent of the invented detail that is added inside the mask, as --regrow says it."
    ),
}
STRENGTHS: dict[str, Setting] = {**REMOVED, **DRAWN, **FINISHED}
KEYS: dict[str, Setting] = {
    **STRENGTHS,
    "mode": Setting(
        None,
        "apply works inside the mask only, protect outside only, set gives the inside strengths "
        "of its own (luma=, chroma=, sharpen= and others).",
        words=("apply", "protect", "set"),
    ),
    "invert": Setting("no", "yes takes what is outside for inside.", words=("no", "yes")),
    "feather": Setting(
        0.0, "Pixels over which the mask's edge falls off, to each side.", low=0, high=500
    ),
    "opacity": percent(100.0, "Percent of the mask that counts."),
    "soft": Setting(
        10.0, "How far a range reaches beyond its ends, in its own unit.", low=0, high=100
    ),
    "stabilize": Setting(
        2.0,
        "Frames on each side, followed along the motion, that steady a range or automatic mask; "
        "0 is off.",
        low=0,
        high=4,
    ),
    "combine": Setting(
        None,
        "Joins this mask to the one before, which then is one mask with the first one's mode.",
        words=("max", "multiply", "subtract"),
    ),
}


@dataclass(frozen=True)
class MaskSpec:
    """A mask with nothing left to decide."""

    name: str
    source: str  # as typed
    kind: str  # "file", "alpha", "rect", "luma", "auto" ...
    path: str = ""  # of a file
    word: str = ""  # of an automatic mask
    numbers: tuple[float, ...] = ()  # of a shape or a range
    percent: tuple[bool, ...] = ()  # which of a shape's numbers are percent of the picture
    mode: str = "apply"
    strengths: Mapping[str, float] = field(default_factory=dict)  # inside, in percent, by name
    invert: bool = False
    feather: float = 0.0  # px
    opacity: float = 100.0
    soft: float = 10.0
    stabilize: int = 0  # frames on each side
    combine: str = ""  # how it joins the mask before; "" is a mask of its own

    @property
    def external(self) -> bool:
        """Whether it comes with the frames instead of being computed from them."""
        return self.kind in EXTERNAL

    @property
    def moving(self) -> bool:
        """Whether it is computed from each frame's picture."""
        return self.kind in RANGES or self.kind == "auto"

    def values(self) -> dict[str, Any]:
        """What `vdenoise.masks.parse.make_mask` makes it from again: for plans and recipes."""
        said: dict[str, Any] = {"source": self.source}
        if not self.combine:
            said["mode"] = self.mode
        if self.invert:
            said["invert"] = "yes"
        if self.moving:
            said["stabilize"] = self.stabilize
        said |= self.strengths
        for key in ("feather", "opacity", "soft", "combine"):
            value = getattr(self, key)
            if value not in (KEYS[key].default, ""):
                said[key] = value
        return said

    @property
    def text(self) -> str:
        """The mask as it could be typed: ``luma:70-100,mode=set,luma=30``."""
        source, *rest = self.values().items()
        numbers = (f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in rest)
        return ",".join((str(source[1]), *numbers))
