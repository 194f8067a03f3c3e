"""Opening image files through OpenImageIO, with every failure in plain words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import OpenImageIO as oiio  # noqa: N813 (its own documentation calls it so)

from vdenoise.errors import InputError
from vdenoise.media.access import reading
from vdenoise.media.images.supported import unsupported
from vdenoise.settings.text import is_text

READERS = ("openexr", "dpx", "tiff", "png", "jpeg")  # of OpenImageIO, whatever a file is called
LARGEST = 65535  # pixels each way; more is taken for damage
# How OpenImageIO says that a file is whole and of a kind that it does not read.
_UNKNOWN = re.compile(r"(?i)no support|unsupported|not supported|can ?not handle")


def opened(path: Path) -> Any:
    """OpenImageIO's input of an image, which gives samples as they are stored; to be closed.

    Raises:
        InputError: it is missing, unreadable, empty, damaged or too large.
    """
    with reading(str(path)), path.open("rb") as file:
        empty = not file.read(1)
    if empty:
        raise InputError(f"{path} is empty.", "Copy or render it again.", number=3)
    if not is_text(str(path.absolute())):
        raise InputError(
            f"{path} has a name that is not UTF-8, by which no image can be opened.",
            "Rename it, or make a link with another name.",
            number=43,
        )
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)  # alpha and color as stored
    config.attribute("oiio:reorient", 0)
    image = oiio.ImageInput.open(str(path), config)
    if image is None:
        reason = reason_of(oiio)
        size = re.search(r"claimed to be (\d+x\d+)", reason)
        if size is not None:
            raise too_large(path, size[1])
        if _UNKNOWN.search(reason):
            raise unsupported(path, f"is of a kind that is not read ({_words(path, reason)})")
        raise damaged(path, reason)
    if image.format_name() not in READERS:
        kind = image.format_name()
        image.close()
        raise unsupported(path, f"is of a kind that is not read ({kind})")
    return image


def specs_of(file: Any) -> list[Any]:
    """The headers of all parts."""
    specs: list[Any] = []
    while file.seek_subimage(len(specs), 0):
        specs.append(file.spec(len(specs), 0))
    reason_of(file)  # that there is no further part
    return specs


def has_level(file: Any, part: int, level: int) -> bool:
    """Whether a part has a mipmap level; 0 is the picture itself."""
    found = bool(file.seek_subimage(part, level))
    reason_of(file)  # that there is none
    return found


def reason_of(source: Any) -> str:
    """What OpenImageIO, or one of its files, has to say of an error."""
    try:
        return str(source.geterror())
    except UnicodeDecodeError:  # it quotes the file
        return "it holds bytes where text is to be"


def damaged(path: Path, reason: str) -> InputError:
    """The error for an image that cannot be decoded to its end; a JPEG of 12 bits is not read."""
    words = _words(path, reason)
    if "data precision" in words:
        return unsupported(path, f"is of a kind that is not read ({words})")
    return InputError(
        f"{path} is damaged or cut short{f': {words}' if words else ''}.",
        "Copy or render it again, or put the frame before in its place with --on-bad-frame repeat.",
        number=8,
    )


def too_large(path: Path, size: str) -> InputError:
    """The error for an image that says it has more pixels than it can have."""
    return InputError(
        f"{path} says that it is {size}: that is damage, or more than can be held at once.",
        f"Render it again, or cut it into parts (of at most {LARGEST} pixels each way) first.",
        number=16,
    )


def _words(path: Path, reason: str) -> str:
    """What OpenImageIO says, on one line and without the path."""
    return " ".join(reason.replace(f"({path}):", "").replace(str(path), "").split())
