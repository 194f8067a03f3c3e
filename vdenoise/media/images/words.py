"""What a header says of a picture in words and numbers, and what other files have no place for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vdenoise.media.images.inputs import opened
from vdenoise.media.images.layout import kind_of
from vdenoise.media.images.write import read_from_pixels

_TEXTS = frozenset(("artist", "copyright", "documentname", "imagedescription"))
_COUNTED = frozenset(("smpte:timecode", "smpte:keycode"))
_HELD = {
    "tiff": _TEXTS, "png": _TEXTS, "exr": _TEXTS | _COUNTED,
    "dpx": (_TEXTS - {"artist"}) | _COUNTED, "movie": frozenset(("smpte:timecode",)),
}  # fmt: skip
# Of EXR: how it is stored, where its pixels lie, what is kept as color, shape, turn and rate; and
# what programs write of themselves.
_OTHER = re.compile(
    r"(?i)^(oiio:|openexr:|exr:|dpx:|compression$|pixelaspectratio$|screenwindow|orientation$|"
    r"chromaticities$|colorinteropid$|datetime$|framespersecond$|software$|hostcomputer$|name$|"
    r"multiview$|view$|version$|type$|chunkcount$|tile|xresolution$|yresolution$|resolutionunit$|"
    r"iccprofile|planarconfig$)"
)
_OF_DPX = re.compile(
    r"(?i)^dpx:(inputdevice|frameid$|slateinfo$|format$|sourcedatetime$|sourceimagefilename$|"
    r"userdata$)"
)
_NAMED = 6


def lost_words(paths: Iterable[Path], kind: str) -> tuple[str, ...]:
    """What the headers of images say that cannot go into files of another kind, for people.

    Args:
        paths: the images, of one kind.
        kind: "tiff", "png", "exr", "dpx" or "movie".

    Raises:
        InputError: one cannot be read.
    """
    found = [_lost(path, kind) for path in paths]
    gone = sorted({name for names, _ in found for name in names})
    more = [f"{len(gone) - _NAMED} more"] if len(gone) > _NAMED else []
    said = (f"the attributes {', '.join([*gone[:_NAMED], *more])}",) if gone else ()
    return (*said, *dict.fromkeys(window for _, windows in found for window in windows))


def _lost(path: Path, kind: str) -> tuple[list[str], tuple[str, ...]]:
    """Names of what one image says, and its window."""
    file = opened(path)
    try:
        own = kind_of(file.format_name())
        pixels = read_from_pixels(path, own)
        spec = file.spec()
        told = [a for a in spec.extra_attribs if not pixels.match(a.name)]
    finally:
        file.close()
    words = (a.name for a in told if _is_word(a, own))
    return [name for name in words if not _holds(kind, name, own)], _window(spec)


def _window(spec: Any) -> tuple[str, ...]:
    """Where pixels lie beyond or inside what is to be seen (overscan), which only EXR can tell."""
    seen = (spec.full_x, spec.full_y, spec.full_width, spec.full_height)
    if seen == (spec.x, spec.y, spec.width, spec.height):
        return ()
    return (f"the display window ({spec.full_width}x{spec.full_height}) around its pixels",)


def _is_word(attribute: Any, own: str) -> bool:
    """Whether it is about the picture. What TIFF, PNG and JPEG have beyond texts is Exif, which is
    looked at by itself."""
    name = attribute.name
    if isinstance(attribute.value, str) and not attribute.value:
        return False
    if own not in ("exr", "dpx"):
        return name.lower() in _TEXTS
    return bool(_OF_DPX.match(name)) or not _OTHER.match(name)


def _holds(kind: str, name: str, own: str) -> bool:
    every = kind == "exr" and own == "dpx" and not _OF_DPX.match(name)
    return every or name.lower() in _HELD[kind]
