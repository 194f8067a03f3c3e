"""What the output of each clip of a batch is called, and that it stays in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from string import Formatter

from vdenoise.errors import UsageError
from vdenoise.media.images.sequence import KINDS, WRITTEN, is_image, is_pattern
from vdenoise.media.movie.codecs import CONTAINERS
from vdenoise.media.output_names import split_name

TEMPLATE = "{stem}_dn.{ext}"


def name_output(clip: Path, folder: Path, template: str, options: Sequence[str]) -> Path:
    """The output of a clip. A sequence keeps the place of its number, before the extension."""
    stem, hole, ext = split_name(clip)
    preset = option_value(options, "--preset") or "auto"
    try:
        name = _filled(template, {"stem": stem, "ext": ext, "preset": Path(preset).stem})
    except ValueError as error:
        raise UsageError(
            f"The template {template!r} cannot be understood: {error}.",
            f"Use {{stem}}, {{ext}} and {{preset}}, as in {TEMPLATE}.",
            number=90,
        ) from error
    made = Path(name)
    writes = made.suffix.lower() in CONTAINERS or KINDS.get(made.suffix.lower()) in WRITTEN
    if not writes:
        raise UsageError(
            f"The template {template!r} makes {name} of {clip}: vdenoise writes no such file.",
            f"End it in .{{ext}}, or in one of: {', '.join(CONTAINERS)}, .exr, .dpx, .tif, .png.",
            number=129,
        )
    if hole and is_image(made) and not is_pattern(made):
        made = made.with_name(f"{made.stem}.{hole}{made.suffix}")
    return folder / _below(made, template)


def _filled(template: str, values: Mapping[str, str]) -> str:
    """A template with its places filled, and nothing else that Python's formatting can do.

    Raises:
        ValueError: it has another place, or what is no place.
    """
    text = ""
    for literal, name, form, conversion in Formatter().parse(template):
        if name is not None and (name not in values or form or conversion):
            raise ValueError(f"there is no place {{{name}}}")
        text += literal + ("" if name is None else values[name])
    return text


def name_in_list(text: str, trust_paths: bool) -> Path:
    """An output as a list names it.

    Raises:
        UsageError: it is no file's name, or leads out of the folder that outputs go to.
    """
    name = Path(text)
    return name if trust_paths and name.name else _below(name, text)


def _below(name: Path, text: str) -> Path:
    """See that a name stays in the folder it is put into.

    Raises:
        UsageError: it does not.
    """
    if not name.name:
        raise UsageError(f"{text!r} names no output.", "Name a file below -o.", number=217)
    if name.is_absolute() or ".." in name.parts:
        raise UsageError(
            f"{text} leads out of the output folder.",
            "Name outputs below -o. A list of jobs that you trust may name any place with "
            "--trust-paths.",
            number=93,
        )
    return name


def option_value(options: Sequence[str], name: str) -> str:
    """The value of an option among those typed, the last one; empty without it."""
    return next((b for a, b in reversed([*pairwise(options)]) if a == name), "")
