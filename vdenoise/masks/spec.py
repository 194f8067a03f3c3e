"""What a mask is, as asked for: ``NAME=SOURCE[,key=value...]`` or a ``[[mask]]`` table.

Nothing here imports torch: the command line checks masks before anything heavy is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vdenoise.errors import UsageError
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
STRENGTHS: dict[str, Setting] = {**REMOVED, **FINISHED}
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

_ITEM = re.compile(r"\s*([A-Za-z_]+)\s*=(.*)", re.DOTALL)
_SPAN = re.compile(r"\s*([\d.]+)\s*-\s*([\d.]+)\s*")
_LENGTH = re.compile(r"\s*(-?[\d.]+)\s*(%?)\s*")
_NAME = re.compile(r"[A-Za-z0-9_-]+")


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
        """What `make` makes it from again: for plans, recipes and replays."""
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
        """As it could be typed: ``luma:70-100,mode=set,luma=30``."""
        source, *rest = self.values().items()
        numbers = (f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in rest)
        return ",".join((str(source[1]), *numbers))


def is_mask_name(name: str) -> bool:
    """Letters, digits, - and _."""
    return _NAME.fullmatch(name) is not None


def parse(text: str) -> tuple[str, dict[str, str]]:
    """Take ``NAME=SOURCE[,key=value...]`` apart, unchecked but for its form.

    Items without ``=`` belong to the source: ``rect:10,10,200,100``.

    Raises:
        UsageError: it has another form.
    """
    name, equals, rest = text.partition("=")
    if not equals or not is_mask_name(name.strip()) or not rest.strip():
        raise UsageError(
            f"--mask {text} is not of the form NAME=SOURCE[,key=value...].",
            "For example: --mask sky=luma:70-100,luma=30 (docs/masks.md lists the sources).",
            number=60,
        )
    source, *items = rest.split(",")
    values: dict[str, str] = {}
    for item in items:
        found = _ITEM.fullmatch(item)
        if found is not None:
            values[found[1]] = found[2].strip()
        elif values:
            raise UsageError(
                f"--mask {text}: {item!r} is not of the form key=value.",
                f"Keys are {', '.join(KEYS)}.",
                number=60,
            )
        else:
            source += f",{item}"
    return name.strip(), {"source": source.strip(), **values}


def anchored(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same with a file's path seen from ``folder``: that of the preset, or where one types."""
    return pointed(values, lambda path: str(folder.absolute() / path))


def pointed(values: Mapping[str, Any], where: Callable[[str], str]) -> dict[str, Any]:
    """The same with a file's path as ``where`` says it."""
    kind, colon, path = str(values.get("source", "")).partition(":")
    if kind.strip() != "file" or not colon or not path.strip():
        return dict(values)
    return {**values, "source": f"file:{where(path.strip())}"}


def make(name: str, values: Mapping[str, Any]) -> MaskSpec:
    """Check what was asked of a mask, whether it was typed or stands in a preset.

    Raises:
        UsageError: a key does not exist or a value is not accepted.
    """
    said = dict(values)
    source = said.pop("source", None)
    if not isinstance(source, str):
        raise UsageError(
            f"mask.{name} has no source.", "For example: source = 'luma:70-100'.", number=60
        )
    for key in said:
        if key not in KEYS:
            raise UsageError(
                f"mask.{name}.{key}: a mask has no such key.",
                f"Keys are {', '.join(KEYS)}.",
                number=66,
            )
    if isinstance(said.get("invert"), bool):  # as TOML and Python say it
        said["invert"] = "yes" if said["invert"] else "no"
    found = {key: KEYS[key].check(f"mask.{name}.{key}", value) for key, value in said.items()}
    kind, fields = _source(name, source)
    strengths = {key: float(found[key]) for key in STRENGTHS if key in found}
    mode = found.get("mode") or ("set" if strengths else "apply")
    _check_mode(name, mode, tuple(strengths), "combine" in found, "mode" in found)
    moving = kind in RANGES or kind == "auto"
    return MaskSpec(
        name=name,
        source=source,
        kind=kind,
        mode=mode,
        strengths=strengths,
        invert=found.get("invert") == "yes",
        feather=found.get("feather", 0.0),
        opacity=found.get("opacity", 100.0),
        soft=found.get("soft", 10.0),
        stabilize=int(found.get("stabilize", KEYS["stabilize"].default)) if moving else 0,
        combine=found.get("combine", ""),
        **fields,
    )


def _check_mode(name: str, mode: str, strengths: tuple[str, ...], joined: bool, said: bool) -> None:
    if joined and (strengths or said):
        raise UsageError(
            f"mask.{name} is combined with the mask before and has a mode or strengths of its own.",
            "Say mode and strengths at the first mask of the group.",
            number=62,
        )
    if mode == "protect" and strengths:
        raise UsageError(
            f"mask.{name} protects and has a strength ({strengths[0]}).",
            f"Say mode=set, or leave mode away, to have {strengths[0]} inside the mask.",
            number=62,
        )
    if mode == "set" and not strengths:
        raise UsageError(
            f"mask.{name} has mode=set and sets nothing.",
            f"Say one of: {', '.join(f'{key}=' for key in STRENGTHS)}.",
            number=62,
        )


def _source(name: str, source: str) -> tuple[str, dict[str, Any]]:
    """Kind of a source, and the fields that follow from its text."""
    kind, colon, rest = source.partition(":")
    kind = kind.strip()
    if kind == "alpha" and not colon:
        return kind, {}
    if kind == "file" and rest.strip():
        return kind, {"path": rest.strip()}
    if kind == "auto" and rest.strip() in AUTOMATIC:
        return kind, {"word": rest.strip()}
    if kind in SHAPES:
        lengths = [_LENGTH.fullmatch(part) for part in rest.split(",")]
        enough = len(lengths) == SHAPES[kind] or (
            kind == "polygon" and len(lengths) > SHAPES[kind] and len(lengths) % 2 == 0
        )
        if enough and all(found is not None and _is_number(found[1]) for found in lengths):
            return kind, {
                "numbers": tuple(float(found[1]) for found in lengths if found),
                "percent": tuple(found[2] == "%" for found in lengths if found),
            }
    span = _SPAN.fullmatch(rest)
    if kind in RANGES and span is not None and _is_number(span[1]) and _is_number(span[2]):
        ends = [RANGES[kind].check(f"mask.{name}.source {kind}", text) for text in span.groups()]
        if kind != "hue" and ends[0] > ends[1]:
            raise UsageError(
                f"mask.{name}: {source} runs from high to low.",
                f"Say {kind}:{ends[1]:g}-{ends[0]:g}, or add invert=yes for what is outside.",
                number=60,
            )
        return kind, {"numbers": tuple(ends)}
    raise UsageError(
        f"mask.{name}: {source} is no source of a mask.",
        "Sources: file:PATH, alpha, rect:X,Y,WIDTH,HEIGHT, ellipse:X,Y,RX,RY, polygon:X,Y,X,Y,... "
        f"(pixels, or percent with %), luma:A-B, hue:A-B, saturation:A-B, "
        f"auto:{'|'.join(AUTOMATIC)}.",
        number=60,
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_order(masks: tuple[MaskSpec, ...]) -> None:
    """A mask that joins the one before needs one.

    Raises:
        UsageError: the first mask says ``combine``.
    """
    if masks and masks[0].combine:
        raise UsageError(
            f"mask.{masks[0].name} says combine={masks[0].combine} and there is no mask before it.",
            "Leave combine away at the first mask, or change their order.",
            number=62,
        )
