"""What the output of each clip of a batch is called, and that it stays in its folder."""

from __future__ import annotations

import os
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
    check_kind(made, f"The template {template!r} makes {name} of {clip}", ".{ext}, or in ")
    if hole and is_image(made) and not is_pattern(made):
        made = made.with_name(f"{made.stem}.{hole}{made.suffix}")
    return folder / _below(made, template)


def check_kind(made: Path, whose: str, more: str = "") -> None:
    """See that an output is called as what is written.

    Args:
        made: its name.
        whose: what calls it so, to begin a sentence.
        more: what it could end in, too.

    Raises:
        UsageError: it is not.
    """
    if made.suffix.lower() in CONTAINERS or KINDS.get(made.suffix.lower()) in WRITTEN:
        return
    raise UsageError(
        f"{whose}: vdenoise writes no such file.",
        f"End it in {more}one of: {', '.join(CONTAINERS)}, .exr, .dpx, .tif, .png.",
        number=129,
    )


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


def name_in_list(text: str, folder: Path, trust_paths: bool) -> Path:
    """An output as a list names it, in the folder that outputs go to.

    Raises:
        UsageError: it is no file's name, or leads out of the folder.
    """
    name = Path(text)
    if trust_paths and name.name:
        return folder / name
    return stay_below(folder / _below(name, text), folder)


def stay_below(target: Path, folder: Path) -> Path:
    """See that no link on the way to an output leads out of the folder that outputs go to.

    Raises:
        UsageError: one does.
    """
    real, place = (Path(os.path.realpath(path)) for path in (target, folder))
    if not real.is_relative_to(place):
        raise _leads_out(f"{target}, by a link,")
    return target


def _below(name: Path, text: str) -> Path:
    """See that a name stays in the folder it is put into.

    Raises:
        UsageError: it does not.
    """
    if not name.name:
        raise UsageError(f"{text!r} names no output.", "Name a file below -o.", number=217)
    if name.is_absolute() or ".." in name.parts:
        raise _leads_out(text)
    return name


def _leads_out(what: str) -> UsageError:
    return UsageError(
        f"{what} leads out of the output folder.",
        "Name outputs below -o. A list of jobs that you trust may name any place with "
        "--trust-paths.",
        number=93,
    )


def option_value(options: Sequence[str], name: str) -> str:
    """The value of an option among those typed, the last one; empty without it."""
    return next((b for a, b in reversed([*pairwise(options)]) if a == name), "")
