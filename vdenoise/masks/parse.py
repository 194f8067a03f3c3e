"""Masks as they are typed or stand in a preset, taken apart and checked.

Nothing here imports torch: the command line checks masks before anything heavy is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vdenoise.errors import UsageError
from vdenoise.masks.spec import AUTOMATIC, KEYS, RANGES, SHAPES, STRENGTHS, MaskSpec

_ITEM = re.compile(r"\s*([A-Za-z_]+)\s*=(.*)", re.DOTALL)
_SPAN = re.compile(r"\s*([\d.]+)\s*-\s*([\d.]+)\s*")
_LENGTH = re.compile(r"\s*(-?[\d.]+)\s*(%?)\s*")
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def is_mask_name(name: str) -> bool:
    """Whether a mask may be called so: letters, digits, - and _."""
    return _NAME.fullmatch(name) is not None


def parse_mask(text: str) -> tuple[str, dict[str, str]]:
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
    return name.strip(), {"source": _spelled_out(source.strip()), **values}


def anchor_file(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same with a file's path seen from ``folder``: that of the preset, or where one types."""
    return point_file(values, lambda path: str(folder.absolute() / path))


def point_file(values: Mapping[str, Any], where: Callable[[str], str]) -> dict[str, Any]:
    """The same with a file's path as ``where`` says it."""
    kind, colon, path = _spelled_out(str(values.get("source", ""))).partition(":")
    if kind.strip() != "file" or not colon or not path.strip():
        return dict(values)
    return {**values, "source": f"file:{where(path.strip())}"}


def _spelled_out(source: str) -> str:
    """A bare name of a file, such as ``hair.png``, as ``file:hair.png``."""
    bare = ":" not in source and bool(Path(source).suffix[1:])
    return f"file:{source}" if bare else source


def make_mask(name: str, values: Mapping[str, Any]) -> MaskSpec:
    """Check what was asked of a mask, whether it was typed or stands in a preset.

    Raises:
        UsageError: a key does not exist or a value is not accepted.
    """
    said = dict(values) if isinstance(values, Mapping) else {}  # recipes hold anything
    source = said.pop("source", None)
    if not isinstance(source, str):
        raise UsageError(
            f"mask.{name} has no source.", "For example: source = 'luma:70-100'.", number=60
        )
    source = _spelled_out(source)
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
